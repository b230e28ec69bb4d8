"""Ctrl-C and SIGTERM: every command ends within two seconds, whatever it is doing."""

from __future__ import annotations

import atexit
import contextlib
import os
import select
import signal
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

__all__ = ["interruptible", "is_interrupted"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# Seconds in which a command may clean up by itself.
_GRACE = 1.2
# Exit status of an interrupted process, by the shell's convention 128 + the number of the signal.
_OFFSET = 128
# The signals that this process has received.
_received: list[int] = []


def is_interrupted() -> bool:
    """Return whether a signal has interrupted the program's command."""
    return bool(_received)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Run the program's command, and end the process if a signal interrupts it.

    The signal raises KeyboardInterrupt in the main thread. That may be late, since Python handles
    signals between two of its own instructions: not while a library trains a network, compiles or
    waits for other threads. Therefore a thread ends the process if the command has not ended after
    a while. Files are written atomically, so that they are whole or absent then too. A second
    signal ends the process at once.

    The process ends with status 130 after Ctrl-C and 143 after SIGTERM.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        _received.append(number)
        # Libraries' callbacks of the garbage collector print and drop whatever is raised in them.
        sys.unraisablehook = lambda unraisable: None
        raise KeyboardInterrupt

    reader, writer = os.pipe()
    # Windows has neither SIGTERM nor pipes that can be waited for.
    if os.name == "posix":
        os.set_blocking(writer, False)
        # Written by the system's own handler, at once, whatever the main thread does.
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        threading.Thread(target=_watch, args=[reader], daemon=True).start()
    # Shells start background processes with Ctrl-C ignored.
    handled = [number for number in _SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
    for number in handled:
        signal.signal(number, interrupt)
    try:
        yield
    except KeyboardInterrupt:
        print("shredfinder: interrupted; nothing was written", file=sys.stderr)
    finally:
        if _received:
            # What a normal end would do, but without waiting for threads.
            atexit._run_exitfuncs()
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(OSError, ValueError, AttributeError):
                    stream.flush()
            _end(_received[0])
        # The output is complete: nothing needs to be cleaned up any more.
        for number in handled:
            signal.signal(number, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        os.close(writer)


def _watch(reader: int) -> None:
    """Wait for a signal, and end the process if the command does not end soon after."""
    while (number := int.from_bytes(os.read(reader, 1), "big")) not in _SIGNALS:
        if number == 0:  # the command has ended
            os.close(reader)
            return
    # Or until a second signal.
    select.select([reader], [], [], _GRACE)
    # Not by `print`: the main thread may hold the lock of the stream.
    with contextlib.suppress(OSError):
        os.write(2, b"shredfinder: interrupted\n")
    _end(number)


def _end(number: int) -> None:
    """End the process without any further clean-up than that of its temporary files."""
    from shredfinder._utils.leftovers import remove_temporaries

    remove_temporaries()
    os._exit(_OFFSET + number)
