"""Polite HTTP: one session, a shared rate, time limits, and errors sorted by what helps."""

import email.utils
import math
import threading
import time
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from shredfinder._net.bodies import TooLargeError, find_text, read_body
from shredfinder._net.errors import (
    AnswerError,
    BadAnswerError,
    NoCoverageError,
    StoppedError,
    TransientError,
)
from shredfinder._net.retries import RetryPolicy, call_with_retries
from shredfinder.exceptions import ServiceError

__all__ = ["Body", "HttpClient", "RateLimiter"]

_CONNECT = 10.0
_MAX_REDIRECTS = 5
# Statuses by which services say that they have no image of a position.
_NO_COVERAGE = (204, 400, 404)
_REDIRECTS = (301, 302, 303, 307, 308)
_TRANSIENT = (408, 425, 429)
# Of what comes along with another status than 200, so much is read, for the message.
_MAX_ERROR_BYTES = 64 * 1024


class RateLimiter:
    """Spaces requests of many threads evenly in time.

    Parameters
    ----------
    rate : float or None
        Requests per second; None or infinity for no limit.
    """

    def __init__(self, rate):
        if rate is not None and not rate > 0:
            raise ValueError(f"rate must be a positive number of requests per second, not {rate!r}")
        self._interval = 1 / rate if rate else 0.0
        self._lock = threading.Lock()
        self._next = self._held_until = 0.0

    def wait(self, stop):
        """Wait for this thread's turn.

        Parameters
        ----------
        stop : `threading.Event`
            Ends the wait when it is set.

        Raises
        ------
        StoppedError
            If ``stop`` was set.
        """
        while True:
            with self._lock:
                now = time.monotonic()
                slot = max(now, self._next, self._held_until)
                self._next = slot + self._interval
            if stop.wait(slot - now) if slot > now else stop.is_set():
                raise StoppedError("stopped while waiting for a turn")
            # A server may have asked for a pause in the meantime.
            if self._held_until <= slot:
                return

    def hold(self, seconds):
        """Keep every thread waiting, because the server asks for it.

        Parameters
        ----------
        seconds : float
            How long from now.
        """
        with self._lock:
            self._held_until = max(self._held_until, time.monotonic() + seconds)


@dataclass
class Body:
    """What a server sent with status 200.

    Attributes
    ----------
    content : bytes
        The whole body.
    content_type : str
        Media type, in lower case and without parameters.
    url : str
        Where it came from, after redirects.
    """

    content: bytes
    content_type: str
    url: str


