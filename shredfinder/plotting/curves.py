"""ROC and precision-recall curves, fold by fold, and the reliability diagram."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shredfinder._utils.fractions import binomial_fractions
from shredfinder._utils.runtime import import_optional
from shredfinder.evaluation import calibration_error, compute_metrics
from shredfinder.evaluation.metrics import select_scored
from shredfinder.models.priors import check_prior
from shredfinder.plotting.style import make_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

__all__ = ["plot_precision_recall", "plot_reliability", "plot_roc"]

_RED = "#c8342b"
# Points at which the curves of the folds are averaged.
_GRID = np.linspace(0, 1, 1001)


def plot_roc(
    y: ArrayLike,
    p_cnn: ArrayLike,
    folds: ArrayLike | None = None,
    *,
    label: str = "mean",
    color: str = _RED,
    zoom: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Draw the receiver operating characteristic of each fold, and their mean and spread.

    As in figure 3 of Di Teodoro, Peek & Wu (2023): the folds thin, their mean thick, and the line
    of a random guess dashed. The shaded band is one standard deviation of the folds wide on
    either side.

    Parameters
    ----------
    y : array_like
        True classes, 0 (galaxy) or 1 (shred), of shape ``(n,)``.
    p_cnn : array_like
        Probabilities of being a shred, of shape ``(n,)``; rows with NaN are left out.
    folds : array_like of int, optional
        Fold of each source, as from `~shredfinder.evaluation.cross_validate`, −1 for those in
        none; by default all are one.
    label : str, optional
        Name in the legend, which gives the AUC too: the folds' mean and standard deviation.
    color : str, optional
        Colour of the mean.
    zoom : bool, optional
        Whether to show the corner of good classifiers, a tenth of each axis, once more and
        larger.
    ax : `~matplotlib.axes.Axes`, optional
        Where to draw, to compare with what is there; by default in a figure of its own, which
        pyplot does not know of.

    Returns
    -------
    ax : `~matplotlib.axes.Axes`
        The axes.

    Raises
    ------
    MissingDependencyError
        If matplotlib or scikit-learn is not installed.
    ValueError
        If labels, probabilities and folds do not fit, or a fold lacks a class.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder.plotting import plot_roc
    >>> rng = np.random.default_rng(0)
    >>> y = np.arange(300) % 2
    >>> p_cnn = 1 / (1 + np.exp(-rng.normal(4 * y - 2, 2)))
    >>> ax = plot_roc(y, p_cnn, folds=np.arange(300) // 60)
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('false positive rate', 'true positive rate')
    """
    parts = _split(y, p_cnn, folds)
    curves = [np.interp(_GRID, *_roc(*part)) for part in parts]
    aucs = [compute_metrics(*part)["auc"] for part in parts]
    ax, is_new = _get_axes(ax)
    new_panels = [ax] if is_new else []
    if zoom and not ax.child_axes:
        new_panels.append(_make_corner(ax))
    for panel in new_panels:
        panel.plot([0, 1], [0, 1], color="0.6", linestyle="dashed", linewidth=1)
    for panel in (ax, *ax.child_axes):
        _draw_folds(panel, [_roc(*part) for part in parts], curves, color)
    _label_mean(ax, f"{label}: AUC {_give_mean(aucs)}", color)
    ax.set_xlabel("false positive rate")
    ax.set_ylabel("true positive rate")
    # The corner has the lower right.
    ax.legend(loc="lower center" if zoom else "lower right", fontsize=8, frameon=False)
    return ax


def plot_precision_recall(
    y: ArrayLike,
    p_cnn: ArrayLike,
    folds: ArrayLike | None = None,
    *,
    prevalence: float | None = None,
    label: str = "mean",
    color: str = _RED,
    ax: Axes | None = None,
) -> Axes:
    """Draw precision against recall for each fold, and their mean and spread.

    Parameters
    ----------
    y, p_cnn, folds, color, ax
        As for `plot_roc`.
    prevalence : float, optional
        Share of shreds in the catalogue that the curve is for, in 0–1 exclusive; by default that
        of the sources. Precision falls with it: 0.05 is that of real candidates.
    label : str, optional
        Name in the legend.

    Returns
    -------
    ax : `~matplotlib.axes.Axes`
        The axes.

    Raises
    ------
    MissingDependencyError
        If matplotlib or scikit-learn is not installed.
    ValueError
        If labels, probabilities and folds do not fit, or a fold lacks a class.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder.plotting import plot_precision_recall
    >>> rng = np.random.default_rng(0)
    >>> y = np.arange(300) % 2
    >>> p_cnn = 1 / (1 + np.exp(-rng.normal(4 * y - 2, 2)))
    >>> ax = plot_precision_recall(y, p_cnn, prevalence=0.05)
    >>> ax.get_xlabel()
    'recall of shreds (completeness)'
    """
    if prevalence is not None:
        check_prior(prevalence, "prevalence")
    parts = _split(y, p_cnn, folds)
    lines = []
    for labels, scores in parts:
        false, true = _roc(labels, scores)
        share = np.mean(labels) if prevalence is None else prevalence
        # Without any source there is no precision: the curve begins with the first.
        some = true + false > 0
        true, false = true[some], false[some]
        lines.append((true, share * true / (share * true + (1 - share) * false)))
    curves = [np.interp(_GRID, *line) for line in lines]
    ax, _ = _get_axes(ax)
    _draw_folds(ax, lines, curves, color)
    share = np.mean(np.concatenate([labels for labels, _ in parts]))
    at = f"{share if prevalence is None else prevalence:.0%} shreds"
    _label_mean(ax, f"{label}, {at}", color)
    ax.set_xlabel("recall of shreds (completeness)")
    ax.set_ylabel("precision (purity)")
    ax.legend(loc="lower left", fontsize=8, frameon=False)
    return ax


