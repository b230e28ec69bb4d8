import numpy as np
import pytest

from shredfinder.evaluation import estimate_shred_fraction

TRUE, SENSITIVITY, SPECIFICITY = 0.05, 0.95, 0.97


def _draw(rng, n_shreds, n_galaxies):
    """Draw scores of a classifier of known rates."""
    y = np.repeat([1, 0], [n_shreds, n_galaxies])
    called = rng.random(len(y)) < np.where(y == 1, SENSITIVITY, 1 - SPECIFICITY)
    return y, np.where(called, 0.9, 0.1)


def test_the_corrected_fraction_by_hand():
    y = np.repeat([1, 0], [100, 200])
    p = np.r_[np.repeat([0.9, 0.1], [90, 10]), np.repeat([0.9, 0.1], [10, 190])]
    found = estimate_shred_fraction(np.repeat([0.9, 0.1, np.nan], [20, 80, 5]), y, p)[0]
    assert (found["n_scored"], found["n_shreds"]) == (100, 20)
    assert (found["sensitivity"], found["specificity"]) == (0.9, 0.95)
    assert found["shred_fraction"] == pytest.approx((0.2 + 0.95 - 1) / (0.9 + 0.95 - 1))
    assert found["shred_fraction_low"] < found["shred_fraction"] < found["shred_fraction_high"]


def test_intervals_have_their_nominal_coverage():
    rng = np.random.default_rng(0)
    held, plain, estimates = 0, 0, []
    for _ in range(400):
        _, p_cnn = _draw(rng, *(int(share * 2000) for share in (TRUE, 1 - TRUE)))
        found = estimate_shred_fraction(p_cnn, *_draw(rng, 300, 500))[0]
        held += found["shred_fraction_low"] <= TRUE <= found["shred_fraction_high"]
        plain += abs(found["apparent_fraction"] - TRUE) < 0.01
        estimates.append(found["shred_fraction"])
    assert np.mean(estimates) == pytest.approx(TRUE, abs=0.002)
    assert plain / 400 < 0.2
    assert 0.92 <= held / 400 <= 0.99


def test_correlated_errors_widen_the_interval():
    rng = np.random.default_rng(3)
    y = np.repeat(np.arange(80) % 2, 10)
    called = np.repeat(rng.random(80) < np.where(np.arange(80) % 2, 0.9, 0.1), 10)
    p, p_cnn = np.where(called, 0.9, 0.1), np.repeat([0.9, 0.1], [300, 700])
    width = []
    for groups in (None, np.repeat(np.arange(80), 10)):
        found = estimate_shred_fraction(p_cnn, y, p, groups=groups)[0]
        width.append(found["shred_fraction_high"] - found["shred_fraction_low"])
    assert width[1] > 1.8 * width[0]


def test_fractions_stay_within_0_and_1():
    y = np.repeat([1, 0], [100, 100])
    p = np.r_[np.full(100, 0.9), np.repeat([0.9, 0.1], [10, 90])]
    found = estimate_shred_fraction(np.full(50, 0.1), y, p)[0]
    assert found["shred_fraction"] == found["shred_fraction_low"] == 0
    assert 0 < found["shred_fraction_high"] < 0.2


def test_uninformative_input_is_refused():
    y, p = [0, 0, 1, 1], [0.1, 0.1, 0.9, 0.9]
    with pytest.raises(ValueError, match="no source of the catalogue is scored"):
        estimate_shred_fraction([np.nan], y, p)
    with pytest.raises(ValueError, match="no better than chance"):
        estimate_shred_fraction([0.1], y, [0.9, 0.9, 0.1, 0.1])
    with pytest.raises(ValueError, match="include scored galaxies and scored shreds"):
        estimate_shred_fraction([0.1], [0, 0], [0.1, 0.2])
    with pytest.raises(ValueError, match="groups of shape"):
        estimate_shred_fraction([0.1], y, p, groups=[1])
