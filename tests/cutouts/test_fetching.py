"""Fetching from a server with faults."""

import os
import time
import warnings

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import QTable, Table

from shredfinder.cutouts import RetryPolicy, fetch_cutouts
from shredfinder.exceptions import ServiceError, ShredfinderWarning
from tests.cutouts.conftest import JPEG_NOISE, differences, host_centred, scattered
from tests.cutouts.loopback import FAULTS, Faults, LoopbackServer

N_FAULTY = int(os.environ.get("SHREDFINDER_FAULTY_REQUESTS", "400"))
# Faults that are believed at the third time, and the flags of their rows.
LASTING = {
    "html": "not an image",
    "blank": "blank",
    "wrong size": "wrong size",
    "clipped": "wrong size",
}
OPTIONS = {"service": "legacy", "rate": None, "progress": False}


def fetch(coords, server, **options):
    return fetch_cutouts(
        coords, **(OPTIONS | {"base_url": server.viewer, "cache": False} | options)
    )


def assert_rate_kept(requests, rate):
    times = np.array([when for when, _, _ in requests])
    # The server's threads record a request shortly after it was sent.
    window = int(rate * 0.5)
    if len(times) > window:
        assert (times[window:] - times[:-window]).min() > 0.5 * 0.8


@pytest.mark.slow
def test_every_fault_at_once(tmp_path, quick_retry):
    coords = scattered(N_FAULTY)
    chances = dict.fromkeys(FAULTS, 0.02) | {"429": 0.002, "stall": 0.005}
    faults = Faults(chances, retry_after=0.5, stall=20)
    rate = 400
    options = {"group": False, "cache": tmp_path, "retry": quick_retry, "rate": rate, "size": 24}
    with LoopbackServer(faults=faults) as server:
        # Longer than a busy machine needs for a response, and shorter than a stall.
        cutouts = fetch(coords, server, max_workers=16, timeout=3, **options)
        assert_rate_kept(server.requests, rate)
        # No row is lost: each fault is passing, also those that look final.
        assert len(cutouts) == len(coords)
        counts = faults.counts
        print(f"{len(server.requests)} requests for {len(coords)} rows: {dict(counts)}")
        assert sum(counts.values()) >= len(coords)
        assert all(counts[fault] for fault in LASTING)
        good = cutouts.good
        assert np.count_nonzero(~good) < 0.01 * len(coords)
        assert differences(cutouts[good], coords[good]).max() < JPEG_NOISE
        # Another run fetches only the rows that failed.
        faults.chances = {}
        server.requests.clear()
        again = fetch(coords, server, **options)
        assert len(server.requests) == np.count_nonzero(~good)
        assert again.good.all()
        assert differences(again, coords).max() < JPEG_NOISE


@pytest.mark.slow
def test_every_fault_at_once_with_shared_images(quick_retry):
    coords = host_centred(24, 20)
    chances = dict.fromkeys(FAULTS, 0.03) | {"blank": 0, "429": 0.01, "stall": 0.01}
    faults = Faults(chances, retry_after=0.1, stall=20)
    with LoopbackServer(faults=faults) as server, warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        options = {"retry": quick_retry, "timeout": 3, "size": 64, "max_workers": 16}
        cutouts = fetch(coords, server, **options)
    print(f"{len(server.requests)} requests for {len(coords)} rows: {dict(faults.counts)}")
    assert set(cutouts.flags) <= {"", *LASTING.values()}
    assert np.count_nonzero(~cutouts.good) < 0.1 * len(coords)
    good = cutouts.good
    assert differences(cutouts[good], coords[good]).max() < 6


@pytest.mark.parametrize("fault", ["429", "500", "503", "reset", "truncated", "redirect"])
def test_transient_faults_are_retried(fault, quick_retry):
    coords = scattered(20)
    faults = Faults({fault: 0.3}, retry_after=0.05)
    with LoopbackServer(faults=faults) as server:
        cutouts = fetch(coords, server, retry=quick_retry, group=False)
    assert faults.counts[fault] > 0
    assert cutouts.good.all()
    assert differences(cutouts, coords).max() < JPEG_NOISE


