"""Processes that cut local images, so that all cores are busy."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Any

from shredfinder.exceptions import StoppedError, UnusableServiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shredfinder.cutouts.services.base import CutoutRequest, FetchedImage
    from shredfinder.exceptions import ServiceError

__all__ = ["ServiceProcesses"]

# The service of this process, if it is one of a pool; otherwise empty.
_services: list[Any] = []
# Seconds between two looks at whether the run was stopped.
_PAUSE = 0.1


class ServiceProcesses:
    """A pool of processes, each with its own copy of a service.

    Parameters
    ----------
    make : callable
        Creates the service, in each process. It must be picklable.
    n_workers : int
        Number of processes.
    """

    def __init__(self, make: Callable[[], Any], n_workers: int) -> None:
        # A forked process would inherit locks that other threads hold.
        context = multiprocessing.get_context("spawn")
        self._executor = ProcessPoolExecutor(
            n_workers, mp_context=context, initializer=_start, initargs=(make,)
        )

    def fetch_many(
        self, requests: Sequence[CutoutRequest], stop: threading.Event | None = None
    ) -> list[FetchedImage | ServiceError]:
        """Call the service's ``fetch_many`` in one of the processes.

        Once ``stop`` is set, it returns errors in place of the images at once.

        Raises
        ------
        UnusableServiceError
            If a process ended abruptly.
        """
        try:
            future = self._executor.submit(_fetch_many, requests)
            while not wait([future], _PAUSE).done:
                if stop is not None and stop.is_set():
                    future.cancel()
                    return [StoppedError("the run was stopped") for _ in requests]
            return future.result()
        except BrokenProcessPool as error:
            raise UnusableServiceError(
                "a process that cuts local images ended abruptly, perhaps for lack of memory or in "
                "a script without `if __name__ == '__main__':`; run again with fewer workers"
            ) from error

    def close(self) -> None:
        """End the processes, whatever they are doing."""
        # From Python 3.14 there is a method for it. Otherwise a brick in progress would delay the
        # end of an interrupted command.
        for process in list((self._executor._processes or {}).values()):
            process.terminate()
        self._executor.shutdown(wait=True, cancel_futures=True)


def _start(make: Callable[[], Any]) -> None:
    """Prepare a new process."""
    from threadpoolctl import threadpool_limits

    # Ctrl-C goes to all processes; the first one ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # There is a process per core.
    threadpool_limits(1)
    _services[:] = [make()]


def _end_with_parent() -> None:
    """End this process when the one that started it was killed, which does not end it otherwise."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _fetch_many(requests: Sequence[CutoutRequest]) -> list[FetchedImage | ServiceError]:
    return _services[0].fetch_many(requests)
