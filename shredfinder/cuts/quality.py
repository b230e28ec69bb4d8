"""Quality cuts on the catalogues of the Legacy Surveys, SDSS and Pan-STARRS1."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from astropy import units as u

from shredfinder._utils.units import to_bands, to_bits, to_floats, to_strings, to_value
from shredfinder.cuts.criteria import QualityResult
from shredfinder.surveys import (
    LEGACY,
    PS1,
    PS1_QUALITY_FLAGS,
    SDSS,
    SDSS_FLAGS,
    get_catalog_preset,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from astropy.units import Quantity
    from numpy.typing import ArrayLike

    from shredfinder._utils.validation import PerBand, QuantityLike

    # None leaves the criterion out.
    Threshold: TypeAlias = float | Quantity | None

__all__ = ["legacy_quality_cut", "ps1_quality_cut", "sdss_quality_cut"]

_LEGACY, _SDSS, _PS1 = LEGACY.quality, SDSS.quality, PS1.quality
_GRZ = get_catalog_preset(LEGACY.name).bands
_GRI = get_catalog_preset(SDSS.name).bands
_PURE = u.dimensionless_unscaled


@np.errstate(invalid="ignore")
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
    bands: Sequence[str] = _GRZ,
    excluded_types: Sequence[str] = _LEGACY["excluded_types"],
    min_shape_r: Threshold = _LEGACY["min_shape_r"],
    min_nobs: Threshold = _LEGACY["min_nobs"],
    max_fracmasked: Threshold = _LEGACY["max_fracmasked"],
    max_fracflux: Threshold = _LEGACY["max_fracflux"],
    max_rchisq: Threshold = _LEGACY["max_rchisq"],
    max_rchisq_any: Threshold = _LEGACY["max_rchisq_any"],
    min_fracin_any: Threshold = _LEGACY["min_fracin_any"],
    max_mag_err: Threshold = _LEGACY["max_mag_err"],
) -> QualityResult:
    """Select well-measured galaxies of the Legacy Surveys DR9.

    Per-band arguments are mappings from band to values, or arrays whose last axis runs over
    ``bands``. The values have the shape of `type`.

    Parameters
    ----------
    type : str, array_like of str or bytes
        Morphological type, TYPE. Surrounding blanks are ignored.
    shape_r : float, array_like or `~astropy.units.Quantity`
        Half-light radius, SHAPE_R, in arcsec, or another angle as a Quantity.
    nobs : per band
        Number of images, NOBS.
    dered_mag : per band
        Extinction-corrected magnitudes in mag (`dereddened_magnitude`, `deredden`).
    allmask : per band
        Bits set in all images, ALLMASK.
    fracmasked, fracflux, fracin, rchisq : per band
        FRACMASKED, FRACFLUX, FRACIN and RCHISQ. ``rchisq`` is not needed if both of its
        thresholds are None.
    mag_err : per band
        Errors of the magnitudes in mag (`magnitude_error`).
    bands : sequence of str, optional
        Bands, in the order of the arrays' last axis.
    excluded_types : sequence of str, optional
        Types to reject. Sources without a type are rejected too.
    min_shape_r, min_nobs, max_fracmasked, max_fracflux, max_rchisq, max_rchisq_any, \
