"""Sky positions of the sources of a catalogue: the only reader of positions in the package."""

from __future__ import annotations

import itertools
import re
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u

from shredfinder._utils.columns import as_table, get_mask, get_plain_values, is_scalar_column
from shredfinder._utils.units import parse_unit
from shredfinder.exceptions import ShredfinderWarning

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from astropy.coordinates import SkyCoord
    from astropy.table import Table

__all__ = ["find_position", "get_angle_factor", "get_degrees", "get_positions"]

# A table's own ra and dec take precedence over UCDs and coordinate columns; the other names of
# common catalogues follow those. Names are compared in lower case and without separators.
_AXES = (
    ("ra", "dec"),
    ("ra", "de"),
    ("ra", "decl"),
    ("alpha", "delta"),
    ("alphawin", "deltawin"),
    ("rightascension", "declination"),
)
# What may follow either name, as in RAJ2000, RA_ICRS, raMean or RA (deg) ...
_SUFFIXES = ("", "j2000", "2000", "icrs", "deg", "degj2000", "j2000deg", "icrsdeg", "mean", "stack")
# ... and what may precede it, as in TARGET_RA (DESI), coord_ra (Rubin) or sup_ra (2MASS).
_PREFIXES = ("", "s", "target", "coord", "obj", "object", "source", "src", "sup", "mean", "match")
# Tables that were matched repeat names with these endings (TOPCAT and astropy, pandas, LSDB), in
# order of preference.
_MATCHED = ("1", "1a", "x", "left", "2", "2a", "y", "right", "3", "4", "5")
# UCDs of the main position and of any position, in UCD1+ and in the older UCD1.
_MAIN_UCDS = (
    ("pos.eq.ra;meta.main", "pos_eq_ra_main"),
    ("pos.eq.dec;meta.main", "pos_eq_dec_main"),
)
_PLAIN_UCDS = (("pos.eq.ra", "pos_eq_ra"), ("pos.eq.dec", "pos_eq_dec"))
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
        names, such as ``RAJ2000`` and ``DEJ2000``, ``TARGET_RA`` and ``TARGET_DEC`` or
        ``coord_ra`` and ``coord_dec``; names in matched tables, such as ``RA_1`` and ``DEC_1``;
        the UCDs without ``meta.main``.

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

    Warns
    -----
    shredfinder.exceptions.ShredfinderWarning
        If the columns of a matched table are chosen among several, such as ``RA_1`` and ``RA_2``:
        the first table's are used.

    Notes
    -----
    J2000 coordinates are read as ICRS; the two differ by 0.02 arcsec. Units are recognised in all
    usual spellings, such as ``DEG``, ``degrees``, ``[deg]`` and ``RADIANS``. Of VizieR's
    ``_RAJ2000`` and ``RAJ2000`` the first is used, of SExtractor's positions the
    windowed ones, and of Pan-STARRS1's the means.

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
    table = as_table(catalog, name, "a SkyCoord, ")
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
        lambda: _find_plain_pairs(table),
        lambda: _find_ucds(table, _MAIN_UCDS),
        lambda: [column for column in table.colnames if isinstance(table[column], SkyCoord)],
        lambda: _find_pairs(table),
        lambda: _find_matched(table, name),
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


def _find_plain_pairs(table: Table) -> list[tuple[str, str]]:
    ras, decs = ([n for n in table.colnames if n.lower() == wanted] for wanted in ("ra", "dec"))
    # In a table that has both, RA goes with DEC and ra with dec.
    return [
        (ra, dec)
        for ra in ras
        for dec in decs
        if len(ras) == len(decs) == 1 or ra.isupper() == dec.isupper()
    ]


def _find_pairs(table: Table, ending: str = "") -> list[tuple[str, str]]:
    """Find pairs of columns that are named alike, but for an ending of both."""
    by_key: dict[str, list[str]] = {}
    for name in table.colnames:
        key = "".join(filter(str.isalnum, name.lower()))
        # The ending is a part of its own: ra_1, but not ra1.
        if ending and not re.search(rf"(?i)[^a-z0-9]{ending}$", name):
            continue
        by_key.setdefault(key.removesuffix(ending), []).append(name)
    found = []
    for ra_axis, dec_axis in _AXES:
        for prefix, suffix in itertools.product(_PREFIXES, _SUFFIXES):
            ras, decs = (by_key.get(f"{prefix}{axis}{suffix}", ()) for axis in (ra_axis, dec_axis))
            # Of _RAJ2000 and RAJ2000, VizieR's own is in degrees and for J2000.
            pairs = list(zip(sorted(ras), sorted(decs), strict=False))
            underlined = [pair for pair in pairs if pair[0].startswith("_")]
            found += underlined[:1] or pairs
    # SExtractor's windowed positions, and the mean ones of Pan-STARRS1, take precedence.
    for word in ("win_", "mean"):
        better = [pair for pair in found if word in pair[0].lower()]
        found = better or found
    return list(dict.fromkeys(found))


def _find_matched(table: Table, name: str) -> list[tuple[str, str]]:
    """Find the positions of the first of several tables that were matched."""
    found = [_find_pairs(table, ending) for ending in _MATCHED]
    pairs = [pair for of_ending in found for pair in of_ending]
    first = next((of_ending for of_ending in found if of_ending), [])
    if len(first) == 1 and len(pairs) > 1:
        others = ", ".join(map(str, pairs[1:]))
        warnings.warn(
            f"{name} has positions of several matched tables: {pairs[0]} is used, not {others}; "
            "name other columns with position=('RA column', 'Dec column')",
            ShredfinderWarning,
            stacklevel=2,
        )
    return first


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
        factor = 1.0 if unit is None else get_angle_factor(unit, name, is_ra=is_ra)
        # Masked values are blanked before the conversion, in which they could raise warnings.
        # Files may also hold signalling NaNs, which are NaNs like any other.
        with np.errstate(invalid="ignore"):
            degrees = np.where(mask, np.nan, values).astype(float) * factor
    else:
        raise ValueError(f"the position column {name!r} holds {values.dtype}, not an angle")
    return np.where(mask, np.nan, degrees)


def get_angle_factor(unit: Any, name: str, *, is_ra: bool) -> float:
    """Return the factor that converts a position column in a unit to degrees."""
    if unit == u.dimensionless_unscaled:
        return 1.0
    unit = parse_unit(unit)
    # FITS and VOTable files often give right ascension in hours of time.
    if is_ra and str(unit).lower() in ("h", "hour"):
        unit = u.hourangle
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
