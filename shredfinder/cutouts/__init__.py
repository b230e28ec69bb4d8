"""Cutouts of any survey's images: services, a polite downloader, and a cache."""

from shredfinder.cutouts.cache import Cache
from shredfinder.cutouts.download import fetch_cutouts
from shredfinder.cutouts.legacy import LegacyViewer
from shredfinder.cutouts.retries import RetryPolicy
from shredfinder.cutouts.service import (
    Answer,
    CutoutRequest,
    CutoutService,
    available_services,
    get_service,
    register_service,
)

__all__ = [
    "Answer",
    "Cache",
    "CutoutRequest",
    "CutoutService",
    "LegacyViewer",
    "RetryPolicy",
    "available_services",
    "fetch_cutouts",
    "get_service",
    "register_service",
]
