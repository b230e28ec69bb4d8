"""Cases in a process of their own, which may crash, hang or take all memory."""

import collections
import contextlib
import gzip
import multiprocessing
import os
import time

from tests.fuzz.mutations import choose, make_rng, spoil, spoil_model

_MEMORY = 8 * 2**30  # bytes of addresses; of real memory far less


def make_case(kind, case, seeds):
    """Make the file of a case.

    Parameters
    ----------
    kind : str
        Kind of file.
    case : int
        Its number: the same makes the same file.
    seeds : list of tuple
        Names and contents of that kind.

    Returns
    -------
    name : str
        Name of the file.
    data : bytes
        Its content.
    """
    # First every seed as it is, hostile ones among them.
    if case < len(seeds):
        return seeds[case]
    rng = make_rng(kind, case)
    if rng.random() < 0.9:  # hostile files are few, and few ways to change them matter
        seeds = [seed for seed in seeds if not seed[0].startswith("hostile")]
    name, data = choose(seeds, rng)
    other_name, other = choose(seeds, rng)
    if rng.random() < 0.05:  # by name of another type
        name = other_name
    if kind == "model" and data[:2] == b"PK" and rng.random() < 0.7:
        return name, spoil_model(data, rng)
    if name.endswith(".gz") and rng.random() < 0.7:
        with contextlib.suppress(OSError, EOFError):
            return name, gzip.compress(spoil(gzip.decompress(data), rng, other), 1)
    return name, spoil(data, rng, other)


def _work(pipe, folder):
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.chdir(folder)
    from tests.fuzz.targets import run_target

    pipe.send("ready")
    while (job := pipe.recv()) is not None:
        pipe.send(run_target(*job))


class Worker:
    """A process that reads files, and is replaced where it dies or takes too long.

    Parameters
    ----------
    folder : `~pathlib.Path`
        Folder of its files.
    work : callable, optional
        What the process does.
    """

    def __init__(self, folder, work=_work):
        self.folder, self.work = folder, work
        self._process = None

    def run(self, kind, path, limit):
        """Have a file read; say what came of it, within some seconds."""
        if self._process is None:
            self._start()
        try:
            self._pipe.send((kind, path))
            if not self._pipe.poll(limit):
                self.stop()
                return f"FOUND hang: no answer within {limit:g} s"
            return self._pipe.recv()
        except (EOFError, OSError):
            self._process.join(10)
            code = self._process.exitcode
            self.stop()
            return f"FOUND crash: the process ended with {code}"

    def _start(self):
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=self.work, args=(theirs, self.folder), daemon=True)
        self._process.start()
        theirs.close()
        if not self._pipe.poll(120) or self._pipe.recv() != "ready":
            raise RuntimeError("the process that reads files did not start")

    def stop(self):
        """End the process."""
        if self._process is not None:
            with contextlib.suppress(OSError):  # it may be dead, or hang
                self._pipe.send(None)
                self._process.join(2)
            self._process.kill()
            self._process.join()
            self._pipe.close()
            self._process = None


def run_cases(cases, seeds, folder, canary, *, limit=20.0, report=None, worker=None):
    """Run cases one after the other.

    Parameters
    ----------
    cases : iterable of tuple
        Kinds and numbers.
    seeds : dict of list of tuple
        What `tests.fuzz.seeds.make_seeds` gives.
    folder : `~pathlib.Path`
        Where files are written.
    canary : `~pathlib.Path`
        File that is there if code of a file was run.
    limit : float, optional
        Seconds that a case may take.
    report : callable, optional
        Called with kind, number, outcome and seconds.
    worker : Worker, optional
        What runs them.

    Returns
    -------
    outcomes : dict of `collections.Counter`
        For each kind how often what was answered.
    found : list of tuple
        Kind, number and outcome of what must not be.
    """
    outcomes, found = collections.defaultdict(collections.Counter), []
    worker = worker or Worker(folder)
    try:
        for kind, case in cases:
            name, data = make_case(kind, case, seeds[kind])
            path = folder / name
            path.write_bytes(data)
            start = time.monotonic()
            outcome = worker.run(kind, path, limit)
            if canary.exists():
                canary.unlink()
                outcome = f"FOUND code that was run ({outcome})"
            outcomes[kind][outcome.partition(" at ")[0][:60]] += 1
            if outcome.startswith("FOUND"):
                found.append((kind, case, outcome))
            if report is not None:
                report(kind, case, outcome, time.monotonic() - start)
    finally:
        worker.stop()
    return dict(outcomes), found
