import numpy as np
import pytest
from astropy import units as u

from shredfinder.evaluation import binned_metrics, compute_metrics

Y = np.array([0, 1, 0, 1, 0, 1, 0, 1])
P = np.array([0.1, 0.9, 0.2, 0.8, 0.6, 0.4, 0.3, np.nan])


def test_bins_of_a_quantity_with_intervals():
    values = [15, 15.5, 16, 16.9, 17, 17.5, 18, 18] * u.mag
    table = binned_metrics(Y, P, values, [15, 16, 17, 18] * u.mag, n_resamples=20)
    assert table["low"].unit == u.mag
    assert table["n"].tolist() == [2, 2, 3]
    assert table["accuracy"].tolist() == pytest.approx([1, 1, 1 / 3])
    assert table["accuracy_low"][2] <= 1 / 3 <= table["accuracy_high"][2]


def test_names_and_masked_values():
    kinds = np.ma.array(["arm", "knot"] * 4, mask=[True] + [False] * 7)
    table = binned_metrics(Y, P, kinds)
    assert table["value"].tolist() == ["arm", "knot"]
    assert table["n"].tolist() == [3, 3]
    assert np.isnan(table["auc"]).all()  # of one class each


def test_bins_of_equal_numbers_and_empty_bins():
    values = np.array([1, 2, 3, 4, 5, 6, 7, 8.0])
    assert binned_metrics(Y, P, values, 2)["n"].tolist() == [4, 3]
    empty = binned_metrics(Y, P, values, [0, 0.5, 10])
    assert empty["n"].tolist() == [0, 7]
    assert np.isnan(empty["accuracy"][0])
    assert empty["accuracy"][1] == compute_metrics(Y, P)["accuracy"]


def test_invalid_input():
    with pytest.raises(
        ValueError, match=r"must have the same shape, got \(8,\), \(8,\) and \(2,\)"
    ):
        binned_metrics(Y, P, [1, 2])
    with pytest.raises(ValueError, match="two increasing numbers"):
        binned_metrics(Y, P, P, [1, 0])
    with pytest.raises(ValueError, match="a positive number of bins"):
        binned_metrics(Y, P, P, 0)
