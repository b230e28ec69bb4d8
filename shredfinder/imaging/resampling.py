"""Changes of scale and projection, as the Legacy Surveys' viewer makes them.

Images that are asked for at a coarser scale than their own are smoothed and averaged 2 × 2,
once per factor of two, and then resampled. All of it keeps surface brightness: values stay fluxes
per native pixel, none are summed.
"""

import numpy as np

__all__ = ["LanczosSampling", "choose_level", "resample_lanczos", "smooth_and_average"]

_SIGMA = 1.0
# Beyond four standard deviations the kernel is cut off.
_RADIUS = 4
_LANCZOS = 3


def choose_level(pixel_scale, native_pixel_scale):
    """Tell how often an image is averaged 2 × 2 before it is resampled.

    Parameters
    ----------
    pixel_scale : float
        Pixel scale that is asked for.
    native_pixel_scale : float
        Pixel scale that the image has, in the same unit.

    Returns
    -------
    level : int
        The number of times that brings it nearest to the scale asked for, in the logarithm.

    Examples
    --------
    >>> from shredfinder.imaging.resampling import choose_level
    >>> choose_level(0.262, 0.262), choose_level(0.46875, 0.262), choose_level(1.2, 0.262)
    (0, 1, 2)
    """
    return max(0, int(np.round(np.log2(pixel_scale / native_pixel_scale))))


def smooth_and_average(image, level):
    """Smooth an image and average it 2 × 2, a number of times.

    Parameters
    ----------
    image : `~numpy.ndarray`
        Image of shape ``(ny, nx)``. A last odd row or column is dropped.
    level : int
        Number of times.

    Returns
    -------
    image : `~numpy.ndarray`
        Image of shape ``(ny // 2**level, nx // 2**level)``, smoothed each time by a Gaussian of
        one pixel (mirrored at the edges), in the same unit.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder.imaging.resampling import smooth_and_average
    >>> smooth_and_average(np.full((9, 6), 2.0), 1).shape
    (4, 3)
    """
    for _ in range(level):
        ny, nx = (n - n % 2 for n in image.shape)
        image = _smooth(_smooth(image[:ny, :nx], 0), 1)
        image = image.reshape(ny // 2, 2, nx // 2, 2).mean(axis=(1, 3))
    return image


def _smooth(image, axis):
    kernel = np.exp(-0.5 * (np.arange(-_RADIUS, _RADIUS + 1) / _SIGMA) ** 2)
    kernel /= kernel.sum()
    width = [(0, 0), (0, 0)]
    width[axis] = (_RADIUS, _RADIUS)
    padded = np.pad(image, width, mode="symmetric")
    n = image.shape[axis]
    parts = (weight * padded.take(range(i, i + n), axis=axis) for i, weight in enumerate(kernel))
    return sum(parts)


def resample_lanczos(image, x, y):
    """Take an image's values at any positions, by Lanczos interpolation of order 3.

    Parameters
    ----------
    image : `~numpy.ndarray`
        Image of shape ``(ny, nx)``.
    x, y : `~numpy.ndarray`
        Positions in pixels, of any one shape; the centre of the first pixel is at (0, 0).

    Returns
    -------
    values : `~numpy.ndarray`
        Values of the shape of ``x``; NaN outside the image and within three pixels of NaN. Near
        the edges the pixels that exist are weighted up.

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
    """Positions at which images of one shape are interpolated, and the weights that takes.

    Parameters
    ----------
    x, y : `~numpy.ndarray`
        Positions in pixels, of any one shape; the centre of the first pixel is at (0, 0).
    shape : tuple of int
        Height and width of the images.
    """

    def __init__(self, x, y, shape):
        ny, nx = shape
        self._shape = np.shape(x)
        x, y = np.ravel(x), np.ravel(y)
        self._inside = (x >= -0.5) & (x <= nx - 0.5) & (y >= -0.5) & (y <= ny - 0.5)
        self._column, self._weight_x = _lanczos_weights(x[self._inside], nx)
        row, self._weight_y = _lanczos_weights(y[self._inside], ny)
        self._first = row * nx

    def apply(self, image):
        """Take the values of an image at the positions, as `resample_lanczos` does."""
        image = np.ravel(image)
        total = np.zeros(self._first.shape[1])
        for first, weight_y in zip(self._first, self._weight_y, strict=True):
            line = np.zeros(total.shape)
            for column, weight_x in zip(self._column, self._weight_x, strict=True):
                line += weight_x * image.take(first + column)
            total += weight_y * line
        values = np.full(self._inside.shape, np.nan)
        values[self._inside] = total
        return values.reshape(self._shape)


def _lanczos_weights(x, n):
    """Weigh the six pixels around each position, along one axis."""
    first = np.floor(x).astype(int) - _LANCZOS + 1
    steps = np.arange(2 * _LANCZOS)
    index = first + steps[:, None]
    distance = x - index
    # Of sin πd and sin πd/3 only those of the first pixel are computed, the rest follow: the
    # pixels are one apart.
    turn = np.pi * steps[:, None] / _LANCZOS
    start = np.pi * distance[0]
    sine = np.where(steps[:, None] % 2, -1, 1) * np.sin(start)
    slow = np.sin(start / _LANCZOS) * np.cos(turn) - np.cos(start / _LANCZOS) * np.sin(turn)
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = _LANCZOS * sine * slow / (np.pi * distance) ** 2
    # At a pixel's centre both are zero, and the weight one.
    weight[np.abs(distance) < 1e-9] = 1
    weight[(index < 0) | (index >= n)] = 0
    weight /= weight.sum(axis=0)
    return np.clip(index, 0, n - 1), weight