min_fracin_any, max_mag_err : float or `~astropy.units.Quantity`, optional
        Thresholds, by default the paper's. None leaves a criterion out.

    Returns
    -------
    result : QualityResult
        The criteria below. Masked and non-finite values meet no criterion.

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
        If an argument has the wrong type or lacks a band, or ``rchisq`` is missing although one
        of its thresholds is set.
    ValueError
        If an array's last axis is not as long as ``bands``.
    astropy.units.UnitsError
        If an argument has the wrong unit.

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

    def numbers(value: PerBand | None, name: str) -> np.ndarray:
        return to_bands(value, name, bands, to_floats)

    # A threshold of None leaves its criterion out.
    criteria: dict[str, np.ndarray | np.bool] = {"type": _accepted_types(type, excluded_types)}
    if min_shape_r is not None:
        criteria["shape_r"] = _above(shape_r, "shape_r", min_shape_r, u.arcsec)
    if min_nobs is not None:
        least = to_value(min_nobs, "min_nobs", _PURE)
        criteria["nobs"] = (numbers(nobs, "nobs") >= least).all(axis=-1)
    criteria["dered_mag"] = np.all(np.isfinite(_magnitudes(dered_mag, "dered_mag", bands)), axis=-1)
    criteria["allmask"] = to_bands(allmask, "allmask", bands, _no_bits).all(axis=-1)
    # A comparison with NaN is False: what was not measured meets no criterion.
    for name, value, limit in (
        ("fracmasked", fracmasked, max_fracmasked),
        ("fracflux", fracflux, max_fracflux),
        ("rchisq", rchisq, max_rchisq),
    ):
        if limit is not None:
            largest = to_value(limit, f"max_{name}", _PURE)
            criteria[name] = (numbers(value, name) < largest).all(axis=-1)
    if max_rchisq_any is not None:
        largest = to_value(max_rchisq_any, "max_rchisq_any", _PURE)
        criteria["rchisq_any"] = (numbers(rchisq, "rchisq") < largest).any(axis=-1)
    if min_fracin_any is not None:
        # Finite: NaN fails the comparison anyway, and an infinite value is no fraction.
        fractions = numbers(fracin, "fracin")
        least = to_value(min_fracin_any, "min_fracin_any", _PURE)
        criteria["fracin_any"] = np.any(np.isfinite(fractions) & (fractions > least), axis=-1)
    if max_mag_err is not None:
        criteria["mag_err"] = np.all(_small_errors(mag_err, bands, max_mag_err), axis=-1)
    return QualityResult(criteria)


