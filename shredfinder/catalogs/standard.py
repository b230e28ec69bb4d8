"""Conversion of a survey's columns to the standard ones, with the exact cuts applied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from astropy import units as u
from astropy.table import Column, MaskedColumn, Table

from shredfinder._utils.columns import find_column
from shredfinder._utils.identifiers import to_identifiers
from shredfinder._utils.units import to_floats, to_strings
from shredfinder.catalogs.reddening import evaluate
from shredfinder.cuts import candidate_cut, photometry
from shredfinder.surveys import SURVEYS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from astropy.coordinates import SkyCoord
    from astropy.units import Quantity
    from numpy.typing import ArrayLike

    from shredfinder.cuts import CutPreset
    from shredfinder.surveys import CatalogPreset

    # E(B-V): one value, or a function of positions.
    Reddening: TypeAlias = float | Quantity | Callable[[SkyCoord], ArrayLike]

__all__ = ["STANDARD_COLUMNS", "empty_rows", "raw_columns", "standardize"]

# UCD1+ has no words for single filters. These are the nearest bands.
_BAND_UCDS = {"g": "em.opt.B", "r": "em.opt.R", "i": "em.opt.I", "z": "em.opt.I"}

#: Unit, UCD and description of the standard columns, whose names may contain ``{band}``.
STANDARD_COLUMNS: dict[str, tuple[u.UnitBase | None, str, str]] = {
    "objid": (None, "meta.id;meta.main", "Identifier in the survey's catalogue"),
    "ra": (u.deg, "pos.eq.ra;meta.main", "Right ascension (ICRS)"),
    "dec": (u.deg, "pos.eq.dec;meta.main", "Declination (ICRS)"),
    "{band}": (u.mag, "phot.mag;{em}", "{band} magnitude (AB), corrected for extinction"),
    "{band}_err": (u.mag, "stat.error;phot.mag;{em}", "Error of the {band} magnitude"),
    "gr_err": (u.mag, "stat.error;phot.color", "Error of g - r"),
    "r_eff": (u.arcsec, "phys.angSize;em.opt.R", "Half-light radius"),
    "mu_eff": (
        u.mag / u.arcsec**2,
        "phot.mag.sb;em.opt.R",
        "Effective surface brightness in r, r + 2.5 log10(2 pi R^2)",
    ),
    "mu_err": (u.mag / u.arcsec**2, "stat.error;phot.mag.sb", "Error of mu_eff"),
}


def raw_columns(preset: CatalogPreset, columns: Sequence[str] | Literal["all"] | None) -> list[str]:
    """List the survey's columns that a user asks for.

    Parameters
    ----------
    preset : CatalogPreset
        The survey's catalogue.
    columns : sequence of str, "all" or None
        The user's choice.

    Returns
    -------
    names : list of str
        Column names.

    Raises
    ------
    TypeError
        If ``columns`` is a string other than "all".
    """
    if columns is None:
        return []
    if isinstance(columns, str):
        if columns != "all":
            raise TypeError(f"columns must be a list of column names or 'all': got {columns!r}")
        return [
            name for name in preset.columns if name not in (preset.objid, preset.ra, preset.dec)
        ]
    return list(dict.fromkeys(columns))


def standardize(
    raw: Table,
    preset: CatalogPreset,
    *,
    cuts: CutPreset | None,
    columns: Sequence[str],
    ebv: Reddening | None = None,
    described: dict[str, tuple[str, str]] | None = None,
) -> Table:
    """Apply the cuts to rows of a survey's catalogue and convert them to standard columns.

    Parameters
    ----------
    raw : `~astropy.table.Table`
        Rows with the survey's columns.
    preset : CatalogPreset
        The survey's catalogue.
    cuts : CutPreset or None
        The cuts; None keeps all rows.
    columns : sequence of str
        The survey's columns to keep.
    ebv : float, `~astropy.units.Quantity` or callable, optional
        E(B-V) in mag, as one value or as a function of a `~astropy.coordinates.SkyCoord`, for
        surveys without extinction. By default the column ``ebv`` is used.
    described : dict, optional
        UCD and description of the survey's columns, by lower-case name.

    Returns
    -------
    table : `~astropy.table.Table`
        The rows that pass, with the standard columns, then the survey's extra columns, then the
        columns to keep.
    """
    raw = _mask_missing(raw, preset.missing)
    if ebv is not None:
        ra, dec = _positions(raw, preset)
        # The caller's table does not get the new column.
        raw = raw.copy(copy_data=False)
        raw["ebv"] = evaluate(ebv, ra, dec)
    # The cuts are exact, even if the server applied looser conditions before.
    if cuts is not None and len(raw):
        raw = raw[candidate_cut(raw, preset, preset=cuts).passed]
    found = photometry(raw, preset)
    # From here on only the rows that pass.
    ra, dec = _positions(raw, preset)
    values = {
        "objid": _identifiers(raw, preset),
        "ra": ra,
        "dec": dec,
        **{name: found[name] for name in ("gr_err", "r_eff", "mu_eff", "mu_err")},
        **found["mag"],
        **{f"{band}_err": errors for band, errors in found["mag_err"].items()},
    }
    # The result has the order of STANDARD_COLUMNS, with one column per band.
    table = Table()
    for name, (unit, ucd, description) in STANDARD_COLUMNS.items():
        for band in preset.bands if "{band}" in name else ("",):
            key = name.format(band=band)
            fields = {"band": band, "em": _BAND_UCDS.get(band, "em.opt")}
            _add(table, key, values[key], unit, ucd.format(**fields), description.format(**fields))
    for role, (ucd, description) in preset.extras.items():
        column = find_column(raw, preset.name(role), required=False)
        if column is not None:
            _add(table, role, _plain(raw[column], column), raw[column].unit, ucd, description)
    reddening = _read_reddening(raw, preset)
    if reddening is not None:
        _add(table, "ebv", reddening, u.mag, "phot.color.excess", "E(B-V) (SFD)")
    _add_raw(table, raw, preset, columns, described or {})
    return table


def _mask_missing(raw: Table, missing: float | None) -> Table:
    """Replace a survey's mark of missing values by NaN in all columns of floats."""
    if missing is None:
        return raw
    replaced = raw.copy(copy_data=False)
    for name in raw.colnames:
        if raw[name].dtype.kind == "f":
            values = np.ma.filled(raw[name], np.nan)
            # Files may hold the mark rounded or in single precision.
            with np.errstate(invalid="ignore"):
                marked = np.abs(values - missing) < 0.5
            if marked.any():
                replaced[name] = raw[name].copy()
                replaced[name][marked] = np.nan
    return replaced


