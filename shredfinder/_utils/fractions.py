"""How many of a catalogue's sources are shreds, with binomial intervals."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u
from astropy.table import Table

from shredfinder._utils.units import to_floats, to_value

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["binned_shred_fractions", "binomial_fractions", "shred_fraction"]


def binomial_fractions(
    n_shreds: ArrayLike,
    n_scored: ArrayLike,
    *,
    confidence_level: float = 0.68269,
    interval: str = "wilson",
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Divide numbers of shreds by numbers of sources, and bound the fractions.

    Parameters
    ----------
    n_shreds, n_scored : array_like of int
        Numbers of shreds, and of all sources with an answer, of one shape.
    confidence_level : float, optional
        Confidence level of the intervals.
    interval : str, optional
        Kind of interval, as `astropy.stats.binom_conf_interval` knows them. ``"wilson"`` has no
        gap at fractions of 0 and 1.

    Returns
    -------
    fraction, low, high : `~numpy.ndarray`
        The fractions and the ends of their intervals; NaN where there is no source.

    Examples
    --------
    >>> from shredfinder.evaluation import binomial_fractions
    >>> [values.round(3).tolist() for values in binomial_fractions([4, 0], [100, 0])]
    [[0.04, nan], [0.025, nan], [0.065, nan]]
    """
    from astropy.stats import binom_conf_interval

    n_shreds, n_scored = np.atleast_1d(n_shreds), np.atleast_1d(n_scored)
    fraction, low, high = (np.full(n_scored.shape, np.nan) for _ in range(3))
    some = n_scored > 0
    if some.any():
        fraction[some] = n_shreds[some] / n_scored[some]
        low[some], high[some] = binom_conf_interval(
            n_shreds[some], n_scored[some], confidence_level=confidence_level, interval=interval
        )
    return fraction, low, high


def shred_fraction(
    p_cnn: ArrayLike,
    *,
    threshold: float = 0.5,
    confidence_level: float = 0.68269,
    interval: str = "wilson",
) -> Table:
    """Count the shreds among scored sources.

    Parameters
    ----------
    p_cnn : array_like
        Probabilities of being a shred, of any shape. Where they are NaN or masked there is no
        answer: such sources are in neither number.
    threshold : float, optional
        A source of this probability or more is a shred.
    confidence_level, interval
        As `binomial_fractions` takes them.

    Returns
    -------
    result : `~astropy.table.Table`
        One row: ``n_unscored``, ``n_scored``, ``n_shreds``, ``shred_fraction`` and the ends of its
        interval, ``shred_fraction_low`` and ``shred_fraction_high``.

    Raises
    ------
    ValueError
        If the threshold or a probability is not between 0 and 1.

    Notes
    -----
    The fraction is that of ``p_cnn >= threshold``, at the mix of shreds and galaxies that the
    probabilities hold for.

    Examples
    --------
    >>> from shredfinder.evaluation import shred_fraction
    >>> found = shred_fraction([0.9, 0.1, 0.2, float("nan"), 0.05])
    >>> found["n_unscored", "n_scored", "n_shreds", "shred_fraction"].pprint()
    n_unscored n_scored n_shreds shred_fraction
    ---------- -------- -------- --------------
             1        4        1           0.25
    """
    p_cnn, shred = classify(p_cnn, threshold)
    everything = [np.ones(p_cnn.size, dtype=bool)]
    return _count(everything, p_cnn.ravel(), shred.ravel(), confidence_level, interval)


