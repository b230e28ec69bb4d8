"""Columns of a plain Table may be masked, and the numbers under a mask mean nothing."""

import numpy as np
import pytest
from astropy.table import MaskedColumn
from astropy.utils.masked import Masked

from shredfinder import evaluation
from shredfinder.training import encode_labels

Y = np.array([0, 0, 0, 0, 1, 1, 1, 1])
P = np.array([0.1, 0.3, 0.2, np.nan, 0.9, 0.7, 0.4, np.nan])
OTHER = np.array([0.2, 0.3, 0.7, 0.1, 0.9, 0.4, 0.6, 0.2])
MASKS = [
    lambda p: np.ma.masked_array(np.where(np.isnan(p), 0.99, p), np.isnan(p)),
    lambda p: MaskedColumn(np.where(np.isnan(p), 0.99, p), mask=np.isnan(p)),
    lambda p: Masked(np.where(np.isnan(p), 0.99, p), np.isnan(p)),
]
FUNCTIONS = {
    "metrics": lambda p: evaluation.compute_metrics(Y, p),
    "calibration": lambda p: evaluation.calibration_error(Y, p),
    "binned": lambda p: evaluation.binned_metrics(Y, p, np.arange(8) // 4)["n"].tolist(),
    "bootstrap": lambda p: evaluation.bootstrap_metrics(Y, p, n_resamples=20),
    "prevalence": lambda p: evaluation.prevalence_metrics(Y, p, 0.05),
    "threshold": lambda p: evaluation.choose_threshold(Y, p, 0.05, completeness=0.9),
    "models": lambda p: evaluation.compare_models(Y, p, OTHER, n_resamples=20),
    "other model": lambda p: evaluation.compare_models(Y, OTHER, p, n_resamples=20),
    "aucs": lambda p: evaluation.compare_aucs(Y, p, OTHER),
    "shred fraction": evaluation.shred_fraction,
    "calibrated": lambda p: evaluation.fit_calibration(Y, p).temperature,
    "calibrated folds": lambda p: evaluation.calibrate_folds(Y, p, np.tile([0, 1], 4)),
    "folds": lambda p: evaluation.make_folds(p, n_splits=2).tolist(),
}


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_masked_probabilities(name, mask):
    function = FUNCTIONS[name]
    np.testing.assert_equal(function(mask(P)), function(P))


@pytest.mark.parametrize("mask", MASKS)
def test_masked_labels(mask):
    labels = mask(np.where(np.arange(8) == 2, np.nan, Y.astype(float)))
    assert np.isnan(encode_labels(labels)[2])
    with pytest.raises(ValueError, match="labels must be 0"):
        evaluation.compute_metrics(labels, P)


@pytest.mark.parametrize("mask", MASKS)
def test_plots_of_masked_probabilities(mask):
    pytest.importorskip("matplotlib")
    from shredfinder.plotting import plot_p_cnn, plot_reliability, plot_roc

    for plot in (plot_roc, plot_reliability):
        lines = [plot(Y, p).lines[0].get_xydata() for p in (P, mask(P))]
        np.testing.assert_equal(*lines)
    steps = [[patch.get_data().values for patch in plot_p_cnn(p, Y).patches] for p in (P, mask(P))]
    np.testing.assert_equal(*steps)
