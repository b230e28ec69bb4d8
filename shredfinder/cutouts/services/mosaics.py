"""Cutouts of images that a service sent as they are: of any WCS, and in several pieces."""

import numpy as np

from shredfinder._net.errors import BadAnswerError, NoCoverageError
from shredfinder.cutouts.decoding import read_celestial, read_fits
from shredfinder.cutouts.services.local import LocalImages

__all__ = ["MARGIN", "make_cutout", "read_planes"]

# Pixels around a cutout that smoothing and interpolation reach.
MARGIN = 24


def read_planes(body):
    """Read the image of one band that a service sent.

    Parameters
    ----------
    body : shredfinder._net.client.Body
        The answer: a FITS file, of which the first image counts, or nothing.

    Returns
    -------
    planes : list of tuple
        Array and celestial `~astropy.wcs.WCS` of the image; none if there is no image.

    Raises
    ------
    TransientError
        If the file is cut short.
    BadAnswerError
        If it is no FITS file, or its image has no celestial coordinates.
    """
    if not body.content:
        # An answer of the VO where nothing overlaps is "no content".
        return []
    images = read_fits(body.content, body.content_type)
    if not images:
        return []
    data, header = np.asarray(images[0][0], dtype=np.float32), images[0][1]
    wcs = read_celestial(header)
    if data.ndim != 2 or wcs is None:
        raise BadAnswerError(f"an image of shape {data.shape} without celestial coordinates")
    return [(data, wcs)]


def make_cutout(planes, request, **options):
    """Put a cutout together, north up and at the scale that was asked for.

    Parameters
    ----------
    planes : dict of list
        For each band its images, as `read_planes` gives them.
    request : CutoutRequest
        What was asked for.
    **options
        ``bands``, ``color_mapping`` and ``flux_scale`` of `LocalImages`.

    Returns
    -------
    answer : Answer
        The cutout.

    Raises
    ------
    NoCoverageError
        If a band has no image that holds the position.
    """
    missing = [band for band, images in planes.items() if not images]
    if missing:
        raise NoCoverageError(f"no image in {', '.join(missing)} holds the position")
    return LocalImages(planes, **options).fetch(request)