@np.errstate(invalid="ignore")
def sdss_quality_cut(
    *,
    type: ArrayLike,
    flags_r: ArrayLike,
    dered_mag: PerBand,
    mag_err: PerBand,
    petro_r50: QuantityLike,
    bands: Sequence[str] = _GRI,
    galaxy_types: Sequence[int] | None = _SDSS["galaxy_types"],
    set_flags: Sequence[str] = _SDSS["set_flags"],
    unset_flags: Sequence[str] = _SDSS["unset_flags"],
    min_petro_r50: Threshold = _SDSS["min_petro_r50"],
    max_mag_err: Threshold = _SDSS["max_mag_err"],
    min_bands: int = _SDSS["min_bands"],
) -> QualityResult:
    """Select well-measured galaxies of SDSS DR17.

    Per-band arguments are as for `legacy_quality_cut`.

    Parameters
    ----------
    type : int or array_like
        Object type, ``type``: 3 is a galaxy, 6 a star.
    flags_r : int or array_like of int64
        Photometric flags in r, ``flags_r``. They use all 64 bits: read them as integers.
    dered_mag : per band
        Extinction-corrected magnitudes in mag.
    mag_err : per band
        Errors of the magnitudes in mag (``modelMagErr_*``).
    petro_r50 : float, array_like or `~astropy.units.Quantity`
        Half-light radius, ``petroR50_r``, in arcsec, or another angle as a Quantity.
    bands : sequence of str, optional
        Bands, in the order of the arrays' last axis. They must include g and r.
    galaxy_types : sequence of int, optional
        Types to accept. None leaves the criterion out.
    set_flags, unset_flags : sequence of str, optional
        Flags, named as in `shredfinder.surveys.SDSS_FLAGS`, that must and must not be set.
    min_petro_r50, max_mag_err : float or `~astropy.units.Quantity`, optional
        Thresholds. None leaves a criterion out.
    min_bands : int, optional
        Number of bands in which the error must be below ``max_mag_err``.

    Returns
    -------
    result : QualityResult
        The criteria below. Masked and non-finite values meet no criterion.

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
        If an argument has the wrong type or lacks a band.
    ValueError
        If an array's last axis is not as long as ``bands``, if these lack g or r, or if a flag is
        unknown.
    astropy.units.UnitsError
        If an argument has the wrong unit.

    Notes
    -----
    The flags and the limit on errors follow SAGA's selection from SDSS; the galaxy type
    and the radius replace Legacy's TYPE and SHAPE_R. The paper applies "analogous cuts" without
    listing them (arXiv:2301.09648, section 3.1). SDSS writes -9999 for a missing measurement:
    `quality_cut` converts it to NaN.

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
        raise ValueError(f"bands must include g and r: got {', '.join(bands)}")
    criteria: dict[str, np.ndarray] = {}
    if galaxy_types is not None:
        criteria["type"] = np.isin(to_floats(type, "type"), list(galaxy_types))
    # An unknown flag meets neither kind of criterion.
    bits, known = to_bits(flags_r, "flags_r")
    for name in set_flags:
        criteria[name] = known & (bits & _sdss_flag(name) != 0)
    for name in unset_flags:
        criteria[name] = known & (bits & _sdss_flag(name) == 0)
    if min_petro_r50 is not None:
        criteria["petro_r50"] = _above(petro_r50, "petro_r50", min_petro_r50, u.arcsec)
    # Only the bands of the colour cut need a magnitude.
    # The last axis of per-band arrays runs over `bands`.
    in_color = [list(bands).index("g"), list(bands).index("r")]
    mags = _magnitudes(dered_mag, "dered_mag", bands)
    criteria["dered_mag"] = np.all(np.isfinite(mags[..., in_color]), axis=-1)
    if max_mag_err is not None:
        small = _small_errors(mag_err, bands, max_mag_err)
        # SDSS asks for two good bands of three, the other surveys for all.
        criteria["mag_err"] = small.sum(axis=-1) >= min_bands
    return QualityResult(criteria)


@np.errstate(invalid="ignore")
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
    bands: Sequence[str] = _GRI,
    min_detections: Threshold = _PS1["min_detections"],
    min_psf_minus_kron: Threshold = _PS1["min_psf_minus_kron"],
    min_petro_r50: Threshold = _PS1["min_petro_r50"],
    max_mag_err: Threshold = _PS1["max_mag_err"],
) -> QualityResult:
    """Select well-measured galaxies of Pan-STARRS1 DR2.

    Per-band arguments are as for `legacy_quality_cut`.

    Parameters
    ----------
    quality_flag : int or array_like
        ``ObjectThin.qualityFlag``.
    n_detections : int or array_like
        Number of detections in single exposures, in all bands, ``ObjectThin.nDetections``.
    psf_mag, kron_mag : float, array_like or `~astropy.units.Quantity`
        Stack magnitudes in i, ``iPSFMag`` and ``iKronMag`` of StackObjectThin, in mag.
    dered_mag : per band
        Extinction-corrected Kron magnitudes (``gKronMag``, ...) in mag (`deredden`).
    mag_err : per band
        Errors of the magnitudes (``gKronMagErr``, ...) in mag.
    petro_r50 : float, array_like or `~astropy.units.Quantity`
        Half-light radius, ``StackPetrosian.rpetR50``, in arcsec, or another angle as a Quantity.
    primary_detection : int or array_like, optional
        ``StackObjectThin.primaryDetection``. If omitted, so is the criterion.
    bands : sequence of str, optional
        Bands, in the order of the arrays' last axis.
    min_detections, min_psf_minus_kron, min_petro_r50, max_mag_err : float or Quantity, optional
        Thresholds. None leaves a criterion out.

    Returns
    -------
    result : QualityResult
        The criteria below. Masked and non-finite values meet no criterion.

        ================= ==============================================================
        quality_flag      QF_OBJ_GOOD_STACK set, QF_OBJ_BAD_STACK not set: more than one
                          good stack measurement (Legacy: ALLMASK, FRACMASKED)
        primary_detection primary row of the object. Sky cells overlap, so other rows
                          repeat it.
        n_detections      nDetections >= 2. Single detections are often spurious
                          (Legacy: NOBS).
        extended          iPSFMag - iKronMag > 0.05, the documentation's star-galaxy
                          separation (Legacy: TYPE)
        petro_r50         rpetR50 > 0 (Legacy: SHAPE_R)
        dered_mag         magnitude finite in all bands
        mag_err           magnitude error < 0.2 in all bands
        ================= ==============================================================

    Raises
    ------
    TypeError
        If an argument has the wrong type or lacks a band.
    ValueError
        If an array's last axis is not as long as ``bands``.
    astropy.units.UnitsError
        If an argument has the wrong unit.

    Notes
    -----
    The paper applies "analogous cuts" without listing them (arXiv:2301.09648, section 3.1).
    These were chosen for this package from the Pan-STARRS1 documentation at
    outerspace.stsci.edu ("PS1 Object Flags", the pages on star-galaxy separation and on the
    fields of StackObjectThin); Gaia's cross-match with PS1 also requires nDetections > 1. Nothing
    corresponds to FRACFLUX and RCHISQ. Pan-STARRS writes -999 for a missing measurement:
    `quality_cut` converts it to NaN.

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
    criteria: dict[str, np.ndarray] = {"quality_flag": known & good & ~bad}
    if primary_detection is not None:
        criteria["primary_detection"] = to_floats(primary_detection, "primary_detection") == 1
    if min_detections is not None:
        least = to_value(min_detections, "min_detections", _PURE)
        criteria["n_detections"] = to_floats(n_detections, "n_detections") >= least
    if min_psf_minus_kron is not None:
        # A point source has the same magnitude in both apertures; a galaxy is brighter in Kron's.
        difference = to_floats(psf_mag, "psf_mag", u.mag) - to_floats(kron_mag, "kron_mag", u.mag)
        least = to_value(min_psf_minus_kron, "min_psf_minus_kron", u.mag)
        criteria["extended"] = np.isfinite(difference) & (difference > least)
    if min_petro_r50 is not None:
        criteria["petro_r50"] = _above(petro_r50, "petro_r50", min_petro_r50, u.arcsec)
    criteria["dered_mag"] = np.all(np.isfinite(_magnitudes(dered_mag, "dered_mag", bands)), axis=-1)
    if max_mag_err is not None:
        criteria["mag_err"] = np.all(_small_errors(mag_err, bands, max_mag_err), axis=-1)
    return QualityResult(criteria)


