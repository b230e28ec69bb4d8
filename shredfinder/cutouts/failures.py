"""What goes wrong in a run: when to give up, and what to tell about it."""

import threading
import warnings

from shredfinder._net.errors import StoppedError
from shredfinder.exceptions import ShredfinderWarning
from shredfinder.imaging.checks import CutoutFlag

__all__ = ["Failures"]

# Images that fail in a row, every try of each, before a service is taken to be down.
_MAX_FAILURES = 20
# Positions without an image, and none with one, before that is found strange.
_MANY = 10


class Failures:
    """Keeps account of a run's failures, for all of its threads.

    Parameters
    ----------
    service : str
        Name of the service, for messages.
    stop : `threading.Event`
        Is set to end the run.
    patience : float
        Seconds that the run waits when a server asks for it; if it asks for more, the run ends.
    """

    def __init__(self, service, stop, *, patience):
        self._service = service
        self._stop = stop
        self._patience = patience
        self._lock = threading.Lock()
        self._n_in_row = 0
        self._n_good = self._n_empty = 0
        self._stop_reason = self._last_failure = self._last_empty = None
        self._told = set()

    def note(self, error, *, empty, lasting):
        """Take an error into account.

        Parameters
        ----------
        error : AnswerError
            Why there is no image, after all tries.
        empty : bool
            Whether the service says that there is none.
        lasting : bool
            Whether sources are left without an image by it, for now.
        """
        if isinstance(error, StoppedError):
            return
        with self._lock:
            if empty:
                self._n_in_row = 0
                self._n_empty += lasting
                self._last_empty = str(error)
                return
            self._n_in_row += 1
            if lasting:
                self._last_failure = str(error)
            down = self._n_in_row >= _MAX_FAILURES
        pause = getattr(error, "retry_after", 0)
        if pause > self._patience:
            self.stop(f"the service {self._service!r} asks for a pause of {pause:.0f} s")
        elif down:
            self.stop(
                f"the service {self._service!r} seems to be down ({_MAX_FAILURES} images in a row "
                f"failed, every try of each; the last one: {error})"
            )

    def note_success(self):
        """Take an image that came into account."""
        with self._lock:
            self._n_in_row = 0
            self._n_good += 1

    def stop(self, reason):
        """End the run.

        Parameters
        ----------
        reason : str
            Why, for the warning.
        """
        with self._lock:
            first, self._stop_reason = self._stop_reason is None, self._stop_reason or reason
        if first:
            self._stop.set()

    def warn(self):
        """Tell, once for each kind, what went wrong."""
        service = f"the service {self._service!r}"
        failed = CutoutFlag.FAILED.value
        if self._stop_reason:
            self._told.add("failure")
            self._tell(
                "stop",
                f"{self._stop_reason}: rows left over are flagged {failed!r}, run again for them",
            )
        elif self._last_failure:
            self._tell(
                "failure",
                f"{service} did not deliver some images: {self._last_failure}; such rows are "
                "flagged, run again for them",
            )
        if self._n_empty >= _MANY and not self._n_good:
            self._tell(
                "empty",
                f"{service} has no image of any of {self._n_empty} positions ({self._last_empty}): "
                "are its address and layer right?",
            )

    def _tell(self, kind, message):
        if kind not in self._told:
            self._told.add(kind)
            warnings.warn(message, ShredfinderWarning)
