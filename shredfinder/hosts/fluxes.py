"""Fluxes, magnitudes, sizes and identifiers of a catalogue, whatever its columns are called."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u

from shredfinder._utils.columns import find_column, get_mask
from shredfinder._utils.units import to_floats
from shredfinder.surveys import SURVEYS, get_survey

if TYPE_CHECKING:
    from collections.abc import Iterable

    from astropy.table import Table

    from shredfinder.surveys import Survey

__all__ = [
    "Bands",
    "find_bands",
    "find_identifiers",
    "find_size",
    "read_column",
    "read_flux",
    "read_light",
    "read_sizes",
]

_BANDS = "ugrizy"
# Roles in a survey's description of its catalogue that vary with the band.
_ROLES = ("flux", "flux_ivar", "mw_transmission", "mag", "mag_err", "dered_mag", "extinction")
# The package's own names (shredfinder.catalogs); magnitudes are corrected for extinction.
_STANDARD = {"dered_mag": "{band}", "mag_err": "{band}_err"}
_SIZES = ("r_eff", "radius", "r_half")
_IDENTIFIERS = ("objid", "ls_id", "source_id", "id", "name")
# A column of this name may hold redshifts. Magnitudes are above this number.
_AMBIGUOUS, _LOWEST_MAG = "z", 5.0


@dataclass
class Bands:
    """Columns of a table with photometry.

    Attributes
    ----------
    columns : dict of dict
        Column name by role, by band.
    survey : Survey or None
        The survey whose column names the table has, if any.
    missing : float or None
        Value that the survey writes for a missing measurement.
    """

    columns: dict[str, dict[str, str]] = field(default_factory=dict)
    survey: Survey | None = None
    missing: float | None = None

    @property
    def reference(self) -> str:
        """str: Band of the weights: r, or the middle one."""
        names = list(self.columns)
        return "r" if "r" in names else names[len(names) // 2]


def find_bands(table: Table, survey: str | None = None) -> list[Bands]:
    """Find the columns of fluxes and magnitudes.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The catalogue.
    survey : str, optional
        Survey whose column names the table has; by default all surveys' names are tried, and
        those of `shredfinder.catalogs`.

    Returns
    -------
    found : list of Bands
        The columns by band and role, for each set of names that the table has: some tables have
        a survey's own columns and the standard ones.
    """
    surveys = list(SURVEYS.values()) if survey is None else [get_survey(survey)]
    result = []
    for known in [*surveys, None]:
        names = _STANDARD if known is None else _survey_names(known)
        found = {
            band: {
                role: column
                for role, pattern in names.items()
                if (column := _find(table, pattern.format(band=band))) is not None
            }
            for band in _BANDS
        }
        # An error alone is no photometry.
        found = {
            band: roles for band, roles in found.items() if {"flux", "mag", "dered_mag"} & {*roles}
        }
        if found:
            missing = None if known is None or known.catalog is None else known.catalog.missing
            result.append(Bands(found, known, missing))
    return result


def _survey_names(survey):
    if survey.catalog is None:
        return {}
    names = survey.catalog.names
    return {role: names[role] for role in _ROLES if "{band}" in names.get(role, "")}


def _find(table, name):
    found = find_column(table, name, required=False)
    if found is None or name.lower() != _AMBIGUOUS:
        return found
    column = table[found]
    if getattr(column, "unit", None) is not None or f"{_AMBIGUOUS}_err" in table.colnames:
        return found if getattr(column, "unit", u.mag) in (None, u.mag, u.ABmag) else None
    if getattr(column.dtype, "kind", "O") not in "fiu":
        return None
    values = to_floats(column, found)
    values = values[np.isfinite(values)]
    return found if values.size and np.median(values) > _LOWEST_MAG else None


def read_flux(
    table: Table, bands: Bands, band: str, *, dereddened: bool
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Read the fluxes of a band, observed or corrected for extinction.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The catalogue, of ``n`` rows.
    bands : Bands
        Its columns.
    band : str
        The band.
    dereddened : bool
        Whether to read corrected magnitudes instead of observed fluxes and magnitudes.

    Returns
    -------
    flux : `~numpy.ndarray` of shape (n,) or None
        Nanomaggies; NaN where missing. None if the table has no such column.
    variance : `~numpy.ndarray` of shape (n,) or None
        Variances; NaN where unknown. None if the table has no errors.
    """
    roles = bands.columns[band]
    if not dereddened and "flux" in roles:
        flux = read_column(table, roles["flux"], bands.missing, u.nmgy)
        if "flux_ivar" not in roles:
            return flux, None
        ivar = read_column(table, roles["flux_ivar"], bands.missing, u.nmgy**-2)
        with np.errstate(divide="ignore", invalid="ignore"):
            # An inverse variance of zero marks a flux without information.
            return flux, np.where(ivar >= 0, 1.0 / ivar, np.nan)
    role = "dered_mag" if dereddened else "mag"
    if role not in roles:
        return None, None
    flux = 10 ** (0.4 * (22.5 - read_column(table, roles[role], bands.missing, u.mag)))
    if "mag_err" not in roles:
        return flux, None
    error = read_column(table, roles["mag_err"], bands.missing, u.mag)
    with np.errstate(invalid="ignore"):
        error[~(error >= 0)] = np.nan
    return flux, (np.log(10) / 2.5 * flux * error) ** 2