def _accepted_types(type: ArrayLike, excluded: Sequence[str]) -> np.ndarray:
    # Catalogues pad types with blanks and differ in case; to_strings strips the blanks.
    types = to_strings(type, "type")
    return (types != "") & ~np.isin(np.char.upper(types), [name.upper() for name in excluded])


def _no_bits(value: ArrayLike, name: str) -> np.ndarray:
    bits, known = to_bits(value, name)
    return known & (bits == 0)


def _sdss_flag(name: str) -> int:
    try:
        return SDSS_FLAGS[name]
    except (KeyError, TypeError):
        raise ValueError(
            f"unknown SDSS flag {name!r}: choose one of {', '.join(SDSS_FLAGS)}"
        ) from None


def _above(value: QuantityLike, name: str, limit: Threshold, unit: u.UnitBase) -> np.ndarray:
    values = to_floats(value, name, unit)
    return np.isfinite(values) & (values > to_value(limit, f"min_{name}", unit))


def _magnitudes(value: PerBand, name: str, bands: Sequence[str]) -> np.ndarray:
    return to_bands(value, name, bands, to_floats, u.mag)


def _small_errors(mag_err: PerBand, bands: Sequence[str], limit: Threshold) -> np.ndarray:
    """Return where errors are below a limit; surveys mark failed fits by negative ones."""
    errors = _magnitudes(mag_err, "mag_err", bands)
    return (errors >= 0) & (errors < to_value(limit, "max_mag_err", u.mag))
