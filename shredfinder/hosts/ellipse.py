"""SAGA's rule for shreds: sources inside the light ellipse of a large galaxy."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
from astropy import constants
from astropy import units as u
from astropy.coordinates import SkyCoord

from shredfinder._utils.columns import find_column
from shredfinder._utils.positions import get_degrees
from shredfinder._utils.units import to_floats, to_strings, to_value, verdict
from shredfinder.exceptions import ShredfinderWarning
from shredfinder.hosts.sphere import iter_pairs, tangent_offsets, unit_vectors

if TYPE_CHECKING:
    from astropy.table import Table
    from astropy.units import Quantity
    from numpy.typing import ArrayLike

    from shredfinder._utils.validation import QuantityLike, ScalarOrArray

__all__ = ["in_host_ellipse", "is_large_galaxy_entry", "shreds_by_rule"]

SPEED_OF_LIGHT = constants.c.to_value(u.km / u.s)
_ARCSEC = np.radians(1.0 / 3600.0)


def in_host_ellipse(
    coords: SkyCoord,
    host_coords: SkyCoord,
    *,
    petro_th90: QuantityLike,
    petro_ba90: ArrayLike,
    petro_phi90: QuantityLike,
    scale: float = 2.0,
    redshift: ArrayLike | None = None,
    host_redshift: ArrayLike | None = None,
    max_velocity: float | Quantity = 300 * u.km / u.s,
) -> ScalarOrArray:
    """Return whether sources lie in a host's ellipse and may be at its redshift.

    Parameters
    ----------
    coords : `~astropy.coordinates.SkyCoord`
        Positions of the sources, of any shape.
    host_coords : `~astropy.coordinates.SkyCoord`
        Position of the host, or of one host per source.
    petro_th90 : float, array_like or `~astropy.units.Quantity`
        Radius that contains 90 % of the host's Petrosian light, in arcsec: the semi-major axis.
    petro_ba90 : float or array_like
        Axis ratio b/a at that radius.
    petro_phi90 : float, array_like or `~astropy.units.Quantity`
        Position angle of the major axis at that radius, in degrees east of north.
    scale : float, optional
        Semi-major axis of the ellipse in units of ``petro_th90``.
    redshift, host_redshift : float or array_like, optional
        Redshifts of sources and hosts. Sources without one may be at the host's redshift.
    max_velocity : `~astropy.units.Quantity` or float, optional
        Largest velocity difference, ``c |z - z_host|``, at which two redshifts count as equal; a
        plain number is in km/s.

    Returns
    -------
    inside : bool or `~numpy.ndarray` of bool
        True where the source lies in the ellipse and its redshift equals the host's or is
        unknown. False where the host has no usable ellipse or a position is not finite.

    Raises
    ------
    TypeError, astropy.units.UnitsError
        If an argument is of the wrong type or unit.

    Notes
    -----
    This is the rule of SAGA's public code: the ellipse of 2 x PETRO_TH90, PETRO_BA90 and
    PETRO_PHI90 of the NASA-Sloan Atlas. Sources with a redshift are removed if it differs by less
    than 300 km/s for hosts brighter than r = 14 (250, 200 and 150 km/s for fainter ones). SAGA
    exempts the host's own entry (`shreds_by_rule`), and sources brighter than the host.

    Examples
    --------
    >>> import astropy.units as u
    >>> from astropy.coordinates import SkyCoord
    >>> from shredfinder.hosts import in_host_ellipse
    >>> host = SkyCoord(150.0, 2.0, unit="deg")
    >>> along, across = host.directional_offset_by([0, 90] * u.deg, 90 * u.arcsec)
    >>> shape = {"petro_th90": 60.0, "petro_ba90": 0.5, "petro_phi90": 0.0}
    >>> in_host_ellipse(along, host, **shape), in_host_ellipse(across, host, **shape)
    (True, False)
    """
    ellipse = (
        to_floats(petro_th90, "petro_th90", u.arcsec),
        to_floats(petro_ba90, "petro_ba90"),
        to_floats(petro_phi90, "petro_phi90", u.deg),
    )
    vectors = [_vectors(c, name) for c, name in ((coords, "coords"), (host_coords, "host_coords"))]
    # Hosts without a usable ellipse have NaN radii, which are never within the limit.
    radii = elliptical_radii(vectors[1], vectors[0], *clean_ellipses(*ellipse))
    with np.errstate(invalid="ignore"):
        inside = radii <= to_value(scale, "scale", u.dimensionless_unscaled)
    if redshift is not None and host_redshift is not None:
        inside = inside & _same_redshift(
            to_floats(redshift, "redshift"),
            to_floats(host_redshift, "host_redshift"),
            to_value(max_velocity, "max_velocity", u.km / u.s),
        )
    elif redshift is not None:
        raise TypeError("redshift needs host_redshift to be compared with: pass both")
    return verdict(inside)


def shreds_by_rule(
    candidates: SkyCoord | Table,
    hosts: Table,
    *,
    scale: float = 2.0,
    redshift: ArrayLike | None = None,
    max_velocity: float | Quantity = 300 * u.km / u.s,
    keep_nearest: bool = True,
) -> np.ndarray:
    """Select the candidates inside the ellipse of any host, which SAGA's rule removes as shreds.

    Use it as a baseline for ``p_cnn``.

    Parameters
    ----------
    candidates : `~astropy.coordinates.SkyCoord` or `~astropy.table.Table`
        Positions of the candidates, in any form that `~shredfinder.table.get_positions` reads.
    hosts : `~astropy.table.Table`
        Hosts from `read_nsa`, with positions, ``petro_th90``, ``petro_ba90`` and
        ``petro_phi90``, and with ``z`` if ``redshift`` is given.
    scale, max_velocity
        As for `in_host_ellipse`.
    redshift : array_like of shape (n_candidates,), optional
        Redshifts of the candidates; NaN or masked where unknown.
    keep_nearest : bool, optional
        Whether to exempt, for each host, the candidate nearest to its centre in units of the
        ellipse, which is probably the catalogue entry of the host itself. Use False if the
        catalogue does not contain the hosts.

    Returns
    -------
    shred : `~numpy.ndarray` of bool, of shape (n_candidates,)
        True where the rule classifies the candidate as a shred.

    Raises
    ------
    KeyError
        If a table lacks a column.
    ValueError
        If no positions are found, or ``redshift`` has another length than ``candidates``.
    TypeError, astropy.units.UnitsError
        If an argument is of the wrong type or unit.

    Warns
    -----
    ShredfinderWarning
        If hosts are ignored, because they have no position or no usable ellipse.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from shredfinder.hosts import shreds_by_rule
    >>> hosts = Table({"ra": [150.0], "dec": [2.0], "petro_th90": [60.0], "petro_ba90": [0.5],
    ...                "petro_phi90": [0.0]})
    >>> candidates = Table({"ra": [150.0, 150.0, 150.03], "dec": [2.0, 2.025, 2.0]})
    >>> shreds_by_rule(candidates, hosts)
    array([False,  True, False])
    """
    ra, dec = get_degrees(candidates, name="candidates")
    rows = np.flatnonzero(np.isfinite(ra))
    points = unit_vectors(ra[rows], dec[rows])
    host_ra, host_dec = get_degrees(hosts, name="hosts")
    ellipses = usable_ellipses(hosts)
    usable = np.isfinite(host_ra) & np.isfinite(ellipses[0])
    if not usable.all():
        warnings.warn(
            f"{np.count_nonzero(~usable)} of {usable.size} hosts are ignored: they have no "
            "position, or no ellipse (petro_th90 > 0, 0 < petro_ba90 <= 1, a finite petro_phi90)",
            ShredfinderWarning,
            stacklevel=2,
        )
    ellipses = [values[usable] for values in ellipses]
    centers = unit_vectors(host_ra[usable], host_dec[usable])
    limit = to_value(scale, "scale", u.dimensionless_unscaled)
    speeds = _speeds(redshift, hosts, ra.size, max_velocity)

    # The pairs arrive in batches: count the hosts of each point, and keep the nearest point of
    # each host, which is the host's own entry.
    count = np.zeros(len(points), dtype=np.int64)
    nearest = np.full(len(centers), -1, dtype=np.int64)
    best = np.full(len(centers), np.inf)
    # The circle around the ellipse: its radius is the semi-major axis.
    for point, center, _ in iter_pairs(points, centers, limit * ellipses[0] * _ARCSEC):
        radii = elliptical_radii(centers[center], points[point], *(e[center] for e in ellipses))
        inside = radii <= limit
        if speeds is not None:
            own, hosts_own, most = speeds
            inside &= _same_redshift(own[rows][point], hosts_own[usable][center], most)
        point, center, radii = point[inside], center[inside], radii[inside]
        # add.at, since `count[point] += 1` counts a point that occurs twice only once.
        np.add.at(count, point, 1)
        # The nearest point of each host in this batch, compared with that of earlier batches.
        order = np.lexsort((point, radii, center))
        # Sorted by host, then radius: the first row of each host is its nearest point.
        first = order[np.r_[True, center[order][1:] != center[order][:-1]]] if order.size else order
        better = radii[first] < best[center[first]]
        best[center[first][better]] = radii[first][better]
        nearest[center[first][better]] = point[first][better]
    if keep_nearest:
        # An entry inside the ellipse of a second host remains a shred of that one.
        np.subtract.at(count, nearest[nearest >= 0], 1)
    shred = np.zeros(ra.size, dtype=bool)
    shred[rows] = count > 0
    return shred


def is_large_galaxy_entry(ref_cat: ArrayLike) -> ScalarOrArray:
    """Return which rows of a Legacy Surveys catalogue are entries of its large-galaxy atlas.

    Such a row is a large galaxy that was fitted as one object: a host, never a shred.

    Parameters
    ----------
    ref_cat : str, array_like of str or bytes
        REF_CAT of the Legacy Surveys' catalogues.

    Returns
    -------
    large : bool or `~numpy.ndarray` of bool
        True where REF_CAT is "L3", the Siena Galaxy Atlas in DR9; False where it is masked.

    Raises
    ------
    TypeError
        If ``ref_cat`` does not hold text.

    Notes
    -----
    SAGA's public code uses REF_CAT in the same way. Blanks around the value are ignored.

    Examples
    --------
    >>> from shredfinder.hosts import is_large_galaxy_entry
    >>> is_large_galaxy_entry(["L3", "  ", "G2", "T2"])
    array([ True, False, False, False])
    """
    return verdict(to_strings(ref_cat, "ref_cat") == "L3")


def usable_ellipses(hosts):
    """Return the hosts' semi-major axes (arcsec), axis ratios and angles (rad); NaN if unusable."""
    names = ("petro_th90", "petro_ba90", "petro_phi90")
    units = (u.arcsec, u.dimensionless_unscaled, u.deg)
    found = [find_column(hosts, name, required=False) for name in names]
    missing = [name for name, column in zip(names, found, strict=True) if column is None]
    if missing:
        raise KeyError(
            f"the hosts have no column {', '.join(missing)}, but ellipses need {', '.join(names)}: "
            "add them in arcsec and degrees, as read_nsa does"
        )
    columns = [
        to_floats(hosts[column], name, unit)
        for column, name, unit in zip(found, names, units, strict=True)
    ]
    return clean_ellipses(*columns)


