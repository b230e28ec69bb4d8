"""Sky positions of the sources of a catalogue: the only reader of positions in the package."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u
from astropy.table import Table

from shredfinder._utils.columns import as_table, get_mask, get_plain_values, is_scalar_column

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from astropy.coordinates import SkyCoord

__all__ = ["find_position", "get_degrees", "get_positions"]

# Names of right ascension and declination in common catalogues, in lower case. A table's own
# ra and dec take precedence over UCDs and coordinate columns; the other names follow those.
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
# UCDs of the main position and of any position, in UCD1+ and in the older UCD1.
_MAIN_UCDS = (
    ("pos.eq.ra;meta.main", "pos_eq_ra_main"),
    ("pos.eq.dec;meta.main", "pos_eq_dec_main"),
)
_PLAIN_UCDS = (("pos.eq.ra", "pos_eq_ra"), ("pos.eq.dec", "pos_eq_dec"))
# Common spellings of units of angles, in lower case
_SPELLINGS = {
    **dict.fromkeys(("deg", "degs", "degree", "degrees"), u.deg),
    **dict.fromkeys(("rad", "rads", "radian", "radians"), u.rad),
    **dict.fromkeys(("h", "hr", "hour", "hours", "hourangle"), u.hourangle),
}
_HINT = "name the columns with position=('RA column', 'Dec column'), or pass a SkyCoord"


def get_positions(
    catalog: SkyCoord | Table | pd.DataFrame | np.ndarray,
    position: str | tuple[str, str] | SkyCoord | None = None,
) -> SkyCoord:
    """Return the positions of the sources of a catalogue.

    Parameters
    ----------
    catalog : `~astropy.coordinates.SkyCoord`, `~astropy.table.Table`, DataFrame or array
        Coordinates in any frame, of shape ``(n,)``; or a table, a pandas DataFrame or a
        structured array of ``n`` rows.
    position : str, tuple of str or `~astropy.coordinates.SkyCoord`, optional
        The name of a coordinate column, the names of the columns of right ascension and
        declination, or the coordinates themselves, of shape ``(n,)``. By default the columns
        are searched for, in this order: ``ra`` and ``dec`` in any case; the UCDs
        ``pos.eq.ra;meta.main`` and ``pos.eq.dec;meta.main``; a coordinate column; other common
        names, such as ``RAJ2000`` and ``DEJ2000``; the UCDs without ``meta.main``.

    Returns
    -------
    coords : `~astropy.coordinates.SkyCoord`
        ICRS coordinates, of shape ``(n,)``. They are NaN where a value is masked, not finite or
        out of range (right ascension -180 to 360, declination -90 to 90 degrees). Numbers
        without a unit are degrees. Text is sexagesimal, with right ascension in hours, or
        decimal degrees.

    Raises
    ------
    TypeError
        If ``catalog`` is neither coordinates nor a table.
    ValueError
        If no position is found, more than one is, or the values or units are not angles.

    Notes
    -----
    J2000 coordinates are read as ICRS; the two differ by 0.02 arcsec.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from shredfinder.table import get_positions
    >>> table = Table({"RA": [150.1, 400.0], "DEC": [2.2, 2.2]})
    >>> get_positions(table).ra.deg
    array([150.1,   nan])
    """
    from astropy.coordinates import SkyCoord

    return SkyCoord(*get_degrees(catalog, position), unit=u.deg)


def get_degrees(
    catalog: SkyCoord | Table | pd.DataFrame | np.ndarray,
    position: str | tuple[str, str] | SkyCoord | None = None,
    *,
    name: str = "the table",
) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions of the sources of a catalogue as plain arrays.

    Parameters
    ----------
    catalog, position
        As for `get_positions`. Scalar coordinates are one position.
    name : str, optional
        What error messages call the catalogue.

    Returns
    -------
    ra, dec : `~numpy.ndarray` of shape (n,)
        ICRS coordinates in degrees; both NaN in a row without a position.

    Raises
    ------
    TypeError, ValueError
        As for `get_positions`.
    """
    # Imported here, since astropy.coordinates doubles the time that a table takes to import.
    from astropy.coordinates import SkyCoord

    if isinstance(catalog, SkyCoord):
        if position is not None:
            raise ValueError("position names columns of a table: omit it for a SkyCoord")
        if catalog.ndim > 1:
            raise ValueError(
                f"{name} must be one-dimensional: got coordinates of shape {catalog.shape}; "
                "flatten them"
            )
        return _from_coords(catalog.reshape(-1), name)
    table = catalog if isinstance(catalog, Table) else as_table(catalog, name)
    if position is None:
        position = _find_position(table, name)
    if isinstance(position, (str, SkyCoord)):
        coords = _get_coords(table, position) if isinstance(position, str) else position
        if coords.shape != (len(table),):
            raise ValueError(
                f"position holds coordinates of shape {coords.shape}, but the table has "
                f"{len(table)} rows: pass one position per row"
            )
        return _from_coords(coords, name)
    try:
        ra_name, dec_name = position
    except (TypeError, ValueError):
        raise ValueError(
            f"position must be a column name, two names or a SkyCoord, not {position!r}: {_HINT}"
        ) from None
    ra = _to_degrees(_get_column(table, ra_name), ra_name, is_ra=True)
    dec = _to_degrees(_get_column(table, dec_name), dec_name, is_ra=False)
    return _blank_invalid(ra, dec)


