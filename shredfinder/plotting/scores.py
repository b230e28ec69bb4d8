"""Scores, metrics and shred fractions, by a property of the sources."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shredfinder._utils.runtime import import_optional
from shredfinder._utils.units import to_floats
from shredfinder.plotting.style import COLORS, make_axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from astropy.table import Table
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

__all__ = ["plot_binned_metrics", "plot_p_cnn", "plot_shred_fractions"]

_GALAXY, _SHRED, _UNKNOWN = "#2f6fd0", "#d99a00", "0.6"
_MARKERS = "osD^vP"


def plot_p_cnn(
    p_cnn: ArrayLike,
    y: ArrayLike | None = None,
    *,
    n_bins: int = 40,
    threshold: float | None = 0.5,
    log: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Plot a histogram of scores, by true class if it is given.

    Parameters
    ----------
    p_cnn : array_like
        Probabilities of being a shred; NaN are left out.
    y : array_like, optional
        True classes, 0 (galaxy) or 1 (shred), of the same shape; other values are left out.
    n_bins : int, optional
        Number of bins between 0 and 1.
    threshold : float, optional
        Threshold marked by a line.
    log : bool, optional
        Whether the numbers have a logarithmic scale, to show the few intermediate scores.
    ax : `~matplotlib.axes.Axes`, optional
        Axes to draw on; by default those of a new figure, which pyplot does not manage.

    Returns
    -------
    ax : `~matplotlib.axes.Axes`
        The axes.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed.
    ValueError
        If classes and probabilities differ in shape.

    Examples
    --------
    >>> from shredfinder.plotting import plot_p_cnn
    >>> ax = plot_p_cnn([0.1, 0.2, 0.9], [0, 0, 1])
    >>> ax.get_xlabel()
    'p_cnn'
    """
    p = to_floats(p_cnn, "p_cnn")
    if y is not None and np.shape(y) != p.shape:
        raise ValueError(f"classes must have the same shape as p_cnn, {p.shape}: got {np.shape(y)}")
    ax = make_axes(4.8, 3.3) if ax is None else ax
    edges = np.linspace(0, 1, n_bins + 1)
    scored = np.isfinite(p)
    kinds = [("all sources", scored, _UNKNOWN, True)]
    if y is not None:
        y = to_floats(y, "y")
        kinds = [
            ("galaxies", scored & (y == 0), _GALAXY, True),
            ("shreds", scored & (y == 1), _SHRED, False),
        ]
    for name, chosen, color, fill in kinds:
        numbers, _ = np.histogram(p[chosen], edges)
        label = f"{name} ({chosen.sum()})"
        # Outlines over filled steps keep both classes visible.
        if fill:
            ax.stairs(numbers, edges, color=color, alpha=0.45, fill=True, label=label)
        else:
            ax.stairs(numbers, edges, color=color, linewidth=1.8, label=label)
    if threshold is not None:
        ax.axvline(threshold, color="0.3", linestyle="dashed", linewidth=1)
    if log:
        ax.set_yscale("log")
        # Bins with one source must be visible on a logarithmic scale.
        ax.set_ylim(0.7, None)
    ax.set_xlim(0, 1)
    ax.set_xlabel("p_cnn")
    ax.set_ylabel("sources")
    ax.legend(loc="upper center", fontsize=9, framealpha=0.95, edgecolor="none")
    return ax


