"""The state of an unfinished run."""

import json

import numpy as np
import pytest

from shredfinder.bulk.state import RunState
from shredfinder.models.calibration import Scores


def make_scores(p_cnn):
    return Scores(np.array(p_cnn, dtype=np.float32), np.full(len(p_cnn), "", "U16"), 0.4)


@pytest.fixture
def folder(tmp_path):
    """State of a run of the model a that was interrupted after its first chunk."""
    state = RunState(tmp_path / "state", {"model": "a"}, {})
    state.start(resume=False, overwrite=False)
    state.write(0, make_scores([0.5]))
    state.release()
    return tmp_path / "state"


def test_an_unfinished_run_is_neither_resumed_nor_overwritten_unasked(folder):
    state = RunState(folder, {"model": "a"}, {})
    with pytest.raises(FileExistsError, match=r"resume.*overwrite"):
        state.start(resume=False, overwrite=False)
    with pytest.raises(ValueError, match="differs in model"):
        RunState(folder, {"model": "b"}, {}).start(resume=True, overwrite=False)
    state.start(resume=True, overwrite=False)
    scores = state.read(0, 1)
    assert (scores.p_cnn.tolist(), scores.flags.tolist()) == ([0.5], [""])
    for path in folder.glob("*.npz"):
        path.write_bytes(path.read_bytes()[:20])
    assert state.read(0, 1) is None
    state.release()
    state.start(resume=False, overwrite=True)
    assert not list(folder.glob("*.npz"))
    state.release()
    assert not folder.exists()


def test_parts_of_another_run_are_not_adopted(folder):
    """A kill during clean-up may leave parts without a description, or with another's."""
    other = RunState(folder, {"model": "b"}, {})
    (folder / "run.json").unlink()
    other.start(resume=True, overwrite=False)
    assert other.read(0, 1) is None
    other.release()
    state = RunState(folder, {"model": "a"}, {})
    state.start(resume=False, overwrite=False)
    state.write(0, make_scores([0.5]))
    state.release()
    (folder / "run.json").write_text(json.dumps({"model": "b"}))
    other.start(resume=True, overwrite=False)
    assert other.read(0, 1) is None
    other.release()


def test_two_processes_do_not_share_an_output(folder):
    first, second = (RunState(folder, {"model": "a"}, {}) for _ in range(2))
    first.start(resume=True, overwrite=False)
    with pytest.raises(FileExistsError, match="another process is writing"):
        second.start(resume=True, overwrite=False)
    first.remove()
    assert not folder.exists()
    second.start(resume=True, overwrite=False)
    second.release()