def find_position(table: Table | pd.DataFrame | np.ndarray) -> str | tuple[str, str]:
    """Find the columns that hold the positions of a table's sources.

    Parameters
    ----------
    table : `~astropy.table.Table`, DataFrame or structured array
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
    return _find_position(as_table(table, "the table"), "the table")


def _find_position(table: Table, name: str) -> str | tuple[str, str]:
    from astropy.coordinates import SkyCoord

    steps: tuple[Callable[[], list], ...] = (
        lambda: _find_pairs(table, _FIRST_NAMES),
        lambda: _find_ucds(table, _MAIN_UCDS),
        lambda: [column for column in table.colnames if isinstance(table[column], SkyCoord)],
        lambda: _find_pairs(table, _OTHER_NAMES),
        lambda: _find_ucds(table, _PLAIN_UCDS),
    )
    # In order of reliability; the first step that finds anything decides.
    for find in steps:
        found = find()
        if len(found) > 1:
            raise ValueError(
                f"more than one position was found in {name}: {', '.join(map(str, found))}; {_HINT}"
            )
        if found:
            return found[0]
    raise ValueError(
        f"no position was found in {name}, among the columns "
        f"{', '.join(table.colnames) or '(none)'}: {_HINT}"
    )


def _find_pairs(table: Table, pairs: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
    by_lower: dict[str, list[str]] = {}
    for name in table.colnames:
        by_lower.setdefault(name.lower(), []).append(name)
    return [
        (ra, dec)
        for ra_key, dec_key in pairs
        for ra in by_lower.get(ra_key, ())
        for dec in by_lower.get(dec_key, ())
        # In a table that has both, RA goes with DEC and ra with dec.
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
            f"position names the column {name!r}, which the table does not have: its columns are "
            f"{', '.join(table.colnames) or '(none)'}"
        )
    return table[name]


def _get_coords(table: Table, name: str) -> SkyCoord:
    from astropy.coordinates import SkyCoord

    column = _get_column(table, name)
    if not isinstance(column, SkyCoord):
        raise ValueError(
            f"position is the single column {name!r}, of type {type(column).__name__}, "
            f"not a SkyCoord: {_HINT}"
        )
    return column


def _from_coords(coords, name):
    try:
        coords = coords.icrs
    except Exception as error:  # frames that lack a parameter raise many kinds of error
        raise ValueError(
            f"the coordinates of {name} cannot be transformed to ICRS: {error}"
        ) from error
    mask = np.broadcast_to(getattr(coords, "mask", False), coords.shape)
    ra, dec = (
        np.asarray(getattr(a, "unmasked", a).to_value(u.deg)) for a in (coords.ra, coords.dec)
    )
    return _blank_invalid(np.where(mask, np.nan, ra), dec)


def _blank_invalid(ra, dec):
    """Set both coordinates to NaN where either is not finite or out of range."""
    with np.errstate(invalid="ignore"):
        # Some catalogues count right ascension from -180 to 180 degrees.
        valid = (ra >= -180) & (ra <= 360) & (np.abs(dec) <= 90)
    return np.where(valid, ra, np.nan), np.where(valid, dec, np.nan)


def _to_degrees(column, name, *, is_ra):
    if not is_scalar_column(column):
        raise ValueError(
            f"the position column {name!r} holds {type(column).__name__} values of shape "
            f"{column.shape[1:]}: it must hold one angle per row"
        )
    values, mask = get_plain_values(column), get_mask(column)
    if values.dtype.kind in "SUO":
        sexagesimal_unit = u.hourangle if is_ra else u.deg
        degrees = np.array([_parse_angle(value, sexagesimal_unit) for value in values], dtype=float)
    elif values.dtype.kind in "iuf":
        unit = getattr(column, "unit", None)
        factor = 1.0 if unit is None else _get_factor(unit, name, is_ra)
        # Masked values are blanked before the conversion, in which they could raise warnings.
        # Files may also hold signalling NaNs, which are NaNs like any other.
        with np.errstate(invalid="ignore"):
            degrees = np.where(mask, np.nan, values).astype(float) * factor
    else:
        raise ValueError(f"the position column {name!r} holds {values.dtype}, not an angle")
    return np.where(mask, np.nan, degrees)


def _get_factor(unit, name, is_ra):
    if unit == u.dimensionless_unscaled:
        return 1.0
    # Catalogues write units in many ways: "DEG", "degrees", "[deg]", "RADIANS".
    spelling = str(unit).strip(" []()").lower()
    known = _SPELLINGS.get(spelling)
    # FITS and VOTable files often give right ascension in hours of time.
    if known is not None and (is_ra or known is not u.hourangle):
        unit = known
    try:
        return unit.to(u.deg)
    except (u.UnitsError, TypeError, AttributeError, ValueError):
        raise ValueError(
            f"the position column {name!r} has the unit {str(unit)!r}, not an angle: set the "
            f"column's unit, or choose other columns: {_HINT}"
        ) from None


def _parse_angle(value, sexagesimal_unit):
    # Catalogues' text can be anything: a bad value makes only its own row NaN.
    try:
        if isinstance(value, bytes):
            value = value.decode()
        try:
            return float(value)
        except ValueError:
            from astropy.coordinates import Angle

            return Angle(value, unit=sexagesimal_unit).to_value(u.deg)
    except Exception:
        return np.nan
