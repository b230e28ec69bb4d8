"""A session for requests whose every answer has a limit in time and in size."""

import time

from shredfinder._net.bodies import ReadBody, TooLargeError, read_body

__all__ = ["make_session"]

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
            if not isinstance(response.raw, ReadBody):
                try:
                    with response:
                        content = read_body(response, deadline=end, max_bytes=max_bytes)
                except ReadTimeoutError as error:
                    raise requests.Timeout(
                        f"the answer from {response.url} took longer than {timeout:g} s"
                    ) from error
                except TooLargeError as error:
                    raise requests.ConnectionError(str(error)) from error
                except (HTTPError, OSError) as error:
                    if isinstance(error, requests.RequestException):
                        raise
                    raise requests.ConnectionError(
                        f"the answer from {response.url} was cut off: {error}"
                    ) from error
                response._content = content
                response._content_consumed = True
                response.raw = ReadBody(content)
            return response

    session = BoundedSession()
    session.headers["User-Agent"] = f"shredfinder/{__version__}"
    return session
