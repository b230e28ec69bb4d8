"""A labelling session: one labeller's sources in blind order, with skip and undo."""

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
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from shredfinder._utils.validation import PathLike
    from shredfinder.labelling.store import LabelStore

__all__ = ["LabellingSession", "blind_order", "check_paths", "encode_cutout"]


def blind_order(n: int, labeller: str, *, random_state: int = 0) -> np.ndarray:
    """Return a random order of sources that is reproducible, and different for each labeller.

    Parameters
    ----------
    n : int
        Number of sources.
    labeller : str
        Name of the labeller.
    random_state : int, optional
        Seed; another seed gives the same labeller another order.

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
    # Python's own hash of a string differs between runs.
    digest = hashlib.sha256(labeller.encode()).digest()
    # numpy takes seeds as 32-bit words.
    seed = np.frombuffer(digest, dtype=np.uint32).tolist()
    return np.random.default_rng([random_state, *seed]).permutation(n)


class LabellingSession:
    """One labeller's sources in order, and the labels given so far.

    Parameters
    ----------
    sources : array_like
        Unique identifiers of the sources, of shape ``(n,)``.
    store : LabelStore
        The file of labels. Sources that the labeller has already labelled are not shown again.
    labeller : str
        Name of the labeller.
    random_state : int, optional
        Seed of `blind_order`.
    order : array_like of int, optional
        Some or all rows in the order in which to show them; by default `blind_order`.

    Raises
    ------
    ValueError
        If an identifier is not unique or is masked, or the order contains invalid rows.

    Examples
    --------
    >>> from shredfinder.labelling import LabellingSession, LabelStore
    >>> store = LabelStore(getfixture("tmp_path") / "labels.ecsv")
    >>> session = LabellingSession([11, 12, 13], store, "ann", order=[2, 0, 1])
    >>> session.label("shred", 3)
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
            raise ValueError(f"the identifiers in {store.identifier!r} have masked values")
        self._sources = [
            # Strings from FITS files are bytes, which ECSV cannot store.
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
                f"order must consist of different rows from 0 to {len(self._sources) - 1}"
            )
        self.store, self.labeller = store, labeller
        labelled = store.get(labeller)
        self._order = order.tolist()
        # The row on view is the first of the queue; skipping rotates the queue.
        self._queue = deque(row for row in self._order if self._sources[row] not in labelled)
        self._skipped: list[int] = []

    @property
    def current(self) -> int | None:
        """The row to label now, or None when all are done."""
        return self._queue[0] if self._queue else None

    @property
    def upcoming(self) -> int | None:
        """The row after the current one, or None."""
        return self._queue[1] if len(self._queue) > 1 else None

    @property
    def n_sources(self) -> int:
        """Number of all sources, including those that are not in the order."""
        return len(self._sources)

    @property
    def n_total(self) -> int:
        """Number of sources to label."""
        return len(self._order)

    @property
    def n_done(self) -> int:
        """Number of labelled sources."""
        return len(self._order) - len(self._queue)

    @property
    def can_undo(self) -> bool:
        """Whether there is a skip or a label to undo."""
        return bool(self._skipped) or self.n_done > 0

    def label(self, label: str, confidence: int) -> None:
        """Label the current source, save the label, and advance to the next source.

        Parameters
        ----------
        label : str
            One of ``galaxy``, ``shred`` and ``other``.
        confidence : int
            1 (a guess), 2 (likely) or 3 (certain).

        Raises
        ------
        ValueError
            If the label or confidence is invalid, or all sources are labelled.
        """
        if self.current is None:
            raise ValueError("all sources are labelled: there is none left to label")
        self.store.add(self._sources[self.current], self.labeller, label, confidence)
        self._queue.popleft()
        self._skipped.clear()

    def skip(self) -> None:
        """Move the current source to the end."""
        if len(self._queue) > 1:  # the only source left cannot be skipped
            self._skipped.append(self._queue[0])
            self._queue.rotate(-1)

    def undo(self) -> None:
        """Undo the last skip, or remove the last label, and show that source again."""
        if self._skipped:
            self._skipped.pop()
            self._queue.rotate(1)
            return
        # The file may also hold labels of other tables' sources, which must stay.
        source = self.store.remove_last(self.labeller, {self._sources[row] for row in self._order})
        if source is not None:
            row = self._rows[source]
            # Labelled in another session since: the row may still be in this queue.
            if row in self._queue:
                self._queue.remove(row)
            self._queue.appendleft(row)


def check_paths(session: LabellingSession, paths: Sequence[PathLike | None]) -> None:
    """Raise ValueError unless there is one image path per source of a session."""
    if len(paths) != session.n_sources:
        raise ValueError(
            f"paths must have one path for each of {session.n_sources} sources: got {len(paths)}"
        )


def encode_cutout(path: PathLike | None) -> tuple[bytes | None, str]:
    """Read a cutout and encode its pixels as a PNG.

    The result contains nothing else from the file, and nothing from a file that is not an image.

    Parameters
    ----------
    path : path-like or None
        The image file.

    Returns
    -------
    png : bytes or None
        The image; None if it is unusable.
    flag : str
        Why it is unusable, such as ``"missing"``; empty if it is usable.
    """
    image, flag = read_image(path)
    if image is None:
        return None, str(flag)
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue(), ""
