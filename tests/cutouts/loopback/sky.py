"""Simulated sky: each pixel follows from its position, whatever image it is part of."""

import numpy as np

# A wave a band of about a minute of arc, in three directions: neighbouring positions look
# different, and half a pixel of 0.47″ changes a colour by a few levels at most.
_WAVELENGTH = np.radians(60 / 3600)
_WAVES = np.random.default_rng(11).normal(size=(3, 3))
_WAVES *= (2 * np.pi / _WAVELENGTH) / np.linalg.norm(_WAVES, axis=-1, keepdims=True)
# South of this there is no survey.
SOUTHERN_LIMIT = -30.0


def render_fluxes(ra, dec, width, height, scale, n_bands=3):
    """Fluxes of shape (height, width, n_bands), between 0 and 1, the first row in the north.

    The projection is gnomonic, with north up and east left.
    """
    right = ((np.arange(width) - (width - 1) / 2) * np.radians(scale / 3600))[None, :]
    down = ((np.arange(height) - (height - 1) / 2) * np.radians(scale / 3600))[:, None]
    ra, dec = np.radians(ra), np.radians(dec)
    center = np.array([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])
    east = np.array([-np.sin(ra), np.cos(ra), 0.0])
    north = np.array([-np.sin(dec) * np.cos(ra), -np.sin(dec) * np.sin(ra), np.cos(dec)])
    norm = np.sqrt(1 + right**2 + down**2)
    fluxes = np.empty((height, width, 3), np.float32)
    for band, wave in enumerate(_WAVES):
        phase = (wave @ center - right * (wave @ east) - down * (wave @ north)) / norm
        fluxes[..., band] = 0.5 + 0.45 * np.sin((phase % (2 * np.pi)).astype(np.float32))
    fluxes[(center[2] - down * north[2]) / norm < np.sin(np.radians(SOUTHERN_LIMIT))] = 0
    return np.take(fluxes, np.arange(n_bands) % 3, axis=-1)


def render_colors(ra, dec, width, height, scale):
    """Colours of shape (height, width, 3), uint8, before any compression."""
    return np.rint(render_fluxes(ra, dec, width, height, scale) * 255).astype(np.uint8)
