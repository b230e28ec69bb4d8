"""The server: runs in a thread of the tests, or alone for benchmarks."""

import socket
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.cutouts.loopback import services
from tests.cutouts.loopback.faults import Faults

_HTML = b"<!DOCTYPE html><html><body>Scheduled maintenance</body></html>"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        self.do(dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True)))

    def do(self, params):
        owner = self.server.owner
        path = urlsplit(self.path).path
        owner.note(path, params, self.client_address)
        if owner.latency:
            time.sleep(owner.latency)
        fault = None if params.pop("moved", None) else owner.faults.draw()
        if fault in ("429", "500", "503"):
            headers = {"Retry-After": f"{owner.faults.retry_after:g}"} if fault == "429" else {}
            return self.reply(int(fault), b"try later", "text/plain", headers)
        if fault == "reset":
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.close_connection = True
            return self.connection.close()
        if fault == "redirect":
            location = f"{path}?{urlencode(params | {'moved': 1})}"
            return self.reply(302, b"", "text/plain", {"Location": location})
        if fault == "html":
            return self.reply(200, _HTML, "text/html")
        status, body, content_type = services.respond(path, params, fault, owner.url)
        if fault == "stall" and status == 200:
            return self.stall(body, content_type, owner.faults.stall)
        if fault == "truncated":
            return self.reply(status, body[: len(body) // 2], content_type, length=len(body))
        if fault == "truncated silently":
            body = body[: len(body) // 2]
        return self.reply(status, body, content_type)

    def reply(self, status, body, content_type, headers=None, length=None):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if length is not None:
            self.close_connection = True
        self.end_headers()
        self.wfile.write(body)

    def stall(self, body, content_type, seconds):
        """Send the first bytes, then nothing for a while."""
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:100])
        self.wfile.flush()
        self.server.owner.stopping.wait(seconds)
        self.close_connection = True


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass  # clients may close the connection


class LoopbackServer:
    """Imitate all services on one port of 127.0.0.1; a context manager.

    Parameters
    ----------
    faults : Faults, optional
        Faults of the responses.
    latency : float, optional
        Seconds before each response.
    port : int, optional
        Port, by default a free one.

    Attributes
    ----------
    url : str
        Base URL.
    requests : list of tuple
        Time, path and parameters of each request, in order of arrival.
    connections : set
        Addresses of the clients' connections.
    """

    def __init__(self, *, faults=None, latency=0.0, port=0):
        self.faults = faults or Faults()
        self.latency = latency
        self.requests = []
        self.connections = set()
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.owner = self
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exception):
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def viewer(self):
        return f"{self.url}/viewer"

    def note(self, path, params, client):
        with self._lock:
            self.connections.add(client)
            self.requests.append((time.monotonic(), path, dict(params)))
