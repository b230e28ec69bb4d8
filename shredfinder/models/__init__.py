"""Networks: how they are built, described, saved and run."""

from shredfinder.models.architectures import ARCHITECTURES, build_network, import_keras
from shredfinder.models.calibration import Calibration
from shredfinder.models.description import ModelDescription, apply_stretch, fit_stretch
from shredfinder.models.model import TrainedModel
from shredfinder.models.novelty import NoveltyMeasure
from shredfinder.models.priors import (
    PriorEstimate,
    adjust_prior,
    apply_prior,
    check_prior,
    estimate_prior,
)

__all__ = [
    "ARCHITECTURES",
    "Calibration",
    "ModelDescription",
    "NoveltyMeasure",
    "PriorEstimate",
    "TrainedModel",
    "adjust_prior",
    "apply_prior",
    "apply_stretch",
    "build_network",
    "check_prior",
    "estimate_prior",
    "fit_stretch",
    "import_keras",
]
