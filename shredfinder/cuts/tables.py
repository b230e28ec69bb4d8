"""The cuts on a table: picks the columns by the survey's names, and calls the pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u

from shredfinder._utils.columns import find_column
from shredfinder._utils.units import to_floats, to_value, verdict
from shredfinder.cuts.errors import color_error, magnitude_error, surface_brightness_error
from shredfinder.cuts.extinction import deredden, dereddened_magnitude
from shredfinder.cuts.legacy import legacy_quality_cut
from shredfinder.cuts.presets import get_preset
from shredfinder.cuts.ps1 import ps1_quality_cut
from shredfinder.cuts.result import QualityResult
from shredfinder.cuts.saga import (
    effective_surface_brightness,
    saga_color_cut,
    saga_surface_brightness_cut,
)
from shredfinder.cuts.sdss import sdss_quality_cut
from shredfinder.surveys import get_catalog_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from astropy.table import Table

    from shredfinder.cuts.presets import CutPreset

__all__ = ["candidate_cut", "photometry", "quality_cut"]


class _Columns:
    """The columns of one table by their roles, with the survey's marks of missing values as NaN."""

    def __init__(self, table, survey):
        self.table = table
        self.catalog = get_catalog_columns(survey)

    def has(self, role, band=None):
        return find_column(self.table, self.catalog.name(role, band), required=False) is not None

    def raw(self, role, band=None):
        return self.table[find_column(self.table, self.catalog.name(role, band))]

    def floats(self, role, band=None, unit=u.dimensionless_unscaled):
        values = to_floats(self.raw(role, band), self.catalog.name(role, band), unit)
        if self.catalog.missing is not None:
            # Files may hold the mark in single precision or rounded; no real value is near it.
            values[np.abs(values - self.catalog.missing) < 0.5] = np.nan
        return values

    def per_band(self, role, unit=u.dimensionless_unscaled, bands=None):
        return {band: self.floats(role, band, unit) for band in bands or self.catalog.bands}


def photometry(
    table: Table | np.ndarray, survey: str = "legacy-dr9", *, bands: Sequence[str] | None = None
) -> dict[str, Any]:
    """Gather what the cuts need of a survey's table, in standard units and corrected for dust.

    Parameters
    ----------
    table : `~astropy.table.Table` or structured array
        A table with the survey's own column names, in upper or lower case.
    survey : str, optional
        ``"legacy-dr9"``, ``"sdss-dr17"`` or ``"ps1-dr2"``.
    bands : sequence of str, optional
        The bands; those of the survey's quality cut by default. g and r are needed.

    Returns
    -------
    photometry : dict
        Arrays with one value per row, NaN where there is none: ``mag`` and ``mag_err``, each a
        dict by band (mag, corrected for extinction), ``r_eff`` (arcsec), ``mu_eff``, ``mu_err``
        (mag / arcsec²) and ``gr_err`` (mag).

    Raises
    ------
    KeyError
        If a column is missing, or there are several of its name in other cases.
    ValueError
        If there is no such survey.
    TypeError, astropy.units.UnitsError
        If a column holds no numbers, or is of the wrong kind.

    Notes
    -----
    Magnitudes are, for Legacy, ``dered_mag_*`` if the table has them, else from ``flux_*`` and
    ``mw_transmission_*`` or ``ebv``; for SDSS, ``dered_*``, else ``modelMag_*`` less
    ``extinction_*``; for PS1, ``*KronMag`` and ``ebv``, which the user joins to the table.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from shredfinder.cuts import photometry
    >>> table = Table({"SHAPE_R": [2.0], "SHAPE_R_IVAR": [400.0]})
    >>> for band, flux in (("G", 8.0), ("R", 16.0), ("Z", 24.0)):
    ...     table[f"FLUX_{band}"] = [flux]
    ...     table[f"FLUX_IVAR_{band}"] = [100.0]
    ...     table[f"MW_TRANSMISSION_{band}"] = [0.9]
    >>> found = photometry(table)
    >>> found["mag"]["r"].round(3), found["mu_eff"].round(3)
    (array([19.375]), array([22.876]))
    """
    columns = _Columns(table, survey)
    bands = tuple(bands or columns.catalog.bands)
    mag = {band: _dereddened(columns, survey, band) for band in bands}
    if survey == "legacy-dr9":
        mag_err = {
            band: magnitude_error(columns.raw("flux", band), columns.raw("flux_ivar", band))
            for band in bands
        }
        mag_err = {band: to_floats(error, "mag_err", u.mag) for band, error in mag_err.items()}
        r_eff = columns.floats("shape_r", unit=u.arcsec)
        mu_err = surface_brightness_error(
            mag_err["r"], r_eff, r_eff_ivar=columns.floats("shape_r_ivar", unit=u.arcsec**-2)
        )
    else:
        mag_err = columns.per_band("mag_err", u.mag, bands)
        r_eff = columns.floats("petro_r50", unit=u.arcsec)
        mu_err = surface_brightness_error(
            mag_err["r"], r_eff, r_eff_err=columns.floats("petro_r50_err", unit=u.arcsec)
        )
    return {
        "mag": mag,
        "mag_err": mag_err,
        "r_eff": r_eff,
        "mu_eff": effective_surface_brightness(mag["r"], r_eff),
        "mu_err": mu_err,
        "gr_err": color_error(mag_err["g"], mag_err["r"]),
    }


