"""The HTTP client: time limits, certificates, redirects, retries."""

import shutil
import ssl
import subprocess
import threading
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from shredfinder._net.client import HttpClient, _check_redirect
from shredfinder._net.retries import RateLimiter, RetryPolicy, make_retrying
from shredfinder._net.sessions import ClientSession
from shredfinder.exceptions import (
    BadResponseError,
    NoCoverageError,
    StoppedError,
    TransientServiceError,
    UnusableServiceError,
)
from tests.cutouts.loopback import Faults, LoopbackServer


class Handler(BaseHTTPRequestHandler):
    """Responds as the path says."""

    def log_message(self, *args):
        pass

    def do_GET(self):
        if self.path == "/loop":
            self.send_response(302)
            self.send_header("Location", "/loop")
            self.end_headers()
            return
        if self.path.startswith("/status/"):
            self.send_response(int(self.path.split("/")[2]))
            if self.path.endswith("/later"):
                self.send_header("Retry-After", formatdate(time.time() + 30, usegmt=True))
            self.end_headers()
            return
        if self.path == "/huge":
            self.send_response(200)
            self.send_header("Content-Length", "5000000000")
            self.end_headers()
            return
        if self.path == "/endless":
            self.send_response(302)
            self.send_header("Location", "/long")
            self.end_headers()
            for _ in range(20):
                try:
                    self.wfile.write(b"x" * 100_000)
                except OSError:
                    return
            return
        self.send_response(200)
        self.end_headers()
        # Without Content-Length, one byte at a time: no single read exceeds its timeout.
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


ONCE = RetryPolicy(attempts=1)


def get(client, url, params=None, **options):
    """Send a request and return the body."""
    return client.get(url, params, read=lambda response: response.content, **options)


@pytest.fixture
def client():
    client = HttpClient(timeout=5, retry=ONCE)
    yield client
    client.close()


def test_a_request_has_a_time_limit_up_to_its_last_byte(plain):
    client = HttpClient(timeout=0.5, retry=ONCE)
    start = time.monotonic()
    with pytest.raises(
        TransientServiceError, match=r"no complete response from 127.0.0.1:\d+ within 0\.5 s"
    ):
        get(client, f"{plain}/drip")
    assert time.monotonic() - start < 2
    client.close()


def test_bodies_have_a_limit(plain, client):
    with pytest.raises(BadResponseError, match="more than 1000 bytes"):
        get(client, f"{plain}/long", max_bytes=1000)
    with pytest.raises(BadResponseError, match="announces 5000000000 bytes"):
        get(client, f"{plain}/huge")
    # The body of a redirect is not read beyond its limit either.
    assert len(get(client, f"{plain}/endless")) == 100_000


def test_redirects_are_limited_and_stay_on_https(plain, client):
    with pytest.raises(BadResponseError, match="more than 5 redirects"):
        get(client, f"{plain}/loop")
    _check_redirect("https://a/b", "https://a/c")
    with pytest.raises(BadResponseError, match="unprotected"):
        _check_redirect("https://a/b", "http://a/c")


@pytest.mark.parametrize("status", [401, 403, 410, 206])
def test_other_statuses_are_not_retried(plain, client, status):
    with pytest.raises(BadResponseError, match=f"status {status}"):
        get(client, f"{plain}/status/{status}")


@pytest.mark.parametrize("status", [400, 404, 204])
def test_no_coverage_statuses(plain, client, status):
    with pytest.raises(NoCoverageError, match=f"status {status}") as caught:
        get(client, f"{plain}/status/{status}")
    assert (caught.value.flag, caught.value.status) == ("no coverage", status)
    # Sessions for pyvo and astroquery fetch no images by position.
    with pytest.raises(BadResponseError, match=f"status {status}"):
        ClientSession(client).get(f"{plain}/status/{status}")


@pytest.mark.parametrize("status", [500, 502, 504, 429, 408])
def test_transient_statuses(plain, client, status):
    with pytest.raises(TransientServiceError, match=f"status {status}"):
        get(client, f"{plain}/status/{status}")


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
        with pytest.raises(UnusableServiceError, match="certificate"):
            get(client, f"https://127.0.0.1:{server.server_port}/long")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_connections_are_reused():
    with LoopbackServer() as server:
        client = HttpClient(max_workers=1)
        parameters = {"ra": 10, "dec": 5, "layer": "ls-dr9", "size": 8}
        for _ in range(5):
            get(client, f"{server.viewer}/jpeg-cutout", parameters)
        client.close()
        assert len(server.connections) == 1


def test_retry_after_may_be_a_date(plain, client):
    with pytest.raises(TransientServiceError) as caught:
        get(client, f"{plain}/status/503/later")
    assert 25 < caught.value.retry_after <= 30


def test_sessions_return_responses_as_requests_does(plain, client):
    response = ClientSession(client).get(f"{plain}/long", stream=True, timeout=1)
    assert (response.status_code, len(response.content)) == (200, 100_000)
    response.raise_for_status()
    assert len(response.raw.read(decode_content=True)) == 100_000


def test_the_rate_is_kept_by_many_threads():
    limiter, stop, times = RateLimiter(100), threading.Event(), []

    def send():
        for _ in range(10):
            limiter.wait(stop)
            times.append(time.monotonic())

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Sixty turns at 100 per second.
    assert max(times) - min(times) >= 0.58


def test_waiting_ends_when_the_run_is_stopped():
    limiter, stop = RateLimiter(0.001), threading.Event()
    limiter.wait(stop)
    threading.Timer(0.1, stop.set).start()
    start = time.monotonic()
    with pytest.raises(StoppedError):
        limiter.wait(stop)
    assert time.monotonic() - start < 2


def test_retries_come_to_an_end_and_pauses_grow():
    calls, pauses = [], []

    def fail():
        calls.append(1)
        raise TransientServiceError("no", retry_after=9 if len(calls) == 3 else 0)

    policy = RetryPolicy(attempts=5, pause=1, max_pause=4)
    with pytest.raises(TransientServiceError):
        make_retrying(policy, pauses.append)(fail)
    assert len(calls) == 5
    for pause, (low, high) in zip(pauses, [(1, 2), (2, 4), (9, 9), (4, 8)], strict=True):
        assert low <= pause <= high


def test_final_errors_are_not_retried():
    calls = []

    def fail():
        calls.append(1)
        raise BadResponseError("no")

    with pytest.raises(BadResponseError):
        make_retrying(RetryPolicy(), time.sleep)(fail)
    assert len(calls) == 1


def test_validation_of_the_body_belongs_to_the_attempt(plain):
    client = HttpClient(retry=RetryPolicy(attempts=3, pause=0.001))
    bodies = []

    def read(response):
        bodies.append(response.content)
        if len(bodies) < 3:
            raise TransientServiceError("truncated")
        return len(bodies)

    assert client.get(f"{plain}/long", read=read) == 3
    client.close()


def test_stalled_responses_time_out():
    faults = Faults({"stall": 1}, stall=5)
    with LoopbackServer(faults=faults) as server:
        client = HttpClient(timeout=0.3, retry=ONCE)
        start = time.monotonic()
        with pytest.raises(TransientServiceError):
            get(
                client,
                f"{server.viewer}/jpeg-cutout",
                {"ra": 10, "dec": 5, "layer": "ls-dr9", "size": 64},
            )
        assert time.monotonic() - start < 2
        client.close()