def binned_shred_fractions(
    p_cnn: ArrayLike,
    values: ArrayLike,
    edges: ArrayLike,
    *,
    threshold: float = 0.5,
    confidence_level: float = 0.68269,
    interval: str = "wilson",
) -> Table:
    """Count the shreds by magnitude, host separation or any other property.

    Parameters
    ----------
    p_cnn : array_like of shape (n,)
        As `shred_fraction` takes them.
    values : array_like of shape (n,)
        The property, plain numbers or a Quantity. Sources without one are in no bin.
    edges : array_like of shape (n_bins + 1,)
        Edges of the bins, growing, in the property's unit. A lower edge belongs to its bin, an
        upper one to the next bin, but for the last.
    threshold, confidence_level, interval
        As `shred_fraction` takes them.

    Returns
    -------
    result : `~astropy.table.Table`
        A row for each bin: ``low`` and ``high``, its edges, then the columns of
        `shred_fraction`.

    Raises
    ------
    ValueError
        If there are not as many values as probabilities, or the edges don't grow.

    Examples
    --------
    >>> from shredfinder.evaluation import binned_shred_fractions
    >>> found = binned_shred_fractions([0.9, 0.1, 0.8, 0.2], [15.5, 16.0, 16.5, 18.0],
    ...                                [15, 16, 17, 18])
    >>> found["low", "high", "n_scored", "n_shreds"].pprint()
    low  high n_scored n_shreds
    ---- ---- -------- --------
    15.0 16.0        1        1
    16.0 17.0        2        1
    17.0 18.0        1        0
    """
    p_cnn, shred = classify(p_cnn, threshold)
    if np.shape(values) != p_cnn.shape or p_cnn.ndim != 1:
        raise ValueError(
            f"values must have one number for each of {p_cnn.size} probabilities: got shape "
            f"{np.shape(values)}"
        )
    edges, inside, unit = divide(values, edges)
    table = _count(inside, p_cnn, shred, confidence_level, interval)
    table.add_columns([edges[:-1], edges[1:]], indexes=[0, 0], names=["low", "high"])
    if unit is not None:
        table["low"].unit = table["high"].unit = unit
    return table


def divide(values, edges):
    """Divide sources into bins.

    Parameters
    ----------
    values : array_like of shape (n,)
        The property, plain numbers or a Quantity.
    edges : int or array_like
        The edges, growing, in the property's unit, or the number of bins of about as many
        sources each.

    Returns
    -------
    edges : `~numpy.ndarray`
        The edges as plain numbers.
    inside : list of `~numpy.ndarray` of bool
        For each bin the sources in it.
    unit : `~astropy.units.Unit` or None
        The property's unit.
    """
    unit = getattr(values, "unit", None)
    units = () if unit is None else (unit,)
    values = to_floats(values, "values", *units)
    if isinstance(edges, (int, np.integer)):
        if edges < 1 or not np.isfinite(values).any():
            raise ValueError(
                f"edges must be one bin or more of sources that have a value, not {edges} of "
                f"{np.count_nonzero(np.isfinite(values))} such sources"
            )
        edges = np.unique(np.nanquantile(values, np.linspace(0, 1, edges + 1)))
    else:
        edges = to_floats(edges, "edges", *units)
    if edges.ndim != 1 or edges.size < 2 or not np.all(np.diff(edges) > 0):
        raise ValueError(f"edges must be two or more growing numbers: got {edges.tolist()}")
    with np.errstate(invalid="ignore"):
        inside = [
            (values >= low) & ((values < high) if high < edges[-1] else (values <= high))
            for low, high in itertools.pairwise(edges)
        ]
    return edges, inside, unit


def check_threshold(threshold):
    """Check a threshold; give it as a plain number."""
    limit = to_value(threshold, "threshold", u.dimensionless_unscaled)
    if not 0 <= limit <= 1:
        raise ValueError(f"threshold must be between 0 and 1: got {threshold}")
    return limit


def classify(p_cnn, threshold, name="p_cnn"):
    """Check probabilities and a threshold; tell which are of shreds, False without an answer."""
    limit = check_threshold(threshold)
    p_cnn = to_floats(p_cnn, name)
    with np.errstate(invalid="ignore"):
        if np.any((p_cnn < 0) | (p_cnn > 1)):
            raise ValueError(
                f"{name} must hold probabilities between 0 and 1: got {np.nanmin(p_cnn)} to "
                f"{np.nanmax(p_cnn)}"
            )
        return p_cnn, p_cnn >= limit


def _count(groups, p_cnn, shred, confidence_level, interval):
    scored = np.isfinite(p_cnn)
    n_scored = np.array([np.count_nonzero(inside & scored) for inside in groups])
    n_shreds = np.array([np.count_nonzero(inside & shred) for inside in groups])
    fraction, low, high = binomial_fractions(
        n_shreds, n_scored, confidence_level=confidence_level, interval=interval
    )
    return Table(
        {
            "n_unscored": [int(np.count_nonzero(inside & ~scored)) for inside in groups],
            "n_scored": n_scored,
            "n_shreds": n_shreds,
            "shred_fraction": fraction,
            "shred_fraction_low": low,
            "shred_fraction_high": high,
        }
    )
