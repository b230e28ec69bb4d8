"""Sums of the photometry of groups of catalogue entries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u

from shredfinder._utils.columns import find_column
from shredfinder._utils.units import to_floats
from shredfinder.hosts.fluxes import find_size, read_column, read_flux
from shredfinder.surveys import SURVEYS

if TYPE_CHECKING:
    from astropy.table import Table

    from shredfinder.hosts.fluxes import Bands
    from shredfinder.hosts.groups import Groups

__all__ = ["Measured", "sum_photometry", "write_rows"]

# d(mag)/d(ln flux)
_MAG_PER_LN = 2.5 / np.log(10.0)
# Half-light over root mean square radius of an exponential disc.
_HALF_PER_RMS = 1.678 / np.sqrt(6.0)
_SIZE_ERRORS = ("shape_r_ivar", "petroR50Err_r", "rpetR50Err")


@dataclass(frozen=True)
class Measured:
    """Fluxes and sizes of groups that were measured in images.

    Attributes
    ----------
    bands : dict of tuple
        Fluxes in nanomaggies, not corrected for extinction, and their variances, of shape
        (n_groups,), by band; NaN where nothing was measured.
    radius : `~numpy.ndarray` of shape (n_groups,)
        Half-light radii in arcsec.
    """

    bands: dict[str, tuple[np.ndarray, np.ndarray]]
    radius: np.ndarray


def sum_photometry(
    table: Table,
    merged: Table,
    bands: list[Bands],
    groups: Groups,
    weight: np.ndarray,
    apart: np.ndarray,
    changed: np.ndarray,
    measured: Measured | None = None,
) -> np.ndarray:
    """Write the photometry of the groups into the merged table.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The catalogue, of ``n`` rows.
    merged : `~astropy.table.Table`
        The main rows, whose columns are changed.
    bands : list of Bands
        Columns of the photometry.
    groups : Groups
        The rows of each galaxy.
    weight, apart : `~numpy.ndarray` of shape (n,)
        Light of each row, and its separation from the galaxy's centre in arcsec.
    changed : `~numpy.ndarray` of bool, of shape (n_groups,)
        Groups of several rows, or measured ones; the others keep their values exactly.
    measured : Measured, optional
        Fluxes measured in images, which replace the sums.

    Returns
    -------
    flag : `~numpy.ndarray` of str, of shape (n_groups,)
        Bands in which an entry has no flux, or the sum is not positive.
    """
    missing: dict[str, np.ndarray] = {}
    negative: dict[str, np.ndarray] = {}
    transmission = {} if measured is None else _find_all_transmissions(table, bands, groups)
    for scheme in bands:
        for band in scheme.columns:
            flux = None if measured is None else measured.bands.get(band)
            lacking, dark = _sum_band(
                table, merged, scheme, band, groups, changed, flux, transmission.get(band)
            )
            missing[band] = missing.get(band, False) | lacking
            negative[band] = negative.get(band, False) | dark
    _merge_reddening(table, merged, groups, weight, changed)
    sizes = None if measured is None else measured.radius
    _merge_size(table, merged, groups, weight, apart, changed, sizes)
    _update_derived(merged, changed)
    flag = np.full(changed.size, "", dtype=object)
    for word, bands_of_groups in (("missing", missing), ("negative", negative)):
        names = np.full(changed.size, "", dtype=object)
        for band, rows in bands_of_groups.items():
            names[rows] += f" {band}"
        for row in np.flatnonzero(names != ""):
            flag[row] += f"{', ' if flag[row] else ''}{word}{names[row]}"
    return flag.astype(str) if flag.size else np.zeros(0, dtype="U1")


def _sum_band(table, merged, scheme, band, groups, changed, measured, known_transmission):
    """Write the columns of one band; return the groups without a flux, or a positive one."""
    roles = scheme.columns[band]
    observed, variance = read_flux(table, scheme, band, dereddened=False)
    corrected, corrected_variance = read_flux(table, scheme, band, dereddened=True)
    transmission = _find_transmission(table, scheme, band, observed, corrected)
    lacking = np.zeros(changed.size, dtype=bool)
    total = total_variance = mean = None
    if observed is not None:
        total, total_variance, lacking = _add(observed, variance, groups, measured)
        if "flux" in roles:
            write_rows(merged, roles["flux"], total, changed, u.nmgy)
        if "flux_ivar" in roles and total_variance is not None:
            with np.errstate(divide="ignore", invalid="ignore"):
                ivar = np.nan_to_num(1.0 / total_variance, nan=0.0, posinf=0.0)
            write_rows(merged, roles["flux_ivar"], ivar, changed, u.nmgy**-2)
        if "mag" in roles:
            known = _first_known(table, scheme, band, groups, total, measured)
            write_rows(merged, roles["mag"], _to_mag(known), changed, u.mag)
        if transmission is not None:
            mean = _mean_transmission(observed, transmission, groups)
    if "mw_transmission" in roles and mean is not None:
        write_rows(merged, roles["mw_transmission"], mean, changed)
    if "extinction" in roles and mean is not None:
        write_rows(merged, roles["extinction"], -2.5 * np.log10(mean), changed, u.mag)
    if "dered_mag" in roles:
        if total is not None and mean is not None:
            dereddened = total / mean
        else:
            if measured is not None and known_transmission is not None:
                measured = measured[0] / known_transmission, measured[1] / known_transmission**2
            dereddened, total_variance, lacking = _add(
                corrected, corrected_variance, groups, measured
            )
            total = dereddened
        write_rows(merged, roles["dered_mag"], _to_mag(dereddened), changed, u.mag)
    if "mag_err" in roles:
        if total_variance is None:
            source, spread = read_flux(table, scheme, band, dereddened="dered_mag" in roles)
            total, total_variance, _ = _add(source, spread, groups, measured)
        with np.errstate(divide="ignore", invalid="ignore"):
            error = _MAG_PER_LN * np.sqrt(total_variance) / total
            error = np.where(np.isfinite(error) & (error >= 0), error, np.nan)
        write_rows(merged, roles["mag_err"], error, changed, u.mag)
    with np.errstate(invalid="ignore"):
        dark = np.zeros_like(lacking) if total is None else total <= 0
    return lacking & changed, dark & changed


def _first_known(table, scheme, band, groups, total, measured):
    """Return the total flux behind the observed magnitudes."""
    if "flux" not in scheme.columns[band]:
        return total
    mags = read_column(table, scheme.columns[band]["mag"], scheme.missing, u.mag)
    return _add(10 ** (0.4 * (22.5 - mags)), None, groups, measured)[0]


def _add(flux, variance, groups, measured=None):
    """Return sums of fluxes and variances, and the groups in which a flux is missing.

    Fluxes that were measured in images, and their variances, replace the sums.
    """
    known = np.isfinite(flux)
    total = groups.add(np.where(known, flux, 0.0))
    # Pieces alone are no galaxy.
    total[~known[groups.main]] = np.nan
    lacking = groups.add(~known) > 0
    # An unknown error makes that of the sum unknown; a missing flux does not contribute.
    spread = None if variance is None else groups.add(np.where(known, variance, 0.0))
    if measured is not None:
        seen = np.isfinite(measured[0])
        total[seen], lacking[seen] = measured[0][seen], False
        spread = np.full(total.size, np.nan) if spread is None else spread
        spread[seen] = measured[1][seen]
    return total, spread, lacking


def _find_all_transmissions(table, bands, groups):
    """Return the transmission of each group by band, from whichever columns the table has."""
    found = {}
    for band in {band for scheme in bands for band in scheme.columns}:
        fluxes: list = [None, None]
        for scheme in bands:
            if band not in scheme.columns:
                continue
            both = [read_flux(table, scheme, band, dereddened=d)[0] for d in (False, True)]
            transmission = _find_transmission(table, scheme, band, *both)
            if transmission is not None and both[0] is not None:
                found[band] = _mean_transmission(both[0], transmission, groups)
            fluxes = [new if old is None else old for old, new in zip(fluxes, both, strict=True)]
        if band in found or fluxes[1] is None:
            continue
        if fluxes[0] is not None:
            # Observed fluxes under the names of one survey, corrected ones under others.
            with np.errstate(divide="ignore", invalid="ignore"):
                found[band] = _mean_transmission(fluxes[0], fluxes[0] / fluxes[1], groups)
        else:
            found[band] = _transmission_by_ebv(table, bands, band, groups)
    return found


def _transmission_by_ebv(table, bands, band, groups):
    """Return the transmission of each group from a column of E(B-V)."""
    name = find_column(table, "ebv", required=False)
    surveys = [scheme.survey for scheme in bands if scheme.survey is not None]
    coefficients = [s.extinction[band] for s in (*surveys, *SURVEYS.values())
                    if band in s.extinction]  # fmt: skip
    if name is None or not coefficients:
        raise ValueError(
            f"the magnitudes in {band} are corrected for extinction, but fluxes measured in images "
            "are not: add a column ebv with E(B-V), or observed fluxes as query_candidates(..., "
            "columns='all') and shredfinder run --raw keep them"
        )
    ebv = read_column(table, name, None, u.mag)[groups.main]
    return 10 ** (-0.4 * coefficients[0] * ebv)


def _find_transmission(table, scheme, band, observed, corrected):
    """Return the Milky Way's transmission of each row, or None."""
    roles = scheme.columns[band]
    with np.errstate(divide="ignore", invalid="ignore"):
        if "mw_transmission" in roles:
            values = read_column(table, roles["mw_transmission"], scheme.missing)
        elif "extinction" in roles:
            mags = read_column(table, roles["extinction"], scheme.missing, u.mag)
            values = 10 ** (-0.4 * mags)
        elif observed is not None and corrected is not None:
            values = observed / corrected
        else:
            return None
        return np.where((values > 0) & np.isfinite(values), values, np.nan)


