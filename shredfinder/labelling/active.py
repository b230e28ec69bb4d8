"""Active learning: the sources whose labels would teach a model most."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shredfinder._utils.units import to_floats

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["next_to_label"]


def next_to_label(
    p_shred: ArrayLike,
    n: int,
    *,
    features: ArrayLike | None = None,
    labelled: ArrayLike | None = None,
    random_state: int = 0,
) -> np.ndarray:
    """Select the next sources to label: the most uncertain or, given features, a diverse set.

    Labels of uncertain sources teach a model most. But the most uncertain sources are often
    similar, so that one label would be enough for several. Features of the images avoid this.

    Parameters
    ----------
    p_shred : array_like
        The current model's probability of being a shred, of shape ``(n_sources,)``. Sources with
        NaN are not selected.
    n : int
        Number of sources to select; fewer if there are not as many.
    features : array_like, optional
        Features of shape ``(n_sources, n_features)``, such as a network's features of the
        images, scaled to a common range. By default the most uncertain sources are selected.
    labelled : array_like of bool, optional
        Whether a source is already labelled, of shape ``(n_sources,)``. Such sources are not
        selected.
    random_state : int, optional
        Seed of the selection by features.

    Returns
    -------
    rows : `~numpy.ndarray` of int
        Rows of the selected sources, without repetition; without features, the most uncertain
        first.

    Raises
    ------
    ValueError
        If the arrays have different lengths, or ``n`` is less than 1.

    Notes
    -----
    With features this is BADGE (Ash et al. 2020, arXiv 1906.03671) for two classes: k-means++
    seeds among the gradients of the last layer. The length of a gradient is that of the features
    times the probability of being wrong, so that all confidently classified sources lie near
    the origin and are rarely drawn. The time grows as ``n`` times the size of the features.

    Examples
    --------
    >>> from shredfinder.labelling import next_to_label
    >>> next_to_label([0.01, 0.45, 0.9, 0.52], 2)
    array([3, 1])
    >>> next_to_label([0.01, 0.45, 0.9, 0.52], 2, labelled=[False, False, False, True])
    array([1, 2])
    """
    p_shred = to_floats(p_shred, "p_shred")
    if p_shred.ndim != 1:
        raise ValueError(f"p_shred must be one-dimensional, not of shape {p_shred.shape}")
    if n < 1:
        raise ValueError(f"the number of sources to select must be at least 1, not {n}")
    usable = np.isfinite(p_shred)
    if labelled is not None:
        labelled = np.asarray(labelled)
        if labelled.shape != p_shred.shape or labelled.dtype != bool:
            raise ValueError(
                f"labelled must be boolean, of shape ({len(p_shred)},): got shape {labelled.shape} "
                f"and type {labelled.dtype}"
            )
        usable &= ~labelled
    rows = np.flatnonzero(usable)
    # Probability that the predicted class is wrong: largest at p = 0.5.
    wrong = np.minimum(p_shred[rows], 1 - p_shred[rows])
    if (wrong < 0).any():
        raise ValueError("p_shred must be between 0 and 1")
    if features is None or len(rows) <= n:
        return rows[np.argsort(-wrong, kind="stable")][:n]
    features = np.asarray(features, dtype=float)
    if features.ndim != 2 or len(features) != len(p_shred):
        raise ValueError(
            f"features must be of shape ({len(p_shred)}, n_features), not {features.shape}"
        )
    if not np.isfinite(features[rows]).all():
        raise ValueError("features must be finite for all sources with a probability")
    # BADGE: for the predicted class the gradient of the loss is the features times the error.
    gradients = features[rows] * wrong[:, None]
    return rows[_spread(gradients, n, np.random.default_rng(random_state))]


def _spread(points, n, rng):
    """Draw k-means++ seeds, starting with the longest vector, as BADGE does.

    scikit-learn's ``kmeans_plusplus`` starts with a random one, and may repeat equal points.
    """
    lengths = np.einsum("ij,ij->i", points, points)
    free = np.ones(len(points), bool)
    nearest = np.full(len(points), np.inf)
    chosen = [int(np.argmax(lengths))]
    while len(chosen) < n:
        last = chosen[-1]
        free[last] = False
        # |a - b|² = |a|² + |b|² - 2 a·b needs no array of differences.
        distance = lengths + lengths[last] - 2 * points @ points[last]
        nearest = np.where(free, np.minimum(nearest, distance.clip(min=0)), 0)
        # If all remaining points coincide with drawn ones, draw any of them.
        weights = nearest if nearest.any() else free
        chosen.append(int(rng.choice(len(points), p=weights / weights.sum())))
    return np.array(chosen)
