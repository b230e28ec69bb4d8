"""Progress bars, threads, optional dependencies, and checks of weights."""

import pytest

from shredfinder import conf
from shredfinder._utils.runtime import count_threads, import_optional, progress_bar
from shredfinder._utils.validation import check_weights
from shredfinder.exceptions import MissingDependencyError


def test_a_missing_package_names_its_extra(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingDependencyError, match=r"drawing needs .*shredfinder\[tables\]"):
        import_optional("h5py", "drawing")


def test_a_bar_is_shown_on_request_but_not_in_a_log(capsys):
    for progress, shown in (("auto", False), (False, False), (True, True)):
        with progress_bar(total=2, progress=progress, desc="scoring") as bar:
            bar.update(2)
        assert ("scoring" in capsys.readouterr().err) is shown


def test_no_bar_without_stderr(monkeypatch):
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
