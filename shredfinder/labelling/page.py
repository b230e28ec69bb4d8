"""The labelling page: a local web server that shows cutouts and saves labels."""

from __future__ import annotations

import contextlib
import html
import json
import secrets
import sys
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import TYPE_CHECKING

from shredfinder.labelling.blind_session import check_paths, encode_cutout
from shredfinder.labelling.store import DEFINITIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Self

    from shredfinder._utils.validation import PathLike
    from shredfinder.labelling.blind_session import LabellingSession

__all__ = ["LabellingPage"]

# A label is one line of JSON; longer requests are refused.
_MAX_BODY = 1000
_TIMEOUT = 30
# A browser opens some connections ahead; more than these are closed.
_MAX_THREADS = 32


class LabellingPage:
    """A web page on this machine that shows the cutouts of a session and saves the labels.

    Each cutout is shown as a whole and, beside it, with its central third enlarged. The page also
    shows the definitions of the classes.

    The server listens on the loopback interface only. It serves only requests that contain the
    token in its URL, name this host, and do not come from another web page. The only files it
    serves are the cutouts of the session, by row number. The page does not contain the
    identifiers of the sources, so that labelling is blind.

    Parameters
    ----------
    session : LabellingSession
        The session.
    paths : sequence of path-like or None
        The image file of each source, for example from `~shredfinder.table.find_image_files`.
    port : int, optional
        Port to listen on; 0 selects a free port.

    Raises
    ------
    ValueError
        If ``paths`` has another length than the session's sources.
    OSError
        If the port is in use.

    Examples
    --------
    >>> from shredfinder.labelling import LabellingPage, LabellingSession, LabelStore
    >>> store = LabelStore(getfixture("tmp_path") / "labels.ecsv")
    >>> session = LabellingSession([11, 12], store, "ann")
    >>> with LabellingPage(session, ["11.png", "12.png"]) as page:
    ...     page.url.startswith("http://127.0.0.1:")
    True
    """

    def __init__(
        self,
        session: LabellingSession,
        paths: Sequence[PathLike | None],
        *,
        port: int = 0,
    ) -> None:
        check_paths(session, paths)
        self._session, self._paths = session, paths
        self._token = secrets.token_urlsafe(16)
        # Each request runs in a thread; the session is not thread-safe.
        self._lock = threading.Lock()
        try:
            self._server = _Server(("127.0.0.1", port), _Handler)
        except OSError as error:
            raise OSError(
                f"cannot listen on port {port} of this machine: {error.strerror or error}; choose "
                "another port"
            ) from error
        self._server.respond = self._respond
        self._hosts = tuple(f"{name}:{self._server.server_port}" for name in _NAMES)
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """URL of the page, with its token."""
        return f"http://{self._hosts[0]}/{self._token}/"

    def serve(self) -> None:
        """Serve until interrupted, then close the server."""
        with contextlib.suppress(KeyboardInterrupt), contextlib.closing(self):
            self._server.serve_forever(poll_interval=0.2)

    def start(self) -> None:
        """Serve in a background thread until `close`."""
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        if self._thread is not None:
            # Only a running server can be shut down; otherwise the call would wait for ever.
            self._server.shutdown()
            self._thread.join()
            self._thread = None
        self._server.server_close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _respond(self, request: _Handler) -> None:
        host, origin = request.headers.get("Host"), request.headers.get("Origin")
        # Another site may direct the browser here, even by a host name that it resolves to
        # loopback (DNS rebinding): such requests name another host or origin.
        if host not in self._hosts or origin not in (None, f"http://{host}"):
            request.refuse(HTTPStatus.FORBIDDEN, "requests from other sites are refused")
            return
        # URLs are /TOKEN/, /TOKEN/state, /TOKEN/cutout/ROW and so on.
        _, _, path = request.path.partition("/")
        token, *rest = path.split("/")
        # Compared in constant time, so that timing does not reveal the token.
        if not secrets.compare_digest(token.encode(), self._token.encode()):
            request.refuse(HTTPStatus.NOT_FOUND, "wrong URL: use the URL that was printed")
            return
        handle = {
            ("GET", ""): self._send_page,
            ("GET", "state"): self._send_state,
            ("GET", "cutout"): self._send_cutout,
            ("POST", "label"): self._change,
            ("POST", "skip"): self._change,
            ("POST", "undo"): self._change,
        }.get((request.command or "", rest[0] if rest else "(none)"))
        if handle is None:
            request.refuse(HTTPStatus.NOT_FOUND, "no such page")
            return
        handle(request, rest)

    def _send_page(self, request: _Handler, rest: list[str]) -> None:
        nonce = secrets.token_urlsafe(16)
        text = files("shredfinder.labelling").joinpath("page.html").read_text(encoding="utf-8")
        definitions = "".join(
            f"<dt>{name}</dt><dd>{html.escape(meaning)}</dd>"
            for name, meaning in DEFINITIONS.items()
        )
        # Only the page's own script and style run, and it connects to this server only.
        policy = (
            f"default-src 'none'; img-src 'self'; connect-src 'self'; script-src 'nonce-{nonce}'; "
            f"style-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'; "
            "frame-ancestors 'none'"
        )
        request.send(
            text.replace("DEFINITIONS", definitions).replace("NONCE", nonce).encode(),
            "text/html; charset=utf-8",
            {"Content-Security-Policy": policy},
        )

    def _send_state(self, request: _Handler, rest: list[str]) -> None:
        with self._lock:
            request.send_json(self._state())

    def _send_cutout(self, request: _Handler, rest: list[str]) -> None:
        number = rest[1] if len(rest) == 2 else ""
        if not (number.isascii() and number.isdecimal() and int(number) < len(self._paths)):
            request.refuse(HTTPStatus.NOT_FOUND, "no such row")
            return
        png, flag = encode_cutout(self._paths[int(number)])
        if png is None:
            request.refuse(HTTPStatus.NOT_FOUND, flag)
            return
        # The page requests the next cutout in advance, and shows it from the browser's cache.
        request.send(png, "image/png", {"Cache-Control": "private, max-age=3600"})

    def _change(self, request: _Handler, rest: list[str]) -> None:
        body = request.read_json()
        if body is None:
            return
        with self._lock:
            if body.get("row") != self._session.current:
                # Labelled already, in another window or by a key pressed twice.
                request.send_json(self._state(), HTTPStatus.CONFLICT)
                return
            try:
                if rest[0] == "label":
                    self._session.label(body.get("label", ""), body.get("confidence", 0))
                elif rest[0] == "skip":
                    self._session.skip()
                else:
                    self._session.undo()
            except ValueError as error:
                request.refuse(HTTPStatus.BAD_REQUEST, str(error))
                return
            except OSError as error:
                request.refuse(HTTPStatus.INTERNAL_SERVER_ERROR, f"not saved: {error}")
                return
            request.send_json(self._state())

    def _state(self) -> dict[str, object]:
        session = self._session
        return {
            "row": session.current,
            "next": session.upcoming,
            "done": session.n_done,
            "total": session.n_total,
            "labeller": session.labeller,
            "can_undo": session.can_undo,
        }


