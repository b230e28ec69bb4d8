"""Cutouts from surveys' image services or local files: fetch, stream and cache them."""

from shredfinder._net.retries import RetryPolicy
from shredfinder.cutouts.cache import Cache
from shredfinder.cutouts.fetching import CutoutFetcher, CutoutStream, fetch_cutouts
from shredfinder.cutouts.grouping import sky_order
from shredfinder.cutouts.services.base import (
    CutoutRequest,
    CutoutService,
    FetchedImage,
    available_services,
    get_service,
    register_service,
)
from shredfinder.cutouts.services.hips import HiPS
from shredfinder.cutouts.services.legacy import LegacyViewer
from shredfinder.cutouts.services.local import LocalImages
from shredfinder.cutouts.services.ps1 import PanSTARRS
from shredfinder.cutouts.services.sdss import SDSS, SDSSFrames
from shredfinder.cutouts.services.vo import VOImages

__all__ = [
    "SDSS",
    "Cache",
    "CutoutFetcher",
    "CutoutRequest",
    "CutoutService",
    "CutoutStream",
    "FetchedImage",
    "HiPS",
    "LegacyViewer",
    "LocalImages",
    "PanSTARRS",
    "RetryPolicy",
    "SDSSFrames",
    "VOImages",
    "available_services",
    "fetch_cutouts",
    "get_service",
    "register_service",
    "sky_order",
]
