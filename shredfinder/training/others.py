"""Images of what is neither galaxy nor shred, made from real ones: stars, artefacts, blank sky."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from shredfinder.imaging.colors import compress_jpeg, flux_to_rgb, rgb_to_flux
from shredfinder.surveys import COLOR_MAPPINGS
from shredfinder.training.augmentation import move_center

__all__ = ["OTHER_KINDS", "draw_other"]

#: Kinds of images that `draw_other` makes, with their shares.
OTHER_KINDS = {
    "star on a galaxy": 0.30,
    "star on the sky": 0.32,
    "blank sky": 0.23,
    "saturated star": 0.08,
    "border of the data": 0.07,
}
# Largest distance in pixels of the place that is brought to the centre.
_MAX_OFFSET = 30
# Magnitudes in the middle band. Fainter stars look like compact galaxies, and fainter ones on
# galaxies like their knots.
_MAGNITUDES = {
    "star on a galaxy": (16.0, 19.3),
    "star on the sky": (15.3, 19.8),
    "saturated star": (11.0, 15.3),
}
# The viewer's value of pixels without data.
_NO_DATA = 32


def draw_other(
    image: np.ndarray,
    rng: np.random.Generator,
    *,
    kind: str | None = None,
    color_mapping: str = "legacy-grz",
    pixel_scale: float = 0.46875,
) -> np.ndarray | None:
    """Make an image of a star, an artefact or blank sky from an image of a source.

    A place of the right kind (blank sky, or a galaxy's light off its centre) is brought to the
    centre. Stars are drawn there with a Moffat profile of the survey's seeing, in fluxes.

    Parameters
    ----------
    image : `~numpy.ndarray` of uint8
        Colour image of shape ``(height, width, 3)``.
    rng : `~numpy.random.Generator`
        Random number generator.
    kind : str, optional
        A key of `OTHER_KINDS`; by default at random, by their shares.
    color_mapping : str, optional
        Mapping of the image's colours.
    pixel_scale : float, optional
        Pixel scale in arcsec per pixel.

    Returns
    -------
    drawn : `~numpy.ndarray` of uint8 or None
        Image of the same shape; None if the image has no such place.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder.training import draw_other
    >>> sky = np.random.default_rng(0).normal(33, 4, (128, 128, 3)).clip(0, 255).astype(np.uint8)
    >>> star = draw_other(sky, np.random.default_rng(1), kind="star on the sky")
    >>> bool(star[62:66, 62:66].min() > 100)
    True
    """
    if kind is None:
        kind = str(rng.choice(list(OTHER_KINDS), p=list(OTHER_KINDS.values())))
    place = _find_place(image, rng, kind)
    if place is None:
        return None
    moved = move_center(image, *place)
    if kind == "border of the data":
        return _cut_off(moved, rng)
    if kind == "blank sky":
        return moved
    magnitude = rng.uniform(*_MAGNITUDES[kind])
    color = rng.uniform(0.5 if kind == "star on a galaxy" else 0.3, 1.6)
    return _add_star(moved, rng, magnitude, color, color_mapping, pixel_scale)


def _find_place(image: np.ndarray, rng: np.random.Generator, kind: str) -> tuple[int, int] | None:
    """Return the offset in pixels of a random place for a kind."""
    x, y = _grid(image)
    radius = np.hypot(x, y)
    possible = radius < _MAX_OFFSET
    light = ndimage.gaussian_filter(image.mean(axis=-1), 1.0)
    sky = np.percentile(light, 20)
    below = light[light < np.median(light)]
    # At least the noise of the levels, should the lower half of the image be uniform.
    noise = max(1.5, 1.4826 * float(np.median(np.abs(below - sky))) if below.size else 0.0)
    if kind in ("blank sky", "star on the sky"):
        # No light within 4 px (2″). An image that a galaxy fills has no such place.
        possible &= (ndimage.maximum_filter(light, 9) < sky + 3.5 * noise) & (light < 45)
    elif kind == "star on a galaxy":
        possible &= (light > sky + 6 * noise) & (light < 150) & (radius > 5)
    rows, columns = np.nonzero(possible)
    if not len(rows):
        return None
    chosen = rng.integers(len(rows))
    return round(float(x[0, columns[chosen]])), round(float(y[rows[chosen], 0]))


def _grid(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the offsets of the columns and rows from the centre, for broadcasting."""
    height, width = image.shape[:2]
    return np.arange(width)[None] - (width - 1) / 2, np.arange(height)[:, None] - (height - 1) / 2


def _add_star(
    image: np.ndarray,
    rng: np.random.Generator,
    magnitude: float,
    color: float,
    color_mapping: str,
    pixel_scale: float,
) -> np.ndarray:
    """Add a star near the centre; bright ones with halo, spikes and bleed trail."""
    mapping = COLOR_MAPPINGS[color_mapping]
    fluxes = rgb_to_flux(image, color_mapping=color_mapping)
    x, y = _grid(image)
    x, y = x - rng.uniform(-0.6, 0.6), y - rng.uniform(-0.6, 0.6)
    # The stellar locus, roughly (Finlator et al. 2000, AJ 120, 2615): beyond g − r of 1.2, M
    # dwarfs differ in their redder colours alone.
    redder = 0.15 + 0.45 * color + 2.2 * max(color - 1.2, 0.0) + rng.normal(0, 0.07)
    magnitudes = magnitude + np.array([-min(redder, 2.6), 0.0, color])
    seeing, beta = rng.uniform(0.95, 1.35), rng.uniform(2.5, 3.5)
    # Fluxes are per native pixel of the survey.
    share = (mapping.native_pixel_scale / pixel_scale) ** 2
    distance2 = x**2 + y**2
    for flux, mag, wider in zip(fluxes, magnitudes, (1.0, 1.08, 1.18), strict=True):
        total = 10 ** (0.4 * (22.5 - mag)) * share
        core = seeing * wider / pixel_scale / (2 * np.sqrt(2 ** (1 / beta) - 1))
        profile = (1 + distance2 / core**2) ** -beta * (beta - 1) / (np.pi * core**2)
        if mag < 16.5:
            # Two per cent of the light in a halo of 8 px, and four diffraction spikes.
            profile = profile + 0.02 / (2 * np.pi * 64) / (1 + distance2 / 64) ** 1.5
            on_spike = (np.abs(x + y) < 1.2) | (np.abs(x - y) < 1.2)
            profile = profile + 2e-5 / share * np.exp(-np.sqrt(distance2) / 25) * on_spike
        flux += (total * profile).astype(flux.dtype)
    if magnitude < _MAGNITUDES["saturated star"][1]:
        _add_bleed_trail(fluxes, rng, _MAGNITUDES["saturated star"][1] - magnitude)
    drawn = flux_to_rgb(fluxes, mapping.bands, color_mapping=color_mapping)
    return compress_jpeg(drawn, color_mapping=color_mapping)


def _add_bleed_trail(fluxes: np.ndarray, rng: np.random.Generator, excess: float) -> None:
    """Fill columns or rows of the detector beside a saturated star, in most bands."""
    height, width = fluxes.shape[1:]
    length = min(10 + 25 * excess * rng.uniform(0.4, 1.5), width)
    half = max(1, round(1.5 * excess))
    for flux in fluxes:
        if rng.random() < 0.75:
            first = round(width / 2 - length * rng.uniform(0.3, 1))
            last = round(width / 2 + length * rng.uniform(0.3, 1))
            shift = rng.integers(-1, 2)
            rows = slice(height // 2 - half + shift, height // 2 + half + shift)
            # Between half and six nanomaggies per native pixel, far above any galaxy.
            flux[rows, max(first, 0) : last] += rng.uniform(0.5, 6.0)


def _cut_off(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Remove the data beyond a line that passes near the centre, and sometimes some rows."""
    x, y = _grid(image)
    angle = rng.uniform(0, 2 * np.pi)
    cut = image.copy()
    cut[x * np.cos(angle) + y * np.sin(angle) > rng.uniform(-12, 1)] = _NO_DATA
    if rng.random() < 0.3:
        rows = np.abs(y[:, 0] - rng.integers(-3, 4)) < rng.uniform(2, 6)
        cut[rows] = _NO_DATA
    return cut
