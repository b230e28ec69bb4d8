"""Metrics of a classifier, with intervals that respect groups, overall and in bins."""

from __future__ import annotations

import itertools
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.table import Table

from shredfinder._utils.fractions import split_into_bins
from shredfinder._utils.units import split_mask, to_floats
from shredfinder.models.priors import adjust_prior

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from astropy.units import UnitBase
    from numpy.typing import ArrayLike

__all__ = [
    "binned_metrics",
    "bootstrap_metrics",
    "calibration_error",
    "compute_metrics",
    "prevalence_metrics",
    "read_labels",
    "resample_groups",
    "select_scored",
    "summarize_samples",
]


def compute_metrics(y: ArrayLike, p_cnn: ArrayLike, *, threshold: float = 0.5) -> dict[str, float]:
    """Compute common metrics of a binary classifier.

    Parameters
    ----------
    y : array_like
        True classes, 0 (galaxy) or 1 (shred), of shape ``(n,)``.
    p_cnn : array_like
        Probabilities of being a shred, of shape ``(n,)``. Unscored rows (NaN) are ignored.
    threshold : float, optional
        Sources at or above it are classified as shreds.

    Returns
    -------
    metrics : dict of float
        ``n``, ``auc``, ``accuracy``, ``precision``, ``recall``, ``specificity``, ``f1``,
        ``brier`` and ``calibration_error``, with shreds as the positive class. Undefined
        metrics, such as the AUC of a single class, are NaN.

    Examples
    --------
    >>> from shredfinder.evaluation import compute_metrics
    >>> metrics = compute_metrics([0, 0, 1, 1], [0.1, 0.6, 0.4, 0.9])
    >>> metrics["auc"], metrics["accuracy"]
    (0.75, 0.5)
    """
    # Imported here because tables and plots import this package, but not scikit-learn.
    from sklearn.metrics import brier_score_loss, confusion_matrix, roc_auc_score

    y, p = select_scored(y, p_cnn)
    if len(y) and not (p.min() >= 0 and p.max() <= 1):
        raise ValueError(f"probabilities must be in 0–1, got {p.min():g} to {p.max():g}")
    # scikit-learn refuses empty input, and an AUC needs both classes.
    known, both = len(y) > 0, len(np.unique(y)) > 1
    matrix = confusion_matrix(y, p >= threshold, labels=[0, 1]) if known else np.zeros((2, 2))
    # One matrix serves all rates: scikit-learn's functions for each would recount it, a
    # thousand times in a bootstrap.
    (true_galaxy, false_shred), (false_galaxy, true_shred) = matrix
    return {
        "n": len(y),
        "auc": float(roc_auc_score(y, p)) if both else np.nan,
        "accuracy": _divide(true_shred + true_galaxy, len(y)),
        "precision": _divide(true_shred, true_shred + false_shred),
        "recall": _divide(true_shred, true_shred + false_galaxy),
        "specificity": _divide(true_galaxy, true_galaxy + false_shred),
        "f1": _divide(2 * true_shred, 2 * true_shred + false_shred + false_galaxy),
        "brier": float(brier_score_loss(y, p, pos_label=1)) if known else np.nan,
        "calibration_error": calibration_error(y, p),
    }


def calibration_error(y: ArrayLike, p_cnn: ArrayLike, *, n_bins: int = 15) -> float:
    """Compute the expected calibration error.

    The difference between the fraction of shreds and the mean probability in bins of equal width,
    averaged with the numbers of sources as weights (Guo et al. 2017, arXiv 1706.04599).

    Parameters
    ----------
    y, p_cnn : array_like
        As for `compute_metrics`.
    n_bins : int, optional
        Number of bins between 0 and 1.

    Returns
    -------
    error : float
        Between 0 and 1; NaN if no row is scored.

    Examples
    --------
    >>> from shredfinder.evaluation import calibration_error
    >>> calibration_error([0, 0, 0, 1], [0.25, 0.25, 0.25, 0.25])
    0.0
    """
    y, p = select_scored(y, p_cnn)
    if len(y) == 0:
        return float("nan")
    # A probability of exactly 1 belongs to the last bin.
    bins = np.minimum((p * n_bins).astype(int), n_bins - 1)
    # Summed within a bin, p − y is the bin's error times its number of sources.
    excess = np.bincount(bins, weights=p - y, minlength=n_bins)
    return float(np.abs(excess).sum() / len(y))


