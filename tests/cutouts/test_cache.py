"""The cache: contents, sharing between processes, and killed runs."""

import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.config import get_cache_dir
from astropy.coordinates import SkyCoord

from shredfinder import conf
from shredfinder.cutouts import (
    Cache,
    CutoutRequest,
    CutoutService,
    FetchedImage,
    LegacyViewer,
    fetch_cutouts,
)
from shredfinder.exceptions import ShredfinderWarning
from tests.cutouts.conftest import JPEG_NOISE, differences, host_centred, scattered
from tests.cutouts.loopback import Faults, LoopbackServer

ROOT = Path(__file__).parents[2]
KILLED = """
import sys
from shredfinder.cutouts import fetch_cutouts
from tests.cutouts.conftest import JPEG_NOISE, scattered
print("ready", flush=True)
fetch_cutouts(scattered(160), base_url=sys.argv[1], cache=sys.argv[2], rate=None, group=False,
              progress=False)
"""


def fetch(coords, server, folder, **options):
    options = {"rate": None, "progress": False} | options
    return fetch_cutouts(coords, base_url=server.viewer, cache=folder, **options)


def files(folder, pattern="*"):
    return sorted(path for path in Path(folder).rglob(pattern) if path.is_file())


def start_child(server, folder):
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, server.viewer, str(folder)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout.readline() == "ready\n"
    return child


@pytest.mark.slow
def test_a_killed_run_resumes(tmp_path):
    with LoopbackServer(latency=0.01) as server:
        child = start_child(server, tmp_path)
        try:
            deadline = time.monotonic() + 30
            while len(server.requests) < 60 and time.monotonic() < deadline:
                time.sleep(0.005)
        finally:
            child.send_signal(signal.SIGKILL)
            child.wait(10)
            child.stdout.close()
        stored = [path for path in files(tmp_path) if not path.name.startswith(".")]
        assert 40 < len(stored) < 160
        time.sleep(0.1)
        server.requests.clear()
        coords = scattered(160)
        cutouts = fetch(coords, server, tmp_path, group=False)
        assert len(server.requests) == 160 - len(stored)
    assert cutouts.good.all()
    assert differences(cutouts, coords).max() < JPEG_NOISE


@pytest.mark.slow
def test_several_processes_share_a_cache(tmp_path, server):
    children = [start_child(server, tmp_path) for _ in range(2)]
    try:
        assert [child.wait(60) for child in children] == [0, 0]
    finally:
        for child in children:
            child.stdout.close()
    assert len(files(tmp_path)) == 160
    server.requests.clear()
    coords = scattered(160)
    cutouts = fetch(coords, server, tmp_path)
    assert not server.requests
    assert differences(cutouts, coords).max() < JPEG_NOISE


def test_slices_are_cached_separately_and_without_loss(tmp_path, server):
    coords = host_centred(2, 10)
    first = fetch(coords, server, tmp_path)
    assert len(files(tmp_path, "*.png")) == 20
    server.requests.clear()
    again = fetch(coords[::-1], server, tmp_path, offline=True)
    assert not server.requests
    np.testing.assert_array_equal(again.images, first.images[::-1])


def test_fluxes_are_cached_without_loss(tmp_path, server):
    viewer = LegacyViewer(image_format="fits", base_url=server.viewer)
    coords = host_centred(1, 5)
    options = {"service": viewer, "cache": tmp_path, "rate": None, "progress": False}
    first = fetch_cutouts(coords, **options)
    assert len(files(tmp_path, "*.fits")) == 5
    again = fetch_cutouts(coords, offline=True, **options)
    np.testing.assert_array_equal(again.images, first.images)


def test_offline_sends_no_request(tmp_path, server):
    fetch(scattered(3), server, tmp_path)
    server.requests.clear()
    cutouts = fetch(scattered(5), server, tmp_path, offline=True)
    assert not server.requests
    np.testing.assert_array_equal(cutouts.flags == "missing", ~cutouts.good)
    # One draw for both, so that hardly any position occurs twice.
    again = fetch(scattered(3), server, tmp_path, offline=True)
    assert again.good.all()


def test_file_names_are_readable(tmp_path, server):
    fetch(SkyCoord([150.1, 9], [2.2, -0.5], unit="deg"), server, tmp_path)
    host = f"legacy@127.0.0.1_{server.url.rpartition(':')[2]}_viewer"
    folder = tmp_path / host / "ls-dr9-jpeg" / "128px-0.46875"
    assert files(tmp_path) == [
        folder / "009" / "-01" / "009.0000000-00.5000000.jpg",
        folder / "150" / "+02" / "150.1000000+02.2000000.jpg",
    ]


def test_file_names_distinguish_all_images(tmp_path):
    cache = Cache(tmp_path)
    request = CutoutRequest(150.1, 2.2, 128, 128, 0.46875)
    viewer = LegacyViewer()
    stems = {cache.stem(viewer, request)}
    for other in (
        LegacyViewer(layer="ls-dr10-grz"),
        LegacyViewer(base_url="http://localhost:1"),
        LegacyViewer(base_url="http://localhost:1/mirror"),
        LegacyViewer(image_format="fits"),
        LegacyViewer(image_format="fits", bands="gr"),
    ):
        stems.add(cache.stem(other, request))
    for other in (
        CutoutRequest(150.1, 2.2, 64, 64, 0.46875),
        CutoutRequest(150.1, 2.2, 128, 64, 0.46875),
        CutoutRequest(150.1, 2.2, 128, 128, 0.4),
        CutoutRequest(150.1, -2.2, 128, 128, 0.46875),
        CutoutRequest(150.1000002, 2.2, 128, 128, 0.46875),
    ):
        stems.add(cache.stem(viewer, other))
    assert len(stems) == 11


