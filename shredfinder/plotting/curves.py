"""ROC curves, precision-recall curves and reliability diagrams."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from shredfinder._utils.fractions import binomial_fractions
from shredfinder._utils.units import to_floats
from shredfinder.evaluation import calibration_error, compute_metrics
from shredfinder.evaluation.metrics import read_labels, select_scored
from shredfinder.models.priors import check_prior
from shredfinder.plotting.style import make_axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

    # Coordinates of a curve's points.
    Line = tuple[np.ndarray, np.ndarray]

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
    """Plot the receiver operating characteristic of each fold, their mean and spread.

    The plot follows figure 3 of Di Teodoro, Peek & Wu (2023): thin lines for the folds, a thick
    one for their mean, and a dashed one for a random classifier. The shaded band is ±1 standard
    deviation between the folds.

    Parameters
    ----------
    y : array_like
        True classes, 0 (galaxy) or 1 (shred), of shape ``(n,)``.
    p_cnn : array_like
        Probabilities of being a shred, of shape ``(n,)``; rows with NaN are left out.
    folds : array_like of int, optional
        Fold of each source, as returned by `~shredfinder.evaluation.cross_validate`; sources with
        −1 are left out. By default all sources are one fold.
    label : str, optional
        Legend entry, followed by the AUC: mean and standard deviation of the folds.
    color : str, optional
        Colour of the mean.
    zoom : bool, optional
        Whether to add an inset with the upper left corner, a tenth of each axis.
    ax : `~matplotlib.axes.Axes`, optional
        Axes to draw on, to compare classifiers; by default those of a new figure, which pyplot
        does not manage.

    Returns
    -------
    ax : `~matplotlib.axes.Axes`
        The axes.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed.
    ValueError
        If labels, probabilities and folds differ in length, or a fold lacks a class.

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
    from sklearn.metrics import roc_curve

    parts = _split(y, p_cnn, folds)
    lines = [roc_curve(*part)[:2] for part in parts]
    aucs = [compute_metrics(*part)["auc"] for part in parts]
    ax, is_new = _get_axes(ax)
    new_panels = [ax] if is_new else []
    if zoom and not ax.child_axes:
        new_panels.append(_add_inset(ax))
    for panel in new_panels:
        panel.plot([0, 1], [0, 1], color="0.6", linestyle="dashed", linewidth=1)
    # A second classifier on the same axes is drawn in their inset too.
    for panel in (ax, *cast("list[Axes]", ax.child_axes)):
        _draw_folds(panel, lines, color)
    _add_legend_entry(ax, f"{label}: AUC {_format_mean(aucs)}", color)
    ax.set_xlabel("false positive rate")
    ax.set_ylabel("true positive rate")
    # The inset fills the lower right.
    ax.legend(loc="lower center" if zoom else "lower right", fontsize=9, frameon=False)
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
    """Plot precision against recall for each fold, their mean and spread.

    Parameters
    ----------
    y, p_cnn, folds, color, ax
        As for `plot_roc`.
    prevalence : float, optional
        Shred fraction of the catalogue that the curve applies to, in 0–1 exclusive; by default
        that of the sources. Precision falls with it: real candidates have about 0.05.
    label : str, optional
        Legend entry.

    Returns
    -------
    ax : `~matplotlib.axes.Axes`
        The axes.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed.
    ValueError
        If labels, probabilities and folds differ in length, or a fold lacks a class.

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
    lines = [_precision_recall(labels, scores, prevalence) for labels, scores in parts]
    ax, _ = _get_axes(ax)
    _draw_folds(ax, lines, color)
    share = np.mean(np.concatenate([labels for labels, _ in parts]))
    at = f"{share if prevalence is None else prevalence:.0%} shreds"
    _add_legend_entry(ax, f"{label}, {at}", color)
    ax.set_xlabel("recall of shreds (completeness)")
    ax.set_ylabel("precision (purity)")
    ax.legend(loc="lower left", fontsize=9, frameon=False)
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
    """Plot the fraction of shreds against the mean probability, in bins of probability.

    A calibrated model follows the diagonal. Error bars are binomial 68 % intervals (Wilson 1927).
    The grey steps show the number of sources per bin, on a logarithmic scale of their own.

    Parameters
    ----------
    y, p_cnn, ax
        As for `plot_roc`.
    n_bins : int, optional
        Number of bins between 0 and 1.
    label : str, optional
        Legend entry, followed by the expected calibration error
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
        If labels and probabilities differ in length, or no source is scored.

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
    truth, p = select_scored(y, p_cnn)
    if not len(truth):
        raise ValueError("no source is scored, so there is nothing to plot")
    # scikit-learn's calibration_curve has no counts, which the intervals need.
    bins = np.minimum((p * n_bins).astype(int), n_bins - 1)
    numbers = np.bincount(bins, minlength=n_bins)
    shreds = np.bincount(bins, weights=truth, minlength=n_bins).round().astype(int)
    filled = numbers > 0
    mean = np.bincount(bins, weights=p, minlength=n_bins)[filled] / numbers[filled]
    fraction, low, high = (values[filled] for values in binomial_fractions(shreds, numbers))
    ax, is_new = _get_axes(ax)
    if is_new:
        ax.plot([0, 1], [0, 1], color="0.6", linestyle="dashed", linewidth=1)
        _draw_counts(ax, numbers)
    ax.errorbar(
        mean,
        fraction,
        # Rounding may put a limit on the wrong side of the fraction.
        yerr=np.maximum([fraction - low, high - fraction], 0),
        fmt="o-",
        color=color,
        markersize=4,
        linewidth=1.2,
        capsize=2,
        label=f"{label}: calibration error {calibration_error(truth, p):.3f}",
    )
    ax.set_xlabel("mean p_cnn")
    ax.set_ylabel("fraction of shreds")
    ax.legend(loc="upper left", fontsize=9, frameon=False)
    return ax