def prevalence_metrics(
    y: ArrayLike,
    p_cnn: ArrayLike,
    prevalence: float,
    *,
    threshold: float = 0.5,
    training_prior: float | None = None,
) -> dict[str, float]:
    """Compute purity and completeness at the shred fraction of a real catalogue.

    Parameters
    ----------
    y, p_cnn : array_like
        As for `compute_metrics`, of sources with any fraction of shreds.
    prevalence : float
        Fraction of shreds in the catalogue, in 0–1 exclusive.
    threshold : float, optional
        Sources at or above it are classified as shreds.
    training_prior : float, optional
        First correct the probabilities from this prior to the prevalence.

    Returns
    -------
    metrics : dict of float
        ``purity`` and ``completeness`` of the sources classified as shreds.

    Examples
    --------
    >>> from shredfinder.evaluation import prevalence_metrics
    >>> metrics = prevalence_metrics([0, 0, 0, 0, 1, 1], [0.1, 0.1, 0.1, 0.6, 0.9, 0.9], 0.05)
    >>> round(metrics["purity"], 3), metrics["completeness"]
    (0.174, 1.0)
    """
    y, p = select_scored(y, p_cnn)
    if training_prior is not None:
        p = adjust_prior(p, prevalence, training_prior)
    # Both rates are independent of the class ratio, so they apply at any prevalence.
    is_called, is_shred = p >= threshold, y == 1
    completeness = _divide((is_called & is_shred).sum(), is_shred.sum())
    false_alarms = _divide((is_called & ~is_shred).sum(), (~is_shred).sum())
    true, false = prevalence * completeness, (1 - prevalence) * false_alarms
    return {"purity": _divide(true, true + false), "completeness": completeness}


def bootstrap_metrics(
    y: ArrayLike,
    p_cnn: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    metric: Callable[..., dict[str, float]] = compute_metrics,
    n_resamples: int = 1000,
    confidence_level: float = 0.95,
    random_state: int = 0,
) -> dict[str, tuple[float, float]]:
    """Estimate confidence intervals of metrics by resampling whole groups.

    Parameters
    ----------
    y, p_cnn : array_like
        As for `compute_metrics`.
    groups : array_like, optional
        Group of each source, of shape ``(n,)``. Sources that share an image or a host are not
        independent; resampled one by one they yield intervals that are too narrow. By default
        sources are independent.
    metric : callable, optional
        Called with ``y`` and ``p_cnn`` of a resample; returns a dict of float.
    n_resamples : int, optional
        Number of resamples.
    confidence_level : float, optional
        Confidence level, in 0–1 exclusive.
    random_state : int, optional
        Seed of the resampling.

    Returns
    -------
    intervals : dict of tuple
        Lower and upper limit of each metric: percentiles of the resamples (Efron & Tibshirani
        1993, An Introduction to the Bootstrap, chapter 13). NaN if it is undefined in all.

    Raises
    ------
    ValueError
        If the shapes differ or the confidence level is invalid.

    Examples
    --------
    >>> from shredfinder.evaluation import bootstrap_metrics, prevalence_metrics
    >>> y, p_cnn = [0, 0, 0, 0, 1, 1, 1, 1], [0.1, 0.2, 0.1, 0.6, 0.9, 0.4, 0.8, 0.7]
    >>> hosts = [1, 1, 2, 2, 3, 3, 4, 4]
    >>> intervals = bootstrap_metrics(
    ...     y, p_cnn, hosts, metric=lambda y, p: prevalence_metrics(y, p, 0.05)
    ... )
    >>> intervals["completeness"]
    (0.5, 1.0)
    """
    y, p = read_labels(y), to_floats(p_cnn, "p_cnn")
    groups = np.arange(len(y)) if groups is None else np.asarray(groups)
    if y.shape != p.shape or groups.shape != y.shape:
        raise ValueError(
            f"labels, probabilities and groups must have the same shape, got {y.shape}, {p.shape} "
            f"and {groups.shape}"
        )
    if not 0 < confidence_level < 1:
        raise ValueError(f"confidence_level must be between 0 and 1, got {confidence_level!r}")
    samples = [
        metric(y[rows], p[rows]) for rows in resample_groups(groups, n_resamples, random_state)
    ]
    return summarize_samples(samples, confidence_level)


