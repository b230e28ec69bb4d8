import subprocess
import sys

import numpy as np
import pytest
from astropy.table import Table

from shredfinder.labelling import LabelStore, read_labels

ID = 1237661381694587552


@pytest.fixture
def path(tmp_path):
    return tmp_path / "labels.ecsv"


def test_each_label_is_saved_at_once(path):
    store = LabelStore(path)
    store.add(np.int64(ID), "ann", "galaxy", 3)
    store.add(ID + 1, "ann", "shred", 1)
    store.add(ID, "ben", "other", 2)
    labels = read_labels(path)
    assert labels["objID"].tolist() == [ID, ID + 1, ID]
    assert labels["label"].tolist() == ["galaxy", "shred", "other"]
    assert labels["confidence"].tolist() == [3, 1, 2]
    assert store.get("ann") == {ID: ("galaxy", 3), ID + 1: ("shred", 1)}
    assert LabelStore(path).get("ben") == {ID: ("other", 2)}
    assert [file.name for file in path.parent.iterdir()] == ["labels.ecsv"]


def test_a_second_label_replaces_the_first(path):
    store = LabelStore(path)
    store.add(1, "ann", "galaxy", 3)
    store.add(2, "ann", "galaxy", 3)
    store.add(1, "ann", "shred", 2)
    assert store.get("ann") == {2: ("galaxy", 3), 1: ("shred", 2)}


def test_only_the_labeller_s_own_last_label_is_removed(path):
    store = LabelStore(path)
    store.add(1, "ann", "galaxy", 3)
    store.add(2, "ben", "galaxy", 3)
    assert store.remove_last("ann") == 1
    assert store.remove_last("ann") is None
    assert store.get("ben") == {2: ("galaxy", 3)}
    assert store.remove_last("ben") == 2
    assert len(read_labels(path)) == 0
    # A file without labels can be continued.
    LabelStore(path).add(3, "ann", "shred", 1)
    assert read_labels(path)["objID"].tolist() == [3]


def test_identifiers_may_be_text(path):
    store = LabelStore(path, "name")
    store.add("a, b", "Ann O'Neill, é", "galaxy", 3)
    assert LabelStore(path, "name").get("Ann O'Neill, é") == {"a, b": ("galaxy", 3)}


def test_a_labeller_may_be_called_7(path):
    LabelStore(path).add(1, "7", "galaxy", 3)
    assert LabelStore(path).get("7") == {1: ("galaxy", 3)}


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (("ann", "star", 3), "galaxy, shred, other, not 'star'"),
        (("ann", "shred", 4), "certain.*, not 4"),
        (("ann", "shred", True), "not True"),
        (("ann", "shred", "3"), "not '3'"),
        ((" ", "shred", 3), "needs a name"),
        (("a\nb", "shred", 3), "of one line"),
    ],
)
def test_invalid_labels_are_refused(path, label, message):
    store = LabelStore(path)
    with pytest.raises(ValueError, match=message):
        store.add(1, *label)
    assert not path.exists()


def test_a_label_that_cannot_be_saved_is_not_added(path, monkeypatch):
    store = LabelStore(path)
    store.add(1, "ann", "galaxy", 3)

    def fail(*args, **kwargs):
        raise OSError("no space left")

    monkeypatch.setattr(Table, "write", fail)
    with pytest.raises(OSError, match="no space"):
        store.add(2, "ann", "galaxy", 3)
    monkeypatch.undo()
    assert store.get("ann") == {1: ("galaxy", 3)} == LabelStore(path).get("ann")


def test_two_stores_on_one_file_lose_nothing(path):
    ann, ben = LabelStore(path), LabelStore(path)
    for source in range(4):
        ann.add(source, "ann", "galaxy", 3)
        ben.add(source, "ben", "shred", 2)
    assert len(read_labels(path)) == 8
    assert len(ann.get("ben")) == 4


@pytest.mark.skipif(sys.platform == "win32", reason="Windows lacks the lock")
def test_processes_at_once_lose_nothing(path):
    code = (
        "import sys; from shredfinder.labelling import LabelStore\n"
        "store = LabelStore(sys.argv[1])\n"
        "for source in range(15): store.add(source, sys.argv[2], 'shred', 1)\n"
    )
    runs = [
        subprocess.Popen([sys.executable, "-c", code, str(path), name]) for name in ("ann", "ben")
    ]
    assert [run.wait() for run in runs] == [0, 0]
    assert len(read_labels(path)) == 30


def test_refuses_other_files(path, tmp_path):
    with pytest.raises(ValueError, match=r"name an \.ecsv file"):
        LabelStore(tmp_path / "labels.csv")
    with pytest.raises(FileNotFoundError, match="absent' does not exist"):
        LabelStore(tmp_path / "absent" / "labels.ecsv")
    with pytest.raises(ValueError, match="cannot be called 'label'"):
        LabelStore(path, "label")
    Table({"objID": [1], "label": ["shred"]}).write(path)
    with pytest.raises(ValueError, match="lacks the columns labeller, confidence, time"):
        LabelStore(path)
    path.write_text("nonsense")
    with pytest.raises(ValueError, match="cannot read the labels"):
        LabelStore(path)


def test_a_file_with_invalid_labels_is_refused(path):
    LabelStore(path).add(1, "ann", "galaxy", 3)
    path.write_text(path.read_text().replace("galaxy 3", "comet 3"))
    with pytest.raises(ValueError, match="contains an invalid label"):
        LabelStore(path)


def test_a_deleted_file_is_reported(path):
    store = LabelStore(path)
    store.add(1, "ann", "galaxy", 3)
    path.unlink()
    with pytest.raises(FileNotFoundError, match="no longer exists"):
        store.add(2, "ann", "galaxy", 3)
