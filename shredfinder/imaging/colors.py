"""Mappings between fluxes and the colours of a survey's viewer, and their extinction by dust."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from shredfinder.imaging.checks import fill_masked
from shredfinder.surveys import COLOR_MAPPINGS, SURVEYS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import ArrayLike

    from shredfinder.surveys import ColorMapping

__all__ = ["compress_jpeg", "deredden_images", "flux_to_rgb", "get_extinction", "rgb_to_flux"]

_BRIGHTEST = np.float32(1e9)


def flux_to_rgb(
    fluxes: ArrayLike, bands: Sequence[str], *, color_mapping: str = "legacy-grz", axis: int = 0
) -> np.ndarray:
    """Convert fluxes to a colour image, as the survey's viewer does.

    With *v* = scale · flux + *m* for each band and *I* the mean over the bands of *v*, clipped
    at 0, the colour is *v f / I*, clipped to 0–1, with *f* = arcsinh(*Q I*) / √*Q*. Each pixel
    depends only on its own fluxes. `shredfinder.surveys.COLOR_MAPPINGS` holds the constants.

    Parameters
    ----------
    fluxes : array_like
        Fluxes in nanomaggies per native pixel of the survey (0.262″ for the Legacy Surveys),
        whatever the pixel scale of the image, with one axis over the bands: by default the
        first, as in FITS cubes of shape ``(3, height, width)``. Values that are not finite count
        as zero, as in the viewer.
    bands : sequence of str
        Bands along that axis, in order, such as ``"grz"``.
    color_mapping : str, optional
        Name of the mapping.
    axis : int, optional
        Axis of ``fluxes`` over the bands.

    Returns
    -------
    image : `~numpy.ndarray` of uint8
        Red, green and blue along the last axis, shape ``(height, width, 3)`` for a cube; other
        axes keep their order. Values are truncated to whole levels, as in the viewer.

    Raises
    ------
    ValueError
        If the mapping is unknown, a band is missing, or shape and bands do not match.

    Notes
    -----
    The formula is from the code of the Legacy Surveys' sky viewer, after Lupton et al. (2004,
    PASP 116, 133).

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder.imaging import flux_to_rgb
    >>> sky_and_star = np.array([[[0.0, 0.05]], [[0.0, 0.1]], [[0.0, 0.2]]])
    >>> flux_to_rgb(sky_and_star, "grz").tolist()
    [[[32, 32, 32], [189, 148, 132]]]
    """
    mapping = _get_mapping(color_mapping)
    fluxes = fill_masked(fluxes, fluxes=True)
    bands = tuple(bands)
    missing = [band for band in mapping.bands if band not in bands]
    if missing:
        raise ValueError(
            f"the mapping {color_mapping!r} needs the bands {', '.join(mapping.bands)}, got "
            f"{', '.join(bands)}: {', '.join(missing)} is missing"
        )
    if fluxes.ndim == 0 or not -fluxes.ndim <= axis < fluxes.ndim:
        raise ValueError(f"fluxes of shape {fluxes.shape} have no axis {axis}")
    if fluxes.shape[axis] != len(bands):
        raise ValueError(
            f"fluxes of shape {fluxes.shape} have {fluxes.shape[axis]} planes along axis {axis}, "
            f"got {len(bands)} bands ({', '.join(bands)}): name one band per plane"
        )
    planes = (fluxes.take(bands.index(band), axis=axis) for band in mapping.bands)
    values = [
        np.asarray(
            plane.astype(np.float32)
            if np.isfinite(plane.sum())
            else np.nan_to_num(plane.astype(np.float32), posinf=0.0, neginf=0.0)
        )
        for plane in planes
    ]
    image = np.empty((*values[0].shape, len(values)), dtype=np.uint8)
    _map_colors(values, mapping, mapping.scales, image)
    return image


def _map_colors(
    values: list[np.ndarray], mapping: ColorMapping, scales: Iterable[float], image: np.ndarray
) -> None:
    """Write the colours of float32 planes, which are changed, into an image."""
    for value, scale in zip(values, scales, strict=True):
        value *= np.float32(scale)
        value += np.float32(mapping.offset)
        # The upper limit is far beyond white, and its square does not overflow.
        np.clip(value, 0, _BRIGHTEST, out=value)
    softening = np.float32(mapping.softening)
    mean = softening * sum(values) / np.float32(len(values))
    # arcsinh; NumPy's own function is several times slower.
    factor = np.log(mean + np.sqrt(mean**2 + 1))
    # If the mean is zero, all values are zero and stay zero.
    factor *= 255 * np.sqrt(softening) / np.maximum(mean, np.float32(1e-6))
    for i, value in enumerate(values):
        value *= factor
        image[..., i] = np.minimum(value, 255, out=value)


def rgb_to_flux(image: ArrayLike, *, color_mapping: str = "legacy-grz") -> np.ndarray:
    """Estimate the fluxes behind a colour image: the inverse of `flux_to_rgb`.

    Parameters
    ----------
    image : array_like of uint8
        Red, green and blue along the last axis, of shape ``(..., 3)``.
    color_mapping : str, optional
        Name of the mapping.

    Returns
    -------
    fluxes : `~numpy.ndarray` of float32
        Nanomaggies per native pixel, of shape ``(3, ...)``, in the order of the mapping's
        bands: z, r and g for ``"legacy-grz"``. Levels 0 and 255 are limits; the other levels are
        accurate to half a level (0.0005 nanomaggies in r at the sky level).

    Examples
    --------
    >>> from shredfinder.imaging import rgb_to_flux
    >>> [round(float(flux), 2) for flux in rgb_to_flux([189, 148, 132])]
    [0.2, 0.1, 0.05]
    """
    mapping = _get_mapping(color_mapping)
    image = np.asarray(image)
    if image.ndim == 0 or image.shape[-1] != 3:
        raise ValueError(f"the image must have shape (..., 3), got {image.shape}")
    # The middle of the interval that was truncated to this level.
    rgb = (image.astype(np.float32) + np.float32(0.5)) / 255
    stretched = rgb.mean(axis=-1, keepdims=True)
    values = rgb * _unstretch(stretched, mapping)
    fluxes = (values - mapping.offset) / np.asarray(mapping.scales)
    return np.moveaxis(fluxes, -1, 0).astype(np.float32)


def _unstretch(stretched: np.ndarray, mapping: ColorMapping) -> np.ndarray:
    """Return the factor from the colours of pixels to their values, by the mean of the colours."""
    # The mean of the colours is f(I) itself, unless a channel was clipped, so f is inverted.
    root = np.sqrt(mapping.softening)
    mean = np.sinh(root * stretched) / mapping.softening
    # The ratio of the channels is that of the fluxes: all were multiplied by f / I.
    return mean / stretched


def get_extinction(color_mapping: str) -> np.ndarray:
    """Look up the extinction coefficients of the bands of a colour mapping.

    Parameters
    ----------
    color_mapping : str
        Name of the mapping.

    Returns
    -------
    coefficients : `~numpy.ndarray`
        A(band) / E(B−V) of the bands shown as red, green and blue, of shape ``(3,)``, from the
        mapping's survey (`shredfinder.surveys.Survey`).

    Examples
    --------
    >>> from shredfinder.imaging import get_extinction
    >>> get_extinction("legacy-grz")  # of z, r and g
    array([1.211, 2.165, 3.214])
    """
    mapping = _get_mapping(color_mapping)
    survey = next(known for known in SURVEYS.values() if mapping in known.color_mappings)
    return np.array([survey.extinction[band] for band in mapping.bands])


def deredden_images(
    images: ArrayLike, ebv: ArrayLike, *, color_mapping: str = "legacy-grz"
) -> np.ndarray:
    """Correct colour images for the extinction by dust in the Milky Way.

    The fluxes behind the colours are multiplied by each band's extinction. The noise grows with
    them: a corrected image is no deeper than the original.

    Parameters
    ----------
    images : array_like of uint8
        Colour images of shape ``(n, height, width, 3)``.
    ebv : array_like
        E(B−V) of Schlegel, Finkbeiner & Davis (1998, ApJ 500, 525) in mag, one value or of shape
        ``(n,)``. Images with 0 are returned unchanged.
    color_mapping : str, optional
        Name of the mapping by which the images were made.

    Returns
    -------
    corrected : `~numpy.ndarray` of uint8
        Images of the same shape. Levels 0 and 255 are limits of the flux, so the correction of
        saturated pixels is a lower limit.

    Raises
    ------
    ValueError
        If the mapping is unknown, or the images are not uint8.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder.imaging import deredden_images
    >>> reddened = np.full((1, 16, 16, 3), (150, 110, 80), np.uint8)
    >>> deredden_images(reddened, 0.3)[0, 0, 0].tolist()
    [154, 140, 128]
    """
    mapping = _get_mapping(color_mapping)
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3:
        raise ValueError(
            "only colour images of shape (n, height, width, 3) and type uint8 can be corrected "
            f"for extinction, got {images.dtype} of shape {images.shape}"
        )
    ebv = np.broadcast_to(np.asarray(ebv, dtype=float), len(images))
    factors = 10 ** (0.4 * get_extinction(color_mapping) * ebv[:, None])
    # As in `rgb_to_flux`, but the sum of the channels has 766 values: the factor is looked up.
    stretched = (np.arange(766) + 1.5) / (3 * 255)
    ratios = (_unstretch(stretched, mapping) / 255).astype(np.float32)
    corrected = images.copy()
    for i in np.flatnonzero(ebv):
        bands = np.ascontiguousarray(np.moveaxis(images[i], -1, 0))
        total = bands[0] + bands[1].astype(np.uint16) + bands[2]
        planes = bands.astype(np.float32)
        planes += np.float32(0.5)
        planes *= ratios[total]
        # The offset is no flux: `_map_colors` adds it again after the multiplication.
        planes -= np.float32(mapping.offset)
        _map_colors(list(planes), mapping, factors[i], corrected[i])
    return corrected


def compress_jpeg(image: np.ndarray, *, color_mapping: str = "legacy-grz") -> np.ndarray:
    """Compress and decompress a colour image as the survey's viewer does.

    Models trained on the viewer's JPEG images have seen their compression: it smooths the noise of
    the colours, and correlates the noise of the bands.

    Parameters
    ----------
    image : `~numpy.ndarray` of uint8
        Colour image of shape ``(height, width, 3)``, the first row at the top.
    color_mapping : str, optional
        Name of the mapping by which the image was made. Its quality is used
        (`shredfinder.surveys.ColorMapping`), with colours at half resolution (4:2:0).

    Returns
    -------
    image : `~numpy.ndarray` of uint8
        Image of the same shape; the same image if the viewer does not compress.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder.imaging import compress_jpeg
    >>> image = np.random.default_rng(0).normal(40, 8, (64, 64, 3)).clip(0, 255).astype(np.uint8)
    >>> compressed = compress_jpeg(image)
    >>> bool(compressed.std() < 0.8 * image.std())
    True
    """
    from PIL import Image

    quality = _get_mapping(color_mapping).jpeg_quality
    if quality is None:
        return image
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(
        file, "JPEG", quality=quality, subsampling="4:2:0"
    )
    with Image.open(file) as compressed:
        return np.asarray(compressed)


def _get_mapping(name):
    try:
        return COLOR_MAPPINGS[name]
    except (KeyError, TypeError):
        raise ValueError(
            f"unknown colour mapping {name!r}: choose one of {', '.join(sorted(COLOR_MAPPINGS))}"
        ) from None