def _mean_transmission(flux, transmission, groups):
    """Return the transmission that turns the sum of corrected fluxes into that of observed ones."""
    known = np.isfinite(flux) & np.isfinite(transmission)
    light = np.where(known, np.abs(flux), 0.0)
    corrected = np.where(known, light / np.where(known, transmission, 1.0), 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return groups.add(light) / groups.add(corrected)


def _merge_reddening(table, merged, groups, weight, changed):
    """Write the light-weighted mean of E(B-V)."""
    name = find_column(table, "ebv", required=False)
    if name is None:
        return
    ebv = read_column(table, name, None, u.mag)
    known = np.where(np.isfinite(ebv), weight, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = groups.add(known * np.nan_to_num(ebv)) / groups.add(known)
    write_rows(merged, name, np.where(np.isfinite(mean), mean, ebv[groups.main]), changed, u.mag)


def _merge_size(table, merged, groups, weight, apart, changed, sizes):
    """Write the half-light radius of the merged light: the measured, or from its mean square."""
    name = find_size(table)
    if name is None:
        return
    radius = read_column(table, name, None, u.arcsec)
    known = radius > 0
    light = np.where(known, weight, 0.0)
    square = apart**2 + np.where(known, radius / _HALF_PER_RMS, 0.0) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        size = _HALF_PER_RMS * np.sqrt(groups.add(light * square) / groups.add(light))
    old = radius[groups.main]
    size = np.where(np.isfinite(size), size, old)
    if sizes is not None:
        size = np.where(np.isfinite(sizes), sizes, size)
    write_rows(merged, name, size, changed, u.arcsec)
    # The relative error stays that of the main entry.
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(old > 0, size / old, np.nan)
    for wanted in _SIZE_ERRORS:
        error = find_column(merged, wanted, required=False)
        if error is not None:
            unit = u.arcsec**-2 if wanted.endswith("ivar") else u.arcsec
            values = to_floats(merged[error], error, unit)
            values *= ratio**-2 if wanted.endswith("ivar") else ratio
            write_rows(merged, error, values, changed, unit)


def _update_derived(merged, changed):
    """Update the columns that the package computes from magnitudes and sizes."""
    names = {name: find_column(merged, name, required=False)
             for name in ("g_err", "r_err", "gr_err", "r", "r_eff", "mu_eff")}  # fmt: skip
    if None not in (names["gr_err"], names["g_err"], names["r_err"]):
        errors = (to_floats(merged[names[band]], band, u.mag) for band in ("g_err", "r_err"))
        write_rows(merged, names["gr_err"], np.hypot(*errors), changed, u.mag)
    if None not in (names["mu_eff"], names["r"], names["r_eff"]):
        mag = to_floats(merged[names["r"]], "r", u.mag)
        radius = to_floats(merged[names["r_eff"]], "r_eff", u.arcsec)
        with np.errstate(divide="ignore", invalid="ignore"):
            mu = mag + 2.5 * np.log10(2 * np.pi * radius**2)
        write_rows(merged, names["mu_eff"], mu, changed, u.mag / u.arcsec**2)


def _to_mag(flux):
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(flux > 0, 22.5 - 2.5 * np.log10(flux), np.nan)


def write_rows(merged, name, values, rows, unit=u.dimensionless_unscaled):
    """Write some rows of a column, in its own unit; what is NaN is masked if the column can be."""
    column = merged[name]
    own = column.unit
    values = values[rows]
    if isinstance(own, u.UnitBase) and own != unit and own.is_equivalent(unit):
        values = values * unit.to(own)
    if isinstance(column, u.Quantity):
        column[rows] = values << own
        return
    if column.dtype.kind != "f":
        # Whole numbers would lose the fractions. The table holds a copy of what it is given.
        merged[name] = column.astype(float)
        column = merged[name]
    column[rows] = values
    if hasattr(column, "mask"):
        column.mask[rows] = np.isnan(values)
