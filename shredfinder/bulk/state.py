"""Scores of a run in little memory, and their storage on disk, so that a run can resume."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shredfinder._utils.files import atomic_write
from shredfinder._utils.leftovers import (
    acquire_lock,
    release_lock,
    remove_leftovers,
    temporary_beside,
)
from shredfinder.imaging import CutoutFlag
from shredfinder.models.calibration import Scores

if TYPE_CHECKING:
    from filelock import FileLock

    from shredfinder._utils.validation import PathLike

__all__ = ["CompactScores", "RunState", "get_state_folder", "remove_finished"]

_RUN = "run.json"
# Temporary files begin with a dot.
_PARTS = "[0-9]*.npz"
_FLAGS = [flag.value for flag in CutoutFlag]


class CompactScores:
    """Scores of many rows with five bytes per row, plus the values of the optional columns.

    Parameters
    ----------
    n : int
        Number of rows.
    shapes : dict of tuple
        Name of each optional value and its shape per row.

    Attributes
    ----------
    p_cnn : `~numpy.ndarray` of float32
        Probabilities of shape ``(n,)``, initially NaN.
    optional : dict of `~numpy.ndarray` of float32
        Optional values, initially NaN.
    """

    def __init__(self, n: int, shapes: dict[str, tuple[int, ...]]) -> None:
        self.p_cnn = np.full(n, np.nan, dtype=np.float32)
        self.optional = {
            name: np.full((n, *shape), np.nan, np.float32) for name, shape in shapes.items()
        }
        self._codes = np.full(n, _FLAGS.index(CutoutFlag.NOT_SCORED), dtype=np.uint8)

    def put(self, rows: slice | np.ndarray, scores: Scores) -> None:
        """Set the scores of rows, given as a slice or as indices."""
        self.p_cnn[rows] = scores.p_cnn
        for name, values in scores.optional.items():
            self.optional[name][rows] = values
        # Look up each distinct flag once, then expand to all rows with `inverse`.
        names, inverse = np.unique(np.asarray(scores.flags, dtype=str), return_inverse=True)
        self._codes[rows] = np.array([_FLAGS.index(name) for name in names], np.uint8)[inverse]

    def combine(self, training_prior: float) -> Scores:
        """Return all scores but the flags, which take far more memory as text."""
        return Scores(self.p_cnn, np.empty(0, dtype=str), training_prior, self.optional)

    def get_flags(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Return the flags of consecutive rows as an array of `str` objects."""
        return np.array(_FLAGS, dtype=object)[self._codes[start:stop]]


