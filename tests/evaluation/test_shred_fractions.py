"""Shred fractions and their intervals."""

import astropy.units as u
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shredfinder.evaluation import (
    binned_shred_fractions,
    binomial_fractions,
    shred_fraction,
)


def test_wilson_interval_by_hand():
    # Wilson (1927), z = 1: centre (p + 1/2n) / (1 + 1/n), half width sqrt(p q / n + 1/4n²) / (...).
    n, k = 50, 4
    p = k / n
    center = (p + 1 / (2 * n)) / (1 + 1 / n)
    half = np.sqrt(p * (1 - p) / n + 1 / (4 * n**2)) / (1 + 1 / n)
    fraction, low, high = binomial_fractions([k], [n])
    np.testing.assert_allclose([fraction[0], low[0], high[0]], [p, center - half, center + half],
                               rtol=1e-4)  # fmt: skip


def test_unscored_rows_do_not_count():
    p_cnn = np.ma.masked_array([0.9, 0.2, np.nan, 0.8, 0.5], mask=[0, 0, 0, 1, 0])
    row = shred_fraction(p_cnn)[0]
    assert (row["n_unscored"], row["n_scored"], row["n_shreds"]) == (2, 3, 2)
    assert np.isnan(shred_fraction([np.nan])["shred_fraction"][0])
    assert shred_fraction([])["n_scored"][0] == 0


def test_edges_belong_to_one_bin():
    found = binned_shred_fractions([0.9] * 5, [15, 16, 17, 18, np.nan], [15, 16, 17])
    assert found["n_scored"].tolist() == [1, 2]
    kpc = binned_shred_fractions([0.9, 0.1], [1, 30] * u.kpc, [0, 0.01, 0.1] * u.Mpc)
    assert kpc["n_scored"].tolist() == [1, 1]
    assert kpc["high"].unit == u.kpc


@given(st.lists(st.floats(0, 1), max_size=40), st.floats(0, 1))
def test_bins_add_up(p_cnn, threshold):
    values = np.linspace(0, 1, len(p_cnn))
    binned = binned_shred_fractions(p_cnn, values, [0, 0.3, 0.7, 1], threshold=threshold)
    whole = shred_fraction(p_cnn, threshold=threshold)[0]
    assert binned["n_scored"].sum() == whole["n_scored"] == len(p_cnn)
    assert binned["n_shreds"].sum() == whole["n_shreds"] == np.sum(np.array(p_cnn) >= threshold)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0.5], [1.0, 2.0], [0, 1]), "one value for each of 1"),
        (([0.5], [1.0], [1, 1]), "two increasing numbers"),
        (([0.5], [1.0], [1]), "two increasing numbers"),
        (([1.5], [1.0], [0, 1]), "between 0 and 1"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        binned_shred_fractions(*arguments)
    with pytest.raises(ValueError, match="threshold"):
        shred_fraction([0.5], threshold=7)
