import numpy as np
import pytest

from shredfinder.labelling import next_to_label

P = np.array([0.02, 0.5, 0.9, 0.4, 0.97, np.nan])


def test_the_most_uncertain_come_first():
    assert next_to_label(P, 3).tolist() == [1, 3, 2]


def test_labelled_and_unscored_sources_are_not_selected():
    labelled = np.array([False, True, False, False, True, False])
    assert next_to_label(P, 9, labelled=labelled).tolist() == [3, 2, 0]
    masked = np.ma.array(P, mask=[0, 0, 0, 1, 0, 0])
    assert next_to_label(masked, 2).tolist() == [1, 2]


@pytest.fixture
def clumps():
    """Three clumps of uncertain sources, one of them large; and many certain ones."""
    rng = np.random.default_rng(0)
    sizes = (80, 10, 10, 200)
    centers = np.array([[10, 0], [0, 10], [-10, 0], [0, -10]])
    features = np.repeat(centers, sizes, axis=0) + rng.normal(0, 0.3, (300, 2))
    p = np.r_[rng.uniform(0.49, 0.51, 80), rng.uniform(0.3, 0.4, 20), np.full(200, 0.001)]
    return features, p, np.repeat(np.arange(4), sizes)


def test_features_diversify_the_selection(clumps):
    features, p, clump = clumps
    assert set(clump[next_to_label(p, 12)]) == {0}
    for seed in range(10):
        chosen = clump[next_to_label(p, 12, features=features, random_state=seed)]
        assert {0, 1, 2} <= set(chosen)
        # All certain sources lie near the origin: at most one of them is drawn.
        assert np.sum(chosen == 3) <= 1


def test_the_selection_is_reproducible_and_without_repetition(clumps):
    features, p, _ = clumps
    chosen = [next_to_label(p, 40, features=features, random_state=s) for s in (1, 1, 2)]
    assert chosen[0].tolist() == chosen[1].tolist() != chosen[2].tolist()
    assert len(np.unique(chosen[0])) == 40


def test_coinciding_sources_are_drawn_once_each():
    p = np.r_[np.full(20, 1.0), 0.5, 0.4]
    rows = next_to_label(p, 6, features=np.ones((22, 2)))
    assert len(np.unique(rows)) == 6
    assert {20, 21} <= set(rows.tolist())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((P, 0), "at least 1, not 0"),
        ((P[None], 1), r"not of shape \(1, 6\)"),
        ((P + 1, 1), "between 0 and 1"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        next_to_label(*arguments)


def test_refuses_arrays_that_do_not_fit():
    with pytest.raises(ValueError, match="labelled must be boolean"):
        next_to_label(P, 1, labelled=[1, 2])
    with pytest.raises(ValueError, match="labelled must be boolean"):
        next_to_label(P, 1, labelled=[0, 1, 0, 0, 0, 0])
    with pytest.raises(ValueError, match=r"shape \(6, n_features\)"):
        next_to_label(P, 1, features=np.ones((5, 2)))
    with pytest.raises(ValueError, match="must be finite"):
        next_to_label(P, 1, features=np.full((6, 2), np.nan))
