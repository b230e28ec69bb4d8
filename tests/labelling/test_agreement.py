import numpy as np
import pytest
from astropy.table import Table

from shredfinder.labelling import (
    LabelStore,
    compare_labellers,
    find_consensus,
    read_labels,
    tabulate_labels,
)


def test_kappa_by_hand():
    # 20 + 15 of 50 agree; chance gives 25/50 · 30/50 + 25/50 · 20/50 = 0.5 (Cohen 1960).
    first = np.repeat(["galaxy", "galaxy", "shred", "shred"], [20, 5, 10, 15])
    second = np.repeat(["galaxy", "shred", "galaxy", "shred"], [20, 5, 10, 15])
    agreement = compare_labellers(first, second)
    assert (agreement.n, agreement.fraction) == (50, 0.7)
    assert agreement.kappa == pytest.approx(0.4)
    error = np.sqrt(0.7 * 0.3 / 50) / 0.5
    assert agreement.kappa_interval == pytest.approx((0.4 - 1.96 * error, 0.4 + 1.96 * error))
    counts = np.array([agreement.confusion[name] for name in ("galaxy", "shred", "other")]).T
    assert counts.tolist() == [[20, 5, 0], [10, 15, 0], [0, 0, 0]]


def test_the_interval_of_kappa_has_the_stated_coverage():
    rng = np.random.default_rng(2)
    held, true = 0, (0.9 - 0.5) / 0.5
    for _ in range(150):
        first = rng.choice(["galaxy", "shred"], 200)
        other = np.where(first == "galaxy", "shred", "galaxy")
        second = np.where(rng.random(200) < 0.9, first, other)
        low, high = compare_labellers(first, second).kappa_interval
        held += low <= true <= high
    assert 0.91 < held / 150 < 0.99


def test_counts_only_what_both_have_labelled():
    first = np.ma.array(["galaxy", "galaxy", "shred", "galaxy"], mask=[0, 1, 0, 0])
    agreement = compare_labellers(first, ["galaxy", "shred", "shred", ""])
    assert (agreement.n, agreement.fraction, agreement.kappa) == (2, 1.0, 1.0)
    agreement = compare_labellers(
        ["galaxy", "other", "shred"], ["galaxy", "other", "other"], classes=["galaxy", "shred"]
    )
    assert agreement.n == 1


def test_kappa_is_nan_where_chance_explains_all():
    agreement = compare_labellers(["galaxy"] * 3, ["galaxy"] * 3)
    assert agreement.fraction == 1
    assert np.isnan(agreement.kappa)
    assert np.isnan(compare_labellers([""], ["galaxy"]).fraction)


@pytest.mark.parametrize(
    ("labels", "message"),
    [((["star"], ["shred"]), "unknown labels 'star'"), ((["shred"], []), "have 0, 1 labels")],
)
def test_refuses_wrong_labels(labels, message):
    with pytest.raises(ValueError, match=message):
        compare_labellers(*labels)
    with pytest.raises(ValueError, match=message):
        find_consensus(labels)


def test_consensus_of_three():
    consensus, final = find_consensus(
        [
            ["galaxy", "shred", "", "", "other"],
            ["galaxy", "shred", "shred", "", "other"],
            ["galaxy", "galaxy", "", "", "shred"],
        ]
    )
    assert consensus.tolist() == ["galaxy", "disputed", "shred", "", "disputed"]
    assert final.tolist() == consensus.tolist()


def test_a_decision_settles_only_what_is_disputed():
    labels = [["galaxy", "shred", "shred"], ["galaxy", "galaxy", "galaxy"]]
    consensus, final = find_consensus(labels, decision=["shred", "shred", ""])
    assert consensus.tolist() == ["galaxy", "disputed", "disputed"]
    assert final.tolist() == ["galaxy", "shred", "disputed"]


def test_needs_a_labeller():
    with pytest.raises(ValueError, match="at least one"):
        find_consensus([])


@pytest.fixture
def labels(tmp_path):
    store = LabelStore(tmp_path / "labels.ecsv")
    for source, ann, ben in ((11, "galaxy", "galaxy"), (12, "shred", "galaxy"), (13, "shred", "")):
        store.add(source, "ann", ann, 3)
        if ben:
            store.add(source, "ben", ben, 1)
    store.add(12, "zoe", "shred", 3)
    store.add(11, "zoe", "shred", 3)
    store.add(14, "zoe", "shred", 3)
    return read_labels(tmp_path / "labels.ecsv")


def test_the_table_has_the_columns_of_the_training_data(labels, tmp_path):
    table = tabulate_labels(labels, decider="zoe")
    assert table.colnames == [
        "objID", "label", "confidence", "label2", "confidence2", "consensus", "final", "p_shred"
    ]  # fmt: skip
    assert table["objID"].tolist() == [11, 12, 13]
    assert table["label2"].tolist() == ["galaxy", "galaxy", None]
    assert table["consensus"].tolist() == ["galaxy", "disputed", "shred"]
    assert table["final"].tolist() == ["galaxy", "shred", "shred"]
    # ann is certain (0.02), ben guesses (0.25), zoe's decision counts as a guess.
    expected = [(0.02 + 0.25) / 2, (0.98 + 0.25 + 0.75) / 3, 0.98]
    np.testing.assert_allclose(table["p_shred"], expected, atol=1e-4)
    assert table.meta["labellers"] == ["ann", "ben"]
    table.write(tmp_path / "training.ecsv")
    assert Table.read(tmp_path / "training.ecsv")["final"].tolist() == table["final"].tolist()


def test_without_a_decider_all_labellers_count(labels):
    table = tabulate_labels(labels)
    assert table["consensus"].tolist() == ["disputed", "disputed", "shred", "shred"]
    assert "label3" in table.colnames


def test_labels_of_nobody_are_refused(labels):
    with pytest.raises(ValueError, match="the labellers are ann, ben, zoe"):
        tabulate_labels(labels, decider="max")
    with pytest.raises(ValueError, match="no labels of labellers other than"):
        tabulate_labels(labels[labels["labeller"] == "zoe"], decider="zoe")


def test_the_training_data_are_reproduced(data_folder):
    table = Table.read(data_folder / "labels.ecsv")
    agreement = compare_labellers(table["label"], table["label2"], classes=["galaxy", "shred"])
    assert agreement.fraction == pytest.approx(0.963, abs=0.0005)
    assert agreement.kappa == pytest.approx(0.92, abs=0.005)
    consensus, final = find_consensus([table["label"], table["label2"]], decision=table["final"])
    assert consensus.tolist() == table["consensus"].tolist()
    assert final.tolist() == table["final"].tolist()