def binned_metrics(
    y: ArrayLike,
    p_cnn: ArrayLike,
    values: ArrayLike,
    edges: int | ArrayLike | None = None,
    *,
    groups: ArrayLike | None = None,
    metric: Callable[..., dict[str, float]] = compute_metrics,
    n_resamples: int = 0,
    confidence_level: float = 0.95,
    random_state: int = 0,
) -> Table:
    """Compute metrics in bins of a property, or for each of its values.

    Parameters
    ----------
    y, p_cnn : array_like
        As for `compute_metrics`.
    values : array_like
        Property of each source, of shape ``(n,)``: numbers, a Quantity, or names. Sources with
        NaN or a masked value are in no bin.
    edges : int or array_like of shape (n_bins + 1,), optional
        Increasing bin edges in the property's unit, or the number of bins with about equal
        numbers of sources. A bin includes its lower edge; the last also includes its upper edge.
        By default each value is a bin.
    groups : array_like, optional
        Group of each source, of shape ``(n,)``, for the intervals.
    metric : callable, optional
        Called with labels and probabilities; returns a dict of float.
    n_resamples : int, optional
        Number of resamples for intervals (see `bootstrap_metrics`); 0 for no intervals.
    confidence_level, random_state
        As for `bootstrap_metrics`.

    Returns
    -------
    result : `~astropy.table.Table`
        One row per bin: its edges ``low`` and ``high``, or its ``value``; the number ``n`` of
        scored sources and ``n_shreds``; the metrics; and, with resamples, their limits, such as
        ``auc_low`` and ``auc_high``. Metrics of an empty bin are NaN.

    Raises
    ------
    ValueError
        If the shapes differ or the edges do not increase.

    Examples
    --------
    >>> from shredfinder.evaluation import binned_metrics
    >>> y, p_cnn = [0, 1, 0, 1, 0, 1], [0.1, 0.9, 0.2, 0.8, 0.6, 0.4]
    >>> confidence = [3, 3, 2, 2, 1, 1]
    >>> binned_metrics(y, p_cnn, confidence)["value", "n", "auc", "accuracy"].pprint()
    value  n  auc accuracy
    ----- --- --- --------
        1   2 0.0      0.0
        2   2 1.0      1.0
        3   2 1.0      1.0
    """
    y, p = read_labels(y), to_floats(p_cnn, "p_cnn")
    if np.shape(values) != y.shape or p.shape != y.shape:
        raise ValueError(
            f"labels, probabilities and values must have the same shape, got {y.shape}, {p.shape} "
            f"and {np.shape(values)}"
        )
    group_of = None if groups is None else np.asarray(groups)
    heads, members, unit = _make_bins(values, edges)
    rows = []
    for head, inside in zip(heads, members, strict=True):
        part = y[inside], p[inside]
        found = metric(*part) if inside.any() else {}
        scored = np.isfinite(part[1])
        row = head | {
            "n": int(np.count_nonzero(scored)),
            "n_shreds": int(np.count_nonzero(part[0][scored] == 1)),
        }
        row |= {name: value for name, value in found.items() if name != "n"}
        if n_resamples and inside.any():
            # The same seed in each bin, so that a bin's interval does not depend on the others.
            intervals = bootstrap_metrics(
                *part,
                None if group_of is None else group_of[inside],
                metric=metric,
                n_resamples=n_resamples,
                confidence_level=confidence_level,
                random_state=random_state,
            )
            for name, (low, high) in intervals.items():
                if name != "n":
                    row |= {f"{name}_low": low, f"{name}_high": high}
        rows.append(row)
    # An empty bin lacks the metrics, so names are collected from all rows.
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = Table({name: [row.get(name, np.nan) for row in rows] for name in names})
    if unit is not None:
        table["low"].unit = table["high"].unit = unit
    return table


