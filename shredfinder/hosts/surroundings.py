"""Hosts around a position, and candidates tied to them."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Column

from shredfinder._utils.columns import find_column
from shredfinder._utils.positions import get_degrees, get_positions
from shredfinder._utils.units import to_floats, to_value
from shredfinder.exceptions import ShredfinderWarning
from shredfinder.hosts.distances import host_distances
from shredfinder.hosts.ellipse import is_large_galaxy_entry
from shredfinder.hosts.matching import match_hosts

if TYPE_CHECKING:
    from astropy.cosmology import FLRW
    from astropy.table import Table
    from astropy.units import Quantity

__all__ = ["find_host", "hosts_in_reach", "tie_to_hosts"]


def find_host(
    hosts: Table, center: SkyCoord, *, within: float | Quantity = 30 * u.arcsec
) -> int | None:
    """Find the host at a position.

    Parameters
    ----------
    hosts : `~astropy.table.Table`
        Hosts as `match_hosts` takes them.
    center : `~astropy.coordinates.SkyCoord`
        One position, such as a resolved name's.
    within : `~astropy.units.Quantity` or float, optional
        How far away the host may be; a plain number is in arcsec. Catalogues put the centres of
        large, irregular galaxies some arcsec apart.

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
    if not np.isfinite(angle).any():
        return None
    index = int(np.nanargmin(angle))
    return index if angle[index] * 3600 <= to_value(within, "within", u.arcsec) else None


def hosts_in_reach(
    hosts: Table,
    center: SkyCoord,
    radius: float | Quantity,
    *,
    host_radius: float | Quantity = 100 * u.kpc,
    cosmology: FLRW | None = None,
    min_distance: float | Quantity = 1 * u.Mpc,
) -> Table:
    """Select the hosts that can have candidates in a circle on the sky.

    Parameters
    ----------
    hosts : `~astropy.table.Table`
        Hosts as `match_hosts` takes them.
    center : `~astropy.coordinates.SkyCoord`
        Centre of the circle.
    radius : `~astropy.units.Quantity` or float
        Its radius; a plain number is in degrees.
    host_radius, cosmology, min_distance
        As `match_hosts` takes them: the projected radius around a host, and the least distance of
        one.

    Returns
    -------
    selected : `~astropy.table.Table`
        Rows of ``hosts``: those that `match_hosts` can use and whose circle touches this one.

    Warns
    -----
    ShredfinderWarning
        If hosts inside the circle have no usable distance.

    Examples
    --------
    >>> import astropy.units as u
    >>> from astropy.coordinates import SkyCoord
    >>> from astropy.table import Table
    >>> from shredfinder.hosts import hosts_in_reach
    >>> hosts = Table({"host_id": ["in", "near", "far"], "ra": [150.0, 150.7, 151.0],
    ...                "dec": [2.0, 2.0, 2.0], "distance": [80.0, 9.0, 80.0] * u.Mpc})
    >>> circle = SkyCoord(150.0, 2.0, unit="deg"), 0.2 * u.deg
    >>> hosts_in_reach(hosts, *circle)["host_id"].tolist()
    ['in', 'near']
    """
    angle = _angles(hosts, center)
    distance = host_distances(hosts, cosmology=cosmology).to_value(u.kpc)
    limit = to_value(min_distance, "min_distance", u.Mpc) * 1000.0
    size = to_value(radius, "radius", u.deg)
    with np.errstate(invalid="ignore", divide="ignore"):
        usable = np.isfinite(distance) & (distance > 0) & (distance >= limit)
        reach = np.degrees(to_value(host_radius, "host_radius", u.kpc) / distance)
        lost = ~usable & (angle <= size)
        touching = usable & (angle <= size + reach)
    if lost.any():
        warnings.warn(
            f"{np.count_nonzero(lost)} hosts in the region are left out: they have no finite and "
            f"positive distance or redshift, or are nearer than {limit / 1000:g} Mpc",
            ShredfinderWarning,
            stacklevel=2,
        )
    return hosts[touching]


