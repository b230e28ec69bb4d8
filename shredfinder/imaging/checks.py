"""Checks of images, and the flags of those that cannot be scored."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u

from shredfinder._utils.units import split_mask

if TYPE_CHECKING:
    from astropy.units import Quantity
    from numpy.typing import ArrayLike

__all__ = [
    "CutoutFlag",
    "check_file",
    "check_fluxes",
    "check_images",
    "fill_masked",
    "to_arcsec_per_pixel",
    "validate_images",
]

# JPEG compression leaves a ripple of one or two levels of 255 on a blank image.
_BLANK_LEVELS = 2
# Side in pixels of the central square that must hold data. The point-spread function of
# ground-based images spans more than two pixels, so a covered centre has a single colour only if
# it is saturated.
_CENTER_SIZE = 5
# Relative ripple that JPEG compression leaves on a white border, near its edge.
_WHITE_RIPPLE = 0.1
# Share of white pixels in the frame of an image whose centre lies in a white border: a half or
# more, less some pixels.
_WHITE_FRAME = 0.4
# Step in pixels of the first, quick checks for blank images and for regions without data.
_STRIDE = 8
_FLAT_STRIDE = 4
# Least share of an image that has one colour if a region of it holds no data. Of 3,200 real cutouts
# one has such a region; in all others at most 3 % has any one colour, unless it is saturated.
_GAP_SHARE = 0.05
# JPEG compression blurs such a region in blocks of 16 px along its border, by some levels of 255.
_JPEG_BLOCK, _JPEG_RIPPLE = 16, 24
# Flat share of a drawn text, and of each quadrant of it. Of 3,200 real cutouts one has more than
# 13 %, beyond an edge of the data, and none more than 0.1 % in every quadrant. Compressed with JPEG
# quality 50 to 95 they have up to 6 %, at a quarter of their noise 22 % (quality 90); texts have
# 25 % to 98 %.
_DRAWN_SHARE, _DRAWN_QUADRANT = 0.25, 0.005
# Share of the central square in the colour of such a region from which the centre is in it.
_CENTER_SHARE = 1 / 3
# Brightness relative to white from which a flat region is a saturated source.
_SATURATED = 0.98


def check_images(images: np.ndarray) -> np.ndarray:
    """Find the images that hold no usable data.

    Parameters
    ----------
    images : `~numpy.ndarray`
        Images of shape ``(n, height, width, bands)``, uint8 or float in 0–1.

    Returns
    -------
    flags : `~numpy.ndarray` of str
        `CutoutFlag` values of shape ``(n,)``: ``corrupted`` if a value is not finite or outside
        0–1; ``blank`` if the whole image has a single colour; ``no coverage`` if only its centre
        has, or lies on the border of a region without data or on a drawn text (a saturated centre
        counts as covered, but not one in a white border); and the empty string otherwise.

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
    images = fill_masked(images)
    n, height, width, _ = images.shape
    flags = np.full(n, CutoutFlag.GOOD.value, dtype="U16")
    if n == 0:
        return flags
    tolerance, white = (
        # With a margin for rounding errors.
        (_BLANK_LEVELS, 255) if images.dtype == np.uint8 else (_BLANK_LEVELS / 255 + 1e-6, 1)
    )
    if images.dtype != np.uint8:
        flat_images = images.reshape(n, -1)
        with np.errstate(invalid="ignore"):
            # NaN and infinities fail at least one of the comparisons.
            valid = (flat_images.min(axis=1) >= 0) & (flat_images.max(axis=1) <= 1)
        flags[~valid] = CutoutFlag.CORRUPTED
    with np.errstate(invalid="ignore"):
        coarse = images[:, ::_STRIDE, ::_STRIDE]
        blank = (np.ptp(coarse, axis=(1, 2)) <= tolerance).all(axis=1)
        # Only images that look blank on the coarse grid are checked in all pixels.
        blank[blank] = (np.ptp(images[blank], axis=(1, 2)) <= tolerance).all(axis=1)
    top, left = (height - _CENTER_SIZE) // 2, (width - _CENTER_SIZE) // 2
    # max: images may be smaller than the central square.
    center = images[:, max(top, 0) :, max(left, 0) :][:, :_CENTER_SIZE, :_CENTER_SIZE]
    # Compare each pixel with the first one, channel by channel.
    flat = (center == center[:, :1, :1]).all(axis=(1, 2, 3))
    saturated = (center == white).any(axis=(1, 2, 3))
    good = flags == CutoutFlag.GOOD
    flags[good & _find_gaps(images, center, _find_flat(images), white)] = CutoutFlag.NO_COVERAGE
    # A blank image has a flat centre too, so `blank` is set last.
    flags[good & flat & ~saturated] = CutoutFlag.NO_COVERAGE
    flags[good & blank] = CutoutFlag.BLANK
    return flags


