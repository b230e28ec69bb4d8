"""The galaxy to which each shred belongs."""

from __future__ import annotations

import warnings
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u
from astropy.table import Column, Table

from shredfinder._utils.columns import as_table, find_column
from shredfinder._utils.fractions import classify
from shredfinder._utils.positions import get_degrees
from shredfinder._utils.units import split_mask, to_strings, to_value
from shredfinder.exceptions import ShredfinderWarning
from shredfinder.hosts.assignment import Sources, assign
from shredfinder.hosts.ellipse import elliptical_radii, is_large_galaxy_entry, usable_ellipses
from shredfinder.hosts.fluxes import (
    find_bands,
    find_identifiers,
    read_light,
    read_sizes,
)
from shredfinder.hosts.light import find_light_links
from shredfinder.hosts.sphere import iter_pairs, unit_vectors
from shredfinder.imaging import CutoutFlag, Cutouts, CutoutSequence

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord
    from astropy.units import Quantity

__all__ = ["find_parents", "name_parents"]

_ARCSEC = np.radians(1.0 / 3600.0)
# As in SAGA's rule, sources inside this multiple of the 90 % light radius may be shreds.
_ELLIPSE_SCALE = 2.0
# A galaxy this near to a host's centre, in units of its 90 % radius or in arcsec, is its entry.
_ENTRY_RADIUS, _ENTRY_ARCSEC = 0.15, 3.0
_MAX_SCORE = 0.999
#: Kinds of parents.
ORPHAN, HOST, ROW, SELF = "orphan", "host", "row", "self"


