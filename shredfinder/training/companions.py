"""Images of companions: small galaxies in front of, behind or beside larger ones."""

from __future__ import annotations

import numpy as np

from shredfinder.imaging.colors import compress_jpeg, flux_to_rgb, rgb_to_flux
from shredfinder.surveys import COLOR_MAPPINGS
from shredfinder.training.augmentation import move_center

__all__ = ["HOST_RADIUS", "draw_companion", "find_small_galaxies"]

# Isophotal radii in pixels of galaxies that can be drawn as companions, and how sure they are.
_RADII = 2.8, 10.7
_SURE = 0.95
#: Smallest isophotal radius in pixels of a galaxy on which companions are drawn.
HOST_RADIUS = 10.7
# The companion's centre lies this many radii off the host's nucleus. Nearer ones merge with it, and
# farther ones are isolated galaxies, which labelled sources show.
_NEAREST, _FARTHEST = 0.35, 1.3
# Limits of the distance in pixels. Larger ones leave too little of the host in the image.
_MIN_DISTANCE, _MAX_DISTANCE = 7, 32
# The companion's centre outshines the host's light there by this factor, or it looks like a knot.
_CONTRAST = 1.2
_TRIALS = 6


def draw_companion(
    host: np.ndarray,
    host_radius: float,
    companion: np.ndarray,
    companion_radius: float,
    rng: np.random.Generator,
    *,
    color_mapping: str = "legacy-grz",
) -> np.ndarray | None:
    """Draw a galaxy on the disc or beside the disc of another.

    The host is moved, and the companion's flux, without its sky, is added at the centre.

    Parameters
    ----------
    host, companion : `~numpy.ndarray` of uint8
        Colour images of shape ``(height, width, 3)``, each with a galaxy at its centre.
    host_radius, companion_radius : float
        Isophotal radii of the galaxies in pixels.
    rng : `~numpy.random.Generator`
        Random number generator.
    color_mapping : str, optional
        Mapping of the images' colours.

    Returns
    -------
    drawn : `~numpy.ndarray` of uint8 or None
        Image of the same shape, with the companion at its centre; None if the companion is too
        faint to be seen on this host.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder.training import draw_companion
    >>> y, x = np.mgrid[:128, :128] - 63.5
    >>> profile = 33 + 200 * np.exp(-np.hypot(x, y) / 8)
    >>> galaxy = np.repeat(profile[..., None], 3, axis=2).astype(np.uint8)
    >>> drawn = draw_companion(galaxy, 20, galaxy, 10, np.random.default_rng(1))
    >>> bool(drawn[62:66, 62:66].min() > 150)
    True
    """
    bands = COLOR_MAPPINGS[color_mapping].bands
    light = _isolate(companion, companion_radius, rng, color_mapping)
    height, width = host.shape[:2]
    middle = len(bands) // 2
    around = np.s_[height // 2 - 6 : height // 2 + 6, width // 2 - 6 : width // 2 + 6]
    core = np.s_[height // 2 - 2 : height // 2 + 2, width // 2 - 2 : width // 2 + 2]
    for _ in range(_TRIALS):
        distance = rng.uniform(_NEAREST, _FARTHEST) * host_radius
        angle = rng.uniform(0, 2 * np.pi)
        x, y = round(distance * np.cos(angle)), round(distance * np.sin(angle))
        if not _MIN_DISTANCE <= np.hypot(x, y) <= _MAX_DISTANCE:
            continue
        fluxes = rgb_to_flux(move_center(host, x, y), color_mapping=color_mapping)
        contrast = light[middle][core].mean() / max(np.median(fluxes[middle][around]), 1e-3)
        if contrast < _CONTRAST:
            continue
        # Half as bright, at most, if it is still seen then.
        dimmed = rng.uniform(0.5, 1.0)
        factor = dimmed if contrast * dimmed >= _CONTRAST else 1.0
        drawn = flux_to_rgb(fluxes + factor * light, bands, color_mapping=color_mapping)
        return compress_jpeg(drawn, color_mapping=color_mapping)
    return None


def find_small_galaxies(
    images: np.ndarray, targets: np.ndarray, radii: np.ndarray
) -> list[tuple[np.ndarray, float]]:
    """Select the galaxies that can be drawn as companions.

    Parameters
    ----------
    images : `~numpy.ndarray`
        Images of shape ``(n, height, width, bands)``.
    targets : `~numpy.ndarray`
        Probability of each class, of shape ``(n, n_classes)``, galaxy first.
    radii : `~numpy.ndarray`
        Isophotal radii in pixels, of shape ``(n,)``; NaN if unknown.

    Returns
    -------
    small : list of tuple
        Image and radius of each galaxy that is certain and small.
    """
    chosen = (targets[:, 0] >= _SURE) & (radii >= _RADII[0]) & (radii < _RADII[1])
    return [(images[row], float(radii[row])) for row in np.flatnonzero(chosen)]


def _isolate(
    image: np.ndarray, radius: float, rng: np.random.Generator, color_mapping: str
) -> np.ndarray:
    """Return the fluxes of the central galaxy alone, rotated and mirrored at random."""
    image = np.rot90(image, int(rng.integers(4)))
    fluxes = rgb_to_flux(image[:, ::-1] if rng.integers(2) else image, color_mapping=color_mapping)
    height, width = fluxes.shape[1:]
    y, x = np.ogrid[:height, :width]
    distance = np.hypot(x - (width - 1) / 2, y - (height - 1) / 2)
    is_sky = distance > 1.6 * radius + 3
    sky = np.median(fluxes[:, is_sky], axis=1) if is_sky.any() else np.zeros(len(fluxes))
    # A soft edge outside the isophote, so that no rim shows.
    share = 1 / (1 + np.exp(np.clip(distance - 1.35 * radius - 2, -50, 50)))
    return ((fluxes - sky[:, None, None]) * share).astype(np.float32)
