"""The state of an unfinished run."""

import numpy as np
import pytest

from shredfinder.bulk.state import RunState


def test_an_unfinished_run_is_neither_resumed_nor_overwritten_unasked(tmp_path):
    state = RunState(tmp_path / "state", {"model": "a"})
    state.write(0, np.array([0.5], dtype=np.float32), [""])
    with pytest.raises(FileExistsError, match=r"resume.*overwrite"):
        state.start(resume=False, overwrite=False)
    with pytest.raises(ValueError, match="model"):
        RunState(tmp_path / "state", {"model": "b"}).start(resume=True, overwrite=False)
    p_cnn, flags = state.read(0, 1)[:2]
    assert (p_cnn.tolist(), [str(flag) for flag in flags]) == ([0.5], [""])
    for path in (tmp_path / "state").glob("*.npz"):
        path.write_bytes(path.read_bytes()[:20])
    assert state.read(0, 1) is None
    state.start(resume=False, overwrite=True)
    assert not (tmp_path / "state").exists()