def plot_reliability(
    y: ArrayLike,
    p_cnn: ArrayLike,
    *,
    n_bins: int = 10,
    label: str = "model",
    color: str = "#1f5fa8",
    ax: Axes | None = None,
) -> Axes:
    """Draw how many sources are shreds against how many should be, by their probability.

    A calibrated model keeps to the diagonal. Bars are binomial 68 % intervals (Wilson 1927); the
    grey steps below are the numbers of sources in each bin, on a logarithmic scale of their own.

    Parameters
    ----------
    y, p_cnn, ax
        As for `plot_roc`.
    n_bins : int, optional
        Number of bins between 0 and 1.
    label : str, optional
        Name in the legend, which gives the expected calibration error too
        (`~shredfinder.evaluation.calibration_error`).
    color : str, optional
        Colour of the points.

    Returns
    -------
    ax : `~matplotlib.axes.Axes`
        The axes.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed.
    ValueError
        If labels and probabilities do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder.plotting import plot_reliability
    >>> rng = np.random.default_rng(0)
    >>> p_cnn = rng.random(1000)
    >>> ax = plot_reliability((rng.random(1000) < p_cnn).astype(int), p_cnn)
    >>> ax.get_ylabel()
    'fraction of shreds'
    """
    y, p = select_scored(y, p_cnn)
    if not len(y):
        raise ValueError("no source has an answer: there is nothing to draw")
    bins = np.minimum((p * n_bins).astype(int), n_bins - 1)
    numbers = np.bincount(bins, minlength=n_bins)
    shreds = np.bincount(bins, weights=y, minlength=n_bins).round().astype(int)
    some = numbers > 0
    mean = np.bincount(bins, weights=p, minlength=n_bins)[some] / numbers[some]
    fraction, low, high = (values[some] for values in binomial_fractions(shreds, numbers))
    ax, is_new = _get_axes(ax)
    if is_new:
        ax.plot([0, 1], [0, 1], color="0.6", linestyle="dashed", linewidth=1)
        counts = ax.twinx()
        edges = np.linspace(0, 1, n_bins + 1)
        counts.stairs(numbers, edges, color="0.85", fill=True)
        counts.set_yscale("log")
        # A quarter of the height.
        counts.set_ylim(0.8, max(numbers.max(), 2) ** 4)
        counts.yaxis.set_visible(False)
        ax.set_zorder(counts.get_zorder() + 1)
        ax.patch.set_visible(False)
    error = calibration_error(y, p)
    ax.errorbar(
        mean,
        fraction,
        yerr=np.maximum([fraction - low, high - fraction], 0),
        fmt="o-",
        color=color,
        markersize=4,
        linewidth=1.2,
        capsize=2,
        label=f"{label}: calibration error {error:.3f}",
    )
    ax.set_xlabel("mean p_cnn")
    ax.set_ylabel("fraction of shreds")
    ax.legend(loc="upper left", fontsize=8, frameon=False)
    return ax


def _split(y, p_cnn, folds):
    """Give labels and probabilities of each fold."""
    y, p = np.asarray(y), np.asarray(p_cnn, dtype=float)
    folds = np.zeros(len(y), dtype=int) if folds is None else np.asarray(folds)
    if folds.shape != y.shape:
        raise ValueError(f"there are {len(y)} labels but folds of shape {folds.shape}")
    parts = [
        select_scored(y[folds == k], p[folds == k]) for k in np.unique(folds[folds >= 0])
    ] if p.shape == y.shape else [select_scored(y, p)]  # fmt: skip
    if not parts or any(len(np.unique(labels)) < 2 for labels, _ in parts):
        raise ValueError("every fold needs galaxies and shreds that have an answer")
    return parts


def _roc(y, p):
    curve = import_optional("sklearn.metrics", "judging a model").roc_curve(y, p)
    return curve[0], curve[1]


def _draw_folds(ax, lines, curves, color):
    """Draw each fold's line, thin, and the mean of the curves with their spread."""
    if len(lines) > 1:
        for x, y in lines:
            ax.plot(x, y, color="black", linewidth=0.5, alpha=0.6)
        mean, spread = np.mean(curves, axis=0), np.std(curves, axis=0, ddof=1)
        ax.fill_between(
            _GRID,
            np.clip(mean - spread, 0, 1),
            np.clip(mean + spread, 0, 1),
            color=color,
            alpha=0.2,
            linewidth=0,
        )
        ax.plot(_GRID, mean, color=color, linewidth=2)
    else:
        ax.plot(*lines[0], color=color, linewidth=2)


def _label_mean(ax, label, color):
    ax.plot([], [], color=color, linewidth=2, label=label)


def _give_mean(values):
    if len(values) == 1:
        return f"{values[0]:.4f}"
    return f"{np.mean(values):.4f} ± {np.std(values, ddof=1):.4f}"


def _make_corner(ax):
    corner = ax.inset_axes((0.42, 0.24, 0.54, 0.54))
    corner.set_xlim(0, 0.1)
    corner.set_ylim(0.9, 1.002)
    corner.tick_params(labelsize=7)
    return corner


def _get_axes(ax):
    if ax is not None:
        return ax, False
    ax = make_figure(4.6, 4.2).add_subplot()
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1.005)
    return ax, True
