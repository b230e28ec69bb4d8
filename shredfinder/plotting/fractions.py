"""Shred fractions by a property, with their intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shredfinder._utils.runtime import import_optional
from shredfinder.plotting.marks import make_figure

if TYPE_CHECKING:
    from astropy.table import Table
    from matplotlib.axes import Axes

__all__ = ["plot_shred_fractions"]


def plot_shred_fractions(
    fractions: Table, *, label: str = "", overall: float | None = None, ax: Axes | None = None
) -> Axes:
    """Draw the shred fraction in bins, with binomial intervals and the numbers behind them.

    Parameters
    ----------
    fractions : `~astropy.table.Table`
        As `~shredfinder.evaluation.binned_shred_fractions` gives it.
    label : str, optional
        What the bins are of, with its unit.
    overall : float, optional
        Fraction of the whole, drawn as a line.
    ax : `~matplotlib.axes.Axes`, optional
        Where to draw; by default in a figure of its own, which pyplot does not know of.

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
        ax = make_figure(4.6, 3.2).add_subplot()
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
        # At a fraction of 0 or 1 rounding may put an end on the wrong side.
        yerr=np.maximum([value[some] - below[some], above[some] - value[some]], 0),
        xerr=(high - low)[some] / 2,
        fmt="o",
        color="#1f5fa8",
        markersize=4,
        capsize=2,
        linewidth=1.2,
    )
    top = min(1.0, 1.18 * (np.max(above[some]) if some.any() else 1.0))
    for x, y, n in zip(
        middle[some], above[some], np.asarray(fractions["n_scored"])[some], strict=True
    ):
        ax.annotate(
            str(n), (x, min(y, top)), xytext=(0, 3), textcoords="offset points", ha="center",
            fontsize=7, color="0.35",
        )  # fmt: skip
    if overall is not None and np.isfinite(overall):
        ax.axhline(overall, color="0.5", linestyle="dashed", linewidth=1)
    ax.set_xlim(low.min(), high.max())
    ax.set_ylim(0, max(top, 0.05))
    ax.set_xlabel(label)
    ax.set_ylabel("shred fraction")
    ax.yaxis.set_major_formatter(
        import_optional("matplotlib.ticker", "drawing").PercentFormatter(1)
    )
    return ax
