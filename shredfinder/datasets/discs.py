"""Disc galaxies with arms, knots, dust and bulges, and the pieces that pipelines catalogue."""

from dataclasses import dataclass

import numpy as np

from shredfinder.datasets.profiles import (
    Stamp,
    edge_on_stamp,
    gaussian_stamp,
    make_grid,
    rotate,
    sersic_stamp,
)

__all__ = ["Disc", "Piece", "draw_disc", "mags_to_fluxes"]

# Largest half-width of a disc's image in pixels; `make_field` draws smaller discs.
_MAX_HALF_WIDTH = 720
# Dust extinction in g, r and z relative to V (Cardelli, Clayton & Mathis 1989, ApJ 345, 245).
_EXTINCTION = np.array([1.2, 0.85, 0.48], dtype=np.float32)


@dataclass(frozen=True)
class Disc:
    """Parameters of a simulated disc galaxy.

    Attributes
    ----------
    x, y : float
        Centre in pixels.
    r_mag : float
        Total magnitude in r, without knots.
    scale_length : float
        Exponential scale length along the major axis in pixels.
    axis_ratio : float
        Minor over major axis.
    position_angle : float
        Angle of the major axis in radians, from north to east.
    style : {"spiral", "flocculent", "edge-on"}
        Grand-design arms, patches, or an edge-on disc.
    g_r, r_z : float
        Colours of the old stars.
    bulge : float
        Fraction of the light in the bulge.
    young : float
        Fraction of the disc's r-band light that comes from young stars.
    young_colors : tuple of float
        Colours g - r and r - z of the young stars.
    n_knots : float
        Expected number of star-forming knots.
    """

    x: float
    y: float
    r_mag: float
    scale_length: float
    axis_ratio: float
    position_angle: float
    style: str
    g_r: float
    r_z: float
    bulge: float
    young: float
    young_colors: tuple
    n_knots: float


@dataclass(frozen=True)
class Piece:
    """A part of a galaxy that a pipeline may catalogue as a separate source.

    Attributes
    ----------
    x, y : float
        Position in pixels.
    kind : str
        ``"knot"``, ``"arm"``, ``"disc end"`` or ``"halo"``.
    weight : float
        Relative probability of being catalogued, among pieces of the same kind.
    radius : float
        Half-light radius in pixels.
    """

    x: float
    y: float
    kind: str
    weight: float
    radius: float


def mags_to_fluxes(r_mag, g_r, r_z):
    """Convert an r magnitude and the colours g - r and r - z to g, r, z fluxes in nanomaggies."""
    return 10 ** (0.4 * (22.5 - np.array([r_mag + g_r, r_mag, r_mag - r_z])))


def draw_disc(scene, disc, rng):
    """Draw a disc galaxy into a scene and return its pieces.

    Parameters
    ----------
    scene : Scene
        The scene.
    disc : Disc
        Parameters of the galaxy.
    rng : `~numpy.random.Generator`
        Random generator.

    Returns
    -------
    pieces : list of Piece
        Knots, arm segments and disc ends.
    """
    fluxes = mags_to_fluxes(disc.r_mag, disc.g_r, disc.r_z)
    bulge = sersic_stamp(
        disc.x,
        disc.y,
        # Bulges are far smaller than their discs (e.g. Gadotti 2009, MNRAS 393, 1531).
        max(0.35 * disc.scale_length, 0.8),
        n=rng.uniform(1.0, 3.0),
        axis_ratio=max(disc.axis_ratio, rng.uniform(0.6, 0.95)),
        position_angle=disc.position_angle,
    )
    # Bulges are redder than discs, so their g flux is lower and their z flux higher.
    scene.add(bulge, disc.bulge * fluxes * np.array([0.85, 1.0, 1.12]))
    draw = _draw_edge_on if disc.style == "edge-on" else _draw_face
    young = draw(scene, disc, (1 - disc.bulge) * fluxes, rng)
    pieces = _draw_knots(scene, disc, young, fluxes, rng)
    return pieces + _find_segments(disc, young, rng) + _find_ends(disc, rng)


