"""A session for requests whose every answer has a limit in time and in size."""

import io
import time

__all__ = ["make_session"]

_CHUNK = 256 * 1024
_SMALL_CHUNK = 4096
_CONNECT = 15.0


def make_session(timeout, *, max_bytes=2 * 2**30):
    """Make a session that reads whole answers, within a time, and gives up on longer ones.

    requests' own time limit counts from one piece of an answer to the next: a server that sends a
    byte now and then holds a program up for ever.

    Parameters
    ----------
    timeout : float
        Seconds from sending a request to the last byte of its answer.
    max_bytes : int, optional
        The largest answer that is read.

    Returns
    -------
    session : `requests.Session`
        The session. Its requests raise `requests.Timeout` when the time is over, and
        `requests.ConnectionError` where an answer is cut off or too large.
    """
    import requests
    from urllib3.exceptions import HTTPError, ReadTimeoutError

    from shredfinder import __version__

    class BoundedSession(requests.Session):
        def send(self, request, **kwargs):
            end = time.monotonic() + timeout
            kwargs["timeout"] = (min(_CONNECT, timeout), timeout)
            kwargs["stream"] = True
            response = super().send(request, **kwargs)
            # Responses to redirects were sent, and read, by this method already.
            if not isinstance(response.raw, _Body):
                try:
                    content = _read(response, end)
                except ReadTimeoutError as error:
                    raise requests.Timeout(
                        f"the answer from {response.url} took longer than {timeout:g} s"
                    ) from error
                except (HTTPError, OSError) as error:
                    if isinstance(error, requests.RequestException):
                        raise
                    raise requests.ConnectionError(
                        f"the answer from {response.url} was cut off: {error}"
                    ) from error
                response._content = content
                response._content_consumed = True
                response.raw = _Body(content)
            return response

    def _read(response, end):
        pieces, size = [], 0
        with response:
            # read1 returns what there is: a slow trickle can't hide behind a large piece. urllib3
            # has had it since 2.1; before that, small pieces do nearly as well.
            read, amount = getattr(response.raw, "read1", None), _CHUNK
            if read is None:
                read, amount = response.raw.read, _SMALL_CHUNK
            while piece := read(amount, decode_content=True):
                pieces.append(piece)
                size += len(piece)
                if size > max_bytes:
                    raise requests.ConnectionError(
                        f"the answer from {response.url} is larger than {max_bytes} bytes"
                    )
                if time.monotonic() > end:
                    raise requests.Timeout(
                        f"the answer from {response.url} took longer than {timeout:g} s"
                    )
        return b"".join(pieces)

    session = BoundedSession()
    session.headers["User-Agent"] = f"shredfinder/{__version__}"
    return session


class _Body(io.BytesIO):
    """What was read, in the place of a response's raw stream."""

    def read(self, size=-1, decode_content=None):
        return super().read(-1 if size is None else size)
