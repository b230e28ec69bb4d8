"""Shreds assigned to their hosts, and the shred fraction of each host."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from astropy import units as u
from astropy.table import Table

from shredfinder._utils.columns import find_column
from shredfinder._utils.fractions import binomial_fractions, classify
from shredfinder.exceptions import ShredfinderWarning
from shredfinder.hosts.matching import match_hosts

if TYPE_CHECKING:
    from astropy.cosmology import FLRW
    from astropy.units import Quantity

    from shredfinder.hosts.distances import DistanceKind

__all__ = ["ShredAssociation", "associate_shreds"]


@dataclass(frozen=True)
class ShredAssociation:
    """Shreds and the hosts that they belong to.

    Attributes
    ----------
    shreds : `~astropy.table.Table`
        One row per shred near a host: the columns of `match_hosts`, and ``p_cnn``.
    hosts : `~astropy.table.Table`
        One row per host with candidates, in the order of the hosts' table: ``host_id``,
        ``host_index``, ``n_candidates``, ``n_shreds``, ``n_unscored``, ``shred_fraction``, and
        the ends of its interval, ``shred_fraction_low`` and ``shred_fraction_high``.
    n_shreds_without_host : int
        Number of shreds that are not within the radius of any host.

    Examples
    --------
    See `associate_shreds`, which returns it.
    """

    shreds: Table
    hosts: Table
    n_shreds_without_host: int


def associate_shreds(
    table: Table,
    hosts: Table,
    radius: float | Quantity = 100 * u.kpc,
    *,
    threshold: float = 0.5,
    p_column: str = "p_cnn",
    by: Literal["projected", "ellipse"] = "projected",
    cosmology: FLRW | None = None,
    min_distance: float | Quantity = 1 * u.Mpc,
    distance: DistanceKind = "angular-diameter",
    matches: Table | None = None,
    # One standard deviation of a normal distribution.
    confidence_level: float = 0.68269,
    interval: str = "wilson",
) -> ShredAssociation:
    """Assign scored candidates to hosts, and count the shreds of each host.

    Each candidate belongs to the one host that `match_hosts` returns, so that the numbers of all
    hosts add up. Unscored rows, whose ``p_cnn`` is NaN or masked, count neither as candidates nor
    as shreds, but separately.

    Parameters
    ----------
    table : `~astropy.table.Table`, `pandas.DataFrame` or structured array
        Candidates with columns ``ra``, ``dec`` and ``p_column``.
    hosts : `~astropy.table.Table`
        Hosts, as for `match_hosts`.
    radius, by, cosmology, min_distance, distance
        As for `match_hosts`. Where the hosts' ellipses are known, ``by="ellipse"`` finds the
        parent galaxy of a shred more reliably.
    threshold : float, optional
        Candidates with ``p_cnn`` at or above this are shreds.
    p_column : str, optional
        Name of the column of probabilities.
    matches : `~astropy.table.Table`, optional
        The result of `match_hosts` for ``table`` and ``hosts``; by default it is computed.
    confidence_level : float, optional
        Confidence level of the intervals.
    interval : str, optional
        Kind of interval, as for `astropy.stats.binom_conf_interval`.

    Returns
    -------
    association : ShredAssociation
        Tables of shreds and of hosts.

    Raises
    ------
    KeyError
        If a table lacks a column.
    ValueError
        If the threshold or a probability is not between 0 and 1.
    TypeError, astropy.units.UnitsError
        If an argument is of the wrong type or unit.

    Warns
    -----
    ShredfinderWarning
        As for `match_hosts`, and if rows are unscored.

    Notes
    -----
    ``p_cnn``, and so the number of rows with ``p_cnn >= threshold``, assumes the training set's
    38 % shred fraction or the prior that it was corrected for. The intervals are binomial;
    ``"wilson"`` intervals have a finite width at fractions of 0 and 1. The fraction of a host
    without scored candidates is NaN.

    Examples
    --------
    >>> import astropy.units as u
    >>> from astropy.table import Table
    >>> from shredfinder.hosts import associate_shreds
    >>> hosts = Table({"host_id": ["A"], "ra": [10.0], "dec": [0.0], "distance": [20.0] * u.Mpc})
    >>> table = Table({"ra": [10.01, 10.02, 10.03, 50.0], "dec": [0.0, 0.0, 0.0, 0.0],
    ...                "p_cnn": [0.9, 0.1, 0.2, 0.8]})
    >>> found = associate_shreds(table, hosts)
    >>> found.hosts["host_id", "n_candidates", "n_shreds"].pprint()
    host_id n_candidates n_shreds
    ------- ------------ --------
          A            3        1
    >>> found.shreds["index"].tolist(), found.n_shreds_without_host
    ([0], 1)
    """
    column = find_column(table, p_column)
    p_cnn, shred = classify(table[column], threshold, column)
    scored = np.isfinite(p_cnn)
    if not scored.all():
        warnings.warn(
            f"{np.count_nonzero(~scored)} of {scored.size} rows have no {column}: they count "
            "neither as candidates nor as shreds",
            ShredfinderWarning,
            stacklevel=2,
        )
    if matches is None:
        matches = match_hosts(
            table,
            hosts,
            radius,
            by=by,
            cosmology=cosmology,
            min_distance=min_distance,
            distance=distance,
        )
    # `scored` and `shred` are per candidate; indexed by the matches they are per matched row.
    index = np.asarray(matches["index"])
    shreds = matches[shred[index]]
    shreds["p_cnn"] = p_cnn[np.asarray(shreds["index"])].astype(np.float32)
    return ShredAssociation(
        shreds=shreds,
        hosts=_count(matches, hosts, scored[index], shred[index], confidence_level, interval),
        # Each matched candidate has one row in `matches`, so the rest of the shreds have no host.
        n_shreds_without_host=int(np.count_nonzero(shred)) - len(shreds),
    )


def _count(matches, hosts, scored, shred, confidence_level, interval):
    # `which` numbers the hosts that have candidates from 0, so that bincount counts per host.
    host_index, which = np.unique(np.asarray(matches["host_index"]), return_inverse=True)
    size = host_index.size
    n_scored = np.bincount(which[scored], minlength=size)
    n_shreds = np.bincount(which[shred], minlength=size)
    fraction, low, high = binomial_fractions(
        n_shreds, n_scored, confidence_level=confidence_level, interval=interval
    )
    return Table(
        {
            "host_id": hosts[find_column(hosts, "host_id")][host_index],
            "host_index": host_index,
            "n_candidates": n_scored,
            "n_shreds": n_shreds,
            "n_unscored": np.bincount(which[~scored], minlength=size),
            "shred_fraction": fraction,
            "shred_fraction_low": low,
            "shred_fraction_high": high,
        }
    )
