"""Extinction-corrected magnitudes, and the uncertainties of magnitudes and colours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u

from shredfinder._utils.units import to_floats, with_unit
from shredfinder.surveys import DEFAULT_SURVEY, get_survey

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from shredfinder._utils.validation import QuantityLike, ScalarOrArray

__all__ = [
    "color_error",
    "deredden",
    "dereddened_magnitude",
    "extinction",
    "magnitude_error",
    "surface_brightness_error",
]

# d(mag)/d(ln flux) and d(mu)/d(ln radius).
_MAG_PER_LN = 2.5 / np.log(10.0)  # 1.0857
_MU_PER_LN_R = 5.0 / np.log(10.0)  # 2.17147


def extinction(ebv: QuantityLike, band: str, *, survey: str = DEFAULT_SURVEY) -> ScalarOrArray:
    r"""Compute the Milky Way's extinction in a band of a survey.

    .. math:: A = k \, E(B-V)

    Parameters
    ----------
    ebv : float, array_like or `~astropy.units.Quantity`
        E(B-V) of Schlegel, Finkbeiner & Davis (1998) in mag, **not** rescaled: the coefficients
        of Schlafly & Finkbeiner (2011) include their factor of 0.86.
    band : str
        Band, such as ``"r"``.
    survey : str, optional
        Name or alias of the survey, such as ``"sdss"``.

    Returns
    -------
    extinction : float, `~numpy.ndarray` or `~astropy.units.Quantity`
        A in mag; NaN where ``ebv`` is masked.

    Raises
    ------
    ValueError
        If the survey or the band is unknown.
    TypeError, astropy.units.UnitsError
        If ``ebv`` is not numeric, or has the wrong unit.

    Notes
    -----
    The coefficients k and their sources are in ``get_survey(survey).extinction``.

    Examples
    --------
    >>> from shredfinder.cuts import extinction
    >>> round(extinction(0.1, "r"), 4)
    0.2165
    >>> round(extinction(0.1, "r", survey="ps1"), 4)
    0.2271
    """
    coefficient = _coefficient(band, survey)
    return with_unit(coefficient * to_floats(ebv, "ebv", u.mag), u.mag, ebv)


def deredden(
    mag: QuantityLike, ebv: QuantityLike, band: str, *, survey: str = DEFAULT_SURVEY
) -> ScalarOrArray:
    """Correct a magnitude for the Milky Way's extinction.

    Parameters
    ----------
    mag : float, array_like or `~astropy.units.Quantity`
        Observed magnitude in mag.
    ebv, band, survey
        See `extinction`.

    Returns
    -------
    mag : float, `~numpy.ndarray` or `~astropy.units.Quantity`
        ``mag - extinction(ebv, band, survey=survey)``; NaN where an input is masked.

    Raises
    ------
    ValueError, TypeError, astropy.units.UnitsError
        As for `extinction`.

    Examples
    --------
    >>> from shredfinder.cuts import deredden
    >>> round(deredden(20.0, 0.1, "g"), 4)
    19.6786
    """
    coefficient = _coefficient(band, survey)
    corrected = to_floats(mag, "mag", u.mag) - coefficient * to_floats(ebv, "ebv", u.mag)
    return with_unit(corrected, u.mag, mag, ebv)


def _coefficient(band: str, survey: str) -> float:
    known = get_survey(survey)
    try:
        return known.extinction[band]
    except (KeyError, TypeError):
        raise ValueError(
            f"no extinction coefficient is known for band {band!r} of {known.name}: choose one of "
            f"{', '.join(known.extinction)}"
        ) from None


def dereddened_magnitude(flux: QuantityLike, mw_transmission: ArrayLike) -> ScalarOrArray:
    r"""Compute a dereddened magnitude from a flux and the Milky Way's transmission.

    .. math:: m = 22.5 - 2.5 \log_{10} (F / T)

    Parameters
    ----------
    flux : float, array_like or `~astropy.units.Quantity`
        Flux F in nanomaggies, or in a unit that converts to them (Legacy: ``FLUX_R``).
    mw_transmission : float or array_like
        Transmission T through the Milky Way's dust, 0 to 1 (``MW_TRANSMISSION_R``).

    Returns
    -------
    mag : float, `~numpy.ndarray` or `~astropy.units.Quantity`
        AB magnitude in mag; NaN where the flux or the transmission is not positive, masked or
        not finite.

    Raises
    ------
    TypeError, astropy.units.UnitsError
        If an argument is not numeric, or has the wrong unit.

    Notes
    -----
    Source: the Legacy Surveys' catalogue description. This is the database's ``dered_mag_*``,
    which sweep and Tractor files lack.

    Examples
    --------
    >>> from shredfinder.cuts import dereddened_magnitude
    >>> round(dereddened_magnitude(10.0, 1.0), 6)
    20.0
    """
    values = to_floats(flux, "flux", u.nmgy)
    transmission = to_floats(mw_transmission, "mw_transmission")
    with np.errstate(all="ignore"):
        # 22.5 is the AB magnitude of one nanomaggy.
        mag = 22.5 - 2.5 * np.log10(values / transmission)
        good = (values > 0) & (transmission > 0) & np.isfinite(mag)
    return with_unit(np.where(good, mag, np.nan), u.mag, flux)


def magnitude_error(flux: QuantityLike, flux_ivar: QuantityLike) -> ScalarOrArray:
    r"""Compute the error of a magnitude from a flux and its inverse variance.

    .. math:: \sigma_m = \frac{2.5}{\ln 10} \frac{1}{F \sqrt{w}} = \frac{1.0857}{F \sqrt{w}}

    with the flux F and its inverse variance w. Extinction leaves it unchanged: it scales the flux
    and its error alike.

    Parameters
    ----------
    flux : float, array_like or `~astropy.units.Quantity`
        Flux in any linear unit, such as the nanomaggies of Legacy's ``FLUX_R``.
    flux_ivar : float, array_like or `~astropy.units.Quantity`
        Inverse variance in the flux's unit to the power -2 (``FLUX_IVAR_R``).

    Returns
    -------
    error : float, `~numpy.ndarray` or `~astropy.units.Quantity`
        Error in mag, of the inputs' broadcast shape. NaN where the flux or the inverse variance
        is zero, negative, masked or not finite.

    Raises
    ------
    astropy.units.UnitsError
        If both have units and ``flux**2 * flux_ivar`` is not dimensionless.
    TypeError
        If an argument is not numeric.

    Notes
    -----
    First-order error propagation: σ(magnitude) of arXiv:2301.09648, section 3.1.

    Examples
    --------
    >>> from shredfinder.cuts import magnitude_error
    >>> round(magnitude_error(10.0, 4.0), 4)
    0.0543
    """
    # Catalogues give both without units; if both have one, they must belong together.
    flux_unit = _linear_unit(flux, "flux")
    ivar_unit = _linear_unit(flux_ivar, "flux_ivar")
    factor = 1.0
    if flux_unit is not None and ivar_unit is not None:
        try:
            # 1 if the units match; a power of ten for, say, nanomaggies and maggies.
            factor = (flux_unit**2 * ivar_unit).to(u.dimensionless_unscaled)
        except u.UnitsError:
            raise u.UnitsError(
                f"flux_ivar must be in the unit of flux to the power -2, {flux_unit**-2}: "
                f"got {ivar_unit}"
            ) from None
    # The units were checked together, so each array keeps its own here.
    flux_values = to_floats(flux, "flux", *_own_unit(flux))
    ivar = to_floats(flux_ivar, "flux_ivar", *_own_unit(flux_ivar)) * factor
    with np.errstate(all="ignore"):
        error = _MAG_PER_LN / (flux_values * np.sqrt(ivar))
        # A flux of zero or less has no magnitude; an infinite inverse variance is no measurement.
        good = (flux_values > 0) & (ivar > 0) & np.isfinite(error) & (error > 0)
    return with_unit(np.where(good, error, np.nan), u.mag, flux, flux_ivar)


def _linear_unit(value: QuantityLike, name: str) -> u.UnitBase | None:
    """Return the unit of a flux, or None if it has no known unit."""
    unit = getattr(value, "unit", None)
    if isinstance(unit, str):
        unit = u.Unit(unit, parse_strict="silent")
    if unit is None or isinstance(unit, u.UnrecognizedUnit):
        return None
    if isinstance(unit, u.function.FunctionUnitBase) or unit.is_equivalent(u.mag):
        raise u.UnitsError(f"{name} must be in a linear unit of flux: got {unit}")
    return unit


def _own_unit(value: QuantityLike) -> tuple[u.UnitBase, ...]:
    """Return the unit that `to_floats` has to accept so that the values stay unscaled."""
    unit = getattr(value, "unit", None)
    if unit is None:
        return ()
    return (u.Unit(unit, parse_strict="silent") if isinstance(unit, str) else unit,)


def color_error(first_err: QuantityLike, second_err: QuantityLike) -> ScalarOrArray:
    r"""Compute the error of a colour from the errors of its two magnitudes.

    .. math:: \sigma_{gr} = \sqrt{\sigma_g^2 + \sigma_r^2}

    Parameters
    ----------
    first_err, second_err : float, array_like or `~astropy.units.Quantity`
        Errors of the magnitudes in mag.

    Returns
    -------
    error : float, `~numpy.ndarray` or `~astropy.units.Quantity`
        Error of the colour in mag, of the inputs' broadcast shape. NaN where either error is
        negative, masked or not finite.

    Raises
    ------
    TypeError, astropy.units.UnitsError
        If an argument is not numeric, or has the wrong unit.

    Notes
    -----
    The errors are assumed to be independent: the catalogues give no covariance.

    Examples
    --------
    >>> from shredfinder.cuts import color_error
    >>> round(color_error(0.03, 0.04), 3)
    0.05
    """
    first = _valid_errors(to_floats(first_err, "first_err", u.mag))
    second = _valid_errors(to_floats(second_err, "second_err", u.mag))
    return with_unit(np.hypot(first, second), u.mag, first_err, second_err)


def surface_brightness_error(
    r_err: QuantityLike,
    r_eff: QuantityLike,
    *,
    r_eff_err: QuantityLike | None = None,
    r_eff_ivar: QuantityLike | None = None,
) -> ScalarOrArray:
    r"""Compute the error of the effective surface brightness.

    .. math:: \sigma_\mu = \sqrt{\sigma_r^2 + \left(\frac{5}{\ln 10}
              \frac{\sigma_R}{R}\right)^2}, \qquad \frac{5}{\ln 10} = 2.17147

    which follows from μ = r + 2.5 log10(2π R²) = r + 5 log10(R) + const.

    Parameters
    ----------
    r_err : float, array_like or `~astropy.units.Quantity`
        Error of the r magnitude in mag (SDSS: ``modelMagErr_r``).
    r_eff : float, array_like or `~astropy.units.Quantity`
        Half-light radius in arcsec, or another angle as a Quantity. Legacy: ``SHAPE_R``; SDSS:
        ``petroR50_r``; PS1: ``rpetR50``.
    r_eff_err : float, array_like or `~astropy.units.Quantity`, optional
        Error of the radius in arcsec. SDSS: ``petroR50Err_r``; PS1: ``rpetR50Err``.
    r_eff_ivar : float, array_like or `~astropy.units.Quantity`, optional
        Inverse variance of the radius in arcsec**-2. Legacy: ``SHAPE_R_IVAR``. Pass exactly one
        of ``r_eff_err`` and ``r_eff_ivar``.

    Returns
    -------
    error : float, `~numpy.ndarray` or `~astropy.units.Quantity`
        Error in mag (that is, in mag / arcsec²), of the inputs' broadcast shape. NaN where the
        radius or the inverse variance is not positive, where an error is negative (SDSS's mark of
        a failed fit), and where anything is masked or not finite.

    Raises
    ------
    TypeError
        If neither or both of ``r_eff_err`` and ``r_eff_ivar`` are given, or one is not numeric.
    astropy.units.UnitsError
        If an argument has the wrong unit.

    Notes
    -----
    The paper uses σ_μ without a formula (arXiv:2301.09648, section 3.1). For SDSS this is SAGA's
    selection: sqrt(modelMagErr_r² + (2.17147 petroR50Err_r / petroR50_r)²).

    Examples
    --------
    >>> from shredfinder.cuts import surface_brightness_error
    >>> round(surface_brightness_error(0.03, 2.0, r_eff_err=0.1), 4)
    0.1126
    >>> round(surface_brightness_error(0.03, 2.0, r_eff_ivar=100.0), 4)
    0.1126
    """
    if (r_eff_err is None) == (r_eff_ivar is None):
        raise TypeError(
            "pass the error of the radius either as r_eff_err or as r_eff_ivar: got "
            + ("neither" if r_eff_err is None else "both")
        )
    mag_error = _valid_errors(to_floats(r_err, "r_err", u.mag))
    radius = to_floats(r_eff, "r_eff", u.arcsec)
    given = r_eff_err if r_eff_ivar is None else r_eff_ivar
    with np.errstate(all="ignore"):
        if r_eff_ivar is None:
            radius_error = _valid_errors(to_floats(r_eff_err, "r_eff_err", u.arcsec))
        else:
            ivar = to_floats(r_eff_ivar, "r_eff_ivar", u.arcsec**-2)
            # An inverse variance of zero marks a radius that was not fitted.
            radius_error = np.where(ivar > 0, 1.0 / np.sqrt(ivar), np.nan)
        error = np.hypot(mag_error, _MU_PER_LN_R * radius_error / radius)
        good = (radius > 0) & np.isfinite(radius) & np.isfinite(error)
    return with_unit(np.where(good, error, np.nan), u.mag, r_err, r_eff, given)


def _valid_errors(values: np.ndarray) -> np.ndarray:
    """Replace negative and infinite errors by NaN."""
    with np.errstate(invalid="ignore"):
        return np.where((values >= 0) & np.isfinite(values), values, np.nan)