def plot_binned_metrics(
    table: Table,
    metrics: Sequence[str] = ("accuracy", "recall", "specificity"),
    *,
    label: str = "",
    bottom: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Plot metrics in bins of a property, with the number of sources per bin.

    Parameters
    ----------
    table : `~astropy.table.Table`
        Table returned by `~shredfinder.evaluation.binned_metrics`, with or without intervals.
    metrics : sequence of str, optional
        Columns to plot.
    label : str, optional
        Name of the property, with its unit.
    bottom : float, optional
        Lower limit of the vertical axis; by default just below the lowest point.
    ax : `~matplotlib.axes.Axes`, optional
        Axes to draw on; by default those of a new figure, which pyplot does not manage.

    Returns
    -------
    ax : `~matplotlib.axes.Axes`
        The axes.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed.
    ValueError
        If the table lacks a metric.

    Examples
    --------
    >>> from shredfinder.evaluation import binned_metrics
    >>> from shredfinder.plotting import plot_binned_metrics
    >>> table = binned_metrics([0, 1, 0, 1], [0.1, 0.9, 0.6, 0.8], [15.2, 15.7, 16.1, 16.8], 2)
    >>> ax = plot_binned_metrics(table, label="r (mag)")
    >>> ax.get_xlabel()
    'r (mag)'
    """
    missing = [name for name in metrics if name not in table.colnames]
    if missing:
        raise ValueError(
            f"the table has no column {missing[0]!r}: choose from {', '.join(table.colnames)}"
        )
    ax = make_axes(5, 3.4) if ax is None else ax
    # Bins of names have a column value, bins of numbers have edges.
    named = "value" in table.colnames
    if named:
        middle = np.arange(len(table), dtype=float)
        width = np.ones(len(table))
        ax.set_xticks(middle, [str(value) for value in table["value"]])
        ax.set_xlim(-0.6, len(table) - 0.4)
    else:
        low, high = (np.asarray(table[name], dtype=float) for name in ("low", "high"))
        middle, width = (low + high) / 2, high - low
        ax.set_xlim(low.min(), high.max())
    lowest = 1.0
    for k, name in enumerate(metrics):
        # Metrics are side by side within a bin, so that their intervals do not overlap.
        x = middle + 0.09 * width * (k - (len(metrics) - 1) / 2)
        value = np.asarray(table[name], dtype=float)
        some = np.isfinite(value)
        error = None
        if f"{name}_low" in table.colnames:
            below, above = (np.asarray(table[f"{name}_{end}"], float) for end in ("low", "high"))
            # Limits that are NaN give error bars of length zero.
            error = np.nan_to_num(np.maximum([value - below, above - value], 0))[:, some]
            lowest = min(lowest, np.nanmin(below)) if np.isfinite(below).any() else lowest
        lowest = min(lowest, np.nanmin(value)) if some.any() else lowest
        ax.errorbar(
            x[some],
            value[some],
            yerr=error,
            fmt=f"{_MARKERS[k % len(_MARKERS)]}{'' if named else '-'}",
            color=COLORS[k % len(COLORS)],
            markersize=4.5,
            linewidth=1.2,
            capsize=2,
            label=name.replace("_", " ").replace("auc", "AUC"),
        )
    # A margin of about an eighth of the range below the lowest point.
    bottom = max(lowest - 0.12 * (1 - lowest) - 0.005, 0) if bottom is None else bottom
    ax.set_ylim(bottom, 1 + 0.02 * (1 - bottom))
    # Numbers of sources are above the axes, in their own coordinates vertically.
    transform = ax.get_xaxis_transform()
    for x, n in zip(middle, table["n"], strict=True):
        ax.text(x, 1.015, str(n), transform=transform, ha="center", fontsize=9, color="0.35")
    ax.set_xlabel(label)
    ax.legend(
        loc="upper center", bbox_to_anchor=(0.5, 1.17), ncols=4, fontsize=9, frameon=False
    )  # fmt: skip
    return ax


def plot_shred_fractions(
    fractions: Table, *, label: str = "", overall: float | None = None, ax: Axes | None = None
) -> Axes:
    """Plot shred fractions in bins, with binomial intervals and the number of sources per bin.

    Parameters
    ----------
    fractions : `~astropy.table.Table`
        Table returned by `~shredfinder.evaluation.binned_shred_fractions`.
    label : str, optional
        Name of the property, with its unit.
    overall : float, optional
        Fraction of all sources, marked by a line.
    ax : `~matplotlib.axes.Axes`, optional
        Axes to draw on; by default those of a new figure, which pyplot does not manage.

    Returns
    -------
    ax : `~matplotlib.axes.Axes`
        The axes.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed.

    Examples
    --------
    >>> from shredfinder.evaluation import binned_shred_fractions
    >>> from shredfinder.plotting import plot_shred_fractions
    >>> found = binned_shred_fractions([0.9, 0.1, 0.8, 0.2], [15, 16, 17, 18], [15, 17, 19])
    >>> ax = plot_shred_fractions(found, label="r (mag)")
    >>> ax.get_xlabel()
    'r (mag)'
    """
    if ax is None:
        ax = make_axes(4.6, 3.2)
    low, high = (np.asarray(fractions[name], dtype=float) for name in ("low", "high"))
    middle = (low + high) / 2
    value, below, above = (
        np.asarray(fractions[name], dtype=float)
        for name in ("shred_fraction", "shred_fraction_low", "shred_fraction_high")
    )
    some = np.isfinite(value)
    ax.errorbar(
        middle[some],
        value[some],
        # At fractions of 0 and 1, rounding may put an end of the interval on the wrong side.
        yerr=np.maximum([value[some] - below[some], above[some] - value[some]], 0),
        xerr=(high - low)[some] / 2,
        fmt="o",
        color="#1f5fa8",
        markersize=4,
        capsize=2,
        linewidth=1.2,
    )
    # Room for the numbers above the error bars.
    top = min(1.0, 1.18 * (np.max(above[some]) if some.any() else 1.0))
    for x, y, n in zip(
        middle[some], above[some], np.asarray(fractions["n_scored"])[some], strict=True
    ):
        ax.annotate(
            str(n), (x, min(y, top)), xytext=(0, 3), textcoords="offset points", ha="center",
            fontsize=9, color="0.35",
        )  # fmt: skip
    if overall is not None and np.isfinite(overall):
        ax.axhline(overall, color="0.5", linestyle="dashed", linewidth=1)
    ax.set_xlim(low.min(), high.max())
    ax.set_ylim(0, max(top, 0.05))
    ax.set_xlabel(label)
    ax.set_ylabel("shred fraction")
    ax.yaxis.set_major_formatter(
        import_optional("matplotlib.ticker", "plotting").PercentFormatter(1)
    )
    return ax
