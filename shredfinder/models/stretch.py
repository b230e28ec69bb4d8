"""How the values of images become a network's input."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["LINEAR", "apply_stretch", "fit_stretch", "is_stretch"]

# Colour images: uint8 divided by 255, float in 0–1 as they are.
LINEAR = {"kind": "linear", "white": 255}

# Pixels that the scales of fluxes are found from, at most.
_MAX_PIXELS = 2_000_000
# Share of the pixels, the brightest of all images, that come out above one.
_ABOVE_WHITE = 1e-3


def fit_stretch(images: np.ndarray) -> dict[str, Any]:
    """Find the arcsinh stretch that suits fluxes, band by band.

    Parameters
    ----------
    images : `~numpy.ndarray`
        Fluxes of shape ``(n, height, width, bands)``, in any unit; NaN where there is none.

    Returns
    -------
    stretch : dict
        ``kind``, ``"asinh"``; and for each band the flux at which the mapping turns from linear
        to logarithmic, ``softening`` (the noise of the sky: the scaled median absolute
        deviation of all pixels), and the one that becomes 1, ``white`` (exceeded by 0.1 % of
        the pixels).

    Notes
    -----
    After Lupton, Gunn & Szalay (1999, AJ 118, 1406): faint sources keep their signal, and bright
    ones don't drown all others.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder.models.stretch import apply_stretch, fit_stretch
    >>> fluxes = np.random.default_rng(0).normal(0, 0.01, (4, 32, 32, 2))
    >>> fluxes[:, 12:20, 12:20] = 5.0, 50.0
    >>> apply_stretch(fluxes, fit_stretch(fluxes))[0, 16, 16].tolist()
    [1.0, 1.0]
    """
    softening, white = [], []
    for band in range(images.shape[3]):
        pixels = images[..., band].ravel()
        pixels = pixels[:: max(len(pixels) // _MAX_PIXELS, 1)]
        pixels = pixels[np.isfinite(pixels)].astype(float)
        if not len(pixels):
            raise ValueError(f"the images hold no fluxes in their channel {band}")
        noise = 1.4826 * np.median(np.abs(pixels - np.median(pixels)))
        # Images that are mostly of one value, such as masked ones, have no such noise.
        noise = noise or np.std(pixels) or 1.0
        softening.append(float(noise))
        white.append(float(max(np.quantile(pixels, 1 - _ABOVE_WHITE), 3 * noise)))
    return {"kind": "asinh", "softening": softening, "white": white}


def apply_stretch(images: np.ndarray, stretch: dict[str, Any]) -> np.ndarray:
    """Turn image values into a network's input.

    Parameters
    ----------
    images : `~numpy.ndarray`
        Of shape ``(n, height, width, bands)``: uint8 or float in 0–1 for a linear stretch, fluxes
        for an arcsinh stretch.
    stretch : dict
        As in `~shredfinder.models.ModelDescription`.

    Returns
    -------
    images : `~numpy.ndarray` of float32
        Of the same shape. Fluxes that are not finite become 0, the level of the sky.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder.models import apply_stretch
    >>> images = np.array([0, 51, 255], dtype=np.uint8).reshape(3, 1, 1, 1)
    >>> apply_stretch(images, {"kind": "linear", "white": 255}).ravel().tolist()
    [0.0, 0.20000000298023224, 1.0]
    """
    if stretch["kind"] == "linear":
        if images.dtype == np.uint8:
            return images.astype(np.float32) / np.float32(255)
        return images
    softening = np.array(stretch["softening"], dtype=np.float32)
    top = np.arcsinh(np.array(stretch["white"], dtype=np.float32) / softening)
    fluxes = np.where(np.isfinite(images), images, 0).astype(np.float32)
    return np.arcsinh(fluxes / softening) / top


def is_stretch(value, n_bands):
    """Tell whether what a file holds is a stretch for images of so many bands.

    Parameters
    ----------
    value : object
        What was read.
    n_bands : int
        Number of bands.

    Returns
    -------
    valid : bool
        Whether it can be applied.
    """
    if value == LINEAR:
        return True
    if not isinstance(value, dict) or set(value) != {"kind", "softening", "white"}:
        return False
    scales = (value["softening"], value["white"])
    return value["kind"] == "asinh" and all(
        isinstance(scale, list)
        and len(scale) == n_bands
        and all(isinstance(x, (int, float)) and 0 < x < np.inf for x in scale)
        for scale in scales
    )
