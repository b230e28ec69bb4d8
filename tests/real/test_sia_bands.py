"""NOIRLab's SIA service of Legacy DR9 has images in g and r, and none in z."""

import numpy as np
import pytest

from shredfinder.cutouts import VOImages, fetch_cutouts
from shredfinder.exceptions import ServiceError
from tests.cutouts.conftest import scattered

OPTIONS = {"rate": None, "progress": False, "size": 32, "group": False}


@pytest.mark.parametrize(
    ("bands", "have"), [({}, "g, r"), ({"bands": "z", "color_mapping": "flux"}, "g, r")]
)
def test_a_band_that_the_service_lacks_is_reported_at_once(server, tmp_path, bands, have):
    service = VOImages(base_url=f"{server.url}/sia/ls_dr9", **bands)
    for n_runs in (1, 2):
        with pytest.raises(
            ServiceError, match=rf"/sia/ls_dr9 lists images in {have} but none in z"
        ):
            fetch_cutouts(scattered(8), service, cache=tmp_path, max_workers=1, **OPTIONS)
        assert len(server.requests) <= 4 * n_runs
        # No image was fetched, and nothing is remembered.
        assert not [path for _, path, _ in server.requests if path == "/sia-image"]
        assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_bands_that_the_service_has_are_fetched(server):
    service = VOImages(base_url=f"{server.url}/sia/ls_dr9", bands="gr", color_mapping="flux")
    cutouts = fetch_cutouts(scattered(2), service, cache=False, **OPTIONS)
    assert cutouts.good.all()
    assert cutouts.images.shape == (2, 32, 32, 2)


@pytest.mark.filterwarnings("ignore:no cutout was fetched")
def test_a_gap_of_the_sky_is_no_gap_of_the_service(server, respond, tmp_path):
    def leave_gap(path, params, usual):
        status, body, content_type = usual
        # z is missing in small regions, and there in large ones.
        if path == "/sia" and float(params["SIZE"].split(",")[1]) < 0.5:
            body = body.replace(b"z CAM", b"unknown CAM")
        return status, body, content_type

    respond(leave_gap)
    service = VOImages(base_url=f"{server.url}/sia", bands="zr", color_mapping="flux")
    cutouts = fetch_cutouts(scattered(2), service, cache=tmp_path, max_workers=1, **OPTIONS)
    assert cutouts.flags.tolist() == ["no coverage"] * 2
    # Two lists, and one of a large region.
    assert len(server.requests) == 3
    assert np.isnan(cutouts.images).all()