class RunState:
    """A folder next to the output that holds the scores of finished chunks.

    The folder belongs to one process at a time: the operating system releases the lock when the
    process ends, however it ends.

    Parameters
    ----------
    folder : path-like
        The folder.
    run : dict
        JSON-serialisable settings that must match for a run to resume.
    shapes : dict of tuple
        Name of each optional value and its shape per row.
    """

    def __init__(
        self, folder: PathLike, run: dict[str, Any], shapes: dict[str, tuple[int, ...]]
    ) -> None:
        self.folder = Path(folder)
        # Through JSON, so that tuples become lists, as they are when the file is read back.
        self._run = json.loads(json.dumps(run))
        # Every part carries the digest of its run, so that no part of another run is adopted.
        text = json.dumps(self._run, sort_keys=True)
        self._digest = hashlib.sha256(text.encode()).hexdigest()
        self._shapes = shapes
        self._started = False
        self._lock: FileLock | None = None

    def start(self, *, resume: bool, overwrite: bool) -> None:
        """Lock the folder, and begin a run or resume one.

        Parameters
        ----------
        resume : bool
            Continue from existing chunks, if there are any.
        overwrite : bool
            Delete existing chunks.

        Raises
        ------
        FileExistsError
            If another process writes this output, or there are chunks of an interrupted run and
            neither option is set.
        ValueError
            If the chunks belong to a run with other settings.
        """
        self.folder.mkdir(exist_ok=True)
        self._lock = acquire_lock(self.folder, self.folder.with_suffix(""))
        self._started = True
        try:
            remove_leftovers(self.folder)
            self._open(resume, overwrite)
        except BaseException:
            self.release()
            raise

    def _open(self, resume, overwrite):
        old = self._read_run()
        if old is None or not any(self.folder.glob(_PARTS)):
            # Parts without a valid description of their run cannot be trusted.
            self._clear()
        elif overwrite and not resume:
            self._clear()
        elif not resume:
            raise FileExistsError(
                f"{str(self.folder)!r} holds the scores of an interrupted run: use resume=True "
                "to continue it or overwrite=True to start again"
            )
        else:
            differing = sorted(
                key for key in {*old, *self._run} if old.get(key) != self._run.get(key)
            )
            if differing:
                raise ValueError(
                    f"the interrupted run in {str(self.folder)!r} differs in "
                    f"{', '.join(differing)}: use the same arguments, or overwrite=True "
                    "to start again"
                )
        with atomic_write(self.folder / _RUN) as temporary:
            temporary.write_text(json.dumps(self._run, indent=1))

    def _read_run(self):
        try:
            run = json.loads((self.folder / _RUN).read_text())
        except (OSError, ValueError):
            return None
        return run if isinstance(run, dict) else None

    def _clear(self):
        # The description goes last: parts without it are never adopted.
        for path in [*self.folder.glob(_PARTS), self.folder / _RUN]:
            path.unlink(missing_ok=True)

    def write(self, index: int, scores: Scores) -> None:
        """Store the scores of a chunk."""
        arrays: dict[str, Any] = {
            "run": self._digest,
            "p_cnn": scores.p_cnn.astype(np.float32),
            # Bytes take a quarter of the space of NumPy's text.
            "flags": np.asarray(scores.flags, dtype="S16"),
            "training_prior": scores.training_prior,
            **scores.optional,
        }
        with atomic_write(self._path(index)) as temporary:
            np.savez_compressed(temporary, **arrays)

    def read(self, index: int, n: int) -> Scores | None:
        """Return the scores of a chunk of ``n`` rows; None if they are missing or damaged."""
        try:
            with (
                self._path(index).open("rb") as content,
                np.load(content, allow_pickle=False) as file,
            ):
                if str(file["run"]) != self._digest:
                    return None
                optional = {name: file[name] for name in self._shapes}
                flags, prior = file["flags"].astype(str), float(file["training_prior"])
                scores = Scores(file["p_cnn"], flags, prior, optional)
        except Exception:  # after a crash, a file may hold anything
            return None
        if scores.p_cnn.shape != (n,) or scores.flags.shape != (n,):
            return None
        if not set(scores.flags.tolist()) <= set(_FLAGS):
            return None
        if any(optional[name].shape != (n, *shape) for name, shape in self._shapes.items()):
            return None
        return scores

    def remove(self) -> None:
        """Delete the folder and release the lock."""
        if self._started:
            self._started = False
            _discard(self.folder, self._lock)

    def release(self) -> None:
        """Release the lock. Finished chunks stay on disk; a folder without any is deleted."""
        if not self._started:
            return
        if not any(self.folder.glob(_PARTS)):
            self.remove()
            return
        self._started = False
        release_lock(self._lock)

    def _path(self, index):
        return self.folder / f"{index:06d}.npz"


def get_state_folder(output: PathLike) -> Path:
    """Return the folder in which an unfinished run keeps its scores.

    Parameters
    ----------
    output : path-like
        Output file of the run.

    Returns
    -------
    folder : `~pathlib.Path`
        A folder next to the output. It exists only after an interrupted run.

    Examples
    --------
    >>> from shredfinder.bulk import get_state_folder
    >>> get_state_folder("scored.fits").name
    'scored.fits.state'
    """
    output = Path(output)
    return output.with_name(f"{output.name}.state")


def remove_finished(output: PathLike) -> None:
    """Remove the state of a run that was killed after its output was complete.

    Parameters
    ----------
    output : path-like
        Output file of the run. Without it, the state is kept.
    """
    folder, output = get_state_folder(output), Path(output)
    # Of a run that was killed while it wrote the output or removed its state.
    remove_leftovers(output.parent)
    if not (output.is_file() and folder.is_dir()):
        return
    try:
        lock = acquire_lock(folder, output)
    except OSError:  # another process replaces the output
        return
    # A run that replaces an older output writes its parts after that one.
    written = output.stat().st_mtime_ns
    if all(part.stat().st_mtime_ns <= written for part in folder.glob(_PARTS)):
        _discard(folder, lock)
    else:
        release_lock(lock)


def _discard(folder: Path, lock: FileLock | None) -> None:
    """Delete a state folder whose lock this process holds."""
    # Renamed first, so that a kill in the middle leaves nothing that a run could adopt.
    with temporary_beside(folder.with_name(f"{folder.name}.old")) as doomed:
        with contextlib.suppress(FileNotFoundError):  # somebody has deleted it
            os.replace(folder, doomed)
        # The lock is deleted while it is held, on Windows after its release.
        shutil.rmtree(doomed, ignore_errors=True)
        release_lock(lock)
