"""Errors of magnitudes, colours and surface brightnesses, propagated to first order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u

from shredfinder._utils.units import to_floats, with_unit

if TYPE_CHECKING:
    from shredfinder._utils.types import QuantityLike, ScalarOrArray

__all__ = ["color_error", "magnitude_error", "surface_brightness_error"]

# d(mag)/d(ln flux) and d(mu)/d(ln radius).
_MAG_PER_LN = 2.5 / np.log(10.0)  # 1.0857
_MU_PER_LN_R = 5.0 / np.log(10.0)  # 2.17147


def magnitude_error(flux: QuantityLike, flux_ivar: QuantityLike) -> ScalarOrArray:
    r"""Error of a magnitude from a flux and its inverse variance.

    .. math:: \sigma_m = \frac{2.5}{\ln 10} \frac{1}{F \sqrt{w}} = \frac{1.0857}{F \sqrt{w}}

    with the flux F and its inverse variance w. Extinction does not change it: it scales the flux
    and its error alike.

    Parameters
    ----------
    flux : float, array_like or `~astropy.units.Quantity`
        Flux in any linear unit, such as the nanomaggies of Legacy's ``FLUX_R``.
    flux_ivar : float, array_like or `~astropy.units.Quantity`
        Its inverse variance, in the flux's unit to the power -2 (``FLUX_IVAR_R``).

    Returns
    -------
    error : float, `~numpy.ndarray` or `~astropy.units.Quantity`
        Error in mag, of the inputs' broadcast shape. NaN where the flux or the inverse variance
        is zero, negative, masked or not finite: there is no magnitude then, or no known error.

    Raises
    ------
    astropy.units.UnitsError
        If both have units and ``flux**2 * flux_ivar`` is not a pure number.
    TypeError
        If an argument does not hold numbers.

    Notes
    -----
    The usual first-order propagation; the paper's σ(magnitude), arXiv:2301.09648, section 3.1.

    Examples
    --------
    >>> from shredfinder.cuts import magnitude_error
    >>> round(magnitude_error(10.0, 4.0), 4)
    0.0543
    """
    flux_unit = _linear_unit(flux, "flux")
    ivar_unit = _linear_unit(flux_ivar, "flux_ivar")
    factor = 1.0
    if flux_unit is not None and ivar_unit is not None:
        try:
            factor = (flux_unit**2 * ivar_unit).to(u.dimensionless_unscaled)
        except u.UnitsError:
            raise u.UnitsError(
                f"flux_ivar must be in the unit of flux to the power -2, {flux_unit**-2}: "
                f"got {ivar_unit}"
            ) from None
    flux_values = to_floats(flux, "flux", *_own_unit(flux))
    ivar = to_floats(flux_ivar, "flux_ivar", *_own_unit(flux_ivar)) * factor
    with np.errstate(all="ignore"):
        error = _MAG_PER_LN / (flux_values * np.sqrt(ivar))
        good = (flux_values > 0) & (ivar > 0) & np.isfinite(error) & (error > 0)
    return with_unit(np.where(good, error, np.nan), u.mag, flux, flux_ivar)


def _linear_unit(value, name):
    """Return the unit of a flux, or None where it has none that can be computed with."""
    unit = getattr(value, "unit", None)
    if unit is None or isinstance(unit, u.UnrecognizedUnit):
        return None
    unit = u.Unit(unit, parse_strict="silent") if isinstance(unit, str) else unit
    if isinstance(unit, u.UnrecognizedUnit):
        return None
    if isinstance(unit, u.function.FunctionUnitBase) or unit.is_equivalent(u.mag):
        raise u.UnitsError(f"{name} must be in a linear unit of flux: got {unit}")
    return unit


def _own_unit(value):
    """Let a value of any unit through the gate with its own numbers."""
    unit = getattr(value, "unit", None)
    if unit is None:
        return ()
    return (u.Unit(unit, parse_strict="silent") if isinstance(unit, str) else unit,)


def color_error(first_err: QuantityLike, second_err: QuantityLike) -> ScalarOrArray:
    r"""Error of a colour from those of its two magnitudes.

    .. math:: \sigma_{gr} = \sqrt{\sigma_g^2 + \sigma_r^2}

    Parameters
    ----------
    first_err, second_err : float, array_like or `~astropy.units.Quantity`
        Errors of the magnitudes, in mag.

    Returns
    -------
    error : float, `~numpy.ndarray` or `~astropy.units.Quantity`
        Error of the colour in mag, of the inputs' broadcast shape. NaN where either error is
        negative, masked or not finite.

    Raises
    ------
    TypeError, astropy.units.UnitsError
        If an argument does not hold numbers, or is of another kind than magnitudes.

    Notes
    -----
    Takes the two errors to be independent, as the survey's catalogues give no covariance.

    Examples
    --------
    >>> from shredfinder.cuts import color_error
    >>> round(color_error(0.03, 0.04), 3)
    0.05
    """
    first = _error(to_floats(first_err, "first_err", u.mag))
    second = _error(to_floats(second_err, "second_err", u.mag))
    return with_unit(np.hypot(first, second), u.mag, first_err, second_err)


def surface_brightness_error(
    r_err: QuantityLike,
    r_eff: QuantityLike,
    *,
    r_eff_err: QuantityLike | None = None,
    r_eff_ivar: QuantityLike | None = None,
) -> ScalarOrArray:
    r"""Error of the effective surface brightness.

    .. math:: \sigma_\mu = \sqrt{\sigma_r^2 + \left(\frac{5}{\ln 10}
              \frac{\sigma_R}{R}\right)^2}, \qquad \frac{5}{\ln 10} = 2.17147

    which follows from μ = r + 2.5 log10(2π R²) = r + 5 log10(R) + const.

    Parameters
    ----------
    r_err : float, array_like or `~astropy.units.Quantity`
        Error of the r magnitude, in mag. For SDSS: ``modelMagErr_r``.
    r_eff : float, array_like or `~astropy.units.Quantity`
        Half-light radius; arcsec, or another angle as a Quantity. Legacy: ``SHAPE_R``; SDSS:
        ``petroR50_r``; PS1: ``rpetR50``.
    r_eff_err : float, array_like or `~astropy.units.Quantity`, optional
        Error of the radius, in arcsec or as a Quantity. SDSS: ``petroR50Err_r``; PS1:
        ``rpetR50Err``.
    r_eff_ivar : float, array_like or `~astropy.units.Quantity`, optional
        Inverse variance of the radius, in arcsec**-2 or as a Quantity. Legacy:
        ``SHAPE_R_IVAR``. Exactly one of ``r_eff_err`` and ``r_eff_ivar`` is given.

    Returns
    -------
    error : float, `~numpy.ndarray` or `~astropy.units.Quantity`
        Error in mag (that is, in mag per square arcsec), of the inputs' broadcast shape. NaN
        where the radius or the inverse variance is not positive, where an error is negative (as
        SDSS marks failures), and where anything is masked or not finite.

    Raises
    ------
    TypeError
        If neither or both of ``r_eff_err`` and ``r_eff_ivar`` are given, or one holds no numbers.
    astropy.units.UnitsError
        If an argument is of the wrong kind.

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
            "give the error of the radius once, as r_eff_err or as r_eff_ivar: got "
            + ("neither" if r_eff_err is None else "both")
        )
    mag_error = _error(to_floats(r_err, "r_err", u.mag))
    radius = to_floats(r_eff, "r_eff", u.arcsec)
    given = r_eff_err if r_eff_ivar is None else r_eff_ivar
    with np.errstate(all="ignore"):
        if r_eff_ivar is None:
            radius_error = _error(to_floats(r_eff_err, "r_eff_err", u.arcsec))
        else:
            ivar = to_floats(r_eff_ivar, "r_eff_ivar", u.arcsec**-2)
            radius_error = np.where(ivar > 0, 1.0 / np.sqrt(ivar), np.nan)
        error = np.hypot(mag_error, _MU_PER_LN_R * radius_error / radius)
        good = (radius > 0) & np.isfinite(radius) & np.isfinite(error)
    return with_unit(np.where(good, error, np.nan), u.mag, r_err, r_eff, given)


def _error(values):
    """Take negative and infinite errors for what they are: unknown."""
    with np.errstate(invalid="ignore"):
        return np.where((values >= 0) & np.isfinite(values), values, np.nan)
