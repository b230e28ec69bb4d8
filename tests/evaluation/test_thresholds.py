import numpy as np
import pytest

from shredfinder.evaluation import choose_threshold, prevalence_metrics


@pytest.fixture(scope="module")
def scores():
    rng = np.random.default_rng(1)
    y = np.repeat([0, 1], [600, 400])
    return y, 1 / (1 + np.exp(-rng.normal(4 * y - 2, 1.5)))


def test_the_most_complete_of_the_pure_thresholds_is_taken(scores):
    y, p = scores
    choice = choose_threshold(y, p, 0.05, purity=0.8)
    found = prevalence_metrics(y, p, 0.05, threshold=choice["threshold"])
    assert found["purity"] == pytest.approx(choice["purity"])
    assert found["completeness"] == pytest.approx(choice["completeness"])
    pure = [t for t in np.unique(p) if prevalence_metrics(y, p, 0.05, threshold=t)["purity"] >= 0.8]
    assert choice["threshold"] == min(pure)


def test_the_purest_of_the_complete_thresholds_is_taken(scores):
    y, p = scores
    choice = choose_threshold(y, p, 0.05, completeness=0.95)
    assert np.mean(p[y == 1] >= choice["threshold"]) >= 0.95
    above = p[p > choice["threshold"]].min()
    assert np.mean(p[y == 1] >= above) < 0.95


def test_galaxies_are_below_the_threshold(scores):
    y, p = scores
    choice = choose_threshold(y, p, 0.2, completeness=0.99, of="galaxy")
    kept = p < choice["threshold"]
    complete, missed = np.mean(kept[y == 0]), np.mean(kept[y == 1])
    assert choice["completeness"] == pytest.approx(complete)
    assert complete >= 0.99
    assert choice["purity"] == pytest.approx(0.8 * complete / (0.8 * complete + 0.2 * missed))


def test_a_rarer_class_needs_a_higher_threshold(scores):
    y, p = scores
    rare, frequent = (
        choose_threshold(y, p, share, purity=0.9)["threshold"] for share in (0.02, 0.4)
    )
    assert rare > frequent


def test_unscored_rows_are_ignored(scores):
    y, p = scores
    more = np.r_[y, 0, 1], np.r_[p, np.nan, np.nan]
    assert choose_threshold(*more, 0.05, purity=0.8) == choose_threshold(y, p, 0.05, purity=0.8)


def test_invalid_requirements():
    y, p = [0, 1, 0, 1], [0.9, 0.9, 0.1, 0.1]
    with pytest.raises(ValueError, match=r"no threshold reaches a purity of 0\.9 .* 0\.05"):
        choose_threshold(y, p, 0.05, purity=0.9)
    with pytest.raises(ValueError, match="either purity or completeness"):
        choose_threshold(y, p, 0.05)
    with pytest.raises(ValueError, match="both classes"):
        choose_threshold([0, 0], [0.1, 0.2], 0.05, purity=0.5)
    with pytest.raises(ValueError, match="purity must be between 0 and 1"):
        choose_threshold(y, p, 0.05, purity=90)
    with pytest.raises(ValueError, match="prevalence must be a fraction"):
        choose_threshold(y, p, 5, purity=0.9)
