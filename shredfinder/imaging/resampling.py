"""Change of pixel scale and projection, as in the Legacy Surveys' viewer.

For a scale coarser by a factor of two or more, images are smoothed and averaged 2 × 2 once per
whole factor of two, and then resampled; below a factor of two, the native pixels are sampled as
they are. Surface brightness is conserved: values stay fluxes per native pixel.
"""

import numpy as np
from astropy.wcs import WCS

__all__ = [
    "LanczosSampling",
    "choose_level",
    "make_wcs",
    "resample_lanczos",
    "smooth_and_average",
]

_SIGMA = 1.0
# The kernel is truncated at four standard deviations.
_RADIUS = 4
_LANCZOS = 3
# Scales from a header may differ from the nominal ones by rounding; an exact power of two counts.
_TOLERANCE = 1e-5


def make_wcs(center, size, pixel_scale):
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


def choose_level(pixel_scale, native_pixel_scale):
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


def smooth_and_average(image, level):
    """Smooth an image and average it 2 × 2, repeatedly.

    Parameters
    ----------
    image : `~numpy.ndarray`
        Image of shape ``(ny, nx)``. A last odd row or column is dropped.
    level : int
        Number of times.

    Returns
    -------
    image : `~numpy.ndarray`
        Image of shape ``(ny // 2**level, nx // 2**level)``, smoothed each time with a
        Gaussian of σ = 1 pixel (mirrored at the edges), in the same unit.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder.imaging.resampling import smooth_and_average
    >>> smooth_and_average(np.full((9, 6), 2.0), 1).shape
    (4, 3)
    """
    from scipy.ndimage import gaussian_filter

    for _ in range(level):
        ny, nx = (n - n % 2 for n in image.shape)
        image = gaussian_filter(image[:ny, :nx], _SIGMA, mode="reflect", radius=_RADIUS)
        image = image.reshape(ny // 2, 2, nx // 2, 2).mean(axis=(1, 3))
    return image


def resample_lanczos(image, x, y):
    """Interpolate an image at arbitrary positions with a Lanczos kernel of order 3.

    Parameters
    ----------
    image : `~numpy.ndarray`
        Image of shape ``(ny, nx)``.
    x, y : `~numpy.ndarray`
        Positions in pixels, of the same shape; the centre of the first pixel is at (0, 0).

    Returns
    -------
    values : `~numpy.ndarray`
        Values of the shape of ``x``; NaN outside the image and within three pixels of NaN.
        Beyond the edges, the outermost pixels are repeated, as in the viewer.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder.imaging.resampling import resample_lanczos
    >>> image = np.full((8, 8), 3.0)
    >>> resample_lanczos(image, np.array([3.2, -2.0]), np.array([4.7, 0.0])).round(6).tolist()
    [3.0, nan]
    """
    return LanczosSampling(x, y, image.shape).apply(image)


class LanczosSampling:
    """Interpolation weights for fixed positions in images of one shape.

    Parameters
    ----------
    x, y : `~numpy.ndarray`
        Positions in pixels, of the same shape; the centre of the first pixel is at (0, 0).
    shape : tuple of int
        Height and width of the images.
    """

    def __init__(self, x, y, shape):
        from scipy.sparse import csr_array

        ny, nx = shape
        self._shape = np.shape(x)
        x, y = np.ravel(x), np.ravel(y)
        self._inside = (x >= -0.5) & (x <= nx - 0.5) & (y >= -0.5) & (y <= ny - 0.5)
        column, weight_x = _lanczos_weights(x[self._inside], nx)
        row, weight_y = _lanczos_weights(y[self._inside], ny)
        # Each row of the matrix holds the 36 pixels around one position. The product of matrix
        # and image is the interpolated image.
        pixels = row[:, :, None] * nx + column[:, None, :]
        weights = weight_y[:, :, None] * weight_x[:, None, :]
        ends = np.arange(0, pixels.size + 1, pixels[0].size if len(pixels) else 1)
        self._matrix = csr_array(
            (weights.ravel(), pixels.ravel(), ends), shape=(len(pixels), ny * nx)
        )

    def apply(self, image):
        """Interpolate an image at the positions; see `resample_lanczos`."""
        values = np.full(self._inside.shape, np.nan)
        values[self._inside] = self._matrix @ np.ravel(image)
        return values.reshape(self._shape)


def _lanczos_weights(x, n):
    """Return indices and weights, each ``(len(x), 6)``, of the pixels around each position."""
    first = np.floor(x).astype(np.int32) - _LANCZOS + 1
    steps = np.arange(2 * _LANCZOS, dtype=np.int32)
    index = first[:, None] + steps
    distance = x[:, None] - index
    # Pixels are one apart, so sin πd and sin πd/3 of the other pixels follow from the first by
    # trigonometric identities.
    turn = np.pi * steps / _LANCZOS
    start = np.pi * distance[:, :1]
    sine = np.where(steps % 2, -1, 1) * np.sin(start)
    slow = np.sin(start / _LANCZOS) * np.cos(turn) - np.cos(start / _LANCZOS) * np.sin(turn)
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = _LANCZOS * sine * slow / (np.pi * distance) ** 2
    # At a pixel's centre, 0/0 means a weight of one.
    weight[np.abs(distance) < 1e-9] = 1
    weight /= weight.sum(axis=1, keepdims=True)
    # Beyond the edges, the outermost pixel is repeated.
    return np.clip(index, 0, n - 1), weight