def read_light(table: Table, bands: Bands, band: str) -> np.ndarray:
    """Return each row's flux in a band in nanomaggies, whether or not corrected for extinction.

    Observed fluxes come first; NaN where all are missing. They are good enough for comparisons,
    since extinction hardly varies within a galaxy.
    """
    flux = np.full(len(table), np.nan)
    for dereddened in (True, False):
        values, _ = read_flux(table, bands, band, dereddened=dereddened)
        if values is not None:
            flux = np.where(np.isfinite(values), values, flux)
    return flux


def read_column(
    table: Table, name: str, missing: float | None, unit: u.UnitBase = u.dimensionless_unscaled
) -> np.ndarray:
    """Read a column as floats, with NaN where masked, infinite or marked as missing."""
    values = to_floats(table[name], name, unit)
    if values.ndim != 1:
        raise ValueError(f"{name} must have one value per row: got shape {values.shape}")
    with np.errstate(invalid="ignore"):
        if missing is not None:
            # Files may hold the mark rounded or in single precision.
            values[np.abs(values - missing) < 0.5] = np.nan
    values[~np.isfinite(values)] = np.nan
    return values


def find_size(table: Table) -> str | None:
    """Find the column of half-light radii in arcsec; None if there is none."""
    for name in (*_survey_sizes(), *_SIZES):
        found = find_column(table, name, required=False)
        if found is not None:
            return found
    return None


def read_sizes(table: Table) -> np.ndarray:
    """Read half-light radii in arcsec, NaN where unknown."""
    size = find_size(table)
    if size is None:
        return np.full(len(table), np.nan)
    return read_column(table, size, None, u.arcsec)


def _survey_sizes() -> Iterable[str]:
    for survey in SURVEYS.values():
        if survey.catalog is not None:
            names = survey.catalog.names
            yield from (names[role] for role in ("shape_r", "petro_r50") if role in names)


def find_identifiers(table: Table, id_column: str | None) -> tuple[str | None, np.ndarray]:
    """Return the column of identifiers and its values, row numbers if there is no such column.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The catalogue.
    id_column : str, optional
        Name of the column; by default a common name.

    Returns
    -------
    name : str or None
        Name of the column.
    identifiers : `~numpy.ndarray` of shape (n,)
        Integers or text.

    Raises
    ------
    KeyError
        If the table lacks the column.
    ValueError
        If identifiers are missing, repeated or not integers or text.
    """
    if id_column is not None:
        name: str | None = find_column(table, id_column)
    else:
        surveys = (known.catalog.objid for known in SURVEYS.values() if known.catalog is not None)
        names = dict.fromkeys((*surveys, *_IDENTIFIERS))
        name = next(
            (found for key in names if (found := find_column(table, key, required=False))), None
        )
    if name is None:
        return None, np.arange(len(table))
    column = table[name]
    advice = "choose another column with id_column, or remove the rows"
    values = np.asarray(column)
    if values.ndim != 1 or values.dtype.kind not in "iuUSO":
        raise ValueError(
            f"the column {name!r} must hold one integer or text per row as identifiers, not "
            f"{values.dtype} of shape {values.shape}: choose another column with id_column"
        )
    lacking = get_mask(column)
    if values.dtype.kind == "O":
        lacking = lacking | np.array([item is None for item in values.tolist()], dtype=bool)
    if values.dtype.kind in "OS":
        values = values.astype(str)
    if values.dtype.kind == "U":
        lacking = lacking | (np.char.strip(values) == "")
    if lacking.any():
        raise ValueError(f"the column {name!r} has rows without an identifier: {advice}")
    _, first, counts = np.unique(values, return_index=True, return_counts=True)
    if (counts > 1).any():
        repeated = values[first[counts > 1]]
        raise ValueError(
            f"{repeated.size} identifiers in the column {name!r} occur more than once, such as "
            f"{repeated[0]}: {advice}"
        )
    return name, values
