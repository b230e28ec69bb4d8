"""The file of labels, which is saved atomically after each label."""

from __future__ import annotations

import contextlib
import os
import threading
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from astropy.table import Table

from shredfinder._utils.files import atomic_write, reading_errors

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from shredfinder._utils.validation import PathLike

__all__ = ["DEFINITIONS", "LABELS", "LabelStore", "read_labels"]

#: The definition of each class, as shown beside the cutouts. The embedded model's training set
#: uses the same ones.
DEFINITIONS = {
    "galaxy": (
        "The centre is on the nucleus or middle of a distinct galaxy, within about 15 % of its "
        "visible diameter. Small or faint companions and background galaxies count."
    ),
    "shred": (
        "The centre is on a piece of a larger galaxy: a star-forming knot, an arm, the end of a "
        "disc or bar, halo light, a tidal tail, or a dot on the disc that is not clearly a "
        "separate source."
    ),
    "other": "The centre is on a lone star, blank sky, an artefact or a corrupted image.",
}
#: The classes of labelled sources.
LABELS = tuple(DEFINITIONS)
CONFIDENCES = (1, 2, 3)
_COLUMNS = ("labeller", "label", "confidence", "time")
_DESCRIPTIONS = {
    "labeller": "name of the labeller",
    "label": "class: galaxy, shred or other",
    "confidence": "1 guess, 2 likely, 3 certain",
    "time": "time of the label, UTC",
}


@dataclass(frozen=True)
class _Label:
    source: int | str
    labeller: str
    label: str
    confidence: int
    time: str


class LabelStore:
    """Labels by one or several labellers in an ECSV file.

    Each label is saved at once and atomically: a crash loses nothing. Several processes may write
    to the same file; labels that another process has added are read before each change. (On
    Windows, which lacks the necessary lock, only one process may write at a time.)

    Parameters
    ----------
    path : path-like
        The file, with the extension ``.ecsv``; it is created with the first label.
    identifier : str, optional
        Name of the column of source identifiers.

    Raises
    ------
    ValueError
        If the file exists and is not a file of labels, or has another extension.
    FileNotFoundError
        If its folder does not exist.

    Examples
    --------
    >>> from shredfinder.labelling import LabelStore
    >>> store = LabelStore(getfixture("tmp_path") / "labels.ecsv")
    >>> store.add(1237661381694587552, "ann", "galaxy", 2)
    >>> store.add(1237661381694587552, "ben", "shred", 1)
    >>> store.labels["labeller", "label"].pprint()
    labeller label
    -------- ------
         ann galaxy
         ben  shred
    """

    def __init__(self, path: PathLike, identifier: str = "objID") -> None:
        self.path, self.identifier = Path(path), identifier
        if self.path.suffix != ".ecsv":
            raise ValueError(f"labels are saved as ECSV: name an .ecsv file, not {str(path)!r}")
        if identifier in _COLUMNS:
            raise ValueError(
                f"the identifier column cannot be called {identifier!r}, which is a column of the "
                "file of labels: rename it"
            )
        if not self.path.parent.is_dir():
            raise FileNotFoundError(
                f"cannot save labels in {str(path)!r}: the folder {str(self.path.parent)!r} does "
                "not exist"
            )
        self._lock = threading.RLock()
        self._labels: list[_Label] = []
        self._signature: tuple[int, ...] | None = None
        self._refresh()

    @property
    def labels(self) -> Table:
        """The labels, one per row, as from `read_labels`."""
        with self._lock:
            self._refresh()
            return self._make_table()

    def get(self, labeller: str) -> dict[int | str, tuple[str, int]]:
        """Return the labels by a labeller.

        Parameters
        ----------
        labeller : str
            Name of the labeller.

        Returns
        -------
        labels : dict
            Label and confidence by source identifier, in chronological order.
        """
        with self._lock:
            self._refresh()
            return {
                label.source: (label.label, label.confidence)
                for label in self._labels
                if label.labeller == labeller
            }

    def add(self, source: int | str, labeller: str, label: str, confidence: int) -> None:
        """Add a label and save; it replaces the labeller's earlier label of the source.

        Parameters
        ----------
        source : int or str
            Identifier of the source.
        labeller : str
            Name of the labeller.
        label : str
            One of ``galaxy``, ``shred`` and ``other``.
        confidence : int
            1 (a guess), 2 (likely) or 3 (certain).

        Raises
        ------
        ValueError
            If the label, confidence or name is invalid.
        OSError
            If it cannot be saved. The label is then not added.
        """
        check_label(label, confidence)
        check_labeller(labeller)
        # Without the offset: the column's description says UTC.
        now = datetime.now(UTC).isoformat(timespec="seconds").removesuffix("+00:00")
        source = _to_plain(source)
        new = _Label(source, labeller, str(label), int(confidence), now)
        with self._changing() as labels:
            # In place: `_changing` holds the same list.
            labels[:] = [old for old in labels if (old.source, old.labeller) != (source, labeller)]
            labels.append(new)

    def remove_last(
        self, labeller: str, sources: Collection[int | str] | None = None
    ) -> int | str | None:
        """Remove a labeller's last label and save.

        Parameters
        ----------
        labeller : str
            Name of the labeller.
        sources : collection, optional
            Identifiers of the sources to consider; by default all.

        Returns
        -------
        source : int or str, or None
            The source of the removed label; None if there is no label.
        """
        with self._changing() as labels:
            for i in reversed(range(len(labels))):
                if labels[i].labeller == labeller and (
                    sources is None or labels[i].source in sources
                ):
                    return labels.pop(i).source
        return None

    @contextlib.contextmanager
    def _changing(self) -> Iterator[list[_Label]]:
        """Yield a copy of the labels to change, which replaces them once it is saved."""
        with self._lock, _lock_folder(self.path.parent):
            self._refresh()
            before, labels = self._labels, list(self._labels)
            yield labels
            # Nothing changed, so the file keeps its time.
            if labels == before:
                return
            self._labels = labels
            try:
                with atomic_write(self.path) as temporary:
                    self._make_table().write(temporary, format="ascii.ecsv")
            except BaseException:  # Ctrl-C too: the labels in memory must match the file
                self._labels = before
                raise
            self._signature = _sign(self.path)

    def _refresh(self) -> None:
        """Read the file if it has changed since it was last read or written."""
        signature = _sign(self.path)
        if signature == self._signature:
            return
        if signature is None:
            raise FileNotFoundError(
                f"the file of labels {str(self.path)!r} no longer exists: restore it"
            )
        table = read_labels(self.path, self.identifier)
        columns = (table[name].tolist() for name in (self.identifier, *_COLUMNS))
        # The fields of _Label have the order of the columns.
        self._labels = [_Label(*row) for row in zip(*columns, strict=True)]
        self._signature = signature

    def _make_table(self) -> Table:
        rows = [astuple(label) for label in self._labels]
        table = Table(rows=rows or None, names=(self.identifier, *_COLUMNS))
        for name, description in _DESCRIPTIONS.items():
            table[name].description = description
        return table


