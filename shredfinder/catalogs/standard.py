"""From a survey's own columns to the standard ones, and the exact part of the cuts."""

import numpy as np
from astropy import units as u
from astropy.table import Column, Table

from shredfinder._utils.columns import find_column
from shredfinder._utils.units import to_floats, to_strings
from shredfinder.cuts import candidate_cut, photometry

__all__ = ["STANDARD_COLUMNS", "empty_rows", "raw_columns", "standardize"]

# UCD1+ has no words for single filters: these are the nearest bands.
_BAND_UCDS = {"g": "em.opt.B", "r": "em.opt.R", "i": "em.opt.I", "z": "em.opt.I"}

#: From the names of the standard columns, with ``{band}``, to unit, UCD and description.
STANDARD_COLUMNS = {
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


def raw_columns(preset, columns):
    """Work out which of the survey's own columns a user asks for.

    Parameters
    ----------
    preset : CatalogPreset
        The survey's catalogue.
    columns : None, "all" or sequence of str
        What was asked for.

    Returns
    -------
    names : list of str
        Names of columns.

    Raises
    ------
    TypeError
        If it is a string other than "all".
    """
    if columns is None:
        return []
    if isinstance(columns, str):
        if columns != "all":
            raise TypeError(
                f"columns must be a list of the survey's names, or 'all': got {columns!r}"
            )
        return [
            name for name in preset.columns if name not in (preset.objid, preset.ra, preset.dec)
        ]
    return list(dict.fromkeys(columns))


def standardize(raw, preset, *, cuts, columns, ebv=None, described=None):
    """Apply the cuts to rows of a survey's catalogue and give them standard columns.

    Parameters
    ----------
    raw : `~astropy.table.Table`
        Rows with the survey's own columns.
    preset : CatalogPreset
        The survey's catalogue.
    cuts : str, CutPreset or None
        The cuts; None keeps all rows.
    columns : list of str
        Names of the survey's own columns to keep.
    ebv : `~numpy.ndarray`, optional
        E(B-V) of each row in mag, for surveys that do not have it.
    described : dict, optional
        From names of raw columns, in lower case, to UCD and description.

    Returns
    -------
    table : `~astropy.table.Table`
        The rows that pass, with the standard columns, then the survey's extras, then raw ones.
    """
    if ebv is not None:
        raw = raw.copy(copy_data=False)
        raw["ebv"] = ebv
    elif preset.needs_ebv:
        ebv = raw[find_column(raw, "ebv")]
    passed = np.ones(len(raw), dtype=bool)
    if cuts is not None and len(raw):
        passed = candidate_cut(raw, preset.survey, preset=cuts).passed
    raw = raw[passed]
    found = photometry(raw, preset.survey)
    values = {
        "objid": _identifiers(raw, preset),
        "ra": to_floats(raw[find_column(raw, preset.ra)], preset.ra, u.deg),
        "dec": to_floats(raw[find_column(raw, preset.dec)], preset.dec, u.deg),
    }
    table = Table()
    for name, (unit, ucd, description) in STANDARD_COLUMNS.items():
        for band in preset.catalog.bands if "{band}" in name else ("",):
            key = name.format(band=band)
            if key in values:
                data = values[key]
            elif name == "{band}":
                data = found["mag"][band]
            elif name == "{band}_err":
                data = found["mag_err"][band]
            else:
                data = found[key]
            fields = {"band": band, "em": _BAND_UCDS.get(band, "em.opt")}
            _add(table, key, data, unit, ucd.format(**fields), description.format(**fields))
    for role, (ucd, description) in preset.extras.items():
        name = find_column(raw, preset.names_of(role)[0], required=False)
        if name is not None:
            _add(table, role, _plain(raw[name], name), raw[name].unit, ucd, description)
    if ebv is not None:
        values = to_floats(raw[find_column(raw, "ebv")], "ebv", u.mag)
        _add(table, "ebv", values, u.mag, "phot.color.excess", "E(B-V) (SFD)")
    _add_raw(table, raw, preset, columns, described or {})
    return table


def _identifiers(raw, preset):
    name = find_column(raw, preset.objid, required=preset.composite_id is None)
    if name is not None:
        values = raw[name]
        # astroquery and some files have them unsigned; 64 bits with sign hold all that there are.
        return np.asarray(values).astype(np.int64) if values.dtype.kind in "iu" else values
    parts = (np.asarray(raw[find_column(raw, name)]) for name in preset.composite_names)
    return preset.composite_id(*parts)


def _plain(column, name):
    return to_strings(column, name) if column.dtype.kind in "SUO" else column.data


def _add(table, name, data, unit, ucd, description):
    meta = {"ucd": ucd} if ucd else {}
    table[name] = Column(data, unit=unit, description=description or None, meta=meta)


def _add_raw(table, raw, preset, columns, described):
    for wanted in columns:
        name = find_column(raw, wanted)
        column = raw[name]
        if wanted in (*preset.extras, "ebv") and wanted in table.colnames:
            continue
        ucd, description = described.get(name.lower(), ("", ""))
        ucd = ucd or column.meta.get("ucd", "")
        # The survey's own objid or ra is not the standard one.
        title = f"raw_{name}" if name in table.colnames else name
        new = column.copy()
        new.meta = {"ucd": ucd} if ucd else {}
        new.description = description or column.description
        table[title] = new


def empty_rows(preset, names):
    """Make a table without rows that has a survey's own columns.

    Parameters
    ----------
    preset : CatalogPreset
        The survey's catalogue.
    names : iterable of str
        Names of the columns.

    Returns
    -------
    table : `~astropy.table.Table`
        An empty table.
    """
    integer = {preset.objid.lower(), preset.names_of("flags_r")[0].lower()}
    text = {preset.names_of(role)[0] for role in preset.extras}
    kinds = [
        np.int64 if name.lower() in integer else "U4" if name in text else float for name in names
    ]
    return Table(names=list(names), dtype=kinds)
