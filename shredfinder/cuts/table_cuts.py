"""Cuts on tables: find the survey's columns and pass them to the cuts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u

from shredfinder._utils.columns import find_column
from shredfinder._utils.units import to_floats, to_value, verdict
from shredfinder.cuts.criteria import QualityResult, get_preset
from shredfinder.cuts.magnitudes import (
    color_error,
    deredden,
    dereddened_magnitude,
    magnitude_error,
    surface_brightness_error,
)
from shredfinder.cuts.quality import legacy_quality_cut, ps1_quality_cut, sdss_quality_cut
from shredfinder.cuts.saga import (
    effective_surface_brightness,
    saga_color_cut,
    saga_surface_brightness_cut,
)
from shredfinder.cuts.saga_quality import WISE_BANDS, saga_dr3_quality_cut
from shredfinder.surveys import (
    DEFAULT_SURVEY,
    CatalogPreset,
    get_catalog_preset,
    get_survey,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from astropy.table import Table

    from shredfinder.cuts.criteria import CutPreset

__all__ = ["candidate_cut", "photometry", "quality_cut"]

_PM = u.mas / u.yr


class _Columns:
    """Columns of a table by role, with the survey's marks of missing values replaced by NaN."""

    def __init__(self, table: Table | np.ndarray, catalog: CatalogPreset) -> None:
        self.table = table
        self.catalog = catalog

    def has(self, role: str, band: str | None = None) -> bool:
        # Roles that this survey does not have at all.
        if role not in self.catalog.names:
            return False
        return find_column(self.table, self.catalog.name(role, band), required=False) is not None

    def raw(self, role: str, band: str | None = None) -> Any:
        return self.table[find_column(self.table, self.catalog.name(role, band))]

    def floats(
        self, role: str, band: str | None = None, unit: u.UnitBase = u.dimensionless_unscaled
    ) -> np.ndarray:
        values = to_floats(self.raw(role, band), self.catalog.name(role, band), unit)
        if self.catalog.missing is not None:
            # Files may hold the mark rounded or in single precision. No real value is near it.
            values[np.abs(values - self.catalog.missing) < 0.5] = np.nan
        return values

    def per_band(
        self, role: str, bands: Sequence[str], unit: u.UnitBase = u.dimensionless_unscaled
    ) -> dict[str, np.ndarray]:
        return {band: self.floats(role, band, unit) for band in bands}

    def magnitudes(self, bands: Sequence[str]) -> dict[str, np.ndarray]:
        """Return extinction-corrected magnitudes from whichever columns the table has."""
        return {band: self._magnitude(band) for band in bands}

    def _magnitude(self, band: str) -> np.ndarray:
        # The catalogue's own correction takes precedence over one from E(B-V).
        if self.has("dered_mag", band):
            return self.floats("dered_mag", band, u.mag)
        if "mag" in self.catalog.names:
            mag = self.floats("mag", band, u.mag)
            if "extinction" in self.catalog.names:
                return mag - self.floats("extinction", band, u.mag)
        else:
            flux = self.floats("flux", band, u.nmgy)
            # Without either column, the error names the transmission.
            if self.has("mw_transmission", band) or not self.has("ebv"):
                return dereddened_magnitude(flux, self.floats("mw_transmission", band))
            mag = dereddened_magnitude(flux, 1.0)
        return deredden(mag, self.floats("ebv", unit=u.mag), band, survey=self.catalog.survey)

    def magnitude_errors(self, bands: Sequence[str]) -> dict[str, np.ndarray]:
        """Return the errors of the magnitudes: a column, or from flux and inverse variance."""
        if "mag_err" in self.catalog.names:
            return self.per_band("mag_err", bands, u.mag)
        errors = {
            band: magnitude_error(self.raw("flux", band), self.raw("flux_ivar", band))
            for band in bands
        }
        return {band: to_floats(error, "mag_err", u.mag) for band, error in errors.items()}


