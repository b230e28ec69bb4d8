"""Simulation of a field: where galaxies and stars lie, and what a pipeline catalogues."""

from __future__ import annotations

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table

from shredfinder.datasets.discs import Piece, draw_disc
from shredfinder.datasets.observing import BANDS, Scene, add_noise, blur, star_stamp
from shredfinder.datasets.population import draw_early, draw_field_galaxy, draw_host, draw_stars
from shredfinder.datasets.simulated_field import SimulatedField
from shredfinder.imaging.resampling import make_wcs
from shredfinder.surveys import LEGACY

__all__ = ["make_field"]

# Smallest separation of catalogued sources, in arcsec.
SEPARATION = 2.6
# Objects per square arcmin: catalogued galaxies, fainter ones and stars.
GALAXY_DENSITY, FAINT_DENSITY, STAR_DENSITY = 0.75, 14.0, 2.5
# Faintest catalogued magnitude in r: the limit of the SAGA-like selections.
R_LIMIT = 21.0
# Pieces of lower surface brightness, in mag/arcsec² in r, are not catalogued.
MU_LIMIT = 23.3
SEEING = 1.05  # median FWHM in r in arcsec; 1.1 in real cutouts, which include the pixels
CENTER = SkyCoord(150.1, 2.2, unit="deg")


