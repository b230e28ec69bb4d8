"""Cuts on photometric catalogues: SAGA's selection and each survey's quality criteria."""

from shredfinder.cuts.errors import color_error, magnitude_error, surface_brightness_error
from shredfinder.cuts.extinction import (
    EXTINCTION_COEFFICIENTS,
    deredden,
    dereddened_magnitude,
    extinction,
)
from shredfinder.cuts.legacy import legacy_quality_cut
from shredfinder.cuts.presets import CUT_PRESETS, CutPreset, get_preset, register_preset
from shredfinder.cuts.ps1 import PS1_QUALITY_FLAGS, ps1_quality_cut
from shredfinder.cuts.result import QualityResult
from shredfinder.cuts.saga import (
    effective_surface_brightness,
    saga_color_cut,
    saga_cut,
    saga_surface_brightness_cut,
)
from shredfinder.cuts.sdss import SDSS_FLAGS, sdss_quality_cut
from shredfinder.cuts.tables import candidate_cut, photometry, quality_cut

__all__ = [
    "CUT_PRESETS",
    "EXTINCTION_COEFFICIENTS",
    "PS1_QUALITY_FLAGS",
    "SDSS_FLAGS",
    "CutPreset",
    "QualityResult",
    "candidate_cut",
    "color_error",
    "deredden",
    "dereddened_magnitude",
    "effective_surface_brightness",
    "extinction",
    "get_preset",
    "legacy_quality_cut",
    "magnitude_error",
    "photometry",
    "ps1_quality_cut",
    "quality_cut",
    "register_preset",
    "saga_color_cut",
    "saga_cut",
    "saga_surface_brightness_cut",
    "sdss_quality_cut",
    "surface_brightness_error",
]
