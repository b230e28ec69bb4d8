"""The HTTP client of cutouts, catalogues and dust maps."""

from __future__ import annotations

import io
import re
import socket
import threading
import time
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import requests
import urllib3
from requests import Response

from shredfinder._net.exchanges import END, Adapter, call_until
from shredfinder._net.retries import RateLimiter, RetryPolicy, make_retrying
from shredfinder.exceptions import (
    BadResponseError,
    NoCoverageError,
    ServiceError,
    StoppedError,
    TransientServiceError,
    UnreachableServiceError,
    UnusableServiceError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["HttpClient", "Response", "find_suffix", "find_text"]

T = TypeVar("T")

_CONNECT_TIMEOUT = 10.0
_MAX_REDIRECTS = 5
_MAX_BYTES = 256 * 2**20
# Part of the body of an error response that is read, for the message.
_MAX_ERROR_BYTES = 64 * 1024
_CHUNK = 256 * 1024
# Image services report with these statuses that they have no image at a position.
_NO_COVERAGE = (204, 400, 404)
# Those of them that an outage may answer too.
_DOUBTFUL = (400, 404)
# Request timeout, too early, too many requests; all 5xx are transient as well.
_TRANSIENT = (408, 425, 429)
# The connection could not even be opened.
_NO_CONNECTION = (urllib3.exceptions.NewConnectionError, socket.gaierror)
_SIGNATURES = {b"\xff\xd8\xff": ".jpg", b"\x89PNG\r\n\x1a\n": ".png", b"SIMPLE  =": ".fits"}


class _DoubtfulError(TransientServiceError):
    """A failure that looks final, to be retried; its cause is the failure itself."""


class HttpClient:
    """Client that sends the requests of many threads through one session.

    All requests share one rate limit. Each has one deadline from connecting to the last byte, and
    a bound on the size of its body. Transient failures are retried here and nowhere else: the
    ``read`` function that validates a response belongs to the attempt.

    Parameters
    ----------
    max_workers : int, optional
        Connections that are kept open.
    rate : float, optional
        Requests per second, of all threads together; None for no limit.
    timeout : float, optional
        Seconds that one request may take, from connecting to the last byte.
    retry : RetryPolicy, optional
        How often transient failures are retried.
    stop : `threading.Event`, optional
        Ends all waiting when it is set.

    Attributes
    ----------
    retry : RetryPolicy
        The policy.
    end : float
        Time of `time.monotonic` at which the whole run ends.
    first_url : str
        Address of the first request; empty before it.
    """

    def __init__(
        self,
        *,
        max_workers: int = 4,
        rate: float | None = None,
        timeout: float = 60.0,
        retry: RetryPolicy | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        self.timeout = timeout
        self.stop = stop or threading.Event()
        self.end = END.get()
        self.first_url = ""
        # Hosts that have responded: if they fail later, all retries are made.
        self._reached: set[str] = set()
        self._limiter = RateLimiter(rate)
        self.retry = retry or RetryPolicy()
        self._retrying = make_retrying(self.retry, self.pause)
        self._session = requests.Session()
        self._session.headers["User-Agent"] = f"shredfinder/{version('shredfinder')}"
        # No retries below this class: they would not pass the rate limiter.
        adapter = Adapter(pool_connections=4, pool_maxsize=max_workers, max_retries=0)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

    def pause(self, seconds: float) -> None:
        """Wait some seconds, but no longer than until the run ends or is stopped."""
        self.stop.wait(max(0.0, min(seconds, self.end - time.monotonic())))

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def get(
        self,
        url: str,
        params: dict[str, Any] | None = None,
        *,
        read: Callable[[Response], T],
        max_bytes: int = _MAX_BYTES,
        examine: Callable[[ServiceError], None] | None = None,
        retry: bool = True,
        named: bool = True,
    ) -> T:
        """Send a GET request for an image or a list of images; see `request`.

        Failures that look final are retried too, ``retry.doubts`` times: an outage may answer with
        a web page, another image, or a status 400 or 404.
        """
        # Images do not compress further.
        headers = {"Accept-Encoding": "identity"}
        return self.request(
            "GET",
            url,
            read=read,
            max_bytes=max_bytes,
            examine=examine,
            retry=retry,
            doubt=True,
            named=named,
            params=params,
            headers=headers,
        )

    def request(
        self,
        method: str,
        url: str,
        *,
        read: Callable[[Response], T],
        max_bytes: int = _MAX_BYTES,
        examine: Callable[[ServiceError], None] | None = None,
        retry: bool = True,
        doubt: bool = False,
        named: bool = True,
        **content: Any,
    ) -> T:
        """Send a request, and retry it after transient failures.

        Parameters
        ----------
        method, url : str
            HTTP method and address.
        read : callable
            Validates a response with status 200, whose body is complete, and returns what it
            holds. A `TransientServiceError` that it raises is retried too.
        max_bytes : int, optional
            Largest body that is read.
        examine : callable, optional
            Called with the error of each attempt; may raise another error that explains it.
        retry : bool, optional
            Whether to make further attempts.
        doubt : bool, optional
            Whether failures that look final are believed only after ``retry.doubts`` retries:
            a `BadResponseError`, and the statuses 400 and 404.
        named : bool, optional
            Whether the user or a setting named the address. If it comes from a response, as those
            of redirects do, an invalid address or host is this request's trouble and not the
            service's: the error is then not one that ends a run.
        **content
            ``params``, ``data``, ``json``, ``files`` and ``headers``, as in `requests.Request`.

        Returns
        -------
        result : object
            The result of ``read``.

        Raises
        ------
        TransientServiceError
            If the last attempt still failed.
        UnreachableServiceError
            If there is no connection, and no earlier request to that host succeeded.
        NoCoverageError
            For the statuses 204, 400 and 404, unless another host sent them.
        BadResponseError
            For any other response that a retry would not improve.
        UnusableServiceError
            If the address or its certificate is invalid.
        StoppedError
            If the run was stopped, or its time is over.
        """
        n_doubts = 0

        def attempt() -> T:
            nonlocal n_doubts
            try:
                request = requests.Request(method, url, **content)
                return read(self._send(request, max_bytes, named))
            except ServiceError as error:
                if examine is not None:
                    examine(error)
                if doubt and n_doubts < self.retry.doubts and _looks_final(error):
                    n_doubts += 1
                    raise _DoubtfulError(str(error), error.flag, status=error.status) from error
                raise

        try:
            return self._retrying(attempt) if retry else attempt()
        except _DoubtfulError as error:
            # There was no attempt left to confirm the failure.
            raise error.__cause__ or error from None

    def _send(self, request: requests.Request, max_bytes: int, named: bool) -> Response:
        """Send a request, follow redirects, and return the response with its body loaded."""
        deadline = time.monotonic() + self.timeout
        url = str(request.url)
        host = ""
        try:
            prepared = self._session.prepare_request(request)
            # An unknown scheme shows here, before anything is sent.
            self._session.get_adapter(prepared.url or url)
            host = origin = urlsplit(prepared.url or url).netloc
            self.first_url = self.first_url or prepared.url or url
            for _ in range(_MAX_REDIRECTS + 1):
                # The wait for a turn is not the server's fault.
                deadline += self._limiter.wait(self.stop, self.end)
                end = min(deadline, self.end)
                left = end - time.monotonic()
                if left <= 0:
                    raise requests.Timeout
                # The body is read in a hook, so that limits also hold for the bodies of redirects.
                prepared.hooks["response"] = [partial(self._load, max_bytes=max_bytes)]
                send = partial(
                    self._session.send,
                    prepared,
                    # For connecting, and for each read; the deadline bounds their sum.
                    timeout=(min(_CONNECT_TIMEOUT, left), left),
                    allow_redirects=False,
                    **self._session.merge_environment_settings(
                        prepared.url or url, {}, True, None, None
                    ),
                )
                response = call_until(send, end, self.stop)
                # Astroquery pickles responses, and a client cannot be pickled.
                response.request.hooks = {}
                # requests prepares the next request of a redirect, with the right method.
                if response.next is None:
                    if response.status_code != 200:
                        self._fail(response, elsewhere=host != origin)
                    return response
                _check_redirect(response.url, response.next.url)
                prepared, named = response.next, False
                url = prepared.url or ""
                host = urlsplit(url).netloc
            raise BadResponseError(
                f"more than {_MAX_REDIRECTS} redirects, the last from {response.url}"
            )
        # Invalid addresses, schemes, ports, host names and headers, by requests and urllib3.
        except ValueError as error:
            if named and not host:
                raise UnusableServiceError(
                    f"{url!r} is not a valid address: check base_url"
                ) from error
            raise BadResponseError(
                f"the service sent an invalid header, or refers to an invalid address: {error}"
            ) from error
        except requests.exceptions.SSLError as error:
            # A cut connection may also appear as an error of TLS.
            if "CERTIFICATE_VERIFY_FAILED" not in str(error):
                raise TransientServiceError(f"TLS failed with {host}: {error}") from error
            ends = named and host not in self._reached
            kind = UnusableServiceError if ends else BadResponseError
            raise kind(
                f"the certificate of {host} cannot be verified, so nothing is fetched from it: "
                f"wait until it is renewed, or give another base_url ({error})"
            ) from error
        except requests.ConnectTimeout as error:
            raise self._fail_to_connect(host, error, named) from error
        except (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError) as error:
            if time.monotonic() >= self.end:
                raise StoppedError("the time limit of the run is reached") from error
            raise TransientServiceError(
                f"no complete response from {host} within {self.timeout:g} s"
            ) from error
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            if any(isinstance(cause, _NO_CONNECTION) for cause in _list_causes(error)):
                raise self._fail_to_connect(host, error, named) from error
            raise TransientServiceError(f"the connection to {host} failed: {error}") from error

    def _fail_to_connect(self, host: str, error: Exception, named: bool) -> ServiceError:
        """Return the error of a failed connection, in words for the user."""
        ends = named and host not in self._reached
        if isinstance(error, requests.exceptions.ProxyError):
            host = f"the proxy of {host}"
        reasons = _list_causes(error)
        reason = next((cause for cause in reasons if isinstance(cause, OSError)), None)
        if isinstance(error, requests.ConnectTimeout):
            problem = f"no connection to {host} within {_CONNECT_TIMEOUT:g} s"
        elif any(isinstance(cause, socket.gaierror) for cause in reasons):
            problem = f"the host name of {host} cannot be resolved"
        elif any(isinstance(cause, ConnectionRefusedError) for cause in reasons):
            problem = f"{host} refuses connections"
        else:
            problem = f"no connection to {host} ({getattr(reason, 'strerror', None) or reason})"
        # A host that has responded before is probably only busy or restarting.
        kind = UnreachableServiceError if ends else TransientServiceError
        return kind(f"{problem} (check the address and the network connection)")

    def _load(self, response: Response, *, max_bytes: int, **_: Any) -> None:
        """Load the body of a response, within limits; requests calls it before any redirect."""
        good = response.status_code == 200
        max_bytes = max_bytes if good else _MAX_ERROR_BYTES
        # Before requests follows the response elsewhere: this host has responded.
        self._reached.add(urlsplit(response.url).netloc)
        announced = response.headers.get("Content-Length", "")
        parts, n_bytes = [], 0
        with response:
            try:
                if announced.isdecimal() and int(announced) > max_bytes:
                    raise BadResponseError(
                        f"{response.url} announces {announced} bytes, more than {max_bytes} bytes"
                    )
                # read1 returns what has arrived: a trickle cannot hide behind an unfilled chunk.
                while part := response.raw.read1(_CHUNK, decode_content=True):
                    parts.append(part)
                    n_bytes += len(part)
                    if n_bytes > max_bytes:
                        raise BadResponseError(f"more than {max_bytes} bytes from {response.url}")
            except (BadResponseError, requests.Timeout, urllib3.exceptions.HTTPError):
                # For an error or a redirect, the status is enough.
                if good:
                    raise
        # From now on ``response.content`` reads from memory.
        response.raw = io.BytesIO(b"".join(parts))

    def _fail(self, response: Response, *, elsewhere: bool) -> None:
        """Raise the error that corresponds to a status; ``elsewhere`` if another host sent it."""
        status = response.status_code
        text = find_text(response.content)
        message = f"status {status} from {response.url}" + (f": {text}" if text else "")
        if status >= 500 or status in _TRANSIENT:
            try:
                pause = urllib3.Retry().get_retry_after(response) or 0.0  # type: ignore[arg-type]
            except urllib3.exceptions.InvalidHeader:
                pause = 0.0
            # All threads wait: the server means the client, not this request.
            self._limiter.hold(pause)
            raise TransientServiceError(message, status=status, retry_after=pause)
        # A page to which a service redirects during an outage knows nothing of the sky.
        if status in _NO_COVERAGE and not elsewhere:
            raise NoCoverageError(message, status=status)
        raise BadResponseError(message, status=status)


def _list_causes(error: BaseException) -> list[BaseException]:
    """List an error and those that it wraps, the innermost first."""
    found: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        cause = waiting.pop()
        if isinstance(cause, BaseException) and cause not in found:
            found.append(cause)
            # requests wraps urllib3's errors as arguments, and urllib3 names a reason.
            waiting += [*cause.args, getattr(cause, "reason", None), cause.__cause__]
    return found[::-1]


def _looks_final(error: ServiceError) -> bool:
    """Return whether a failure is not retried by itself, but may be an outage's."""
    return isinstance(error, BadResponseError) or (
        # Only a status: a list without images is a valid response.
        isinstance(error, NoCoverageError) and error.status in _DOUBTFUL
    )


def _check_redirect(url: str, target: str | None) -> None:
    if urlsplit(url).scheme == "https" and urlsplit(target or "").scheme != "https":
        raise BadResponseError(f"{url} redirects to the unprotected address {target}")


def find_text(content: bytes) -> str:
    """Return the beginning of a text response, without markup, for messages.

    Parameters
    ----------
    content : bytes
        Body of a response.

    Returns
    -------
    text : str
        At most 400 characters; empty if the body is not text.
    """
    start = content[:4000]
    if find_suffix(content) or b"\x00" in start:
        return ""
    return " ".join(re.sub(r"<[^>]*>", " ", start.decode("utf-8", "replace")).split())[:400]


def find_suffix(content: bytes) -> str | None:
    """Return the file-name suffix of an image by its first bytes; None if it is not an image."""
    return next((s for start, s in _SIGNATURES.items() if content.startswith(start)), None)
