"""Simulated fields whose catalogue is that of a deblender, with the true parent of each shred."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u
from astropy.table import Table

from shredfinder.datasets.deblending import Template, add_flux_noise, deblend
from shredfinder.datasets.observing import BANDS, Scene, add_noise, blur
from shredfinder.datasets.population import draw_field_galaxy, draw_host
from shredfinder.datasets.profiles import Stamp
from shredfinder.datasets.simulated_field import SimulatedField
from shredfinder.datasets.simulation import (
    FAINT_DENSITY,
    GALAXY_DENSITY,
    MU_LIMIT,
    R_LIMIT,
    SEEING,
    SEPARATION,
    STAR_DENSITY,
    add_faint,
    add_stars,
    check_center,
    check_size,
    draw_whole_disc,
    shuffle_pieces,
    star_table,
    surface_brightness,
)
from shredfinder.imaging.resampling import make_wcs
from shredfinder.surveys import LEGACY

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord

__all__ = ["make_shredded_field"]

# Visible radii of shredded galaxies and of dwarfs without an entry, in arcsec.
_RADII, _DWARF_RADII, _PAIR_RADII = (3.0, 180.0), (4.0, 25.0), (8.0, 40.0)
# A disc is visible out to about three scale lengths.
_VISIBLE = 3.0
# The nucleus's entry has this fraction of the galaxy's half-light radius.
_NUCLEUS = (0.15, 0.8)
_FIRST_ID = 1001


@dataclass
class _Galaxy:
    x: float
    y: float
    mags: tuple
    radius: float
    kind: str
    catalogued: bool
    # Of shredded galaxies: axis ratio, and position angle in radians from north to east.
    axis_ratio: float = np.nan
    position_angle: float = np.nan
    # Image of a shredded galaxy without seeing.
    stamp: Stamp | None = field(default=None, repr=False)


@dataclass
class _Entry:
    template: Template
    galaxy: int
    kind: str


def make_shredded_field(
    size: int = 1024,
    n_hosts: int = 8,
    *,
    n_dwarfs: int = 3,
    n_pairs: int = 1,
    random_state: int | np.random.Generator | None = None,
    center: SkyCoord | None = None,
    noise: bool = True,
) -> SimulatedField:
    """Simulate a field with the catalogue of a deblender, which divides galaxies among pieces.

    The light of each pixel is divided among the catalogue's entries, so that the fluxes of a
    galaxy's entries add up to its total. The nucleus's entry alone lacks the light of the pieces.
    Use these fields to test how shreds are merged; `make_field` has the realistic mix of sources.

    Parameters
    ----------
    size : int, optional
        Width and height in pixels of 0.46875″, at least 256.
    n_hosts : int, optional
        Number of shredded discs, with visible radii of 3″ to 180″, and at most a quarter of the
        field. Large ones have satellites in front of the disc and around it.
    n_dwarfs : int, optional
        Number of irregular galaxies that the catalogue lists only as pieces.
    n_pairs : int, optional
        Number of pairs of overlapping, shredded discs.
    random_state : int, `~numpy.random.Generator` or None, optional
        Seed or random generator.
    center : `~astropy.coordinates.SkyCoord`, optional
        Position of the field's centre.
    noise : bool, optional
        Whether the images have noise. The catalogue always has.

    Returns
    -------
    field : SimulatedField
        Images, catalogue and truth. ``sources`` has the columns of `make_field`, and ``flux_g``,
        ``flux_ivar_g`` and so on (nanomaggies), and ``galaxy_id``, the true galaxy of each row.
        ``host_id`` is the galaxy that the row is a piece of (-1 for galaxies). ``galaxies`` lists
        the true galaxies: ``galaxy_id`` (that of its row, or negative if the catalogue lists only
        its pieces), ``ra``, ``dec``, total ``g``, ``r`` and ``z``, ``radius``, ``type``,
        ``catalogued``, and, of shredded galaxies, ``axis_ratio`` and ``position_angle``.

    Raises
    ------
    ValueError
        If ``size``, a number or ``center`` is invalid.

    Notes
    -----
    Galaxies that find no free place are left out.

    Examples
    --------
    >>> from shredfinder.datasets import make_shredded_field
    >>> field = make_shredded_field(512, n_hosts=2, n_dwarfs=1, n_pairs=0, random_state=1)
    >>> bool((field.sources["label"] == "shred").any())
    True
    >>> field.galaxies.colnames[:6]
    ['galaxy_id', 'ra', 'dec', 'g', 'r', 'z']
    """
    survey = LEGACY
    check_size(size, survey.size, n_hosts=n_hosts, n_dwarfs=n_dwarfs, n_pairs=n_pairs)
    center = check_center(center)
    rng = np.random.default_rng(random_state)
    scale = survey.pixel_scale
    native_per_pixel = (scale / survey.native_pixel_scale) ** 2
    fwhm = np.clip(SEEING * rng.lognormal(0, 0.16), 0.8, 1.9) / scale  # in pixels
    scene = Scene(size)
    builder = _Builder(scene, scale, survey.size // 2 + 2, rng)
    builder.add_galaxies(n_hosts, n_dwarfs, n_pairs)
    area = (size * scale / 60) ** 2
    builder.add_background(rng.poisson(GALAXY_DENSITY * area))
    add_faint(scene, rng.poisson(FAINT_DENSITY * area), scale, rng)
    blur(scene, fwhm)
    stars = add_stars(scene, rng.poisson(STAR_DENSITY * area), fwhm, native_per_pixel, rng)
    model = scene.crop() / np.float32(native_per_pixel)
    fluxes = add_noise(model, rng, depth=rng.lognormal(0, 0.17)) if noise else model.copy()
    flux, radius = builder.measure(fwhm)
    flux, error = add_flux_noise(flux, radius, native_per_pixel, rng)
    wcs = make_wcs(center, size, scale)
    sources, galaxies = _to_tables(builder, flux, error, radius, wcs, scale)
    return SimulatedField(
        fluxes=fluxes,
        model=model,
        wcs=wcs,
        bands=BANDS,
        pixel_scale=scale,
        sources=sources,
        stars=star_table(stars, wcs),
        survey=survey.name,
        seeing=fwhm * scale,
        galaxies=galaxies,
    )


class _Builder:
    """Draws galaxies into a scene, and collects the truth and the catalogue's entries."""

    def __init__(self, scene: Scene, scale: float, margin: int, rng: np.random.Generator) -> None:
        self.scene, self.scale, self.margin, self.rng = scene, scale, margin, rng
        self.galaxies: list[_Galaxy] = []
        self.entries: list[_Entry] = []
        # Position and visible radius of the large galaxies, in pixels.
        self.discs: list[tuple[float, float, float]] = []

    def add_galaxies(self, n_hosts, n_dwarfs, n_pairs):
        """Add shredded galaxies, the largest first, since they need the most space."""
        largest = self.scene.size * self.scale / 4
        wanted = [
            (min(radius, largest), kind)
            for kind, n, limits in (
                ("host", n_hosts, _RADII),
                ("dwarf", n_dwarfs, _DWARF_RADII),
                ("pair", n_pairs, _PAIR_RADII),
            )
            for radius in _draw_log(limits, n, self.rng)
        ]
        for radius, kind in sorted(wanted, reverse=True):
            reach = radius / self.scale
            second = reach * self.rng.uniform(0.5, 1) if kind == "pair" else 0.0
            place = self._place(reach + second)
            if place is None:
                continue
            if kind == "pair":
                angle, apart = self.rng.uniform(0, 2 * np.pi), self.rng.uniform(0.6, 1.0)
                step = apart * (reach + second) / 2
                dx, dy = step * np.cos(angle), step * np.sin(angle)
                members = [
                    self._draw_host(place[0] - dx, place[1] - dy, reach, "pair"),
                    self._draw_host(place[0] + dx, place[1] + dy, second, "pair"),
                ]
            else:
                members = [self._draw_host(place[0], place[1], reach, kind)]
            # Nuclei first: pieces keep their distance from them.
            for galaxy, pieces, extent in members:
                self._add_pieces(galaxy, pieces, extent)
            if kind == "host":
                self._add_satellites(place[0], place[1], reach)
            self.discs.append((*place, reach + second))

    def _draw_host(self, x, y, reach, kind):
        rng = self.rng
        disc = draw_host(x, y, self.scale, rng, arcsec=reach * self.scale / _VISIBLE)
        if kind == "dwarf":
            # Irregular dwarfs are faint, patchy and have no bulge.
            disc = replace(
                disc, style="flocculent", bulge=0.0, axis_ratio=rng.uniform(0.4, 0.95),
                young=rng.uniform(0.5, 0.85), r_mag=disc.r_mag + rng.uniform(0.3, 1.5),
            )  # fmt: skip
        before = self.scene.fluxes.copy()
        mags, arcsec, pieces = draw_whole_disc(self.scene, disc, self.scale, rng=rng)
        catalogued = kind != "dwarf"
        galaxy = self._add_galaxy(x, y, mags, arcsec, kind, catalogued=catalogued)
        self.galaxies[galaxy].stamp = _crop(self.scene, before)
        self.galaxies[galaxy].axis_ratio = disc.axis_ratio
        self.galaxies[galaxy].position_angle = disc.position_angle
        if catalogued:
            fraction = _draw_log(_NUCLEUS, 1, rng)[0]
            # The deblender finds no disc that is thinner than the seeing.
            shape = max(disc.axis_ratio, 0.25), disc.position_angle
            self.entries.append(
                _Entry(Template(x, y, fraction * arcsec / self.scale, *shape), galaxy, kind)
            )
        return galaxy, pieces, reach

    def _add_pieces(self, galaxy, pieces, reach):
        """Catalogue some pieces of a galaxy, with at least one for each dwarf."""
        rng, host = self.rng, self.galaxies[galaxy]
        wanted = (1 if host.catalogued else 2) + rng.poisson(1.3 + 0.14 * reach * self.scale)
        core = max(2.2 / self.scale, 0.22 * reach) if host.catalogued else 0
        for i in shuffle_pieces(pieces, rng):
            piece = pieces[i]
            apart = np.hypot(piece.x - host.x, piece.y - host.y)
            if wanted == 0:
                break
            if not core <= apart <= reach or not self._is_free(piece.x, piece.y):
                continue
            if surface_brightness(self.scene, piece.x, piece.y, self.scale) > MU_LIMIT:
                continue
            radius = max(piece.radius, 0.6 / self.scale) * rng.uniform(1, 2.5)
            self.entries.append(_Entry(Template(piece.x, piece.y, radius), galaxy, piece.kind))
            wanted -= 1

    def _add_satellites(self, x, y, reach):
        """Add dwarf galaxies in front of a host and around it."""
        rng = self.rng
        if reach * self.scale < 15:
            return
        for kind, n, limits in (("on disc", 1.5, (0.35, 0.95)), ("satellite", 1.5, (1.05, 2.0))):
            for _ in range(rng.poisson(n)):
                angle, distance = rng.uniform(0, 2 * np.pi), reach * rng.uniform(*limits)
                place = x + distance * np.cos(angle), y + distance * np.sin(angle)
                self._add_small(*place, np.clip(rng.normal(19.3, 1.2), 16.8, R_LIMIT), kind)

    def add_background(self, n):
        """Add field galaxies, also behind the large ones."""
        for _ in range(n):
            x, y = self.rng.uniform(self.margin, self.scene.size - self.margin, 2)
            r_mag = np.clip(self.rng.normal(18.9, 1.5), 16, R_LIMIT)
            behind = any(np.hypot(x - a, y - b) < reach for a, b, reach in self.discs)
            self._add_small(x, y, r_mag, "behind" if behind else "background")

    def _add_small(self, x, y, r_mag, kind):
        if not self._is_free(x, y):
            return
        before = surface_brightness(self.scene, x, y, self.scale)
        dwarf = kind in ("on disc", "satellite")
        mags, arcsec = draw_field_galaxy(
            self.scene, x, y, r_mag, self.scale, self.rng, kind="dwarf" if dwarf else None
        )
        after = surface_brightness(self.scene, x, y, self.scale)
        # A galaxy that hardly brightens the disc in front of which it lies is not detected.
        if before - after < 0.4:
            return
        galaxy = self._add_galaxy(x, y, mags, arcsec, kind, catalogued=True)
        self.entries.append(_Entry(Template(x, y, arcsec / self.scale), galaxy, kind))

    def _add_galaxy(self, x, y, mags, arcsec, kind, *, catalogued):
        self.galaxies.append(_Galaxy(x, y, mags, arcsec, kind, catalogued))
        return len(self.galaxies) - 1

    def measure(self, fwhm):
        """Return the fluxes (nanomaggies) and half-light radii (pixels) of all entries."""
        flux, radius = np.zeros((len(self.entries), 3)), np.zeros(len(self.entries))
        owner = np.array([entry.galaxy for entry in self.entries])
        for i, galaxy in enumerate(self.galaxies):
            rows = np.flatnonzero(owner == i)
            if galaxy.stamp is None or rows.size < 1:
                flux[rows] = 10 ** (0.4 * (22.5 - np.array(galaxy.mags)))
                radius[rows] = galaxy.radius / self.scale
            else:
                flux[rows], radius[rows] = deblend(
                    galaxy.stamp, [self.entries[row].template for row in rows]
                )
        # Seeing widens the images of small sources.
        return flux, np.hypot(radius, fwhm / 2)

    def _place(self, reach):
        """Return a free position for a galaxy of a visible radius in pixels, or None."""
        edge = min(self.margin + reach, self.scene.size / 2)
        for _ in range(300):
            x, y = self.rng.uniform(edge, self.scene.size - edge, 2)
            # Faint outer discs do not touch; pairs are the galaxies that do.
            if all(np.hypot(x - a, y - b) > 1.3 * (reach + r) + 12 for a, b, r in self.discs):
                return x, y
        return None

    def _is_free(self, x, y):
        if not self.margin < min(x, y) <= max(x, y) < self.scene.size - self.margin:
            return False
        closest = SEPARATION / self.scale
        near = (entry.template for entry in self.entries)
        return all(np.hypot(other.x - x, other.y - y) > closest for other in near)


