"""Metrics by a property of the sources, to see where a model is good and where not."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
from astropy.table import Table

from shredfinder._utils.fractions import divide
from shredfinder.evaluation.metrics import bootstrap_metrics, compute_metrics

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike

__all__ = ["binned_metrics"]


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
