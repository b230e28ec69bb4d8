"""Magnitudes corrected for the dust of the Milky Way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u

from shredfinder._utils.units import to_floats, with_unit

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from shredfinder._utils.types import QuantityLike, ScalarOrArray

__all__ = ["EXTINCTION_COEFFICIENTS", "deredden", "dereddened_magnitude", "extinction"]

#: A(band) / E(B-V), by survey and band, for E(B-V) of Schlegel, Finkbeiner & Davis (1998).
#: Legacy: the coefficients behind the catalogue's MW_TRANSMISSION (Legacy Surveys, catalogue
#: documentation; the same in the north and the south in DR9). SDSS and PS1: Schlafly &
#: Finkbeiner (2011, ApJ 737, 103), table 6, R_V = 3.1.
EXTINCTION_COEFFICIENTS = {
    "legacy-dr9": {"g": 3.214, "r": 2.165, "z": 1.211},
    "sdss-dr17": {"u": 4.239, "g": 3.303, "r": 2.285, "i": 1.698, "z": 1.263},
    "ps1-dr2": {"g": 3.172, "r": 2.271, "i": 1.682, "z": 1.322, "y": 1.087},
}


def extinction(ebv: QuantityLike, band: str, *, survey: str = "legacy-dr9") -> ScalarOrArray:
    r"""Extinction in a survey's band from a reddening.

    .. math:: A = k \, E(B-V)

    Parameters
    ----------
    ebv : float, array_like or `~astropy.units.Quantity`
        E(B-V) of Schlegel, Finkbeiner & Davis (1998), in mag, **not** rescaled: the coefficients
        of Schlafly & Finkbeiner (2011) contain their factor of 0.86.
    band : str
        The band, such as ``"r"``.
    survey : str, optional
        One of the keys of `EXTINCTION_COEFFICIENTS`.

    Returns
    -------
    extinction : float, `~numpy.ndarray` or `~astropy.units.Quantity`
        A in mag; NaN where ``ebv`` is masked.

    Raises
    ------
    ValueError
        If there is no coefficient for the survey or the band.
    TypeError, astropy.units.UnitsError
        If ``ebv`` holds no numbers, or is of the wrong kind.

    Notes
    -----
    Legacy: g 3.214, r 2.165, z 1.211. SDSS: u 4.239, g 3.303, r 2.285, i 1.698, z 1.263. PS1:
    g 3.172, r 2.271, i 1.682, z 1.322, y 1.087. Sources: see `EXTINCTION_COEFFICIENTS`.

    Examples
    --------
    >>> from shredfinder.cuts import extinction
    >>> round(extinction(0.1, "r"), 4)
    0.2165
    >>> round(extinction(0.1, "r", survey="ps1-dr2"), 4)
    0.2271
    """
    coefficient = _coefficient(band, survey)
    return with_unit(coefficient * to_floats(ebv, "ebv", u.mag), u.mag, ebv)


def deredden(
    mag: QuantityLike, ebv: QuantityLike, band: str, *, survey: str = "legacy-dr9"
) -> ScalarOrArray:
    """Correct a magnitude for the Milky Way's extinction.

    Parameters
    ----------
    mag : float, array_like or `~astropy.units.Quantity`
        Magnitude as observed, in mag.
    ebv, band, survey
        As `extinction` takes them.

    Returns
    -------
    mag : float, `~numpy.ndarray` or `~astropy.units.Quantity`
        ``mag - extinction(ebv, band, survey=survey)``; NaN where an input is masked.

    Raises
    ------
    ValueError, TypeError, astropy.units.UnitsError
        As `extinction`.

    Examples
    --------
    >>> from shredfinder.cuts import deredden
    >>> round(deredden(20.0, 0.1, "g"), 4)
    19.6786
    """
    coefficient = _coefficient(band, survey)
    corrected = to_floats(mag, "mag", u.mag) - coefficient * to_floats(ebv, "ebv", u.mag)
    return with_unit(corrected, u.mag, mag, ebv)


def dereddened_magnitude(flux: QuantityLike, mw_transmission: ArrayLike) -> ScalarOrArray:
    r"""Dereddened magnitude from a flux in nanomaggies and the Milky Way's transmission.

    .. math:: m = 22.5 - 2.5 \log_{10} (F / T)

    Parameters
    ----------
    flux : float, array_like or `~astropy.units.Quantity`
        Flux in nanomaggies, or in a unit that converts to them (Legacy's ``FLUX_R``).
    mw_transmission : float or array_like
        Transmission through the Milky Way's dust, 0 to 1 (``MW_TRANSMISSION_R``).

    Returns
    -------
    mag : float, `~numpy.ndarray` or `~astropy.units.Quantity`
        AB magnitude in mag; NaN where the flux or the transmission is not positive, masked or
        not finite.

    Raises
    ------
    TypeError, astropy.units.UnitsError
        If an argument holds no numbers, or is of the wrong kind.

    Notes
    -----
    The Legacy Surveys' catalogue documentation. The database's ``dered_mag_*`` is this number;
    sweep and Tractor files do not carry it.

    Examples
    --------
    >>> from shredfinder.cuts import dereddened_magnitude
    >>> round(dereddened_magnitude(10.0, 1.0), 6)
    20.0
    """
    values = to_floats(flux, "flux", u.nmgy)
    transmission = to_floats(mw_transmission, "mw_transmission")
    with np.errstate(all="ignore"):
        mag = 22.5 - 2.5 * np.log10(values / transmission)
        good = (values > 0) & (transmission > 0) & np.isfinite(mag)
    return with_unit(np.where(good, mag, np.nan), u.mag, flux)


def _coefficient(band, survey):
    try:
        coefficients = EXTINCTION_COEFFICIENTS[survey]
    except (KeyError, TypeError):
        raise ValueError(
            f"there are no extinction coefficients for the survey {survey!r}: choose one of "
            f"{', '.join(sorted(EXTINCTION_COEFFICIENTS))}"
        ) from None
    try:
        return coefficients[band]
    except (KeyError, TypeError):
        raise ValueError(
            f"there is no extinction coefficient for band {band!r} of {survey}: choose one of "
            f"{', '.join(coefficients)}"
        ) from None