def check_file(image: np.ndarray) -> CutoutFlag:
    """Find a colour image file that shows no sky, before `check_images`.

    Parameters
    ----------
    image : `~numpy.ndarray`
        A decoded file, of shape ``(height, width, 3)``, uint8.

    Returns
    -------
    flag : CutoutFlag
        ``wrong size`` if the three channels are equal, in whatever mode the file stored them: a
        single band that was saved as colours has the wrong number of channels for a colour model.
        ``no coverage`` for a drawing, such as an error text: a large part of it is exactly flat, in
        every quadrant, which noise prevents in images of the sky, also in compressed ones. Empty
        for all others, and for images of a single colour.
    """
    # A coarse grid shows most images to be neither.
    coarse = image[:: 2 * _STRIDE, :: 2 * _STRIDE]
    is_grey = (coarse == coarse[..., :1]).all() and (image == image[..., :1]).all()
    flat = _find_flat(image[np.newaxis])[0]
    if not is_grey and np.count_nonzero(flat) <= _DRAWN_SHARE * flat.size:
        return CutoutFlag.GOOD
    if (np.ptp(image, axis=(0, 1)) <= _BLANK_LEVELS).all():
        return CutoutFlag.GOOD
    if is_grey:
        return CutoutFlag.WRONG_SIZE
    if not _has_white_frame(image, 255):
        # Saturated stars are flat too.
        flat &= (image[:-2:_FLAT_STRIDE, :-2:_FLAT_STRIDE] < 255 * _SATURATED).any(axis=-1)
    quadrants = [q for half in np.array_split(flat, 2) for q in np.array_split(half, 2, axis=1)]
    is_drawn = np.count_nonzero(flat) > _DRAWN_SHARE * flat.size and all(
        np.count_nonzero(quadrant) > _DRAWN_QUADRANT * quadrant.size for quadrant in quadrants
    )
    return CutoutFlag.NO_COVERAGE if is_drawn else CutoutFlag.GOOD


def _find_flat(images: np.ndarray) -> np.ndarray:
    """Find triples of equal neighbours along a diagonal, on a grid of every fourth pixel."""
    _, height, width, _ = images.shape
    first = images[:, : height - 2 : _FLAT_STRIDE, : width - 2 : _FLAT_STRIDE]
    second = images[:, 1 : height - 1 : _FLAT_STRIDE, 1 : width - 1 : _FLAT_STRIDE]
    third = images[:, 2::_FLAT_STRIDE, 2::_FLAT_STRIDE]
    return ((first == second) & (second == third)).all(axis=-1)


def _find_gaps(
    images: np.ndarray, center: np.ndarray, flat: np.ndarray, white: float
) -> np.ndarray:
    """Find images whose centre is in, or on the border of, a region without data.

    Such a region has exactly one colour, which noise prevents elsewhere. The background of a drawn
    text is such a region too.
    """
    _, height, width, _ = images.shape
    # Pan-STARRS1's images are white beyond the edge of a skycell.
    bright = np.asarray(center.mean(axis=(1, 2)).min(axis=1) >= white * (1 - _WHITE_RIPPLE))
    for i in np.flatnonzero(bright):
        bright[i] = _has_white_frame(images[i], white)
    if min(height, width) < _CENTER_SIZE + 2:
        return bright
    # Most images have no flat region. Half of its share: the grid is coarse.
    found = np.asarray(flat.mean(axis=(1, 2)) >= _GAP_SHARE / 2)
    for i in np.flatnonzero(found):
        found[i] = _touches_gap(images[i], white)
    return found | bright


