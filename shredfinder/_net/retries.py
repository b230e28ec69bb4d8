"""When requests are sent: the shared rate limit, and the one level of retries."""

from __future__ import annotations

import math
import random
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import tenacity

from shredfinder.exceptions import (
    StoppedError,
    TransientServiceError,
    UnreachableServiceError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["RateLimiter", "RetryPolicy", "make_retrying"]


# A service that cannot be reached is retried once, unless the first attempt took longer than this
# number of seconds: a mistyped address should fail within ten.
_QUICK = 3.0


@dataclass(frozen=True)
class RetryPolicy:
    """Number and pauses of the retries of a failed request.

    Attributes
    ----------
    attempts : int
        Attempts altogether.
    pause : float
        First pause in seconds. Each further pause is twice as long, plus up to 100 % at random.
        A longer ``Retry-After`` of the server takes precedence.
    max_pause : float
        Longest pause in seconds, unless the server asks for a longer one.
    total : float
        Seconds after which no further attempt is made.
    doubts : int
        Retries of failures that look final, before they are believed: a web page or an image of
        another size in place of an image, a status 400 or 404, a uniform image.

    Examples
    --------
    >>> from astropy.coordinates import SkyCoord
    >>> from shredfinder.cutouts import RetryPolicy, fetch_cutouts
    >>> coords = SkyCoord([184.7], [47.3], unit="deg")
    >>> quick = RetryPolicy(attempts=2, total=30.0)
    >>> fetch_cutouts(coords, retry=quick, offline=True, progress=False).flags.tolist()
    ['missing']
    """

    attempts: int = 6
    pause: float = 0.5
    max_pause: float = 60.0
    total: float = 600.0
    doubts: int = 2

    def draw_pause(self, n_attempts: int) -> float:
        """Draw the pause that follows an attempt.

        Parameters
        ----------
        n_attempts : int
            Number of attempts so far.

        Returns
        -------
        pause : float
            Pause in seconds.
        """
        # The exponent is bounded, as a float is.
        pause = min(self.pause * 2.0 ** min(n_attempts - 1, 100), self.max_pause)
        # Random, so that the threads do not all come back at once.
        return pause * random.uniform(1, 2)  # noqa: S311


def make_retrying(policy: RetryPolicy, pause: Callable[[float], None]) -> tenacity.Retrying:
    """Create the object that retries what raises `TransientServiceError`.

    What raises `UnreachableServiceError` is retried once.

    Tenacity retries rather than urllib3, because an attempt includes the validation of the body
    (urllib3 returns a body before it knows that it is truncated), and because every attempt must
    pass the shared rate limiter.

    Parameters
    ----------
    policy : RetryPolicy
        Number of attempts and length of pauses.
    pause : callable
        Waits for a number of seconds, or until the run ends.

    Returns
    -------
    retrying : `tenacity.Retrying`
        Called with a function, it returns that function's result or raises its last exception.
        Threads may share it.
    """

    def wait(state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        # At least the server's own Retry-After.
        return max(policy.draw_pause(state.attempt_number), getattr(error, "retry_after", 0.0))

    return tenacity.Retrying(
        retry=tenacity.retry_if_exception_type((TransientServiceError, UnreachableServiceError)),
        stop=tenacity.stop_any(
            tenacity.stop_after_attempt(policy.attempts),
            tenacity.stop_before_delay(policy.total),
            _StopIfUnreachable(),
        ),
        wait=wait,
        sleep=pause,
        reraise=True,
    )


class _StopIfUnreachable(tenacity.stop.stop_base):
    """Stop after the one retry of a service that cannot be reached."""

    def __call__(self, retry_state: tenacity.RetryCallState) -> bool:
        error = retry_state.outcome.exception() if retry_state.outcome else None
        if not isinstance(error, UnreachableServiceError):
            return False
        return retry_state.attempt_number > 1 or (retry_state.seconds_since_start or 0.0) > _QUICK


@dataclass
class RateLimiter:
    """Spaces the requests of all threads evenly in time.

    Parameters
    ----------
    rate : float or None
        Requests per second; None or infinity for no limit.
    """

    rate: float | None
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _next: float = field(default=0.0, init=False)
    _held_until: float = field(default=0.0, init=False)

    def wait(self, stop: threading.Event, end: float = math.inf) -> float:
        """Wait for this thread's turn.

        Parameters
        ----------
        stop : `threading.Event`
            Ends the wait when it is set.
        end : float, optional
            Time of `time.monotonic` at which the wait ends.

        Returns
        -------
        seconds : float
            How long the wait took.

        Raises
        ------
        StoppedError
            If ``stop`` is set, or the turn would come after ``end``.
        """
        start = time.monotonic()
        while True:
            # Reserve the next free slot, and sleep until then without the lock.
            with self._lock:
                now = time.monotonic()
                slot = max(now, self._next, self._held_until)
                self._next = slot + (1 / self.rate if self.rate else 0.0)
            if stop.wait(max(min(slot, end) - now, 0.0)):
                raise StoppedError("the run was stopped before the request was sent")
            if slot > end:
                raise StoppedError("the time limit of the run is reached")
            # Another thread's response may have asked for a pause in the meantime.
            if self._held_until <= slot:
                return time.monotonic() - start

    def hold(self, seconds: float) -> None:
        """Make every thread wait, because the server asks for a pause of so many seconds."""
        with self._lock:
            self._held_until = max(self._held_until, time.monotonic() + seconds)
