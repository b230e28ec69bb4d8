"""Trying again what is worth it, with growing and random pauses.

The retries are tenacity's rather than those of urllib3 below requests: a whole attempt is tried
again, with its checks of the body (urllib3 hands a body over before it knows that it is cut
short), every attempt passes the shared rate limiter, and the pauses end when the run is stopped.
"""

from dataclasses import dataclass

from shredfinder._net.errors import StoppedError, TransientError

__all__ = ["RetryPolicy", "call_with_retries"]


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how patiently a request is tried again.

    Attributes
    ----------
    attempts : int
        Tries altogether.
    pause : float
        Seconds of the first pause; each further one is twice as long, and up to as long again
        at random. A longer ``Retry-After`` of the server goes before it.
    max_pause : float
        Longest pause of our own choosing in seconds.
    total : float
        Seconds after which no further try is made.

    Examples
    --------
    >>> from astropy.coordinates import SkyCoord
    >>> from shredfinder.cutouts import RetryPolicy, fetch_cutouts
    >>> coords = SkyCoord([184.7], [47.3], unit="deg")
    >>> hasty = RetryPolicy(attempts=2, total=30.0)
    >>> fetch_cutouts(coords, retry=hasty, offline=True, progress=False).flags.tolist()
    ['missing']
    """

    attempts: int = 6
    pause: float = 0.5
    max_pause: float = 60.0
    total: float = 600.0


def call_with_retries(function, *, policy, stop):
    """Call a function until it succeeds, fails for good, or the policy is exhausted.

    Parameters
    ----------
    function : callable
        Called without arguments.
    policy : RetryPolicy
        How often and how patiently.
    stop : `threading.Event`
        Ends the pauses when it is set.

    Returns
    -------
    result : object
        What the function returned.

    Raises
    ------
    TransientError
        The last one, if no try succeeded, marked as exhausted; any other exception at once.
    """
    import tenacity

    growing = tenacity.wait_exponential(multiplier=policy.pause, max=policy.max_pause)

    def wait(state):
        pause = growing(state) + tenacity.wait_random(0, growing(state))(state)
        return max(pause, state.outcome.exception().retry_after)

    def sleep(seconds):
        if stop.wait(seconds):
            raise StoppedError("stopped between two tries")

    def is_worth_it(error):
        return isinstance(error, TransientError) and not error.exhausted

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(is_worth_it),
        stop=tenacity.stop_after_attempt(policy.attempts)
        | tenacity.stop_before_delay(policy.total),
        wait=wait,
        sleep=sleep,
        reraise=True,
    )
    try:
        return retrying(function)
    except TransientError as error:
        error.exhausted = True
        raise
