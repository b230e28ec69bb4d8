"""The SAGA survey's cuts in surface brightness, colour and magnitude."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u

from shredfinder._utils.units import to_floats, to_value, verdict, with_unit
from shredfinder.surveys import SAGA_THRESHOLDS

if TYPE_CHECKING:
    from astropy.units import Quantity

    from shredfinder._utils.validation import QuantityLike, ScalarOrArray

__all__ = [
    "effective_surface_brightness",
    "saga_color_cut",
    "saga_cut",
    "saga_surface_brightness_cut",
]

# Surface brightnesses come in mag / arcsec², and often just in mag.
_MU_UNITS = (u.mag, u.mag / u.arcsec**2)


def effective_surface_brightness(r_mag: QuantityLike, r_eff: QuantityLike) -> ScalarOrArray:
    r"""Compute the mean surface brightness within the half-light radius.

    .. math:: \mu_\mathrm{eff} = r + 2.5 \log_{10} (2 \pi R^2)

    Parameters
    ----------
    r_mag : float, array_like or `~astropy.units.Quantity`
        Extinction-corrected r magnitude in mag.
    r_eff : float, array_like or `~astropy.units.Quantity`
        Half-light radius R in r, in arcsec, or another angle as a Quantity.

    Returns
    -------
    mu_eff : float, `~numpy.ndarray` or `~astropy.units.Quantity`
        Surface brightness in mag / arcsec², of the inputs' broadcast shape. NaN where the radius
        is not positive or an input is masked or not finite.

    Raises
    ------
    TypeError
        If an argument is not numeric.
    astropy.units.UnitsError
        If an argument has the wrong unit, such as a radius in pixels.

    Notes
    -----
    Half of the light falls within π R², hence the factor 2. Source: Mao et al. (2021, ApJ 907,
    85). The paper (arXiv:2301.09648, section 3.1) prints R instead of R², a misprint: only R²
    gives a surface brightness.

    Examples
    --------
    >>> import astropy.units as u
    >>> from shredfinder.cuts import effective_surface_brightness
    >>> round(effective_surface_brightness(20.0, 2.0), 3)
    23.501
    >>> effective_surface_brightness(20 * u.mag, 2 * u.arcsec).round(3)
    <Quantity 23.501 mag / arcsec2>
    """
    mag = to_floats(r_mag, "r_mag", u.mag)
    radius = to_floats(r_eff, "r_eff", u.arcsec)
    with np.errstate(all="ignore"):
        mu_eff = mag + 2.5 * np.log10(2.0 * np.pi * radius**2)
        # R² hides the sign of an impossible radius.
        good = (radius > 0) & np.isfinite(mu_eff)
    return with_unit(np.where(good, mu_eff, np.nan), _MU_UNITS[1], r_mag, r_eff)


def saga_surface_brightness_cut(
    r_mag: QuantityLike,
    mu_eff: QuantityLike,
    mu_err: QuantityLike,
    *,
    slope: float | Quantity = SAGA_THRESHOLDS["sb_slope"],
    limit: float | Quantity = SAGA_THRESHOLDS["sb_limit"],
) -> ScalarOrArray:
    r"""Select sources of low surface brightness for their magnitude.

    .. math:: \mu_\mathrm{eff} + \sigma_\mu - 0.7 (r - 14) > 18.5

    Parameters
    ----------
    r_mag : float, array_like or `~astropy.units.Quantity`
        Extinction-corrected r magnitude in mag.
    mu_eff : float, array_like or `~astropy.units.Quantity`
        Effective surface brightness in mag / arcsec² (`effective_surface_brightness`).
    mu_err : float, array_like or `~astropy.units.Quantity`
        Error of ``mu_eff``, in the same unit (`surface_brightness_error`).
    slope, limit : float or `~astropy.units.Quantity`, optional
        Slope and offset of the line, by default the paper's. SAGA's later selection uses 0.6 and
        18.55.

    Returns
    -------
    passed : bool or `~numpy.ndarray` of bool
        True where the source passes, of the inputs' broadcast shape. False where an input is
        masked or not finite, or the error is negative.

    Raises
    ------
    TypeError, astropy.units.UnitsError
        If an argument is not numeric, or has the wrong unit.

    Notes
    -----
    Mao et al. (2021, ApJ 907, 85), as given in arXiv:2301.09648, section 3.1.

    Examples
    --------
    >>> from shredfinder.cuts import saga_surface_brightness_cut
    >>> saga_surface_brightness_cut(20.0, [22.6, 22.7, 22.8], 0.05)
    array([False,  True,  True])
    """
    # The line rises with magnitude from `limit` at r = 14.
    mag = to_floats(r_mag, "r_mag", u.mag)
    mu = to_floats(mu_eff, "mu_eff", *_MU_UNITS)
    error = to_floats(mu_err, "mu_err", *_MU_UNITS)
    with np.errstate(invalid="ignore"):
        # The error is added, and subtracted in the colour cut: doubtful sources are kept.
        inside = mu + error - to_value(slope, "slope", u.dimensionless_unscaled) * (
            mag - 14.0
        ) > to_value(limit, "limit", u.mag)
    return verdict(inside & _usable(mag, mu, error=error))


def saga_color_cut(
    g_mag: QuantityLike,
    r_mag: QuantityLike,
    gr_err: QuantityLike,
    *,
    slope: float | Quantity = SAGA_THRESHOLDS["color_slope"],
    limit: float | Quantity = SAGA_THRESHOLDS["color_limit"],
) -> ScalarOrArray:
    r"""Select sources that are not too red for their magnitude.

    .. math:: (g - r) - \sigma_{gr} + 0.06 (r - 14) < 0.90

    Parameters
    ----------
    g_mag, r_mag : float, array_like or `~astropy.units.Quantity`
        Extinction-corrected magnitudes in mag.
    gr_err : float, array_like or `~astropy.units.Quantity`
        Error of g - r in mag (`color_error`).
    slope, limit : float or `~astropy.units.Quantity`, optional
        Slope and offset of the line, by default the paper's. SAGA's later selection uses the same
        line.

    Returns
    -------
    passed : bool or `~numpy.ndarray` of bool
        True where the source passes, of the inputs' broadcast shape. False where an input is
        masked or not finite, or the error is negative.

    Raises
    ------
    TypeError, astropy.units.UnitsError
        If an argument is not numeric, or has the wrong unit.

    Notes
    -----
    Mao et al. (2021, ApJ 907, 85), as given in arXiv:2301.09648, section 3.1.

    Examples
    --------
    >>> from shredfinder.cuts import saga_color_cut
    >>> saga_color_cut([20.5, 20.6], [20.0, 20.0], 0.05)
    array([ True, False])
    """
    # The red limit falls with magnitude from `limit` at r = 14.
    green = to_floats(g_mag, "g_mag", u.mag)
    red = to_floats(r_mag, "r_mag", u.mag)
    error = to_floats(gr_err, "gr_err", u.mag)
    with np.errstate(invalid="ignore"):
        inside = (green - red) - error + to_value(slope, "slope", u.dimensionless_unscaled) * (
            red - 14.0
        ) < to_value(limit, "limit", u.mag)
    return verdict(inside & _usable(green, red, error=error))


def saga_cut(
    g_mag: QuantityLike,
    r_mag: QuantityLike,
    r_eff: QuantityLike,
    *,
    mu_err: QuantityLike = 0.0,
    gr_err: QuantityLike = 0.0,
    r_max: float | Quantity = SAGA_THRESHOLDS["r_max"],
    sb_slope: float | Quantity = SAGA_THRESHOLDS["sb_slope"],
    sb_limit: float | Quantity = SAGA_THRESHOLDS["sb_limit"],
    color_slope: float | Quantity = SAGA_THRESHOLDS["color_slope"],
    color_limit: float | Quantity = SAGA_THRESHOLDS["color_limit"],
) -> ScalarOrArray:
    """Select satellite-galaxy candidates: bright enough, diffuse enough and blue enough.

    A source passes if ``r_mag <= r_max`` and it passes `saga_surface_brightness_cut` and
    `saga_color_cut`.

    Parameters
    ----------
    g_mag, r_mag : float, array_like or `~astropy.units.Quantity`
        Extinction-corrected magnitudes in mag.
    r_eff : float, array_like or `~astropy.units.Quantity`
        Half-light radius in r, in arcsec, or another angle as a Quantity.
    mu_err, gr_err : float, array_like or `~astropy.units.Quantity`, optional
        Errors of the effective surface brightness (`surface_brightness_error`) and of g - r
        (`color_error`), in mag. Both lines are relaxed by one error, so 0 is the strictest.
    r_max : float or `~astropy.units.Quantity`, optional
        Faintest r magnitude that passes.
    sb_slope, sb_limit, color_slope, color_limit : float or Quantity, optional
        The two lines, by default the paper's. For SAGA's later selection, pass
        ``**get_preset("saga-later").saga``.

    Returns
    -------
    passed : bool or `~numpy.ndarray` of bool
        True where the source passes, of the inputs' broadcast shape. False where an input is
        masked or not finite, an error is negative or the radius is not positive.

    Raises
    ------
    TypeError, astropy.units.UnitsError
        If an argument is not numeric, or has the wrong unit.

    Notes
    -----
    Mao et al. (2021, ApJ 907, 85), as given in arXiv:2301.09648, section 3.1. Values such as
    -9999, which surveys write for missing measurements, count as numbers here: convert them to
    NaN first, as `candidate_cut` does.

    Examples
    --------
    >>> import astropy.units as u
    >>> from shredfinder.cuts import saga_cut
    >>> saga_cut(20.5, 20.0, 2.0)
    True
    >>> saga_cut([20.5, 21.4, 22.0], [20.0, 20.0, 21.5], [0.1, 2.0, 2.0] * u.arcsec)
    array([False, False, False])
    """
    mu_eff = effective_surface_brightness(r_mag, r_eff)
    with np.errstate(invalid="ignore"):
        bright = to_floats(r_mag, "r_mag", u.mag) <= to_value(r_max, "r_max", u.mag)
    return verdict(
        bright
        & saga_surface_brightness_cut(r_mag, mu_eff, mu_err, slope=sb_slope, limit=sb_limit)
        & saga_color_cut(g_mag, r_mag, gr_err, slope=color_slope, limit=color_limit)
    )


def _usable(*values: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Return where all values are finite and the error is finite and not negative."""
    good = np.isfinite(error) & (error >= 0)
    for value in values:
        good = good & np.isfinite(value)
    return good
