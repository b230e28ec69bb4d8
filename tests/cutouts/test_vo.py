"""SIA from a local server; tests/dachs uses a real VO server."""

import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from shredfinder.cutouts import VOImages, fetch_cutouts
from shredfinder.exceptions import ShredfinderWarning
from shredfinder.imaging import flux_to_rgb
from tests.cutouts.conftest import scattered
from tests.cutouts.loopback import Faults, LoopbackServer, render_fluxes


def fetch(server, coords, **options):
    service = VOImages(base_url=f"{server.url}/sia", layer="Simulated sky")
    options = {"cache": False, "rate": None, "progress": False, "size": 64} | options
    return fetch_cutouts(coords, service=service, **options)


def assert_right(cutouts, coords):
    for image, c in zip(cutouts.images, coords, strict=True):
        fluxes = render_fluxes(c.ra.deg, c.dec.deg, 64, 64, 0.46875) * 0.2
        assert np.abs(image.astype(int) - flux_to_rgb(fluxes, "grz", axis=-1)).mean() < 3


def test_images_are_found_and_combined(server):
    coords = scattered(3)
    cutouts = fetch(server, coords)
    assert cutouts.good.all()
    assert_right(cutouts, coords)
    assert len(server.requests) == 3 * 4
    assert cutouts.color_mapping == "legacy-grz"


@pytest.mark.parametrize(
    ("path", "options", "version", "n_requests"),
    [
        ("/sia/v2query", {}, 2, 2 * 7),
        ("/sia/v2query", {"version": 2, "layer": "SIM"}, 2, 2 * 7),
        # A misleading URL costs one more request, once.
        ("/siav2-in-name-only", {}, 1, 1 + 2 * 4),
    ],
)
def test_versions(server, path, options, version, n_requests):
    coords = scattered(2, seed=3)
    service = VOImages(base_url=server.url + path, **options)
    cutouts = fetch_cutouts(
        coords, service=service, size=64, cache=False, rate=None, progress=False, max_workers=1
    )
    assert cutouts.flags.tolist() == ["", ""]
    assert_right(cutouts, coords)
    assert service.version == version
    assert len(server.requests) == n_requests


def test_sizes_near_the_poles(server):
    # SIZE is in coordinates in version 1: 60″ span 0.19° of right ascension at Dec 85°.
    coords = SkyCoord([30], [85], unit="deg")
    cutouts = fetch(server, coords)
    assert cutouts.good.all()
    assert_right(cutouts, coords)


def test_weight_maps_are_not_used(server):
    coords = scattered(2)
    fetch(server, coords)
    assert not [p for _, path, p in server.requests if p.get("kind") == "invvar"]
    service = VOImages(base_url=f"{server.url}/sia", color_mapping="flux", bands="r")
    cutouts = fetch_cutouts(
        coords, service=service, size=64, cache=False, rate=None, progress=False
    )
    assert (cutouts.bands, cutouts.images.dtype) == (("r",), np.float32)
    for image, c in zip(cutouts.images, coords, strict=True):
        truth = render_fluxes(c.ra.deg, c.dec.deg, 64, 64, 0.46875)[..., 1:2] * 0.2
        assert np.abs(image - truth).max() < 0.02


@pytest.mark.filterwarnings("ignore:no cutout was fetched")
def test_positions_without_an_image(server, tmp_path):
    coords = SkyCoord([10], [-60], unit="deg")
    assert fetch(server, coords, cache=tmp_path).flags.tolist() == ["no coverage"]
    service = VOImages(base_url=f"{server.url}/sia", layer="Elsewhere")
    cutouts = fetch_cutouts(scattered(1), service=service, cache=False, progress=False)
    assert cutouts.flags.tolist() == ["no coverage"]


def test_faults(quick_retry):
    coords = scattered(15)
    passing = ("429", "500", "503", "reset", "truncated", "truncated silently", "redirect")
    faults = Faults(dict.fromkeys(passing, 0.02), retry_after=0.05)
    with LoopbackServer(faults=faults) as server:
        cutouts = fetch(server, coords, retry=quick_retry)
    assert sum(faults.counts[fault] for fault in passing) > 0
    assert cutouts.flags.tolist() == [""] * 15
    assert_right(cutouts, coords)


def test_responses_other_than_votables_are_refused():
    with LoopbackServer(faults=Faults({"html": 1})) as server:
        service = VOImages(base_url=f"{server.url}/sia", version=1)
        with pytest.warns(ShredfinderWarning, match="not a VOTable but"):
            cutouts = fetch_cutouts(scattered(1), service=service, cache=False, progress=False)
        assert cutouts.flags.tolist() == ["failed"]
        assert len(server.requests) == 3


def test_invalid_options_are_refused():
    with pytest.raises(ValueError, match="version must be 1, 2 or"):
        VOImages(version=3)
    with pytest.raises(ValueError, match="no colour mapping"):
        VOImages(color_mapping="pink")
