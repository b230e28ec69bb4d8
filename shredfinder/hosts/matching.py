"""Which candidates lie near a host, as projected on the sky."""

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
from shredfinder.hosts._pairs import iter_pairs, unit_vectors
from shredfinder.hosts.distances import host_distances
from shredfinder.hosts.ellipse import elliptical_radii, usable_ellipses

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord
    from astropy.cosmology import FLRW
    from astropy.units import Quantity

__all__ = ["match_hosts"]

# Candidates that are matched at a time.
_PART = 500_000


def match_hosts(
    candidates: SkyCoord | Table,
    hosts: Table,
    radius: float | Quantity = 100 * u.kpc,
    *,
    by: Literal["projected", "ellipse"] = "projected",
    cosmology: FLRW | None = None,
    min_distance: float | Quantity = 1 * u.Mpc,
) -> Table:
    """Find the candidates within a projected radius of at least one host.

    The radius is projected at the distance of each host, so that it spans arcseconds around far
    hosts and degrees around near ones.

    Parameters
    ----------
    candidates : `~astropy.coordinates.SkyCoord` or `~astropy.table.Table`
        Positions of the candidates: coordinates, or a table with columns ``ra`` and ``dec``.
    hosts : `~astropy.table.Table`
        Hosts as `read_nsa` or `read_hosts` returns them: with ``host_id``, ``ra``, ``dec``, and
        ``zdist``, ``z`` or ``distance``.
    radius : `~astropy.units.Quantity` or float, optional
        The projected radius; a plain number is in kpc. One value, or one for each host.
    by : {"projected", "ellipse"}, optional
        Which host is named where several are in reach: the one with the smallest projected
        separation in kpc, or the one that is nearest in units of its 90 % light ellipse, for
        which the hosts need ``petro_th90``, ``petro_ba90`` and ``petro_phi90``. Ties go to the
        host that comes first in the table.
    cosmology : `~astropy.cosmology.FLRW`, optional
        The cosmology for distances from redshifts; astropy's default one if none is given.
    min_distance : `~astropy.units.Quantity` or float, optional
        Nearer hosts are left out; a plain number is in Mpc. A redshift gives no distance there,
        and the radius would span much of the sky.

    Returns
    -------
    matches : `~astropy.table.Table`
        A row for each candidate that is within reach of a host, in the candidates' order:

        ==================== =========================================================
        index                row of the candidate, so that ``candidates[t["index"]]``
                             are the matched ones
        host_id, host_index  the host's name and its row in ``hosts``
        separation           angle between the two, in arcsec
        projected_separation the same at the host's distance, in kpc
        n_hosts              number of hosts in reach of the candidate
        ==================== =========================================================

        No rows where nothing matches.

    Raises
    ------
    KeyError
        If a table lacks a column.
    ValueError
        If the radius is not positive, or ``by`` is neither of its choices.
    TypeError, astropy.units.UnitsError
        If an argument is of the wrong kind.

    Warns
    -----
    ShredfinderWarning
        If hosts are left out, because their position or distance is not finite or too near, or
        candidates, because they have no position.

    Notes
    -----
    The projected separation is the angle in radians times the angular-diameter distance. The
    paper keeps candidates within 100 kpc of a galaxy of the NASA-Sloan Atlas (arXiv:2301.09648,
    section 3.1). Beyond positions and matches, memory does not grow with the number of
    candidates, nor with that of pairs.

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
    distance = host_distances(hosts, cosmology=cosmology).to_value(u.kpc)
    usable = _usable_hosts(host_ra, host_dec, distance, min_distance)
    reach = _angular_reach(radius, distance, usable)
    host_rows = np.flatnonzero(usable)
    centers = unit_vectors(host_ra[usable], host_dec[usable])
    ellipses = _ellipses(hosts, usable) if by == "ellipse" else None
    # A part of the candidates at a time: all that is kept of it are its matches.
    parts = [
        _match_part(
            rows[start : start + _PART], ra, dec, centers, reach, distance[usable], ellipses
        )
        for start in range(0, max(rows.size, 1), _PART)
    ]
    index, center, separation, projected, count = map(np.concatenate, zip(*parts, strict=True))
    host_index = host_rows[center]
    return Table(
        {
            "index": index,
            "host_id": np.asarray(hosts[find_column(hosts, "host_id")])[host_index],
            "host_index": host_index,
            "separation": u.Quantity(np.degrees(separation) * 3600.0, u.arcsec),
            "projected_separation": u.Quantity(projected, u.kpc),
            "n_hosts": count,
        },
        copy=False,
    )


def _match_part(rows, ra, dec, centers, reach, kpc, ellipses):
    """Match some of the candidates; return what the table of matches is made of."""
    points = unit_vectors(ra[rows], dec[rows])
    nearest = _Nearest(rows.size)
    for point, center, separation in iter_pairs(points, centers, reach):
        projected = separation * kpc[center]
        score = projected
        if ellipses is not None:
            score = elliptical_radii(centers[center], points[point], *(e[center] for e in ellipses))
            # A host without an ellipse comes after all those that have one.
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
    """For each point, the best of the circles it lies in so far, and their number."""

    def __init__(self, n_points):
        self.count = np.zeros(n_points, dtype=np.int32)
        self.center = np.full(n_points, -1, dtype=np.int64)
        self.score = np.full(n_points, np.inf)
        self.projected = np.full(n_points, np.inf)
        self.separation = np.full(n_points, np.nan)

    def add(self, point, center, score, projected, separation):
        self.count += np.bincount(point, minlength=self.count.size).astype(np.int32)
        old = (self.score[point], self.projected[point], self.center[point])
        better = (self.center[point] < 0) | _before((score, projected, center), old)
        # In crowded fields few pairs are left to sort.
        point, center, score, projected, separation = (
            values[better] for values in (point, center, score, projected, separation)
        )
        order = np.lexsort((center, projected, score, point))
        order = order[np.r_[True, np.diff(point[order]) != 0][: order.size]]
        point = point[order]
        self.center[point] = center[order]
        self.score[point] = score[order]
        self.projected[point] = projected[order]
        self.separation[point] = separation[order]


def _before(new, old):
    """Compare lists of keys as tuples are compared, element by element."""
    before = np.zeros(new[0].shape, dtype=bool)
    equal = np.ones(new[0].shape, dtype=bool)
    for mine, theirs in zip(new, old, strict=True):
        before |= equal & (mine < theirs)
        equal &= mine == theirs
    return before


def _candidate_positions(candidates):
    """Return all positions, and the rows that have one; report the others."""
    ra, dec = get_degrees(candidates, name="candidates")
    rows = np.flatnonzero(np.isfinite(ra))
    if rows.size < ra.size:
        warnings.warn(
            f"{ra.size - rows.size} of {ra.size} candidates have no position and match no host",
            ShredfinderWarning,
            stacklevel=3,
        )
    return ra, dec, rows


def _usable_hosts(ra, dec, distance, min_distance):
    """Tell which hosts can be matched, and report the others."""
    limit = to_value(min_distance, "min_distance", u.Mpc)
    if not limit > 0:
        raise ValueError(f"min_distance must be positive: got {min_distance}")
    placed = np.isfinite(ra)
    # NaN stands for redshifts that are zero or negative too.
    measured = np.isfinite(distance) & (distance > 0)
    far = measured & (distance >= limit * 1000.0)
    usable = placed & far
    if not usable.all():
        warnings.warn(
            f"{np.count_nonzero(~usable)} of {usable.size} hosts are left out: "
            f"{np.count_nonzero(~placed)} without a position, "
            f"{np.count_nonzero(placed & ~measured)} without a finite and positive distance or "
            f"redshift, {np.count_nonzero(placed & measured & ~far)} nearer than {limit:g} Mpc "
            "(give them a distance, or lower min_distance, to keep them)",
            ShredfinderWarning,
            stacklevel=3,
        )
    return usable


def _angular_reach(radius, distance, usable):
    """Return the radius of each usable host in radians."""
    length = to_floats(radius, "radius", u.kpc)
    if length.ndim > 1 or (length.ndim == 1 and length.shape != distance.shape):
        raise ValueError(
            f"radius must be one value, or one for each of {distance.size} hosts: "
            f"got shape {length.shape}"
        )
    length = np.broadcast_to(length, distance.shape)[usable]
    if not np.all((length > 0) & np.isfinite(length)):
        raise ValueError(f"radius must be positive and finite: got {radius}")
    return length / distance[usable]


def _ellipses(hosts, usable):
    """Return the usable hosts' ellipses, NaN where there is none."""
    semi_major, axis_ratio, angle = usable_ellipses(hosts)
    return semi_major[usable], axis_ratio[usable], angle[usable]
