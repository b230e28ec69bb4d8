"""A short fuzz run, and tests that it finds problems."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from tests.fuzz.__main__ import SHARES, list_cases
from tests.fuzz.misbehaving import misbehave
from tests.fuzz.mutations import damage, make_rng
from tests.fuzz.runner import Worker, make_case, run_cases
from tests.fuzz.seeds import Payload, make_seeds
from tests.fuzz.targets import TARGETS, check_error, run_target

pytest.importorskip("pyarrow")
pytest.importorskip("h5py")
pytest.importorskip("resource", reason="memory is limited on POSIX only")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    canary = folder / "canary"
    return folder, canary, make_seeds(folder, canary)


def test_damaged_files_do_no_harm(files):
    folder, canary, seeds = files
    # All valid and hostile files unchanged, and some damaged ones.
    cases = [(kind, case) for kind in SHARES for case in range(len(seeds[kind]) + 3)]
    outcomes, found = run_cases(cases, seeds, folder, canary)
    assert not found
    assert {kind: sum(counts.values()) for kind, counts in outcomes.items()} == {
        kind: len(seeds[kind]) + 3 for kind in SHARES
    }
    # Valid files are read, so that not only refusals are tested.
    for kind, counts in outcomes.items():
        assert any(counts[good] for good in ("scored", "read", "cut")), kind


@pytest.mark.parametrize("kind", SHARES)
def test_valid_files_are_read(files, kind):
    folder, _, seeds = files
    good = [seed for seed in seeds[kind] if not seed[0].startswith("hostile")]
    for name, data in good:
        (folder / name).write_bytes(data)
        outcome = run_target(kind, folder / name)
        assert outcome in ("scored", "read", "cut", "wrong size"), name
        assert outcome != "wrong size" or name == "L.png"


def test_payloads_are_detected(files):
    # A payload that is executed creates the canary's file.
    folder, canary, seeds = files
    pickle.loads(pickle.dumps(Payload(str(canary))))
    assert canary.exists()
    _, found = run_cases([("image", 0)], seeds, folder, canary, worker=_Stub("read"))
    assert found == [("image", 0, "FOUND executed code (read)")]
    assert not canary.exists()


class _Stub:
    def __init__(self, outcome):
        self.outcome = outcome

    def run(self, kind, path, limit):
        return self.outcome

    def stop(self):
        pass


def test_crashes_and_hangs_are_detected(tmp_path):
    worker = Worker(tmp_path, misbehave)
    try:
        assert worker.run("crash", tmp_path, 5).startswith("FOUND crash: the process ended with 9")
        assert worker.run("hang", tmp_path, 0.3).startswith("FOUND hang")
        assert worker.run("fine", tmp_path, 5) == "read"
    finally:
        worker.stop()


def test_errors_of_libraries_are_detected(tmp_path, monkeypatch):
    def fail(path):
        raise IndexError("from a library")

    monkeypatch.setitem(TARGETS, "image", fail)
    assert run_target("image", tmp_path) == "FOUND IndexError at fail: from a library"
    try:
        np.zeros(2).reshape(3)
    except ValueError as error:
        with pytest.raises(AssertionError, match="raised in"):
            check_error(error)


def test_cases_are_divided_and_repeatable(files):
    _, _, seeds = files
    cases = list_cases(1000)
    assert len(cases) == len(set(cases)) == 1000
    assert {kind for kind, _ in cases} == set(SHARES) == set(TARGETS)
    for kind in SHARES:
        assert make_case(kind, 77, seeds[kind]) == make_case(kind, 77, seeds[kind])
        assert len({make_case(kind, case, seeds[kind]) for case in range(60, 72)}) > 6


def test_mutations_change_files():
    data = Path(__file__).read_bytes()
    changed = [damage(data, make_rng("any", i), data[::-1]) for i in range(200)]
    assert sum(one != data for one in changed) > 180
    assert len({len(one) for one in changed}) > 50