def _dereddened(columns, survey, band):
    if survey == "ps1-dr2":
        return deredden(
            columns.floats("mag", band, u.mag),
            columns.floats("ebv", unit=u.mag),
            band,
            survey=survey,
        )
    if columns.has("dered_mag", band):
        return columns.floats("dered_mag", band, u.mag)
    if survey == "sdss-dr17":
        return columns.floats("mag", band, u.mag) - columns.floats("extinction", band, u.mag)
    flux = columns.floats("flux", band, u.nmgy)
    if not columns.has("mw_transmission", band) and columns.has("ebv"):
        mag = dereddened_magnitude(flux, 1.0)
        return deredden(mag, columns.floats("ebv", unit=u.mag), band, survey=survey)
    return dereddened_magnitude(flux, columns.floats("mw_transmission", band))


def quality_cut(
    table: Table | np.ndarray,
    survey: str = "legacy-dr9",
    *,
    preset: str | CutPreset = "paper",
    **thresholds: Any,
) -> QualityResult:
    """Apply a survey's quality cut to a table with the survey's own columns.

    Parameters
    ----------
    table : `~astropy.table.Table` or structured array
        A table with the survey's own column names, in upper or lower case.
    survey : str, optional
        ``"legacy-dr9"``, ``"sdss-dr17"`` or ``"ps1-dr2"``.
    preset : str or CutPreset, optional
        One of `CUT_PRESETS`.
    **thresholds
        Thresholds of the survey's function, before those of the preset.

    Returns
    -------
    result : QualityResult
        As `legacy_quality_cut`, `sdss_quality_cut` or `ps1_quality_cut` returns it.

    Raises
    ------
    KeyError
        If a column is missing, or there are several of its name in other cases.
    ValueError
        If there is no such survey or preset.
    TypeError, astropy.units.UnitsError
        If a column holds no numbers, or is of the wrong kind.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from shredfinder.cuts import quality_cut
    >>> table = Table({"type": [3, 6], "flags_r": [0x10000000] * 2, "petroR50_r": [2.1, 1.3]})
    >>> for band in "gri":
    ...     table[f"dered_{band}"] = [18.0, 18.0]
    ...     table[f"modelMagErr_{band}"] = [0.02, 0.02]
    >>> quality_cut(table, "sdss-dr17").passed
    array([ True, False])
    """
    options = {**get_preset(preset).quality.get(survey, {}), **thresholds}
    columns = _Columns(table, survey)
    bands = tuple(options.get("bands", columns.catalog.bands))
    return _QUALITY[survey](columns, bands, options)


def _legacy(columns, bands, options):
    arguments = {"type": columns.raw("type"), "shape_r": columns.floats("shape_r", unit=u.arcsec)}
    needed = ["nobs", "fracmasked", "fracflux", "fracin"]
    # Without a limit on it, RCHISQ need not even be there.
    if not (options.get("max_rchisq", 0) is None and options.get("max_rchisq_any", 0) is None):
        needed.append("rchisq")
    for role in needed:
        arguments[role] = columns.per_band(role, bands=bands)
    arguments["allmask"] = {band: columns.raw("allmask", band) for band in bands}
    arguments["dered_mag"] = {band: _dereddened(columns, "legacy-dr9", band) for band in bands}
    arguments["mag_err"] = {
        band: magnitude_error(columns.raw("flux", band), columns.raw("flux_ivar", band))
        for band in bands
    }
    return legacy_quality_cut(**arguments, **options)