def read_labels(path: PathLike, identifier: str = "objID") -> Table:
    """Read and validate a file of labels.

    Parameters
    ----------
    path : path-like
        An ECSV file that `LabelStore` wrote.
    identifier : str, optional
        Name of the column of source identifiers.

    Returns
    -------
    labels : `~astropy.table.Table`
        One row per label: the identifier, ``labeller``, ``label``, ``confidence`` and ``time``,
        in chronological order.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If it is not a file of labels, or damaged.

    Examples
    --------
    >>> import tempfile
    >>> from shredfinder.labelling import LabelStore, read_labels
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     LabelStore(folder + "/labels.ecsv").add(11, "ann", "galaxy", 2)
    ...     labels = read_labels(folder + "/labels.ecsv")
    >>> labels["objID", "label", "confidence"].pprint()
    objID label  confidence
    ----- ------ ----------
       11 galaxy          2
    """
    with reading_errors(path, "the labels"):
        table = Table.read(path, format="ascii.ecsv")
    missing = [name for name in (identifier, *_COLUMNS) if name not in table.colnames]
    if missing:
        raise ValueError(
            f"{str(path)!r} is not a file of labels: it lacks the columns {', '.join(missing)}; "
            "name another file or identifier column"
        )
    if table.has_masked_values:
        raise ValueError(f"the labels in {str(path)!r} have missing values: complete each row")
    for name in ("labeller", "label", "time"):
        # ECSV reads a labeller called "7" as a number.
        table[name] = table[name].astype(str)
    for label, confidence in zip(table["label"], table["confidence"], strict=True):
        try:
            check_label(label, confidence)
        except ValueError as error:
            raise ValueError(f"{str(path)!r} contains an invalid label: {error}") from None
    return table


def check_label(label: object, confidence: object) -> None:
    """Raise ValueError if a label or its confidence is invalid."""
    if label not in LABELS:
        raise ValueError(f"the label must be one of {', '.join(LABELS)}, not {label!r}")
    if isinstance(confidence, bool) or confidence not in CONFIDENCES:
        raise ValueError(
            f"the confidence must be 1 (a guess), 2 (likely) or 3 (certain), not {confidence!r}"
        )


def check_labeller(labeller: object) -> None:
    """Raise ValueError if a labeller's name is empty or has several lines."""
    if not isinstance(labeller, str) or not labeller.strip() or not labeller.isprintable():
        raise ValueError(f"the labeller needs a name of one line, not {labeller!r}")


@contextlib.contextmanager
def _lock_folder(folder: Path) -> Iterator[None]:
    if fcntl is None:
        yield
        return
    # The lock is on the folder: locking the file itself would not survive its replacement, and
    # a lock file would be left behind.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _sign(path: Path) -> tuple[int, ...] | None:
    # The inode changes with each atomic replacement, even within the clock's resolution.
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _to_plain(source):
    return source.item() if isinstance(source, np.generic) else source
