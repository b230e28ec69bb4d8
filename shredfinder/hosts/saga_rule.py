"""SAGA's rule for shreds in full, a baseline for ``p_cnn``, and what each of them removes."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u
from astropy.table import Table

from shredfinder._utils.columns import as_table, find_column
from shredfinder._utils.fractions import classify
from shredfinder._utils.positions import get_degrees
from shredfinder._utils.units import to_bools, to_floats, to_strings
from shredfinder.exceptions import ShredfinderWarning
from shredfinder.hosts.ellipse import (
    SPEED_OF_LIGHT,
    clean_ellipses,
    elliptical_radii,
    is_large_galaxy_entry,
    usable_ellipses,
)
from shredfinder.hosts.fluxes import find_bands, find_identifiers, find_size, read_flux
from shredfinder.hosts.parents import HOST, ROW, SELF, name_parents
from shredfinder.hosts.sphere import iter_pairs, unit_vectors

if TYPE_CHECKING:
    from collections.abc import Collection

    from astropy.coordinates import SkyCoord
    from numpy.typing import ArrayLike

__all__ = ["compare_removals", "saga_shreds"]

_ARCSEC = np.radians(1.0 / 3600.0)
# The numbers are those of SAGA's public code (objects/build2.py, remove_shreds_near_spec_obj).
# Semi-major axes in units of PETRO_TH90, and of radius / sqrt(b/a) where no axis is given.
_NSA_SCALE, _RADIUS_SCALE = 2.0, 2.0
# Largest velocity difference in km/s for parents up to these magnitudes in r, and beyond.
_VELOCITIES, _VELOCITY_MAGS = np.array([300.0, 250.0, 200.0, 150.0]), (14.0, 16.0, 20.0)
# Brighter sources are never removed.
_BRIGHTEST = 14.0
# Sources without a redshift are removed in this inner part of the ellipse, or if the error of r is
# at least this: for parents in the atlas, and for others.
_INNER, _MAX_ERROR = {True: 0.75, False: 0.6}, {True: 0.005, False: 0.02}
# More removals by one parent outside the NSA and the atlas are reported.
_MANY = 25
# The entry of an NSA galaxy lies within this angle in arcsec, the widest match of SAGA's spectra.
_ENTRY = 10.0
# Names of columns, tried in this order and without regard to case.
_NAMES = {
    "redshift": ("redshift", "spec_z", "z_spec"),
    "axis ratio": ("ba", "axis_ratio"),
    "position angle": ("phi", "position_angle"),
}


def saga_shreds(
    table: Table,
    nsa: Table | None = None,
    *,
    redshift: str | None = None,
    recovered: Collection | None = None,
    id_column: str | None = None,
    position: str | tuple[str, str] | SkyCoord | None = None,
    survey: str | None = None,
) -> Table:
    """Find the shreds of a catalogue by SAGA's rule, without images and without ``p_cnn``.

    Galaxies with a redshift, and entries of the large-galaxy atlas, remove fainter sources inside
    their ellipses. The simpler `shreds_by_rule` uses the ellipses of the hosts alone.

    Parameters
    ----------
    table : `~astropy.table.Table`, `pandas.DataFrame` or structured array
        Catalogue of ``n`` rows with positions, r magnitudes or fluxes (corrected for extinction if
        the columns for that are there) and half-light radii. Columns that are used if they exist:
        errors; redshifts; ``ba`` and ``phi`` (axis ratio, and position angle in degrees), or the
        Legacy Surveys' ``shape_e1`` and ``shape_e2``; ``sma`` (semi-major axis in arcsec);
        ``ref_cat``; and ``type``, whose ``PSF`` are neither parents nor shreds.
    nsa : `~astropy.table.Table`, optional
        Galaxies of the NASA-Sloan Atlas, as returned by `read_nsa`: positions, ``z``,
        ``petro_th90``, ``petro_ba90``, ``petro_phi90`` and ``r_mag``.
    redshift : str, optional
        Name of the column of redshifts, NaN or masked where unknown; by default ``redshift``,
        ``spec_z`` or ``z_spec``.
    recovered : collection, optional
        Identifiers of sources that are not removed, whatever the rule says.
    id_column, position, survey
        As for `find_parents`.

    Returns
    -------
    shreds : `~astropy.table.Table`
        One row per row of ``table``, in its order: ``shred`` (bool), and ``id``, ``parent_id``,
        ``parent_kind`` (``self``, ``row`` or ``host``) and ``parent_index`` as from
        `find_parents`, so that `merge_shreds` accepts the result as ``parents``. ``parent_flag``
        has the reason of a removal, ``redshift``, ``inner ellipse`` or ``magnitude error``.

    Raises
    ------
    KeyError
        If a table lacks a column.
    ValueError
        If no positions or no r photometry are found, or identifiers are repeated.
    TypeError, astropy.units.UnitsError
        If a column is of the wrong type or unit.

    Warns
    -----
    ShredfinderWarning
        If one galaxy that is neither in the NSA nor in the atlas removes more than 25 sources, or
        if NSA galaxies are ignored, since they have no position, ellipse or magnitude.

    Notes
    -----
    The rule of SAGA's public code for its second and third data release
    (github.com/sagasurvey/saga, ``objects/build2.py``, ``remove_shreds_near_spec_obj``):

    - *Parents* in this order: atlas entries with a redshift, other galaxies with a redshift, other
      atlas entries; each from bright to faint. Galaxies that are removed are no parents.
    - *Ellipses*: 2 × PETRO_TH90, PETRO_BA90 and PETRO_PHI90 for NSA galaxies, whose nearest entry
      within 10″ takes over their magnitude and redshift; else the semi-major axis ``sma``; else
      2 × radius / √(b/a), with a radius that is the mean of both axes. The catalogue of the third
      release has ``sma`` = 3 × SHAPE_R, at r ≥ 16 limited to exp(7.9 − 0.3 r) / √(b/a), and
      4/3 of the moment in the atlas: add a column with these values to repeat it.
    - *Removed* are galaxies inside that are not brighter than the parent and fainter than r = 14,
      if their redshift differs by less than 300, 250, 200 or 150 km/s (r of the
      parent up to 14, 16, 20, and fainter), or if they have no redshift and lie within 0.75 of the
      ellipse (parents in the atlas) or 0.6 (others), or have σ(r) ≥ 0.005 or 0.02.

    - *Exempt* are atlas entries, the entries of NSA galaxies, and ``recovered``.

    The public code differs in two details: it exempts sources with any REF_CAT, Gaia's included,
    and for the second release removes all sources without a redshift inside an ellipse.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from shredfinder.hosts import saga_shreds
    >>> table = Table({"objID": [1, 2, 3, 4], "ra": [150.0, 150.002, 150.004, 150.004],
    ...                "dec": [2.0, 2.0, 2.0, 2.001], "r": [15.0, 18.0, 19.0, 19.0],
    ...                "r_err": [0.001, 0.001, 0.001, 0.03], "radius": [10.0, 1.0, 1.0, 1.0],
    ...                "redshift": [0.01, float("nan"), 0.2, float("nan")]})
    >>> saga_shreds(table)["id", "shred", "parent_id", "parent_flag"].pprint()
     id shred parent_id   parent_flag
    --- ----- --------- ---------------
      1 False         1
      2  True         1   inner ellipse
      3 False         3
      4  True         1 magnitude error
    """
    table = as_table(table)
    _, identifiers = find_identifiers(table, id_column)
    sources = _read_sources(table, redshift, position, survey)
    exempt = sources.atlas.copy()
    if recovered is not None:
        exempt |= np.isin(identifiers.astype(str), [str(name) for name in recovered])
    parents = _list_parents(sources, nsa)
    # Entries of NSA galaxies.
    exempt[parents.row[(parents.host >= 0) & (parents.row >= 0)]] = True
    n = len(table)
    kind, index = np.full(n, SELF, dtype="U6"), np.arange(n)
    flag = np.full(n, "", dtype="U15")
    for parent, rows, radii in _iter_inside(sources, parents):
        row = parents.row[parent]
        if row >= 0 and kind[row] != SELF:
            continue
        # Neither the entry of the parent itself nor what an earlier parent removed.
        left = (rows != row) & (kind[rows] == SELF)
        rows, radii = rows[left], radii[left]
        reason = _judge(sources, rows, radii, parents, parent)
        removed = (reason != "") & ~exempt[rows]
        rows, reason = rows[removed], reason[removed]
        if rows.size > _MANY and not parents.known[parent]:
            warnings.warn(
                f"{rows.size} sources are removed around the galaxy {identifiers[row]}, which is "
                "neither in the NSA nor in the atlas: check its radius and redshift",
                ShredfinderWarning,
                stacklevel=2,
            )
        kind[rows] = ROW if row >= 0 else HOST
        index[rows] = row if row >= 0 else parents.host[parent]
        flag[rows] = reason
    result = Table()
    result["id"] = identifiers
    result["shred"] = kind != SELF
    result["parent_id"] = name_parents(kind, index, identifiers, nsa)
    result["parent_kind"], result["parent_index"] = kind, index
    flag[~np.isfinite(sources.points[:, 0])] = "no position"
    result["parent_flag"] = flag
    return result


@dataclass
class _Sources:
    """The catalogue: unit vectors, r magnitudes, ellipses (arcsec, rad), and what is known."""

    points: np.ndarray
    r_mag: np.ndarray
    r_err: np.ndarray
    redshift: np.ndarray
    ellipses: tuple[np.ndarray, ...]
    atlas: np.ndarray
    galaxy: np.ndarray


@dataclass
class _Parents:
    """Parents in the order of the rule; ``row`` and ``host`` are -1 where there is none."""

    row: np.ndarray
    host: np.ndarray
    points: np.ndarray
    r_mag: np.ndarray
    redshift: np.ndarray
    ellipses: tuple[np.ndarray, ...]
    atlas: np.ndarray
    # Galaxies of the NSA and the atlas may remove many sources.
    known: np.ndarray


def _read_sources(table, redshift, position, survey):
    n = len(table)
    r_mag, r_err = _read_r(table, survey)
    values = _read_optional(table, _NAMES["redshift"] if redshift is None else (redshift,))
    if values is None and redshift is not None:
        find_column(table, redshift)  # raises an error with the names that there are
    ref_cat, atlas = find_column(table, "ref_cat", required=False), np.zeros(n, dtype=bool)
    if n and ref_cat is not None:
        atlas = is_large_galaxy_entry(table[ref_cat])
    kind = find_column(table, "type", required=False)
    star = np.zeros(n, dtype=bool)
    # Other catalogues have numbers in a column of this name.
    if n and kind is not None and table[kind].dtype.kind in "SUO":
        star = np.char.upper(to_strings(table[kind], kind)) == "PSF"
    return _Sources(
        points=unit_vectors(*get_degrees(table, position)),
        r_mag=r_mag,
        r_err=r_err,
        redshift=np.full(n, np.nan) if values is None else values,
        ellipses=_read_ellipses(table),
        atlas=atlas,
        galaxy=~star,
    )


def _read_r(table, survey):
    """Return r magnitudes, corrected for extinction where that is possible, and their errors."""
    found = next((bands for bands in find_bands(table, survey) if "r" in bands.columns), None)
    if found is None:
        raise ValueError(
            f"the table has no r photometry among the columns {', '.join(table.colnames)}: add it "
            "under a survey's name, such as flux_r, or as r and r_err"
        )
    flux, variance = read_flux(table, found, "r", dereddened=True)
    if flux is None:
        # Fluxes that are not corrected yet.
        flux, variance = read_flux(table, found, "r", dereddened=False)
        transmission = found.columns["r"].get("mw_transmission")
        if transmission is not None:
            factor = to_floats(table[transmission], transmission)
            flux, variance = flux / factor, None if variance is None else variance / factor**2
    flux = np.full(len(table), np.nan) if flux is None else flux
    with np.errstate(divide="ignore", invalid="ignore"):
        mag = np.where(flux > 0, 22.5 - 2.5 * np.log10(flux), np.nan)
        # Unknown errors are not large ones: NaN fails the comparison.
        error = np.full(flux.size, np.nan) if variance is None else np.sqrt(variance) / flux
    return mag, 2.5 / np.log(10) * error


def _read_ellipses(table):
    """Return semi-major axes, axis ratios and angles; NaN where there is no ellipse."""
    n = len(table)
    e1, e2 = (_read_optional(table, (f"shape_e{i}",)) for i in (1, 2))
    if e1 is not None and e2 is not None:
        ellipticity = np.hypot(e1, e2)
        ratio = (1 - ellipticity) / (1 + ellipticity)
        angle = np.degrees(np.arctan2(e2, e1)) / 2
    else:
        ratio = _read_optional(table, _NAMES["axis ratio"])
        angle = _read_optional(table, _NAMES["position angle"], u.deg)
        ratio = np.ones(n) if ratio is None or angle is None else ratio
        angle = np.zeros(n) if angle is None else angle
    # Round sources have no angle.
    angle = np.where(np.isfinite(angle), angle, 0.0)
    axis = _read_optional(table, ("sma",), u.arcsec)
    size = find_size(table)
    if axis is None and size is not None:
        axis = _RADIUS_SCALE * to_floats(table[size], size, u.arcsec)
        # SHAPE_R is the semi-major axis already.
        if size.lower() != "shape_r":
            with np.errstate(divide="ignore", invalid="ignore"):
                axis = axis / np.sqrt(ratio)
    return clean_ellipses(np.full(n, np.nan) if axis is None else axis, ratio, angle)


def _read_optional(table, names, unit=u.dimensionless_unscaled):
    for name in names:
        found = find_column(table, name, required=False)
        if found is not None:
            return to_floats(table[found], found, unit)
    return None


def _list_parents(sources, nsa):
    """List the parents in the order in which they remove sources."""
    usable = sources.galaxy & np.isfinite(sources.points[:, 0]) & np.isfinite(sources.r_mag)
    good = usable & (np.isfinite(sources.redshift) | sources.atlas)
    parts = []
    if nsa is not None:
        parts.append(_list_nsa(sources, usable, nsa))
        good[parts[0].row[parts[0].row >= 0]] = False
    rows = np.flatnonzero(good & np.isfinite(sources.ellipses[0]))
    parts.append(
        _Parents(
            rows, np.full(rows.size, -1), sources.points[rows], sources.r_mag[rows],
            sources.redshift[rows], tuple(values[rows] for values in sources.ellipses),
            sources.atlas[rows], sources.atlas[rows],
        )
    )  # fmt: skip
    joined = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("row", "host", "points", "r_mag", "redshift", "atlas", "known")
    }
    ellipses = tuple(
        np.concatenate(values) for values in zip(*(p.ellipses for p in parts), strict=True)
    )
    rank = 2 * np.isfinite(joined["redshift"]) + joined["atlas"]
    order = np.lexsort((*joined["points"].T, joined["r_mag"], -rank))
    joined = {name: values[order] for name, values in joined.items()}
    return _Parents(ellipses=tuple(values[order] for values in ellipses), **joined)


def _list_nsa(sources, usable, nsa):
    """List the galaxies of the NSA, with the row of the nearest entry."""
    ra, dec = get_degrees(nsa, name="nsa")
    points = unit_vectors(ra, dec)
    axis, ratio, angle = usable_ellipses(nsa)
    z_name, r_name = find_column(nsa, "z"), find_column(nsa, "r_mag", required=False)
    redshift = to_floats(nsa[z_name], z_name)
    r_mag = np.full(len(nsa), np.nan) if r_name is None else to_floats(nsa[r_name], r_name, u.mag)
    row, best = np.full(len(nsa), -1), np.full(len(nsa), np.inf)
    rows, placed = np.flatnonzero(usable), np.flatnonzero(np.isfinite(ra))
    reach = np.full(placed.size, _ENTRY * _ARCSEC)
    for point, center, apart in iter_pairs(sources.points[rows], points[placed], reach):
        order = np.lexsort((-point, -apart))  # the nearest one is written last
        row[placed[center[order]]] = rows[point[order]]
        best[placed[center[order]]] = apart[order]
    # One entry for each: the nearest of several NSA galaxies has it.
    taken = np.flatnonzero(row >= 0)
    taken = taken[np.lexsort((best[taken], row[taken]))]
    second = taken[np.r_[False, np.diff(row[taken]) == 0][: taken.size]]
    row[second] = -1
    # The last element stands for rows of -1.
    r_mag = np.where(np.isfinite(r_mag), r_mag, np.r_[sources.r_mag, np.nan][row])
    good = np.isfinite(ra) & np.isfinite(axis) & np.isfinite(r_mag)
    if not good.all():
        warnings.warn(
            f"{np.count_nonzero(~good)} of {good.size} NSA galaxies are ignored: they have no "
            "position, ellipse or r magnitude",
            ShredfinderWarning,
            stacklevel=4,
        )
    host = np.flatnonzero(good)
    row = row[host]
    ellipses = tuple(values[host] for values in (_NSA_SCALE * axis, ratio, angle))
    atlas = np.r_[sources.atlas, False][row]
    return _Parents(
        row, host, points[host], r_mag[host], redshift[host], ellipses, atlas,
        np.ones(host.size, dtype=bool),
    )  # fmt: skip


def _iter_inside(sources, parents):
    """Yield each parent with the galaxies in its ellipse and their elliptical radii, in order."""
    rows = np.flatnonzero(sources.galaxy & np.isfinite(sources.points[:, 0]))
    found = [(np.zeros(0, int), np.zeros(0, int), np.zeros(0))]
    reach = parents.ellipses[0] * _ARCSEC
    for point, center, _ in iter_pairs(sources.points[rows], parents.points, reach):
        radii = elliptical_radii(
            parents.points[center],
            sources.points[rows[point]],
            *(values[center] for values in parents.ellipses),
        )
        inside = radii < 1
        found.append((center[inside], rows[point[inside]], radii[inside]))
    parent, row, radii = (np.concatenate(values) for values in zip(*found, strict=True))
    order = np.lexsort((row, parent))
    parent, row, radii = parent[order], row[order], radii[order]
    for part in np.split(np.arange(parent.size), np.flatnonzero(np.diff(parent)) + 1):
        if part.size:
            yield parent[part[0]], row[part], radii[part]


def _judge(sources, rows, radii, parents, parent):
    """Return why a parent removes rows in its ellipse, "" where it does not."""
    r_mag, own, redshift = parents.r_mag[parent], sources.r_mag[rows], sources.redshift[rows]
    atlas = bool(parents.atlas[parent])
    unknown = ~np.isfinite(redshift)
    limit = _VELOCITIES[np.searchsorted(_VELOCITY_MAGS, r_mag)]
    reason = np.full(rows.size, "", dtype="U15")
    with np.errstate(invalid="ignore"):
        # Errors were converted to fluxes and back.
        uncertain = sources.r_err[rows] >= _MAX_ERROR[atlas] * (1 - 1e-9)
        reason[unknown & uncertain] = "magnitude error"
        reason[unknown & (radii < _INNER[atlas])] = "inner ellipse"
        # Without a redshift of the parent, the comparison with NaN is False.
        apart = np.abs(redshift - parents.redshift[parent]) * SPEED_OF_LIGHT
        reason[apart < limit] = "redshift"
        reason[~((own >= r_mag) & (own > _BRIGHTEST))] = ""
    return reason


def compare_removals(
    by_rule: ArrayLike,
    p_cnn: ArrayLike,
    *,
    label: ArrayLike | None = None,
    threshold: float = 0.5,
) -> Table:
    """Count what a rule and ``p_cnn`` each remove, alone and together.

    Parameters
    ----------
    by_rule : array_like of bool, of shape (n,)
        Sources that the rule removes, such as ``saga_shreds(table)["shred"]``.
    p_cnn : array_like of float, of shape (n,)
        Scores; sources without one are not removed.
    label : array_like of str, of shape (n,), optional
        True classes, of which ``shred`` and ``galaxy`` are counted.
    threshold : float, optional
        Sources with ``p_cnn`` at or above it are removed.

    Returns
    -------
    counts : `~astropy.table.Table`
        Rows for what ``the rule`` removes, ``p_cnn``, ``both``, ``the rule alone``, ``p_cnn
        alone`` and ``neither``, with the column ``n``. With labels also ``shreds`` and
        ``galaxies``, the numbers of either class.

    Raises
    ------
    ValueError
        If the lengths differ, or the threshold or a score is not between 0 and 1.

    Examples
    --------
    >>> from shredfinder.hosts import compare_removals
    >>> compare_removals([True, True, False, False], [0.9, 0.1, 0.8, 0.2],
    ...                  label=["shred", "galaxy", "shred", "galaxy"]).pprint()
      removed by    n  shreds galaxies
    -------------- --- ------ --------
          the rule   2      1        1
             p_cnn   2      2        0
              both   1      1        0
    the rule alone   1      0        1
       p_cnn alone   1      1        0
           neither   1      0        1
    """
    rule = to_bools(by_rule, "by_rule")
    _, network = classify(p_cnn, threshold, "p_cnn")
    labels = None if label is None else to_strings(label, "label")
    for name, values in (("p_cnn", network), ("label", labels)):
        if values is not None and values.shape != rule.shape:
            raise ValueError(
                f"by_rule and {name} must have the same length, got shapes {rule.shape} and "
                f"{values.shape}"
            )
    sets = {
        "the rule": rule,
        "p_cnn": network,
        "both": rule & network,
        "the rule alone": rule & ~network,
        "p_cnn alone": network & ~rule,
        "neither": ~rule & ~network,
    }
    counts = Table({"removed by": list(sets), "n": [np.count_nonzero(s) for s in sets.values()]})
    if labels is not None:
        for column, name in (("shreds", "shred"), ("galaxies", "galaxy")):
            counts[column] = [np.count_nonzero(s & (labels == name)) for s in sets.values()]
    return counts