def find_parents(
    table: Table,
    cutouts: Cutouts | CutoutSequence | None = None,
    *,
    hosts: Table | None = None,
    threshold: float = 0.5,
    p_column: str = "p_cnn",
    id_column: str | None = None,
    position: str | tuple[str, str] | SkyCoord | None = None,
    survey: str | None = None,
    surface_brightness: float | Quantity = 25.0,
) -> Table:
    """Find the galaxy to which each row of a scored catalogue belongs.

    A row with ``p_cnn`` below the threshold is a galaxy of its own. A shred belongs to the most
    probable galaxy around it, or to none. The probability depends on the galaxy's magnitude, its
    separation in units of the half-light radius that it has with its shreds, the colours, whether
    the galaxy is in the middle of its shreds, and to which galaxy the shreds around belong. Cutouts
    show in addition how brightly light connects the two. Shreds without a galaxy are grouped as
    orphans: together they are a galaxy of which every entry is a shred.

    Parameters
    ----------
    table : `~astropy.table.Table`, `pandas.DataFrame` or structured array
        Scored catalogue of ``n`` rows with positions and ``p_column``. Fluxes or magnitudes and
        half-light radii are used where they are found; without them, only separations are.
    cutouts : Cutouts or CutoutSequence, optional
        One cutout per row, centred on it, in its order: of fluxes, or in colours whose mapping
        from fluxes is known. Only the shreds' cutouts are used. Needs photutils.
    hosts : `~astropy.table.Table`, optional
        Large galaxies with positions, ``petro_th90``, ``petro_ba90`` and ``petro_phi90``, as
        returned by `read_nsa`, and ``host_id``. Shreds inside the ellipse of a host belong to the
        host's entry in ``table``, or to the host itself if it has none.
    threshold : float, optional
        Rows with ``p_cnn`` at or above this are shreds. Entries of the Legacy Surveys'
        large-galaxy atlas never are (`is_large_galaxy_entry`).
    p_column : str, optional
        Name of the column of probabilities.
    id_column : str, optional
        Name of a column of unique identifiers; by default a common name, such as ``objID`` or
        ``ls_id``, else row numbers.
    position : str, tuple of str or `~astropy.coordinates.SkyCoord`, optional
        Position columns, as for `~shredfinder.table.get_positions`.
    survey : str, optional
        Survey whose names the columns of fluxes have; by default all surveys' names are tried.
    surface_brightness : float or `~astropy.units.Quantity`, optional
        Surface brightness in r, in mag/arcsec², down to which light in a cutout connects sources.

    Returns
    -------
    parents : `~astropy.table.Table`
        One row per row of ``table``, in its order:

        ================= ======================================================================
        id                identifier of the row
        parent_id         identifier of its galaxy: of a row, or of a host; for orphans, of the
                          brightest row of the group
        parent_kind       ``self`` (a galaxy), ``row`` (a piece of another row), ``host`` (a piece
                          of a host that is not in the table) or ``orphan``
        parent_confidence 0 to 1: for a galaxy, 1 − ``p_cnn``; for a shred, the probability of its
                          parent among the possible ones
        parent_index      row of the parent in ``table``, or in ``hosts`` for the kind ``host``
        parent_flag       ``unscored`` (``p_cnn`` is missing: the row is its own galaxy) or
                          ``no position``, else empty
        ================= ======================================================================

    Raises
    ------
    KeyError
        If a table lacks a column.
    ValueError
        If no positions are found, identifiers are repeated, the number or colours of the cutouts
        do not fit, or the threshold or a probability is not between 0 and 1.
    TypeError, astropy.units.UnitsError
        If a column or an argument is of the wrong type or unit.
    MissingDependencyError
        If cutouts are given and photutils is not installed.

    Warns
    -----
    ShredfinderWarning
        If rows are unscored or have no position.

    See Also
    --------
    merge_shreds : Add up the photometry of each galaxy.

    Notes
    -----
    The result does not depend on the order of the rows, and the time is proportional to their
    number. Unscored rows are galaxies of their own and can be parents.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from shredfinder.hosts import find_parents
    >>> table = Table({"objID": [11, 12, 13, 14], "ra": [150.0, 150.003, 150.1, 150.101],
    ...                "dec": [2.0, 2.0, 2.0, 2.0], "r": [15.0, 18.0, 18.5, 19.0],
    ...                "radius": [8.0, 1.5, 2.0, 2.0], "p_cnn": [0.02, 0.97, 0.91, 0.88]})
    >>> find_parents(table)["id", "parent_id", "parent_kind"].pprint()
     id parent_id parent_kind
    --- --------- -----------
     11        11        self
     12        11         row
     13        13      orphan
     14        13      orphan
    """
    table = as_table(table)
    n = len(table)
    _, identifiers = find_identifiers(table, id_column)
    column = find_column(table, p_column)
    p_cnn, shred = classify(table[column], threshold, column)
    ra, dec = get_degrees(table, position)
    placed, scored = np.isfinite(ra), np.isfinite(p_cnn)
    _warn_of_gaps(scored | _is_no_galaxy(table, column), placed)
    ref_cat = find_column(table, "ref_cat", required=False)
    if ref_cat is not None and n:
        shred &= ~is_large_galaxy_entry(table[ref_cat])
    sources = _read_sources(table, unit_vectors(ra, dec), shred, p_cnn, survey)
    # Sums of floats depend on their order: a canonical order makes the result independent of it.
    order = np.lexsort((identifiers, p_cnn, sources.radius, sources.flux, ra, dec))
    parents = _Parents(shred, p_cnn)
    wanted = shred & placed
    if hosts is not None:
        parents.claim(sources, wanted, hosts, order)
        wanted &= parents.kind == SELF
    find_links = None
    if cutouts is not None:
        if not isinstance(cutouts, (Cutouts, CutoutSequence)):
            raise TypeError(
                f"cutouts must be Cutouts or a CutoutSequence, not {type(cutouts).__name__}: wrap "
                "an array as Cutouts(images, pixel_scale=..., bands=..., color_mapping=...)"
            )
        if len(cutouts) != n:
            raise ValueError(f"got {len(cutouts)} cutouts for {n} rows: pass one cutout per row")
        find_links = partial(
            find_light_links,
            cutouts,
            surface_brightness=to_value(
                surface_brightness, "surface_brightness", u.mag / u.arcsec**2
            ),
        )
    parent, share = assign(sources, wanted, order, find_links)
    parents.add(wanted, parent, share, np.where(shred[parent], ORPHAN, ROW))
    # A shred without a position is a group of its own.
    parents.kind[shred & ~placed] = ORPHAN
    table = Table()
    table["id"] = identifiers
    table["parent_id"] = name_parents(parents.kind, parents.index, identifiers, hosts)
    table["parent_kind"] = parents.kind
    table["parent_confidence"] = Column(parents.confidence.astype(np.float32), format=".2f")
    table["parent_index"] = parents.index
    flag = np.where(scored, "", "unscored").astype("U11")
    flag[~placed] = "no position"
    table["parent_flag"] = flag
    return table


