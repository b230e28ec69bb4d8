"""Where the sources are, from whatever users hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord
    from astropy.table import Table

__all__ = ["sky_order", "to_positions"]

# Height in degrees of the bands that the sky is walked through in: far more than an image.
_BAND = 0.5


def to_positions(coords):
    """Take positions from coordinates or a table.

    Parameters
    ----------
    coords : `~astropy.coordinates.SkyCoord` or `~astropy.table.Table`
        Positions; of a table, those that `~shredfinder.table.get_positions` finds.

    Returns
    -------
    ra, dec : `~numpy.ndarray`
        ICRS positions in degrees, of shape ``(n,)``; NaN where there is none.

    Raises
    ------
    ValueError
        If there are no such columns, or the coordinates are not one-dimensional.
    """
    from astropy.coordinates import SkyCoord
    from astropy.table import Table

    if isinstance(coords, Table):
        # Tables are taken as they are for scoring.
        from shredfinder._utils.positions import get_positions

        return to_positions(get_positions(coords))
    if not isinstance(coords, SkyCoord):
        raise ValueError(
            "give the positions as a SkyCoord or as a table with the columns ra and dec, "
            f"not as {type(coords).__name__}"
        )
    icrs = coords.icrs
    if icrs.ndim > 1:
        raise ValueError(f"the coordinates must be one-dimensional, not of shape {icrs.shape}")
    return _clean(icrs.ra.deg, icrs.dec.deg)


def sky_order(coords: SkyCoord | Table) -> np.ndarray:
    """Order positions so that neighbours on the sky follow one another.

    In a catalogue in random order, neighbours are rarely in the same chunk of a `CutoutStream`,
    and so can't share an image.

    Parameters
    ----------
    coords : `~astropy.coordinates.SkyCoord` or `~astropy.table.Table`
        Positions, as for `fetch_cutouts`.

    Returns
    -------
    order : `~numpy.ndarray` of int
        Indices that sort the positions by bands of declination, and by right ascension within
        each; rows without a position are last.

    Examples
    --------
    >>> from astropy.coordinates import SkyCoord
    >>> from shredfinder.cutouts import sky_order
    >>> sky_order(SkyCoord([150.0, 10.0, 150.01], [2.0, 2.0, 2.01], unit="deg")).tolist()
    [1, 0, 2]
    """
    ra, dec = to_positions(coords)
    return np.lexsort((ra, np.floor(dec / _BAND)))


def _clean(ra, dec):
    # A masked coordinate (astropy's Masked, or numpy's) is none.
    ra, dec = (
        np.atleast_1d(
            np.where(getattr(x, "mask", False), np.nan, getattr(x, "unmasked", np.ma.getdata(x)))
        ).astype(float)
        for x in (ra, dec)
    )
    with np.errstate(invalid="ignore"):
        bad = ~(np.isfinite(ra) & np.isfinite(dec) & (np.abs(dec) <= 90))
    ra[bad] = dec[bad] = np.nan
    return ra, dec