def _make_bins(
    values: ArrayLike, edges: int | ArrayLike | None
) -> tuple[list[dict[str, Any]], list[np.ndarray], UnitBase | None]:
    """Return the first columns of each bin's row, the bins' members and the unit of the edges."""
    if edges is None:
        masked = np.ma.getmaskarray(np.ma.asarray(values))
        plain: np.ndarray = np.ma.getdata(np.ma.asarray(values))
        if plain.dtype.kind == "f":
            masked = masked | np.isnan(plain)
        present = np.unique(plain[~masked]).tolist()
        return [{"value": v} for v in present], [(plain == v) & ~masked for v in present], None
    limits, inside, unit = split_into_bins(values, edges)
    heads = [{"low": low, "high": high} for low, high in itertools.pairwise(limits.tolist())]
    return heads, inside, unit


def resample_groups(
    groups: np.ndarray, n_resamples: int, random_state: int
) -> Iterator[np.ndarray]:
    """Draw groups with replacement, as many as there are; yield the rows of each resample."""
    _, index = np.unique(groups, return_inverse=True)
    # Sort the rows by group once, and cut the result into one array of rows per group.
    order = np.argsort(index, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(index))[:-1])
    rng = np.random.default_rng(random_state)
    for _ in range(n_resamples):
        # Groups may be drawn more than once, and the size of a resample varies with theirs.
        chosen = rng.integers(0, len(members), len(members))
        yield np.concatenate([members[k] for k in chosen])


def summarize_samples(
    samples: list[dict[str, float]], confidence_level: float
) -> dict[str, tuple[float, float]]:
    """Return the central interval of each metric over the resamples."""
    # In per cent: 2.5 and 97.5 for a level of 0.95.
    ends = [50 * (1 - confidence_level), 50 * (1 + confidence_level)]
    intervals = {}
    with warnings.catch_warnings():
        # A metric that is undefined in every resample has an interval of NaN.
        warnings.simplefilter("ignore", RuntimeWarning)
        for name in samples[0]:
            low, high = np.nanpercentile([sample[name] for sample in samples], ends)
            intervals[name] = (float(low), float(high))
    return intervals


def read_labels(y: ArrayLike) -> np.ndarray:
    """Return labels as an array, NaN where they are masked."""
    data, mask = split_mask(y)
    labels = np.asarray(data)
    return labels if mask is None or not mask.any() else np.where(mask, np.nan, labels)


def select_scored(y: ArrayLike, p_cnn: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Validate labels and probabilities; return those of the scored rows."""
    labels, p = read_labels(y), to_floats(p_cnn, "p_cnn")
    if labels.shape != p.shape or labels.ndim != 1:
        raise ValueError(
            f"labels and probabilities must have the shape (n,), got {labels.shape} and {p.shape}"
        )
    if not np.isin(labels, (0, 1)).all():
        raise ValueError("labels must be 0 (galaxy) or 1 (shred): remove all other sources")
    scored = np.isfinite(p)
    return labels[scored].astype(int), p[scored]


def _divide(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")
