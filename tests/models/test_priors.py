import numpy as np
import pytest

from shredfinder.models import adjust_prior, estimate_prior


def test_bayes_rule_by_hand():
    # Odds 4 at a training prior of 0.4: likelihood ratio 4 / (0.4/0.6) = 6; times 0.05/0.95.
    odds = 6 * 0.05 / 0.95
    assert adjust_prior(0.8, 0.05, 0.4) == pytest.approx(odds / (1 + odds))


def test_the_training_prior_changes_nothing():
    p = np.array([0, 0.2, 0.7, 1, np.nan])
    np.testing.assert_allclose(adjust_prior(p, 0.4, 0.4), p)


def test_there_and_back():
    p = np.linspace(0.01, 0.99, 9)
    np.testing.assert_allclose(adjust_prior(adjust_prior(p, 0.05, 0.4), 0.4, 0.05), p)


@pytest.mark.parametrize("prior", [0, 1, -0.1, 2, np.nan, [0.1], None])
def test_priors_must_be_fractions(prior):
    with pytest.raises(ValueError, match="fraction between 0 and 1"):
        adjust_prior(0.5, prior, 0.4)


@pytest.mark.parametrize("truth", [0.05, 0.2, 0.6])
def test_the_estimate_recovers_the_true_fraction(truth):
    # Exact posteriors of two Gaussians, with 40 % shreds in training.
    rng = np.random.default_rng(5)
    is_shred = rng.random(40_000) < truth
    score = rng.normal(np.where(is_shred, 1.5, -1.5), 1)
    p = 1 / (1 + np.exp(-3 * score) * 0.6 / 0.4)
    p[::1000] = np.nan
    assert estimate_prior(p, 0.4) == pytest.approx(truth, abs=0.01)


def test_no_scores_give_no_estimate():
    assert np.isnan(estimate_prior([np.nan], 0.4))
