"""Failures that look final but are an outage's, and what the cache remembers of them."""

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import Table

from shredfinder.cli import main
from shredfinder.cutouts import CutoutFetcher, fetch_cutouts
from shredfinder.exceptions import ShredfinderWarning
from tests.cutouts.conftest import JPEG_NOISE, differences, scattered

PAGE = (200, b"<!DOCTYPE html><html><body>Scheduled maintenance</body></html>", "text/html")
OUTSIDE = SkyCoord([10], [-60], unit="deg")


def fetch(server, coords, **options):
    options = {"cache": False, "rate": None, "progress": False, "size": 64} | options
    return fetch_cutouts(coords, "legacy", base_url=server.viewer, **options)


def fail_first(respond, failure, n_failures):
    """Let the first responses of each position be a failure."""
    counts = {}

    def send(path, params, usual):
        key = params["ra"], params["dec"]
        counts[key] = counts.get(key, 0) + 1
        return failure(usual) if counts[key] <= n_failures else usual

    respond(send)


def make_jpeg(size, level):
    from tests.cutouts.loopback.services import _jpeg

    return 200, _jpeg(np.full((size, size, 3), level, np.uint8)), "image/jpeg"


FAILURES = {
    "maintenance": lambda usual: PAGE,
    "404": lambda usual: (404, b"not found", "text/plain"),
    "400": lambda usual: (400, b"bad request", "text/plain"),
    "wrong size": lambda usual: make_jpeg(256, 90),
    "uniform": lambda usual: make_jpeg(64, 32),
}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("group", [False, True])
def test_two_failures_are_not_believed(server, respond, failure, group):
    fail_first(respond, FAILURES[failure], 2)
    coords = scattered(4)
    cutouts = fetch(server, coords, group=group)
    assert cutouts.flags.tolist() == [""] * 4
    assert differences(cutouts, coords).max() < JPEG_NOISE
    assert len(server.requests) == 12


@pytest.mark.parametrize(
    ("failure", "flag"),
    [
        ("maintenance", "not an image"),
        ("404", "no coverage"),
        ("400", "no coverage"),
        ("wrong size", "wrong size"),
        ("uniform", "blank"),
    ],
)
@pytest.mark.filterwarnings("ignore::shredfinder.exceptions.ShredfinderWarning")
def test_three_failures_are_believed(server, respond, failure, flag):
    fail_first(respond, FAILURES[failure], 3)
    assert fetch(server, scattered(2)).flags.tolist() == [flag] * 2
    assert len(server.requests) == 6


def test_good_images_take_one_request_each(server):
    assert fetch(server, scattered(5), group=False).good.all()
    assert len(server.requests) == 5


def test_pauses_separate_the_retries(server, respond, monkeypatch):
    pauses = []
    from shredfinder.cutouts import RetryPolicy

    monkeypatch.setattr(RetryPolicy, "draw_pause", lambda self, n: pauses.append(n) or 0.001)
    for failure in ("404", "uniform"):
        fail_first(respond, FAILURES[failure], 2)
        fetch(server, scattered(1))
    assert pauses == [1, 2, 1, 2]


def test_no_coverage_is_remembered_after_a_second_run(server, tmp_path, respond):
    coords = SkyCoord([10, 20, 20], [-60, 30, 30.0001], unit="deg")
    for _ in range(2):
        server.requests.clear()
        assert fetch(server, coords, cache=tmp_path).flags.tolist() == ["blank", "", ""]
        assert server.requests
    server.requests.clear()
    with pytest.warns(ShredfinderWarning, match=r"^1 row rests on the cache, .* refresh=True"):
        assert fetch(server, coords, cache=tmp_path).flags.tolist() == ["blank", "", ""]
    assert not server.requests
    # On request the service is asked again, for this row only, and not while it has an image.
    assert fetch(server, coords, cache=tmp_path, refresh=True).flags.tolist() == ["blank", "", ""]
    assert len(server.requests) == 3
    good = fetch(server, scattered(1))

    def send(path, params, usual):
        from tests.cutouts.loopback.services import _jpeg

        return 200, _jpeg(good.images[0]), "image/jpeg"

    respond(send)
    assert fetch(server, coords, cache=tmp_path, refresh=True).good.all()
    server.requests.clear()
    assert fetch(server, coords, cache=tmp_path).good.all()
    assert not server.requests


@pytest.mark.filterwarnings("ignore:no cutout was fetched")
def test_an_outage_of_one_run_is_forgotten(server, tmp_path, respond):
    fail_first(respond, FAILURES["uniform"], 3)
    assert fetch(server, scattered(3), cache=tmp_path).flags.tolist() == ["blank"] * 3
    assert fetch(server, scattered(3), cache=tmp_path).good.all()
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".once", ".none")]


def test_refresh_needs_the_service():
    with pytest.raises(ValueError, match="which offline=True rules out"):
        CutoutFetcher(offline=True, refresh=True)


def test_the_command_says_how_many_rows_rest_on_memory(server, tmp_path, capsys):
    Table({"ra": [10.0, 20.0, 30.0], "dec": [-60.0, -60.0, 30.0]}).write(tmp_path / "c.ecsv")
    out = str(tmp_path / "out")
    command = ["fetch", str(tmp_path / "c.ecsv"), "--pattern", "{ra}.png", "-o", out]
    command += ["--base-url", server.viewer, "--cache", str(tmp_path / "cache"), "--rate", "0"]
    for _ in range(2):
        main([*command, "--overwrite"])
        assert "rest on" not in capsys.readouterr().err
    server.requests.clear()
    main([*command, "--overwrite"])
    assert "2 rows rest on the cache" in (shown := capsys.readouterr().err)
    assert "--refresh asks again" in shown
    assert not server.requests
    main([*command, "--overwrite", "--refresh"])
    assert "rest on" not in capsys.readouterr().err
    assert len(server.requests) == 6