_NAMES = ("127.0.0.1", "localhost")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # Otherwise another program could listen on the same port.
    allow_reuse_address = False
    respond: Callable[[_Handler], None]

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._free = threading.BoundedSemaphore(_MAX_THREADS)

    def process_request(self, request, client_address):
        """Start a thread for a request; close the connection if too many are open."""
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request, client_address):
        """Respond to a request, in its thread."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request, client_address):
        """Ignore connections that the browser drops; report all other errors."""
        if not isinstance(sys.exception(), (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _TIMEOUT
    server_version, sys_version = "shredfinder", ""

    def do_GET(self):
        self.server.respond(self)

    def do_POST(self):
        self.server.respond(self)

    def log_message(self, *args):
        """Do not log requests."""

    def send(
        self,
        body: bytes,
        kind: str,
        headers: dict[str, str] | None = None,
        status: HTTPStatus = HTTPStatus.OK,
    ) -> None:
        """Send a response of a given content type."""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "same-origin")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        headers = {"Cache-Control": "no-store"} | (headers or {})
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def send_json(self, values: dict[str, object], status: HTTPStatus = HTTPStatus.OK) -> None:
        """Send a JSON response."""
        self.send(json.dumps(values).encode(), "application/json", status=status)

    def refuse(self, status: HTTPStatus, reason: str) -> None:
        """Send an error response with the reason as text."""
        self.send(reason.encode(), "text/plain; charset=utf-8", status=status)

    def read_json(self) -> dict[str, Any] | None:
        """Read a small JSON object; if there is none, send an error and return None."""
        # An HTML form of another site cannot send this content type.
        if self.headers.get("Content-Type") != "application/json":
            self.refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the content type must be JSON")
            return None
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdecimal() and int(length) <= _MAX_BODY):
            self.refuse(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {_MAX_BODY} bytes are accepted"
            )
            return None
        try:
            values = json.loads(self.rfile.read(int(length)))
        except ValueError:
            values = None
        if not isinstance(values, dict):
            self.refuse(HTTPStatus.BAD_REQUEST, "the request must be a JSON object")
            return None
        return values