def make_field(
    size: int = 1024,
    n_hosts: int = 9,
    *,
    random_state: int | np.random.Generator | None = None,
    center: SkyCoord | None = None,
    noise: bool = True,
) -> SimulatedField:
    """Simulate a field of the sky in g, r and z.

    The field contains discs with spiral arms, dust and star-forming knots, edge-on discs,
    ellipticals, satellites, background galaxies, and stars, of which bright ones saturate; with
    seeing and noise. The catalogue lists the galaxies, and the pieces of the large ones that a
    pipeline would catalogue as galaxies: knots, arm segments, disc ends and patches of halo. The
    simulation runs offline, in a few seconds, and is reproducible with ``random_state``.

    Parameters
    ----------
    size : int, optional
        Width and height in pixels of 0.46875″, at least 256. Catalogued sources are at least
        half a cutout (64 px) from the edges.
    n_hosts : int, optional
        Number of large galaxies.
    random_state : int, `~numpy.random.Generator` or None, optional
        Seed or random generator.
    center : `~astropy.coordinates.SkyCoord`, optional
        Position of the field's centre.
    noise : bool, optional
        Whether ``fluxes`` has noise.

    Returns
    -------
    field : SimulatedField
        Images, catalogue and true classes.

    Raises
    ------
    ValueError
        If ``size``, ``n_hosts`` or ``center`` is invalid.

    Examples
    --------
    >>> from shredfinder.datasets import make_field
    >>> simulated = make_field(size=320, n_hosts=1, random_state=1)
    >>> simulated.fluxes.shape, simulated.bands
    ((3, 320, 320), ('g', 'r', 'z'))
    >>> sorted(set(simulated.sources["label"].tolist()))
    ['galaxy', 'shred']
    """
    survey = LEGACY
    check_size(size, survey.size, n_hosts=n_hosts)
    center = check_center(center)
    rng = np.random.default_rng(random_state)
    scale = survey.pixel_scale
    native_per_pixel = (scale / survey.native_pixel_scale) ** 2
    # In pixels.
    fwhm = np.clip(SEEING * rng.lognormal(0, 0.16), 0.8, 1.9) / scale
    scene = Scene(size)
    # The order of the calls must not change: each draws from `rng`, and a seed promises its field.
    builder = _Builder(scene, scale, survey.size // 2 + 2, rng)
    builder.add_hosts(n_hosts)
    area = (size * scale / 60) ** 2
    builder.add_background(rng.poisson(GALAXY_DENSITY * area))
    add_faint(scene, rng.poisson(FAINT_DENSITY * area), scale, rng)
    blur(scene, fwhm)
    # Shreds are measured on the galaxies alone, before the stars are added.
    extended = scene.crop()
    stars = add_stars(scene, rng.poisson(STAR_DENSITY * area), fwhm, native_per_pixel, rng)
    model = scene.crop() / np.float32(native_per_pixel)
    fluxes = add_noise(model, rng, depth=rng.lognormal(0, 0.17)) if noise else model.copy()
    wcs = make_wcs(center, size, scale)
    return SimulatedField(
        fluxes=fluxes,
        model=model,
        wcs=wcs,
        bands=BANDS,
        pixel_scale=scale,
        sources=_to_table(builder.rows, extended, wcs, scale),
        stars=star_table(stars, wcs),
        survey=survey.name,
        seeing=fwhm * scale,
    )


class _Builder:
    """Draws galaxies into a scene and collects the catalogue's rows."""

    def __init__(self, scene: Scene, scale: float, margin: int, rng: np.random.Generator) -> None:
        self.scene, self.scale, self.margin, self.rng = scene, scale, margin, rng
        self.rows: list[dict] = []
        # Position and radius, in pixels, within which other sources belong to the host.
        self.hosts: list[tuple[float, float, float]] = []

    def add_hosts(self, n):
        """Add large galaxies with their shreds and satellites."""
        for _ in range(n):
            x, y = self._place_host()
            if self.rng.uniform() < 0.08:
                mags, arcsec, shape = draw_early(self.scene, x, y, self.scale, self.rng)
                pieces, reach = self._halo_pieces(x, y, arcsec, shape), 2.2 * arcsec / self.scale
            else:
                disc = draw_host(x, y, self.scale, self.rng)
                mags, arcsec, pieces = draw_whole_disc(self.scene, disc, self.scale, rng=self.rng)
                reach = 3 * disc.scale_length
            host = self._add_row(x, y, mags, arcsec, "host", -1)
            self.hosts.append((x, y, reach))
            self._add_shreds(host, pieces, reach)
            self._add_satellites(host, x, y, reach)

    def add_background(self, n):
        """Add catalogued galaxies that do not belong to a host."""
        for _ in range(n):
            r_mag = np.clip(self.rng.normal(18.55, 1.75), 15, R_LIMIT)
            bright = r_mag < 17.8
            place = self._place_apart(20 / self.scale if bright else 0)
            if place is None:
                continue
            if bright and self.rng.uniform() < 0.7:
                disc = draw_host(*place, self.scale, self.rng, r_mag=r_mag)
                mags, arcsec, _ = draw_whole_disc(self.scene, disc, self.scale, rng=self.rng)
            else:
                mags, arcsec = draw_field_galaxy(
                    self.scene,
                    *place,
                    r_mag,
                    self.scale,
                    self.rng,
                    kind="early" if bright else None,
                )
            self._add_row(*place, mags, arcsec, "background", -1)
            if bright:
                self.hosts.append((*place, 1.5 * arcsec / self.scale))

    def _add_shreds(self, host, pieces, reach):
        rng = self.rng
        # Pipelines break larger galaxies into more pieces.
        wanted = 1 + rng.poisson(1.3 + 0.14 * reach * self.scale)
        order = shuffle_pieces(pieces, rng)
        # Pieces near the nucleus would be labelled as the galaxy itself.
        core = max(2.2 / self.scale, 0.22 * reach)
        x, y = self.rows[host]["x"], self.rows[host]["y"]
        for i in order:
            piece = pieces[i]
            if wanted == 0:
                break
            if np.hypot(piece.x - x, piece.y - y) < core or not self._is_free(piece.x, piece.y):
                continue
            if surface_brightness(self.scene, piece.x, piece.y, self.scale) > MU_LIMIT:
                continue
            radius = max(piece.radius * self.scale, 0.6)
            # The magnitudes are measured later, on the complete image.
            self._add_row(piece.x, piece.y, None, radius, piece.kind, host)
            wanted -= 1

    def _add_satellites(self, host, x, y, reach):
        rng = self.rng
        for _ in range(rng.poisson(2.2)):
            angle, distance = rng.uniform(0, 2 * np.pi), reach * rng.uniform(0.9, 2.0) + 8
            place = x + distance * np.cos(angle), y + distance * np.sin(angle)
            if not self._is_free(*place) or self._is_on_host(*place):
                continue
            r_mag = np.clip(rng.normal(19.6, 1.3), 16.8, R_LIMIT)
            mags, radius = draw_field_galaxy(
                self.scene, *place, r_mag, self.scale, rng, kind="dwarf"
            )
            self._add_row(*place, mags, radius, "satellite", host)

    def _halo_pieces(self, x, y, arcsec, shape):
        pieces = []
        for _ in range(6):
            angle = self.rng.uniform(0, 2 * np.pi)
            distance = self.rng.uniform(0.8, 2.0) * arcsec / self.scale
            across = distance * np.cos(angle) * shape["axis_ratio"]
            along = distance * np.sin(angle)
            sine, cosine = np.sin(shape["position_angle"]), np.cos(shape["position_angle"])
            place = x - along * sine + across * cosine, y + along * cosine + across * sine
            pieces.append(Piece(*place, "halo", 1.0, 2.0 / self.scale))
        return pieces

    def _place_host(self):
        low, high = self.margin + 16, self.scene.size - self.margin - 16
        for _ in range(200):
            x, y = self.rng.uniform(low, high, 2)
            if all(np.hypot(x - a, y - b) > reach + 80 for a, b, reach in self.hosts):
                break
        # In a crowded field the last position is used, although it is close to another host.
        return x, y

    def _place_apart(self, apart: float) -> tuple[float, float] | None:
        for _ in range(30):
            x, y = self.rng.uniform(self.margin, self.scene.size - self.margin, 2)
            if self._is_free(x, y) and not self._is_on_host(x, y, apart):
                return x, y
        return None

    def _is_on_host(self, x, y, apart=0):
        return any(np.hypot(x - a, y - b) < reach + apart for a, b, reach in self.hosts)

    def _is_free(self, x, y):
        low, high = self.margin, self.scene.size - self.margin
        if not (low < x < high and low < y < high):
            return False
        closest = SEPARATION / self.scale
        return all(np.hypot(row["x"] - x, row["y"] - y) > closest for row in self.rows)

    def _add_row(self, x, y, mags, radius, kind, host):
        row = {"x": x, "y": y, "mags": mags, "radius": radius, "type": kind, "host": host}
        self.rows.append(row)
        return len(self.rows) - 1


def draw_whole_disc(scene, disc, scale, *, rng):
    """Draw a disc; return its magnitudes, half-light radius (arcsec) and pieces."""
    before = scene.fluxes.sum(axis=(1, 2), dtype=float)
    pieces = draw_disc(scene, disc, rng)
    # Its total light: old and young stars, bulge and knots, dimmed by dust.
    flux = scene.fluxes.sum(axis=(1, 2), dtype=float) - before
    # The half-light radius of an exponential disc is 1.678 scale lengths.
    return tuple(22.5 - 2.5 * np.log10(flux)), 1.678 * disc.scale_length * scale, pieces


def shuffle_pieces(pieces, rng):
    """Return the pieces' numbers in random order, those likely to be catalogued first."""
    kinds = {"knot": 0.55, "arm": 0.3, "disc end": 0.15, "halo": 0.2}
    weights = np.array([0.0] * len(pieces))
    for kind, share in kinds.items():
        of_kind = np.array([piece.kind == kind for piece in pieces])
        values = np.array([piece.weight for piece in pieces])[of_kind]
        if len(values):
            weights[of_kind] = share * values / values.sum()
    # Weighted random order (Efraimidis & Spirakis 2006, Inf. Process. Lett. 97, 181).
    return np.argsort(rng.exponential(size=len(pieces)) / np.maximum(weights, 1e-12))


def surface_brightness(scene, x, y, scale):
    """Return the mean r surface brightness within 1″ in mag/arcsec²."""
    row, column = round(y) + scene.padding, round(x) + scene.padding
    # Index 1 is r; 5 × 5 pixels are about 2″ wide.
    flux = scene.fluxes[1, row - 2 : row + 3, column - 2 : column + 3].mean()
    return 22.5 - 2.5 * np.log10(max(flux, 1e-6) / scale**2)


def add_faint(scene, n, scale, rng):
    """Add galaxies too faint for the catalogue, anywhere in the scene."""
    edge = scene.padding / 2
    for _ in range(n):
        x, y = rng.uniform(-edge, scene.size + edge, 2)
        # Number counts rise by a factor of about 2.2 per magnitude.
        r_mag = 24.5 + np.log10(rng.uniform(10 ** (-0.35 * 3.3), 1)) / 0.35
        draw_field_galaxy(scene, x, y, r_mag, scale, rng)


def check_center(center):
    """Return a field's centre, validated; the default if it is None."""
    center = CENTER if center is None else center
    if not isinstance(center, SkyCoord) or not center.isscalar:
        raise ValueError(f"center must be a single SkyCoord, not {center!r}")
    return center


def check_size(size, cutout_size, **numbers):
    """Validate a field's size and its numbers of galaxies, named by the arguments."""
    if not isinstance(size, (int, np.integer)) or size < 2 * cutout_size:
        raise ValueError(
            f"size must be a whole number of at least {2 * cutout_size} pixels, so that cutouts of "
            f"{cutout_size} px fit, not {size!r}"
        )
    for name, n in numbers.items():
        if not isinstance(n, (int, np.integer)) or n < 0:
            raise ValueError(f"{name} must be a whole number of at least 0, not {n!r}")


def add_stars(scene, n, fwhm, native_per_pixel, rng):
    places = rng.uniform(-20, scene.size + 20, (n, 2))
    mags = draw_stars(n, rng)
    for (x, y), fluxes in zip(places, 10 ** (0.4 * (22.5 - mags)), strict=True):
        scene.add(star_stamp(x, y, fluxes, fwhm, rng, native_per_pixel=native_per_pixel))
    inside = ((places > -0.5) & (places < scene.size - 0.5)).all(axis=1)
    return places[inside], mags[inside]


def _aperture_mags(fluxes, x, y, radius):
    """Return the g, r, z magnitudes of the light within a radius in pixels."""
    reach = int(radius + 2)
    left, bottom = max(round(x) - reach, 0), max(round(y) - reach, 0)
    part = fluxes[:, bottom : round(y) + reach + 1, left : round(x) + reach + 1]
    rows, columns = np.indices(part.shape[1:])
    # Pixels at the edge of the aperture count in proportion to their area inside it.
    distance = np.hypot(columns + left - x, rows + bottom - y)
    share = np.clip(radius - distance + 0.5, 0, 1)
    flux = (part * share).sum(axis=(1, 2))
    return tuple(22.5 - 2.5 * np.log10(np.maximum(flux, 1e-4)))


def _to_table(rows, fluxes, wcs, scale):
    # An aperture of twice the half-light radius contains 94 % of a Gaussian's light.
    mags = [
        row["mags"]
        if row["mags"] is not None
        else _aperture_mags(fluxes, row["x"], row["y"], 2 * row["radius"] / scale)
        for row in rows
    ]
    x, y = np.array([(row["x"], row["y"]) for row in rows]).reshape(-1, 2).T
    sky = wcs.pixel_to_world(x, y)
    table = Table()
    first = 1001
    table["objID"] = np.arange(first, first + len(rows), dtype=np.int64)
    table["ra"], table["dec"] = sky.ra.deg * u.deg, sky.dec.deg * u.deg
    for band, values in zip(BANDS, np.array(mags, dtype=float).reshape(-1, 3).T, strict=True):
        table[band] = values * u.mag
    table["radius"] = np.array([row["radius"] for row in rows], dtype=float) * u.arcsec
    types = np.array([row["type"] for row in rows], dtype="U10")
    whole = np.isin(types, ("host", "satellite", "background"))
    table["label"] = np.where(whole, "galaxy", "shred")
    table["type"] = types
    # Row numbers become identifiers, which survive the sorting below.
    hosts = np.array([row["host"] for row in rows], dtype=np.int64)
    table["host_id"] = np.where(hosts < 0, -1, hosts + first)
    descriptions = {
        "objID": "Identifier",
        "ra": "Right ascension (ICRS)",
        "dec": "Declination (ICRS)",
        **{band: f"Magnitude in {band} (AB), without noise" for band in BANDS},
        "radius": "Half-light radius along the major axis",
        "label": "True class: galaxy or shred",
        "type": "True type: host, satellite, background, knot, arm, disc end or halo",
        "host_id": "Identifier of the galaxy it is a piece or satellite of; -1 for none",
    }
    for name, words in descriptions.items():
        table[name].info.description = words
    table.sort("ra")
    return table


def star_table(stars, wcs):
    places, mags = stars
    sky = wcs.pixel_to_world(places[:, 0], places[:, 1])
    table = Table()
    table["ra"], table["dec"] = sky.ra.deg * u.deg, sky.dec.deg * u.deg
    for band, values in zip(BANDS, mags.T, strict=True):
        table[band] = values * u.mag
    return table