def elliptical_radii(centers, points, semi_major, axis_ratio, angle):
    """Compute distances from centres in units of their ellipses.

    Parameters
    ----------
    centers, points : `~numpy.ndarray` of shape (..., 3)
        Unit vectors.
    semi_major : `~numpy.ndarray`
        Semi-major axes in arcsec.
    axis_ratio : `~numpy.ndarray`
        Axis ratios b/a.
    angle : `~numpy.ndarray`
        Position angles of the major axes, in radians east of north.

    Returns
    -------
    radii : `~numpy.ndarray`
        1 on the ellipse, less inside it; NaN where the ellipse is NaN.
    """
    east, north = tangent_offsets(centers, points)
    # Components along the axes, the minor one stretched so that the ellipse becomes a circle.
    along = east * np.sin(angle) + north * np.cos(angle)
    across = east * np.cos(angle) - north * np.sin(angle)
    return np.hypot(along, across / axis_ratio) / semi_major


def clean_ellipses(semi_major, axis_ratio, degrees):
    """Return axes, ratios and angles (converted from degrees to rad); NaN where unusable."""
    with np.errstate(invalid="ignore"):
        good = (
            (semi_major > 0)
            & np.isfinite(semi_major)
            & (axis_ratio > 0)
            & (axis_ratio <= 1)
            & np.isfinite(degrees)
        )
    return tuple(
        np.where(good, values, np.nan) for values in (semi_major, axis_ratio, np.radians(degrees))
    )


def _vectors(coords, name):
    if not isinstance(coords, SkyCoord):
        raise TypeError(f"{name} must be a SkyCoord: got {type(coords).__name__}")
    sky = coords.icrs
    return unit_vectors(to_floats(sky.ra, name, u.deg), to_floats(sky.dec, name, u.deg))


def _same_redshift(redshift, host_redshift, max_velocity):
    # A comparison with NaN is False: an unknown redshift does not exclude the source.
    with np.errstate(invalid="ignore"):
        apart = np.abs(redshift - host_redshift) * SPEED_OF_LIGHT >= max_velocity
    return ~apart


def _speeds(redshift, hosts, n_candidates, max_velocity):
    if redshift is None:
        return None
    own = to_floats(redshift, "redshift")
    if own.shape != (n_candidates,):
        raise ValueError(
            f"redshift must have one value for each of {n_candidates} candidates: "
            f"got shape {own.shape}"
        )
    host_own = to_floats(hosts[find_column(hosts, "z")], "z")
    return own, host_own, to_value(max_velocity, "max_velocity", u.km / u.s)
