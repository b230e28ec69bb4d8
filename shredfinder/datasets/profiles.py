"""Light profiles of galaxies as small images, normalised to a sum of one."""

from dataclasses import dataclass

import numpy as np

__all__ = ["Stamp", "edge_on_stamp", "gaussian_stamp", "make_grid", "sersic_b", "sersic_stamp"]

# Largest half-width of a stamp in pixels: at larger radii a profile is fainter than the noise.
_MAX_HALF_WIDTH = 300
# The same for edge-on discs, which end more sharply.
_MAX_DISC = 720
# Profiles with smaller half-light radii (pixels) are oversampled.
_FINE_RADIUS = 5.0
_OVERSAMPLING = 5


@dataclass
class Stamp:
    """A small image and its place in a larger one.

    Attributes
    ----------
    image : `~numpy.ndarray`
        Values of shape ``(..., height, width)``.
    left, bottom : int
        Column and row of the larger image at the stamp's first column and row.
    """

    image: np.ndarray
    left: int
    bottom: int


def make_grid(x, y, half_width, *, oversampling=1):
    """Return the coordinates of a stamp's pixels relative to a source.

    Parameters
    ----------
    x, y : float
        Position of the source in pixels of the larger image; the first pixel's centre is 0.
    half_width : int
        Half-width of the stamp in pixels; its side is ``2 * half_width + 1``.
    oversampling : int, optional
        Subpixels per pixel along each axis.

    Returns
    -------
    dx, dy : `~numpy.ndarray`
        Distances from the source in pixels, of shapes ``(1, width)`` and ``(height, 1)``.
    left, bottom : int
        Column and row of the larger image at the stamp's first column and row.
    """
    left, bottom = round(x) - half_width, round(y) - half_width
    # Centres of subpixels: a pixel reaches from -0.5 to +0.5 around its index.
    fine = (np.arange((2 * half_width + 1) * oversampling) + 0.5) / oversampling - 0.5
    return (fine + (left - x))[np.newaxis], (fine + (bottom - y))[:, np.newaxis], left, bottom


def rotate(dx, dy, position_angle):
    """Convert pixel offsets to distances along and across the major axis.

    Parameters
    ----------
    dx, dy : `~numpy.ndarray`
        Offsets in pixels, x to the west and y to the north.
    position_angle : float
        Angle of the major axis in radians, from north to east.

    Returns
    -------
    along, across : `~numpy.ndarray`
        Distances in pixels.
    """
    sine, cosine = np.sin(position_angle), np.cos(position_angle)
    return dy * cosine - dx * sine, dx * cosine + dy * sine


def sersic_b(n):
    """Compute the *b* parameter of a Sérsic profile of index ``n``.

    Ciotti & Bertin (1999, A&A 352, 447), equation 18, with an error below 1e-4 for n > 0.5.

    Examples
    --------
    >>> from shredfinder.datasets.profiles import sersic_b
    >>> f"{sersic_b(1):.3f} {sersic_b(4):.3f}"
    '1.678 7.669'
    """
    return 2 * n - 1 / 3 + 4 / (405 * n) + 46 / (25515 * n**2)


def sersic_stamp(x, y, r_half, *, n=1.0, axis_ratio=1.0, position_angle=0.0):
    """Draw a Sérsic profile.

    Parameters
    ----------
    x, y : float
        Position in pixels of the larger image.
    r_half : float
        Half-light radius along the major axis in pixels.
    n : float, optional
        Sérsic index: 1 for an exponential disc, 4 for a large elliptical.
    axis_ratio : float, optional
        Minor over major axis.
    position_angle : float, optional
        Angle of the major axis in radians, from north to east.

    Returns
    -------
    stamp : Stamp
        The profile, with a sum of one.
    """
    half_width = int(min(max(4.0 + n, 5.0) * r_half + 3, _MAX_HALF_WIDTH))
    oversampling = _OVERSAMPLING if r_half < _FINE_RADIUS else 1
    dx, dy, left, bottom = make_grid(x, y, half_width, oversampling=oversampling)
    along, across = rotate(dx, dy, position_angle)
    squared = (along**2 + (across / axis_ratio) ** 2) / r_half**2
    # A minimum radius keeps the cusp of a steep profile from concentrating in one pixel.
    squared = np.maximum(squared, (0.2 / r_half / oversampling) ** 2)
    image = np.exp(-sersic_b(n) * squared ** (0.5 / n))
    return Stamp(_normalize(_bin(image, oversampling)), left, bottom)


def edge_on_stamp(x, y, scale_length, *, thickness=0.15, position_angle=0.0):
    """Draw an edge-on disc: exponential along the disc, sech² across it.

    After van der Kruit & Searle (1981, A&A 95, 105).

    Parameters
    ----------
    x, y : float
        Position in pixels of the larger image.
    scale_length : float
        Exponential scale length in pixels.
    thickness : float, optional
        Scale height over scale length.
    position_angle : float, optional
        Angle of the disc in radians, from north to east.

    Returns
    -------
    stamp : Stamp
        The profile, with a sum of one.
    """
    half_width = int(min(6 * scale_length + 3, _MAX_DISC))
    dx, dy, left, bottom = make_grid(x, y, half_width)
    along, across = rotate(dx, dy, position_angle)
    # Discs end near four scale lengths (van der Kruit & Searle 1981).
    edge = 1 / (1 + np.exp(np.minimum((np.abs(along) / scale_length - 3.8) / 0.25, 80)))
    # cosh² would overflow far from the disc; at 30 the profile is already zero.
    height = np.minimum(np.abs(across) / (thickness * scale_length), 30)
    image = np.exp(-np.hypot(along, 0.7) / scale_length) * edge / np.cosh(height) ** 2
    return Stamp(_normalize(image), left, bottom)


def gaussian_stamp(x, y, sigma):
    """Draw a round Gaussian of width ``sigma`` (pixels), as a `Stamp` with a sum of one."""
    dx, dy, left, bottom = make_grid(x, y, int(4 * sigma + 2))
    image = np.exp(-0.5 * (dy / sigma) ** 2) * np.exp(-0.5 * (dx / sigma) ** 2)
    return Stamp(_normalize(image), left, bottom)


def _bin(image, factor):
    if factor == 1:
        return image
    height, width = image.shape[0] // factor, image.shape[1] // factor
    return image.reshape(height, factor, width, factor).mean(axis=(1, 3))


def _normalize(image):
    return (image / image.sum()).astype(np.float32)
