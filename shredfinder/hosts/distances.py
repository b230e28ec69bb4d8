"""Distances of hosts from their redshifts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from astropy import constants
from astropy import units as u
from astropy.cosmology import default_cosmology

from shredfinder._utils.columns import find_column
from shredfinder._utils.units import to_floats

if TYPE_CHECKING:
    from astropy.cosmology import FLRW
    from astropy.table import Table
    from astropy.units import Quantity

__all__ = ["DistanceKind", "host_distances"]

#: How a distance follows from a redshift.
DistanceKind: TypeAlias = Literal["angular-diameter", "hubble"]

# Number of redshifts in the interpolation grid, which grows beyond z = 1.
_GRID = 4096


def host_distances(
    hosts: Table, *, cosmology: FLRW | None = None, distance: DistanceKind = "angular-diameter"
) -> Quantity:
    """Compute the distances of hosts, by default angular-diameter distances.

    Parameters
    ----------
    hosts : `~astropy.table.Table`
        Hosts with a column ``distance`` (Mpc, or its own unit), ``zdist`` or ``z``. A finite
        ``distance`` is used as it is. Elsewhere the distance is computed from ``zdist``, a
        redshift corrected for peculiar motion, or without such a column from ``z``.
    cosmology : `~astropy.cosmology.FLRW`, optional
        The cosmology; by default astropy's default cosmology.
    distance : {"angular-diameter", "hubble"}, optional
        The distance to compute from a redshift: the angular-diameter distance, which converts
        angles to lengths, or c z / H0 (Hubble's law), as the NASA-Sloan Atlas defines its
        ``zdist``. See Notes.

    Returns
    -------
    distance : `~astropy.units.Quantity` of shape (n_hosts,)
        Distances in Mpc. NaN where the redshift is zero, negative, masked or not finite.

    Raises
    ------
    KeyError
        If the table has none of the columns.
    TypeError
        If the cosmology has no angular-diameter distance.
    ValueError
        If ``distance`` is unknown.

    Notes
    -----
    The NASA-Sloan Atlas's ZDIST is a distance written as a redshift: it becomes Mpc by the factor
    c / H0. This Hubble-law distance exceeds the angular-diameter distance by about 1.2 z: 1 % at
    z = 0.01, 6 % at z = 0.05 and 13 % at z = 0.1. A projected radius of 100 kpc is smaller on the
    sky by the same factor.

    More than 4096 redshifts are interpolated, linearly in d(z)/z, with a relative error below
    1e-7: with massive neutrinos each exact distance takes a numerical integral.

    Examples
    --------
    >>> from astropy.cosmology import FlatLambdaCDM
    >>> from astropy.table import Table
    >>> from shredfinder.hosts import host_distances
    >>> hosts = Table({"zdist": [0.01, -0.001]})
    >>> host_distances(hosts, cosmology=FlatLambdaCDM(70, 0.3)).round(2)
    <Quantity [42.31,   nan] Mpc>
    """
    if distance not in ("angular-diameter", "hubble"):
        raise ValueError(f"distance must be 'angular-diameter' or 'hubble': got {distance!r}")
    cosmology = cosmology or default_cosmology.get()
    if not hasattr(cosmology, "angular_diameter_distance"):
        raise TypeError(
            f"cosmology must be an astropy.cosmology object: got {type(cosmology).__name__}"
        )
    known = find_column(hosts, "distance", required=False)
    redshift = find_column(hosts, "zdist", required=False) or find_column(
        hosts, "z", required=False
    )
    if known is None and redshift is None:
        raise KeyError(
            "hosts must have a column zdist, z or distance: their columns are "
            f"{', '.join(hosts.colnames) or '(none)'}"
        )
    mpc = np.full(len(hosts), np.nan)
    if redshift is not None:
        mpc = _from_redshifts(to_floats(hosts[redshift], redshift), cosmology, distance)
    if known is not None:
        given = to_floats(hosts[known], known, u.Mpc)
        # A measured distance takes precedence, source by source.
        mpc = np.where(np.isfinite(given), given, mpc)
    return mpc * u.Mpc


def _from_redshifts(redshift: np.ndarray, cosmology: FLRW, kind: DistanceKind) -> np.ndarray:
    distance = np.full(redshift.shape, np.nan)
    usable = np.isfinite(redshift) & (redshift > 0)
    z = redshift[usable]
    if not z.size:
        return distance
    if kind == "hubble":
        distance[usable] = z * (constants.c / cosmology.H0).to_value(u.Mpc)
        return distance

    def exact(values: np.ndarray) -> np.ndarray:
        return cosmology.angular_diameter_distance(values).to_value(u.Mpc)

    if z.size <= _GRID:
        distance[usable] = exact(z)
    else:
        # d(z)/z varies much more slowly with z than d(z).
        # Steps of constant width up to z = 16, so that the error does not grow with the range.
        steps = int(_GRID * np.clip(z.max(), 1.0, 16.0))
        grid = np.linspace(z.min(), z.max(), steps)
        distance[usable] = z * np.interp(z, grid, exact(grid) / grid)
    return distance
