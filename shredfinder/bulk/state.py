"""The scores of an interrupted run, chunk by chunk, for the next one to go on from."""

import json
import shutil
from pathlib import Path

import numpy as np

from shredfinder._utils.files import atomic_write
from shredfinder.imaging import CutoutFlag

__all__ = ["RunState", "Scores"]

_RUN = "run.json"
_FLAGS = [flag.value for flag in CutoutFlag]


class Scores:
    """Scores of many rows in little memory: five bytes each, and what is asked for beside.

    Parameters
    ----------
    n : int
        Number of rows.
    shapes : dict of tuple, optional
        Name and shape of a row of what there is beside.

    Attributes
    ----------
    p_cnn : `~numpy.ndarray` of float32
        Probabilities, of shape ``(n,)``, at first NaN.
    more : dict of `~numpy.ndarray` of float32
        What there is beside, at first NaN.
    """

    def __init__(self, n, shapes=None):
        shapes = shapes or {}
        self.more = {
            name: np.full((n, *shape), np.nan, np.float32) for name, shape in shapes.items()
        }
        self.p_cnn = np.full(n, np.nan, dtype=np.float32)
        self._codes = np.full(n, _FLAGS.index(CutoutFlag.NOT_SCORED), dtype=np.uint8)

    def put(self, rows, p_cnn, flags, more=None):
        """Set the scores of rows, given as a slice or as indices."""
        for name, values in (more or {}).items():
            self.more[name][rows] = values
        names, inverse = np.unique(np.asarray(flags, dtype=str), return_inverse=True)
        self.p_cnn[rows] = p_cnn
        self._codes[rows] = np.array([_FLAGS.index(name) for name in names], np.uint8)[inverse]

    def get_flags(self, start=0, stop=None):
        """Give the flags of consecutive rows, an array of `str` objects."""
        return np.array(_FLAGS, dtype=object)[self._codes[start:stop]]


class RunState:
    """A folder beside the output that keeps each chunk's scores until the output is written.

    Parameters
    ----------
    folder : path-like
        The folder.
    run : dict
        What must be the same for a run to be gone on with, as JSON can hold it.
    """

    def __init__(self, folder, run):
        self.folder = Path(folder)
        self._run = json.loads(json.dumps(run))

    def start(self, *, resume, overwrite):
        """Begin a run, or go on with one.

        Parameters
        ----------
        resume : bool
            Go on from what is there, if anything is.
        overwrite : bool
            Throw away what is there.

        Raises
        ------
        FileExistsError
            If there is the state of a run and it is neither wanted nor to be thrown away.
        ValueError
            If it belongs to another run.
        """
        if not (self.folder / _RUN).exists():
            return
        if resume:
            self._check()
        elif overwrite:
            self.remove()
        else:
            raise FileExistsError(
                f"{str(self.folder)!r} holds the scores of a run that was interrupted: go on with "
                "it (resume), or throw them away (overwrite)"
            )

    def _check(self):
        try:
            old = json.loads((self.folder / _RUN).read_text())
        except ValueError as error:
            raise ValueError(
                f"the state {str(self.folder)!r} can't be read ({error}): start anew (overwrite)"
            ) from error
        differing = sorted(key for key in {*old, *self._run} if old.get(key) != self._run.get(key))
        if differing:
            raise ValueError(
                f"the interrupted run in {str(self.folder)!r} was another one, it differs in "
                f"{', '.join(differing)}: give the same arguments, or start anew (overwrite)"
            )

    def write(self, index, p_cnn, flags, more=None):
        """Keep the scores of a chunk."""
        self.folder.mkdir(exist_ok=True)
        if not (self.folder / _RUN).exists():
            with atomic_write(self.folder / _RUN) as temporary:
                temporary.write_text(json.dumps(self._run, indent=1))
        with atomic_write(self._path(index)) as temporary:
            flags = np.asarray(flags, dtype="S16")
            np.savez_compressed(temporary, p_cnn=p_cnn, flags=flags, **(more or {}))

    def read(self, index, n, shapes=None):
        """Give the scores of a chunk of ``n`` rows; None if it is not there, or broken."""
        try:
            with (
                self._path(index).open("rb") as content,
                np.load(content, allow_pickle=False) as file,
            ):
                p_cnn, flags = file["p_cnn"], file["flags"].astype(str)
                more = {name: file[name] for name in shapes or {}}
        except Exception:  # a machine that went down may leave anything behind
            return None
        if p_cnn.shape != (n,) or flags.shape != (n,) or not set(flags.tolist()) <= set(_FLAGS):
            return None
        if any(more[name].shape != (n, *shape) for name, shape in (shapes or {}).items()):
            return None
        return p_cnn, flags, more

    def remove(self):
        """Throw the state away."""
        if self.folder.is_dir():
            shutil.rmtree(self.folder)

    def _path(self, index):
        return self.folder / f"{index:06d}.npz"
