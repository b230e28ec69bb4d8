"""How good a set of probabilities is, with intervals that respect neighbours."""

from __future__ import annotations

import itertools
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.table import Table

from shredfinder._utils.fractions import divide
from shredfinder._utils.runtime import import_optional
from shredfinder.models.priors import adjust_prior

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike

__all__ = [
    "binned_metrics",
    "bootstrap_metrics",
    "calibration_error",
    "compute_metrics",
    "prevalence_metrics",
    "ratio",
    "resample_groups",
    "summarize_samples",
    "validate_answers",
]


def compute_metrics(y: ArrayLike, p_cnn: ArrayLike, *, threshold: float = 0.5) -> dict[str, float]:
    """Compute the usual figures of merit of a binary classifier.

    Parameters
    ----------
    y : array_like
        True classes, 0 (galaxy) or 1 (shred), of shape ``(n,)``.
    p_cnn : array_like
        Probabilities of being a shred, of shape ``(n,)``; rows with NaN are left out.
    threshold : float, optional
        Sources at or above it are called shreds.

    Returns
    -------
    metrics : dict of float
        ``n``, ``auc``, ``accuracy``, ``precision``, ``recall``, ``specificity``, ``f1``,
        ``brier`` and ``calibration_error``; shreds are the positive class. What is undefined,
        such as the AUC of a single class, is NaN.

    Examples
    --------
    >>> from shredfinder.evaluation import compute_metrics
    >>> metrics = compute_metrics([0, 0, 1, 1], [0.1, 0.6, 0.4, 0.9])
    >>> metrics["auc"], metrics["accuracy"]
    (0.75, 0.5)
    """
    y, p = validate_answers(y, p_cnn)
    sklearn_metrics = import_optional("sklearn.metrics", "judging a model")
    called, shred = p >= threshold, y == 1
    true_positive = np.count_nonzero(called & shred)
    return {
        "n": len(y),
        "auc": float(sklearn_metrics.roc_auc_score(y, p)) if len(np.unique(y)) > 1 else np.nan,
        "accuracy": ratio(np.count_nonzero(called == shred), len(y)),
        "precision": ratio(true_positive, np.count_nonzero(called)),
        "recall": ratio(true_positive, np.count_nonzero(shred)),
        "specificity": ratio(np.count_nonzero(~called & ~shred), np.count_nonzero(~shred)),
        "f1": ratio(2 * true_positive, np.count_nonzero(called) + np.count_nonzero(shred)),
        "brier": float(np.mean((p - y) ** 2)) if len(y) else np.nan,
        "calibration_error": calibration_error(y, p),
    }


def calibration_error(y: ArrayLike, p_cnn: ArrayLike, *, n_bins: int = 15) -> float:
    """Compute the expected calibration error.

    The mean, over bins of equal width weighted by their numbers, of the distance between the
    fraction of shreds and the mean probability (Guo et al. 2017, arXiv 1706.04599).

    Parameters
    ----------
    y, p_cnn : array_like
        As for `compute_metrics`.
    n_bins : int, optional
        Number of bins between 0 and 1.

    Returns
    -------
    error : float
        Between 0 and 1; NaN where no row has an answer.

    Examples
    --------
    >>> from shredfinder.evaluation import calibration_error
    >>> calibration_error([0, 0, 0, 1], [0.25, 0.25, 0.25, 0.25])
    0.0
    """
    y, p = validate_answers(y, p_cnn)
    if len(y) == 0:
        return float("nan")
    bins = np.minimum((p * n_bins).astype(int), n_bins - 1)
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
    """Compute purity and completeness at the share of shreds of a real catalogue.

    Parameters
    ----------
    y, p_cnn : array_like
        As for `compute_metrics`, of sources with any share of shreds.
    prevalence : float
        Share of shreds in the catalogue, in 0–1 exclusive.
    threshold : float, optional
        Sources at or above it are called shreds.
    training_prior : float, optional
        Correct the probabilities from this prior to the prevalence first.

    Returns
    -------
    metrics : dict of float
        ``purity`` of the sources called shreds and their ``completeness``.

    Examples
    --------
    >>> from shredfinder.evaluation import prevalence_metrics
    >>> metrics = prevalence_metrics([0, 0, 0, 0, 1, 1], [0.1, 0.1, 0.1, 0.6, 0.9, 0.9], 0.05)
    >>> round(metrics["purity"], 3), metrics["completeness"]
    (0.174, 1.0)
    """
    y, p = validate_answers(y, p_cnn)
    if training_prior is not None:
        p = adjust_prior(p, prevalence, training_prior)
    called = p >= threshold
    completeness = ratio(np.count_nonzero(called & (y == 1)), np.count_nonzero(y == 1))
    false_alarms = ratio(np.count_nonzero(called & (y == 0)), np.count_nonzero(y == 0))
    true, false = prevalence * completeness, (1 - prevalence) * false_alarms
    return {"purity": ratio(true, true + false), "completeness": completeness}


