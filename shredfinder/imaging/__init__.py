"""Images as they reach a classifier: containers, files, and checks of what they hold."""

from shredfinder.imaging.checks import check_fluxes, check_images
from shredfinder.imaging.cutouts import Cutouts
from shredfinder.imaging.flags import CutoutFlag
from shredfinder.imaging.reading import ImageFiles, read_image

__all__ = ["CutoutFlag", "Cutouts", "ImageFiles", "check_fluxes", "check_images", "read_image"]
