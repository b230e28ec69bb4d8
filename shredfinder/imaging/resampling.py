"""Change of pixel scale and projection, as in the Legacy Surveys' viewer.

For a scale coarser by a factor of two or more, images are smoothed and averaged 2 × 2 once per
whole factor of two, and then resampled; below a factor of two, the native pixels are sampled as
they are. Surface brightness is conserved: values stay fluxes per native pixel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from astropy.wcs import WCS
from numpy.lib.stride_tricks import sliding_window_view

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord
    from numpy.typing import ArrayLike

__all__ = [
    "GridFit",
    "choose_level",
    "fit_grids",
    "make_nodes",
    "make_wcs",
    "resample_grid",
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
_TAPS = 2 * _LANCZOS
# Width of tiles in pixels; knots, in −1 to 1, at which weights are computed exactly and between
# which they are interpolated (Chebyshev nodes); and the largest displacement in pixels, within a
# tile, for which that is accurate to 3e-4 of the noise.
_TILINGS = (
    (16, np.array([-0.707, 0.707]), 0.008),
    (16, np.array([-0.866, 0.0, 0.866]), 0.05),
    (8, np.array([-0.866, 0.0, 0.866]), 0.05),
)
# Largest deviation in pixels from straight lines within a tile.
_MAX_BEND = 2e-4
# Positions that are interpolated at a time: larger temporary arrays would take longer to allocate
# than to compute.
_POSITIONS = 4096
# Positions along each axis of an image that determine a `GridFit`.
_NODES = np.linspace(-1, 1, 5)
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


class GridFit(NamedTuple):
    """Where the pixels of a cutout lie in an image.

    With *u* and *v* the offsets of a pixel from the centre of the cutout, to the right and
    downward, its position in the image along each axis is the sum of the six coefficients times
    1, *u*, *v*, *u*², *u v* and *v*².

    Attributes
    ----------
    x, y : `~numpy.ndarray`
        The six coefficients of each axis, in pixels; the centre of the first pixel is at (0, 0).
    error : float
        Largest deviation from the exact positions at the nodes, in pixels.
    """

    x: np.ndarray
    y: np.ndarray
    error: float

    def shift(self, left: float, bottom: float, step: int = 1) -> GridFit:
        """Return the fit for a part of the image that starts at a pixel, averaged in blocks."""
        moved = []
        for axis, start in ((self.x, left), (self.y, bottom)):
            axis = axis / step
            # Edges of pixels scale with `step`, centres do not: half a pixel is added and
            # subtracted.
            axis[0] += (0.5 - start) / step - 0.5
            moved.append(axis)
        return GridFit(moved[0], moved[1], self.error / step)

    def evaluate_nodes(self, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the positions of the nodes, each of shape ``(25,)``."""
        terms = _terms(*make_nodes(width, height))
        x, y = (sum(c * term for c, term in zip(a, terms, strict=True)) for a in (self.x, self.y))
        return x, y

    def evaluate(self, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the positions of all pixels, each of shape ``(height, width)``."""
        v, u = np.ogrid[:height, :width]
        terms = _terms(u - (width - 1) / 2, v - (height - 1) / 2)
        x, y = (sum(c * term for c, term in zip(a, terms, strict=True)) for a in (self.x, self.y))
        return x, y


def _terms(u, v):
    return 1.0 + 0 * (u + v), u, v, u**2, u * v, v**2


def make_nodes(width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the offsets of the nodes from the centre of a cutout, to which positions are fitted.

    Parameters
    ----------
    width, height : int
        Size of the cutout in pixels.

    Returns
    -------
    u, v : `~numpy.ndarray`
        Offsets to the right and downward in pixels, of shape ``(25,)``. The outermost nodes are
        the centres of the corner pixels.
    """
    u, v = np.meshgrid(_NODES * (width - 1) / 2, _NODES * (height - 1) / 2)
    return u.ravel(), v.ravel()


def fit_grids(x: np.ndarray, y: np.ndarray, width: int, height: int) -> list[GridFit]:
    """Fit the positions of the pixels of cutouts, given those of their nodes.

    Parameters
    ----------
    x, y : `~numpy.ndarray`
        Positions of the nodes of ``n`` cutouts in an image, of shape ``(n, 25)``, in pixels.
    width, height : int
        Size of the cutouts in pixels.

    Returns
    -------
    fits : list of GridFit
        One per cutout. The error is NaN if a position is not finite.

    Examples
    --------
    >>> from shredfinder.imaging.resampling import fit_grids, make_nodes
    >>> u, v = make_nodes(128, 128)
    >>> (fit,) = fit_grids(500 + 1.8 * u[None], 700 - 1.8 * v[None], 128, 128)
    >>> fit.x[:2].round(6).tolist(), fit.error < 1e-9
    ([500.0, 1.8], True)
    """
    terms = np.stack(_terms(*make_nodes(width, height)), axis=1)
    solve = np.linalg.pinv(terms)
    # Offsets from the first node, since large numbers would lose digits.
    start = x[:, :1], y[:, :1]
    axes = [(axis - first) @ solve.T for axis, first in zip((x, y), start, strict=True)]
    errors = [
        np.abs(c @ terms.T + first - axis).max(axis=1)
        for c, axis, first in zip(axes, (x, y), start, strict=True)
    ]
    for c, first in zip(axes, start, strict=True):
        c[:, :1] += first
    return [
        GridFit(x_axis, y_axis, float(error))
        for x_axis, y_axis, error in zip(*axes, np.maximum(*errors), strict=True)
    ]


def resample_grid(images: np.ndarray, fit: GridFit, width: int, height: int) -> np.ndarray:
    """Interpolate images at the pixels of a cutout with a Lanczos kernel of order 3.

    Parameters
    ----------
    images : `~numpy.ndarray`
        Float32 images of shape ``(bands, ny, nx)``.
    fit : GridFit
        Positions of the cutout's pixels in the images.
    width, height : int
        Size of the cutout in pixels.

    Returns
    -------
    values : `~numpy.ndarray`
        Float32 values of shape ``(bands, height, width)``, as from `resample_lanczos`.

    Notes
    -----
    A kernel is the product of one along each axis. In a small tile whose rows and columns nearly
    follow those of the image, the position along x is a function of the column plus a small shift
    that depends on the row. The weights for each shift are interpolated between two or three
    shifts, so that a tile is a few products of matrices. Other images are interpolated pixel by
    pixel.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder.imaging.resampling import fit_grids, make_nodes, resample_grid
    >>> u, v = make_nodes(64, 64)
    >>> (fit,) = fit_grids(100 + 1.8 * u[None], 100 - 1.8 * v[None], 64, 64)
    >>> resample_grid(np.full((3, 200, 200), 2.0, np.float32), fit, 64, 64).shape
    (3, 64, 64)
    """
    tiling = _choose_tiling(fit)
    # A product of matrices would spread NaN over a tile.
    if tiling is None or not np.isfinite(images.sum()):
        return resample_lanczos(images, *fit.evaluate(width, height))
    if abs(fit.x[1]) < abs(fit.x[2]):  # rows of the cutout follow columns of the image
        fit, images = GridFit(fit.y, fit.x, fit.error), images.swapaxes(-2, -1)
    values = _resample_tiles(images, fit, width, height, *tiling)
    u, v = (width - 1) / 2, (height - 1) / 2
    ny, nx = images.shape[1:]
    corners = [_terms(u * i, v * j) for i in (-1, 1) for j in (-1, 1)]
    if any(
        not -0.5 <= axis @ corner <= n - 0.5
        for corner in corners
        for axis, n in ((fit.x, nx), (fit.y, ny))
    ):
        values[:, ~_is_inside(*fit.evaluate(width, height), (ny, nx))] = np.nan
    return values


def _choose_tiling(fit: GridFit) -> tuple[int, np.ndarray] | None:
    """Return the size and knots of tiles in which products of matrices are accurate, if any."""
    x, y = (fit.x, fit.y) if abs(fit.x[1]) >= abs(fit.x[2]) else (fit.y, fit.x)
    for size, knots, max_shift in _TILINGS:
        half = (size - 1) / 2
        shift = max(abs(x[2]), abs(y[1])) * half
        bend = np.abs([*x[3:], *y[3:]]).max() * half**2
        if shift <= max_shift and bend <= _MAX_BEND:
            return size, knots
    return None


def _resample_tiles(
    images: np.ndarray, fit: GridFit, width: int, height: int, size: int, knots: np.ndarray
) -> np.ndarray:
    n_bands, n_knots = len(images), len(knots)
    columns, rows = -(-width // size), -(-height // size)
    local = np.arange(size) - (size - 1) / 2
    # Centres of the tiles.
    v, u = np.meshgrid(
        np.arange(rows) * size + (size - height) / 2,
        np.arange(columns) * size + (size - width) / 2,
        indexing="ij",
    )
    weights_x, left = _tile_weights(fit.x, u, v, fit.x[1], fit.x[2] * knots, local)
    weights_y, bottom = _tile_weights(fit.y, u, v, fit.y[2], fit.y[1] * knots, local)
    n_y, n_x = weights_y.shape[-1], weights_x.shape[-1]
    windows = _cut_windows(images, left, bottom, n_x, n_y)
    # Polynomials that interpolate between the knots, at the tile's rows or columns.
    blend = _lagrange(local / local[-1], knots)
    values = np.empty((n_bands, rows, size, columns, size), np.float32)
    # Large temporary arrays would take longer to allocate than to compute.
    for row in range(rows):
        # (v, knot of y) × i, times i × j, is v × (knot of y, j).
        along_y = weights_y[row].swapaxes(1, 2).reshape(columns, 1, size * n_knots, n_y)
        lines = (along_y @ windows[row]).reshape(columns, n_bands, size, n_knots * n_x)
        # The shift along y depends on u: (knot of x, u) × (knot of y, j).
        along_x = weights_x[row][:, :, :, None] * blend[:, :, None]
        along_x = along_x.reshape(columns, 1, n_knots * size, n_knots * n_x)
        products = (lines @ along_x.swapaxes(-2, -1)).reshape(columns, n_bands, size, n_knots, size)
        into = values[:, row].transpose(2, 0, 1, 3)
        # The shift along x depends on v.
        np.multiply(products[..., 0, :], blend[:, :1], out=into)
        for knot in range(1, n_knots):
            into += products[..., knot, :] * blend[:, knot : knot + 1]
    return values.reshape(n_bands, rows * size, columns * size)[:, :height, :width]


def _tile_weights(axis, u, v, slope, shifts, local):
    """Return weights of shape ``(*tiles, knots, size, n)`` and the first pixels of the tiles."""
    center = np.stack(_terms(u, v), axis=-1) @ axis
    positions = center[..., None, None] + local[-1] * shifts[:, None] + slope * local
    first, weight = _lanczos_weights(positions)
    start = first.min(axis=(-2, -1))
    offset = first - start[..., None, None]
    n = int(offset.max()) + _TAPS
    dense = np.zeros((*positions.shape, n), np.float32)
    index = np.arange(positions.size).reshape(positions.shape) * n + offset
    dense.reshape(-1)[index[..., None] + np.arange(_TAPS)] = weight
    return dense, start


def _cut_windows(images, left, bottom, n_x, n_y):
    """Return a part of each image per tile, of shape ``(*tiles, bands, n_y, n_x)``."""
    ny, nx = images.shape[1:]
    pad = [
        (max(0, -int(start.min())), max(0, int(start.max()) + width - n))
        for start, width, n in ((bottom, n_y, ny), (left, n_x, nx))
    ]
    if any(map(any, pad)):
        # Beyond the edges, the outermost pixel is repeated.
        images = np.pad(images, [(0, 0), *pad], mode="edge")
    windows = sliding_window_view(images, (n_y, n_x), axis=(1, 2))
    return windows[:, bottom + pad[0][0], left + pad[1][0]].transpose(1, 2, 0, 3, 4)


def _lagrange(z, knots):
    """Return the polynomials that are 1 at one knot and 0 at the others, ``(len(z), knots)``."""
    columns = []
    for i, knot in enumerate(knots):
        others = np.delete(knots, i)
        columns.append(np.prod((z[:, None] - others) / (knot - others), axis=1))
    return np.stack(columns, axis=1).astype(np.float32)


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
    inside = np.flatnonzero(_is_inside(x, y, shape))
    for start in range(0, len(inside), _POSITIONS):
        part = inside[start : start + _POSITIONS]
        values[:, part] = (_make_matrix(x.flat[part], y.flat[part], shape) @ planes).T
    return values.reshape(*leading, *x.shape)


def _make_matrix(x, y, shape):
    """Return a sparse matrix whose product with an image is the interpolated image."""
    from scipy.sparse import csr_array

    ny, nx = shape
    column, weight_x = _lanczos_weights(x)
    row, weight_y = _lanczos_weights(y)
    steps = np.arange(_TAPS)
    # Beyond the edges, the outermost pixel is repeated.
    columns = np.clip(column[:, None] + steps, 0, nx - 1).astype(np.int32)
    rows = np.clip(row[:, None] + steps, 0, ny - 1).astype(np.int32)
    # Each row of the matrix holds the 36 pixels around one position.
    pixels = rows[:, :, None] * np.int32(nx) + columns[:, None, :]
    weights = weight_y[:, :, None] * weight_x[:, None, :]
    ends = np.arange(0, pixels.size + 1, _TAPS**2, dtype=np.int32)
    return csr_array((weights.ravel(), pixels.ravel(), ends), shape=(len(x), ny * nx))


def _is_inside(x, y, shape):
    ny, nx = shape
    return (x >= -0.5) & (x <= nx - 0.5) & (y >= -0.5) & (y <= ny - 0.5)


def _lanczos_weights(x):
    """Return the first of six pixels around each position, and the weights of all six."""
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
