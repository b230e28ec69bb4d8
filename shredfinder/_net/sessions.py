"""Sessions through which pyvo and astroquery use the HTTP client."""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING, Any

import requests
import urllib3

from shredfinder._net.client import find_text
from shredfinder._utils.files import has_external_stream
from shredfinder.exceptions import (
    BadResponseError,
    NoCoverageError,
    ServiceError,
    TransientServiceError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shredfinder._net.client import HttpClient

__all__ = ["ClientSession", "check_votable", "pyvo_errors"]

# Arguments of requests that are passed on; the client decides on the rest, such as timeouts.
_CONTENT = ("params", "data", "json", "files", "headers")
_MAX_BYTES = 2 * 2**30


class ClientSession(requests.Session):
    """A `requests.Session` whose requests an `HttpClient` sends.

    Rate limit, deadline, bound of the body and retries are the client's. Requests raise
    `ServiceError`; pyvo wraps it in its own errors, which `pyvo_errors` unwraps.

    Parameters
    ----------
    client : HttpClient
        Sends the requests.
    check : callable, optional
        Called with each body; raises `ServiceError` if it is not valid.
    doubt : bool, optional
        Whether failures that look final are retried too; see `HttpClient.request`.
    max_bytes : int, optional
        Largest body that is read.
    """

    def __init__(
        self,
        client: HttpClient,
        check: Callable[[bytes], object] | None = None,
        *,
        doubt: bool = False,
        max_bytes: int = _MAX_BYTES,
    ) -> None:
        super().__init__()
        self._client = client
        self._check = check
        self._doubt = doubt
        self._max_bytes = max_bytes
        # The service's own host, of the first request; others are named by its responses.
        self._host = ""

    def request(self, method: Any, url: Any, **kwargs: Any) -> requests.Response:  # type: ignore[override]
        """Send a request; see `HttpClient.request`."""
        host = url.split("/")[2] if url.count("/") > 1 else url
        self._host = self._host or host
        content = {key: kwargs[key] for key in _CONTENT if kwargs.get(key) is not None}
        try:
            return self._client.request(
                method,
                url,
                read=self._read,
                max_bytes=self._max_bytes,
                doubt=self._doubt,
                named=host == self._host,
                **content,
            )
        except NoCoverageError as error:
            # Those statuses mean "no image" only where images are fetched by position.
            raise BadResponseError(str(error), status=error.status) from error

    def _read(self, response: requests.Response) -> requests.Response:
        if self._check is not None:
            self._check(response.content)
        if has_external_stream(io.BytesIO(response.content)):
            raise BadResponseError(
                f"{response.url} sent a VOTable that refers to data elsewhere (STREAM with href), "
                "which is not read"
            )
        # pyvo reads from urllib3's response.
        response.raw = urllib3.HTTPResponse(io.BytesIO(response.content), preload_content=False)
        return response


def check_votable(content: bytes) -> None:
    """Raise `ServiceError` if a body is not a complete VOTable."""
    if b"VOTABLE" not in content:
        raise BadResponseError(f"not a VOTable but: {find_text(content) or content[:16]!r}")
    if not content.rstrip().endswith(b"VOTABLE>"):
        raise TransientServiceError("the VOTable is truncated")


@contextlib.contextmanager
def pyvo_errors() -> Iterator[None]:
    """Raise `ServiceError` in place of pyvo's own errors."""
    from pyvo.dal.exceptions import DALAccessError

    try:
        yield
    except DALAccessError as error:
        # pyvo wraps what its session raises.
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, ServiceError):
                # The client's own error has the status and the better message.
                raise cause from error
            cause = cause.__cause__ or cause.__context__
        raise BadResponseError(f"the service reports: {find_text(str(error).encode())}") from error
