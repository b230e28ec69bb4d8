"""Catalogues with one row per galaxy: the photometry of shreds added to that of their galaxy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from astropy import units as u
from astropy.table import Column

from shredfinder._utils.columns import as_table, find_column
from shredfinder._utils.positions import find_position, get_angle_factor, get_degrees
from shredfinder._utils.units import to_strings
from shredfinder.hosts.fluxes import find_bands, find_identifiers
from shredfinder.hosts.groups import check_parents, find_centers, make_groups, read_weights
from shredfinder.hosts.parents import find_parents
from shredfinder.hosts.photometry import Targets, measure_targets
from shredfinder.hosts.sphere import unit_vectors
from shredfinder.hosts.sums import Measured, sum_photometry, write_rows

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord
    from astropy.table import Table

    from shredfinder.hosts.image_source import ImageSource
    from shredfinder.imaging import Cutouts, CutoutSequence

__all__ = ["merge_shreds"]

_GALAXY, _HOST, _RECOVERED = "galaxy", "host", "recovered"
_KINDS = {"host": _HOST, "orphan": _RECOVERED}
_SEPARATOR = ";"
# Fixed-length text that needs more memory than this becomes Python objects.
_MAX_TEXT = 2**30
_DESCRIPTIONS = {
    "n_shreds": "Number of shreds that were merged",
    "shred_ids": "Identifiers of the merged shreds, separated by semicolons",
    "merge_kind": "galaxy, host (listed only as shreds of a known host) or recovered",
    "merge_flag": "Why the photometry is doubtful",
}


def merge_shreds(
    table: Table,
    method: Literal["catalog", "image"] = "catalog",
    *,
    parents: Table | None = None,
    images: ImageSource | None = None,
    cutouts: Cutouts | CutoutSequence | None = None,
    hosts: Table | None = None,
    threshold: float = 0.5,
    p_column: str = "p_cnn",
    id_column: str | None = None,
    position: str | tuple[str, str] | SkyCoord | None = None,
    survey: str | None = None,
) -> Table:
    """Merge the shreds of a scored catalogue with their galaxies: one row per galaxy.

    The fluxes of a galaxy's entry and of its shreds are added up, since the fluxes of a deblender
    share the light of the galaxy; or they are measured in images of each galaxy with shreds.
    Shreds without a galaxy become one recovered galaxy per group.

    Parameters
    ----------
    table : `~astropy.table.Table`, `pandas.DataFrame` or structured array
        Scored catalogue with positions and fluxes or magnitudes. It is not changed.
    method : {"catalog", "image"}, optional
        How the photometry is made: the sum of the catalogue's fluxes, or, for galaxies with
        shreds, the total flux in images (see Notes).
    parents : `~astropy.table.Table`, optional
        The result of `find_parents` for ``table``; by default it is computed from the arguments
        that follow.
    images : str, path-like, dict, CutoutService, CutoutFetcher, Cutouts or CutoutSequence, optional
        For the method ``"image"``: the name of a service or survey, by default the Legacy Surveys'
        viewer (fluxes, ``fits-cutout``); a folder of bricks or other FITS images, or a dict of
        band → images, as for `~shredfinder.cutouts.LocalImages`; a configured service or fetcher;
        or one cutout per row of ``table``, of fluxes in nanomaggies per pixel of 0.262″ squared, or
        of colours, which are converted by `~shredfinder.imaging.rgb_to_flux` with its limits.
    cutouts, hosts, threshold, p_column, id_column, position, survey
        As for `find_parents`.

    Returns
    -------
    merged : `~astropy.table.Table`
        One row per galaxy, in the order of ``table``, of its class and with its columns:

        - a galaxy's row keeps its position and all columns but the photometry;
        - a group of orphans has the columns of its brightest entry, the light-weighted centre as
          position, and no ``p_cnn``;
        - shreds of a host that is not in the table are the same, with the host's position.

        Fluxes and magnitudes of all bands are sums over all entries, with the errors combined. The
        half-light radius is that of the merged light distribution. Further columns:

        ========== ==========================================================================
        n_shreds   number of merged shreds
        shred_ids  their identifiers, separated by semicolons; text, or Python objects if that
                   would need more than 1 GB
        merge_kind ``galaxy``, ``recovered`` (all entries are shreds) or ``host`` (the same, of a
                   host in ``hosts``, whose name is in ``merge_host``)
        merge_flag bands in which an entry has no flux, such as ``"missing g z"``; the others are
                   added up, but if it is the galaxy's own flux that is missing, so is the sum.
                   ``"negative g"``: the sum has no magnitude. ``unscored`` and ``no position`` are
                   those of `find_parents`. With images, also why a measurement is doubtful (see
                   Notes), and ``sum`` where the fluxes are sums, since there is no image or no
                   light was found
        ========== ==========================================================================

        With images, ``half_light_radius`` is the measured one along the major axis in arcsec, with
        the seeing; NaN for galaxies without shreds, which keep their row. It replaces the
        catalogue's in its column.

        Every row of ``table`` is named in exactly one row, by the identifier or in ``shred_ids``.

    Raises
    ------
    KeyError
        If a column is missing.
    ValueError
        If the table has no fluxes or magnitudes, or columns that merging writes, ``method`` is
        unknown, ``parents`` does not belong to the table, or as for `find_parents`.
    TypeError, astropy.units.UnitsError
        If a column is of the wrong type or unit.

    Warns
    -----
    ShredfinderWarning
        As for `find_parents`.

    Notes
    -----
    Negative fluxes are added like others; a sum that is not positive has no magnitude. The errors
    of the entries are taken as independent. Fluxes are added as observed, and corrected for
    extinction once: the transmission of the merged row is the flux-weighted mean, so that observed
    and corrected columns agree. Corrected magnitudes without observed fluxes are added as they are.
    Columns of fluxes are found under the names of the surveys and of `shredfinder.catalogs`.
    Other columns, such as quality flags, are those of the galaxy's entry.

    In images, photutils segments and deblends the sources. Segments with an entry of another
    galaxy are masked, and so are peaks without an entry that exceed the light around them by a
    factor of five: stars. The local sky is the mode of the pixels beyond 1.2 times the galaxy's
    isophote. Curves of growth in ellipses give the flux where they become flat, with the mean of
    each ring in masked pixels. Images are fetched again at 1.5 times the size until the galaxy and
    the sky around it fit. Uncertainties include the noise, the variation of the sky, 30 % of the
    light that is interpolated in masked pixels, 10 % of the masked neighbours' light, and 1 % of
    the flux. Flags: ``edge`` (the aperture reaches beyond the image), ``bright neighbour`` (30 % of
    the aperture is masked, or the masked light exceeds half of the galaxy's), ``no convergence``
    (the curve is not flat at 2.2 times the isophote's radius). Fluxes from colour images miss light
    where a channel is clipped: in white pixels, brighter than 20.1 mag/arcsec² in r in the Legacy
    Surveys' colours, and, for a single band, at fainter levels in strongly coloured ones.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from shredfinder.hosts import merge_shreds
    >>> table = Table({"objID": [11, 12, 13, 14], "ra": [150.0, 150.003, 150.1, 150.101],
    ...                "dec": [2.0, 2.0, 2.0, 2.0], "r": [15.0, 15.0, 18.5, 18.5],
    ...                "radius": [8.0, 1.5, 2.0, 2.0], "p_cnn": [0.02, 0.97, 0.91, 0.88]})
    >>> merged = merge_shreds(table)
    >>> merged["ra"].format, merged["r"].format = ".4f", ".3f"
    >>> merged["objID", "ra", "r", "n_shreds", "shred_ids", "merge_kind"].pprint()
    objID    ra      r    n_shreds shred_ids merge_kind
    ----- -------- ------ -------- --------- ----------
       11 150.0000 14.247        1        12     galaxy
       13 150.1005 17.747        2     13;14  recovered
    """
    if method not in ("catalog", "image"):
        raise ValueError(f"method must be 'catalog' or 'image', not {method!r}")
    if images is not None and method == "catalog":
        raise ValueError("images are for the photometry of method='image': give it, or cutouts=")
    table = as_table(table)
    bands = find_bands(table, survey)
    if not bands:
        raise ValueError(
            "the table has no fluxes or magnitudes to merge, among the columns "
            f"{', '.join(table.colnames) or '(none)'}: add them under a survey's names, such as "
            "flux_r and flux_ivar_r, or as r and r_err"
        )
    id_name, identifiers = find_identifiers(table, id_column)
    _check_names(table, method, id_name)
    if parents is None:
        parents = find_parents(
            table,
            cutouts,
            hosts=hosts,
            threshold=threshold,
            p_column=p_column,
            id_column=id_column,
            position=position,
            survey=survey,
        )
    kind, index = check_parents(parents, identifiers)
    weight = read_weights(table, bands[0])
    groups = make_groups(kind, index, weight)
    main = groups.main
    merged = table[main]
    if id_name is None:
        merged.add_column(Column(main, name="row", description="Row of the input"), index=0)
    _add_names(merged, groups, kind, identifiers)
    if hosts is not None or (kind == "host").any():
        _add_host_names(merged, parents, main, kind)
    ra, dec = get_degrees(table, position)
    centers = find_centers(ra, dec, weight, groups, kind, index, hosts)
    moved = np.isin(kind[main], list(_KINDS))
    changed = (groups.size > 1) | moved
    if moved.any() and not hasattr(position, "icrs"):
        _write_positions(merged, position or find_position(table), centers, moved)
    apart = _separations(ra, dec, centers, groups)
    measured, notes = None, np.full(main.size, "", dtype=object)
    if method == "image":
        rows = np.flatnonzero(changed)
        targets = Targets.of_table(
            table, main[groups.number], main[rows], centers[:, rows], position
        )
        measured = _measure(targets, rows, images, bands, notes)
        changed = changed | np.isfinite(measured.radius)
        merged["half_light_radius"] = Column(measured.radius, unit=u.arcsec, format=".2f")
    missing = sum_photometry(table, merged, bands, groups, weight, apart, changed, measured)
    merged["merge_flag"] = _join_flags(_parent_flags(parents, main), notes, missing)
    _blank_scores(merged, find_column(table, p_column, required=False), moved)
    for name, words in _DESCRIPTIONS.items():
        merged[name].info.description = words
    if method == "image":
        merged["half_light_radius"].info.description = "Half-light radius along the major axis"
    return merged


def _check_names(table, method, id_name):
    """Refuse columns that the result would overwrite, such as those of a merged table."""
    names = [*_DESCRIPTIONS, "merge_host"]
    names += ["half_light_radius"] * (method == "image") + ["row"] * (id_name is None)
    clash = [name for name in names if find_column(table, name, required=False) is not None]
    if clash:
        raise ValueError(
            f"the table already has columns that merging writes: {', '.join(clash)}; pass the "
            "scored catalogue before merging, or rename them"
        )


def _parent_flags(parents, main):
    """Return why the main rows were not judged: unscored, or without a position."""
    if "parent_flag" not in parents.colnames:
        return np.full(main.size, "")
    return to_strings(parents["parent_flag"], "parent_flag")[main]


def _join_flags(*columns):
    """Join the flags of each row; a reason is given once."""
    rows = []
    for flags in zip(*columns, strict=True):
        words = [str(flag) for flag in flags if flag]
        later = [words[i + 1 :] for i in range(len(words))]
        rows.append(
            ", ".join(
                word
                for word, others in zip(words, later, strict=True)
                if not any(other.startswith(word) for other in others)
            )
        )
    return np.array(rows, dtype=str) if rows else np.zeros(0, dtype="U1")


def _measure(targets, rows, images, bands, notes):
    """Measure galaxies in images; ``notes`` gets the flags of each group."""
    names = {band for scheme in bands for band in scheme.columns}
    fluxes = {band: np.full((2, notes.size), np.nan) for band in names}
    radius = np.full(notes.size, np.nan)

    def on_light(target, light, reason):
        group = rows[target]
        if light is None:
            notes[group] = f"{reason}, sum"
            return
        notes[group] = ", ".join(light.flags)
        radius[group] = light.half_light_radius
        for band, flux, error in zip(light.bands, light.flux, light.error, strict=True):
            if band in fluxes:
                fluxes[band][:, group] = flux, error**2
        lacking = sorted(names.difference(light.bands))
        if lacking:
            notes[group] = ", ".join(filter(None, [notes[group], f"sum {' '.join(lacking)}"]))

    measure_targets(targets, images, bands[0].reference, on_light=on_light)
    return Measured({band: tuple(values) for band, values in fluxes.items()}, radius)


def _add_names(merged, groups, kind, identifiers):
    n_groups = groups.main.size
    piece = kind != "self"
    number = groups.number[piece]
    merged["n_shreds"] = np.bincount(number, minlength=n_groups)
    names = identifiers[piece].astype(str)
    if any(_SEPARATOR in name for name in names.tolist()):
        raise ValueError(
            f"identifiers of shreds contain {_SEPARATOR!r}, which separates them in shred_ids: "
            "choose another column with id_column"
        )
    joined = np.full(n_groups, "", dtype=object)
    for group, name in zip(number.tolist(), names.tolist(), strict=True):
        joined[group] = f"{joined[group]}{_SEPARATOR}{name}" if joined[group] else name
    longest = max(map(len, joined), default=0)
    merged["shred_ids"] = joined.astype(str) if 4 * longest * n_groups < _MAX_TEXT else joined
    kinds = np.full(n_groups, _GALAXY, dtype="U9")
    for name, word in _KINDS.items():
        kinds[kind[groups.main] == name] = word
    merged["merge_kind"] = kinds


def _add_host_names(merged, parents, main, kind):
    names = np.asarray(parents["parent_id"])[main].astype(str)
    merged["merge_host"] = np.where(kind[main] == "host", names, "")
    merged["merge_host"].info.description = "The host of which only shreds are in the catalogue"


def _separations(ra, dec, centers, groups):
    """Return each row's distance from its galaxy's centre in arcsec, 0 for galaxies."""
    center = unit_vectors(*centers)[groups.number]
    apart = np.linalg.norm(unit_vectors(ra, dec) - center, axis=1)
    return np.nan_to_num(np.degrees(apart) * 3600.0)


def _write_positions(merged, position, centers, moved):
    """Write the centres of recovered galaxies, in the form of the position columns."""
    from astropy.coordinates import SkyCoord

    if isinstance(position, str):
        column = merged[position]
        coords = column.copy()
        new = SkyCoord(*centers[:, moved], unit=u.deg).transform_to(coords.frame)
        coords[moved] = new
        merged[position] = coords
        return
    for name, values, hours in zip(position, centers, (True, False), strict=True):
        column = merged[name]
        if column.dtype.kind in "SUO":
            from astropy.coordinates import Angle

            unit = u.hourangle if hours else u.deg
            text = np.asarray(column).astype(str).astype(object)
            text[moved] = Angle(values[moved], u.deg).to_string(unit=unit, sep=":", precision=4)
            merged[name] = text.astype(str)
            continue
        factor = 1.0 if column.unit is None else get_angle_factor(column.unit, name, is_ra=hours)
        write_rows(merged, name, values / factor, moved, column.unit)


def _blank_scores(merged, p_name, moved):
    """Remove the scores of recovered galaxies: they are those of a piece."""
    if p_name is None or not moved.any():
        return
    for name in (p_name, *(f"{p_name}_{kind}" for kind in ("std", "novelty", "robust")), "p_other"):
        found = find_column(merged, name, required=False)
        if found is not None:
            write_rows(merged, found, np.full(moved.size, np.nan), moved)
    flag = find_column(merged, f"{p_name}_flag", required=False)
    if flag is not None:
        text = to_strings(merged[flag], flag).astype(object)
        text[moved] = _RECOVERED
        merged[flag] = text.astype(str)
