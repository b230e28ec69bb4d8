"""Answers of labellers, kept in a file that is whole after each answer."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from astropy.table import Table

from shredfinder._utils.files import atomic_write

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Collection
    from os import PathLike

__all__ = ["LABELS", "LabelStore", "read_answers"]

#: What a source may be called.
LABELS = ("galaxy", "shred", "other")
CONFIDENCES = (1, 2, 3)
_COLUMNS = ("labeller", "label", "confidence", "time")
_DESCRIPTIONS = {
    "labeller": "who looked",
    "label": "what the source was seen as: galaxy, shred or other",
    "confidence": "1 guess, 2 likely, 3 certain",
    "time": "when, UTC",
}


@dataclass(frozen=True)
class _Answer:
    source: int | str
    labeller: str
    label: str
    confidence: int
    time: str


class LabelStore:
    """Answers of one or several labellers in an ECSV file.

    Each answer is written at once, to a new file that takes the old one's place: a crash loses
    nothing. Several processes may write to one file, each labeller in his own or all at one;
    what another has written meanwhile is read again first. (Windows lacks the lock that this
    needs: there one process at a time.)

    Parameters
    ----------
    path : path-like
        The file, with the extension ``.ecsv``; it is made with the first answer.
    identifier : str, optional
        The column that names a source.

    Raises
    ------
    ValueError
        If the file is there and holds no answers, or is of another extension.
    FileNotFoundError
        If its folder does not exist.

    Examples
    --------
    >>> from shredfinder.labelling import LabelStore
    >>> store = LabelStore(getfixture("tmp_path") / "answers.ecsv")
    >>> store.add(1237661381694587552, "ann", "galaxy", 2)
    >>> store.add(1237661381694587552, "ben", "shred", 1)
    >>> store.answers["labeller", "label"].pprint()
    labeller label
    -------- ------
         ann galaxy
         ben  shred
    """

    def __init__(self, path: str | PathLike[str], identifier: str = "objID") -> None:
        self.path, self.identifier = Path(path), identifier
        if self.path.suffix != ".ecsv":
            raise ValueError(f"answers are kept as ECSV: give a file .ecsv, not {str(path)!r}")
        if identifier in _COLUMNS:
            raise ValueError(
                f"the column {identifier!r} can't name sources: answers have one of that name"
            )
        if not self.path.parent.is_dir():
            raise FileNotFoundError(
                f"answers can't be kept in {str(path)!r}: there is no folder "
                f"{str(self.path.parent)!r}"
            )
        self._lock = threading.RLock()
        self._answers: list[_Answer] = []
        self._signature: tuple[int, ...] | None = None
        self._refresh()

    @property
    def answers(self) -> Table:
        """The answers, a row each, as `read_answers` gives them."""
        with self._lock:
            self._refresh()
            return self._make_table()

    def get(self, labeller: str) -> dict[int | str, tuple[str, int]]:
        """Give the answers of a labeller.

        Parameters
        ----------
        labeller : str
            The name.

        Returns
        -------
        answers : dict
            Label and confidence of each source, in the order in which they were given.
        """
        with self._lock:
            self._refresh()
            return {
                answer.source: (answer.label, answer.confidence)
                for answer in self._answers
                if answer.labeller == labeller
            }

    def add(self, source: int | str, labeller: str, label: str, confidence: int) -> None:
        """Add an answer and save; it takes the place of the labeller's earlier one.

        Parameters
        ----------
        source : int or str
            Identifier of the source.
        labeller : str
            Who answers.
        label : str
            One of ``galaxy``, ``shred`` and ``other``.
        confidence : int
            1 (a guess), 2 (likely) or 3 (certain).

        Raises
        ------
        ValueError
            If it is no such answer.
        OSError
            If it can't be saved; it is not taken then.
        """
        check_answer(label, confidence)
        check_labeller(labeller)
        now = datetime.now(UTC).isoformat(timespec="seconds").removesuffix("+00:00")
        source = _to_plain(source)
        new = _Answer(source, labeller, str(label), int(confidence), now)
        with self._changing() as answers:
            answers[:] = [a for a in answers if (a.source, a.labeller) != (source, labeller)]
            answers.append(new)

    def remove_last(
        self, labeller: str, sources: Collection[int | str] | None = None
    ) -> int | str | None:
        """Take a labeller's last answer back and save.

        Parameters
        ----------
        labeller : str
            Whose answer.
        sources : collection, optional
            Identifiers of the sources that it may be about; by default all.

        Returns
        -------
        source : int or str, or None
            The source that it was about; None if there is no answer.
        """
        with self._changing() as answers:
            for i in reversed(range(len(answers))):
                if answers[i].labeller == labeller and (
                    sources is None or answers[i].source in sources
                ):
                    return answers.pop(i).source
        return None

    @contextlib.contextmanager
    def _changing(self):
        """Give a copy of the answers to be changed; it counts once it is saved."""
        with self._lock, _lock_folder(self.path.parent):
            self._refresh()
            before, answers = self._answers, list(self._answers)
            yield answers
            if answers == before:
                return
            self._answers = answers
            try:
                with atomic_write(self.path) as temporary:
                    self._make_table().write(temporary, format="ascii.ecsv")
            except BaseException:
                self._answers = before
                raise
            self._signature = _sign(self.path)

    def _refresh(self):
        """Read the file if it is another than was last read or written."""
        signature = _sign(self.path)
        if signature == self._signature:
            return
        if signature is None:
            raise FileNotFoundError(f"the answers in {str(self.path)!r} have gone: put them back")
        table = read_answers(self.path, self.identifier)
        columns = (table[name].tolist() for name in (self.identifier, *_COLUMNS))
        self._answers = [_Answer(*row) for row in zip(*columns, strict=True)]
        self._signature = signature

    def _make_table(self):
        rows = [astuple(answer) for answer in self._answers]
        table = Table(rows=rows or None, names=(self.identifier, *_COLUMNS))
        for name, description in _DESCRIPTIONS.items():
            table[name].description = description
        return table


def read_answers(path: str | PathLike[str], identifier: str = "objID") -> Table:
    """Read and check a file of answers.

    Parameters
    ----------
    path : path-like
        An ECSV file that `LabelStore` wrote.
    identifier : str, optional
        The column that names a source.

    Returns
    -------
    answers : `~astropy.table.Table`
        A row for each answer: the identifier, ``labeller``, ``label``, ``confidence`` and
        ``time``, in the order in which they were given.

    Raises
    ------
    ValueError
        If it is no such file, or a damaged one.

    Examples
    --------
    >>> import tempfile
    >>> from shredfinder.labelling import LabelStore, read_answers
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     LabelStore(folder + "/answers.ecsv").add(11, "ann", "galaxy", 2)
    ...     answers = read_answers(folder + "/answers.ecsv")
    >>> answers["objID", "label", "confidence"].pprint()
    objID label  confidence
    ----- ------ ----------
       11 galaxy          2
    """
    try:
        table = Table.read(path, format="ascii.ecsv")
    except FileNotFoundError:
        raise
    except Exception as error:  # the reader raises all sorts of things
        raise ValueError(f"the answers in {str(path)!r} can't be read: {error}") from error
    missing = [name for name in (identifier, *_COLUMNS) if name not in table.colnames]
    if missing:
        raise ValueError(
            f"the file {str(path)!r} holds no answers of labellers: it lacks the columns "
            f"{', '.join(missing)}; name another file, or the identifier's column"
        )
    if table.has_masked_values:
        raise ValueError(f"the answers in {str(path)!r} have gaps: each needs all its columns")
    for name in ("labeller", "label", "time"):
        # A labeller called 7 is a name for all that.
        table[name] = table[name].astype(str)
    for label, confidence in zip(table["label"], table["confidence"], strict=True):
        try:
            check_answer(label, confidence)
        except ValueError as error:
            raise ValueError(f"the answers in {str(path)!r} hold a wrong one: {error}") from None
    return table


def check_answer(label, confidence):
    """Refuse what is no answer."""
    if label not in LABELS:
        raise ValueError(f"the label must be one of {', '.join(LABELS)}, not {label!r}")
    if isinstance(confidence, bool) or confidence not in CONFIDENCES:
        raise ValueError(
            f"the confidence must be 1 (a guess), 2 (likely) or 3 (certain), not {confidence!r}"
        )


def check_labeller(labeller):
    """Refuse what is no name."""
    if not isinstance(labeller, str) or not labeller.strip() or not labeller.isprintable():
        raise ValueError(f"the labeller needs a name, in one line, not {labeller!r}")


@contextlib.contextmanager
def _lock_folder(folder):
    # The folder, for its lock leaves no file behind.
    if fcntl is None:
        yield
        return
    import os

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _sign(path):
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _to_plain(source):
    return source.item() if isinstance(source, np.generic) else source
