"""Stretches: convert image values to a network's input."""

from __future__ import annotations

from typing import Any, TypeGuard

import numpy as np

__all__ = ["LINEAR", "apply_stretch", "fit_stretch", "is_stretch"]

# Colour images: uint8 values are divided by 255, floats in 0–1 are unchanged.
LINEAR: dict[str, Any] = {"kind": "linear", "white": 255}

# Maximum number of pixels from which flux scales are estimated.
_MAX_PIXELS = 2_000_000
# Fraction of all pixels that become brighter than 1.
_ABOVE_WHITE = 1e-3


def fit_stretch(images: np.ndarray) -> dict[str, Any]:
    """Fit an arcsinh stretch to fluxes, band by band.

    Parameters
    ----------
    images : `~numpy.ndarray`
        Fluxes of shape ``(n, height, width, bands)``, in any unit; NaN where missing.

    Returns
    -------
    stretch : dict
        ``kind`` is ``"asinh"``. For each band, ``softening`` is the flux at which the mapping
        turns from linear to logarithmic (the sky noise: the scaled median absolute deviation of
        all pixels) and ``white`` the flux mapped to 1 (exceeded by 0.1 % of the pixels).

    Raises
    ------
    ValueError
        If a band has no finite flux.

    Notes
    -----
    After Lupton, Gunn & Szalay (1999, AJ 118, 1406): linear for faint sources, logarithmic for
    bright ones.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder.models import apply_stretch, fit_stretch
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
            raise ValueError(
                f"channel {band} of the images has no finite flux: leave it out, or "
                "check the images"
            )
        noise = 1.4826 * np.median(np.abs(pixels - np.median(pixels)))
        # The deviation is 0 for images that mostly have one value, such as masked ones.
        noise = noise or np.std(pixels) or 1.0
        softening.append(float(noise))
        white.append(float(max(np.quantile(pixels, 1 - _ABOVE_WHITE), 3 * noise)))
    return {"kind": "asinh", "softening": softening, "white": white}


def apply_stretch(images: np.ndarray, stretch: dict[str, Any]) -> np.ndarray:
    """Convert image values to a network's input.

    Parameters
    ----------
    images : `~numpy.ndarray`
        Images of shape ``(n, height, width, bands)``: uint8 or float in 0–1 for a linear stretch,
        fluxes for an arcsinh stretch.
    stretch : dict
        As in `~shredfinder.models.ModelDescription`.

    Returns
    -------
    images : `~numpy.ndarray` of float32
        Images of the same shape. Fluxes that are not finite become 0, the sky level.

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


def is_stretch(value: Any, n_bands: int) -> TypeGuard[dict[str, Any]]:
    """Return whether a value read from a file is a valid stretch.

    Parameters
    ----------
    value : object
        Value from a file, not yet validated.
    n_bands : int
        Number of bands of the images.

    Returns
    -------
    valid : bool
        Whether `apply_stretch` accepts it.
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
