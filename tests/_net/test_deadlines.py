"""Deadlines hold whatever a server does, and an abandoned request leaves no thread behind."""

import contextlib
import socket
import threading
import time

import pytest
from astropy.config import set_temp_cache
from astropy.coordinates import SkyCoord

from shredfinder._net.client import HttpClient
from shredfinder._net.exchanges import limited_time
from shredfinder._net.retries import RetryPolicy
from shredfinder.catalogs import query_candidates, resolve_name
from shredfinder.cutouts import fetch_cutouts
from shredfinder.exceptions import (
    ServiceError,
    ShredfinderWarning,
    StoppedError,
    TransientServiceError,
)
from shredfinder.hosts import read_nsa

CENTER = SkyCoord(143.0421, 21.5008, unit="deg")
# Seconds beyond a deadline that a busy machine may need.
SLACK = 4


class BadServer:
    """Server that keeps its clients waiting in one of several ways."""

    def __init__(self, fault):
        self.fault = fault
        self.over = threading.Event()
        self.n_open = 0
        self._lock = threading.Lock()
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=0)
        self._socket.settimeout(0.05)
        scheme = "https" if fault == "silent TLS" else "http"
        self.address = self._socket.getsockname()
        self.url = f"{scheme}://{self.address[0]}:{self.address[1]}"
        self._fillers = []
        if fault == "no accept":
            # Until its queue is full, the system accepts connections by itself.
            for _ in range(3):
                filler = socket.socket()
                filler.setblocking(False)
                filler.connect_ex(self.address)
                self._fillers.append(filler)
        else:
            threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.over.set()
        for opened in (self._socket, *self._fillers):
            opened.close()

    def _accept(self):
        while not self.over.is_set():
            with contextlib.suppress(OSError):
                connection, _ = self._socket.accept()
                threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection):
        with self._lock:
            self.n_open += 1
        with contextlib.suppress(OSError), connection:
            connection.settimeout(30)
            for part in self._list_parts():
                connection.sendall(part)
                connection.settimeout(0.05)
                # An empty read means that the client has left.
                with contextlib.suppress(TimeoutError):
                    while connection.recv(4096):
                        pass
                    break
                if self.over.is_set():
                    break
        with self._lock:
            self.n_open -= 1

    def _list_parts(self):
        if self.fault == "headers":
            yield b"HTTP/1.1 200 OK\r\nX-Slow: "
            while True:
                yield b"x"
        if self.fault == "continue":
            while True:
                yield b"HTTP/1.1 100 Continue\r\n\r\n"
        if self.fault == "body":
            yield b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
            while True:
                yield b"x"
        if self.fault == "redirects":
            for _ in range(8):
                yield b""
            yield b"HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n"
        while True:
            yield b""


FAULTS = ["headers", "continue", "body", "redirects", "silent", "silent TLS", "no accept"]


@pytest.fixture(params=FAULTS)
def server(request):
    with BadServer(request.param) as server:
        yield server


def assert_soon(start, limit):
    assert time.monotonic() - start < limit + SLACK


def wait_until_left(server):
    """Wait until the threads of abandoned requests have ended."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        names = {thread.name for thread in threading.enumerate()}
        if not server.n_open and "shredfinder-request" not in names:
            return
        time.sleep(0.02)
    pytest.fail("a request goes on after its deadline")


def test_a_request_ends_at_its_deadline(server):
    client = HttpClient(timeout=0.4, retry=RetryPolicy(attempts=1))
    start = time.monotonic()
    with pytest.raises(ServiceError):
        client.get(server.url, read=lambda response: response.content)
    assert_soon(start, 0.4)
    client.close()
    wait_until_left(server)


def test_cutouts_end_at_the_time_limit(server):
    start = time.monotonic()
    with pytest.warns(ShredfinderWarning):
        cutouts = fetch_cutouts(
            SkyCoord([10, 20, 30], [0, 0, 0], unit="deg"),
            base_url=server.url,
            cache=False,
            timeout=0.5,
            time_limit=0.8,
            progress=False,
        )
    assert_soon(start, 0.8)
    assert set(cutouts.flags) == {"failed"}
    wait_until_left(server)


@pytest.mark.parametrize("survey", ["legacy-dr9", "sdss-dr17"])
def test_queries_end_at_the_time_limit(server, survey):
    options = {"endpoint": server.url, "cache": False, "progress": False}
    start = time.monotonic()
    with limited_time(0.5), pytest.raises(ServiceError):
        query_candidates(survey, CENTER, 0.1, **options)
    assert_soon(start, 0.5)


@pytest.mark.parametrize("fault", ["headers", "continue"])
def test_names_and_hosts_end_at_the_time_limit(tmp_path, fault):
    with BadServer(fault) as server, set_temp_cache(tmp_path):
        start = time.monotonic()
        with pytest.raises(TransientServiceError, match="no complete response"):
            resolve_name("NGC 2903", url=server.url, timeout=1)
        with limited_time(1), pytest.raises(StoppedError, match="time limit"):
            read_nsa(url=server.url, progress=False)
        assert_soon(start, 2)


def test_stopping_ends_a_request_at_once():
    client = HttpClient(timeout=60)
    threading.Timer(0.3, client.stop.set).start()
    start = time.monotonic()
    with BadServer("silent") as server, pytest.raises(StoppedError):
        client.get(server.url, read=lambda response: response.content)
    assert_soon(start, 0.3)
    client.close()


def test_pauses_and_turns_end_at_the_time_limit():
    with limited_time(0.3):
        client = HttpClient(rate=0.001)
    start = time.monotonic()
    client.pause(60)
    assert_soon(start, 0.3)
    with pytest.raises(StoppedError, match="time limit"):
        client.get("http://127.0.0.1:9/", read=lambda response: response.content)
    assert_soon(start, 0.3)
    client.close()
