"""Images as a classifier takes them: the container, checks, colours, reading and resampling."""

from shredfinder.imaging.appearance import measure_appearance
from shredfinder.imaging.checks import CutoutFlag, check_fluxes, check_images
from shredfinder.imaging.colors import (
    compress_jpeg,
    deredden_images,
    flux_to_rgb,
    get_extinction,
    rgb_to_flux,
)
from shredfinder.imaging.cutouts import (
    Cutouts,
    CutoutSequence,
    ImageFiles,
    Images,
    as_cutouts,
)
from shredfinder.imaging.reading import read_image

__all__ = [
    "CutoutFlag",
    "CutoutSequence",
    "Cutouts",
    "ImageFiles",
    "Images",
    "as_cutouts",
    "check_fluxes",
    "check_images",
    "compress_jpeg",
    "deredden_images",
    "flux_to_rgb",
    "get_extinction",
    "measure_appearance",
    "read_image",
    "rgb_to_flux",
]