def _positions(raw: Table, preset: CatalogPreset) -> tuple[np.ndarray, np.ndarray]:
    ra = to_floats(raw[find_column(raw, preset.ra)], preset.ra, u.deg)
    return ra, to_floats(raw[find_column(raw, preset.dec)], preset.dec, u.deg)


def _read_reddening(raw: Table, preset: CatalogPreset) -> np.ndarray | None:
    """Return E(B-V), by which images are corrected; None if the catalogue does not say."""
    if preset.needs_ebv or find_column(raw, "ebv", required=False):
        return to_floats(raw[find_column(raw, "ebv")], "ebv", u.mag)
    name = find_column(raw, "extinction_r", required=False)
    # A preset need not belong to a survey whose coefficients are known.
    survey = SURVEYS.get(preset.survey)
    if name is None or survey is None:
        return None
    return to_floats(raw[name], name, u.mag) / survey.extinction["r"]


def _identifiers(raw: Table, preset: CatalogPreset) -> Any:
    if preset.composite_id and not find_column(raw, preset.objid, required=False):
        names = [find_column(raw, name) for name in preset.composite_names]
        parts = [to_identifiers(raw[name], name) for name in names]
        masks = [np.ma.getmaskarray(np.ma.asarray(part)) for part in parts]
        combined = preset.composite_id(*(np.ma.getdata(part) for part in parts))
        mask = np.any(masks, axis=0)
        return MaskedColumn(combined, mask=mask) if mask.any() else combined
    # astroquery and some files have unsigned identifiers. All fit into signed 64 bits.
    name = find_column(raw, preset.objid)
    return to_identifiers(raw[name], name)


def _plain(column: Column, name: str) -> np.ndarray:
    return to_strings(column, name) if column.dtype.kind in "SUO" else column.data


def _add(
    table: Table, name: str, data: Any, unit: u.UnitBase | None, ucd: str, description: str
) -> None:
    meta = {"ucd": ucd} if ucd else {}
    kind = MaskedColumn if np.ma.is_masked(data) else Column
    table[name] = kind(data, unit=unit, description=description or None, meta=meta)


def _add_raw(
    table: Table,
    raw: Table,
    preset: CatalogPreset,
    columns: Sequence[str],
    described: dict[str, tuple[str, str]],
) -> None:
    for wanted in columns:
        name = find_column(raw, wanted)
        column = raw[name]
        # The extra columns and E(B-V) are in the table already.
        if wanted in (*preset.extras, "ebv") and wanted in table.colnames:
            continue
        ucd, description = described.get(name.lower(), ("", ""))
        ucd = ucd or column.meta.get("ucd", "")
        # The survey's objid or ra is not the standard one.
        title = f"raw_{name}" if name in table.colnames else name
        new = column.copy()
        new.meta = {"ucd": ucd} if ucd else {}
        new.description = description or column.description
        table[title] = new


def empty_rows(preset: CatalogPreset, names: Iterable[str]) -> Table:
    """Create an empty table with a survey's columns.

    Parameters
    ----------
    preset : CatalogPreset
        The survey's catalogue.
    names : iterable of str
        Column names.

    Returns
    -------
    table : `~astropy.table.Table`
        A table without rows.
    """
    # Without a response, the types have to be known: identifiers and flags need 64-bit integers.
    integer = {preset.objid.lower(), preset.name("flags_r").lower()}
    text = {preset.name(role) for role in preset.extras}
    kinds = [
        np.int64 if name.lower() in integer else "U4" if name in text else float for name in names
    ]
    return Table(names=list(names), dtype=kinds)
