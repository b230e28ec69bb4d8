"""Where a table's sources stand on the sky."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u
from astropy.coordinates import Angle, SkyCoord

from shredfinder._utils.columns import get_mask, get_plain_values, is_scalar_column

if TYPE_CHECKING:
    from astropy.table import Table

__all__ = ["find_position", "get_positions"]

# Names of right ascension and declination in common catalogues, in lower case. A table's own
# ra and dec go before UCDs and coordinate columns, the other names come after them.
_FIRST_NAMES = (("ra", "dec"),)
_OTHER_NAMES = (
    ("ra", "de"),
    ("raj2000", "dej2000"),
    ("raj2000", "decj2000"),
    ("_raj2000", "_dej2000"),
    ("ra_j2000", "dec_j2000"),
    ("ra_icrs", "de_icrs"),
    ("ra_icrs", "dec_icrs"),
    ("_ra_icrs", "_de_icrs"),
    ("_ra.icrs", "_de.icrs"),
    ("_ra", "_de"),
    ("_ra", "_dec"),
    ("ra_deg", "dec_deg"),
    ("radeg", "decdeg"),
    ("radeg", "dedeg"),
    ("ra2000", "dec2000"),
    ("ramean", "decmean"),
    ("rastack", "decstack"),
    ("alpha_j2000", "delta_j2000"),
    ("alphawin_j2000", "deltawin_j2000"),
    ("right_ascension", "declination"),
    ("s_ra", "s_dec"),
)
# UCDs of the main position, and of one that is not said to be: in UCD1+ and in the older UCD1.
_MAIN_UCDS = (
    ("pos.eq.ra;meta.main", "pos_eq_ra_main"),
    ("pos.eq.dec;meta.main", "pos_eq_dec_main"),
)
_PLAIN_UCDS = (("pos.eq.ra", "pos_eq_ra"), ("pos.eq.dec", "pos_eq_dec"))
_HINT = (
    "name them with position=('RA column', 'Dec column') (--position on the command line), or give "
    "a SkyCoord"
)


def get_positions(
    table: Table, position: str | tuple[str, str] | SkyCoord | None = None
) -> SkyCoord:
    """Get the positions of a table's sources.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table, of ``n`` rows.
    position : str, tuple of str or `~astropy.coordinates.SkyCoord`, optional
        The name of a coordinate column, the names of the columns of right ascension and
        declination, or the coordinates themselves, of shape ``(n,)``. By default the position
        is looked for, in this order: columns ``ra`` and ``dec`` in any case; columns with the
        UCDs ``pos.eq.ra;meta.main`` and ``pos.eq.dec;meta.main``; a coordinate column; other
        common names, such as ``RAJ2000`` and ``DEJ2000``; the UCDs without ``meta.main``.

    Returns
    -------
    coords : `~astropy.coordinates.SkyCoord`
        ICRS coordinates, of shape ``(n,)``; NaN where a row's values are masked, not finite,
        or not on the sky. Numbers without a unit are degrees; text is sexagesimal, right
        ascension in hours, or decimal degrees.

    Raises
    ------
    ValueError
        If no position is found, more than one is, or a column's values or unit are no angles.

    Notes
    -----
    J2000 coordinates are taken as ICRS; the two differ by 0.02 arcsec.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from shredfinder.table import get_positions
    >>> table = Table({"RA": [150.1, 400.0], "DEC": [2.2, 2.2]})
    >>> get_positions(table).ra.deg
    array([150.1,   nan])
    """
    if position is None:
        position = find_position(table)
    if isinstance(position, str):
        position = _get_column(table, position)
        if not isinstance(position, SkyCoord):
            raise ValueError(
                f"position names one column, of type {type(position).__name__}, which is no "
                f"SkyCoord: {_HINT}"
            )
    if isinstance(position, SkyCoord):
        return _clean_coords(position, len(table))
    try:
        ra_name, dec_name = position
    except (TypeError, ValueError):
        raise ValueError(
            f"position must be a column's name, two names or a SkyCoord, not {position!r}: {_HINT}"
        ) from None
    ra = _to_degrees(_get_column(table, ra_name), ra_name, is_ra=True)
    dec = _to_degrees(_get_column(table, dec_name), dec_name, is_ra=False)
    with np.errstate(invalid="ignore"):
        on_sky = (ra >= -180) & (ra <= 360) & (np.abs(dec) <= 90)
    return SkyCoord(np.where(on_sky, ra, np.nan), np.where(on_sky, dec, np.nan), unit=u.deg)


def find_position(table: Table) -> str | tuple[str, str]:
    """Find the columns that hold the positions of a table's sources.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table.

    Returns
    -------
    position : tuple of str or str
        The names of the columns of right ascension and declination, or that of a coordinate
        column, in the order of preference of `get_positions`.

    Raises
    ------
    ValueError
        If no position is found, or more than one is.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from shredfinder.table import find_position
    >>> find_position(Table({"RAJ2000": [150.1], "DEJ2000": [2.2], "mag": [18.0]}))
    ('RAJ2000', 'DEJ2000')
    """
    coordinates = [name for name in table.colnames if isinstance(table[name], SkyCoord)]
    steps = (
        _find_pairs(table, _FIRST_NAMES),
        _find_ucds(table, _MAIN_UCDS),
        coordinates,
        _find_pairs(table, _OTHER_NAMES),
        _find_ucds(table, _PLAIN_UCDS),
    )
    for found in steps:
        if len(found) > 1:
            raise ValueError(
                f"the table has more than one position: {', '.join(map(str, found))}; {_HINT}"
            )
        if found:
            return found[0]
    raise ValueError(
        f"no position was found among the columns {', '.join(table.colnames) or '(none)'}: {_HINT}"
    )


def _find_pairs(table, pairs):
    by_lower = {}
    for name in table.colnames:
        by_lower.setdefault(name.lower(), []).append(name)
    return [
        (ra, dec)
        for ra_key, dec_key in pairs
        for ra in by_lower.get(ra_key, ())
        for dec in by_lower.get(dec_key, ())
        # RA goes with DEC and ra with dec, where a table has both.
        if len(by_lower[ra_key]) == 1 or ra.isupper() == dec.isupper()
    ]


def _find_ucds(table, ucds):
    def find(wanted):
        return [
            name
            for name in table.colnames
            if str((table[name].info.meta or {}).get("ucd", "")).lower() in wanted
        ]

    ras, decs = (find(wanted) for wanted in ucds)
    return [(ra, dec) for ra in ras for dec in decs]


def _get_column(table, name):
    if name not in table.colnames:
        raise ValueError(
            f"position names the column {name!r}, which the table does not have; its columns are "
            f"{', '.join(table.colnames) or 'none'}"
        )
    return table[name]


def _clean_coords(coords, n_rows):
    if coords.shape != (n_rows,):
        raise ValueError(
            f"position holds coordinates of shape {coords.shape}, but the table has {n_rows} "
            "rows: give one for each"
        )
    try:
        coords = coords.icrs
    except Exception as error:  # what a frame lacks is said by many kinds of error
        raise ValueError(f"position can't be transformed to ICRS: {error}") from error
    mask = np.broadcast_to(getattr(coords, "mask", False), coords.shape)
    ra, dec = (
        np.asarray(getattr(a, "unmasked", a).to_value(u.deg)) for a in (coords.ra, coords.dec)
    )
    good = ~mask & np.isfinite(ra) & np.isfinite(dec)
    return SkyCoord(np.where(good, ra, np.nan), np.where(good, dec, np.nan), unit=u.deg)


def _to_degrees(column, name, *, is_ra):
    if not is_scalar_column(column):
        raise ValueError(
            f"the position column {name!r} holds {type(column).__name__} values of shape "
            f"{column.shape[1:]}: it must hold one angle a row"
        )
    values, mask = get_plain_values(column), get_mask(column)
    if values.dtype.kind in "SUO":
        parse = _parse_ra if is_ra else _parse_dec
        degrees = np.array([_parse_or_nan(parse, value) for value in values], dtype=float)
    elif values.dtype.kind in "iuf":
        factor = _get_factor(getattr(column, "unit", None), name, is_ra)
        # Filled first, so that no garbage below a mask raises a warning.
        # A signalling NaN, which a file may hold, is a NaN like others.
        with np.errstate(invalid="ignore"):
            degrees = np.where(mask, np.nan, values).astype(float) * factor
    else:
        raise ValueError(f"the position column {name!r} holds {values.dtype}, which is no angle")
    return np.where(mask, np.nan, degrees)


def _get_factor(unit, name, is_ra):
    if unit is None or unit == u.dimensionless_unscaled:
        return 1.0
    # Right ascension is often given in hours of time.
    if is_ra and unit == u.hour:
        unit = u.hourangle
    try:
        return unit.to(u.deg)
    except (u.UnitsError, TypeError, AttributeError, ValueError):
        raise ValueError(
            f"the position column {name!r} has the unit {str(unit)!r}, which is no angle: set the "
            f"column's unit, or choose others: {_HINT}"
        ) from None


def _parse_or_nan(parse, value):
    # Text from a catalogue can be anything; a bad value costs its own row only.
    try:
        if isinstance(value, bytes):
            value = value.decode()
        return parse(value)
    except Exception:
        return np.nan


def _parse_ra(value):
    return _parse_angle(value, u.hourangle)


def _parse_dec(value):
    return _parse_angle(value, u.deg)


def _parse_angle(value, sexagesimal_unit):
    try:
        return float(value)
    except ValueError:
        return Angle(value, unit=sexagesimal_unit).to_value(u.deg)
