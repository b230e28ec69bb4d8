"""Changes to training images: rotations, other centres, filled borders and reddening."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from shredfinder.imaging.colors import (
    compress_jpeg,
    flux_to_rgb,
    get_extinction,
    rgb_to_flux,
)
from shredfinder.surveys import COLOR_MAPPINGS

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["augment_image", "fill_border", "move_center", "redden_image"]


def move_center(image: np.ndarray, x: int, y: int) -> np.ndarray:
    """Move an image so that another pixel comes to lie at the centre.

    Parameters
    ----------
    image : `~numpy.ndarray`
        Image of shape ``(height, width, bands)``.
    x, y : int
        Offset of the new centre from the old one in pixels, along the columns and the rows.

    Returns
    -------
    moved : `~numpy.ndarray`
        Image of the same shape; what is missing at the border is filled by reflection.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder.training import move_center
    >>> move_center(np.arange(5).reshape(1, 5, 1), 1, 0).ravel()
    array([1, 2, 3, 4, 3])
    """
    return np.pad(_crop(image, x, y), (_around(-y), _around(-x), (0, 0)), mode="reflect")


def fill_border(image: np.ndarray, x: int, y: int) -> np.ndarray:
    """Fill the border as `move_center` does, without moving the image.

    Parameters
    ----------
    image : `~numpy.ndarray`
        Image of shape ``(height, width, bands)``.
    x, y : int
        Widths in pixels of the filled strips: on the left and at the top if positive, else on the
        right and at the bottom.

    Returns
    -------
    filled : `~numpy.ndarray`
        Image of the same shape.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder.training import fill_border
    >>> fill_border(np.arange(5).reshape(1, 5, 1), 1, 0).ravel()
    array([2, 1, 2, 3, 4])
    """
    return np.pad(_crop(image, x, y), (_around(y), _around(x), (0, 0)), mode="reflect")


def _crop(image: np.ndarray, x: int, y: int) -> np.ndarray:
    height, width = image.shape[:2]
    rows = slice(max(y, 0), height + min(y, 0))
    return image[rows, max(x, 0) : width + min(x, 0)]


def _pad_symmetric(image: np.ndarray, pad: int) -> np.ndarray:
    """Return `numpy.pad` of all sides in mode "symmetric", in half the time."""
    height, width, n_bands = image.shape
    if pad > min(height, width):
        return np.pad(image, ((pad, pad), (pad, pad), (0, 0)), mode="symmetric")
    padded = np.empty((height + 2 * pad, width + 2 * pad, n_bands), image.dtype)
    center = padded[pad:-pad]
    center[:, pad:-pad] = image
    center[:, :pad] = image[:, :pad][:, ::-1]
    center[:, -pad:] = image[:, -pad:][:, ::-1]
    padded[:pad] = center[:pad][::-1]
    padded[-pad:] = center[-pad:][::-1]
    return padded


def _around(offset: int) -> tuple[int, int]:
    """Return the widths to pad before and after for an offset."""
    return max(offset, 0), max(-offset, 0)


def redden_image(
    image: np.ndarray,
    ebv: float,
    rng: np.random.Generator,
    *,
    zero_points: Mapping[str, float] | None = None,
    color_mapping: str = "legacy-grz",
) -> np.ndarray:
    """Redden a colour image as dust in the Milky Way would.

    The fluxes behind the colours are dimmed by each band's extinction. Dust does not dim the noise
    of the sky, so noise is added to keep its level.

    Parameters
    ----------
    image : `~numpy.ndarray` of uint8
        Colour image of shape ``(height, width, 3)``.
    ebv : float
        E(B−V) in mag.
    rng : `~numpy.random.Generator`
        Random number generator of the noise.
    zero_points : mapping of str to float, optional
        Further dimming of each band in mag.
    color_mapping : str, optional
        Mapping of the image's colours, whose survey gives the extinction coefficients.

    Returns
    -------
    reddened : `~numpy.ndarray` of uint8
        Image of the same shape, compressed as the survey's viewer does.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder.training import redden_image
    >>> image = np.full((16, 16, 3), (140, 140, 140), np.uint8)
    >>> red, green, blue = redden_image(image, 0.3, np.random.default_rng(0)).mean((0, 1))
    >>> bool(red > green > blue)
    True
    """
    mapping = COLOR_MAPPINGS[color_mapping]
    fluxes = rgb_to_flux(image, color_mapping=color_mapping)
    given = zero_points or {}
    dimming = ebv * get_extinction(color_mapping) + [given.get(b, 0.0) for b in mapping.bands]
    factors = (10 ** (-0.4 * dimming)).astype(np.float32)[:, None, None]
    # Differences of neighbouring pixels: galaxies are smooth, noise is not.
    steps = np.abs(np.diff(fluxes, axis=2))
    sigma = 1.4826 / np.sqrt(2) * np.median(steps, axis=(1, 2))
    missing = sigma[:, None, None] * np.sqrt(np.clip(1 - factors**2, 0, None))
    noise = rng.standard_normal(fluxes.shape, dtype=np.float32) * missing.astype(np.float32)
    reddened = flux_to_rgb(fluxes * factors + noise, mapping.bands, color_mapping=color_mapping)
    return compress_jpeg(reddened, color_mapping=color_mapping)


def augment_image(
    image: np.ndarray,
    rng: np.random.Generator,
    *,
    max_scale: float = 1.15,
    max_shift: float = 1.0,
    unresampled: float = 0.0,
) -> np.ndarray:
    """Rotate, mirror, scale and shift an image at random, in a single resampling.

    Parameters
    ----------
    image : `~numpy.ndarray`
        Image of shape ``(height, width, bands)``, uint8 or float32.
    rng : `~numpy.random.Generator`
        Random number generator.
    max_scale : float, optional
        The scale factor lies between ``1 / max_scale`` and ``max_scale``, uniform in its
        logarithm; 1 keeps the scale.
    max_shift : float, optional
        Largest shift in pixels along either axis. The source must stay at the centre, so keep
        this within the accuracy of catalogue positions.
    unresampled : float, optional
        Fraction of the images that are only rotated by right angles and mirrored. Resampling
        smooths the noise; with these the network also sees images as sharp as the real ones.
        Images that are not square are always resampled.

    Returns
    -------
    augmented : `~numpy.ndarray`
        Image of the same shape and type. Corners outside the rotated image are filled by
        reflection.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder.training import augment_image
    >>> rng = np.random.default_rng(1)
    >>> image = rng.integers(0, 255, (128, 128, 3), dtype=np.uint8)
    >>> augmented = augment_image(image, rng, max_scale=1.2)
    >>> augmented.shape, augmented.dtype
    ((128, 128, 3), dtype('uint8'))
    """
    height, width = image.shape[:2]
    if unresampled and height == width and rng.uniform() < unresampled:
        rotated = np.rot90(image, int(rng.integers(4)))
        return np.ascontiguousarray(rotated[:, ::-1] if rng.integers(2) else rotated)
    angle = rng.uniform(0, 2 * np.pi)
    scale = np.exp(rng.uniform(-1, 1) * np.log(max_scale))
    shift = rng.uniform(-max_shift, max_shift, 2)
    mirror = rng.choice((-1.0, 1.0))
    # Pad so that a rotated and shrunk image still covers the corners.
    pad = int(np.ceil(max(height, width) * (np.sqrt(2) * max_scale - 1) / 2 + max_shift)) + 1
    padded = _pad_symmetric(image, pad)
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    # Broadcasting multiplies the first column by ±1, which mirrors x.
    matrix = scale * matrix * (mirror, 1.0)
    # Pillow maps each output pixel's position (its centre at +0.5) back to the input.
    center_out, center_in = np.array([width, height]) / 2, np.array(padded.shape[1::-1]) / 2
    offset = center_in - matrix @ center_out + shift
    # x_in = a x + b y + c, y_in = d x + e y + f.
    coefficients = (*matrix[0], offset[0], *matrix[1], offset[1])

    def transform(channels: np.ndarray) -> np.ndarray:
        transformed = Image.fromarray(channels).transform(
            (width, height), Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR
        )
        return np.asarray(transformed)

    if image.dtype == np.uint8 and image.shape[2] == 3:
        return transform(padded)
    # Pillow supports colour images only as three bands of uint8.
    bands = np.moveaxis(padded, -1, 0)
    return np.stack([transform(np.ascontiguousarray(band)) for band in bands], axis=-1)