class _Parents:
    """The columns of the result, while they are filled."""

    def __init__(self, shred: np.ndarray, p_cnn: np.ndarray) -> None:
        self.kind = np.full(shred.size, SELF, dtype="U6")
        self.index = np.arange(shred.size)
        # Entries of the large-galaxy atlas are galaxies whatever their score.
        galaxy = np.where(np.isfinite(p_cnn), 1.0 - p_cnn, np.nan)
        self.confidence = np.where(shred, 0.0, galaxy)

    def add(self, rows, index, confidence, kind):
        """Fill some rows, from arrays of all."""
        self.kind[rows], self.index[rows] = kind[rows], index[rows]
        self.confidence[rows] = confidence[rows]

    def claim(self, sources, wanted, hosts, order):
        """Assign the shreds inside the ellipses of hosts to the hosts, or to their entries."""
        radii, best = _find_ellipses(sources.points, wanted, hosts, order)
        inside = best >= 0
        if not inside.any():
            return
        entry = _find_entries(sources, hosts, order)
        kind = np.where(entry[best] >= 0, ROW, HOST)
        index = np.where(entry[best] >= 0, entry[best], best)
        # 1 at the centre, 1/2 on the ellipse.
        with np.errstate(invalid="ignore"):
            confidence = 1.0 - 0.5 * (radii / _ELLIPSE_SCALE) ** 2
        self.add(inside, index, confidence, kind)


def name_parents(
    kind: np.ndarray, index: np.ndarray, identifiers: np.ndarray, hosts: Table | None
) -> np.ndarray:
    """Return the identifiers of parents, from the table's or from ``host_id`` of the hosts.

    Parameters
    ----------
    kind, index : `~numpy.ndarray` of shape (n,)
        The columns ``parent_kind`` and ``parent_index``.
    identifiers : `~numpy.ndarray` of shape (n,)
        Identifiers of the table's rows.
    hosts : `~astropy.table.Table` or None
        The hosts.

    Returns
    -------
    names : `~numpy.ndarray` of shape (n,)
        Integers or text.
    """
    host = kind == HOST
    own = identifiers[np.where(host, 0, index)] if identifiers.size else identifiers
    if hosts is None:
        return own
    column = find_column(hosts, "host_id", required=False)
    rows = np.arange(len(hosts))
    names, mask = split_mask(rows if column is None else hosts[column])
    names = np.asarray(names)
    if mask is not None and mask.any():
        names = np.where(mask, np.char.add("host ", rows.astype(str)), names.astype(str))
    # Numbers and names have no common type: the result is text.
    if names.dtype.kind not in "iu" or own.dtype.kind not in "iu":
        names, own = names.astype(str), own.astype(str)
    if not host.any():
        return own
    return np.where(host, names[np.where(host, index, 0)], own)


def _is_no_galaxy(table, column):
    """Return which rows the model recognised as stars, artefacts or sky: they lack no score."""
    flag = find_column(table, f"{column}_flag", required=False)
    if flag is None:
        return np.zeros(len(table), bool)
    return to_strings(table[flag], flag) == CutoutFlag.NOT_A_GALAXY