def test_no_name_leads_out_of_the_folder(tmp_path):
    class Odd(CutoutService):
        name = ".."

    request = CutoutRequest(150.1, 2.2, 128, 128, 0.46875)
    cache = Cache(tmp_path)
    odd = Odd()
    for odd.layer in ("", "../../..", "/etc", "..", "a\0b", "ls dr9:x"):
        path = Path(cache.stem(odd, request))
        assert len(path.relative_to(tmp_path).parts) == 6
        assert ".." not in path.parts


def test_custom_services_are_in_the_report(tmp_path):
    class Mine(CutoutService):
        name = "mine"

        def fetch(self, request, client):
            shape = (request.height, request.width, 3)
            return FetchedImage(np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8))

    fetch_cutouts(scattered(2), service=Mine(), cache=tmp_path, rate=None, progress=False)
    report = Cache(tmp_path).report()
    assert report["service"].tolist() == ["mine"]
    assert report["n_cutouts"].tolist() == [2]
    assert Cache(tmp_path).prune(service="mine") == 2


@pytest.mark.parametrize("fault", ["html", "wrong size", "500"])
def test_failures_are_never_stored(tmp_path, fault, quick_retry):
    told = warnings.catch_warnings(record=True)
    with LoopbackServer(faults=Faults({fault: 1})) as server, told as seen:
        warnings.simplefilter("always")
        cutouts = fetch(scattered(3), server, tmp_path, retry=quick_retry)
    assert not cutouts.good.any()
    # One warning, with the reason.
    reason = {"500": "status 500", "html": "maintenance", "wrong size": "135×135"}[fault]
    assert [str(w.message).count(reason) for w in seen] == [1]
    assert not files(tmp_path)


@pytest.mark.filterwarnings("ignore:no cutout was fetched")
def test_no_coverage_is_remembered_for_a_while(tmp_path, server, monkeypatch):
    coords = SkyCoord([10], [-60], unit="deg")
    # The second run confirms the first, with three requests each.
    for n_requests, suffix in ((3, ".once"), (6, ".none")):
        fetch(coords, server, tmp_path)
        (marker,) = files(tmp_path)
        assert marker.suffix == suffix
        assert marker.read_text().startswith("blank: ")
        assert len(server.requests) == n_requests
    with pytest.warns(ShredfinderWarning, match="1 row rests on the cache, .* refresh=True"):
        assert fetch(coords, server, tmp_path).flags.tolist() == ["blank"]
    assert len(server.requests) == 6
    old = time.time() - 8 * 86400
    os.utime(marker, (old, old))
    fetch(coords, server, tmp_path)
    assert len(server.requests) == 9
    monkeypatch.setattr(conf, "empty_cutout_days", 0)
    fetch(coords, server, tmp_path)
    assert len(server.requests) == 12


def test_broken_files_are_fetched_again(tmp_path, server):
    coords = scattered(2)
    fetch(coords, server, tmp_path)
    first, second = files(tmp_path)
    first.write_bytes(first.read_bytes()[:500])
    second.write_bytes(b"")
    server.requests.clear()
    assert fetch(coords, server, tmp_path, offline=True).flags.tolist() == ["missing"] * 2
    cutouts = fetch(coords, server, tmp_path)
    assert len(server.requests) == 2
    assert differences(cutouts, coords).max() < JPEG_NOISE


def test_report_and_prune(tmp_path, server):
    coords = SkyCoord([10, 20, 30], [-60, 5, 6], unit="deg")
    fetch(coords, server, tmp_path)
    fetch(coords, server, tmp_path, layer="ls-dr10-grz", size=64)
    (tmp_path / "notes.jpg").write_text("not a cutout")
    cache = Cache(tmp_path)
    report = cache.report()
    assert report["layer"].tolist() == ["ls-dr10-grz-jpeg", "ls-dr9-jpeg"]
    assert report["kind"].tolist() == ["64px-0.46875", "128px-0.46875"]
    assert report["n_cutouts"].tolist() == [2, 2]
    assert report["n_empty"].tolist() == [1, 1]
    assert (report["bytes"] > 1000).all()
    assert cache.prune() == 0
    assert cache.prune(older_than=1 * u.h) == 0
    assert cache.prune(layer="ls-dr9-jpeg", empty=True, dry_run=True) == 1
    assert cache.prune(layer="ls-dr9-jpeg", empty=True) == 1
    assert cache.prune(layer="ls-dr10-grz-jpeg") == 3
    assert cache.prune(service="elsewhere") == 0
    assert cache.report()["n_cutouts"].tolist() == [2]
    stale = files(tmp_path, "*.jpg")[0].with_name(".half-shredfinder-00000000-1-1.jpg")
    stale.write_bytes(b"half")
    assert cache.prune() == 0
    old = time.time() - 2 * 86_400
    os.utime(stale, (old, old))
    assert cache.prune() == 1
    assert cache.prune(older_than=0 * u.s) == 2
    assert (tmp_path / "notes.jpg").exists()


def test_default_folder_is_configurable(tmp_path, monkeypatch):
    # Astropy before version 7 uses another folder.
    assert Cache().path == Path(get_cache_dir("shredfinder")) / "cutouts"
    monkeypatch.setattr(conf, "cache_dir", str(tmp_path))
    assert Cache().path == tmp_path / "cutouts"
