"""The quality flags of SAGA's third data release on photometry of the Legacy Surveys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u

from shredfinder._utils.units import to_bands, to_bits, to_floats, to_strings, to_value
from shredfinder.cuts.criteria import QualityResult
from shredfinder.surveys import LEGACY, get_catalog_preset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from astropy.units import Quantity
    from numpy.typing import ArrayLike

    from shredfinder._utils.validation import PerBand, QuantityLike

__all__ = ["WISE_BANDS", "saga_dr3_quality_cut"]

_GRZ = get_catalog_preset(LEGACY.name).bands
#: Bands of the WISE satellite.
WISE_BANDS = ("w1", "w2", "w3", "w4")
_PURE = u.dimensionless_unscaled


@np.errstate(invalid="ignore")
def saga_dr3_quality_cut(
    *,
    type: ArrayLike,
    shape_r: QuantityLike,
    r_mag: QuantityLike,
    flux: PerBand,
    flux_ivar: PerBand,
    allmask: PerBand,
    fracflux: PerBand,
    rchisq: PerBand,
    wise_flux: PerBand | None = None,
    wise_flux_ivar: PerBand | None = None,
    wise_rchisq: PerBand | None = None,
    proper_motion: ArrayLike | None = None,
    ref_cat: ArrayLike | None = None,
    bands: Sequence[str] = _GRZ,
    wise_bands: Sequence[str] = WISE_BANDS,
    max_rchisq: float = 100.0,
    min_signal: float = 20.0,
    blended_signal: float = 60.0,
    blended_fracflux: float = 2.0,
    star_shape_r: float | Quantity = 1.0,
    star_r_mag: float | Quantity = 17.0,
    star_proper_motion: float = 2.0,
) -> QualityResult:
    """Select galaxies of the Legacy Surveys DR9 by the flags of SAGA's third data release.

    Per-band arguments are as for `legacy_quality_cut`.

    Parameters
    ----------
    type : str, array_like of str or bytes
        Morphological type, TYPE. Surrounding blanks are ignored.
    shape_r : float, array_like or `~astropy.units.Quantity`
        Half-light radius, SHAPE_R, in arcsec, or another angle as a Quantity.
    r_mag : float, array_like or `~astropy.units.Quantity`
        Extinction-corrected r magnitude in mag.
    flux, flux_ivar : per band
        Fluxes and inverse variances, FLUX and FLUX_IVAR. Only their signs and ratios matter.
    allmask, fracflux, rchisq : per band
        ALLMASK, FRACFLUX and RCHISQ.
    wise_flux, wise_flux_ivar, wise_rchisq : per band, optional
        The same of WISE, in the order of ``wise_bands``.
    proper_motion : float or array_like, optional
        Larger component of the proper motion over its error, the larger of
        ``abs(PMRA) sqrt(PMRA_IVAR)`` and ``abs(PMDEC) sqrt(PMDEC_IVAR)``.
    ref_cat : str, array_like of str or bytes, optional
        REF_CAT. Entries of the large-galaxy atlas, "L3", meet all criteria.
    bands, wise_bands : sequence of str, optional
        Bands, in the order of the arrays' last axis. They must include g, r and z.
    max_rchisq : float, optional
        Bands with an RCHISQ of this or more have no signal.
    min_signal : float, optional
        At least one band must have this signal-to-noise ratio.
    blended_signal, blended_fracflux : float, optional
        Sources below this signal-to-noise ratio in g, r and z must not have a FRACFLUX above this
        in any of the three.
    star_shape_r, star_r_mag : float or `~astropy.units.Quantity`, optional
        Sources smaller and brighter than this are stars if they move.
    star_proper_motion : float, optional
        Proper motion over its error from which they do.

    Returns
    -------
    result : QualityResult
        The criteria below. Masked and non-finite values are no signal, no proper motion, and no
        flux. An unknown ALLMASK, FRACFLUX or type does not pass.

        ======== ==========================================================================
        type     TYPE is neither PSF nor DUP
        star     not SHAPE_R < 1″, r < 17 and a proper motion of at least 2 σ
        allmask  the median of ALLMASK in g, r and z is 0
        flux_r   FLUX_R > 0
        flux_gz  FLUX_G > 0 or FLUX_Z > 0
        fracflux S/N ≥ 60 in g, r or z, or FRACFLUX ≤ 2 in all of them
        signal   S/N ≥ 20 in at least one band, WISE's included
        ======== ==========================================================================

    Raises
    ------
    TypeError
        If an argument has the wrong type or lacks a band.
    ValueError
        If an array's last axis is not as long as its bands, or ``bands`` lacks g, r or z.
    astropy.units.UnitsError
        If an argument has the wrong unit.

    Notes
    -----
    SAGA's public code for its third data release (github.com/sagasurvey/saga,
    ``objects/build3.py``, ``update_star_galaxy_flag`` and ``set_remove_flag``). It also accepts
    some point sources of forced type (FITBITS), corrects the r magnitudes of the north, and
    exempts sources with any REF_CAT; these are left out.

    Examples
    --------
    >>> from shredfinder.cuts import saga_dr3_quality_cut
    >>> result = saga_dr3_quality_cut(
    ...     type=["EXP", "EXP", "SER"], shape_r=2.0, r_mag=20.0, flux=[[5, 9, 14]] * 3,
    ...     flux_ivar=[[30] * 3, [2] * 3, [30] * 3], allmask=[[0, 0, 0], [0, 0, 0], [0, 2, 2]],
    ...     fracflux=[[0.1, 0.1, 0.1]] * 3, rchisq=[[1, 1, 1]] * 3)
    >>> result.passed
    array([ True, False, False])
    >>> [name for name, met in result.criteria.items() if not met.all()]
    ['allmask', 'signal']
    """
    lacking = [band for band in ("g", "r", "z") if band not in bands]
    if lacking:
        raise ValueError(f"bands must include g, r and z: got {', '.join(bands)}")

    def numbers(value: PerBand | None, name: str, of: Sequence[str] = bands) -> np.ndarray:
        return to_bands(value, name, of, to_floats)

    def signals(
        flux: PerBand, ivar: PerBand | None, rchisq: PerBand | None, prefix: str, of: Sequence[str]
    ) -> np.ndarray:
        ratio = numbers(flux, f"{prefix}flux", of) * np.sqrt(
            numbers(ivar, f"{prefix}flux_ivar", of)
        )
        good = np.isfinite(ratio) & (numbers(rchisq, f"{prefix}rchisq", of) < max_rchisq)
        return np.max(np.where(good, ratio, 0.0), axis=-1)

    kinds = np.char.upper(to_strings(type, "type"))
    # Sources that are not known to move are no stars.
    moving = np.zeros((), dtype=bool)
    if proper_motion is not None:
        moving = to_floats(proper_motion, "proper_motion") >= star_proper_motion
    compact = to_floats(shape_r, "shape_r", u.arcsec) < to_value(
        star_shape_r, "star_shape_r", u.arcsec
    )
    bright = to_floats(r_mag, "r_mag", u.mag) < to_value(star_r_mag, "star_r_mag", u.mag)
    fluxes = dict(zip(bands, np.moveaxis(numbers(flux, "flux"), -1, 0), strict=True))
    signal = signals(flux, flux_ivar, rchisq, "", bands)
    fractions = numbers(fracflux, "fracflux")
    # NaN fails the comparison in one band, and so in all.
    single = (fractions <= to_value(blended_fracflux, "blended_fracflux", _PURE)).all(axis=-1)
    strongest = signal
    if wise_flux is not None:
        infrared = signals(wise_flux, wise_flux_ivar, wise_rchisq, "wise_", wise_bands)
        strongest = np.maximum(signal, infrared)
    masked = to_bands(allmask, "allmask", bands, _set_bits)
    criteria = {
        "type": (kinds != "") & ~np.isin(kinds, ("PSF", "DUP")),
        "star": ~(compact & bright & moving),
        "allmask": np.median(masked, axis=-1) == 0,
        "flux_r": fluxes["r"] > 0,
        "flux_gz": (fluxes["g"] > 0) | (fluxes["z"] > 0),
        "fracflux": (signal >= blended_signal) | single,
        "signal": strongest >= min_signal,
    }
    if ref_cat is not None:
        atlas = to_strings(ref_cat, "ref_cat") == "L3"
        criteria = {name: met | atlas for name, met in criteria.items()}
    return QualityResult(criteria)


def _set_bits(value: ArrayLike, name: str) -> np.ndarray:
    """Return 1 where a bit is set, or where the bits are unknown."""
    bits, known = to_bits(value, name)
    return (~known | (bits != 0)).astype(float)