def _split(
    y: ArrayLike, p_cnn: ArrayLike, folds: ArrayLike | None
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Split labels and probabilities by fold, without unscored sources."""
    truth, p = read_labels(y), to_floats(p_cnn, "p_cnn")
    fold = np.zeros(len(truth), dtype=int) if folds is None else np.asarray(folds)
    if fold.shape != truth.shape:
        raise ValueError(f"there are {len(truth)} labels but folds of shape {fold.shape}")
    if p.shape != truth.shape:
        select_scored(truth, p)  # which raises ValueError
    parts = [select_scored(truth[fold == k], p[fold == k]) for k in np.unique(fold[fold >= 0])]
    if not parts or any(len(np.unique(labels)) < 2 for labels, _ in parts):
        raise ValueError("every fold needs scored galaxies and scored shreds")
    return parts


def _precision_recall(y: np.ndarray, p: np.ndarray, prevalence: float | None) -> Line:
    """Compute recall and precision, by rising recall."""
    from sklearn.metrics import precision_recall_curve

    weights = None
    if prevalence is not None:
        # Weights give the two classes the shares that they have in the catalogue.
        share = np.mean(y)
        weights = np.where(y == 1, prevalence / share, (1 - prevalence) / (1 - share))
    precision, recall, _ = precision_recall_curve(y, p, sample_weight=weights)
    # The last point, precision 1 at recall 0, is a convention and not a measurement.
    return recall[-2::-1], precision[-2::-1]


def _draw_folds(ax: Axes, lines: Sequence[Line], color: str) -> None:
    """Draw each fold's line, and the mean and spread of several."""
    if len(lines) == 1:
        ax.plot(*lines[0], color=color, linewidth=2)
        return
    for line in lines:
        ax.plot(*line, color="black", linewidth=0.5, alpha=0.6)
    # Folds have different thresholds, so they are averaged on a common grid.
    curves = [np.interp(_GRID, *line) for line in lines]
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


def _draw_counts(ax: Axes, numbers: np.ndarray) -> None:
    """Draw the number of sources per bin as grey steps behind the points."""
    counts = ax.twinx()
    counts.stairs(numbers, np.linspace(0, 1, len(numbers) + 1), color="0.85", fill=True)
    counts.set_yscale("log")
    # The highest step reaches a quarter of the height.
    counts.set_ylim(0.8, max(numbers.max(), 2) ** 4)
    counts.yaxis.set_visible(False)
    # Twin axes lie on top: move them behind, and let them shine through.
    ax.set_zorder(counts.get_zorder() + 1)
    ax.patch.set_visible(False)


def _add_legend_entry(ax: Axes, label: str, color: str) -> None:
    ax.plot([], [], color=color, linewidth=2, label=label)


def _format_mean(values: Sequence[float]) -> str:
    if len(values) == 1:
        return f"{values[0]:.4f}"
    return f"{np.mean(values):.4f} ± {np.std(values, ddof=1):.4f}"


def _add_inset(ax: Axes) -> Axes:
    inset = ax.inset_axes((0.42, 0.24, 0.54, 0.54))
    inset.set_xlim(0, 0.1)
    inset.set_ylim(0.9, 1.002)
    inset.tick_params(labelsize=9)
    return inset


def _get_axes(ax: Axes | None) -> tuple[Axes, bool]:
    """Return the given axes or new ones, and whether they are new."""
    if ax is not None:
        return ax, False
    ax = make_axes(4.6, 4.2)
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1.005)
    return ax, True
