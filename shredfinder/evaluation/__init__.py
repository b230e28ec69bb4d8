"""How far to trust a model: metrics, intervals and cross-validation."""

from shredfinder.evaluation.cross_validation import cross_validate, make_folds
from shredfinder.evaluation.metrics import (
    bootstrap_metrics,
    calibration_error,
    compute_metrics,
    prevalence_metrics,
)

__all__ = [
    "bootstrap_metrics",
    "calibration_error",
    "compute_metrics",
    "cross_validate",
    "make_folds",
    "prevalence_metrics",
]
