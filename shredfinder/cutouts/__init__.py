"""Cutouts of any survey's images: services, a polite downloader, and a cache."""

from shredfinder._net.retries import RetryPolicy
from shredfinder.cutouts.cache import Cache
from shredfinder.cutouts.download import fetch_cutouts
from shredfinder.cutouts.grouping import sky_order
from shredfinder.cutouts.services.base import (
    Answer,
    CutoutRequest,
    CutoutService,
    available_services,
    get_service,
    register_service,
)
from shredfinder.cutouts.services.hips import HiPS
from shredfinder.cutouts.services.legacy import LegacyViewer
from shredfinder.cutouts.services.local import LocalImages
from shredfinder.cutouts.services.ps1 import PanSTARRS
from shredfinder.cutouts.services.sdss import SDSS
from shredfinder.cutouts.services.sdss_frames import SDSSFrames
from shredfinder.cutouts.services.vo import VOImages
from shredfinder.cutouts.stream import CutoutStream, iter_cutouts

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
