"""Photometry of shredded galaxies in images that grow until each galaxy fits."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.coordinates import SkyCoord

from shredfinder._utils.columns import as_table
from shredfinder._utils.positions import get_degrees
from shredfinder._utils.runtime import progress_bar
from shredfinder.cutouts import CutoutFetcher, CutoutService
from shredfinder.hosts.fluxes import find_bands, find_identifiers, read_sizes
from shredfinder.hosts.groups import check_parents, find_centers, make_groups, read_weights
from shredfinder.hosts.growth import GalaxyLight, measure_light
from shredfinder.hosts.image_source import native_scale, open_images
from shredfinder.hosts.light import to_surface_brightness
from shredfinder.hosts.masks import ImageRows
from shredfinder.hosts.sphere import tangent_offsets, unit_vectors
from shredfinder.imaging.cutouts import FLUX
from shredfinder.surveys import DEFAULT_SURVEY, get_survey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Literal, TypeAlias

    from astropy.table import Table

    from shredfinder.hosts.image_source import ImageSource
    from shredfinder.imaging import Cutouts

    Progress: TypeAlias = bool | Literal["auto"]

__all__ = ["Targets", "measure_galaxies", "measure_targets"]

_ARCSEC = np.radians(1.0 / 3600.0)
# Sides of the images in arcsec: an image is followed by the next larger one until the galaxy fits.
_SIDES = tuple(float(side) for side in np.rint(40 * 1.5 ** np.arange(11)))
# Pixels per side: larger images get coarser pixels.
_MAX_PIXELS = 512
# An image is this many times as wide as the galaxy's entries extend, and as their nucleus.
_ROOM, _NUCLEUS = 5.0, 3.0
# Sources per request: images of the next ones are fetched while one is measured.
_CHUNK = 8
# Half-light radius in arcsec of entries of unknown size.
_DEFAULT_RADIUS = 1.0


@dataclass(frozen=True)
class Targets:
    """Galaxies to measure, and all entries of the catalogue.

    Attributes
    ----------
    rows : `~numpy.ndarray` of int, of shape (n_targets,)
        Main row of each galaxy.
    ra, dec : `~numpy.ndarray` of shape (n_targets,)
        Centres of the images in degrees.
    main : `~numpy.ndarray` of int, of shape (n,)
        Main row of the galaxy to which each entry belongs.
    points : `~numpy.ndarray` of shape (n, 3)
        Unit vectors of the entries; NaN without a position.
    radius : `~numpy.ndarray` of shape (n,)
        Half-light radii in arcsec.
    """

    rows: np.ndarray
    ra: np.ndarray
    dec: np.ndarray
    main: np.ndarray
    points: np.ndarray
    radius: np.ndarray

    @classmethod
    def of_table(
        cls,
        table: Table,
        main: np.ndarray,
        rows: np.ndarray,
        centers: np.ndarray,
        position: Any,
    ) -> Targets:
        """Create targets from a catalogue, the main row of each entry, and the galaxies' rows."""
        radius = read_sizes(table)
        radius = np.where(radius > 0, radius, _DEFAULT_RADIUS)
        points = unit_vectors(*get_degrees(table, position))
        return cls(rows, centers[0], centers[1], main, points, radius)

    def sides(self) -> np.ndarray:
        """Return the side of the first image of each galaxy in arcsec."""
        own = np.flatnonzero(np.isin(self.main, self.rows))
        target = np.searchsorted(self.rows, self.main[own])
        center = unit_vectors(self.ra, self.dec)[target]
        apart = np.linalg.norm(self.points[own] - center, axis=1) / _ARCSEC
        extent = np.zeros(self.rows.size)
        np.maximum.at(extent, target, np.nan_to_num(apart) + self.radius[own])
        return _ROOM * np.maximum(extent, _NUCLEUS * self.radius[self.rows])

    @cached_property
    def _tree(self) -> tuple[np.ndarray, Any]:
        from scipy.spatial import cKDTree

        placed = np.flatnonzero(np.isfinite(self.points[:, 0]))
        return placed, cKDTree(self.points[placed], balanced_tree=False)

    def in_image(self, target: int, center: np.ndarray, cutout: Cutouts) -> ImageRows:
        """Return the entries in and near a cutout centred on a unit vector."""
        height, width = cutout.size
        scale = cutout.pixel_scale
        placed, tree = self._tree
        reach = np.hypot(height, width) * scale * _ARCSEC
        near = np.asarray(tree.query_ball_point(center, reach), dtype=np.intp)
        near = placed[np.sort(near)]
        own = self.main[near] == self.rows[target]
        east, north = tangent_offsets(np.broadcast_to(center, (near.size, 3)), self.points[near])
        # North is up and east is left.
        return ImageRows(
            (width - 1) / 2 - east / scale,
            (height - 1) / 2 - north / scale,
            self.radius[near] / scale,
            own,
            near == self.rows[target],
        )


