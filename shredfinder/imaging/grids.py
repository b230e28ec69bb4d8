"""Interpolation of images at the pixels of cutouts whose rows nearly follow those of the image."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from shredfinder.imaging.resampling import TAPS, is_inside, lanczos_weights, resample_lanczos

__all__ = ["GridFit", "fit_grids", "make_nodes", "resample_grid"]

# Width of tiles in pixels, and the largest displacement in pixels, within a tile, of rows and
# columns against those of the image; from the fastest to the slowest. Weights are computed at some
# displacements (Chebyshev nodes, in −1 to 1) and interpolated between them, accurate to 3e-4 of the
# noise.
_TWO, _THREE = np.array([-0.707, 0.707]), np.array([-0.866, 0.0, 0.866])
_TILINGS = (
    (128, _TWO, 0.008),
    (128, _THREE, 0.05),
    (16, _TWO, 0.008),
    (64, _THREE, 0.05),
    (16, _THREE, 0.05),
    (8, _THREE, 0.05),
)
# Pixels that one matrix product makes in a large tile: larger matrices would be mostly zeros.
_BLOCK = 16
# Largest deviation in pixels from straight lines within a tile.
_MAX_BEND = 2e-4
# Positions along each axis of an image that determine a `GridFit`.
_NODES = np.linspace(-1, 1, 5)


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

    def move(self, u: float, v: float) -> GridFit:
        """Return the fit for offsets from another centre."""
        moved = [
            np.array(
                [
                    np.dot(axis, _terms(u, v)),
                    axis[1] + 2 * axis[3] * u + axis[4] * v,
                    axis[2] + 2 * axis[5] * v + axis[4] * u,
                    *axis[3:],
                ]
            )
            for axis in (self.x, self.y)
        ]
        return GridFit(moved[0], moved[1], self.error)

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
    >>> from shredfinder.imaging.grids import fit_grids, make_nodes
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
    A kernel is the product of one along each axis. In a tile whose rows and columns nearly follow
    those of the image, the position along x is a function of the column plus a small shift that
    depends on the row. The weights for each shift are interpolated between two or three shifts, so
    that a tile is a few products of matrices. The less a cutout is rotated against the image, the
    larger the tiles are. Strongly rotated images are interpolated pixel by pixel.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder.imaging.grids import fit_grids, make_nodes, resample_grid
    >>> u, v = make_nodes(64, 64)
    >>> (fit,) = fit_grids(100 + 1.8 * u[None], 100 - 1.8 * v[None], 64, 64)
    >>> resample_grid(np.full((3, 200, 200), 2.0, np.float32), fit, 64, 64).shape
    (3, 64, 64)
    """
    if abs(fit.x[1]) < abs(fit.x[2]):  # rows of the cutout follow columns of the image
        fit, images = GridFit(fit.y, fit.x, fit.error), images.swapaxes(-2, -1)
    tiling = _choose_tiling(fit, max(width, height))
    # A product of matrices would spread NaN over a tile.
    if tiling is None or not np.isfinite(images.sum()):
        return resample_lanczos(images, *fit.evaluate(width, height))
    size, knots = tiling
    if size <= _BLOCK:
        values = _resample_tiles(images, fit, width, height, size, knots)
    else:
        values = _resample_panels(images, fit, width, height, size, knots)
    u, v = (width - 1) / 2, (height - 1) / 2
    ny, nx = images.shape[1:]
    corners = [_terms(u * i, v * j) for i in (-1, 1) for j in (-1, 1)]
    if any(
        not -0.5 <= axis @ corner <= n - 0.5
        for corner in corners
        for axis, n in ((fit.x, nx), (fit.y, ny))
    ):
        values[:, ~is_inside(*fit.evaluate(width, height), (ny, nx))] = np.nan
    return values


def _choose_tiling(fit: GridFit, longest: int) -> tuple[int, np.ndarray] | None:
    """Return the size and knots of tiles in which products of matrices are accurate, if any."""
    x, y = fit.x, fit.y
    for size, knots, max_shift in _TILINGS:
        half = (min(size, longest) - 1) / 2
        shift = max(abs(x[2]), abs(y[1])) * half
        bend = np.abs([*x[3:], *y[3:]]).max() * half**2
        if shift <= max_shift and bend <= _MAX_BEND:
            return size, knots
    return None


def _resample_panels(
    images: np.ndarray, fit: GridFit, width: int, height: int, size: int, knots: np.ndarray
) -> np.ndarray:
    """Interpolate in large tiles, one by one."""
    if max(width, height) <= size:
        return _resample_panel(images, fit, width, height, knots)
    values = np.empty((len(images), height, width), np.float32)
    for top in range(0, height, size):
        for start in range(0, width, size):
            shape = min(size, width - start), min(size, height - top)
            u, v = start + (shape[0] - width) / 2, top + (shape[1] - height) / 2
            part = _resample_panel(images, fit.move(u, v), *shape, knots)
            values[:, top : top + shape[1], start : start + shape[0]] = part
    return values


