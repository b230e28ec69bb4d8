"""Random views of a training image: a source has no preferred side, place or distance."""

from __future__ import annotations

import numpy as np
from PIL import Image

__all__ = ["augment_image"]


def augment_image(
    image: np.ndarray,
    rng: np.random.Generator,
    *,
    max_scale: float = 1.15,
    max_shift: float = 1.0,
    unresampled: float = 0.0,
) -> np.ndarray:
    """Turn by any angle, mirror, scale and shift an image, in one resampling.

    Parameters
    ----------
    image : `~numpy.ndarray`
        Of shape ``(height, width, bands)``, uint8 or float32.
    rng : `~numpy.random.Generator`
        Source of randomness.
    max_scale : float, optional
        The image is scaled by a factor between ``1 / max_scale`` and ``max_scale``, uniform in
        its logarithm; 1 keeps the scale.
    max_shift : float, optional
        Greatest shift in pixels along either axis. The source must stay at the centre: keep it
        within the accuracy of catalogue positions.
    unresampled : float, optional
        Share of the views that are only turned by right angles and mirrored. Resampling smooths
        the noise, and a network that saw smoothed images alone meets sharper ones in use. Images
        that are not square are always resampled.

    Returns
    -------
    view : `~numpy.ndarray`
        Of the same shape and type; corners that the turned image does not cover mirror it.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder.training import augment_image
    >>> rng = np.random.default_rng(1)
    >>> image = rng.integers(0, 255, (128, 128, 3), dtype=np.uint8)
    >>> view = augment_image(image, rng, max_scale=1.2)
    >>> view.shape, view.dtype
    ((128, 128, 3), dtype('uint8'))
    """
    height, width = image.shape[:2]
    if unresampled and height == width and rng.uniform() < unresampled:
        view = np.rot90(image, int(rng.integers(4)))
        return np.ascontiguousarray(view[:, ::-1] if rng.integers(2) else view)
    angle = rng.uniform(0, 2 * np.pi)
    scale = np.exp(rng.uniform(-1, 1) * np.log(max_scale))
    shift = rng.uniform(-max_shift, max_shift, 2)
    mirror = rng.choice((-1.0, 1.0))
    # The padding covers the corners of a turned and shrunk image.
    pad = int(np.ceil(max(height, width) * (np.sqrt(2) * max_scale - 1) / 2 + max_shift)) + 1
    padded = np.pad(image, ((pad, pad), (pad, pad), (0, 0)), mode="symmetric")
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = scale * matrix * (mirror, 1.0)
    # Pillow maps each output pixel's position (its centre at +0.5) back into the input.
    center_out, center_in = np.array([width, height]) / 2, np.array(padded.shape[1::-1]) / 2
    offset = center_in - matrix @ center_out + shift
    coefficients = (*matrix[0], offset[0], *matrix[1], offset[1])

    def transform(channels):
        view = Image.fromarray(channels).transform(
            (width, height), Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR
        )
        return np.asarray(view)

    if image.dtype == np.uint8 and image.shape[2] == 3:
        return transform(padded)
    # Pillow knows no colour image of floats, or of other than three bands.
    bands = np.moveaxis(padded, -1, 0)
    return np.stack([transform(np.ascontiguousarray(band)) for band in bands], axis=-1)
