"""Several sources on one image."""

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord, SkyOffsetFrame

from shredfinder.cutouts import fetch_cutouts
from shredfinder.cutouts.grouping import deproject, group_sources, project
from tests.cutouts.conftest import differences, host_centred, scattered
from tests.cutouts.loopback import Faults, LoopbackServer

KIND = {"size": 128, "pixel_scale": 0.46875, "max_size": 3000}


@pytest.mark.parametrize(
    "coords",
    [
        host_centred(30, 25),
        scattered(300),
        # Near the poles, across RA = 0, and all at one position.
        SkyCoord(np.linspace(0, 359, 60), np.full(60, 89.999), unit="deg"),
        SkyCoord(np.linspace(-0.05, 0.05, 30) % 360, np.zeros(30), unit="deg"),
        SkyCoord(np.full(40, 12.0), np.full(40, -3.0), unit="deg"),
        SkyCoord([10.0, 190.0, 10.0], [0.0, 0.0, 90.0], unit="deg"),
    ],
)
def test_each_source_is_centred_to_half_a_pixel(coords):
    ra, dec = coords.ra.deg, coords.dec.deg
    groups = group_sources(ra, dec, **KIND)
    rows = np.concatenate([group.rows for group in groups])
    assert sorted(rows) == list(range(len(coords)))
    for group in groups:
        request = group.request
        assert max(request.width, request.height) <= 3000
        east, north = project(ra[group.rows], dec[group.rows], request.ra, request.dec)
        x = (request.width - 1) / 2 - east / 0.46875
        y = (request.height - 1) / 2 - north / 0.46875
        assert np.abs(group.left + 63.5 - x).max() <= 0.5 + 1e-3
        assert np.abs(group.top + 63.5 - y).max() <= 0.5 + 1e-3
        assert group.left.min() >= 0
        assert group.top.min() >= 0
        assert group.left.max() + 128 <= request.width
        assert group.top.max() + 128 <= request.height


def test_only_neighbours_share_an_image():
    coords = host_centred(40, 20)
    groups = group_sources(coords.ra.deg, coords.dec.deg, **KIND)
    assert 40 <= len(groups) <= 60
    coords = scattered(100)
    assert len(group_sources(coords.ra.deg, coords.dec.deg, **KIND)) == 100


def test_shared_images_are_not_mostly_empty():
    # Two sources 20′ apart would fit into one image of 2700 px.
    coords = SkyCoord([10, 10], [0, 1 / 3], unit="deg")
    assert len(group_sources(coords.ra.deg, coords.dec.deg, **KIND)) == 2


def test_projection_agrees_with_astropy_and_is_invertible():
    center = SkyCoord(33, 71, unit="deg")
    coords = center.directional_offset_by(np.arange(0, 360, 30) * u.deg, 0.4 * u.deg)
    east, north = project(coords.ra.deg, coords.dec.deg, 33, 71)
    offset = coords.transform_to(SkyOffsetFrame(origin=center))
    np.testing.assert_allclose(
        np.hypot(east, north), 3600 * np.degrees(np.tan(coords.separation(center).rad)), rtol=1e-9
    )
    np.testing.assert_allclose(east, offset.lon.arcsec, rtol=1e-4, atol=0.1)
    ra, dec = deproject(east, north, 33, 71)
    np.testing.assert_allclose(ra, coords.ra.deg, atol=1e-10)
    np.testing.assert_allclose(dec, coords.dec.deg, atol=1e-10)


def test_slices_agree_with_single_images(server):
    coords = host_centred(6, 20, seed=3)
    options = {
        "service": "legacy",
        "base_url": server.viewer,
        "cache": False,
        "rate": None,
        "progress": False,
    }
    shared = fetch_cutouts(coords, **options)
    n_shared = len(server.requests)
    single = fetch_cutouts(coords, group=False, **options)
    assert n_shared * 3 <= len(server.requests) - n_shared == 120
    assert shared.good.all()
    assert single.good.all()
    # Half a pixel in each direction changes this sky by at most 4 levels on average.
    assert differences(shared, coords).max() < 5
    delta = np.abs(shared.images.astype(int) - single.images).mean(axis=(1, 2, 3))
    assert delta.max() < 5


@pytest.mark.parametrize("fault", ["clipped", "html"])
def test_failed_shared_images_are_fetched_singly(fault):
    coords = host_centred(1, 10, seed=1)
    faults = Faults({fault: 1})
    with LoopbackServer(faults=faults) as server:
        original = faults.draw

        def first():
            drawn = original()
            if len(server.requests) == 3:
                faults.chances = {}
            return drawn

        faults.draw = first
        cutouts = fetch_cutouts(
            coords, base_url=server.viewer, cache=False, rate=None, progress=False
        )
        assert len(server.requests) == 3 + 10
    assert cutouts.good.all()


def test_only_sources_without_data_are_flagged(server):
    # The survey's southern limit lies between them.
    coords = SkyCoord([50, 50, 50], [-30.03, -29.99, -29.98], unit="deg")
    cutouts = fetch_cutouts(coords, base_url=server.viewer, cache=False, rate=None, progress=False)
    assert cutouts.flags.tolist() == ["blank", "", ""]
