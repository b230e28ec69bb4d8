"""Checks of decoded images before they are believed."""

from __future__ import annotations

import enum

import numpy as np

__all__ = ["CutoutFlag", "check_fluxes", "check_images"]

# JPEG compression leaves one or two levels of 255 of ripple on a blank image.
_BLANK_LEVELS = 2
# Side, in pixels, of the central square that must hold data. The point-spread function of
# ground-based images spans more than two pixels, so a covered centre is never of one colour
# unless it is saturated.
_CENTER_SIZE = 5
# Every so many pixels, either way, are looked at first.
_STRIDE = 8


def check_images(images: np.ndarray) -> np.ndarray:
    """Find the images that hold no usable data.

    Parameters
    ----------
    images : `~numpy.ndarray`
        Images of shape ``(n, height, width, bands)``, uint8 or float in 0–1.

    Returns
    -------
    flags : `~numpy.ndarray` of str
        A `CutoutFlag` value for each image, of shape ``(n,)``: ``corrupted`` where a value is
        not finite or outside 0–1, ``blank`` where the whole image is of one colour,
        ``no coverage`` where its centre is (a saturated centre counts as covered), and
        the empty string otherwise.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder.imaging import check_images
    >>> images = np.random.default_rng(0).integers(0, 255, (3, 32, 32, 3), dtype=np.uint8)
    >>> images[1] = 32
    >>> images[2, 10:22, 10:22] = 0
    >>> check_images(images).tolist()
    ['', 'blank', 'no coverage']
    """
    images = np.asarray(images)
    n, height, width, _ = images.shape
    flags = np.full(n, CutoutFlag.GOOD.value, dtype="U16")
    if n == 0:
        return flags
    tolerance, white = (
        (_BLANK_LEVELS, 255) if images.dtype == np.uint8 else (_BLANK_LEVELS / 255, 1)
    )
    if images.dtype != np.uint8:
        flat_images = images.reshape(n, -1)
        with np.errstate(invalid="ignore"):
            # NaN and infinities fail both comparisons or one of them.
            valid = (flat_images.min(axis=1) >= 0) & (flat_images.max(axis=1) <= 1)
        flags[~valid] = CutoutFlag.CORRUPTED
    blank = _measure_spread(images[:, ::_STRIDE, ::_STRIDE]) <= tolerance
    # Few images look blank in some of their pixels, and those are looked at in all.
    blank[blank] = _measure_spread(images[blank]) <= tolerance
    top, left = (height - _CENTER_SIZE) // 2, (width - _CENTER_SIZE) // 2
    center = images[:, max(top, 0) :, max(left, 0) :][:, :_CENTER_SIZE, :_CENTER_SIZE]
    flat = (center == center[:, :1, :1]).all(axis=(1, 2, 3))
    saturated = (center == white).any(axis=(1, 2, 3))
    good = flags == CutoutFlag.GOOD
    flags[good & flat & ~saturated] = CutoutFlag.NO_COVERAGE
    flags[good & blank] = CutoutFlag.BLANK
    return flags


def _measure_spread(images):
    """Give the largest difference within a channel of each image."""
    with np.errstate(invalid="ignore"):
        lowest, highest = images.min(axis=(1, 2)), images.max(axis=(1, 2))
        # In a type that holds the difference of any two levels.
        return (highest.astype(float) - lowest).max(axis=1)


def check_fluxes(images: np.ndarray) -> np.ndarray:
    """Find the images of fluxes that hold no usable data.

    Parameters
    ----------
    images : `~numpy.ndarray`
        Fluxes of shape ``(n, height, width, bands)``, in whatever unit; NaN where there is none.

    Returns
    -------
    flags : `~numpy.ndarray` of str
        A `CutoutFlag` value for each image, of shape ``(n,)``: ``blank`` where the whole image
        has one value or none, ``no coverage`` where a band is not finite, or zero throughout,
        at the centre, and the empty string otherwise.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder.imaging import check_fluxes
    >>> fluxes = np.random.default_rng(0).normal(size=(2, 32, 32, 3))
    >>> fluxes[1, :, :, 2] = np.nan
    >>> check_fluxes(fluxes).tolist()
    ['', 'no coverage']
    """
    images = np.asarray(images)
    n, height, width, _ = images.shape
    flags = np.full(n, CutoutFlag.GOOD.value, dtype="U16")
    if n == 0:
        return flags
    top, left = max((height - _CENTER_SIZE) // 2, 0), max((width - _CENTER_SIZE) // 2, 0)
    center = images[:, top:, left:][:, :_CENTER_SIZE, :_CENTER_SIZE]
    # Pipelines fill a band that was not observed with zeros or NaN.
    bare = (~np.isfinite(center)).any(axis=(1, 2, 3)) | (center == 0).all(axis=(1, 2)).any(axis=1)
    flags[bare] = CutoutFlag.NO_COVERAGE
    finite = np.isfinite(images)
    lowest = np.where(finite, images, np.inf).min(axis=(1, 2, 3))
    highest = np.where(finite, images, -np.inf).max(axis=(1, 2, 3))
    flags[lowest >= highest] = CutoutFlag.BLANK
    return flags


class CutoutFlag(enum.StrEnum):
    """What is the matter with a cutout; the empty string where nothing is.

    Tables carry the values as plain strings in their column ``p_cnn_flag``.

    Examples
    --------
    >>> from shredfinder.imaging import CutoutFlag
    >>> CutoutFlag.NO_COVERAGE == "no coverage"
    True
    >>> [flag.value for flag in CutoutFlag][:3]
    ['', 'missing', 'no position']
    """

    GOOD = ""
    """The cutout can be scored."""
    MISSING = "missing"
    """There is no such file, or the row names none."""
    NO_POSITION = "no position"
    """The row's coordinates are masked, not finite or not on the sky."""
    NO_COVERAGE = "no coverage"
    """The survey has no data at the source's position."""
    BLANK = "blank"
    """The image is of one colour throughout."""
    NOT_AN_IMAGE = "not an image"
    """The file is no image of a known format."""
    CORRUPTED = "corrupted"
    """The image is truncated or can't be decoded, or its values are not finite."""
    OVERSIZED = "oversized"
    """The image holds far more pixels than a cutout (a decompression bomb)."""
    WRONG_SIZE = "wrong size"
    """The image's width, height or number of channels is not as it should be."""
    WRONG_POSITION = "wrong position"
    """The image shows another part of the sky, or at another scale or orientation."""
    FAILED = "failed"
    """The service did not deliver the cutout; another run may."""
    NOT_SCORED = "not scored"
    """The row came from a table without scores, in a join or a stack."""
    OTHER_COLORS = "other colors"
    """Scored on request, though its colours are not those that the model was trained on."""