def measure_galaxies(
    table: Table,
    images: ImageSource | None = None,
    *,
    parents: Table,
    ids: Sequence[Any] | None = None,
    largest: int | None = None,
    hosts: Table | None = None,
    id_column: str | None = None,
    position: Any = None,
    survey: str | None = None,
    progress: Progress = "auto",
) -> list[GalaxyLight]:
    """Measure galaxies with shreds in images, and keep the images for figures.

    Parameters
    ----------
    table : `~astropy.table.Table`
        Scored catalogue, as for `merge_shreds`.
    images : str, path-like, dict, CutoutService, CutoutFetcher, Cutouts or CutoutSequence, optional
        Source of the images, as for `merge_shreds`: by default fluxes from the Legacy Surveys'
        viewer. Colour cutouts, one per row, will do for figures.
    parents : `~astropy.table.Table`
        The result of `find_parents` for ``table``.
    ids : sequence, optional
        Identifiers of the galaxies' rows; by default all galaxies with shreds, and recovered ones.
    largest : int, optional
        Measure only this number of galaxies: those whose magnitude changes most if the fluxes of
        their entries are added up. Recovered galaxies change by the light that the brightest
        entry lacks.
    hosts, id_column, position, survey
        As for `merge_shreds`.
    progress : bool or "auto", optional
        Whether to show a progress bar.

    Returns
    -------
    lights : list of GalaxyLight
        One for each galaxy whose light was found, those with the largest change of magnitude
        first. Draw them with `~shredfinder.plotting.plot_merge` and
        `~shredfinder.plotting.plot_merge_gallery`.

    Raises
    ------
    KeyError
        If a column, or an identifier in ``ids``, is missing.
    ValueError
        If ``parents`` does not belong to the table, the table has no fluxes, or the images have
        none.
    MissingDependencyError
        If photutils or scikit-image is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder.datasets import make_shredded_field
    >>> from shredfinder.hosts import find_parents, measure_galaxies
    >>> field = make_shredded_field(512, n_hosts=2, n_dwarfs=1, n_pairs=0, random_state=1)
    >>> table = field.sources
    >>> table["p_cnn"] = np.where(table["label"] == "shred", 0.9, 0.1)
    >>> lights = measure_galaxies(table, field.cutouts(), parents=find_parents(table), largest=1)
    >>> lights[0].bands, lights[0].reference
    (('z', 'r', 'g'), 'r')
    """
    table = as_table(table)
    bands = find_bands(table, survey)
    if not bands:
        raise ValueError("the table has no fluxes or magnitudes of which the change could be told")
    _, identifiers = find_identifiers(table, id_column)
    kind, index = check_parents(parents, identifiers)
    weight = read_weights(table, bands[0])
    groups = make_groups(kind, index, weight)
    ra, dec = get_degrees(table, position)
    centers = find_centers(ra, dec, weight, groups, kind, index, hosts)
    with np.errstate(divide="ignore", invalid="ignore"):
        before, summed = 22.5 - 2.5 * np.log10([weight[groups.main], groups.add(weight)])
    chosen = np.flatnonzero((groups.size > 1) | (kind[groups.main] != "self"))
    if ids is not None:
        names = identifiers[groups.main].astype(str).tolist()
        missing = sorted({str(name) for name in ids}.difference(names))
        if missing:
            raise KeyError(f"no galaxy of the merged table is called {missing[0]!r}")
        chosen = np.flatnonzero(np.isin(names, [str(name) for name in ids]))
    order = np.argsort(-np.nan_to_num(before - summed, nan=0.0)[chosen], kind="stable")
    chosen = np.sort(chosen[order][:largest])
    targets = Targets.of_table(
        table, groups.main[groups.number], groups.main[chosen], centers[:, chosen], position
    )
    found: dict[int, GalaxyLight] = {}

    def on_light(target: int, light: GalaxyLight | None, reason: str) -> None:
        if light is not None:
            group, row = chosen[target], int(targets.rows[target])
            found[target] = replace(
                light,
                name=str(identifiers[row]),
                row=row,
                before=float(before[group]),
                summed=float(summed[group]),
            )

    measure_targets(targets, images, bands[0].reference, on_light=on_light, progress=progress)
    return sorted(found.values(), key=lambda light: -abs(np.nan_to_num(light.before - light.mag)))