def tie_to_hosts(
    candidates: Table,
    hosts: Table,
    radius: float | Quantity = 100 * u.kpc,
    *,
    entry_radius: float | Quantity = 3 * u.arcsec,
    cosmology: FLRW | None = None,
    min_distance: float | Quantity = 1 * u.Mpc,
    position: str | tuple[str, str] | SkyCoord | None = None,
) -> Table:
    """Keep the candidates near hosts, with the hosts' names and separations as columns.

    Parameters
    ----------
    candidates : `~astropy.table.Table`
        Candidates with their positions, and ``ref_cat`` where the survey has it.
    hosts, radius, cosmology, min_distance
        As `match_hosts` takes them.
    entry_radius : `~astropy.units.Quantity` or float, optional
        A candidate this near to the position of a host is the catalogue's entry of the host
        itself; a plain number is in arcsec. So is an entry of Legacy's large-galaxy atlas
        (`is_large_galaxy_entry`).
    position
        Where the candidates are, as `~shredfinder.table.get_positions` takes it.

    Returns
    -------
    tied : `~astropy.table.Table`
        The rows within the radius of at least one host, of the class of ``candidates``, with
        ``host_id``, ``separation`` (arcsec), ``projected_separation`` (kpc), ``n_hosts`` and
        ``host_entry``, which is True for the entry of a host itself.

    Raises
    ------
    KeyError, ValueError, TypeError, astropy.units.UnitsError
        As `match_hosts`.

    Examples
    --------
    >>> import astropy.units as u
    >>> from astropy.table import Table
    >>> from shredfinder.hosts import tie_to_hosts
    >>> hosts = Table({"host_id": ["A"], "ra": [10.0], "dec": [0.0], "distance": [20.0] * u.Mpc})
    >>> candidates = Table({"ra": [10.0001, 10.02, 50.0], "dec": [0.0, 0.0, 0.0]})
    >>> tied = tie_to_hosts(candidates, hosts)
    >>> tied["projected_separation"].format = ".2f"
    >>> tied["host_id", "projected_separation", "host_entry"].pprint(show_unit=False)
    host_id projected_separation host_entry
    ------- -------------------- ----------
          A                 0.03       True
          A                 6.98      False
    """
    coords = get_positions(candidates, position)
    matches = match_hosts(coords, hosts, radius, cosmology=cosmology, min_distance=min_distance)
    tied = candidates[np.asarray(matches["index"])]
    entry = np.asarray(matches["separation"]) <= to_value(entry_radius, "entry_radius", u.arcsec)
    ref_cat = find_column(tied, "ref_cat", required=False)
    if ref_cat is not None and len(tied):
        entry |= is_large_galaxy_entry(tied[ref_cat])
    separation, projected = (
        np.asarray(matches[name]) for name in ("separation", "projected_separation")
    )
    for name, values, unit, ucd, words in (
        ("host_id", np.asarray(matches["host_id"]), None, "meta.id.parent", "Host in reach"),
        ("separation", separation, u.arcsec, "pos.angDistance", "Angle from the host"),
        ("projected_separation", projected, u.kpc, "pos.distance", "The same at its distance"),
        ("n_hosts", np.asarray(matches["n_hosts"]), None, "meta.number", "Hosts in reach"),
        ("host_entry", entry, None, "meta.code", "Whether it is the entry of a host itself"),
    ):
        tied[name] = Column(values, unit=unit, description=words, meta={"ucd": ucd})
    return tied


def _angles(hosts, center):
    """Angles of hosts from a position in degrees, NaN for hosts without a position."""
    ra, dec = get_degrees(hosts, name="hosts")
    good = np.isfinite(ra)
    angle = np.full(ra.shape, np.nan)
    sky = center.icrs
    if good.any():
        there = SkyCoord(to_floats(ra[good], "ra"), to_floats(dec[good], "dec"), unit="deg")
        angle[good] = there.separation(sky).deg
    return angle
