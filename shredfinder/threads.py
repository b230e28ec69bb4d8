"""How many threads to work with."""

import os

from shredfinder.config import conf

__all__ = ["count_threads"]


def count_threads():
    """Count the threads that may work at once.

    Returns
    -------
    n_threads : int
        ``shredfinder.conf.threads``; where that is 0, one for each processor that the process
        may use.
    """
    if conf.threads:
        return conf.threads
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        return os.cpu_count() or 1
