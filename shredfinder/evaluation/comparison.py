"""Compare two models on the same sources."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shredfinder._utils.units import to_floats
from shredfinder.evaluation.metrics import (
    compute_metrics,
    read_labels,
    resample_groups,
    select_scored,
    summarize_samples,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike

__all__ = ["compare_aucs", "compare_models"]


def compare_aucs(
    y: ArrayLike, p_cnn: ArrayLike, p_other: ArrayLike, *, confidence_level: float = 0.95
) -> dict[str, float]:
    """Compare the AUCs of two models on the same sources by DeLong's test.

    Parameters
    ----------
    y : array_like
        True classes, 0 (galaxy) or 1 (shred), of shape ``(n,)``.
    p_cnn, p_other : array_like
        Probabilities from the two models, each of shape ``(n,)``. Sources that either model did
        not score (NaN) are ignored.
    confidence_level : float, optional
        Confidence level of the interval.

    Returns
    -------
    comparison : dict of float
        ``n``; ``auc`` and ``auc_other``; their ``difference``, its ``standard_error`` and its
        confidence limits ``low`` and ``high``; and the two-sided ``p_value``.

    Raises
    ------
    ValueError
        If the shapes differ, or a class has fewer than two sources.

    Notes
    -----
    DeLong, DeLong & Clarke-Pearson (1988, Biometrics 44, 837), computed with the midranks of Sun
    & Xu (2014, IEEE Signal Processing Letters 21, 1389). The test assumes independent sources;
    use `compare_models` for sources in groups, such as neighbours on the sky.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder.evaluation import compare_aucs
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat([0, 1], 200)
    >>> good, poor = y + rng.normal(0, 0.5, 400), y + rng.normal(0, 1, 400)
    >>> found = compare_aucs(y, good, poor)
    >>> round(found["difference"], 2), found["p_value"] < 0.001
    (0.17, True)
    """
    # Importing scipy.stats takes a few tenths of a second, so plots and tables do without.
    from scipy import stats

    y, p, other, _ = _validate_pair(y, p_cnn, p_other)
    counts = np.bincount(y, minlength=2)
    if counts.min() < 2:
        raise ValueError(
            f"DeLong's test needs two sources of each class: both models scored {counts[0]} "
            f"galaxies and {counts[1]} shreds"
        )
    parts = [_structural_components(y, scores) for scores in (p, other)]
    auc, auc_other = (float(of_shreds.mean()) for of_shreds, _ in parts)
    # The variance of the paired difference: shreds and galaxies contribute independently.
    variance = 0.0
    for k in (0, 1):
        values = parts[0][k] - parts[1][k]
        variance += values.var(ddof=1) / len(values)
    error = float(np.sqrt(variance))
    difference = auc - auc_other
    z = stats.norm.ppf((1 + confidence_level) / 2)
    if error > 0:
        p_value = float(2 * stats.norm.sf(abs(difference) / error))
    else:
        # The models order every pair alike, or one of them is always better.
        p_value = 1.0 if difference == 0 else 0.0
    return {
        "n": len(y),
        "auc": auc,
        "auc_other": auc_other,
        "difference": difference,
        "standard_error": error,
        "low": float(difference - z * error),
        "high": float(difference + z * error),
        "p_value": p_value,
    }


def compare_models(
    y: ArrayLike,
    p_cnn: ArrayLike,
    p_other: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    metric: Callable[..., dict[str, float]] = compute_metrics,
    n_resamples: int = 1000,
    confidence_level: float = 0.95,
    random_state: int = 0,
) -> dict[str, dict[str, float]]:
    """Compare metrics of two models on the same sources by resampling whole groups.

    Both models are evaluated on each resample, so sources that are hard for both do not widen the
    interval.

    Parameters
    ----------
    y, p_cnn, p_other : array_like
        As for `compare_aucs`.
    groups : array_like, optional
        Group of each source, of shape ``(n,)``. By default sources are independent.
    metric : callable, optional
        Called with labels and probabilities; returns a dict of float.
    n_resamples, confidence_level, random_state
        As for `bootstrap_metrics`.

    Returns
    -------
    differences : dict of dict
        For each metric the ``difference`` (first model minus the other) and its confidence limits
        ``low`` and ``high``.

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder.evaluation import compare_models
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat([0, 1], 200)
    >>> good, poor = (np.clip(y + rng.normal(0, s, 400), 0, 1) for s in (0.5, 1))
    >>> found = compare_models(y, good, poor, groups=np.arange(400) // 4, n_resamples=200)
    >>> found["accuracy"]["low"] > 0
    True
    """
    y = read_labels(y)
    groups = np.arange(len(y)) if groups is None else np.asarray(groups)
    if groups.shape != y.shape:
        raise ValueError(f"there are {len(y)} labels but groups of shape {groups.shape}")
    labels, p, other, scored = _validate_pair(y, p_cnn, p_other)
    groups = groups[scored]

    def subtract(rows: np.ndarray) -> dict[str, float]:
        # The same resample for both models, so that their errors are compared source by source.
        first, second = metric(labels[rows], p[rows]), metric(labels[rows], other[rows])
        return {name: first[name] - second[name] for name in first if name != "n"}

    whole = subtract(np.arange(len(labels)))
    samples = [subtract(rows) for rows in resample_groups(groups, n_resamples, random_state)]
    intervals = summarize_samples(samples, confidence_level)
    return {
        name: {"difference": float(value), "low": intervals[name][0], "high": intervals[name][1]}
        for name, value in whole.items()
    }


def _validate_pair(
    y: ArrayLike, p_cnn: ArrayLike, p_other: ArrayLike
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return labels and probabilities of the sources that both models scored, and which they are.

    A source that one model did not score must not count for the other either.
    """
    p, other = to_floats(p_cnn, "p_cnn"), to_floats(p_other, "p_other")
    if p.shape != other.shape:
        raise ValueError(
            f"the probabilities of both models must have the same shape, got {p.shape} and "
            f"{other.shape}"
        )
    scored = np.isfinite(p) & np.isfinite(other)
    labels, p = select_scored(y, np.where(scored, p, np.nan))
    return labels, p, select_scored(y, np.where(scored, other, np.nan))[1], scored


def _structural_components(y: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each shred's fraction of galaxies below it, and each galaxy's of shreds above it."""
    from scipy import stats

    shreds, galaxies = scores[y == 1], scores[y == 0]
    # Ties count one half, which midranks do.
    together = stats.rankdata(np.concatenate([shreds, galaxies]))
    m, n = len(shreds), len(galaxies)
    # Rank among all minus rank among its own class: the number of the other class below it.
    of_shreds = (together[:m] - stats.rankdata(shreds)) / n
    of_galaxies = 1 - (together[m:] - stats.rankdata(galaxies)) / m
    return of_shreds, of_galaxies
