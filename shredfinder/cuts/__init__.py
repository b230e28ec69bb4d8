"""Photometric cuts: SAGA's selection and the quality criteria of each survey."""

from shredfinder.cuts.criteria import (
    CUT_PRESETS,
    CutPreset,
    QualityResult,
    get_preset,
    register_preset,
)
from shredfinder.cuts.magnitudes import (
    color_error,
    deredden,
    dereddened_magnitude,
    extinction,
    magnitude_error,
    surface_brightness_error,
)
from shredfinder.cuts.quality import legacy_quality_cut, ps1_quality_cut, sdss_quality_cut
from shredfinder.cuts.saga import (
    effective_surface_brightness,
    saga_color_cut,
    saga_cut,
    saga_surface_brightness_cut,
)
from shredfinder.cuts.saga_quality import saga_dr3_quality_cut
from shredfinder.cuts.table_cuts import candidate_cut, photometry, quality_cut

__all__ = [
    "CUT_PRESETS",
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
    "saga_dr3_quality_cut",
    "saga_surface_brightness_cut",
    "sdss_quality_cut",
    "surface_brightness_error",
]