def _sdss(columns, bands, options):
    return sdss_quality_cut(
        type=columns.floats("type"),
        flags_r=columns.raw("flags_r"),
        dered_mag={band: _dereddened(columns, "sdss-dr17", band) for band in bands},
        mag_err=columns.per_band("mag_err", u.mag, bands),
        petro_r50=columns.floats("petro_r50", unit=u.arcsec),
        **options,
    )


def _ps1(columns, bands, options):
    primary = columns.floats("primary_detection") if columns.has("primary_detection") else None
    return ps1_quality_cut(
        quality_flag=columns.raw("quality_flag"),
        n_detections=columns.floats("n_detections"),
        primary_detection=primary,
        psf_mag=columns.floats("psf_mag", unit=u.mag),
        kron_mag=columns.floats("kron_mag", unit=u.mag),
        dered_mag={band: _dereddened(columns, "ps1-dr2", band) for band in bands},
        mag_err=columns.per_band("mag_err", u.mag, bands),
        petro_r50=columns.floats("petro_r50", unit=u.arcsec),
        **options,
    )


_QUALITY = {"legacy-dr9": _legacy, "sdss-dr17": _sdss, "ps1-dr2": _ps1}


def candidate_cut(
    table: Table | np.ndarray, survey: str = "legacy-dr9", *, preset: str | CutPreset = "paper"
) -> QualityResult:
    """Apply the quality cut and the SAGA cut to a table with the survey's own columns.

    Parameters
    ----------
    table : `~astropy.table.Table` or structured array
        A table with the survey's own column names, in upper or lower case.
    survey : str, optional
        ``"legacy-dr9"``, ``"sdss-dr17"`` or ``"ps1-dr2"``.
    preset : str or CutPreset, optional
        One of `CUT_PRESETS`.

    Returns
    -------
    result : QualityResult
        The criteria of `quality_cut`, then ``r_mag``, ``surface_brightness`` and ``color``, which
        are the three parts of `saga_cut`.

    Raises
    ------
    KeyError, ValueError, TypeError, astropy.units.UnitsError
        As `quality_cut` and `photometry`.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from shredfinder.cuts import candidate_cut
    >>> table = Table({"type": [3, 3], "flags_r": [0x10000000] * 2, "petroR50_r": [2.5, 2.5],
    ...                "petroR50Err_r": [0.1, 0.1]})
    >>> for band, mags in (("g", [20.4, 22.4]), ("r", [20.0, 22.0]), ("i", [19.8, 21.8])):
    ...     table[f"dered_{band}"] = mags
    ...     table[f"modelMagErr_{band}"] = [0.02, 0.05]
    >>> result = candidate_cut(table, "sdss-dr17")
    >>> result.passed
    array([ True, False])
    >>> result.n_removed["r_mag"]
    1
    """
    limits = {
        "r_max": 21.0,
        "sb_slope": 0.7,
        "sb_limit": 18.5,
        "color_slope": 0.06,
        "color_limit": 0.90,
        **get_preset(preset).saga,
    }
    found = photometry(table, survey)
    r_mag = found["mag"]["r"]
    with np.errstate(invalid="ignore"):
        bright = verdict(r_mag <= to_value(limits["r_max"], "r_max", u.mag))
    saga = QualityResult(
        {
            "r_mag": bright,
            "surface_brightness": saga_surface_brightness_cut(
                r_mag,
                found["mu_eff"],
                found["mu_err"],
                slope=limits["sb_slope"],
                limit=limits["sb_limit"],
            ),
            "color": saga_color_cut(
                found["mag"]["g"],
                r_mag,
                found["gr_err"],
                slope=limits["color_slope"],
                limit=limits["color_limit"],
            ),
        }
    )
    return quality_cut(table, survey, preset=preset).and_also(saga)
