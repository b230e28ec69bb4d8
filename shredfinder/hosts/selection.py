"""Hosts around a position, and tables of candidates joined to their hosts."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Column, MaskedColumn

from shredfinder._utils.columns import as_table, find_column
from shredfinder._utils.positions import get_degrees, get_positions
from shredfinder._utils.units import to_value
from shredfinder.exceptions import ShredfinderWarning
from shredfinder.hosts.distances import DistanceKind, host_distances
from shredfinder.hosts.ellipse import is_large_galaxy_entry
from shredfinder.hosts.matching import match_hosts

if TYPE_CHECKING:
    from astropy.cosmology import FLRW
    from astropy.table import Table
    from astropy.units import Quantity

__all__ = ["find_host", "join_hosts", "select_hosts"]

# Columns that `join_hosts` adds, and their UCDs.
_UCDS = {
    "host_id": "meta.id.parent",
    "separation": "pos.angDistance",
    "projected_separation": "pos.distance",
    "n_hosts": "meta.number",
    "host_entry": "meta.code",
}


def find_host(
    hosts: Table, center: SkyCoord, *, within: float | Quantity = 30 * u.arcsec
) -> int | None:
    """Find the host at a position.

    Parameters
    ----------
    hosts : `~astropy.table.Table`
        Hosts, as for `match_hosts`.
    center : `~astropy.coordinates.SkyCoord`
        A single position, such as that of a resolved name.
    within : `~astropy.units.Quantity` or float, optional
        Largest separation; a plain number is in arcsec. The centres of large, irregular galaxies
        differ by several arcsec between catalogues.

    Returns
    -------
    index : int or None
        Row of the nearest host; None if there is none within that angle.

    Examples
    --------
    >>> from astropy.coordinates import SkyCoord
    >>> from astropy.table import Table
    >>> from shredfinder.hosts import find_host
    >>> hosts = Table({"host_id": [7, 9], "ra": [143.0421, 150.0], "dec": [21.5008, 2.0],
    ...                "zdist": [0.0019, 0.02]})
    >>> find_host(hosts, SkyCoord(143.0425, 21.5, unit="deg"))
    0
    >>> find_host(hosts, SkyCoord(10, 10, unit="deg")) is None
    True
    """
    angle = _angles(hosts, center)
    if not np.isfinite(angle).any():  # nanargmin raises an error for all NaN
        return None
    index = int(np.nanargmin(angle))
    return index if angle[index] * 3600 <= to_value(within, "within", u.arcsec) else None


def select_hosts(
    hosts: Table,
    center: SkyCoord,
    radius: float | Quantity,
    *,
    host_radius: float | Quantity = 100 * u.kpc,
    cosmology: FLRW | None = None,
    min_distance: float | Quantity = 1 * u.Mpc,
    distance: DistanceKind = "angular-diameter",
) -> Table:
    """Select the hosts that can have candidates in a circle on the sky.

    Parameters
    ----------
    hosts : `~astropy.table.Table`
        Hosts, as for `match_hosts`.
    center : `~astropy.coordinates.SkyCoord`
        Centre of the circle.
    radius : `~astropy.units.Quantity` or float
        Its radius; a plain number is in degrees.
    host_radius, cosmology, min_distance, distance
        The projected radius around each host, the cosmology, the smallest distance of a host and
        the kind of distance, as for `match_hosts`.

    Returns
    -------
    selected : `~astropy.table.Table`
        Rows of ``hosts`` that `match_hosts` can use and whose projected radius overlaps the
        circle.

    Warns
    -----
    ShredfinderWarning
        If hosts inside the circle have no usable distance.

    Examples
    --------
    >>> import astropy.units as u
    >>> from astropy.coordinates import SkyCoord
    >>> from astropy.table import Table
    >>> from shredfinder.hosts import select_hosts
    >>> hosts = Table({"host_id": ["in", "near", "far"], "ra": [150.0, 150.7, 151.0],
    ...                "dec": [2.0, 2.0, 2.0], "distance": [80.0, 9.0, 80.0] * u.Mpc})
    >>> circle = SkyCoord(150.0, 2.0, unit="deg"), 0.2 * u.deg
    >>> select_hosts(hosts, *circle)["host_id"].tolist()
    ['in', 'near']
    """
    angle = _angles(hosts, center)
    kpc = host_distances(hosts, cosmology=cosmology, distance=distance).to_value(u.kpc)
    limit = to_value(min_distance, "min_distance", u.Mpc) * 1000.0
    size = to_value(radius, "radius", u.deg)
    with np.errstate(invalid="ignore", divide="ignore"):
        usable = np.isfinite(kpc) & (kpc > 0) & (kpc >= limit)
        # Small angles: length over distance, in radians.
        reach = np.degrees(to_value(host_radius, "host_radius", u.kpc) / kpc)
        # Only hosts that would have been selected are worth a warning.
        lost = ~usable & (angle <= size)
        touching = usable & (angle <= size + reach)
    if lost.any():
        warnings.warn(
            f"{np.count_nonzero(lost)} hosts in the region are ignored: their distance or redshift "
            f"is not finite and positive, or they are nearer than {limit / 1000:g} Mpc",
            ShredfinderWarning,
            stacklevel=2,
        )
    return hosts[touching]


def join_hosts(
    candidates: Table,
    hosts: Table,
    radius: float | Quantity = 100 * u.kpc,
    *,
    entry_radius: float | Quantity = 3 * u.arcsec,
    cosmology: FLRW | None = None,
    min_distance: float | Quantity = 1 * u.Mpc,
    distance: DistanceKind = "angular-diameter",
    position: str | tuple[str, str] | SkyCoord | None = None,
) -> Table:
    """Select the candidates near hosts, and add the host's name and separation as columns.

    Parameters
    ----------
    candidates : `~astropy.table.Table`, `pandas.DataFrame` or structured array
        Candidates with their positions, and ``ref_cat`` where the survey has it.
    hosts, radius, cosmology, min_distance, distance
        As for `match_hosts`.
    entry_radius : `~astropy.units.Quantity` or float, optional
        A candidate within this separation of a host's position is the catalogue entry of the
        host itself; a plain number is in arcsec. Entries of the Legacy Surveys' large-galaxy
        atlas count as well (`is_large_galaxy_entry`).
    position
        The position columns of ``candidates``, as for `~shredfinder.table.get_positions`.

    Returns
    -------
    joined : `~astropy.table.Table`
        The rows within the radius of at least one host, of the class of ``candidates``, with
        ``host_id``, ``separation`` (arcsec), ``projected_separation`` (kpc), ``n_hosts`` and
        ``host_entry``, which is True for the entry of a host itself.

    Raises
    ------
    KeyError, ValueError, TypeError, astropy.units.UnitsError
        As for `match_hosts`; also if a column of the user's has the name of a new one.

    Examples
    --------
    >>> import astropy.units as u
    >>> from astropy.table import Table
    >>> from shredfinder.hosts import join_hosts
    >>> hosts = Table({"host_id": ["A"], "ra": [10.0], "dec": [0.0], "distance": [20.0] * u.Mpc})
    >>> candidates = Table({"ra": [10.0001, 10.02, 50.0], "dec": [0.0, 0.0, 0.0]})
    >>> joined = join_hosts(candidates, hosts)
    >>> joined["projected_separation"].format = ".2f"
    >>> joined["host_id", "projected_separation", "host_entry"].pprint(show_unit=False)
    host_id projected_separation host_entry
    ------- -------------------- ----------
          A                 0.03       True
          A                 6.98      False
    """
    candidates = as_table(candidates, "candidates")
    _check_columns(candidates)
    coords = get_positions(candidates, position)
    matches = match_hosts(
        coords, hosts, radius, cosmology=cosmology, min_distance=min_distance, distance=distance
    )
    # Indexing keeps the class of the table, such as ShredTable.
    joined = candidates[np.asarray(matches["index"])]
    # The host's own entry is the galaxy, not a candidate for a shred or a satellite.
    entry = np.asarray(matches["separation"]) <= to_value(entry_radius, "entry_radius", u.arcsec)
    ref_cat = find_column(joined, "ref_cat", required=False)
    if ref_cat is not None and len(joined):
        entry |= is_large_galaxy_entry(joined[ref_cat])
    separation, projected = (
        np.asarray(matches[name]) for name in ("separation", "projected_separation")
    )
    for name, values, unit, words in (
        ("host_id", matches["host_id"], None, "Nearest host"),
        ("separation", separation, u.arcsec, "Angle from the host"),
        ("projected_separation", projected, u.kpc, f"Separation at its {distance} distance"),
        ("n_hosts", np.asarray(matches["n_hosts"]), None, "Hosts within the radius"),
        ("host_entry", entry, None, "Whether it is the entry of a host itself"),
    ):
        meta = {"ucd": _UCDS[name]}
        kind = MaskedColumn if name == "host_id" and matches.has_masked_values else Column
        joined[name] = kind(values, unit=unit, description=words, meta=meta)
    return joined


def _check_columns(candidates: Table) -> None:
    """Raise ValueError if a column of the user's would be replaced."""
    # Formats such as CSV keep no UCDs. There, all the columns together are an earlier join's.
    if set(_UCDS) <= set(candidates.colnames):
        return
    for name, ucd in _UCDS.items():
        if name not in candidates.colnames:
            continue
        if (candidates[name].info.meta or {}).get("ucd") != ucd:
            raise ValueError(
                f"the candidates have a column {name!r}, which would be replaced by that of the "
                "hosts: rename or remove it"
            )


def _angles(hosts: Table, center: SkyCoord) -> np.ndarray:
    """Return the angles of hosts from a position in degrees, NaN for hosts without a position."""
    ra, dec = get_degrees(hosts, name="hosts")
    # Hosts without a position are skipped: SkyCoord would warn about each NaN.
    known = np.isfinite(ra)
    angle = np.full(ra.shape, np.nan)
    if known.any():
        angle[known] = SkyCoord(ra[known], dec[known], unit="deg").separation(center.icrs).deg
    return angle
