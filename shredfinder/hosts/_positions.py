"""Positions on the sky as plain arrays."""

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord

from shredfinder._utils.units import to_floats
from shredfinder.surveys import find_column

__all__ = ["on_sky", "sky_positions", "unit_vectors"]


def sky_positions(source, name):
    """Return the positions of a catalogue in degrees.

    Parameters
    ----------
    source : `~astropy.coordinates.SkyCoord`, `~astropy.table.Table` or structured array
        Coordinates in any frame, or a table with columns ``ra`` and ``dec``, in degrees unless
        they carry another unit.
    name : str
        The argument's name, for error messages.

    Returns
    -------
    ra, dec : `~numpy.ndarray` of shape (n,)
        ICRS coordinates in degrees; NaN where they are masked.

    Raises
    ------
    TypeError
        If there are no positions in ``source``.
    KeyError
        If the table lacks a column.
    ValueError
        If the coordinates have more than one dimension.
    """
    if isinstance(source, SkyCoord):
        sky = source.icrs
        ra, dec = to_floats(sky.ra, "ra", u.deg), to_floats(sky.dec, "dec", u.deg)
    elif hasattr(source, "colnames") or getattr(getattr(source, "dtype", None), "names", None):
        ra, dec = (
            to_floats(source[find_column(source, column)], column, u.deg)
            for column in ("ra", "dec")
        )
    else:
        raise TypeError(
            f"{name} must be a SkyCoord, or a table with columns ra and dec: "
            f"got {type(source).__name__}"
        )
    ra, dec = np.atleast_1d(ra), np.atleast_1d(dec)
    if ra.ndim != 1:
        raise ValueError(f"{name} must be a list of positions: got shape {ra.shape}; flatten it")
    return ra, dec


def on_sky(ra, dec):
    """Tell which positions are finite and on the sky, in degrees."""
    return np.isfinite(ra) & np.isfinite(dec) & (np.abs(dec) <= 90.0)


def unit_vectors(ra, dec):
    """Return unit vectors of shape (n, 3) from degrees."""
    lon, lat = np.radians(ra), np.radians(dec)
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)
