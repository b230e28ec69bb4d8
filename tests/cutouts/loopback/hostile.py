"""A server whose responses a test writes itself, byte by byte if need be."""

import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        self.close_connection = True
        self.server.n_requests += 1
        with contextlib.suppress(OSError):  # the client may hang up at any time
            self.server.respond(self)

    def do_POST(self):
        self.do_GET()

    def reply(self, status, body=b"", **headers):
        """Send a response; underscores in names of headers are hyphens."""
        self.send_response(status)
        for name, value in ({"Content_Length": str(len(body))} | headers).items():
            if value is not None:
                self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        pass


@contextlib.contextmanager
def serve(respond):
    """Run a server that calls a function with the handler of each request; yield it.

    Its base URL is ``server.url``, and the number of requests ``server.n_requests``.
    """
    server = _Server(("127.0.0.1", 0), _Handler)
    server.respond, server.n_requests = respond, 0
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
