"""Change of pixel scale and projection, as in the Legacy Surveys' viewer.

For a scale coarser by a factor of two or more, images are smoothed and averaged 2 × 2 once per
whole factor of two, and then resampled; below a factor of two, the native pixels are sampled as
they are. Surface brightness is conserved: values stay fluxes per native pixel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from astropy.wcs import WCS
from numpy.lib.stride_tricks import sliding_window_view

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord
    from numpy.typing import ArrayLike

__all__ = [
    "choose_level",
    "is_inside",
    "lanczos_weights",
    "make_wcs",
    "resample_lanczos",
    "smooth_and_average",
]

# The Gaussian is truncated at four standard deviations of one pixel.
_RADIUS = 4
_GAUSSIAN = np.exp(-0.5 * np.arange(-_RADIUS, _RADIUS + 1) ** 2)
_GAUSSIAN /= _GAUSSIAN.sum()
# Smoothing and the mean of two neighbours in one step.
_HALVING = np.convolve(_GAUSSIAN, [0.5, 0.5]).astype(np.float32)
# Pixels that are made at a time by one matrix product.
_HALVED = 64
_LANCZOS = 3
TAPS = 2 * _LANCZOS
# Positions that are interpolated at a time: larger temporary arrays would take longer to allocate
# than to compute.
_POSITIONS = 4096
# Scales from a header may differ from the nominal ones by rounding; an exact power of two counts.
_TOLERANCE = 1e-5


def make_wcs(center: SkyCoord, size: int, pixel_scale: float) -> WCS:
    """Return the tangent projection of a square image, north up and east left.

    Parameters
    ----------
    center : `~astropy.coordinates.SkyCoord`
        Position of the image's centre.
    size : int
        Width and height of the image in pixels.
    pixel_scale : float
        Pixel scale in arcsec per pixel.

    Returns
    -------
    wcs : `~astropy.wcs.WCS`
        The projection, in ICRS.
    """
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.crval = center.icrs.ra.deg, center.icrs.dec.deg
    wcs.wcs.crpix = (size + 1) / 2, (size + 1) / 2
    # Right ascension increases to the east, which is left.
    wcs.wcs.cdelt = -pixel_scale / 3600, pixel_scale / 3600
    wcs.wcs.cunit = "deg", "deg"
    wcs.wcs.radesys = "ICRS"
    wcs.array_shape = size, size
    return wcs


def choose_level(pixel_scale: float, native_pixel_scale: float) -> int:
    """Return how often an image is averaged 2 × 2 before resampling.

    Parameters
    ----------
    pixel_scale : float
        Pixel scale of the result.
    native_pixel_scale : float
        Pixel scale of the image, in the same unit.

    Returns
    -------
    level : int
        The floor of log2(``pixel_scale`` / ``native_pixel_scale``), at least 0: the coarsest level
        that is not coarser than the result.

    Examples
    --------
    >>> from shredfinder.imaging.resampling import choose_level
    >>> choose_level(0.262, 0.262), choose_level(0.46875, 0.262), choose_level(1.2, 0.262)
    (0, 0, 2)
    """
    return max(0, int(np.floor(np.log2(pixel_scale / native_pixel_scale) + _TOLERANCE)))


def smooth_and_average(image: np.ndarray, level: int) -> np.ndarray:
    """Smooth images and average them 2 × 2, repeatedly.

    Parameters
    ----------
    image : `~numpy.ndarray`
        Images of shape ``(..., ny, nx)``. A last odd row or column is dropped.
    level : int
        Number of times.

    Returns
    -------
    image : `~numpy.ndarray`
        Float32 images of shape ``(..., ny // 2**level, nx // 2**level)``, smoothed each time with
        a Gaussian of σ = 1 pixel (mirrored at the edges), in the same unit.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder.imaging.resampling import smooth_and_average
    >>> smooth_and_average(np.full((9, 6), 2.0), 1).shape
    (4, 3)
    """
    for _ in range(level):
        image = np.asarray(image, dtype=np.float32)
        for _ in range(2):
            # The last axis becomes the second to last, and so each is halved once.
            image = np.ascontiguousarray(_halve(image).swapaxes(-2, -1))
    return image


def _halve(image: np.ndarray) -> np.ndarray:
    """Smooth and average along the last axis."""
    n = image.shape[-1] // 2
    # Whole blocks; what is beyond the image is cut off again.
    n_blocks = -(-n // _HALVED)
    ends = [(0, 0)] * (image.ndim - 1)
    padded = np.pad(image[..., : 2 * n], [*ends, (_RADIUS, _RADIUS)], mode="symmetric")
    padded = np.pad(padded, [*ends, (0, 2 * (n_blocks * _HALVED - n))])
    width = 2 * _HALVED + 2 * _RADIUS
    blocks = sliding_window_view(padded, width, axis=-1)[..., :: 2 * _HALVED, :]
    matrix = np.zeros((width, _HALVED), np.float32)
    for i in range(_HALVED):
        matrix[2 * i : 2 * i + len(_HALVING), i] = _HALVING
    # NaN spreads over a block in a matrix product, but not in the sums below.
    if not np.isfinite(padded.sum()):
        windows = sliding_window_view(padded, len(_HALVING), axis=-1)[..., ::2, :]
        return (windows @ _HALVING)[..., :n]
    return (blocks @ matrix).reshape(*image.shape[:-1], -1)[..., :n]


def resample_lanczos(image: ArrayLike, x: ArrayLike, y: ArrayLike) -> np.ndarray:
    """Interpolate images at arbitrary positions with a Lanczos kernel of order 3.

    Parameters
    ----------
    image : array_like
        Images of shape ``(..., ny, nx)``.
    x, y : array_like
        Positions in pixels, of the same shape; the centre of the first pixel is at (0, 0).

    Returns
    -------
    values : `~numpy.ndarray`
        Float32 values of the shape of the leading axes of ``image`` followed by that of ``x``;
        NaN outside the image and within three pixels of NaN. Beyond the edges, the outermost
        pixels are repeated, as in the viewer.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder.imaging.resampling import resample_lanczos
    >>> image = np.full((8, 8), 3.0)
    >>> resample_lanczos(image, np.array([3.2, -2.0]), np.array([4.7, 0.0])).round(6).tolist()
    [3.0, nan]
    """
    image, x, y = np.asarray(image, dtype=np.float32), np.asarray(x), np.asarray(y)
    leading, shape = image.shape[:-2], image.shape[-2:]
    planes = np.ascontiguousarray(image.reshape(-1, shape[0] * shape[1]).T)
    values = np.full((planes.shape[1], x.size), np.nan, np.float32)
    inside = np.flatnonzero(is_inside(x, y, shape))
    for start in range(0, len(inside), _POSITIONS):
        part = inside[start : start + _POSITIONS]
        values[:, part] = (_make_matrix(x.flat[part], y.flat[part], shape) @ planes).T
    return values.reshape(*leading, *x.shape)


def _make_matrix(x, y, shape):
    """Return a sparse matrix whose product with an image is the interpolated image."""
    from scipy.sparse import csr_array

    ny, nx = shape
    column, weight_x = lanczos_weights(x)
    row, weight_y = lanczos_weights(y)
    steps = np.arange(TAPS)
    # Beyond the edges, the outermost pixel is repeated.
    columns = np.clip(column[:, None] + steps, 0, nx - 1).astype(np.int32)
    rows = np.clip(row[:, None] + steps, 0, ny - 1).astype(np.int32)
    # Each row of the matrix holds the 36 pixels around one position.
    pixels = rows[:, :, None] * np.int32(nx) + columns[:, None, :]
    weights = weight_y[:, :, None] * weight_x[:, None, :]
    ends = np.arange(0, pixels.size + 1, TAPS**2, dtype=np.int32)
    return csr_array((weights.ravel(), pixels.ravel(), ends), shape=(len(x), ny * nx))


def is_inside(x: np.ndarray, y: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return whether positions are on an image.

    Parameters
    ----------
    x, y : `~numpy.ndarray`
        Positions in pixels; the centre of the first pixel is at (0, 0).
    shape : tuple of int
        Height and width of the image.

    Returns
    -------
    inside : `~numpy.ndarray` of bool
        The same shape as ``x``.
    """
    ny, nx = shape
    return (x >= -0.5) & (x <= nx - 0.5) & (y >= -0.5) & (y <= ny - 0.5)


def lanczos_weights(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute the kernel along one axis.

    Parameters
    ----------
    x : `~numpy.ndarray`
        Positions in pixels.

    Returns
    -------
    first : `~numpy.ndarray` of int
        First of the six pixels around each position, of the shape of ``x``.
    weights : `~numpy.ndarray` of float32
        Weights of the six, whose sum is 1, of shape ``(*x.shape, 6)``.
    """
    whole = np.floor(x)
    fraction = (x - whole).astype(np.float32)
    distance = fraction[..., None] + np.arange(_LANCZOS - 1, -_LANCZOS - 1, -1, dtype=np.float32)
    # sin πd of the six pixels differs in its sign only; the smaller angle has the smaller error.
    sine = np.sin(np.float32(np.pi) * np.minimum(fraction, 1 - fraction))
    signs = np.array([1, -1] * _LANCZOS, np.float32)
    slow = np.sin(np.float32(np.pi / _LANCZOS) * distance)
    # At a pixel's centre 0/0 means a weight of one, here times π²/3.
    near = np.abs(distance) < 1e-6
    weight = sine[..., None] * signs * slow / np.where(near, 1, distance) ** 2
    weight[near] = np.pi**2 / _LANCZOS
    weight /= weight.sum(axis=-1, keepdims=True)
    return whole.astype(np.int64) - _LANCZOS + 1, weight
