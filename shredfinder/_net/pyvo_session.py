"""A session for pyvo that sends its requests as politely as all others are sent."""

from shredfinder._net.bodies import ReadBody, find_text
from shredfinder._net.errors import BadAnswerError, NoCoverageError, TransientError

__all__ = ["PyvoSession"]


class _Response:
    """What pyvo uses of the responses of requests."""

    def __init__(self, content, url):
        self.content, self.url, self.status_code = content, url, 200
        self.headers = {"content-type": "application/x-votable+xml"}
        self.raw = ReadBody(content)

    @property
    def text(self):
        return self.content.decode("utf-8", "replace")

    def raise_for_status(self):
        """Do nothing: other statuses raise when the request is sent."""


class PyvoSession:
    """Stands in for a `requests.Session` where pyvo asks for one.

    Parameters
    ----------
    client : shredfinder._net.client.HttpClient
        Sends the requests, with its rate, its time limits and its errors.
    """

    def __init__(self, client):
        self._client = client

    def get(self, url, params=None, **kwargs):
        """Send a query whose answer is a VOTable; see `HttpClient.fetch`."""
        try:
            return _Response(self.fetch(url, _read_votable, params), url)
        except NoCoverageError as error:
            # In the VO's protocols a position without data is no error.
            raise BadAnswerError(str(error)) from error

    def fetch(self, url, read, params=None):
        """Send a query whose answer is a file; see `HttpClient.fetch`."""
        return self._client.fetch(url, read, params)


def _read_votable(body):
    content = body.content
    if b"VOTABLE" not in content:
        raise BadAnswerError(f"not a VOTable but: {find_text(content) or content[:16]!r}")
    if not content.rstrip().endswith(b"VOTABLE>"):
        raise TransientError("the VOTable is cut short")
    return content
