"""Geometry on the celestial sphere: unit vectors, separations, and points in circles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shredfinder._utils.runtime import count_threads

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["iter_pairs", "separations", "unit_vectors"]

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
