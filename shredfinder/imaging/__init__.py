"""Images as they reach a classifier: containers, files, and checks of what they hold."""

from shredfinder.imaging.appearance import measure_appearance
from shredfinder.imaging.checks import CutoutFlag, check_fluxes, check_images
from shredfinder.imaging.colors import flux_to_rgb, rgb_to_flux
from shredfinder.imaging.cutouts import Cutouts, CutoutSequence
from shredfinder.imaging.reading import ImageFiles, read_image
from shredfinder.imaging.writing import read_cutouts, write_cutouts

__all__ = [
    "CutoutFlag",
    "CutoutSequence",
    "Cutouts",
    "ImageFiles",
    "check_fluxes",
    "check_images",
    "flux_to_rgb",
    "measure_appearance",
    "read_cutouts",
    "read_image",
    "rgb_to_flux",
    "write_cutouts",
]
