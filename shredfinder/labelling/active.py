"""What to label next: sources that a model is unsure of, and unlike each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

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
    """Choose the next sources to label: uncertain ones, that differ from each other.

    Labels teach a model most where it doubts. But the most doubtful sources are often much the
    same, and one of them would do: with features, the choice is spread.

    Parameters
    ----------
    p_shred : array_like
        The present model's probability of being a shred, of shape ``(n_sources,)``; sources with
        NaN are not chosen.
    n : int
        How many to choose; all that there are, if they are fewer.
    features : array_like, optional
        What makes sources alike, of shape ``(n_sources, n_features)``, such as a network's
        features of their images, scaled to be compared. Without them the most uncertain are
        chosen.
    labelled : array_like of bool, optional
        Sources that have a label already, of shape ``(n_sources,)``; they are not chosen.
    random_state : int, optional
        Seed of the spreading.

    Returns
    -------
    rows : `~numpy.ndarray` of int
        Rows of the chosen sources, each once; without features the most uncertain first.

    Raises
    ------
    ValueError
        If the arrays don't go together, or ``n`` is no number of sources.

    Notes
    -----
    With features this is BADGE (Ash et al. 2020, arXiv 1906.03671) for two classes: seeds of
    k-means++ among the gradients of the last layer, whose lengths are the features' times the
    probability of being wrong. A source that the model is sure of lies near the origin with
    all others of that sort, and is rarely drawn. It takes a pass over the features for each
    source chosen.

    Examples
    --------
    >>> from shredfinder.labelling import next_to_label
    >>> next_to_label([0.01, 0.45, 0.9, 0.52], 2)
    array([3, 1])
    >>> next_to_label([0.01, 0.45, 0.9, 0.52], 2, labelled=[False, False, False, True])
    array([1, 2])
    """
    p_shred = np.ma.filled(np.ma.asarray(p_shred, dtype=float), np.nan)
    if p_shred.ndim != 1:
        raise ValueError(f"probabilities must be one a source, not of shape {p_shred.shape}")
    if n < 1:
        raise ValueError(f"the number of sources to choose must be at least 1, not {n}")
    usable = np.isfinite(p_shred)
    if labelled is not None:
        labelled = np.asarray(labelled)
        if labelled.shape != p_shred.shape or labelled.dtype != bool:
            raise ValueError(
                f"labelled must say True or False for each of {len(p_shred)} sources, not be of "
                f"shape {labelled.shape} and type {labelled.dtype}"
            )
        usable &= ~labelled
    rows = np.flatnonzero(usable)
    wrong = np.minimum(p_shred[rows], 1 - p_shred[rows])
    if (wrong < 0).any():
        raise ValueError("probabilities must be from 0 to 1")
    if features is None or len(rows) <= n:
        return rows[np.argsort(-wrong, kind="stable")][:n]
    features = np.asarray(features, dtype=float)
    if features.ndim != 2 or len(features) != len(p_shred):
        raise ValueError(
            f"features must be of shape ({len(p_shred)}, n_features), not {features.shape}"
        )
    if not np.isfinite(features[rows]).all():
        raise ValueError("features must be finite where there is a probability")
    gradients = features[rows] * wrong[:, None]
    return rows[_spread(gradients, n, np.random.default_rng(random_state))]


def _spread(points, n, rng):
    """Draw points far from each other: seeds of k-means++, from the longest on."""
    lengths = np.einsum("ij,ij->i", points, points)
    free = np.ones(len(points), bool)
    nearest = np.full(len(points), np.inf)
    chosen = [int(np.argmax(lengths))]
    while len(chosen) < n:
        last = chosen[-1]
        free[last] = False
        distance = lengths + lengths[last] - 2 * points @ points[last]
        nearest = np.where(free, np.minimum(nearest, distance.clip(min=0)), 0)
        # Where all that is left coincides with what was drawn, anything will do.
        weights = nearest if nearest.any() else free
        chosen.append(int(rng.choice(len(points), p=weights / weights.sum())))
    return np.array(chosen)
