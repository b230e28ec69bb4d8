"""One labeller's way through the sources: blind order, answers, undo, skip."""

from __future__ import annotations

import hashlib
import io
from collections import deque
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from shredfinder.imaging.reading import read_image
from shredfinder.labelling.store import check_labeller

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from shredfinder.labelling.store import LabelStore

__all__ = ["LabellingSession", "blind_order", "encode_cutout"]


def blind_order(n: int, labeller: str, *, random_state: int = 0) -> np.ndarray:
    """Give a labeller's order: random, another for each name, the same again after a break.

    Parameters
    ----------
    n : int
        Number of sources.
    labeller : str
        The name.
    random_state : int, optional
        Another number gives another order to the same labeller.

    Returns
    -------
    rows : `~numpy.ndarray` of int
        The rows 0 to n − 1, of shape ``(n,)``.

    Examples
    --------
    >>> from shredfinder.labelling import blind_order
    >>> blind_order(5, "ann"), blind_order(5, "ben")
    (array([0, 2, 4, 3, 1]), array([0, 3, 2, 1, 4]))
    """
    # Python's own hash of a text differs from run to run.
    digest = hashlib.sha256(labeller.encode()).digest()
    seed = np.frombuffer(digest, dtype=np.uint32).tolist()
    return np.random.default_rng([random_state, *seed]).permutation(n)


class LabellingSession:
    """One labeller's way through the sources.

    Parameters
    ----------
    sources : array_like
        Identifiers of the sources, of shape ``(n,)``, each once.
    store : LabelStore
        Where the answers are kept; sources that the labeller has answered already are not
        shown again.
    labeller : str
        Who labels.
    random_state : int, optional
        As of `blind_order`.
    order : array_like of int, optional
        Rows in the order to show them, some or all, such as `blind_order` gives; by default
        `blind_order`.

    Raises
    ------
    ValueError
        If an identifier is not unique or is masked, or the order names rows that are not there.

    Examples
    --------
    >>> from shredfinder.labelling import LabellingSession, LabelStore
    >>> store = LabelStore(getfixture("tmp_path") / "answers.ecsv")
    >>> session = LabellingSession([11, 12, 13], store, "ann", order=[2, 0, 1])
    >>> session.answer("shred", 3)
    >>> session.current, session.n_done, session.n_total
    (0, 1, 3)
    >>> session.undo()
    >>> session.current
    2
    """

    def __init__(
        self,
        sources: ArrayLike,
        store: LabelStore,
        labeller: str,
        *,
        random_state: int = 0,
        order: ArrayLike | None = None,
    ) -> None:
        check_labeller(labeller)
        if np.ma.getmaskarray(np.ma.asarray(sources)).any():
            raise ValueError(f"every source needs its {store.identifier}: some are masked")
        self._sources = [
            # FITS gives texts as bytes, which the answers' file can't hold.
            source.decode() if isinstance(source, bytes) else source
            for source in np.asarray(sources).tolist()
        ]
        self._rows = {source: row for row, source in enumerate(self._sources)}
        if len(self._rows) < len(self._sources):
            raise ValueError(
                f"the identifiers in {store.identifier!r} are not unique: {len(self._sources)} "
                f"sources have {len(self._rows)}"
            )
        if order is None:
            order = blind_order(len(self._sources), labeller, random_state=random_state)
        order = np.asarray(order)
        if (
            len(np.unique(order)) < len(order)
            or not np.isin(order, np.arange(len(self._sources))).all()
        ):
            raise ValueError(
                f"the order must name rows of 0 to {len(self._sources) - 1}, each once"
            )
        self.store, self.labeller = store, labeller
        answered = store.get(labeller)
        self._order = order.tolist()
        self._queue = deque(row for row in self._order if self._sources[row] not in answered)
        self._skipped: list[int] = []

    @property
    def current(self) -> int | None:
        """The row to look at now, or None when all are done."""
        return self._queue[0] if self._queue else None

    @property
    def upcoming(self) -> int | None:
        """The row after the current one, or None."""
        return self._queue[1] if len(self._queue) > 1 else None

    @property
    def n_sources(self) -> int:
        """Number of sources, whether or not they are to be labelled."""
        return len(self._sources)

    @property
    def n_total(self) -> int:
        """Number of sources to label."""
        return len(self._order)

    @property
    def n_done(self) -> int:
        """Number of them that are labelled."""
        return len(self._order) - len(self._queue)

    @property
    def can_undo(self) -> bool:
        """Whether there is anything to take back."""
        return bool(self._skipped) or self.n_done > 0

    def answer(self, label: str, confidence: int) -> None:
        """Label the current source, save, and go on to the next.

        Parameters
        ----------
        label : str
            One of ``galaxy``, ``shred`` and ``other``.
        confidence : int
            1 (a guess), 2 (likely) or 3 (certain).

        Raises
        ------
        ValueError
            If it is no such answer, or all sources are done.
        """
        if self.current is None:
            raise ValueError("all sources are labelled: there is none to answer for")
        self.store.add(self._sources[self.current], self.labeller, label, confidence)
        self._queue.popleft()
        self._skipped.clear()

    def skip(self) -> None:
        """Put the current source off until all others are done."""
        if len(self._queue) > 1:
            self._skipped.append(self._queue[0])
            self._queue.rotate(-1)

    def undo(self) -> None:
        """Take the last answer back, or the last skip, and show the source again."""
        if self._skipped:
            self._skipped.pop()
            self._queue.rotate(1)
            return
        # The file may hold answers about other tables too: those stay.
        source = self.store.remove_last(self.labeller, {self._sources[row] for row in self._order})
        if source is not None:
            row = self._rows[source]
            if row in self._queue:
                self._queue.remove(row)
            self._queue.appendleft(row)


def encode_cutout(path):
    """Read a cutout and encode it as a PNG.

    Nothing but pixels passes: neither what else the file holds, nor a file that is no image.

    Parameters
    ----------
    path : path-like or None
        The image file.

    Returns
    -------
    png : bytes or None
        The image; None if it is unusable.
    flag : str
        Why it is, such as ``"missing"``; empty otherwise.
    """
    image, flag = read_image(path)
    if image is None:
        return None, str(flag)
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue(), ""
