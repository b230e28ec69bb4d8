import numpy as np
import pytest

from shredfinder.training import combine_raters, encode_labels, split_groups


def test_names_numbers_and_masks():
    expected = [0, 1, np.nan]
    np.testing.assert_array_equal(encode_labels(["galaxy", "shred", "other"]), expected)
    np.testing.assert_array_equal(encode_labels([b"galaxy", b"shred", b"other"]), expected)
    np.testing.assert_array_equal(encode_labels([0, 1, np.nan]), expected)
    np.testing.assert_array_equal(encode_labels(np.ma.array([0, 1, 1], mask=[0, 0, 1])), expected)
    np.testing.assert_array_equal(encode_labels([False, True]), [0, 1])
    np.testing.assert_array_equal(encode_labels(["galaxy", "shred", ""]), expected)
    np.testing.assert_array_equal(encode_labels([b"galaxy", b"shred", b" "]), expected)
    np.testing.assert_array_equal(
        encode_labels(np.array(["galaxy", "shred", None], object)), expected
    )
    np.testing.assert_array_equal(encode_labels([0.25, 0.75]), [0.25, 0.75])


@pytest.mark.parametrize("y", [["star"], [2], [-0.1], [np.inf], ["Galaxy"]])
def test_other_labels_are_refused(y):
    with pytest.raises(ValueError, match="unknown labels"):
        encode_labels(y)


def test_labels_are_one_dimensional():
    with pytest.raises(ValueError, match=r"shape \(n,\)"):
        encode_labels([[0, 1]])


def test_a_split_keeps_groups_whole_and_classes_balanced():
    rng = np.random.default_rng(0)
    p_shred = (rng.random(500) < 0.4).astype(float)
    groups = rng.integers(0, 200, 500)
    kept, aside = split_groups(p_shred, groups, 0.2, random_state=3)
    assert not set(groups[kept]) & set(groups[aside])
    assert sorted([*kept, *aside]) == list(range(500))
    assert len(aside) / 500 == pytest.approx(0.2, abs=0.04)
    assert p_shred[aside].mean() == pytest.approx(p_shred.mean(), abs=0.05)
    np.testing.assert_array_equal(split_groups(p_shred, groups, 0.2, random_state=3)[1], aside)


def test_too_few_groups_are_refused():
    with pytest.raises(ValueError, match=r"cannot set 0\.5 of 1 groups aside"):
        split_groups(np.array([0.0, 1, 0, 1]), [1, 1, 1, 1], 0.5)


def test_raters_are_combined_by_their_confidence():
    p_shred = combine_raters(
        [["shred", "galaxy", "shred", "other"], np.ma.array([1, 0, 0, 1], mask=[0, 1, 0, 1])],
        [[3, 2, 1, 3], [1, 3, 3, 1]],
    )
    expected = [(0.98 + 0.75) / 2, 0.07, (0.75 + 0.02) / 2, np.nan]
    np.testing.assert_allclose(p_shred, expected)
    assert combine_raters([["shred"]], [["sure"]], error_rates={"sure": 0.1}) == [0.9]


@pytest.mark.parametrize(
    ("labels", "confidences", "message"),
    [
        ([["shred"]], [[4]], "rater 1 uses the confidences 4"),
        ([["shred"]], [[3], [3]], "got 1 sets of labels and 2"),
        ([], [], "got 0 sets"),
        ([["shred"]], [[3, 3]], r"of shape \(1,\) but confidences of shape \(2,\)"),
        ([["shred"], [0, 1]], [[3], [3, 3]], "labelled 1, 2 sources"),
    ],
)
def test_inconsistent_raters_are_refused(labels, confidences, message):
    with pytest.raises(ValueError, match=message):
        combine_raters(labels, confidences)
