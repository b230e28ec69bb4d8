import numpy as np
import pytest

from shredfinder.labelling import LabellingSession, LabelStore, blind_order


@pytest.fixture
def store(tmp_path):
    return LabelStore(tmp_path / "labels.ecsv")


def test_orders_differ_between_labellers_and_are_reproducible():
    orders = [blind_order(50, name).tolist() for name in ("ann", "ben", "ann")]
    assert orders[0] == orders[2] != orders[1]
    assert blind_order(50, "ann", random_state=1).tolist() != orders[0]
    assert sorted(orders[0]) == list(range(50))


def test_all_sources_are_shown_in_blind_order(store):
    session = LabellingSession(np.arange(10, 15), store, "ann")
    seen = []
    while session.current is not None:
        seen.append(session.current)
        assert session.upcoming != session.current
        session.label("galaxy", 3)
    assert seen == blind_order(5, "ann").tolist()
    assert (session.n_done, session.n_total) == (5, 5)
    assert list(store.get("ann")) == [10 + row for row in seen]
    with pytest.raises(ValueError, match="all sources are labelled"):
        session.label("galaxy", 3)
    session.skip()
    session.undo()
    assert session.current == seen[-1]


def test_resumes(store):
    LabellingSession([1, 2, 3], store, "ann", order=[2, 1, 0]).label("shred", 1)
    again = LabellingSession([1, 2, 3], store, "ann", order=[2, 1, 0])
    assert (again.current, again.n_done) == (1, 1)
    assert LabellingSession([1, 2, 3], store, "ben").n_done == 0
    assert again.can_undo
    again.undo()
    assert (again.current, again.n_done) == (2, 0)
    assert not again.can_undo
    again.undo()
    assert again.current == 2


def test_resumes_with_byte_strings_of_a_fits_file(store):
    LabellingSession(np.array([b"a", b"b"]), store, "ann", order=[0, 1]).label("shred", 1)
    again = LabelStore(store.path)
    assert LabellingSession(np.array([b"a", b"b"]), again, "ann", order=[0, 1]).current == 1


def test_skipped_sources_come_last(store):
    session = LabellingSession([1, 2, 3], store, "ann", order=[0, 1, 2])
    session.skip()
    session.label("galaxy", 3)
    session.label("galaxy", 3)
    assert session.current == 0
    session.skip()
    assert session.current == 0
    assert list(store.get("ann")) == [2, 3]


def test_undo_reverts_skips_then_labels(store):
    session = LabellingSession([1, 2, 3], store, "ann", order=[0, 1, 2])
    session.label("galaxy", 3)
    session.skip()
    session.undo()
    assert (session.current, session.n_done) == (1, 1)
    session.undo()
    assert (session.current, session.n_done) == (0, 0)
    assert store.get("ann") == {}


def test_labels_of_other_tables_stay(store):
    store.add(99, "ann", "shred", 1)
    session = LabellingSession([1, 2], store, "ann", order=[0, 1])
    assert (session.n_done, session.n_total) == (0, 2)
    session.undo()
    assert session.current == 0
    assert store.get("ann") == {99: ("shred", 1)}


@pytest.mark.parametrize(
    ("sources", "order", "message"),
    [
        ([1, 1], None, "not unique"),
        (np.ma.array([1, 2], mask=[0, 1]), None, "masked"),
        ([1, 2], [0, 2], "different rows from 0 to 1"),
        ([1, 2], [0, 0], "different rows from 0 to 1"),
    ],
)
def test_refuses_wrong_sources(store, sources, order, message):
    with pytest.raises(ValueError, match=message):
        LabellingSession(sources, store, "ann", order=order)
