"""Cutouts of any survey's images: services, a polite downloader, and a cache."""

from shredfinder.cutouts.cache import Cache
from shredfinder.cutouts.download import fetch_cutouts
from shredfinder.cutouts.hips import HiPS
from shredfinder.cutouts.legacy import LegacyViewer
from shredfinder.cutouts.local import LocalImages
from shredfinder.cutouts.panstarrs import PanSTARRS
from shredfinder.cutouts.positions import sky_order
from shredfinder.cutouts.retries import RetryPolicy
from shredfinder.cutouts.sdss import SDSS
from shredfinder.cutouts.sdss_frames import SDSSFrames
from shredfinder.cutouts.service import (
    Answer,
    CutoutRequest,
    CutoutService,
    available_services,
    get_service,
    register_service,
)
from shredfinder.cutouts.stream import CutoutStream, iter_cutouts
from shredfinder.cutouts.vo import VOImages

__all__ = [
    "SDSS",
    "Answer",
    "Cache",
    "CutoutRequest",
    "CutoutService",
    "CutoutStream",
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
    "iter_cutouts",
    "register_service",
    "sky_order",
]
