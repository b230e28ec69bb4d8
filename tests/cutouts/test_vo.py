"""SIA on loopback; a real VO server is asked in tests/dachs."""

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


def test_images_are_found_and_put_together(server):
    coords = scattered(3)
    cutouts = fetch(server, coords)
    assert cutouts.good.all()
    assert_right(cutouts, coords)
    assert len(server.requests) == 3 * 4
    assert cutouts.color_mapping == "legacy-grz"


def test_no_image_there(server, tmp_path):
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


def test_answers_that_are_no_votable():
    with LoopbackServer(faults=Faults({"html": 1})) as server:
        with pytest.warns(ShredfinderWarning, match="not a VOTable but"):
            assert fetch(server, scattered(1)).flags.tolist() == ["failed"]
        assert len(server.requests) == 1


def test_wrong_options_are_refused():
    with pytest.raises(ValueError, match="version must be 1 or 2"):
        VOImages(version=3)
    with pytest.raises(ValueError, match="no colour mapping"):
        VOImages(color_mapping="pink")
