"""Facts about each survey: bands, scale, seeing, column names and colours."""

from shredfinder.surveys.catalog_columns import (
    CATALOGS,
    NSA_COLUMNS,
    CatalogColumns,
    get_catalog_columns,
)
from shredfinder.surveys.registry import (
    COLOR_MAPPINGS,
    DEFAULT_SURVEY,
    IMAGING,
    SURVEYS,
    ColorMapping,
    Imaging,
    Survey,
    get_survey,
    get_wavelength,
)

__all__ = [
    "CATALOGS",
    "COLOR_MAPPINGS",
    "DEFAULT_SURVEY",
    "IMAGING",
    "NSA_COLUMNS",
    "SURVEYS",
    "CatalogColumns",
    "ColorMapping",
    "Imaging",
    "Survey",
    "get_catalog_columns",
    "get_survey",
    "get_wavelength",
]
