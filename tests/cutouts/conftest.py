"""Fixtures for the tests of cutout services."""

import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from shredfinder.cutouts import RetryPolicy
from tests.cutouts.loopback import LoopbackServer, render_colors

# Mean difference in levels of 255 that the viewer's JPEG compression causes, at most.
JPEG_NOISE = 1.5


@pytest.fixture
def server():
    """A server without faults."""
    with LoopbackServer() as running:
        yield running


@pytest.fixture
def quick_retry():
    """A retry policy with short pauses."""
    return RetryPolicy(attempts=8, pause=0.005, max_pause=0.05, total=60)


def host_centred(n_hosts, n_sources, *, seed=0, radius=0.03):
    """Return positions of sources around random hosts."""
    rng = np.random.default_rng(seed)
    ra0, dec0 = (
        rng.uniform(0, 360, n_hosts),
        np.degrees(np.arcsin(rng.uniform(-0.4, 0.85, n_hosts))),
    )
    offsets = rng.normal(0, radius / 2, (2, n_hosts, n_sources))
    dec = dec0[:, None] + offsets[1]
    ra = ra0[:, None] + offsets[0] / np.cos(np.radians(dec))
    return SkyCoord(ra.ravel() % 360, dec.ravel(), unit="deg")


def scattered(n, *, seed=0):
    """Return positions of isolated sources."""
    rng = np.random.default_rng(seed)
    dec = np.degrees(np.arcsin(rng.uniform(-0.4, 0.95, n)))
    return SkyCoord(rng.uniform(0, 360, n), dec, unit="deg")


def differences(cutouts, coords):
    """Return each cutout's mean absolute difference from the simulated sky, in levels of 255."""
    height, width = cutouts.size
    return np.array(
        [
            np.abs(
                image.astype(int)
                - render_colors(c.ra.deg, c.dec.deg, width, height, cutouts.pixel_scale)
            ).mean()
            for image, c in zip(cutouts.images, coords, strict=True)
        ]
    )