@pytest.mark.parametrize("fault", LASTING)
def test_lasting_faults_are_retried_twice(fault):
    coords = scattered(3)
    caught = warnings.catch_warnings(record=True)
    with LoopbackServer(faults=Faults({fault: 1})) as server, caught as seen:
        warnings.simplefilter("always")
        cutouts = fetch(coords, server, group=False)
        assert len(server.requests) == 9
    # There is one warning, also of blank images, which are valid responses.
    assert len(seen) == 1
    assert server.viewer in str(seen[0].message)
    assert set(cutouts.flags) == {LASTING[fault]}


def test_retry_after_is_honoured_by_all_connections(quick_retry):
    faults = Faults({"429": 1}, retry_after=1)
    with LoopbackServer(faults=faults, latency=0.02) as server:
        original = faults.draw

        def once():
            fault = original()
            faults.chances = {}
            return fault

        faults.draw = once
        fetch(scattered(30), server, retry=quick_retry, max_workers=2)
        times = np.array([when for when, _, _ in server.requests])
    # Two requests were in flight, and the second connection may have sent one more before the
    # first response; the others came after the pause.
    assert np.count_nonzero(times > times[0] + 0.95) >= 28


def test_no_coverage_is_flagged(server):
    coords = SkyCoord([10, 20], [-60, 30], unit="deg")
    cutouts = fetch(coords, server)
    assert cutouts.flags.tolist() == ["blank", ""]
    assert len(server.requests) == 4


def test_rows_without_position_keep_their_place(server):
    table = Table({"RA": [10.0, np.nan, 30.0], "Dec": [5.0, 5.0, 95.0]})
    cutouts = fetch(table, server)
    assert cutouts.flags.tolist() == ["", "no position", "no position"]
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "table",
    [
        Table({"ra": [10.0, 20.0], "dec": [5.0, 6.0]}),
        QTable({"RAJ2000": [10.0, 20.0] * u.deg, "DEJ2000": [300.0, 360.0] * u.arcmin}),
        Table({"raMean": [10.0, 20.0], "decMean": [5.0, 6.0]}),
        QTable({"position": SkyCoord([10, 20], [5, 6], unit="deg").galactic}),
    ],
)
def test_positions_are_found_in_tables(server, table):
    fetch(table, server, group=False)
    asked = sorted((float(p["ra"]), float(p["dec"])) for _, _, p in server.requests)
    np.testing.assert_allclose(asked, [(10, 5), (20, 6)], atol=1e-7)


def test_positions_must_be_found():
    with pytest.raises(ValueError, match="no position was found"):
        fetch_cutouts(Table({"x": [1]}), offline=True)
    with pytest.raises(TypeError, match="coords must be a SkyCoord"):
        fetch_cutouts([(10, 5)], offline=True)


def test_equal_positions_are_requested_once(server):
    coords = SkyCoord([10, 10, 10], [5, 5, 5], unit="deg")
    cutouts = fetch(coords, server, group=False)
    assert len(server.requests) == 1
    assert cutouts.good.all()


def test_unknown_layer_ends_the_run(server):
    with pytest.raises(ServiceError, match="no layer 'ls-dr99'"):
        fetch(scattered(50), server, layer="ls-dr99", group=False, max_workers=2)
    assert len(server.requests) < 10


def test_server_that_is_down_ends_the_run():
    with LoopbackServer() as server:
        url = server.viewer
    policy = RetryPolicy(attempts=2, pause=0.001, max_pause=0.001)
    coords = scattered(200)
    with pytest.warns(ShredfinderWarning, match="cannot be reached"):
        cutouts = fetch_cutouts(coords, base_url=url, cache=False, retry=policy, **OPTIONS)
    assert set(cutouts.flags) == {"failed"}


