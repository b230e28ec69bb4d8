"""The part of the cuts that a server can do: conditions that no candidate fails.

They are looser than the cuts, so that a server's own arithmetic can't remove a row that the pure
functions of `shredfinder.cuts` keep; these are applied to what comes back.
"""

import inspect
import itertools
import math

from astropy import units as u

from shredfinder.cuts import legacy_quality_cut, ps1_quality_cut, sdss_quality_cut
from shredfinder.cuts.presets import get_preset

__all__ = ["legacy_conditions", "ps1_conditions", "sdss_conditions"]

# How much looser than the cut, in units of the threshold or 1.
_MARGIN = 1e-4
# The paper's and SAGA's magnitude limit and colour line, where a preset does not say otherwise.
_SAGA = {"r_max": 21.0, "color_slope": 0.06, "color_limit": 0.90}
# Below this a magnitude is a mark of a missing one.
_MISSING = -900.0


def _thresholds(cuts, survey, function):
    """Thresholds of a preset, and the functions' own where it names none."""
    preset = get_preset(cuts)
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.default is not inspect.Parameter.empty
    }
    return {**defaults, **preset.quality.get(survey, {})}, {**_SAGA, **preset.saga}


def _number(limit):
    """Take a threshold's unit off, as the cuts do."""
    if not isinstance(limit, u.Quantity):
        return float(limit)
    return float(limit.to_value(u.arcsec if limit.unit.is_equivalent(u.arcsec) else limit.unit))


def _margin(limit):
    # Any arithmetic gets a sign right. Digits beyond the eighth are far below the margin.
    return _MARGIN * max(1.0, abs(limit)) if limit else 0.0


def _up(limit):
    limit = _number(limit)
    return f"{limit + _margin(limit):.8f}"


def _down(limit):
    limit = _number(limit)
    return f"{limit - _margin(limit):.8f}"


def _any(conditions):
    return "(" + " OR ".join(conditions) + ")"


def legacy_conditions(cuts, name, **_):
    """Write the loose part of the cuts on Legacy DR9.

    Parameters
    ----------
    cuts : str or CutPreset
        The cuts.
    name : callable
        From role and band to a column's name in the query.

    Returns
    -------
    conditions : list of str
        To be joined by AND. Surface brightness is left to the exact cut: its error, which helps a
        source to pass, has no bound.
    """
    limits, saga = _thresholds(cuts, "legacy-dr9", legacy_quality_cut)
    bands = tuple(limits["bands"])
    conditions = []
    if limits["excluded_types"]:
        excluded = ", ".join(f"'{kind}'" for kind in limits["excluded_types"])
        conditions.append(f"{name('type')} NOT IN ({excluded})")
    conditions += _at_least(name("shape_r"), limits["min_shape_r"])
    for band in bands:
        conditions += _at_least(name("nobs", band), limits["min_nobs"])
        conditions.append(f"{name('allmask', band)} = 0")
        for role in ("fracmasked", "fracflux", "rchisq"):
            conditions += _at_most(name(role, band), limits[f"max_{role}"])
        if limits["max_mag_err"] is not None:
            # The magnitude's error is (2.5 / ln 10) / (flux sqrt(ivar)).
            least = 2.5 / math.log(10) / _number(limits["max_mag_err"])
            signal = f"{name('flux', band)} * SQRT(ABS({name('flux_ivar', band)}))"
            conditions.append(f"{signal} > {least * (1 - 1e-3):.8f}")
    for role, key, write in (
        ("rchisq", "max_rchisq_any", _at_most),
        ("fracin", "min_fracin_any", _at_least),
    ):
        alternatives = [c for band in bands for c in write(name(role, band), limits[key])]
        conditions += [_any(alternatives)] if alternatives else []
    conditions.append(f"{name('dered_mag', 'r')} <= {_up(saga['r_max'])}")
    if limits["max_mag_err"] is not None and {"g", "r"} <= set(bands):
        # No candidate's colour error exceeds that of two magnitudes at the limit.
        green, red = name("dered_mag", "g"), name("dered_mag", "r")
        largest = _number(saga["color_limit"]) + math.sqrt(2) * _number(limits["max_mag_err"])
        slope = _number(saga["color_slope"])
        conditions.append(f"{green} - {red} + {slope:.8f} * ({red} - 14) < {_up(largest)}")
    return conditions


def sdss_conditions(cuts, name, **_):
    """Write the loose part of the cuts on SDSS DR17, in SkyServer's SQL.

    Parameters
    ----------
    cuts : str or CutPreset
        The cuts.
    name : callable
        From role and band to a column's name in the query.

    Returns
    -------
    conditions : list of str
        To be joined by AND. Colour and surface brightness are left to the exact cut.
    """
    limits, saga = _thresholds(cuts, "sdss-dr17", sdss_quality_cut)
    conditions = []
    if limits["galaxy_types"] is not None:
        types = ", ".join(str(int(kind)) for kind in limits["galaxy_types"])
        conditions.append(f"{name('type')} IN ({types})")
    for flags, sign in ((limits["set_flags"], "<>"), (limits["unset_flags"], "=")):
        conditions += [f"({name('flags_r')} & dbo.fPhotoFlags('{f}')) {sign} 0" for f in flags]
    conditions += _at_least(name("petro_r50"), limits["min_petro_r50"])
    for band in ("g", "r"):
        conditions.append(f"{name('dered_mag', band)} > {_MISSING}")
    if limits["max_mag_err"] is not None:
        good = {
            band: f"{name('mag_err', band)} BETWEEN 0 AND {_up(limits['max_mag_err'])}"
            for band in limits["bands"]
        }
        groups = itertools.combinations(good.values(), int(limits["min_bands"]))
        conditions.append(_any([f"({' AND '.join(group)})" for group in groups]))
    conditions.append(f"{name('dered_mag', 'r')} <= {_up(saga['r_max'])}")
    return conditions


def ps1_conditions(cuts, name, *, max_extinction=None):
    """Write the loose part of the cuts on Pan-STARRS1 DR2, in ADQL.

    Parameters
    ----------
    cuts : str or CutPreset
        The cuts.
    name : callable
        From role and band to a column's name in the query.
    max_extinction : float, optional
        The largest extinction in r within the region, in mag. Without it there is no condition on
        the magnitude, which the catalogue holds uncorrected.

    Returns
    -------
    conditions : list of str
        To be joined by AND. Bit flags, colour and surface brightness are left to the exact cut:
        ADQL has no operators for bits.
    """
    limits, saga = _thresholds(cuts, "ps1-dr2", ps1_quality_cut)
    conditions = [f"{name('primary_detection')} = 1"]
    conditions += _at_least(name("n_detections"), limits["min_detections"])
    if limits["min_psf_minus_kron"] is not None:
        difference = f"{name('psf_mag')} - {name('kron_mag')}"
        conditions += _at_least(difference, limits["min_psf_minus_kron"])
    conditions += _at_least(name("petro_r50"), limits["min_petro_r50"])
    for band in limits["bands"]:
        conditions.append(f"{name('mag', band)} > {_MISSING}")
        if limits["max_mag_err"] is not None:
            conditions.append(f"{name('mag_err', band)} BETWEEN 0 AND {_up(limits['max_mag_err'])}")
    if max_extinction is not None:
        conditions.append(f"{name('mag', 'r')} <= {_up(_number(saga['r_max']) + max_extinction)}")
    return conditions


def _at_least(column, limit):
    return [] if limit is None else [f"{column} > {_down(limit)}"]


def _at_most(column, limit):
    return [] if limit is None else [f"{column} < {_up(limit)}"]
