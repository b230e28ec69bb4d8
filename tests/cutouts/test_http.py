"""The client: time limits, certificates, redirects, pauses."""

import shutil
import ssl
import subprocess
import threading
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from shredfinder._net.client import HttpClient, RateLimiter, _follow, _parse_retry_after
from shredfinder._net.errors import BadAnswerError, StoppedError, TransientError
from shredfinder._net.retries import RetryPolicy, call_with_retries
from shredfinder.exceptions import ServiceError
from tests.cutouts.loopback import Faults, LoopbackServer


class Handler(BaseHTTPRequestHandler):
    """Answers as the path says."""

    def log_message(self, *args):
        pass

    def do_GET(self):
        if self.path == "/loop":
            self.send_response(302)
            self.send_header("Location", "/loop")
            self.end_headers()
            return
        if self.path.startswith("/status/"):
            self.send_response(int(self.path.rpartition("/")[2]))
            self.end_headers()
            return
        self.send_response(200)
        self.end_headers()
        # Without a length, a byte at a time: each comes within any limit on a single read.
        for _ in range(100 if self.path == "/drip" else 1):
            try:
                self.wfile.write(b"x" * (1 if self.path == "/drip" else 100_000))
                self.wfile.flush()
            except OSError:
                return
            time.sleep(0.05 if self.path == "/drip" else 0)


def serve(server):
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    return thread


@pytest.fixture
def plain():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = serve(server)
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def client():
    client = HttpClient(timeout=5)
    yield client
    client.close()


def test_a_request_has_a_time_limit_up_to_its_last_byte(plain):
    client = HttpClient(timeout=0.5)
    start = time.monotonic()
    with pytest.raises(TransientError, match=r"0\.5 s|timed out"):
        client.get(f"{plain}/drip")
    assert time.monotonic() - start < 2
    client.close()


def test_bodies_have_a_limit(plain, client):
    with pytest.raises(BadAnswerError, match="more than 1000 bytes"):
        client.get(f"{plain}/long", max_bytes=1000)


def test_redirects_have_an_end_and_stay_protected(plain, client):
    with pytest.raises(BadAnswerError, match="more than 5 redirects"):
        client.get(f"{plain}/loop")
    assert _follow("https://a/b", "/c") == "https://a/c"
    with pytest.raises(BadAnswerError, match="unprotected"):
        _follow("https://a/b", "http://a/c")


@pytest.mark.parametrize("status", [401, 403, 410, 206])
def test_other_statuses_are_not_tried_again(plain, client, status):
    with pytest.raises(BadAnswerError, match=f"status {status}"):
        client.get(f"{plain}/status/{status}")


@pytest.mark.parametrize("status", [500, 502, 504, 429, 408])
def test_passing_statuses(plain, client, status):
    with pytest.raises(TransientError, match=f"status {status}"):
        client.get(f"{plain}/status/{status}")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
def test_certificates_are_verified(tmp_path, client):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 "
        f"-keyout {key} -out {certificate}".split(),
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *args: None
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    thread = serve(server)
    try:
        with pytest.raises(ServiceError, match="certificate"):
            client.get(f"https://127.0.0.1:{server.server_port}/long")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_connections_are_reused():
    with LoopbackServer() as server:
        client = HttpClient(max_workers=1)
        parameters = {"ra": 10, "dec": 5, "layer": "ls-dr9", "size": 8}
        for _ in range(5):
            client.get(f"{server.viewer}/jpeg-cutout", parameters)
        client.close()
        assert len(server.connections) == 1


def test_retry_after_is_a_number_or_a_date():
    assert _parse_retry_after("7") == 7
    assert _parse_retry_after("-3") == 0
    assert _parse_retry_after(None) == 0
    assert _parse_retry_after("soon") == 0
    assert 25 < _parse_retry_after(formatdate(time.time() + 30, usegmt=True)) <= 30


def test_the_rate_is_kept_by_many_threads():
    limiter, stop, times = RateLimiter(100), threading.Event(), []

    def ask():
        for _ in range(10):
            limiter.wait(stop)
            times.append(time.monotonic())

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Sixty turns at a hundred a second.
    assert max(times) - min(times) >= 0.58


def test_waiting_ends_when_the_run_is_stopped():
    limiter, stop = RateLimiter(0.001), threading.Event()
    limiter.wait(stop)
    threading.Timer(0.1, stop.set).start()
    start = time.monotonic()
    with pytest.raises(StoppedError):
        limiter.wait(stop)
    assert time.monotonic() - start < 2


def test_tries_come_to_an_end_and_pauses_grow():
    calls, pauses = [], []

    class Stop:
        def wait(self, seconds):
            pauses.append(seconds)
            return False

    def fail():
        calls.append(1)
        raise TransientError("no", retry_after=9 if len(calls) == 3 else 0)

    policy = RetryPolicy(attempts=5, pause=1, max_pause=4)
    with pytest.raises(TransientError):
        call_with_retries(fail, policy=policy, stop=Stop())
    assert len(calls) == 5
    for pause, (low, high) in zip(pauses, [(1, 2), (2, 4), (9, 9), (4, 8)], strict=True):
        assert low <= pause <= high


def test_what_is_final_is_not_tried_again():
    calls = []

    def fail():
        calls.append(1)
        raise BadAnswerError("no")

    with pytest.raises(BadAnswerError):
        call_with_retries(fail, policy=RetryPolicy(), stop=threading.Event())
    assert len(calls) == 1


def test_stalls_are_given_up(quick_retry):
    faults = Faults({"stall": 1}, stall=5)
    with LoopbackServer(faults=faults) as server:
        client = HttpClient(timeout=0.3)
        start = time.monotonic()
        with pytest.raises(TransientError):
            client.get(
                f"{server.viewer}/jpeg-cutout",
                {"ra": 10, "dec": 5, "layer": "ls-dr9", "size": 64},
            )
        assert time.monotonic() - start < 2
        client.close()
