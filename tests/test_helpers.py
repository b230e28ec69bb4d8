"""Small helpers that everything else stands on."""

import numpy as np
import pytest

from shredfinder import conf
from shredfinder._utils.files import atomic_write
from shredfinder._utils.runtime import count_threads, import_optional, progress_bar
from shredfinder._utils.validation import check_weights
from shredfinder.bulk.state import RunState
from shredfinder.exceptions import MissingDependencyError


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("before")

    def fail_halfway():
        with atomic_write(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()
    assert path.read_text() == "before"
    with atomic_write(path) as temporary:
        assert temporary.suffix == ".csv"
        temporary.write_text("after")
    assert path.read_text() == "after"
    assert [entry.name for entry in tmp_path.iterdir()] == ["table.csv"]


def test_a_missing_package_names_its_extra(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingDependencyError, match=r"drawing needs .*shredfinder\[tables\]"):
        import_optional("h5py", "drawing")


def test_a_bar_is_shown_on_request_and_not_in_a_log(capsys):
    for progress, shown in (("auto", False), (False, False), (True, True)):
        with progress_bar(total=2, progress=progress, desc="scoring") as bar:
            bar.update(2)
        assert ("scoring" in capsys.readouterr().err) is shown


def test_no_bar_without_a_place_for_it(monkeypatch):
    monkeypatch.setattr("sys.stderr", None)
    with progress_bar(total=2, progress=True) as bar:
        bar.update(1)
    assert bar.disable


def test_threads_are_counted_where_affinity_is_unknown(monkeypatch):
    monkeypatch.delattr("os.sched_getaffinity", raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 7)
    assert count_threads() == 7
    monkeypatch.setattr("os.cpu_count", lambda: None)
    assert count_threads() == 1
    with conf.set_temp("threads", 3):
        assert count_threads() == 3


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (["a", "b"], "must be numbers"),
        ([1.0], r"must have shape \(2,\), one weight per image"),
        ([1.0, -1.0], "not negative"),
        ([1.0, float("nan")], "finite"),
    ],
)
def test_weights_are_checked(weights, message):
    assert check_weights(None, 2).tolist() == [1, 1]
    with pytest.raises(ValueError, match=message):
        check_weights(weights, 2)


def test_an_unfinished_run_is_neither_gone_on_with_nor_thrown_away_unasked(tmp_path):
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
