"""Which host a shred is a piece of, and how many of a host's candidates are shreds."""

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

__all__ = ["ShredAssociation", "associate_shreds"]


@dataclass(frozen=True)
class ShredAssociation:
    """Shreds and hosts that belong to each other.

    Attributes
    ----------
    shreds : `~astropy.table.Table`
        A row for each shred within reach of a host: the columns of `match_hosts`, and ``p_cnn``.
    hosts : `~astropy.table.Table`
        A row for each host with candidates, in the order of the hosts' table: ``host_id``,
        ``host_index``, ``n_candidates``, ``n_shreds``, ``n_unscored``, ``shred_fraction``, and
        ``shred_fraction_low`` and ``shred_fraction_high``, the ends of its interval.
    n_shreds_without_host : int
        Shreds that are out of reach of all hosts.

    Examples
    --------
    See `associate_shreds`, which makes it.
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
    matches: Table | None = None,
    confidence_level: float = 0.68269,
    interval: str = "wilson",
) -> ShredAssociation:
    """Tie scored candidates to hosts, and count the shreds of each host.

    Each candidate belongs to one host, that which `match_hosts` names, so that the hosts' numbers
    add up. Rows without an answer, whose ``p_cnn`` is NaN or masked, are neither candidates nor
    shreds: they are counted by themselves.

    Parameters
    ----------
    table : `~astropy.table.Table`
        Candidates with columns ``ra``, ``dec`` and ``p_column``.
    hosts : `~astropy.table.Table`
        Hosts as `match_hosts` takes them.
    radius, by, cosmology, min_distance
        As `match_hosts` takes them. ``by="ellipse"`` is the better guess at which galaxy a shred
        is a piece of, where the hosts' ellipses are known.
    threshold : float, optional
        A candidate of this ``p_cnn`` or more is a shred.
    p_column : str, optional
        Name of the column of probabilities.
    matches : `~astropy.table.Table`, optional
        What `match_hosts` returned for ``table`` and ``hosts``, to be used as it is.
    confidence_level : float, optional
        Confidence level of the intervals.
    interval : str, optional
        Kind of interval, as `astropy.stats.binom_conf_interval` knows them.

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
        If an argument is of the wrong kind.

    Warns
    -----
    ShredfinderWarning
        As `match_hosts`, and if rows have no answer.

    Notes
    -----
    ``p_cnn`` holds for the mix of shreds and galaxies that the model was trained on (40 %
    shreds), or for the prior that it was corrected for: so do counts of ``p_cnn >= threshold``.
    The intervals are binomial; ``"wilson"`` has no gap at fractions of 0 and 1. A host without
    scored candidates has a fraction of NaN.

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
            f"{np.count_nonzero(~scored)} of {scored.size} rows have no {column}: they are "
            "counted neither as candidates nor as shreds",
            ShredfinderWarning,
            stacklevel=2,
        )
    if matches is None:
        matches = match_hosts(
            table, hosts, radius, by=by, cosmology=cosmology, min_distance=min_distance
        )
    index = np.asarray(matches["index"])
    shreds = matches[shred[index]]
    shreds["p_cnn"] = p_cnn[np.asarray(shreds["index"])].astype(np.float32)
    return ShredAssociation(
        shreds=shreds,
        hosts=_count(matches, hosts, scored[index], shred[index], confidence_level, interval),
        n_shreds_without_host=int(np.count_nonzero(shred)) - len(shreds),
    )


def _count(matches, hosts, scored, shred, confidence_level, interval):
    host_index, which = np.unique(np.asarray(matches["host_index"]), return_inverse=True)
    size = host_index.size
    n_scored = np.bincount(which[scored], minlength=size)
    n_shreds = np.bincount(which[shred], minlength=size)
    fraction, low, high = binomial_fractions(
        n_shreds, n_scored, confidence_level=confidence_level, interval=interval
    )
    return Table(
        {
            "host_id": np.asarray(hosts[find_column(hosts, "host_id")])[host_index],
            "host_index": host_index,
            "n_candidates": n_scored,
            "n_shreds": n_shreds,
            "n_unscored": np.bincount(which[~scored], minlength=size),
            "shred_fraction": fraction,
            "shred_fraction_low": low,
            "shred_fraction_high": high,
        }
    )
