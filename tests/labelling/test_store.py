import subprocess
import sys

import numpy as np
import pytest
from astropy.table import Table

from shredfinder.labelling import LabelStore, read_answers

ID = 1237661381694587552


@pytest.fixture
def path(tmp_path):
    return tmp_path / "answers.ecsv"


def test_every_answer_is_in_the_file_at_once(path):
    store = LabelStore(path)
    store.add(np.int64(ID), "ann", "galaxy", 3)
    store.add(ID + 1, "ann", "shred", 1)
    store.add(ID, "ben", "other", 2)
    answers = read_answers(path)
    assert answers["objID"].tolist() == [ID, ID + 1, ID]
    assert answers["label"].tolist() == ["galaxy", "shred", "other"]
    assert answers["confidence"].tolist() == [3, 1, 2]
    assert store.get("ann") == {ID: ("galaxy", 3), ID + 1: ("shred", 1)}
    assert LabelStore(path).get("ben") == {ID: ("other", 2)}
    assert [file.name for file in path.parent.iterdir()] == ["answers.ecsv"]


def test_a_second_answer_takes_the_place_of_the_first(path):
    store = LabelStore(path)
    store.add(1, "ann", "galaxy", 3)
    store.add(2, "ann", "galaxy", 3)
    store.add(1, "ann", "shred", 2)
    assert store.get("ann") == {2: ("galaxy", 3), 1: ("shred", 2)}


def test_takes_back_a_labeller_s_own_last_answer(path):
    store = LabelStore(path)
    store.add(1, "ann", "galaxy", 3)
    store.add(2, "ben", "galaxy", 3)
    assert store.remove_last("ann") == 1
    assert store.remove_last("ann") is None
    assert store.get("ben") == {2: ("galaxy", 3)}
    assert store.remove_last("ben") == 2
    assert len(read_answers(path)) == 0
    # A file of no answers is one to go on with.
    LabelStore(path).add(3, "ann", "shred", 1)
    assert read_answers(path)["objID"].tolist() == [3]


def test_text_identifies_too(path):
    store = LabelStore(path, "name")
    store.add("a, b", "Ann O'Neill, é", "galaxy", 3)
    assert LabelStore(path, "name").get("Ann O'Neill, é") == {"a, b": ("galaxy", 3)}


def test_a_labeller_may_be_called_7(path):
    LabelStore(path).add(1, "7", "galaxy", 3)
    assert LabelStore(path).get("7") == {1: ("galaxy", 3)}


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (("ann", "star", 3), "galaxy, shred, other, not 'star'"),
        (("ann", "shred", 4), "certain.*, not 4"),
        (("ann", "shred", True), "not True"),
        (("ann", "shred", "3"), "not '3'"),
        ((" ", "shred", 3), "needs a name"),
        (("a\nb", "shred", 3), "in one line"),
    ],
)
def test_refuses_what_is_no_answer(path, answer, message):
    store = LabelStore(path)
    with pytest.raises(ValueError, match=message):
        store.add(1, *answer)
    assert not path.exists()


def test_what_can_t_be_saved_is_not_taken(path, monkeypatch):
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
    assert len(read_answers(path)) == 8
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
    assert len(read_answers(path)) == 30


def test_refuses_other_files(path, tmp_path):
    with pytest.raises(ValueError, match=r"give a file \.ecsv"):
        LabelStore(tmp_path / "answers.csv")
    with pytest.raises(FileNotFoundError, match="no folder"):
        LabelStore(tmp_path / "absent" / "answers.ecsv")
    with pytest.raises(ValueError, match="can't name sources"):
        LabelStore(path, "label")
    Table({"objID": [1], "label": ["shred"]}).write(path)
    with pytest.raises(ValueError, match="lacks the columns labeller, confidence, time"):
        LabelStore(path)
    path.write_text("nonsense")
    with pytest.raises(ValueError, match="can't be read"):
        LabelStore(path)


def test_refuses_a_file_with_wrong_answers(path):
    LabelStore(path).add(1, "ann", "galaxy", 3)
    path.write_text(path.read_text().replace("galaxy 3", "comet 3"))
    with pytest.raises(ValueError, match="hold a wrong one"):
        LabelStore(path)


def test_says_that_the_file_has_gone(path):
    store = LabelStore(path)
    store.add(1, "ann", "galaxy", 3)
    path.unlink()
    with pytest.raises(FileNotFoundError, match="have gone"):
        store.add(2, "ann", "galaxy", 3)
