import numpy as np
import pytest
from astropy.table import MaskedColumn, Table

from shredfinder.labelling import apply_corrections, rank_contradicted


def test_ranks_the_most_contradicted_first():
    ranked = rank_contradicted(["galaxy", "shred", "galaxy", "shred"], [0.1, 0.01, 0.95, 0.8])
    assert ranked["row"].tolist() == [1, 2, 3, 0]
    np.testing.assert_allclose(ranked["p_label"], [0.01, 0.05, 0.8, 0.9])


def test_sources_without_class_or_probability_are_ignored():
    p = np.ma.array([0.9, 0.9, np.nan, 0.9, 0.4], mask=[0, 0, 0, 1, 0])
    ranked = rank_contradicted(["other", "disputed", "galaxy", "galaxy", "galaxy"], p)
    assert ranked["row"].tolist() == [4]


def test_soft_labels_are_accepted():
    ranked = rank_contradicted([0.5, 0.9, 0.1], [1.0, 0.0, 0.1])
    assert ranked["row"].tolist() == [1, 0, 2]
    np.testing.assert_allclose(ranked["p_label"], [0.1, 0.5, 0.82])


@pytest.mark.parametrize(
    ("p", "message"),
    [([0.1], "one probability for each of 2 labels"), ([0.1, 1.2], "got 0.1 to 1.2")],
)
def test_refuses_wrong_probabilities(p, message):
    with pytest.raises(ValueError, match=message):
        rank_contradicted(["galaxy", "shred"], p)


@pytest.fixture
def labelled():
    # SDSS identifiers exceed the precision of a float, and must not be converted to one.
    return Table(
        {"objID": [1237661381694587552, 1237661381694587553], "final": ["shred", "galaxy"]}
    )


def corrections(**changed):
    row = {
        "objID": 1237661381694587552,
        "original": "shred",
        "corrected": "galaxy",
        "reason": "a faint galaxy",
    }
    return Table(rows=[row | changed])


def test_corrects_a_copy(labelled):
    labels = apply_corrections(labelled, corrections())
    assert labels.tolist() == ["galaxy", "galaxy"]
    assert labelled["final"].tolist() == ["shred", "galaxy"]
    assert labels.name == "final"


def test_a_longer_label_fits(labelled):
    labels = apply_corrections(labelled, corrections(corrected="disputed"))
    assert labels.tolist() == ["disputed", "galaxy"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"original": "galaxy", "corrected": "shred"}, "not 'galaxy' as in its correction"),
        ({"corrected": "shred"}, "must be another of"),
        ({"corrected": "star"}, "must be another of galaxy, shred, other, disputed"),
        ({"reason": "  "}, "has no reason"),
        ({"objID": 5}, "the corrected source 5 is not in the table"),
    ],
)
def test_refuses_a_correction_that_does_not_fit(labelled, changed, message):
    with pytest.raises(ValueError, match=message):
        apply_corrections(labelled, corrections(**changed))


def test_partial_ignores_other_sources(labelled):
    labels = apply_corrections(labelled, corrections(objID=5), partial=True)
    assert labels.tolist() == ["shred", "galaxy"]


def test_refuses_a_source_named_twice(labelled):
    twice = corrections()
    twice.add_row(twice[0])
    with pytest.raises(ValueError, match="1237661381694587552 twice"):
        apply_corrections(labelled, twice)
    labelled["objID"][1] = labelled["objID"][0]
    with pytest.raises(ValueError, match="twice"):
        apply_corrections(labelled, corrections())


def test_reads_bytes_and_masked_text(labelled):
    labelled["final"] = np.array([b"shred", b"galaxy"])
    changes = corrections()
    assert apply_corrections(labelled, changes).tolist() == ["galaxy", "galaxy"]
    changes["reason"] = MaskedColumn(["seen"], mask=[True])
    with pytest.raises(ValueError, match="has no reason"):
        apply_corrections(labelled, changes)


def test_names_a_missing_column(labelled):
    with pytest.raises(KeyError, match="label"):
        apply_corrections(labelled, corrections(), column="label")
