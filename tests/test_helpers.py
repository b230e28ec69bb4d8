"""Small helpers that everything else stands on."""

import pytest

from shredfinder.atomic import replacing
from shredfinder.exceptions import MissingDependencyError
from shredfinder.optional import import_optional
from shredfinder.progress import progress_bar


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("before")

    def fail_halfway():
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()
    assert path.read_text() == "before"
    with replacing(path) as temporary:
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
