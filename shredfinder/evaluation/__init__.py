"""Evaluate a model: metrics with intervals, thresholds, comparisons and cross-validation."""

from shredfinder._utils.fractions import (
    binned_shred_fractions,
    binomial_fractions,
    shred_fraction,
)
from shredfinder.evaluation.comparison import compare_aucs, compare_models
from shredfinder.evaluation.cross_validation import cross_validate, make_folds
from shredfinder.evaluation.metrics import (
    binned_metrics,
    bootstrap_metrics,
    calibration_error,
    compute_metrics,
    prevalence_metrics,
)
from shredfinder.evaluation.prevalence import choose_threshold, estimate_shred_fraction
from shredfinder.models.calibration import calibrate_folds, fit_calibration

__all__ = [
    "binned_metrics",
    "binned_shred_fractions",
    "binomial_fractions",
    "bootstrap_metrics",
    "calibrate_folds",
    "calibration_error",
    "choose_threshold",
    "compare_aucs",
    "compare_models",
    "compute_metrics",
    "cross_validate",
    "estimate_shred_fraction",
    "fit_calibration",
    "make_folds",
    "prevalence_metrics",
    "shred_fraction",
]
