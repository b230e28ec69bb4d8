"""Quality cuts on the Legacy Surveys' DR9 catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u

from shredfinder._utils.units import to_bands, to_bits, to_floats, to_strings, to_value
from shredfinder.cuts.result import QualityResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from shredfinder._utils.types import PerBand, QuantityLike

__all__ = ["legacy_quality_cut"]


def legacy_quality_cut(
    *,
    type: ArrayLike,
    shape_r: QuantityLike,
    nobs: PerBand,
    dered_mag: PerBand,
    allmask: PerBand,
    fracmasked: PerBand,
    fracflux: PerBand,
    fracin: PerBand,
    mag_err: PerBand,
    rchisq: PerBand | None = None,
    bands: Sequence[str] = ("g", "r", "z"),
    excluded_types: Sequence[str] = ("PSF", "DUP"),
    min_shape_r: float = 0.0,
    min_nobs: float = 1,
    max_fracmasked: float = 0.35,
    max_fracflux: float = 4.0,
    max_rchisq: float = 10.0,
    max_rchisq_any: float = 4.0,
    min_fracin_any: float = 0.7,
    max_mag_err: float = 0.2,
) -> QualityResult:
    """Keep well-measured galaxies of the Legacy Surveys' DR9.

    Per-band arguments are mappings from band to values, or arrays whose last axis runs over
    ``bands``; the values have the shape of `type`.

    Parameters
    ----------
    type : str, array_like of str or bytes
        Morphological type, TYPE. Blanks around it do not matter.
    shape_r : float, array_like or `~astropy.units.Quantity`
        Half-light radius, SHAPE_R; arcsec, or another angle as a Quantity.
    nobs : per band
        Number of images, NOBS.
    dered_mag : per band
        Magnitudes corrected for extinction, in mag (`dereddened_magnitude`, `deredden`).
    allmask : per band
        Bits set in all images, ALLMASK.
    fracmasked, fracflux, fracin, rchisq : per band
        FRACMASKED, FRACFLUX, FRACIN and RCHISQ. ``rchisq`` may be left out if both of its
        thresholds are None.
    mag_err : per band
        Errors of the magnitudes, in mag (`magnitude_error`).
    bands : sequence of str, optional
        The bands, in the order of the arrays' last axis.
    excluded_types : sequence of str, optional
        Types that do not pass; a source without a type does not either.
    min_shape_r, min_nobs, max_fracmasked, max_fracflux, max_rchisq, max_rchisq_any, \
min_fracin_any, max_mag_err : float, optional
        Thresholds; the paper's by default. None leaves a criterion out.

    Returns
    -------
    result : QualityResult
        With the criteria below. What is masked or not finite meets no criterion.

        ========== ================================================
        type       TYPE is neither PSF nor DUP
        shape_r    SHAPE_R > 0
        nobs       NOBS >= 1 in all bands
        dered_mag  dereddened magnitude finite in all bands
        allmask    ALLMASK = 0 in all bands
        fracmasked FRACMASKED < 0.35 in all bands
        fracflux   FRACFLUX < 4 in all bands
        rchisq     RCHISQ < 10 in all bands
        rchisq_any RCHISQ < 4 in at least one band
        fracin_any FRACIN > 0.7 in at least one band
        mag_err    magnitude error < 0.2 in all bands
        ========== ================================================

    Raises
    ------
    TypeError
        If an argument is of the wrong type, lacks a band, or is missing though its threshold is
        not None.
    ValueError
        If an array's last axis is not as long as ``bands``.
    astropy.units.UnitsError
        If an argument is of the wrong kind.

    Notes
    -----
    arXiv:2301.09648, section 3.1, for g, r and z. The paper prints DUB for the type; the value
    in DR9 is DUP, a Gaia source that was fitted by a different model (catalogue description,
    legacysurvey.org/dr9/catalogs). The paper's looser variant leaves RCHISQ out:
    ``max_rchisq=None, max_rchisq_any=None``, or the preset ``"paper-no-rchisq"``.

    Examples
    --------
    >>> from shredfinder.cuts import legacy_quality_cut
    >>> ones = [[1.0, 1.0, 1.0]] * 2
    >>> result = legacy_quality_cut(
    ...     type=["EXP", "PSF"], shape_r=[1.5, 0.0], nobs=[[3, 2, 4], [1, 0, 2]],
    ...     dered_mag=[[20.3, 19.8, 19.5]] * 2, allmask=[[0, 0, 0]] * 2,
    ...     fracmasked=[[0.0, 0.1, 0.0]] * 2, fracflux=[[0.2, 0.1, 0.1]] * 2, rchisq=ones,
    ...     fracin=ones, mag_err=[[0.02, 0.02, 0.03]] * 2)
    >>> result.passed
    array([ True, False])
    >>> [name for name, met in result.criteria.items() if not met[1]]
    ['type', 'shape_r', 'nobs']
    """
    with np.errstate(invalid="ignore"):
        criteria = {
            "type": _type_met(type, excluded_types),
            "shape_r": _above(
                to_floats(shape_r, "shape_r", u.arcsec), min_shape_r, "min_shape_r", u.arcsec
            ),
        }

        def per_band(value, name):
            return to_bands(value, name, bands, to_floats)

        if min_nobs is not None:
            limit = to_value(min_nobs, "min_nobs", u.dimensionless_unscaled)
            criteria["nobs"] = (per_band(nobs, "nobs") >= limit).all(axis=-1)
        mags = to_bands(dered_mag, "dered_mag", bands, to_floats, u.mag)
        criteria["dered_mag"] = np.isfinite(mags).all(axis=-1)
        criteria["allmask"] = to_bands(allmask, "allmask", bands, _no_bits).all(axis=-1)
        for name, value, limit in (
            ("fracmasked", fracmasked, max_fracmasked),
            ("fracflux", fracflux, max_fracflux),
            ("rchisq", rchisq, max_rchisq),
        ):
            if limit is not None:
                met = _below(per_band(value, name), limit, f"max_{name}")
                criteria[name] = met.all(axis=-1)
        if max_rchisq_any is not None:
            met = _below(per_band(rchisq, "rchisq"), max_rchisq_any, "max_rchisq_any")
            criteria["rchisq_any"] = met.any(axis=-1)
        if min_fracin_any is not None:
            met = _above(per_band(fracin, "fracin"), min_fracin_any, "min_fracin_any")
            criteria["fracin_any"] = met.any(axis=-1)
        if max_mag_err is not None:
            errors = to_bands(mag_err, "mag_err", bands, to_floats, u.mag)
            limit = to_value(max_mag_err, "max_mag_err", u.mag)
            criteria["mag_err"] = ((errors >= 0) & (errors < limit)).all(axis=-1)
    return QualityResult({name: met for name, met in criteria.items() if met is not None})


def _type_met(type, excluded):
    types = to_strings(type, "type")
    return (types != "") & ~np.isin(np.char.upper(types), [name.upper() for name in excluded])


def _no_bits(value, name):
    bits, known = to_bits(value, name)
    return known & (bits == 0)


def _above(values, limit, name, unit=u.dimensionless_unscaled):
    if limit is None:
        return None
    return np.isfinite(values) & (values > to_value(limit, name, unit))


def _below(values, limit, name):
    return values < to_value(limit, name, u.dimensionless_unscaled)
