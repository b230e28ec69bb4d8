"""Cases run in a separate process, which may crash, hang or exhaust its memory."""

import collections
import contextlib
import gzip
import multiprocessing
import os
import time

from tests.fuzz.mutations import choose, damage, damage_model, make_rng

_MEMORY = 8 * 2**30  # bytes of address space; far less is resident


def make_case(kind, case, seeds):
    """Create the file of a case.

    Parameters
    ----------
    kind : str
        Kind of file.
    case : int
        Number of the case; the same number gives the same file.
    seeds : list of tuple
        Names and contents of the valid and hostile files of that kind.

    Returns
    -------
    name : str
        Name of the file.
    data : bytes
        Its content.
    """
    # The first cases are the unchanged seeds, including the hostile ones.
    if case < len(seeds):
        return seeds[case]
    rng = make_rng(kind, case)
    if rng.random() < 0.9:  # few changes of hostile files matter
        seeds = [seed for seed in seeds if not seed[0].startswith("hostile")]
    name, data = choose(seeds, rng)
    other_name, other = choose(seeds, rng)
    if rng.random() < 0.05:  # a wrong extension
        name = other_name
    if kind == "model" and data[:2] == b"PK" and rng.random() < 0.7:
        return name, damage_model(data, rng)
    if name.endswith(".gz") and rng.random() < 0.7:
        with contextlib.suppress(OSError, EOFError):
            return name, gzip.compress(damage(gzip.decompress(data), rng, other), 1)
    return name, damage(data, rng, other)


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
    """A process that reads files; it is replaced if it dies or takes too long.

    Parameters
    ----------
    folder : `~pathlib.Path`
        Working folder of the process.
    work : callable, optional
        Function that the process runs.
    """

    def __init__(self, folder, work=_work):
        self.folder, self.work = folder, work
        self._process = None

    def run(self, kind, path, limit):
        """Read a file within a time limit in seconds, and return the outcome."""
        if self._process is None:
            self._start()
        try:
            self._pipe.send((kind, path))
            if not self._pipe.poll(limit):
                self.stop()
                return f"FOUND hang: no result within {limit:g} s"
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
            raise RuntimeError("the reading process did not start")

    def stop(self):
        """Stop the process."""
        if self._process is not None:
            with contextlib.suppress(OSError):  # it may have died or hang
                self._pipe.send(None)
                self._process.join(2)
            self._process.kill()
            self._process.join()
            self._pipe.close()
            self._process = None


def run_cases(cases, seeds, folder, canary, *, limit=20.0, report=None, worker=None):
    """Run cases one after another.

    Parameters
    ----------
    cases : iterable of tuple
        Kind and number of each case.
    seeds : dict of list of tuple
        From `tests.fuzz.seeds.make_seeds`.
    folder : `~pathlib.Path`
        Folder in which the files are written.
    canary : `~pathlib.Path`
        File that exists if code of a file was executed.
    limit : float, optional
        Time limit per case in seconds.
    report : callable, optional
        Called with kind, number, outcome and seconds.
    worker : Worker, optional
        Process that runs the cases.

    Returns
    -------
    outcomes : dict of `collections.Counter`
        Counts of the outcomes of each kind.
    found : list of tuple
        Kind, number and outcome of each problem.
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
                outcome = f"FOUND executed code ({outcome})"
            outcomes[kind][outcome.partition(" at ")[0][:60]] += 1
            if outcome.startswith("FOUND"):
                found.append((kind, case, outcome))
            if report is not None:
                report(kind, case, outcome, time.monotonic() - start)
    finally:
        worker.stop()
    return dict(outcomes), found