def _draw_face(scene, disc, fluxes, rng):
    """Draw a face-on disc with arms; return the normalised stamp of its young stars."""
    h = disc.scale_length
    half_width = int(min(5.5 * h, _MAX_HALF_WIDTH) + 6)
    dx, dy, left, bottom = make_grid(disc.x, disc.y, half_width)
    along, across = rotate(dx, dy, disc.position_angle)
    # Deprojected to the plane of the disc.
    across = across / disc.axis_ratio
    radius = np.hypot(along, across).astype(np.float32) / h
    angle = np.arctan2(across, along).astype(np.float32)
    # Discs are truncated at three to five scale lengths. Single precision overflows above 88.
    edge = 1 / (1 + np.exp(np.minimum((radius - rng.uniform(3.3, 4.6)) / 0.3, 80)))
    side = radius.shape[0]
    ripple = _smooth_noise(side, (1.3 if disc.style == "spiral" else 0.7) * h, rng)
    if disc.style == "spiral":
        n_arms = rng.choice([2, 2, 2, 3, 4])
        pitch = np.radians(rng.uniform(11, 28))
        turn = rng.choice([-1, 1])
        # Logarithmic spirals: the radius grows exponentially with the angle.
        phase = n_arms * (angle - turn * np.log(radius + 0.12) / np.tan(pitch)) + 0.7 * ripple
        phase += rng.uniform(0, 2 * np.pi)
        sharpness = rng.uniform(1.2, 3.5)
        arms = np.exp(sharpness * (np.cos(phase) - 1))
        # Dust lies along the arms' inner edges.
        lanes = np.exp(3 * (np.cos(phase + 0.9) - 1))
    else:
        arms = np.exp(0.8 * ripple - 0.5)
        lanes = np.exp(-0.5 * (ripple - 0.7) ** 2 / 0.1)
    # Arms begin outside the bulge.
    ramp = 1 / (1 + np.exp(-(radius - rng.uniform(0.4, 0.9)) / 0.15))
    # Coarse and fine patches: in the nearest galaxies both are resolved.
    patches = _smooth_noise(side, 0.25 * h + 1, rng) + 0.7 * _smooth_noise(side, 0.08 * h + 1, rng)
    patches = np.exp(rng.uniform(0.3, 0.6) * patches)
    profile = np.exp(-radius) * edge
    # Young stars lie in arms and patches, and extend farther out than old stars.
    young = np.exp(-radius / 1.25) * edge * ramp * patches * (arms + 0.06)
    old = profile * (1 + 0.5 * ramp * (arms - arms.mean()))
    young /= young.sum()
    old /= old.sum()
    dust = rng.uniform(0.1, 0.5) * lanes * ramp * np.exp(-((radius / 2.2) ** 2))
    image = _mix(old, young, disc, fluxes) * np.exp(-_EXTINCTION[:, None, None] * dust)
    scene.add(Stamp(image.astype(np.float32), left, bottom))
    return Stamp(young, left, bottom)


def _draw_edge_on(scene, disc, fluxes, rng):
    """Draw an edge-on disc; return the normalised stamp of its young stars."""
    h = disc.scale_length
    shape = {"thickness": disc.axis_ratio, "position_angle": disc.position_angle}
    old = edge_on_stamp(disc.x, disc.y, h, **shape)
    side = old.image.shape[0]
    thin = edge_on_stamp(disc.x, disc.y, h, **shape | {"thickness": 0.6 * disc.axis_ratio})
    patches = np.exp(0.7 * _smooth_noise(side, 0.3 * h + 1, rng))
    young = thin.image * patches
    young /= young.sum()
    # The dust lane is thinner and longer than the stellar disc, and absent in blue galaxies.
    lane = edge_on_stamp(disc.x, disc.y, 1.3 * h, **shape | {"thickness": 0.3 * disc.axis_ratio})
    width = min(lane.image.shape[0], side)
    lane = _crop(lane.image, width) / lane.image.max()
    dust = np.zeros_like(old.image)
    _crop(dust, width)[:] = rng.uniform(0.0, 1.2) * lane * (disc.g_r > 0.55)
    image = _mix(old.image, young, disc, fluxes) * np.exp(-_EXTINCTION[:, None, None] * dust)
    scene.add(Stamp(image.astype(np.float32), old.left, old.bottom))
    return Stamp(young, old.left, old.bottom)


def _mix(old, young, disc, fluxes):
    """Combine normalised stamps of old and young stars to fluxes, shape (3, height, width)."""
    blue = disc.young * mags_to_fluxes(22.5 - 2.5 * np.log10(fluxes[1]), *disc.young_colors)
    rest = (1 - disc.young) * fluxes
    return blue[:, None, None] * young + rest[:, None, None] * old