def _warn_of_gaps(scored, placed):
    gaps = []
    if not scored.all():
        gaps.append(f"{np.count_nonzero(~scored)} are unscored and count as galaxies")
    if not placed.all():
        gaps.append(f"{np.count_nonzero(~placed)} have no position and belong to no other row")
    if gaps:
        warnings.warn(f"of {scored.size} rows, {', '.join(gaps)}", ShredfinderWarning, stacklevel=3)


def _read_sources(table, points, shred, p_cnn, survey):
    """Return positions, half-light radii (arcsec), fluxes (nanomaggies) and colours of all rows."""
    bands = find_bands(table, survey)
    flux = np.full(len(table), np.nan)
    color = flux.copy()
    if bands:
        flux = read_light(table, bands[0], bands[0].reference)
        if {"g", "r"} <= {*bands[0].columns}:
            blue, red = (read_light(table, bands[0], band) for band in "gr")
            with np.errstate(invalid="ignore", divide="ignore"):
                color = 2.5 * np.log10(np.where((blue > 0) & (red > 0), red / blue, np.nan))
    radius = read_sizes(table)
    # Scores of exactly 1 are no certainty.
    certain = np.clip(p_cnn, 0.5, _MAX_SCORE)
    doubt = np.where(shred, np.log((1 - certain) / certain), 0.0)
    return Sources(points, radius, flux, color, shred, doubt)


def _find_ellipses(points, wanted, hosts, order):
    """Return each row's host, -1 for none, and the elliptical radius in units of the 90 % one."""
    n = len(points)
    best, radii = np.full(n, -1, dtype=np.intp), np.full(n, np.inf)
    host_ra, host_dec = get_degrees(hosts, name="hosts")
    ellipses = usable_ellipses(hosts)
    usable = np.flatnonzero(np.isfinite(host_ra) & np.isfinite(ellipses[0]))
    centers = unit_vectors(host_ra[usable], host_dec[usable])
    shapes = [values[usable] for values in ellipses]
    rows = order[wanted[order]]
    reach = _ELLIPSE_SCALE * shapes[0] * _ARCSEC
    for point, center, _ in iter_pairs(points[rows], centers, reach):
        radius = elliptical_radii(
            centers[center], points[rows][point], *(values[center] for values in shapes)
        )
        inside = radius <= _ELLIPSE_SCALE
        row, host, radius = rows[point[inside]], usable[center[inside]], radius[inside]
        better = radius < radii[row]
        row, host, radius = row[better], host[better], radius[better]
        # Sorted by decreasing radius, so that the smallest is written last.
        by_radius = np.lexsort((-host, -radius))
        radii[row[by_radius]], best[row[by_radius]] = radius[by_radius], host[by_radius]
    return radii, best


def _find_entries(sources, hosts, order):
    """Return the row of each host's own entry in the catalogue: the brightest galaxy near it."""
    entry = np.full(len(hosts), -1, dtype=np.intp)
    host_ra, host_dec = get_degrees(hosts, name="hosts")
    semi_major = usable_ellipses(hosts)[0]
    usable = np.flatnonzero(np.isfinite(host_ra) & np.isfinite(semi_major))
    reach = np.maximum(_ENTRY_RADIUS * semi_major[usable], _ENTRY_ARCSEC) * _ARCSEC
    centers = unit_vectors(host_ra[usable], host_dec[usable])
    rows = order[~sources.shred[order] & np.isfinite(sources.points[order, 0])]
    flux = np.nan_to_num(sources.flux, nan=0.0)
    for point, center, _ in iter_pairs(sources.points[rows], centers, reach):
        row, host = rows[point], usable[center]
        # Sorted by flux, so that the brightest is written last.
        by_flux = np.lexsort((-point, flux[row]))
        entry[host[by_flux]] = row[by_flux]
    return entry
