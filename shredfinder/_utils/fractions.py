"""Shred fractions of catalogues, with binomial intervals."""

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
    """Compute shred fractions and their binomial intervals from counts.

    Parameters
    ----------
    n_shreds, n_scored : array_like of int
        Numbers of shreds and of all scored sources, of the same shape.
    confidence_level : float, optional
        Confidence level of the intervals.
    interval : str, optional
        Kind of interval, as for `astropy.stats.binom_conf_interval`. ``"wilson"`` intervals have
        a finite width at fractions of 0 and 1.

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
    # astropy refuses bins without sources, whose fraction is undefined.
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
    """Compute the fraction of shreds among scored sources.

    Parameters
    ----------
    p_cnn : array_like
        Probabilities of being a shred, of any shape; NaN or masked for unscored sources, which
        are counted separately.
    threshold : float, optional
        Sources with a probability at or above this are shreds.
    confidence_level, interval
        As for `binomial_fractions`.

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
    The fraction of ``p_cnn >= threshold`` assumes the same prior as the probabilities.

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
    """Compute the shred fraction in bins of magnitude, host separation or any other property.

    Parameters
    ----------
    p_cnn : array_like of shape (n,)
        As for `shred_fraction`.
    values : array_like of shape (n,)
        The property, plain numbers or a Quantity. Sources without a finite value are ignored.
    edges : array_like of shape (n_bins + 1,)
        Increasing bin edges in the property's unit. Bins include their lower edge and exclude
        their upper edge, except for the last, which includes both.
    threshold, confidence_level, interval
        As for `shred_fraction`.

    Returns
    -------
    result : `~astropy.table.Table`
        One row per bin: the edges ``low`` and ``high``, then the columns of `shred_fraction`.

    Raises
    ------
    ValueError
        If ``values`` and ``p_cnn`` differ in length, or the edges do not increase.

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
            f"values must have one value for each of {p_cnn.size} probabilities: got shape "
            f"{np.shape(values)}"
        )
    edges, inside, unit = split_into_bins(values, edges)
    table = _count(inside, p_cnn, shred, confidence_level, interval)
    table.add_columns([edges[:-1], edges[1:]], indexes=[0, 0], names=["low", "high"])
    if unit is not None:
        table["low"].unit = table["high"].unit = unit
    return table


def split_into_bins(
    values: ArrayLike, edges: ArrayLike
) -> tuple[np.ndarray, list[np.ndarray], u.UnitBase | None]:
    """Split sources into bins of a property.

    Parameters
    ----------
    values : array_like of shape (n,)
        The property, plain numbers or a Quantity.
    edges : int or array_like
        Increasing edges in the property's unit, or a number of bins with about equal numbers of
        sources.

    Returns
    -------
    edges : `~numpy.ndarray`
        The edges as plain numbers.
    inside : list of `~numpy.ndarray` of bool
        For each bin, whether each source is in it.
    unit : `~astropy.units.Unit` or None
        The property's unit.
    """
    unit = getattr(values, "unit", None)
    units = () if unit is None else (unit,)
    values = to_floats(values, "values", *units)
    if isinstance(edges, (int, np.integer)):
        if edges < 1 or not np.isfinite(values).any():
            raise ValueError(
                f"edges must be a positive number of bins, with at least one finite value: got "
                f"{edges} bins and {np.count_nonzero(np.isfinite(values))} finite values"
            )
        # Repeated values can make quantiles coincide, so there may be fewer bins.
        edges = np.unique(np.nanquantile(values, np.linspace(0, 1, edges + 1)))
    else:
        edges = to_floats(edges, "edges", *units)
    if edges.ndim != 1 or edges.size < 2 or not np.all(np.diff(edges) > 0):
        raise ValueError(f"edges must be at least two increasing numbers: got {edges.tolist()}")
    with np.errstate(invalid="ignore"):
        inside = [
            # Bins include their lower edge; only the last one includes its upper edge too.
            (values >= low) & ((values < high) if high < edges[-1] else (values <= high))
            for low, high in itertools.pairwise(edges)
        ]
    return edges, inside, unit


def check_threshold(threshold: ArrayLike) -> float:
    """Return a threshold as a float, after checking that it is between 0 and 1."""
    limit = to_value(threshold, "threshold", u.dimensionless_unscaled)
    if not 0 <= limit <= 1:
        raise ValueError(f"threshold must be between 0 and 1: got {limit:g}")
    return limit


def classify(
    p_cnn: ArrayLike, threshold: ArrayLike, name: str = "p_cnn"
) -> tuple[np.ndarray, np.ndarray]:
    """Return checked probabilities, and whether each is of a shred (False if unscored)."""
    limit = check_threshold(threshold)
    p_cnn = to_floats(p_cnn, name)
    with np.errstate(invalid="ignore"):
        if np.any((p_cnn < 0) | (p_cnn > 1)):
            raise ValueError(
                f"{name} must be probabilities between 0 and 1: got {np.nanmin(p_cnn)} to "
                f"{np.nanmax(p_cnn)}"
            )
        # NaN >= limit is False: unscored sources are not shreds.
        return p_cnn, p_cnn >= limit


def _count(groups, p_cnn, shred, confidence_level, interval):
    scored = np.isfinite(p_cnn)
    n_scored = np.array([np.count_nonzero(inside & scored) for inside in groups])
    # `shred` is False for unscored rows, so these are in neither count.
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
