"""Geometry on the celestial sphere: unit vectors, separations, and points in circles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shredfinder._utils.runtime import count_threads

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["iter_pairs", "label_components", "separations", "tangent_offsets", "unit_vectors"]

# About how many pairs are in memory at a time.
_MAX_PAIRS = 500_000


def unit_vectors(ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
    """Convert positions in degrees, of shape (n,), to unit vectors of shape (n, 3)."""
    lon, lat = np.radians(ra), np.radians(dec)
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)


def separations(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Compute the angles between unit vectors.

    Accurate from zero to 180 degrees, where the arc cosine and the arc sine are not.

    Parameters
    ----------
    first, second : `~numpy.ndarray` of shape (..., 3)
        Unit vectors.

    Returns
    -------
    separation : `~numpy.ndarray` of shape (...)
        Angles in radians.
    """
    chord = np.linalg.norm(first - second, axis=-1)
    return 2.0 * np.arctan2(chord, np.linalg.norm(first + second, axis=-1))


def tangent_offsets(centers: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute the offsets of points from centres along east and north.

    Parameters
    ----------
    centers, points : `~numpy.ndarray` of shape (..., 3)
        Unit vectors.

    Returns
    -------
    east, north : `~numpy.ndarray` of shape (...)
        Components of the separation in arcsec, in the direction of the great circle at the
        centre.
    """
    # Components of the direction to the point along east and north at the centre, times cos(dec).
    x, y, z = np.moveaxis(centers, -1, 0)
    px, py, pz = np.moveaxis(points, -1, 0)
    east = py * x - px * y
    north = pz * (x**2 + y**2) - z * (px * x + py * y)
    # At the pole, north is along the meridian of RA 0, the convention of astropy's offsets.
    pole = np.hypot(x, y) < 1e-12
    east = np.where(pole, py, east)
    north = np.where(pole, -np.sign(z) * px, north)
    theta = np.arctan2(east, north)
    arcsec = np.degrees(separations(centers, points)) * 3600.0
    return arcsec * np.sin(theta), arcsec * np.cos(theta)


def iter_pairs(
    points: np.ndarray, centers: np.ndarray, radii: np.ndarray, *, max_pairs: int = _MAX_PAIRS
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield the points within each of many circles of different radii, in batches.

    Parameters
    ----------
    points : `~numpy.ndarray` of shape (n_points, 3)
        Unit vectors.
    centers : `~numpy.ndarray` of shape (n_centers, 3)
        Unit vectors of the circles' centres.
    radii : `~numpy.ndarray` of shape (n_centers,)
        Radii of the circles in radians.
    max_pairs : int, optional
        Number of pairs per batch. A batch holds at least one circle, so that it is larger where
        a single circle contains more points.

    Yields
    ------
    point, center : `~numpy.ndarray` of int
        Rows of `points` and `centers`, of the same length.
    separation : `~numpy.ndarray` of float
        Their separations in radians, at most the circle's radius.
    """
    from scipy.spatial import cKDTree

    if not len(points) or not len(centers):
        return
    workers = count_threads()
    # The search uses slightly larger circles; the separation decides about points on the rim.
    chords = 2.0 * np.sin(np.minimum(radii, np.pi) / 2.0) * (1.0 + 1e-9) + 1e-14
    # Catalogues repeat positions, and balanced trees of equal points are slow to build.
    tree = cKDTree(points, balanced_tree=False)
    # Counting the points is cheap, and sets how many circles fit in a batch.
    counts = tree.query_ball_point(centers, chords, workers=workers, return_length=True)
    filled = np.flatnonzero(counts)
    for rows in _batches(filled, counts[filled], max_pairs):
        found = tree.query_ball_point(
            centers[rows], chords[rows], workers=workers, return_sorted=False
        )
        point = np.concatenate([np.asarray(inside, dtype=np.intp) for inside in found])
        # The search found counts[row] points around each centre, in the order of `rows`.
        center = np.repeat(rows, counts[rows])
        separation = separations(points[point], centers[center])
        inside = separation <= radii[center]
        yield point[inside], center[inside], separation[inside]


def _batches(rows, counts, max_pairs):
    """Split rows into parts of about `max_pairs` pairs each, and at least one row."""
    ends = np.cumsum(counts)
    start = 0
    while start < len(rows):
        # Pairs in earlier parts.
        done = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, done + max_pairs, side="right")))
        yield rows[start:stop]
        start = stop


def label_components(n: int, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return a number for each of n rows, the same for rows that pairs connect."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    graph = coo_matrix((np.ones(first.size, dtype=bool), (first, second)), shape=(n, n))
    return connected_components(graph, directed=False)[1]