def measure_targets(
    targets: Targets,
    images: ImageSource | None,
    reference: str,
    *,
    on_light: Callable[[int, GalaxyLight | None, str], None],
    progress: Progress = "auto",
) -> None:
    """Measure galaxies in images, in larger ones until each galaxy fits.

    Parameters
    ----------
    targets : Targets
        The galaxies and all entries.
    images : str, path-like, dict, CutoutService, CutoutFetcher, Cutouts or CutoutSequence, optional
        As for `~shredfinder.hosts.merge_shreds`.
    reference : str
        Band of the half-light radii; another one if the images lack it.
    on_light : callable
        Called with the number of each target, its light, or None and the reason: once per target,
        or again with a better result from a larger image.
    progress : bool or "auto", optional
        Whether to show a progress bar.

    Raises
    ------
    ValueError
        As for `open_images`, or if there is not one cutout per row.
    MissingDependencyError
        If photutils or scikit-image is not installed.
    """
    source = open_images(images)
    n = targets.rows.size
    try:
        with progress_bar(total=n, progress=progress, desc="galaxies", unit="galaxy") as bar:
            if isinstance(source, CutoutFetcher):
                _measure_growing(source, targets, reference, on_light, bar)
            else:
                _measure_given(source, targets, reference, on_light, bar)
    finally:
        # Files that were opened here are closed; the user's own service stays open.
        if isinstance(source, CutoutFetcher) and not isinstance(
            images, (CutoutFetcher, CutoutService)
        ):
            source.cutout_service.close()


def _measure_given(cutouts, targets, reference, on_light, bar):
    """Measure galaxies in the cutouts of their rows."""
    if len(cutouts) != targets.main.size:
        raise ValueError(
            f"got {len(cutouts)} cutouts for {targets.main.size} rows: pass one cutout per row, or "
            "a source of images of any size"
        )
    for target, row in enumerate(targets.rows.tolist()):
        cutout = cutouts[row : row + 1]
        on_light(target, *_measure(cutout, targets, target, reference, targets.points[row]))
        bar.update()


def _measure_growing(fetcher, targets, reference, on_light, bar):
    """Measure galaxies in images of the size that they need, the smallest first."""
    levels = np.minimum(np.searchsorted(_SIDES, targets.sides()), len(_SIDES) - 1)
    waiting: dict[int, list[int]] = defaultdict(list)
    for target, level in enumerate(levels.tolist()):
        waiting[level].append(target)
    centers = unit_vectors(targets.ra, targets.dec)
    measured = set()
    for level, side in enumerate(_SIDES):
        last = level == len(_SIDES) - 1
        for target, cutout in _fetch(fetcher, targets, sorted(waiting[level]), side):
            light, reason = _measure(cutout, targets, target, reference, centers[target])
            # If there is no larger image, the smaller one has to do.
            if light is not None or target not in measured:
                on_light(target, light, reason)
            measured.add(target)
            if light is not None and not light.fits and not last:
                waiting[level + 1].append(target)
            else:
                bar.update()


def _fetch(fetcher, targets, chosen, side) -> Iterator[tuple[int, Cutouts]]:
    """Yield the image of each target, of a side in arcsec."""
    if not chosen:
        return
    service = fetcher.cutout_service
    native = native_scale(service)
    scale = max(native, side / _MAX_PIXELS)
    size = int(np.clip(np.ceil(side / scale), service.min_size, service.max_size or np.inf))
    coords = SkyCoord(targets.ra[chosen], targets.dec[chosen], unit="deg")
    sized = replace(fetcher, size=size, pixel_scale=scale)
    with sized.stream(coords, chunk=_CHUNK, progress=False) as stream:
        place = 0
        for cutouts in stream:
            for i in range(len(cutouts)):
                cutout = cutouts[i : i + 1]
                # Fluxes refer to the service's own pixels; from here on, to those of Legacy.
                if cutout.color_mapping == FLUX:
                    ratio = get_survey(DEFAULT_SURVEY).native_pixel_scale / native
                    cutout.images = cutout.images * np.float32(ratio**2)
                yield chosen[place], cutout
                place += 1


def _measure(cutout, targets, target, reference, center):
    """Return the light in a cutout, or None and the reason."""
    if not np.isfinite(center).all():
        return None, "no position"
    if not cutout.good[0]:
        return None, f"no image: {cutout.flags[0]}"
    planes, bands = to_surface_brightness(cutout)
    planes = planes * cutout.pixel_scale**2
    if cutout.color_mapping == FLUX:
        # The viewer fills what was not observed with zeros.
        planes = np.where((planes == 0).all(axis=0), np.nan, planes)
    band = reference if reference in bands else bands[len(bands) // 2]
    rows = targets.in_image(target, center, cutout)
    light = measure_light(planes, bands, band, rows, cutout.pixel_scale)
    return light, "" if light is not None else "not detected"
