"""Faults of the server on demand."""

import random
import threading
from collections import Counter

# Possible faults of a response; all but the last four are transient.
FAULTS = (
    "429",
    "500",
    "503",
    "reset",
    "stall",
    "truncated",
    "truncated silently",
    "redirect",
    "html",
    "blank",
    "wrong size",
    "clipped",
)


class Faults:
    """Draw a fault, or none, for each request.

    Parameters
    ----------
    chances : dict
        Chance of each fault, from 0 to 1.
    seed : int
        Seed of the draws.
    retry_after : float
        Seconds in the Retry-After of status 429.
    stall : float
        Duration in seconds of a stalled response.
    """

    def __init__(self, chances=None, *, seed=0, retry_after=1.0, stall=2.0):
        self.chances = dict(chances or {})
        unknown = set(self.chances) - set(FAULTS)
        if unknown:
            raise ValueError(f"unknown faults {unknown}")
        self.retry_after = retry_after
        self.stall = stall
        self.counts = Counter()
        self._random = random.Random(seed)
        self._lock = threading.Lock()

    def draw(self):
        with self._lock:
            value = self._random.random()
            for fault, chance in self.chances.items():
                value -= chance
                if value < 0:
                    self.counts[fault] += 1
                    return fault
            self.counts["none"] += 1
            return None
