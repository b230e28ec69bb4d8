"""Commands in processes of their own, which kill themselves at a given step.

A step is any change of a file: opening it for writing, writing, renaming, removing. The processes
are forked from one that has imported everything, so that a run takes a tenth of a second.
"""

import contextlib
import functools
import multiprocessing
import os
import signal
import sys
import threading

import numpy as np

from shredfinder import ShredClassifier, ShredTable, conf
from shredfinder.bulk import classify_catalogue
from shredfinder.cli import main
from shredfinder.models import TrainedModel
from shredfinder.pipeline import find_satellites, search

__all__ = ["classify_catalogue", "find_satellites", "run"]

# Audit events of changes, besides "open" for writing.
_CHANGES = {
    "os.rename",
    "os.remove",
    "os.mkdir",
    "os.rmdir",
    "os.link",
    "os.truncate",
    "shutil.rmtree",
    "fcntl.flock",
}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


@functools.cache
def _get_context():
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.kills.victims"])
    return context


def run(argv, model="a", kill_at=None, folder=None, number=signal.SIGKILL):
    """Run a command in a process of its own.

    Parameters
    ----------
    argv : list of str
        The command.
    model : str
        Name of the model, which the scores depend on.
    kill_at : int, optional
        Step at which the process kills itself.
    folder : path-like
        Folder whose files count as steps.
    number : int
        The signal.

    Returns
    -------
    status : int
        Exit status; negative if a signal ended the process.
    n_steps : int
        Steps that the process has counted.
    """
    context = _get_context()
    counter = context.Value("i", 0, lock=False)
    arguments = (argv, model, kill_at, str(folder), int(number), counter)
    process = context.Process(target=_run, args=arguments)
    process.start()
    process.join(60)
    assert process.exitcode is not None, "the process does not end"
    status, n_steps = process.exitcode, counter.value
    process.close()
    return status, n_steps


def _run(argv, model, kill_at, folder, number, counter):
    conf.threads = 1
    classifier = _load()
    TrainedModel.score = lambda self, images, symmetry: (
        _score(images, model),
        np.full(len(images), np.nan),
    )
    provenance = classifier.provenance | {"model": model}
    TrainedModel.provenance = property(lambda self: provenance)
    ShredClassifier.load = classmethod(lambda cls, path=None: classifier)
    search.query_candidates = _query
    search.count_sources = lambda *args, **options: 100
    lock = threading.Lock()

    def step(name):
        if not str(name).startswith(folder):
            return
        with lock:
            counter.value += 1
            if counter.value == kill_at:
                os.kill(os.getpid(), number)

    def audit(event, args):
        if event == "open":
            path, _, flags = args
            if flags & _WRITING and not isinstance(path, int):
                step(os.fsdecode(path))
        elif event in _CHANGES:
            # Locking is given a number in place of a name.
            step(folder if event == "fcntl.flock" else os.fsdecode(args[0]))

    def profile(frame, event, function):
        if event == "c_call" and function.__name__ == "write":
            step(getattr(getattr(function, "__self__", None), "name", ""))

    sys.addaudithook(audit)
    sys.setprofile(profile)
    # The messages of hundreds of processes help nobody.
    with open(os.devnull, "w") as null:
        if not os.environ.get("SHOW_VICTIMS"):
            sys.stdout = sys.stderr = null
        with contextlib.suppress(SystemExit):
            os._exit(main(argv))


@functools.cache
def _load():
    return ShredClassifier.load()


def _score(images, model):
    """Return scores that tell which model has scored which image."""
    share = images.reshape(len(images), -1).mean(axis=1) / 255
    return (0.4 * share if model == "a" else 1 - 0.4 * share).astype(np.float32)


def _query(preset, center, radius, **options):
    """Return the candidates of a region, without any service."""
    n = 12
    columns = {"objid": np.arange(n), "ra": center.ra.deg + np.arange(n) / 1e3}
    return ShredTable(columns | {"dec": np.full(n, center.dec.deg), "r": np.full(n, 19.0)})


_load()
