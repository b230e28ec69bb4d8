"""Quality cuts on the Pan-STARRS1 DR2 catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u

from shredfinder._utils.units import to_bands, to_bits, to_floats, to_value
from shredfinder.cuts.result import QualityResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from shredfinder._utils.types import PerBand, QuantityLike

__all__ = ["PS1_QUALITY_FLAGS", "ps1_quality_cut"]

#: Bits of ObjectThin.qualityFlag (Pan-STARRS1 documentation, "PS1 Object Flags").
PS1_QUALITY_FLAGS = {
    "QF_OBJ_EXT": 1,
    "QF_OBJ_EXT_ALT": 2,
    "QF_OBJ_GOOD": 4,
    "QF_OBJ_GOOD_ALT": 8,
    "QF_OBJ_GOOD_STACK": 16,
    "QF_OBJ_BEST_STACK": 32,
    "QF_OBJ_SUSPECT_STACK": 64,
    "QF_OBJ_BAD_STACK": 128,
}


def ps1_quality_cut(
    *,
    quality_flag: ArrayLike,
    n_detections: ArrayLike,
    psf_mag: QuantityLike,
    kron_mag: QuantityLike,
    dered_mag: PerBand,
    mag_err: PerBand,
    petro_r50: QuantityLike,
    primary_detection: ArrayLike | None = None,
    bands: Sequence[str] = ("g", "r", "i"),
    min_detections: float = 2,
    min_psf_minus_kron: float = 0.05,
    min_petro_r50: float = 0.0,
    max_mag_err: float = 0.2,
) -> QualityResult:
    """Keep well-measured galaxies of Pan-STARRS1 DR2.

    Per-band arguments are mappings from band to values, or arrays whose last axis runs over
    ``bands``; the values have the shape of ``quality_flag``.

    Parameters
    ----------
    quality_flag : int or array_like
        ``ObjectThin.qualityFlag``.
    n_detections : int or array_like
        Number of detections in single exposures, in all bands, ``ObjectThin.nDetections``.
    psf_mag, kron_mag : float, array_like or `~astropy.units.Quantity`
        Stack magnitudes in the i band, ``iPSFMag`` and ``iKronMag`` of StackObjectThin, in mag.
    dered_mag : per band
        Kron magnitudes (``gKronMag``, ...) corrected for extinction, in mag (`deredden`).
    mag_err : per band
        Their errors (``gKronMagErr``, ...), in mag.
    petro_r50 : float, array_like or `~astropy.units.Quantity`
        Half-light radius, ``StackPetrosian.rpetR50``; arcsec, or another angle as a Quantity.
    primary_detection : int or array_like, optional
        ``StackObjectThin.primaryDetection``. Without it the criterion is left out.
    bands : sequence of str, optional
        The bands, in the order of the arrays' last axis.
    min_detections, min_psf_minus_kron, min_petro_r50, max_mag_err : float, optional
        Thresholds. None leaves a criterion out.

    Returns
    -------
    result : QualityResult
        With the criteria below. What is masked or not finite meets no criterion.

        ================= ==============================================================
        quality_flag      QF_OBJ_GOOD_STACK is set and QF_OBJ_BAD_STACK is not: more than
                          one good measurement on the stacks. It stands for Legacy's
                          ALLMASK and FRACMASKED.
        primary_detection the row is the stack object's primary one. Sky cells overlap, and
                          without it a source appears more than once.
        n_detections      nDetections >= 2. Objects that were detected once are often
                          spurious. It stands for Legacy's NOBS.
        extended          iPSFMag - iKronMag > 0.05, the documentation's own separation of
                          galaxies from stars. It stands for Legacy's TYPE.
        petro_r50         rpetR50 > 0, for Legacy's SHAPE_R
        dered_mag         magnitude finite in all bands
        mag_err           magnitude error < 0.2 in all bands, as for Legacy
        ================= ==============================================================

    Raises
    ------
    TypeError
        If an argument is of the wrong type or lacks a band.
    ValueError
        If an array's last axis is not as long as ``bands``.
    astropy.units.UnitsError
        If an argument is of the wrong kind.

    Notes
    -----
    The paper applies cuts "analogous" to those on Legacy without listing them (arXiv:2301.09648,
    section 3.1). These are this package's choice, from the Pan-STARRS1 documentation at
    outerspace.stsci.edu ("PS1 Object Flags", the pages on star-galaxy separation and on the
    fields of StackObjectThin); nDetections > 1 is also what Gaia's cross-match with PS1 keeps.
    Nothing there corresponds to FRACFLUX and RCHISQ. Pan-STARRS writes -999 where it has no
    measurement; `quality_cut` makes that NaN first.

    Examples
    --------
    >>> from shredfinder.cuts import ps1_quality_cut
    >>> result = ps1_quality_cut(
    ...     quality_flag=[52, 180], n_detections=[40, 1], psf_mag=[19.6, 19.6],
    ...     kron_mag=[19.2, 19.58], petro_r50=[1.8, 1.2],
    ...     dered_mag=[[20.1, 19.5, 19.1]] * 2, mag_err=[[0.05, 0.03, 0.03]] * 2)
    >>> result.passed
    array([ True, False])
    >>> [name for name, met in result.criteria.items() if not met[1]]
    ['quality_flag', 'n_detections', 'extended']
    """
    bits, known = to_bits(quality_flag, "quality_flag")
    good = bits & PS1_QUALITY_FLAGS["QF_OBJ_GOOD_STACK"] != 0
    bad = bits & PS1_QUALITY_FLAGS["QF_OBJ_BAD_STACK"] != 0
    criteria = {"quality_flag": known & good & ~bad}
    with np.errstate(invalid="ignore"):
        if primary_detection is not None:
            criteria["primary_detection"] = to_floats(primary_detection, "primary_detection") == 1
        if min_detections is not None:
            limit = to_value(min_detections, "min_detections", u.dimensionless_unscaled)
            criteria["n_detections"] = to_floats(n_detections, "n_detections") >= limit
        if min_psf_minus_kron is not None:
            difference = to_floats(psf_mag, "psf_mag", u.mag) - to_floats(
                kron_mag, "kron_mag", u.mag
            )
            limit = to_value(min_psf_minus_kron, "min_psf_minus_kron", u.mag)
            criteria["extended"] = np.isfinite(difference) & (difference > limit)
        if min_petro_r50 is not None:
            radius = to_floats(petro_r50, "petro_r50", u.arcsec)
            limit = to_value(min_petro_r50, "min_petro_r50", u.arcsec)
            criteria["petro_r50"] = np.isfinite(radius) & (radius > limit)
        mags = to_bands(dered_mag, "dered_mag", bands, to_floats, u.mag)
        criteria["dered_mag"] = np.isfinite(mags).all(axis=-1)
        if max_mag_err is not None:
            errors = to_bands(mag_err, "mag_err", bands, to_floats, u.mag)
            limit = to_value(max_mag_err, "max_mag_err", u.mag)
            criteria["mag_err"] = ((errors >= 0) & (errors < limit)).all(axis=-1)
    return QualityResult(criteria)