def test_a_wrong_address_causes_a_warning(server):
    with pytest.warns(
        ShredfinderWarning, match=r"status 404 .* no such page\): check its base_url"
    ):
        cutouts = fetch_cutouts(
            scattered(12), base_url=f"{server.url}/elsewhere", cache=False, **OPTIONS
        )
    assert set(cutouts.flags) == {"no coverage"}


def test_pages_in_place_of_images_end_the_run():
    with LoopbackServer(faults=Faults({"html": 1})) as server:
        with pytest.warns(ShredfinderWarning, match="seems to be down .* maintenance"):
            cutouts = fetch(scattered(200), server, group=False, max_workers=4)
        assert len(server.requests) < 90
    assert set(cutouts.flags) == {"not an image", "failed"}


def test_a_very_long_retry_after_ends_the_run():
    with LoopbackServer(faults=Faults({"429": 1}, retry_after=7200)) as server:
        start = time.monotonic()
        with pytest.warns(ShredfinderWarning, match="asks for a pause of 7200 s"):
            cutouts = fetch(scattered(50), server, group=False, max_workers=2)
        assert time.monotonic() - start < 5
        assert len(server.requests) <= 2
    assert set(cutouts.flags) == {"failed"}


def test_time_limit_holds_for_requests_without_response():
    with LoopbackServer(faults=Faults({"stall": 1}, stall=20)) as server:
        start = time.monotonic()
        with pytest.warns(ShredfinderWarning, match="time limit of 1 s"):
            cutouts = fetch(scattered(10), server, time_limit=1, group=False)
        assert time.monotonic() - start < 4
    assert set(cutouts.flags) == {"failed"}


def test_time_limit(server):
    start = time.monotonic()
    with pytest.warns(ShredfinderWarning, match="time limit of 0.5 s"):
        cutouts = fetch(scattered(100), server, rate=20, time_limit=0.5, group=False)
    assert time.monotonic() - start < 3
    assert 0 < np.count_nonzero(cutouts.good) < 30
    assert set(cutouts.flags) == {"", "failed"}


def test_too_large_a_size_is_refused_before_any_request(server):
    with pytest.raises(ValueError, match="1 to 3000 px"):
        fetch(scattered(1), server, size=3001)
    assert not server.requests


def test_unknown_options_are_refused():
    with pytest.raises(ValueError, match="no cutout service 'nowhere'"):
        fetch_cutouts(scattered(1), service="nowhere")
    with pytest.raises(ValueError, match="rate must be a positive number"):
        fetch_cutouts(scattered(1), rate=-1, cache=False)
    with pytest.raises(ValueError, match="pixel_scale must be positive"):
        fetch_cutouts(scattered(1), pixel_scale=0)
    with pytest.raises(ValueError, match="cache must be"):
        fetch_cutouts(scattered(1), cache=3)


def test_empty_input(server):
    cutouts = fetch(SkyCoord([], [], unit="deg"), server)
    assert len(cutouts) == 0
    assert not server.requests


def test_cutouts_describe_themselves(server):
    cutouts = fetch(scattered(1), server, pixel_scale=0.5 * u.arcsec / u.pix, size=64)
    assert cutouts.size == (64, 64)
    assert cutouts.pixel_scale == 0.5
    assert "".join(cutouts.bands) == "zrg"
    assert cutouts.color_mapping == "legacy-grz"
    assert cutouts.service == "legacy:ls-dr9"


def test_fits_fluxes(server):
    from shredfinder.cutouts import LegacyViewer

    viewer = LegacyViewer(image_format="fits", bands="griz", base_url=server.viewer)
    cutouts = fetch_cutouts(
        host_centred(1, 4), service=viewer, size=65, cache=False, rate=None, progress=False
    )
    assert cutouts.images.shape == (4, 65, 65, 4)
    assert cutouts.images.dtype == np.float32
    assert cutouts.good.all()


def test_group_false_requests_each_source(server):
    fetch(host_centred(1, 8), server, group=False)
    assert len(server.requests) == 8
