"""Facts about each survey: images, catalogue, quality thresholds and extinction."""

from shredfinder.surveys.catalog_preset import CatalogPreset
from shredfinder.surveys.legacy import LEGACY
from shredfinder.surveys.ps1 import PS1, PS1_QUALITY_FLAGS
from shredfinder.surveys.registry import (
    COLOR_MAPPINGS,
    DEFAULT_SURVEY,
    SAGA_THRESHOLDS,
    SURVEYS,
    ColorMapping,
    Imaging,
    Survey,
    get_catalog_preset,
    get_survey,
    get_wavelength,
    register_survey,
)
from shredfinder.surveys.sdss import SDSS, SDSS_FLAGS

__all__ = [
    "COLOR_MAPPINGS",
    "DEFAULT_SURVEY",
    "LEGACY",
    "PS1",
    "PS1_QUALITY_FLAGS",
    "SAGA_THRESHOLDS",
    "SDSS",
    "SDSS_FLAGS",
    "SURVEYS",
    "CatalogPreset",
    "ColorMapping",
    "Imaging",
    "Survey",
    "get_catalog_preset",
    "get_survey",
    "get_wavelength",
    "register_survey",
]