def _touches_gap(image: np.ndarray, white: float) -> bool:
    """Return whether the centre of an image is in, or on the border of, a flat region."""
    # The extremes of the 3 × 3 pixels around each pixel, first along columns, then along rows.
    highest, lowest = image, image
    for _ in range(2):
        highest = np.maximum(np.maximum(highest[:-2], highest[1:-1]), highest[2:]).swapaxes(0, 1)
        lowest = np.minimum(np.minimum(lowest[:-2], lowest[1:-1]), lowest[2:]).swapaxes(0, 1)
    flat = (highest == lowest).all(axis=-1)
    if flat.mean() < _GAP_SHARE:
        return False
    # The commonest colour, as one number for each: np.unique of rows is slow.
    inner = image[1:-1, 1:-1].astype(float)
    codes = np.rint(inner[flat] * (255 / white)) @ 256.0 ** np.arange(image.shape[-1])
    _, firsts, counts = np.unique(codes, return_index=True, return_counts=True)
    color = inner[flat][firsts[counts.argmax()]]
    gap = (inner == color).all(axis=-1) & flat
    if gap.mean() < _GAP_SHARE or np.count_nonzero(gap) < _JPEG_BLOCK**2:
        return False
    if color.max() >= _SATURATED * white and not _has_white_frame(image, white):
        return False
    top, left = ((side - _CENTER_SIZE) // 2 for side in image.shape[:2])
    center = image[top : top + _CENTER_SIZE, left : left + _CENTER_SIZE]
    # Near the border compression has changed the colour, so the region itself is farther away.
    around = gap[
        max(top - _JPEG_BLOCK, 0) : top + _CENTER_SIZE + _JPEG_BLOCK,
        max(left - _JPEG_BLOCK, 0) : left + _CENTER_SIZE + _JPEG_BLOCK,
    ]
    ripple = _JPEG_RIPPLE * white / 255
    in_gap = (np.abs(center - color) <= ripple).all(axis=-1).mean()
    return bool(around.any() and in_gap >= _CENTER_SHARE)


def _has_white_frame(image: np.ndarray, white: float) -> bool:
    """Return whether an image's frame is white in large part.

    What is beyond a straight edge of the data, if it holds the centre, holds half of the frame
    too; a saturated star does not.
    """
    sides = (image[0], image[-1], image[:, 0], image[:, -1])
    frame = np.concatenate([(side >= white * (1 - _WHITE_RIPPLE)).all(axis=-1) for side in sides])
    return bool(frame.mean() >= _WHITE_FRAME)


def check_fluxes(images: np.ndarray) -> np.ndarray:
    """Find the flux images that hold no usable data.

    Parameters
    ----------
    images : `~numpy.ndarray`
        Fluxes of shape ``(n, height, width, bands)``, in any unit; NaN for missing data.

    Returns
    -------
    flags : `~numpy.ndarray` of str
        `CutoutFlag` values of shape ``(n,)``: ``blank`` if the whole image has a single value or
        none, ``no coverage`` if a band is not finite, or zero in a third of the pixels, at the
        centre, and the empty string otherwise.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder.imaging import check_fluxes
    >>> fluxes = np.random.default_rng(0).normal(size=(2, 32, 32, 3))
    >>> fluxes[1, :, :, 2] = np.nan
    >>> check_fluxes(fluxes).tolist()
    ['', 'no coverage']
    """
    images = fill_masked(images, fluxes=True)
    n, height, width, _ = images.shape
    flags = np.full(n, CutoutFlag.GOOD.value, dtype="U16")
    if n == 0:
        return flags
    top, left = max((height - _CENTER_SIZE) // 2, 0), max((width - _CENTER_SIZE) // 2, 0)
    center = images[:, top:, left:][:, :_CENTER_SIZE, :_CENTER_SIZE]
    # Pipelines fill bands that were not observed with zeros or NaN.
    n_zeros = (center == 0).mean(axis=(1, 2)).max(axis=1)
    bare = (~np.isfinite(center)).any(axis=(1, 2, 3)) | (n_zeros >= _CENTER_SHARE)
    flags[bare] = CutoutFlag.NO_COVERAGE
    finite = np.isfinite(images)
    lowest = np.where(finite, images, np.inf).min(axis=(1, 2, 3))
    highest = np.where(finite, images, -np.inf).max(axis=(1, 2, 3))
    flags[lowest >= highest] = CutoutFlag.BLANK
    return flags


class CutoutFlag(enum.StrEnum):
    """Why a cutout cannot be scored; empty if it can.

    The column ``p_cnn_flag`` of a table holds the values as plain strings.

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
    """The file does not exist, or the row has no file name."""
    NO_POSITION = "no position"
    """The row's coordinates are masked, not finite or not on the sky."""
    NO_COVERAGE = "no coverage"
    """The survey has no data at the source's position."""
    BLANK = "blank"
    """The whole image has a single colour."""
    NOT_AN_IMAGE = "not an image"
    """The file is not an image of a known format."""
    CORRUPTED = "corrupted"
    """The image is truncated, cannot be decoded, or has values that are not finite."""
    OVERSIZED = "oversized"
    """The image has far more pixels than a cutout (a decompression bomb)."""
    WRONG_SIZE = "wrong size"
    """The width, height or number of channels is wrong."""
    WRONG_POSITION = "wrong position"
    """The image shows another part of the sky, or has another scale or orientation."""
    FAILED = "failed"
    """The service did not deliver the cutout. A rerun may succeed."""
    NOT_SCORED = "not scored"
    """The row has not been scored, for example after a join or a stack."""
    NOT_A_GALAXY = "not a galaxy"
    """The image shows a star, an artefact or blank sky, according to the model."""
    OTHER_COLORS = "other colors"
    """Scored on request, although the colours differ from the training images."""


def fill_masked(images: ArrayLike, *, fluxes: bool = False) -> np.ndarray:
    """Convert images to an array, with NaN where they are masked.

    Parameters
    ----------
    images : array_like
        Images of any type and shape, or a list of them.
    fluxes : bool, optional
        Whether the values are fluxes; otherwise uint8 is scaled to 0–1 to hold NaN.

    Returns
    -------
    images : `~numpy.ndarray`
        The array itself if nothing is masked; otherwise float32.
    """
    # The usual case: columns and masked arrays are subclasses.
    if type(images) is np.ndarray:
        return images
    if isinstance(images, (list, tuple)):
        parts = [split_mask(image) for image in images]
        if any(mask is not None for _, mask in parts):
            images = np.ma.stack(
                [np.ma.array(data, mask=False if mask is None else mask) for data, mask in parts]
            )
    data, mask = split_mask(images)
    data = np.asarray(data)
    if mask is None or not mask.any():
        return data
    filled = data.astype(np.float32) / (255 if data.dtype == np.uint8 and not fluxes else 1)
    filled[mask] = np.nan
    return filled


def validate_images(images: ArrayLike, fluxes: bool) -> np.ndarray:
    """Convert images to a four-dimensional array of uint8 or float32.

    Parameters
    ----------
    images : array_like
        Images of shape ``(n, height, width, bands)``, or one image.
    fluxes : bool
        Whether the values are fluxes, of any range.

    Returns
    -------
    images : `~numpy.ndarray`
        The images, copied only if their type changes, with NaN where they are masked.

    Raises
    ------
    ValueError
        If shape, type or range is wrong.
    """
    images = fill_masked(images, fluxes=fluxes)
    if images.ndim == 3:
        # One image is a batch of one.
        images = images[np.newaxis]
    if images.ndim != 4:
        raise ValueError(f"images must have shape (n, height, width, bands), got {images.shape}")
    if fluxes and images.dtype.kind in "fiu":
        return images.astype(np.float32, copy=False)
    if images.dtype == np.uint8:
        return images
    if images.dtype.kind != "f":
        raise ValueError(f"images must be uint8 or float in 0–1, got {images.dtype}")
    images = images.astype(np.float32, copy=False)
    finite = np.isfinite(images).all(axis=(1, 2, 3))
    if finite.any():
        low, high = images[finite].min(axis=(1, 2, 3)), images[finite].max(axis=(1, 2, 3))
        # A few images out of range are flagged; if all are, the scaling is wrong.
        if ((low < 0) | (high > 1)).all():
            raise ValueError(
                f"float images must lie in 0–1, got {low.min():g} to {high.max():g}: scale them "
                "like the model's training images"
            )
    return images


def to_arcsec_per_pixel(pixel_scale: float | Quantity) -> float:
    """Convert a pixel scale to arcsec per pixel."""
    try:
        # A plain number is in arcsec; a Quantity keeps its own unit.
        scale = u.Quantity(pixel_scale, u.arcsec if not hasattr(pixel_scale, "unit") else None)
        if scale.unit.is_equivalent(u.arcsec / u.pix):
            scale = scale * u.pix
        value = float(scale.to_value(u.arcsec))
    except (TypeError, u.UnitsError) as error:
        raise ValueError(
            f"pixel_scale must be arcsec per pixel or an angle, got {pixel_scale!r}"
        ) from error
    if not (np.isfinite(value) and value > 0):
        raise ValueError(f"pixel_scale must be positive and finite, got {pixel_scale!r}")
    return value
