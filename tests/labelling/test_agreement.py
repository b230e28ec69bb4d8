import numpy as np
import pytest
from astropy.table import Table

from shredfinder.labelling import (
    LabelStore,
    compare_labellers,
    find_consensus,
    read_answers,
    tabulate_labels,
)


def test_kappa_is_scikit_learn_s():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(1)
    first = rng.choice(["galaxy", "shred", "other"], 400, p=[0.6, 0.35, 0.05])
    second = np.where(rng.random(400) < 0.8, first, rng.choice(["galaxy", "shred"], 400))
    agreement = compare_labellers(first, second)
    assert agreement.kappa == pytest.approx(metrics.cohen_kappa_score(first, second))
    assert agreement.fraction == pytest.approx(np.mean(first == second))
    counts = np.array([agreement.confusion[name] for name in ("galaxy", "shred", "other")]).T
    expected = metrics.confusion_matrix(first, second, labels=["galaxy", "shred", "other"])
    np.testing.assert_array_equal(counts, expected)


def test_the_interval_of_kappa_holds_it_as_often_as_it_says():
    rng = np.random.default_rng(2)
    held, true = 0, (0.9 - 0.5) / 0.5
    for _ in range(300):
        first = rng.choice(["galaxy", "shred"], 200)
        other = np.where(first == "galaxy", "shred", "galaxy")
        second = np.where(rng.random(200) < 0.9, first, other)
        low, high = compare_labellers(first, second).kappa_interval
        held += low <= true <= high
    assert 0.91 < held / 300 < 0.99


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
    [((["star"], ["shred"]), "unknown labels 'star'"), ((["shred"], []), "labelled 0, 1 sources")],
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
def answers(tmp_path):
    store = LabelStore(tmp_path / "answers.ecsv")
    for source, ann, ben in ((11, "galaxy", "galaxy"), (12, "shred", "galaxy"), (13, "shred", "")):
        store.add(source, "ann", ann, 3)
        if ben:
            store.add(source, "ben", ben, 1)
    store.add(12, "zoe", "shred", 3)
    store.add(11, "zoe", "shred", 3)
    store.add(14, "zoe", "shred", 3)
    return read_answers(tmp_path / "answers.ecsv")


def test_tabulates_answers_as_the_training_data_are(answers, tmp_path):
    table = tabulate_labels(answers, decider="zoe")
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
    table.write(tmp_path / "labels.ecsv")
    assert Table.read(tmp_path / "labels.ecsv")["final"].tolist() == table["final"].tolist()


def test_without_a_decider_all_count(answers):
    table = tabulate_labels(answers)
    assert table["consensus"].tolist() == ["disputed", "disputed", "shred", "shred"]
    assert "label3" in table.colnames


def test_refuses_answers_of_nobody(answers):
    with pytest.raises(ValueError, match="the labellers are ann, ben, zoe"):
        tabulate_labels(answers, decider="max")
    with pytest.raises(ValueError, match="no answers of labellers"):
        tabulate_labels(answers[answers["labeller"] == "zoe"], decider="zoe")


def test_agrees_with_what_the_training_data_say_of_themselves(data_folder):
    table = Table.read(data_folder / "labels.ecsv")
    agreement = compare_labellers(table["label"], table["label2"], classes=["galaxy", "shred"])
    assert agreement.fraction == pytest.approx(0.963, abs=0.0005)
    assert agreement.kappa == pytest.approx(0.92, abs=0.005)
    consensus, final = find_consensus([table["label"], table["label2"]], decision=table["final"])
    assert consensus.tolist() == table["consensus"].tolist()
    assert final.tolist() == table["final"].tolist()
