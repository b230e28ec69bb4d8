"""Satellite candidates from the surveys' catalogues: around a position, or in files."""

from shredfinder.catalogs.candidate_files import iter_rows, read_candidates
from shredfinder.catalogs.query import count_sources, query_candidates
from shredfinder.catalogs.query_cache import QueryCache
from shredfinder.catalogs.reddening import DustMap, fetch_dust_map
from shredfinder.catalogs.regions import resolve_name
from shredfinder.surveys import CatalogPreset, get_catalog_preset

__all__ = [
    "CatalogPreset",
    "DustMap",
    "QueryCache",
    "count_sources",
    "fetch_dust_map",
    "get_catalog_preset",
    "iter_rows",
    "query_candidates",
    "read_candidates",
    "resolve_name",
]