def photometry(
    table: Table | np.ndarray,
    survey: str | CatalogPreset = DEFAULT_SURVEY,
    *,
    bands: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Compute the quantities that the cuts use, in standard units and corrected for extinction.

    Parameters
    ----------
    table : `~astropy.table.Table` or structured array
        A table with the survey's column names, in upper or lower case.
    survey : str or `~shredfinder.surveys.CatalogPreset`, optional
        Name or alias of the survey, or a catalogue with other column names.
    bands : sequence of str, optional
        Bands, by default the bands of the survey's quality cut. They must include g and r.

    Returns
    -------
    photometry : dict
        Arrays of shape ``(n,)``, NaN where a value is missing: ``mag`` and ``mag_err``, each a
        dict by band (mag, corrected for extinction), ``r_eff`` (arcsec), ``mu_eff``, ``mu_err``
        (mag / arcsec²) and ``gr_err`` (mag).

    Raises
    ------
    KeyError
        If a column is missing, or several columns differ only in case.
    ValueError
        If the survey is unknown.
    TypeError, astropy.units.UnitsError
        If a column is not numeric, or has the wrong unit.

    Notes
    -----
    Magnitudes are, for Legacy, ``dered_mag_*`` if the table has them, otherwise computed from
    ``flux_*`` and ``mw_transmission_*`` or ``ebv``; for SDSS, ``dered_*``, otherwise
    ``modelMag_*`` minus ``extinction_*``; for PS1, ``*KronMag`` and ``ebv``, which the user joins
    to the table.

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
    columns = _Columns(table, get_catalog_preset(survey))
    bands = tuple(bands or columns.catalog.bands)
    # Errors do not depend on the extinction, which scales flux and error alike.
    mag, mag_err = columns.magnitudes(bands), columns.magnitude_errors(bands)
    # Legacy gives an inverse variance of the radius, SDSS and PS1 an error.
    if "shape_r" in columns.catalog.names:
        r_eff = columns.floats("shape_r", unit=u.arcsec)
        ivar = columns.floats("shape_r_ivar", unit=u.arcsec**-2)
        mu_err = surface_brightness_error(mag_err["r"], r_eff, r_eff_ivar=ivar)
    else:
        r_eff = columns.floats("petro_r50", unit=u.arcsec)
        error = columns.floats("petro_r50_err", unit=u.arcsec)
        mu_err = surface_brightness_error(mag_err["r"], r_eff, r_eff_err=error)
    return {
        "mag": mag,
        "mag_err": mag_err,
        "r_eff": r_eff,
        "mu_eff": effective_surface_brightness(mag["r"], r_eff),
        "mu_err": mu_err,
        "gr_err": color_error(mag_err["g"], mag_err["r"]),
    }


def quality_cut(
    table: Table | np.ndarray,
    survey: str | CatalogPreset = DEFAULT_SURVEY,
    *,
    preset: str | CutPreset = "paper",
    **thresholds: Any,
) -> QualityResult:
    """Apply a survey's quality cut to a table with the survey's columns.

    Parameters
    ----------
    table : `~astropy.table.Table` or structured array
        A table with the survey's column names, in upper or lower case.
    survey : str or `~shredfinder.surveys.CatalogPreset`, optional
        Name or alias of the survey, or a catalogue with other column names.
    preset : str or CutPreset, optional
        One of `CUT_PRESETS`.
    **thresholds
        Thresholds of the survey's quality cut. They take precedence over the preset's.

    Returns
    -------
    result : QualityResult
        The result of `legacy_quality_cut`, `sdss_quality_cut`, `ps1_quality_cut` or, with the
        preset ``"saga-dr3"``, `saga_dr3_quality_cut`, which uses WISE's columns (``flux_w1``,
        ``flux_ivar_w1``, ``rchisq_w1``, ...) and proper motions (``pmra``, ``pmra_ivar``, ...)
        where the table has them.

    Raises
    ------
    KeyError
        If a column is missing, or several columns differ only in case.
    ValueError
        If the survey or the preset is unknown.
    TypeError, astropy.units.UnitsError
        If a column is not numeric, or has the wrong unit.

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
    # Precedence: keyword arguments, then the preset, then the survey's defaults.
    catalog, chosen = get_catalog_preset(survey), get_preset(preset)
    known = get_survey(catalog.survey)
    options = chosen.quality_thresholds(known) | thresholds
    bands = tuple(options.setdefault("bands", catalog.bands))
    criteria = chosen.other_criteria(known) or catalog.criteria
    if criteria not in _QUALITY_CUTS:
        raise ValueError(
            f"the cut preset {chosen.name!r} has unknown criteria {criteria!r}: choose one of "
            f"{', '.join(_QUALITY_CUTS)}"
        )
    return _QUALITY_CUTS[criteria](_Columns(table, catalog), bands, options)


def _cut_legacy(columns: _Columns, bands: Sequence[str], options: dict[str, Any]) -> QualityResult:
    roles = ["nobs", "fracmasked", "fracflux", "fracin"]
    # RCHISQ may be absent if nothing limits it.
    if options["max_rchisq"] is not None or options["max_rchisq_any"] is not None:
        roles.append("rchisq")
    measured: dict[str, Any] = {role: columns.per_band(role, bands) for role in roles}
    return legacy_quality_cut(
        type=columns.raw("type"),
        shape_r=columns.floats("shape_r", unit=u.arcsec),
        allmask={band: columns.raw("allmask", band) for band in bands},
        dered_mag=columns.magnitudes(bands),
        mag_err=columns.magnitude_errors(bands),
        **measured,
        **options,
    )


def _cut_saga_dr3(
    columns: _Columns, bands: Sequence[str], options: dict[str, Any]
) -> QualityResult:
    measured: dict[str, Any] = {
        role: columns.per_band(role, bands) for role in ("flux_ivar", "fracflux", "rchisq")
    }
    wise = options.setdefault("wise_bands", WISE_BANDS)
    # WISE's columns and the proper motions are used where the table has them.
    if all(columns.has(role, band) for role in ("flux", "flux_ivar", "rchisq") for band in wise):
        for role in ("flux", "flux_ivar", "rchisq"):
            measured[f"wise_{role}"] = columns.per_band(role, wise)
    motions = [
        np.abs(to_floats(columns.raw(name), name, _PM))
        * np.sqrt(to_floats(columns.raw(f"{name}_ivar"), f"{name}_ivar", _PM**-2))
        for name in ("pmra", "pmdec")
        if all(find_column(columns.table, n, required=False) for n in (name, f"{name}_ivar"))
    ]
    if motions:
        measured["proper_motion"] = np.fmax.reduce(motions)
    if columns.has("ref_cat"):
        measured["ref_cat"] = columns.raw("ref_cat")
    return saga_dr3_quality_cut(
        type=columns.raw("type"),
        shape_r=columns.floats("shape_r", unit=u.arcsec),
        r_mag=columns.magnitudes(["r"])["r"],
        flux=columns.per_band("flux", bands, u.nmgy),
        allmask={band: columns.raw("allmask", band) for band in bands},
        **measured,
        **options,
    )


def _cut_sdss(columns: _Columns, bands: Sequence[str], options: dict[str, Any]) -> QualityResult:
    return sdss_quality_cut(
        type=columns.floats("type"),
        flags_r=columns.raw("flags_r"),
        dered_mag=columns.magnitudes(bands),
        mag_err=columns.magnitude_errors(bands),
        petro_r50=columns.floats("petro_r50", unit=u.arcsec),
        **options,
    )


def _cut_ps1(columns: _Columns, bands: Sequence[str], options: dict[str, Any]) -> QualityResult:
    # Without the column, the criterion is left out.
    primary = columns.floats("primary_detection") if columns.has("primary_detection") else None
    return ps1_quality_cut(
        quality_flag=columns.raw("quality_flag"),
        n_detections=columns.floats("n_detections"),
        primary_detection=primary,
        psf_mag=columns.floats("psf_mag", unit=u.mag),
        kron_mag=columns.floats("kron_mag", unit=u.mag),
        dered_mag=columns.magnitudes(bands),
        mag_err=columns.magnitude_errors(bands),
        petro_r50=columns.floats("petro_r50", unit=u.arcsec),
        **options,
    )


_QUALITY_CUTS = {
    "legacy": _cut_legacy,
    "saga-dr3": _cut_saga_dr3,
    "sdss": _cut_sdss,
    "ps1": _cut_ps1,
}


def candidate_cut(
    table: Table | np.ndarray,
    survey: str | CatalogPreset = DEFAULT_SURVEY,
    *,
    preset: str | CutPreset = "paper",
) -> QualityResult:
    """Apply the quality cut and the SAGA cut to a table with the survey's columns.

    Parameters
    ----------
    table : `~astropy.table.Table` or structured array
        A table with the survey's column names, in upper or lower case.
    survey : str or `~shredfinder.surveys.CatalogPreset`, optional
        Name or alias of the survey, or a catalogue with other column names.
    preset : str or CutPreset, optional
        One of `CUT_PRESETS`.

    Returns
    -------
    result : QualityResult
        The criteria of `quality_cut`, then ``r_mag``, ``surface_brightness`` and ``color``, the
        three parts of `saga_cut`.

    Raises
    ------
    KeyError, ValueError, TypeError, astropy.units.UnitsError
        As for `quality_cut` and `photometry`.

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
    # The parts of saga_cut one by one, so that the result counts what each removes.
    limits = get_preset(preset).saga_thresholds
    found = photometry(table, survey)
    g_mag, r_mag = found["mag"]["g"], found["mag"]["r"]
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
                g_mag,
                r_mag,
                found["gr_err"],
                slope=limits["color_slope"],
                limit=limits["color_limit"],
            ),
        }
    )
    return quality_cut(table, survey, preset=preset).and_also(saga)
