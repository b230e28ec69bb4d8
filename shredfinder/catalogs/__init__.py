"""Candidates from the surveys' catalogues: around a position, or in files."""

from shredfinder.catalogs.cache import QueryCache
from shredfinder.catalogs.files import iter_rows, read_candidates
from shredfinder.catalogs.names import resolve_name
from shredfinder.catalogs.presets import (
    CATALOG_PRESETS,
    CatalogPreset,
    get_catalog_preset,
    register_catalog_preset,
)
from shredfinder.catalogs.query import count_sources, query_candidates
from shredfinder.catalogs.reddening import DustMap, fetch_dust_map

__all__ = [
    "CATALOG_PRESETS",
    "CatalogPreset",
    "DustMap",
    "QueryCache",
    "count_sources",
    "fetch_dust_map",
    "get_catalog_preset",
    "iter_rows",
    "query_candidates",
    "read_candidates",
    "register_catalog_preset",
    "resolve_name",
]