def _draw_knots(scene, disc, young, fluxes, rng):
    n = rng.poisson(disc.n_knots)
    if n == 0:
        return []
    x, y = _draw_positions(young, n, rng)
    # Luminosities of HII regions follow a power law of index -2 (Kennicutt, Edgar & Hodge 1989,
    # ApJ 337, 761), sampled here over a factor of 60 by inverting the cumulative distribution.
    luminosity = 1 / (1 - rng.uniform(0, 1 - 1 / 60, n))
    share = rng.uniform(0.02, 0.10) * min(disc.young / 0.4, 1.5)
    r_flux = share * fluxes[1] * luminosity / luminosity.sum()
    # Bright knots are larger; the smallest are unresolved.
    sigma = 0.75 * (luminosity / 5) ** 0.3 * rng.lognormal(0, 0.3, n)
    sigma = np.clip(sigma * max(disc.scale_length / 10, 0.7) ** 0.5, 0.6, 4.0)
    # Emission lines make knots blue in r - z: H-alpha falls into r, [O III] into g.
    g_r = disc.young_colors[0] + rng.normal(-0.06, 0.17, n)
    r_z = disc.young_colors[1] + rng.normal(-0.17, 0.24, n)
    pieces = []
    for i in range(n):
        mags = mags_to_fluxes(22.5 - 2.5 * np.log10(r_flux[i]), g_r[i], r_z[i])
        scene.add(gaussian_stamp(x[i], y[i], sigma[i]), mags)
        # A Gaussian's half-light radius is 1.18 sigma.
        pieces.append(Piece(x[i], y[i], "knot", luminosity[i], 1.18 * sigma[i]))
    return pieces


def _find_segments(disc, young, rng):
    """Find bright arm segments: the brightest pixel near each of several random positions."""
    image, reach = young.image, max(int(0.35 * disc.scale_length), 2)
    pieces = []
    for x, y in zip(*_draw_positions(young, 12, rng), strict=True):
        column, row = round(x) - young.left, round(y) - young.bottom
        bottom, left = max(row - reach, 0), max(column - reach, 0)
        near = image[bottom : row + reach + 1, left : column + reach + 1]
        row, column = np.unravel_index(np.argmax(near), near.shape)
        radius = 0.3 * disc.scale_length + 2
        x, y = young.left + left + column, young.bottom + bottom + row
        pieces.append(Piece(float(x), float(y), "arm", near.max() / image.max(), radius))
    return pieces


def _find_ends(disc, rng):
    """Place one piece towards each end of the major axis."""
    pieces = []
    for side in (-1, 1):
        distance = side * disc.scale_length * rng.uniform(1.5, 2.9)
        across = rng.normal(0, 0.15) * disc.scale_length * disc.axis_ratio
        sine, cosine = np.sin(disc.position_angle), np.cos(disc.position_angle)
        x = disc.x - distance * sine + across * cosine
        y = disc.y + distance * cosine + across * sine
        radius = 0.4 * disc.scale_length + 1.5
        pieces.append(Piece(x, y, "disc end", 1.2 - disc.axis_ratio, radius))
    return pieces


def _draw_positions(stamp, n, rng):
    """Draw random positions with the stamp's values as probabilities."""
    cumulative = np.cumsum(stamp.image, axis=None, dtype=float)
    chosen = np.searchsorted(cumulative, rng.uniform(0, cumulative[-1], n))
    y, x = np.unravel_index(np.minimum(chosen, stamp.image.size - 1), stamp.image.shape)
    return x + stamp.left + rng.uniform(-0.5, 0.5, n), y + stamp.bottom + rng.uniform(-0.5, 0.5, n)


def _smooth_noise(side, length, rng):
    """Return Gaussian noise of mean 0 and deviation 1, correlated over ``length`` pixels."""
    frequency = np.fft.fftfreq(side)[:, None] ** 2 + np.fft.rfftfreq(side) ** 2
    # Fourier transform of a Gaussian filter whose standard deviation is half of the length.
    transfer = np.exp(-2 * (np.pi * length / 2) ** 2 * frequency)
    noise = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((side, side))) * transfer, (side, side))
    return ((noise - noise.mean()) / noise.std()).astype(np.float32)


def _crop(image, width):
    """Return a view of the central square."""
    start = (image.shape[0] - width) // 2
    return image[start : start + width, start : start + width]
