"""Candidates within a projected radius of their hosts."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Literal

import numpy as np
from astropy import units as u
from astropy.table import Table

from shredfinder._utils.columns import find_column
from shredfinder._utils.positions import get_degrees
from shredfinder._utils.units import to_floats, to_value
from shredfinder.exceptions import ShredfinderWarning
from shredfinder.hosts.distances import DistanceKind, host_distances
from shredfinder.hosts.ellipse import elliptical_radii, usable_ellipses
from shredfinder.hosts.sphere import iter_pairs, unit_vectors

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord
    from astropy.cosmology import FLRW
    from astropy.units import Quantity

__all__ = ["match_hosts"]

# Candidates per part. The memory of a part grows with it: one host may contain all of them.
_PART = 500_000


def match_hosts(
    candidates: SkyCoord | Table,
    hosts: Table,
    radius: float | Quantity = 100 * u.kpc,
    *,
    by: Literal["projected", "ellipse"] = "projected",
    cosmology: FLRW | None = None,
    min_distance: float | Quantity = 1 * u.Mpc,
    distance: DistanceKind = "angular-diameter",
) -> Table:
    """Match candidates to the hosts within a projected radius.

    The radius is a length at the distance of each host. It spans arcseconds around distant hosts
    and degrees around nearby ones.

    Parameters
    ----------
    candidates : `~astropy.coordinates.SkyCoord` or `~astropy.table.Table`
        Positions of the candidates, in any form that `~shredfinder.table.get_positions` reads.
    hosts : `~astropy.table.Table`
        Hosts from `read_nsa` or `read_hosts`: a table with ``host_id``, positions, and ``zdist``,
        ``z`` or ``distance``.
    radius : `~astropy.units.Quantity` or float, optional
        The projected radius; a plain number is in kpc. A single value, or one per host.
    by : {"projected", "ellipse"}, optional
        How to choose among several hosts: by the smallest projected separation in kpc, or by the
        smallest separation in units of the host's 90 % light ellipse, which needs the columns
        ``petro_th90``, ``petro_ba90`` and ``petro_phi90``. Ties go to the first host in the table.
    cosmology : `~astropy.cosmology.FLRW`, optional
        The cosmology for distances from redshifts; by default astropy's default cosmology.
    min_distance : `~astropy.units.Quantity` or float, optional
        Nearer hosts are ignored; a plain number is in Mpc. Peculiar motion dominates the
        redshift there, and the radius would span much of the sky.
    distance : {"angular-diameter", "hubble"}, optional
        The distance to compute from a redshift, as for `host_distances`. ``meta`` of the result
        records it.

    Returns
    -------
    matches : `~astropy.table.Table`
        One row per candidate within the radius of a host, in the candidates' order; no rows if
        nothing matches:

        ==================== =========================================================
        index                row of the candidate: ``candidates[t["index"]]`` selects
                             the matched candidates
        host_id, host_index  the host's name and its row in ``hosts``
        separation           angle between the two, in arcsec
        projected_separation the same at the host's distance, in kpc
        n_hosts              number of hosts within their radius of the candidate
        ==================== =========================================================

    Raises
    ------
    KeyError
        If a table lacks a column.
    ValueError
        If no positions are found, the radius is not positive, or ``by`` is unknown.
    TypeError, astropy.units.UnitsError
        If an argument is of the wrong type or unit.

    Warns
    -----
    ShredfinderWarning
        If hosts are ignored, because they have no position or usable distance, or candidates,
        because they have no position.

    Notes
    -----
    The projected separation is the angle in radians times the host's distance, by default its
    angular-diameter distance. The paper keeps candidates within 100 kpc of a galaxy of the
    NASA-Sloan Atlas (arXiv:2301.09648, section 3.1). Candidates are processed in parts: apart from
    positions and matches, memory does not grow with their number, nor with the number of pairs.

    Examples
    --------
    >>> import astropy.units as u
    >>> from astropy.coordinates import SkyCoord
    >>> from astropy.table import Table
    >>> from shredfinder.hosts import match_hosts
    >>> hosts = Table({"host_id": [7, 9], "ra": [359.99, 120.0], "dec": [0.0, 30.0],
    ...                "distance": [10.0, 100.0] * u.Mpc})
    >>> candidates = SkyCoord([0.01, 120.0, 120.0], [0.0, 30.01, 31.0], unit="deg")
    >>> matches = match_hosts(candidates, hosts)
    >>> matches["index", "host_id", "n_hosts"].pprint()
    index host_id n_hosts
    ----- ------- -------
        0       7       1
        1       9       1
    >>> matches["projected_separation"].round(2).tolist()
    [3.49, 17.45]
    """
    if by not in ("projected", "ellipse"):
        raise ValueError(f"by must be 'projected' or 'ellipse': got {by!r}")
    ra, dec, rows = _candidate_positions(candidates)
    host_ra, host_dec = get_degrees(hosts, name="hosts")
    kpc = host_distances(hosts, cosmology=cosmology, distance=distance).to_value(u.kpc)
    usable = _usable_hosts(host_ra, host_dec, kpc, min_distance)
    reach = _angular_reach(radius, kpc, usable)
    host_rows = np.flatnonzero(usable)
    centers = unit_vectors(host_ra[usable], host_dec[usable])
    ellipses = _ellipses(hosts, usable) if by == "ellipse" else None
    parts = [
        _match_part(rows[start : start + _PART], ra, dec, centers, reach, kpc[usable], ellipses)
        # max: no candidates make one empty part, with columns of the right types.
        for start in range(0, max(rows.size, 1), _PART)
    ]
    index, center, separation, projected, count = map(np.concatenate, zip(*parts, strict=True))
    # Centres are numbered among the usable hosts: translate to rows of the hosts' table.
    host_index = host_rows[center]
    return Table(
        {
            "index": index,
            "host_id": hosts[find_column(hosts, "host_id")][host_index],
            "host_index": host_index,
            "separation": u.Quantity(np.degrees(separation) * 3600.0, u.arcsec),
            "projected_separation": u.Quantity(projected, u.kpc),
            "n_hosts": count,
        },
        meta={"distance": distance},
        copy=False,
    )


def _match_part(rows, ra, dec, centers, reach, kpc, ellipses):
    """Match some candidates; return the columns of the table of matches."""
    points = unit_vectors(ra[rows], dec[rows])
    nearest = _Nearest(rows.size)
    for point, center, separation in iter_pairs(points, centers, reach):
        projected = separation * kpc[center]
        score = projected
        if ellipses is not None:
            score = elliptical_radii(centers[center], points[point], *(e[center] for e in ellipses))
            # A host without an ellipse ranks below all that have one.
            score = np.where(np.isfinite(score), score, np.inf)
        nearest.add(point, center, score, projected, separation)
    found = np.flatnonzero(nearest.center >= 0)
    return (
        rows[found],
        nearest.center[found],
        nearest.separation[found],
        nearest.projected[found],
        nearest.count[found],
    )


class _Nearest:
    """The best host so far of each point, and the number of hosts, over batches of pairs."""

    def __init__(self, n_points: int) -> None:
        self.count = np.zeros(n_points, dtype=np.int32)
        self.center = np.full(n_points, -1, dtype=np.int64)
        self.score = np.full(n_points, np.inf)
        self.projected = np.full(n_points, np.inf)
        self.separation = np.full(n_points, np.nan)

    def add(self, point, center, score, projected, separation):
        # bincount also counts points that occur several times in a batch, which `+=` would not.
        self.count += np.bincount(point, minlength=self.count.size).astype(np.int32)
        old = (self.score[point], self.projected[point], self.center[point])
        better = (self.center[point] < 0) | _before((score, projected, center), old)
        # Few pairs of a crowded field beat the present best: discarding the rest first makes the
        # sort cheap.
        point, center, score, projected, separation = (
            values[better] for values in (point, center, score, projected, separation)
        )
        # A batch may hold several hosts of one point: the first after sorting is the best.
        order = np.lexsort((center, projected, score, point))
        # Rows whose point differs from the row before. The slice empties the mask if there are
        # none.
        order = order[np.r_[True, np.diff(point[order]) != 0][: order.size]]
        point = point[order]
        self.center[point] = center[order]
        self.score[point] = score[order]
        self.projected[point] = projected[order]
        self.separation[point] = separation[order]


def _before(new, old):
    """Return where new keys sort before old ones: key by key, as tuples compare."""
    before = np.zeros(new[0].shape, dtype=bool)
    equal = np.ones(new[0].shape, dtype=bool)
    for mine, theirs in zip(new, old, strict=True):
        before |= equal & (mine < theirs)
        equal &= mine == theirs
    return before


def _candidate_positions(candidates):
    """Return all positions and the rows that have one; warn about the others."""
    ra, dec = get_degrees(candidates, name="candidates")
    rows = np.flatnonzero(np.isfinite(ra))
    if rows.size < ra.size:
        warnings.warn(
            f"{ra.size - rows.size} of {ra.size} candidates have no valid position and match no "
            "host",
            ShredfinderWarning,
            stacklevel=3,
        )
    return ra, dec, rows


def _usable_hosts(ra, dec, distance, min_distance):
    """Return which hosts have a position and a usable distance; warn about the others."""
    limit = to_value(min_distance, "min_distance", u.Mpc)
    if not limit > 0:
        raise ValueError(f"min_distance must be positive: got {min_distance}")
    placed = np.isfinite(ra)
    # `host_distances` returns NaN for redshifts that are zero or negative.
    measured = np.isfinite(distance) & (distance > 0)
    far = measured & (distance >= limit * 1000.0)
    usable = placed & far
    if not usable.all():
        warnings.warn(
            f"{np.count_nonzero(~usable)} of {usable.size} hosts are ignored: "
            f"{np.count_nonzero(~placed)} without a valid position, "
            f"{np.count_nonzero(placed & ~measured)} without a finite and positive distance or "
            f"redshift, {np.count_nonzero(placed & measured & ~far)} nearer than {limit:g} Mpc "
            "(to keep them, add a distance column or lower min_distance)",
            ShredfinderWarning,
            stacklevel=3,
        )
    return usable


def _angular_reach(radius, distance, usable):
    """Return the radius of each usable host in radians."""
    # The radius of an unusable host may be invalid too: it is checked after the selection.
    length = to_floats(radius, "radius", u.kpc)
    if length.ndim > 1 or (length.ndim == 1 and length.shape != distance.shape):
        raise ValueError(
            f"radius must be a single value or one for each of {distance.size} hosts: "
            f"got shape {length.shape}"
        )
    length = np.broadcast_to(length, distance.shape)[usable]
    if not np.all((length > 0) & np.isfinite(length)):
        raise ValueError(f"radius must be positive and finite: got {radius}")
    return length / distance[usable]


def _ellipses(hosts, usable):
    """Return the ellipses of the usable hosts, NaN for those without one."""
    semi_major, axis_ratio, angle = usable_ellipses(hosts)
    return semi_major[usable], axis_ratio[usable], angle[usable]