def _resample_panel(
    images: np.ndarray, fit: GridFit, width: int, height: int, knots: np.ndarray
) -> np.ndarray:
    n_bands, n_knots = len(images), len(knots)
    # Whole blocks; what is beyond the panel is cut off again.
    columns, rows = -(-width // _BLOCK), -(-height // _BLOCK)
    n_columns, n_rows = columns * _BLOCK, rows * _BLOCK
    u, v = np.arange(n_columns) - (width - 1) / 2, np.arange(n_rows) - (height - 1) / 2
    shift_x, shift_y = (fit.x[2] * (height - 1) / 2 * knots, fit.y[1] * (width - 1) / 2 * knots)
    x = (fit.x[0] + fit.x[1] * u).reshape(columns, 1, _BLOCK) + shift_x[:, None]
    y = (fit.y[0] + fit.y[2] * v).reshape(rows, 1, _BLOCK) + shift_y[:, None]
    (weights_x, left), (weights_y, bottom) = _make_weights(x), _make_weights(y)
    n_x, n_y = weights_x.shape[-1], weights_y.shape[-1]
    images, left, bottom = _pad(images, left, bottom, n_x, n_y)
    start = left.min()
    width_in = left.max() + n_x - start
    # Along y, for each knot: (v × i) times (i × j).
    lines = np.empty((n_knots, n_bands, n_rows, width_in), np.float32)
    for block, low in enumerate(bottom):
        part = images[:, low : low + n_y, start : start + width_in]
        into = lines[:, :, block * _BLOCK : (block + 1) * _BLOCK]
        np.matmul(weights_y[block][:, None], part, out=into)
    # Along x: (v × j) times (j × (knot of x, u)). The shift along y depends on u.
    blend = _blend(width, n_columns, tuple(knots)).reshape(n_knots, columns, 1, _BLOCK, 1)
    weights = (weights_x * blend).reshape(n_knots, columns, n_knots * _BLOCK, n_x)
    weights = weights.swapaxes(-2, -1)
    # Each band by itself: for larger products, BLAS would start threads that wait for each other.
    sums = np.empty((n_bands, n_rows, columns, n_knots * _BLOCK), np.float32)
    for block, low in enumerate(left - start):
        into = sums[:, :, block]
        np.matmul(lines[0][..., low : low + n_x], weights[0, block], out=into)
        for knot in range(1, n_knots):
            into += lines[knot][..., low : low + n_x] @ weights[knot, block]
    sums = sums.reshape(n_bands, n_rows, columns, n_knots, _BLOCK)
    # The shift along x depends on v.
    blend = _blend(height, n_rows, tuple(knots))[:, :, None, None]
    values = sums[..., 0, :] * blend[0]
    for knot in range(1, n_knots):
        values += sums[..., knot, :] * blend[knot]
    return values.reshape(n_bands, n_rows, n_columns)[:, :height, :width]


def _resample_tiles(
    images: np.ndarray, fit: GridFit, width: int, height: int, size: int, knots: np.ndarray
) -> np.ndarray:
    """Interpolate in small tiles, a row of them at a time."""
    n_bands, n_knots = len(images), len(knots)
    columns, rows = -(-width // size), -(-height // size)
    local = np.arange(size) - (size - 1) / 2
    # Centres of the tiles.
    v, u = np.meshgrid(
        np.arange(rows) * size + (size - height) / 2,
        np.arange(columns) * size + (size - width) / 2,
        indexing="ij",
    )
    terms = np.stack(_terms(u, v), axis=-1)[..., None, None, :]
    shift_x, shift_y = (local[-1] * axis * knots[:, None] for axis in (fit.x[2], fit.y[1]))
    weights_x, left = _make_weights(terms @ fit.x + shift_x + fit.x[1] * local)
    weights_y, bottom = _make_weights(terms @ fit.y + shift_y + fit.y[2] * local)
    n_y, n_x = weights_y.shape[-1], weights_x.shape[-1]
    images, left, bottom = _pad(images, left, bottom, n_x, n_y)
    # A part of each image per tile, of shape (*tiles, bands, n_y, n_x).
    windows = sliding_window_view(images, (n_y, n_x), axis=(1, 2))
    windows = windows[:, bottom, left].transpose(1, 2, 0, 3, 4)
    blend = _blend(size, size, tuple(knots)).T
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


def _make_weights(positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return matrices that interpolate at positions, and the first pixel that each applies to.

    Positions have the shape ``(*blocks, knots, size)``, weights ``(*blocks, knots, size, n)``.
    """
    first, weight = lanczos_weights(positions)
    start = first.min(axis=(-2, -1))
    offset = first - start[..., None, None]
    n = int(offset.max()) + TAPS
    dense = np.zeros((*positions.shape, n), np.float32)
    index = np.arange(positions.size).reshape(positions.shape) * n + offset
    dense.reshape(-1)[index[..., None] + np.arange(TAPS)] = weight
    return dense, start


def _pad(
    images: np.ndarray, left: np.ndarray, bottom: np.ndarray, n_x: int, n_y: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Repeat the outermost pixels where blocks are beyond the edges."""
    ny, nx = images.shape[1:]
    pad = [
        (max(0, -int(start.min())), max(0, int(start.max()) + width - n))
        for start, width, n in ((bottom, n_y, ny), (left, n_x, nx))
    ]
    if any(map(any, pad)):
        images = np.pad(images, [(0, 0), *pad], mode="edge")
    return images, left + pad[1][0], bottom + pad[0][0]


@lru_cache(maxsize=64)
def _blend(size: int, n: int, knots: tuple[float, ...]) -> np.ndarray:
    """Return the polynomials that are 1 at one knot and 0 at the others, ``(knots, n)``.

    They are evaluated at ``n`` pixels from the start of ``size`` pixels, −1 to 1.
    """
    z = (np.arange(n) - (size - 1) / 2) / max((size - 1) / 2, 0.5)
    rows = []
    for knot in knots:
        others = np.array([other for other in knots if other != knot])
        rows.append(np.prod((z[:, None] - others) / (knot - others), axis=1))
    return np.stack(rows).astype(np.float32)
