"""A page on this machine that shows cutouts and takes answers."""

from __future__ import annotations

import contextlib
import json
import secrets
import sys
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import TYPE_CHECKING

from shredfinder.labelling.blind_session import encode_cutout

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike
    from typing import Self

    from shredfinder.labelling.blind_session import LabellingSession

__all__ = ["LabellingPage"]

# An answer is a line of JSON; nothing longer is read.
_MAX_BODY = 1000
_TIMEOUT = 30


class LabellingPage:
    """A page on this machine that shows the cutouts of a session and takes its answers.

    It listens on loopback only, and answers only to who knows its address, which holds a token,
    asks for this very host, and comes from no other page. Of files it gives none but the cutouts
    of the session, by row number. What names a source never reaches the page: labellers are blind
    to it.

    Parameters
    ----------
    session : LabellingSession
        Whose answers it takes.
    paths : sequence of path-like or None
        The image file of each source, such as `~shredfinder.table.find_image_files` gives.
    port : int, optional
        Port to listen on; 0 takes a free one.

    Raises
    ------
    ValueError
        If there are not as many paths as sources.
    OSError
        If the port is taken.

    Examples
    --------
    >>> from shredfinder.labelling import LabellingPage, LabellingSession, LabelStore
    >>> store = LabelStore(getfixture("tmp_path") / "answers.ecsv")
    >>> session = LabellingSession([11, 12], store, "ann")
    >>> with LabellingPage(session, ["11.png", "12.png"]) as page:
    ...     page.url.startswith("http://127.0.0.1:")
    True
    """

    def __init__(
        self,
        session: LabellingSession,
        paths: Sequence[str | PathLike[str] | None],
        *,
        port: int = 0,
    ) -> None:
        if len(paths) != session.n_sources:
            raise ValueError(
                f"there are {session.n_sources} sources but {len(paths)} cutouts: give one for each"
            )
        self._session, self._paths = session, paths
        self._token = secrets.token_urlsafe(16)
        # Requests come in threads of their own.
        self._lock = threading.Lock()
        page = self

        class Handler(_Handler):
            def respond(self):
                page._respond(self)

        try:
            self._server = _Server(("127.0.0.1", port), Handler)
        except OSError as error:
            raise OSError(
                f"the page can't listen on port {port} of this machine: "
                f"{error.strerror or error}; choose another"
            ) from error
        self._hosts = tuple(f"{name}:{self._server.server_port}" for name in _NAMES)
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """The page's address, with its token."""
        return f"http://{self._hosts[0]}/{self._token}/"

    def serve(self) -> None:
        """Serve until interrupted; the server is closed then."""
        with contextlib.suppress(KeyboardInterrupt), contextlib.closing(self):
            self._server.serve_forever(poll_interval=0.2)

    def start(self) -> None:
        """Serve in a thread, until `close`."""
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._thread = None
        self._server.server_close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _respond(self, request):
        host, origin = request.headers.get("Host"), request.headers.get("Origin")
        # A page elsewhere may send the browser here, even by a name of its own for loopback.
        if host not in self._hosts or origin not in (None, f"http://{host}"):
            request.refuse(HTTPStatus.FORBIDDEN, "asked from elsewhere")
            return
        _, _, path = request.path.partition("/")
        token, *rest = path.split("/")
        if not secrets.compare_digest(token.encode(), self._token.encode()):
            request.refuse(HTTPStatus.NOT_FOUND, "no such page: use the address that was printed")
            return
        handle = {
            ("GET", ""): self._send_page,
            ("GET", "state"): self._send_state,
            ("GET", "cutout"): self._send_cutout,
            ("POST", "answer"): self._change,
            ("POST", "skip"): self._change,
            ("POST", "undo"): self._change,
        }.get((request.command, rest[0] if rest else None))
        if handle is None:
            request.refuse(HTTPStatus.NOT_FOUND, "nothing is here")
            return
        handle(request, rest)

    def _send_page(self, request, rest):
        nonce = secrets.token_urlsafe(16)
        html = files("shredfinder.labelling").joinpath("page.html").read_text(encoding="utf-8")
        policy = (
            f"default-src 'none'; img-src 'self'; connect-src 'self'; script-src 'nonce-{nonce}'; "
            f"style-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'; "
            "frame-ancestors 'none'"
        )
        request.send(
            html.replace("NONCE", nonce).encode(),
            "text/html; charset=utf-8",
            {"Content-Security-Policy": policy},
        )

    def _send_state(self, request, rest):
        with self._lock:
            request.send_json(self._state())

    def _send_cutout(self, request, rest):
        number = rest[1] if len(rest) == 2 else ""
        if not (number.isascii() and number.isdecimal() and int(number) < len(self._paths)):
            request.refuse(HTTPStatus.NOT_FOUND, "there is no such row")
            return
        png, flag = encode_cutout(self._paths[int(number)])
        if png is None:
            request.refuse(HTTPStatus.NOT_FOUND, flag)
            return
        # The next cutout is asked for ahead, to be at hand.
        request.send(png, "image/png", {"Cache-Control": "private, max-age=3600"})

    def _change(self, request, rest):
        body = request.read_json()
        if body is None:
            return
        with self._lock:
            if body.get("row") != self._session.current:
                # Another window, or a key struck twice, has answered already.
                request.send_json(self._state(), HTTPStatus.CONFLICT)
                return
            try:
                if rest[0] == "answer":
                    self._session.answer(body.get("label"), body.get("confidence"))
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

    def _state(self):
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
    # Another program may not take the port over while it is served.
    allow_reuse_address = False

    def handle_error(self, request, client_address):
        """Pass over connections that the browser drops, but no fault of ours."""
        if not isinstance(sys.exception(), (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    timeout = _TIMEOUT
    server_version, sys_version = "shredfinder", ""

    def do_GET(self):
        self.respond()

    def do_POST(self):
        self.respond()

    def log_message(self, *args):
        """Write no line for each request."""

    def send(self, body, kind, headers=None, status=HTTPStatus.OK):
        """Send a whole answer."""
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

    def send_json(self, values, status=HTTPStatus.OK):
        """Send values as JSON."""
        self.send(json.dumps(values).encode(), "application/json", status=status)

    def refuse(self, status, reason):
        """Say what is wrong."""
        self.send(reason.encode(), "text/plain; charset=utf-8", status=status)

    def read_json(self):
        """Read a small JSON object; None if there was none, which has been said."""
        # A form of another page can't send this type.
        if self.headers.get("Content-Type") != "application/json":
            self.refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send JSON")
            return None
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdecimal() and int(length) <= _MAX_BODY):
            self.refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "send a short answer")
            return None
        try:
            values = json.loads(self.rfile.read(int(length)))
        except ValueError:
            values = None
        if not isinstance(values, dict):
            self.refuse(HTTPStatus.BAD_REQUEST, "send a JSON object")
            return None
        return values
