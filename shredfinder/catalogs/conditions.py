"""The part of the cuts that a server applies: conditions that every candidate fulfils.

They are slightly looser than the cuts, so that a server's arithmetic cannot remove a row that
`shredfinder.cuts` would keep. The exact cuts are applied to the rows that the server sends.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

from astropy import units as u

from shredfinder.surveys import get_survey

if TYPE_CHECKING:
    from collections.abc import Callable

    from astropy.units import Quantity

    from shredfinder.cuts import CutPreset
    from shredfinder.surveys import CatalogPreset

__all__ = ["write_conditions"]

# How much looser than the cut, in units of the threshold or of 1, whichever is larger.
_MARGIN = 1e-4
# Magnitudes below this mark missing measurements.
_MISSING = -900.0


def write_conditions(
    catalog: CatalogPreset, cuts: CutPreset, *, max_extinction: float | None = None
) -> list[str]:
    """Write the SQL conditions that every row fulfils that passes the cuts.

    Parameters
    ----------
    catalog : CatalogPreset
        The survey's catalogue.
    cuts : CutPreset
        The cuts.
    max_extinction : float, optional
        Largest extinction in r within the region in mag, for catalogues of uncorrected
        magnitudes. If omitted, these get no condition on the magnitude.

    Returns
    -------
    conditions : list of str
        Conditions to be joined by AND. Surface brightness is left to the exact cut: its error,
        which relaxes the cut, is unbounded.
    """
    survey = get_survey(catalog.survey)
    if cuts.other_criteria(survey) is not None:
        # Exceptions, such as for the atlas, are left to the exact cuts.
        return _magnitude_condition(catalog.qualified, cuts.saga_thresholds)
    limits = cuts.quality_thresholds(survey)
    limits.setdefault("bands", catalog.bands)
    saga = cuts.saga_thresholds
    if catalog.criteria == "legacy":
        return _legacy_conditions(catalog.qualified, limits, saga)
    if catalog.criteria == "sdss":
        return _sdss_conditions(catalog.qualified, limits, saga)
    return _ps1_conditions(catalog.qualified, limits, saga, max_extinction)


def _legacy_conditions(
    name: Callable[..., str], limits: dict[str, Any], saga: dict[str, Any]
) -> list[str]:
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
            # The magnitude error is (2.5 / ln 10) / (flux sqrt(ivar)). ABS keeps SQRT from failing
            # on a negative value.
            least = 2.5 / math.log(10) / _number(limits["max_mag_err"])
            signal = f"{name('flux', band)} * SQRT(ABS({name('flux_ivar', band)}))"
            conditions.append(f"{signal} > {least * (1 - 1e-3):.8f}")
    # Limits that at least one band must meet, rather than each of them.
    for role, key, write in (
        ("rchisq", "max_rchisq_any", _at_most),
        ("fracin", "min_fracin_any", _at_least),
    ):
        alternatives = [c for band in bands for c in write(name(role, band), limits[key])]
        conditions += [_any(alternatives)] if alternatives else []
    conditions += _magnitude_condition(name, saga)
    if limits["max_mag_err"] is not None and {"g", "r"} <= set(bands):
        # A candidate's colour error is at most that of two magnitudes at the limit.
        green, red = name("dered_mag", "g"), name("dered_mag", "r")
        largest = _number(saga["color_limit"]) + math.sqrt(2) * _number(limits["max_mag_err"])
        slope = _number(saga["color_slope"])
        conditions.append(f"{green} - {red} + {slope:.8f} * ({red} - 14) < {_up(largest)}")
    return conditions


def _sdss_conditions(
    name: Callable[..., str], limits: dict[str, Any], saga: dict[str, Any]
) -> list[str]:
    # In SkyServer's SQL. The colour is left to the exact cut too.
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
        # SQL has no "at least 2 of 3": list all pairs.
        groups = itertools.combinations(good.values(), int(limits["min_bands"]))
        conditions.append(_any([f"({' AND '.join(group)})" for group in groups]))
    conditions += _magnitude_condition(name, saga)
    return conditions


def _ps1_conditions(
    name: Callable[..., str],
    limits: dict[str, Any],
    saga: dict[str, Any],
    max_extinction: float | None,
) -> list[str]:
    # ADQL has no bit operators: flags and colour are left to the exact cut too.
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


def _magnitude_condition(name: Callable[..., str], saga: dict[str, Any]) -> list[str]:
    return [f"{name('dered_mag', 'r')} <= {_up(saga['r_max'])}"]


def _at_least(column: str, limit: float | Quantity | None) -> list[str]:
    return [] if limit is None else [f"{column} > {_down(limit)}"]


def _at_most(column: str, limit: float | Quantity | None) -> list[str]:
    return [] if limit is None else [f"{column} < {_up(limit)}"]


def _any(conditions: list[str]) -> str:
    return "(" + " OR ".join(conditions) + ")"


def _number(limit: float | Quantity) -> float:
    """Convert a threshold to the unit of the catalogue's column, as the cuts do."""
    if not isinstance(limit, u.Quantity):
        return float(limit)
    return float(limit.to_value(u.arcsec if limit.unit.is_equivalent(u.arcsec) else limit.unit))


def _margin(limit: float) -> float:
    # At 0 only the sign counts, which any arithmetic gets right.
    return _MARGIN * max(1.0, abs(limit)) if limit else 0.0


def _up(limit: float | Quantity) -> str:
    # Eight digits are far finer than the margin, and need no exponent, which some parsers refuse.
    number = _number(limit)
    return f"{number + _margin(number):.8f}"


def _down(limit: float | Quantity) -> str:
    number = _number(limit)
    return f"{number - _margin(number):.8f}"
