"""Quality cuts on the SDSS DR17 catalogue."""

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

__all__ = ["SDSS_FLAGS", "sdss_quality_cut"]

#: Bits of SDSS's photometric flags (PhotoFlags in the SDSS schema).
SDSS_FLAGS = {
    "SATURATED": 0x40000,
    "BINNED1": 0x10000000,
    "BAD_COUNTS_ERROR": 0x10000000000,
}


def sdss_quality_cut(
    *,
    type: ArrayLike,
    flags_r: ArrayLike,
    dered_mag: PerBand,
    mag_err: PerBand,
    petro_r50: QuantityLike,
    bands: Sequence[str] = ("g", "r", "i"),
    galaxy_types: Sequence[int] = (3,),
    set_flags: Sequence[str] = ("BINNED1",),
    unset_flags: Sequence[str] = ("SATURATED", "BAD_COUNTS_ERROR"),
    min_petro_r50: float = 0.0,
    max_mag_err: float = 0.5,
    min_bands: int = 2,
) -> QualityResult:
    """Keep well-measured galaxies of SDSS DR17.

    Per-band arguments are mappings from band to values, or arrays whose last axis runs over
    ``bands``; the values have the shape of `type`.

    Parameters
    ----------
    type : int or array_like
        Type of the object, ``type``: 3 is a galaxy, 6 a star.
    flags_r : int or array_like of int64
        Photometric flags in the r band, ``flags_r``. 64 bits; read them as integers.
    dered_mag : per band
        Magnitudes corrected for extinction, in mag.
    mag_err : per band
        Errors of the magnitudes, in mag (``modelMagErr_*``).
    petro_r50 : float, array_like or `~astropy.units.Quantity`
        Half-light radius, ``petroR50_r``; arcsec, or another angle as a Quantity.
    bands : sequence of str, optional
        The bands, in the order of the arrays' last axis. It must hold g and r.
    galaxy_types : sequence of int, optional
        Types that pass. None leaves the criterion out.
    set_flags, unset_flags : sequence of str, optional
        Names from `SDSS_FLAGS` of the flags that must be set, and must not be.
    min_petro_r50, max_mag_err : float, optional
        Thresholds. None leaves a criterion out.
    min_bands : int, optional
        In how many of ``bands`` the error must be below ``max_mag_err``.

    Returns
    -------
    result : QualityResult
        With the criteria below. What is masked or not finite meets no criterion.

        ================ ==================================================
        type             the object is a galaxy
        BINNED1          detected at 1x1 binning in r
        SATURATED        no saturated pixel in r
        BAD_COUNTS_ERROR the error in r is no artefact of interpolation
        petro_r50        petroR50_r > 0
        dered_mag        g and r magnitudes finite
        mag_err          error < 0.5 mag in two of g, r and i
        ================ ==================================================

    Raises
    ------
    TypeError
        If an argument is of the wrong type or lacks a band.
    ValueError
        If an array's last axis is not as long as ``bands``, if these lack g or r, or if there is
        no flag of a name.
    astropy.units.UnitsError
        If an argument is of the wrong kind.

    Notes
    -----
    The flags and the limit on errors are those of SAGA's selection from SDSS; the galaxy type
    and the radius stand for Legacy's TYPE and SHAPE_R in the paper, which applies "analogous
    cuts" without listing them (arXiv:2301.09648, section 3.1). SDSS writes -9999 where it has no
    measurement; `quality_cut` makes that NaN first.

    Examples
    --------
    >>> from shredfinder.cuts import sdss_quality_cut
    >>> result = sdss_quality_cut(
    ...     type=[3, 3], flags_r=[0x10000000, 0x10040000], petro_r50=[2.1, 1.7],
    ...     dered_mag=[[18.2, 17.6, 17.3]] * 2, mag_err=[[0.02, 0.01, 0.01]] * 2)
    >>> result.passed
    array([ True, False])
    >>> [name for name, met in result.criteria.items() if not met[1]]
    ['SATURATED']
    """
    lacking = [band for band in ("g", "r") if band not in bands]
    if lacking:
        raise ValueError(f"bands must hold g and r: got {', '.join(bands)}")
    criteria = {}
    with np.errstate(invalid="ignore"):
        if galaxy_types is not None:
            criteria["type"] = np.isin(to_floats(type, "type"), list(galaxy_types))
        bits, known = to_bits(flags_r, "flags_r")
        for name in set_flags:
            criteria[name] = known & (bits & _flag(name) != 0)
        for name in unset_flags:
            criteria[name] = known & (bits & _flag(name) == 0)
        if min_petro_r50 is not None:
            radius = to_floats(petro_r50, "petro_r50", u.arcsec)
            limit = to_value(min_petro_r50, "min_petro_r50", u.arcsec)
            criteria["petro_r50"] = np.isfinite(radius) & (radius > limit)
        mags = to_bands(dered_mag, "dered_mag", bands, to_floats, u.mag)
        in_color = [list(bands).index("g"), list(bands).index("r")]
        criteria["dered_mag"] = np.isfinite(mags[..., in_color]).all(axis=-1)
        if max_mag_err is not None:
            errors = to_bands(mag_err, "mag_err", bands, to_floats, u.mag)
            limit = to_value(max_mag_err, "max_mag_err", u.mag)
            criteria["mag_err"] = ((errors >= 0) & (errors < limit)).sum(axis=-1) >= min_bands
    return QualityResult(criteria)


def _flag(name):
    try:
        return SDSS_FLAGS[name]
    except (KeyError, TypeError):
        raise ValueError(
            f"there is no SDSS flag {name!r} here: choose one of {', '.join(SDSS_FLAGS)}"
        ) from None
