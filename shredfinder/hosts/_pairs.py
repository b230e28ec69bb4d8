"""All pairs of points and circles on the sphere, a bounded number at a time."""

import numpy as np

from shredfinder._utils.runtime import count_threads

__all__ = ["iter_pairs", "separations", "unit_vectors"]

# Points that one search tree holds, and pairs that are in memory at a time. Both bound the memory:
# a single circle can hold every point of a tree, and no more.
_TREE_SIZE = 500_000
_MAX_PAIRS = 500_000


def iter_pairs(points, centers, radii, *, tree_size=_TREE_SIZE, max_pairs=_MAX_PAIRS):
    """Yield the points within each of many circles, whose radii may differ by any factor.

    Parameters
    ----------
    points : `~numpy.ndarray` of shape (n_points, 3)
        Unit vectors.
    centers : `~numpy.ndarray` of shape (n_centers, 3)
        Unit vectors of the circles' centres.
    radii : `~numpy.ndarray` of shape (n_centers,)
        Radii of the circles in radians.
    tree_size, max_pairs : int, optional
        Points searched at a time, and about how many pairs are yielded at a time.

    Yields
    ------
    point, center : `~numpy.ndarray` of int
        Rows of `points` and `centers`, of the same length.
    separation : `~numpy.ndarray` of float
        Their separations in radians, at most the circle's radius.
    """
    from scipy.spatial import cKDTree

    workers = count_threads()
    # A hair wider than the circle: whether a point on its rim is in is decided by its separation.
    chords = 2.0 * np.sin(np.minimum(radii, np.pi) / 2.0) * (1.0 + 1e-9) + 1e-14
    for start in range(0, len(points), tree_size):
        part = points[start : start + tree_size]
        near = _touching(part, centers, chords)
        if not near.size:
            continue
        # Catalogues repeat positions, on which balanced trees are slow to build.
        tree = cKDTree(part, balanced_tree=False)
        counts = _count(tree, centers, chords, near, workers)
        near, counts = near[counts > 0], counts[counts > 0]
        for rows in _batches(counts, max_pairs):
            batch = near[rows]
            found = tree.query_ball_point(
                centers[batch], chords[batch], workers=workers, return_sorted=False
            )
            point = np.concatenate([np.asarray(inside, dtype=np.intp) for inside in found])
            center = np.repeat(batch, counts[rows])
            separation = separations(part[point], centers[center])
            inside = separation <= radii[center]
            yield point[inside] + start, center[inside], separation[inside]


def _count(tree, centers, chords, near, workers, step=100_000):
    """Count the points around each centre, without listing them."""
    counts = [
        tree.query_ball_point(
            centers[near[row : row + step]],
            chords[near[row : row + step]],
            workers=workers,
            return_length=True,
        )
        for row in range(0, near.size, step)
    ]
    return np.concatenate(counts)


def _touching(points, centers, chords):
    """Return the rows of the circles that reach into the box around the points."""
    low, high = points.min(axis=0), points.max(axis=0)
    reach = chords[:, None]
    return np.flatnonzero(((centers >= low - reach) & (centers <= high + reach)).all(axis=1))


def _batches(counts, max_pairs):
    """Cut rows into slices that hold about `max_pairs` pairs each, and at least one row."""
    ends = np.cumsum(counts)
    start = 0
    while start < len(counts):
        done = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, done + max_pairs, side="right")))
        yield slice(start, stop)
        start = stop


def separations(first, second):
    """Return the angles between unit vectors, in radians.

    Accurate at all angles, from zero to antipodes, where the arc cosine and the arc sine are not.

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


def unit_vectors(ra, dec):
    """Convert positions in degrees to unit vectors of shape (n, 3)."""
    lon, lat = np.radians(ra), np.radians(dec)
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)
