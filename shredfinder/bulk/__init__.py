"""Scoring of catalogue files of any length."""

from shredfinder.bulk.classify import ScoredCatalogue, classify_catalogue
from shredfinder.bulk.state import get_state_folder

__all__ = ["ScoredCatalogue", "classify_catalogue", "get_state_folder"]
