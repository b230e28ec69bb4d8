"""Requests that end on time, whatever a server does.

The timeouts of sockets count from one byte to the next: a server that sends a header byte now and
then, or one "100 Continue" after another, holds a request for ever. So does a slow name server.
Each request is therefore sent by a thread of its own, which the calling thread abandons in time.
"""

from __future__ import annotations

import contextlib
import math
import socket
import threading
import time
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from requests.adapters import HTTPAdapter
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from shredfinder.exceptions import StoppedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from urllib3 import PoolManager, ProxyManager
    from urllib3.connection import HTTPConnection

__all__ = ["END", "Adapter", "call_until", "limited_time"]

T = TypeVar("T")

# Seconds after which a call notices that the run was stopped.
_POLL = 0.1
#: Time of `time.monotonic` at which all requests end.
END: ContextVar[float] = ContextVar("END", default=math.inf)
# The connections that the current thread uses.
_current = threading.local()


@contextlib.contextmanager
def limited_time(seconds: float) -> Iterator[None]:
    """Let all requests end some time from now, whichever services they are for.

    Parameters
    ----------
    seconds : float
        The time. A shorter limit that holds already is kept.

    Examples
    --------
    >>> import time
    >>> from shredfinder._net.exchanges import END, limited_time
    >>> with limited_time(10):
    ...     END.get() < time.monotonic() + 11
    True
    """
    token = END.set(min(END.get(), time.monotonic() + seconds))
    try:
        yield
    finally:
        END.reset(token)


def call_until(function: Callable[[], T], end: float, stop: threading.Event) -> T:
    """Call a function in another thread, and wait for it no longer than until a given time.

    Parameters
    ----------
    function : callable
        Called without arguments. If it is abandoned, the connections that it has opened with
        `Adapter` are cut, which ends it soon.
    end : float
        Time of `time.monotonic`.
    stop : `threading.Event`
        Ends the wait when it is set.

    Returns
    -------
    result : object
        The result of the function.

    Raises
    ------
    TimeoutError
        If there is no result in time.
    shredfinder.exceptions.StoppedError
        If ``stop`` is set.
    Exception
        Whatever the function raises.

    Examples
    --------
    >>> import threading
    >>> import time
    >>> from shredfinder._net.exchanges import call_until
    >>> call_until(lambda: 5, time.monotonic() + 10, threading.Event())
    5
    """
    done = threading.Event()
    connections: list[HTTPConnection] = []
    outcome: list[Any] = [None, None]

    def run() -> None:
        _current.connections = connections
        try:
            outcome[0] = function()
        except BaseException as error:
            outcome[1] = error
        done.set()

    # A daemon, which does not keep the program from ending.
    threading.Thread(target=run, name="shredfinder-request", daemon=True).start()
    try:
        while not done.wait(min(_POLL, max(end - time.monotonic(), 0.0))):
            if stop.is_set():
                raise StoppedError("the run was stopped")
            if time.monotonic() >= end:
                raise TimeoutError
    finally:
        # After Ctrl-C too.
        if not done.is_set():
            cut = partial(_cut, connections, done)
            threading.Thread(target=cut, name="shredfinder-request", daemon=True).start()
    result, error = outcome
    if error is not None:
        # Its traceback refers to the list, and would wait for the garbage collector.
        outcome.clear()
        raise error
    return result


def _cut(connections: list[HTTPConnection], done: threading.Event) -> None:
    """Cut connections until the thread that uses them has ended."""
    # More than once: the thread may only be about to connect, which has a timeout.
    while not done.wait(_POLL):
        for connection in connections:
            with contextlib.suppress(OSError, AttributeError):  # closed in the meantime
                connection.sock.shutdown(socket.SHUT_RDWR)


class _Watched:
    """Pool that notes which connections the current thread uses."""

    def _make_request(self, conn: HTTPConnection, *args: Any, **kwargs: Any) -> Any:
        if (connections := getattr(_current, "connections", None)) is not None:
            connections.append(conn)
        return super()._make_request(conn, *args, **kwargs)  # type: ignore[misc]


class _Pool(_Watched, HTTPConnectionPool):  # type: ignore[misc]
    """Pool of plain connections."""


class _SecurePool(_Watched, HTTPSConnectionPool):  # type: ignore[misc]
    """Pool of connections over TLS."""


_POOLS = {"http": _Pool, "https": _SecurePool}


class Adapter(HTTPAdapter):
    """Adapter of `requests` whose connections `call_until` can cut."""

    poolmanager: PoolManager

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Create the pools of connections."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: Any, **kwargs: Any) -> ProxyManager:
        """Create the pools of connections through a proxy."""
        manager = super().proxy_manager_for(proxy, **kwargs)
        # A SOCKS proxy needs connections of its own kind, whose threads end by their timeouts.
        if not str(proxy).lower().startswith("socks"):
            manager.pool_classes_by_scheme = _POOLS
        return manager
