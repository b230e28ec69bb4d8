"""Simulated sky: the value of each pixel depends on its position only."""

import numpy as np

# One wave per band, of about an arcmin, in three directions: neighbouring positions look
# different, and half a pixel of 0.47″ changes a colour by a few levels at most.
_WAVELENGTH = np.radians(60 / 3600)
_WAVES = np.random.default_rng(11).normal(size=(3, 3))
_WAVES *= (2 * np.pi / _WAVELENGTH) / np.linalg.norm(_WAVES, axis=-1, keepdims=True)
# The survey's southern limit in degrees.
SOUTHERN_LIMIT = -30.0


def render_fluxes(ra, dec, width, height, scale, n_bands=3):
    """Return fluxes in 0–1 of shape (height, width, n_bands), the first row in the north.

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
    """Return colours of shape (height, width, 3), uint8."""
    return np.rint(render_fluxes(ra, dec, width, height, scale) * 255).astype(np.uint8)
