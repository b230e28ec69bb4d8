"""Responses for pyvo are checked before it parses them."""

import http.server
import threading

import pytest

from shredfinder._net.client import HttpClient
from shredfinder._net.sessions import ClientSession
from shredfinder.exceptions import BadResponseError

TABLE = (
    '<VOTABLE version="1.3"><RESOURCE type="results"><TABLE><FIELD name="n" datatype="int"/>'
    "<DATA><BINARY>{stream}</BINARY></DATA></TABLE></RESOURCE></VOTABLE>"
)


@pytest.fixture
def serve():
    """Serve one body at an address on loopback."""
    servers = []

    def start(body):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Type", "application/x-votable+xml")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/tap"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_votables_that_refer_to_data_elsewhere_are_refused(serve):
    client = HttpClient(rate=None)
    session = ClientSession(client)
    inline = TABLE.format(stream='<STREAM encoding="base64">AAAAAQ==</STREAM>').encode()
    assert session.get(serve(inline)).content == inline
    outside = TABLE.format(stream='<STREAM encoding="base64" href="file:///etc/passwd"/>')
    with pytest.raises(BadResponseError, match="refers to data elsewhere"):
        session.get(serve(outside.encode()))
    client.close()