def _draw_log(limits, n, rng):
    """Draw n numbers uniformly in their logarithm."""
    low, high = np.log(limits)
    return np.exp(rng.uniform(low, high, n))


def _to_tables(builder, flux, error, radius, wcs, scale):
    """Return the catalogue and the table of the true galaxies."""
    entries, galaxies = builder.entries, builder.galaxies
    owner = np.array([entry.galaxy for entry in entries], dtype=np.int64)
    kinds = np.array([entry.kind for entry in entries], dtype="U10")
    shred = np.isin(kinds, ("knot", "arm", "disc end", "halo"))
    objid = np.arange(_FIRST_ID, _FIRST_ID + len(entries), dtype=np.int64)
    # A galaxy has the identifier of its row, or a negative one if all its rows are pieces.
    galaxy_id = -np.arange(1, len(galaxies) + 1, dtype=np.int64) - 1
    galaxy_id[owner[~shred]] = objid[~shred]
    sources = Table()
    sources["objID"] = objid
    places = [(entry.template.x, entry.template.y) for entry in entries]
    _add_positions(sources, places, wcs)
    with np.errstate(invalid="ignore", divide="ignore"):
        mags = np.where(flux > 0, 22.5 - 2.5 * np.log10(flux), np.nan)
    for i, band in enumerate(BANDS):
        sources[band] = mags[:, i] * u.mag
    for i, band in enumerate(BANDS):
        # Without units, as in the survey's files: FITS does not know nanomaggies.
        sources[f"flux_{band}"] = flux[:, i]
        sources[f"flux_ivar_{band}"] = error[:, i] ** -2
    sources["radius"] = radius * scale * u.arcsec
    sources["label"] = np.where(shred, "shred", "galaxy")
    sources["type"] = kinds
    sources["host_id"] = np.where(shred, galaxy_id[owner], -1)
    sources["galaxy_id"] = galaxy_id[owner]
    sources.sort("ra")

    truth = Table()
    truth["galaxy_id"] = galaxy_id
    _add_positions(truth, [(galaxy.x, galaxy.y) for galaxy in galaxies], wcs)
    total = np.array([galaxy.mags for galaxy in galaxies], dtype=float).reshape(-1, 3)
    for i, band in enumerate(BANDS):
        truth[band] = total[:, i] * u.mag
    truth["radius"] = [galaxy.radius for galaxy in galaxies] * u.arcsec
    truth["axis_ratio"] = [galaxy.axis_ratio for galaxy in galaxies]
    truth["position_angle"] = [np.degrees(galaxy.position_angle) for galaxy in galaxies] * u.deg
    truth["type"] = [galaxy.kind for galaxy in galaxies]
    truth["catalogued"] = [galaxy.catalogued for galaxy in galaxies]
    # Dwarfs of which nothing was bright enough for the catalogue are in no table.
    return sources, truth[np.isin(galaxy_id, sources["galaxy_id"])]


def _crop(scene, before):
    """Return what was added to a scene, as a stamp in the field's pixels."""
    added = scene.fluxes - before
    rows = np.flatnonzero(added[1].any(axis=1))
    columns = np.flatnonzero(added[1].any(axis=0))
    part = added[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return Stamp(part, int(columns[0]) - scene.padding, int(rows[0]) - scene.padding)


def _add_positions(table, places, wcs):
    x, y = np.array(places, dtype=float).reshape(-1, 2).T
    sky = wcs.pixel_to_world(x, y)
    table["ra"], table["dec"] = sky.ra.deg * u.deg, sky.dec.deg * u.deg