class HttpClient:
    """Sends requests of many threads through one session.

    Parameters
    ----------
    max_workers : int
        Connections that are kept open.
    rate : float or None
        Requests per second, all threads together; None for no limit.
    timeout : float
        Seconds that one request may take, from connecting to the last byte.
    policy : RetryPolicy, optional
        How often ``fetch`` tries again.
    stop : `threading.Event`, optional
        Ends all waiting when it is set.
    """

    def __init__(self, *, max_workers=4, rate=None, timeout=60.0, policy=None, stop=None):
        import requests
        from requests.adapters import HTTPAdapter

        from shredfinder import __version__

        self.limiter = RateLimiter(rate)
        self.timeout = timeout
        self.policy = policy or RetryPolicy()
        self.stop = stop or threading.Event()
        # When the whole run is over, by the monotonic clock.
        self.end = math.inf
        self.n_requests = 0
        self._lock = threading.Lock()
        self._session = requests.Session()
        self._session.headers["User-Agent"] = f"shredfinder/{__version__}"
        # Images don't shrink further.
        self._session.headers["Accept-Encoding"] = "identity"
        # Retries are the caller's: they must pass the rate limiter too.
        adapter = HTTPAdapter(pool_connections=4, pool_maxsize=max_workers, max_retries=0)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

    def close(self):
        """Close the connections."""
        self._session.close()

    def fetch(self, url, read, params=None):
        """Send a request, and send it again until its answer can be read or there is no hope.

        It is for services whose images take several requests: each is tried again by itself.

        Parameters
        ----------
        url : str
            Address.
        read : callable
            Takes the `Body`, checks it and gives what it holds.
        params : dict, optional
            Query parameters.

        Returns
        -------
        result : object
            What ``read`` gave.

        Raises
        ------
        AnswerError
            As `get` and ``read`` raise them.
        """
        return call_with_retries(
            lambda: read(self.get(url, params)), policy=self.policy, stop=self.stop
        )

    def get(self, url, params=None, *, max_bytes=256 * 2**20):
        """Send one GET request and read its answer.

        Parameters
        ----------
        url : str
            Address.
        params : dict, optional
            Query parameters.
        max_bytes : int, optional
            Bytes beyond which the answer is not read on.

        Returns
        -------
        body : Body
            The answer.

        Raises
        ------
        TransientError
            If another try may succeed.
        StoppedError
            If the run was stopped, or its time is over.
        NoCoverageError
            For the statuses 400 and 404, and 204 (no content).
        BadAnswerError
            For any other answer but 200.
        shredfinder.exceptions.ServiceError
            If the address or its certificate is not valid.
        """
        import requests
        import urllib3

        deadline = time.monotonic() + self.timeout
        try:
            for _ in range(_MAX_REDIRECTS + 1):
                # The wait for a turn is not the server's fault.
                before = time.monotonic()
                self.limiter.wait(self.stop)
                deadline += time.monotonic() - before
                with self._lock:
                    self.n_requests += 1
                left = min(self.timeout, self.end - time.monotonic())
                if left <= 0:
                    raise StoppedError("the run's time is over")
                with self._session.get(
                    url,
                    params=params,
                    timeout=(min(_CONNECT, left), left),
                    stream=True,
                    allow_redirects=False,
                ) as response:
                    if response.status_code in _REDIRECTS and "Location" in response.headers:
                        url, params = _follow(response.url, response.headers["Location"]), None
                        continue
                    if response.status_code != 200:
                        self._fail(response, min(deadline, self.end))
                    content = self._read(response, min(deadline, self.end), max_bytes)
                    return Body(content, _get_type(response), response.url)
            raise BadAnswerError(f"more than {_MAX_REDIRECTS} redirects, the last one to {url}")
        except (
            requests.exceptions.MissingSchema,
            requests.exceptions.InvalidSchema,
            requests.exceptions.InvalidURL,
        ) as error:
            raise ServiceError(f"{url!r} is not a valid address: check base_url") from error
        except requests.exceptions.SSLError as error:
            if "CERTIFICATE_VERIFY_FAILED" not in str(error):
                raise TransientError(f"TLS trouble with {_host(url)}: {error}") from error
            raise ServiceError(
                f"the certificate of {_host(url)} can't be verified, so nothing is fetched from "
                f"it: wait until it is renewed, or give another base_url ({error})"
            ) from error
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError) as error:
            raise TransientError(f"{_host(url)}: {error}") from error

    def _fail(self, response, deadline):
        """Raise the error that a status stands for."""
        import requests
        import urllib3

        status = response.status_code
        message = f"status {status} from {response.url}"
        try:
            # Reading it also leaves the connection fit for the next request.
            text = find_text(self._read(response, deadline, _MAX_ERROR_BYTES))
            message += f": {text}" if text else ""
        except StoppedError:
            raise
        except (
            AnswerError,
            requests.exceptions.RequestException,
            urllib3.exceptions.HTTPError,
        ):
            pass  # the status says enough
        if status >= 500 or status in _TRANSIENT:
            retry_after = _parse_retry_after(response.headers.get("Retry-After"))
            if retry_after:
                self.limiter.hold(retry_after)
            raise TransientError(message, retry_after=retry_after)
        if status in _NO_COVERAGE:
            raise NoCoverageError(message)
        raise BadAnswerError(message)

    def _read(self, response, deadline, max_bytes):
        import requests

        try:
            content = read_body(response, deadline=deadline, max_bytes=max_bytes, stop=self.stop)
        except TooLargeError as error:
            raise BadAnswerError(str(error)) from error
        except requests.Timeout as error:
            raise TransientError(f"{response.url} took more than {self.timeout:g} s") from error
        if content is None:
            raise StoppedError("stopped while reading")
        return content


def _get_type(response):
    return response.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def _follow(url, location):
    target = urljoin(url, location)
    if urlsplit(url).scheme == "https" and urlsplit(target).scheme != "https":
        raise BadAnswerError(f"{url} redirects to the unprotected address {target}")
    return target


def _host(url):
    return urlsplit(url).netloc or url


def _parse_retry_after(value):
    """Seconds to wait, from a number or a date; 0 where there is neither."""
    if not value:
        return 0.0
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return 0.0