def bootstrap_metrics(
    y: ArrayLike,
    p_cnn: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    metric: Callable[..., Any] = compute_metrics,
    n_resamples: int = 1000,
    confidence_level: float = 0.95,
    random_state: int = 0,
) -> dict[str, tuple[float, float]]:
    """Estimate intervals of metrics by resampling whole groups.

    Parameters
    ----------
    y, p_cnn : array_like
        As for `compute_metrics`.
    groups : array_like, optional
        Group of each source, of shape ``(n,)``; by default each is its own. Sources that share
        an image or a host are no independent evidence: resampled alone, they make intervals
        too narrow.
    metric : callable, optional
        Called with ``y`` and ``p_cnn`` of a resample; gives a dict of float.
    n_resamples : int, optional
        Number of resamples.
    confidence_level : float, optional
        Share of the resamples within an interval, in 0–1 exclusive.
    random_state : int, optional
        Makes the intervals repeatable.

    Returns
    -------
    intervals : dict of tuple
        For each metric the ends of its interval: percentiles of the resamples (Efron &
        Tibshirani 1993, An Introduction to the Bootstrap, chapter 13), NaN where it is
        undefined in all of them.

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
    y, p = np.asarray(y), np.asarray(p_cnn, dtype=float)
    groups = np.arange(len(y)) if groups is None else np.asarray(groups)
    if y.shape != p.shape or groups.shape != y.shape:
        raise ValueError(
            f"labels, probabilities and groups must be one a source, not of the shapes {y.shape}, "
            f"{p.shape} and {groups.shape}"
        )
    if not 0 < confidence_level < 1:
        raise ValueError(f"confidence_level must be between 0 and 1, not {confidence_level!r}")
    samples = [
        metric(y[rows], p[rows]) for rows in resample_groups(groups, n_resamples, random_state)
    ]
    return summarize_samples(samples, confidence_level)


def resample_groups(groups, n_resamples, random_state):
    """Draw as many groups as there are, with replacement; yield the rows of each resample."""
    _, index = np.unique(groups, return_inverse=True)
    order = np.argsort(index, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(index))[:-1])
    rng = np.random.default_rng(random_state)
    for _ in range(n_resamples):
        chosen = rng.integers(0, len(members), len(members))
        yield np.concatenate([members[k] for k in chosen])


def summarize_samples(samples, confidence_level):
    """Give the central interval of each entry of equal dicts of float."""
    ends = [50 * (1 - confidence_level), 50 * (1 + confidence_level)]
    values = {name: [sample[name] for sample in samples] for name in samples[0]}
    with warnings.catch_warnings():
        # What is undefined in every resample has an interval of NaN.
        warnings.simplefilter("ignore", RuntimeWarning)
        return {
            name: tuple(np.nanpercentile(column, ends).tolist()) for name, column in values.items()
        }


def validate_answers(y, p_cnn):
    """Check labels and probabilities; give those of the rows that have an answer."""
    y, p = np.asarray(y), np.asarray(p_cnn, dtype=float)
    if y.shape != p.shape or y.ndim != 1:
        raise ValueError(
            f"labels and probabilities must be one a source, not of the shapes {y.shape} and "
            f"{p.shape}"
        )
    if not np.isin(y, (0, 1)).all():
        raise ValueError("labels must be 0 (galaxy) or 1 (shred): leave out all other sources")
    known = np.isfinite(p)
    return y[known].astype(int), p[known]


def ratio(part, whole):
    """Divide two numbers; NaN where there is nothing to divide by."""
    return float(part / whole) if whole else float("nan")


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
    """Compute metrics in bins of a property, or for each value of it.

    Parameters
    ----------
    y, p_cnn : array_like
        As for `compute_metrics`.
    values : array_like
        The property of each source, of shape ``(n,)``: plain numbers, a Quantity, or names such as
        kinds of source. Sources without one (NaN or masked) are in no bin.
    edges : int or array_like of shape (n_bins + 1,), optional
        Edges of the bins, growing, in the property's unit; or how many bins of about as many
        sources each there are to be. A lower edge belongs to its bin, an upper one to the next,
        but for the last. By default each value that occurs is a bin of its own.
    groups : array_like, optional
        Group of each source, for the intervals; by default each is its own.
    metric : callable, optional
        Called with labels and probabilities; gives a dict of float.
    n_resamples : int, optional
        Number of resamples for intervals (see `bootstrap_metrics`); by default there are none.
    confidence_level, random_state
        As for `bootstrap_metrics`.

    Returns
    -------
    result : `~astropy.table.Table`
        A row for each bin: its edges, ``low`` and ``high``, or its ``value``; the number ``n`` of
        sources with an answer and ``n_shreds``; the metrics, and, with resamples, the ends of
        their intervals, such as ``auc_low`` and ``auc_high``. Of an empty bin all are NaN.

    Raises
    ------
    ValueError
        If there are not as many values as probabilities, or the edges don't grow.

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
    y, p = np.asarray(y), np.asarray(p_cnn, dtype=float)
    if np.shape(values) != y.shape or p.shape != y.shape:
        raise ValueError(
            f"values must be one for each source: there are {y.shape} labels, {p.shape} "
            f"probabilities and {np.shape(values)} values"
        )
    groups = None if groups is None else np.asarray(groups)
    heads, chosen, unit = _make_bins(values, edges)
    rows = []
    for head, inside in zip(heads, chosen, strict=True):
        part = y[inside], p[inside]
        found = metric(*part) if inside.any() else {}
        answered = np.isfinite(part[1])
        row = head | {
            "n": int(np.count_nonzero(answered)),
            "n_shreds": int(np.count_nonzero(part[0][answered] == 1)),
        }
        row |= {name: value for name, value in found.items() if name != "n"}
        if n_resamples and inside.any():
            intervals = bootstrap_metrics(
                *part,
                None if groups is None else groups[inside],
                metric=metric,
                n_resamples=n_resamples,
                confidence_level=confidence_level,
                random_state=random_state,
            )
            for name, (low, high) in intervals.items():
                if name != "n":
                    row |= {f"{name}_low": low, f"{name}_high": high}
        rows.append(row)
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = Table({name: [row.get(name, np.nan) for row in rows] for name in names})
    if unit is not None:
        table["low"].unit = table["high"].unit = unit
    return table


def _make_bins(values, edges):
    """Give what heads each bin's row, which sources it holds, and the unit of its edges."""
    if edges is None:
        masked = np.ma.getmaskarray(np.ma.asarray(values))
        values = np.ma.getdata(np.ma.asarray(values))
        if values.dtype.kind == "f":
            masked = masked | np.isnan(values)
        present = np.unique(values[~masked]).tolist()
        return [{"value": v} for v in present], [(values == v) & ~masked for v in present], None
    edges, inside, unit = divide(values, edges)
    heads = [{"low": low, "high": high} for low, high in itertools.pairwise(edges.tolist())]
    return heads, inside, unit
