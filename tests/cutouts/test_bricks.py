"""Surveys of bricks: found by their names, read when they are touched, cut by several processes."""

import os
import shutil
import signal
import threading
import time

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits

from shredfinder.cutouts import CutoutFetcher, CutoutRequest, LocalImages
from shredfinder.cutouts.services import local
from shredfinder.cutouts.services.processes import ServiceProcesses
from shredfinder.exceptions import (
    BadResponseError,
    NoCoverageError,
    StoppedError,
    UnusableServiceError,
)

N = 240
# On the survey's grid of 0.25°, though far smaller than its bricks.
CENTERS = [(10.125 + 0.25 * i, 0.25 * j) for i in range(5) for j in (-2, 0, 1, 8)]


def write_brick(folder, ra, dec, *, name=None, compress=False, seed=0):
    name = name or f"{int(ra * 10):04d}{'m' if dec < 0 else 'p'}{int(abs(dec) * 10):03d}"
    header = fits.Header({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "EQUINOX": 2000.0})
    header.update({"CRVAL1": ra, "CRVAL2": dec, "CRPIX1": (N + 1) / 2, "CRPIX2": (N + 1) / 2})
    header.update({"CD1_1": -0.262 / 3600, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": 0.262 / 3600})
    place = folder / name[:3] / name
    place.mkdir(parents=True)
    rng = np.random.default_rng([seed, int(ra * 1000)])
    for band in "grz":
        image = rng.normal(0.01, 0.01, (N, N)).astype(np.float32)
        path = place / f"legacysurvey-{name}-image-{band}.fits"
        if compress:
            hdu = fits.CompImageHDU(
                image, header, compression_type="GZIP_2", quantize_level=0, tile_shape=(100, 100)
            )
            hdu.writeto(path.with_suffix(".fits.fz"))
        else:
            fits.writeto(path, image, header)
    return place


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    folder = tmp_path_factory.mktemp("survey")
    for ra, dec in CENTERS:
        write_brick(folder, ra, dec)
    return folder


def make_positions(n=60):
    """Return positions on all bricks, in random order, and one outside."""
    rng = np.random.default_rng(3)
    centers = np.array(CENTERS)[rng.integers(0, len(CENTERS), n)]
    return np.vstack([centers + rng.uniform(-0.006, 0.006, (n, 2)), [(40, 40)]])


def make_requests(size=64):
    return [CutoutRequest(ra, dec, size, size, 0.46875) for ra, dec in make_positions()]


def assert_same(found, expected):
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        if isinstance(b, NoCoverageError):
            assert isinstance(a, NoCoverageError)
        else:
            np.testing.assert_array_equal(a.image, b.image)


def test_bricks_by_name_give_the_images_of_bricks_by_header(survey, monkeypatch):
    by_name = LocalImages(survey)
    monkeypatch.setattr(local, "_FEW_FILES", 100)
    by_header = LocalImages(survey)
    requests = make_requests()
    expected = by_header.fetch_many(requests)
    assert sum(isinstance(result, NoCoverageError) for result in expected) < 10
    assert_same(by_name.fetch_many(requests), expected)
    # One at a time, and in the order of the bricks.
    for request, result in zip(requests[:5], expected, strict=False):
        assert_same([by_name.fetch(request)], [result])
    order = by_name.order(*make_positions().T)
    assert sorted(order) == list(range(len(requests)))
    found = by_name.fetch_many([requests[row] for row in order])
    assert_same(found, [expected[row] for row in order])
    by_name.close(), by_header.close()


def test_only_touched_bricks_are_read(survey, tmp_path):
    shutil.copytree(survey, tmp_path, dirs_exist_ok=True)
    # A file that no header could be read from, between those that are looked at first.
    broken = write_brick(tmp_path, 20.125, 0.25)
    for path in broken.iterdir():
        path.write_bytes(b"nothing")
    for i in range(3):
        write_brick(tmp_path, 30.125 + i, 0.25)
    coords = SkyCoord(
        [*np.array(CENTERS)[:3, 0], 20.125], [*np.array(CENTERS)[:3, 1], 0.25], unit="deg"
    )
    with pytest.warns(Warning, match="cannot read"):
        cutouts = CutoutFetcher("local", base_url=tmp_path).fetch(coords, progress=False)
    assert cutouts.flags.tolist() == ["", "", "", "corrupted"]


def test_names_are_not_believed(tmp_path):
    # Names as of bricks, by chance: the headers say where the images are.
    for i, (ra, dec) in enumerate(CENTERS):
        write_brick(tmp_path, ra, dec, name=f"{1000 + 7 * i:04d}p{300 + i:03d}")
    coords = SkyCoord(CENTERS, unit="deg")
    cutouts = CutoutFetcher("local", base_url=tmp_path).fetch(coords, progress=False)
    assert cutouts.good.all()


def test_rows_keep_their_order(survey):
    fetcher = CutoutFetcher("local", base_url=survey)
    coords = SkyCoord(make_positions(), unit="deg")
    plain = fetcher.fetch(coords, progress=False)
    order = fetcher.order(coords)
    with fetcher.stream(coords[order], chunk=7, progress=False) as stream:
        images = np.concatenate([cutouts.images for cutouts in stream])
    np.testing.assert_array_equal(images[np.argsort(order)], plain.images)
    assert plain.flags[-1] == "no coverage"


@pytest.mark.parametrize("n_parts", [1, 20])
def test_decoded_tiles_are_kept(tmp_path, n_parts, monkeypatch):
    for kind in ("plain", "compressed"):
        (tmp_path / kind).mkdir()
        for ra, dec in CENTERS[:3]:
            write_brick(tmp_path / kind, ra, dec, compress=kind == "compressed")
    requests = [r for r in make_requests() if any(abs(r.ra - c[0]) < 0.02 for c in CENTERS[:3])]
    found = []
    for kind in ("plain", "compressed"):
        images = LocalImages(tmp_path / kind, jpeg=False)
        parts = np.array_split(np.arange(len(requests)), n_parts)
        found.append([r for part in parts for r in images.fetch_many([requests[i] for i in part])])
        images.close()
    assert_same(found[1], found[0])


@pytest.fixture
def mosaic(tmp_path):
    """A compressed image of 9 × 9 tiles."""
    header = fits.Header({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 10, "CRVAL2": 0})
    header.update({"CRPIX1": 450.5, "CRPIX2": 450.5, "CD1_1": -0.262 / 3600, "CD1_2": 0.0})
    header.update({"CD2_1": 0.0, "CD2_2": 0.262 / 3600})
    image = np.random.default_rng(0).normal(0.01, 0.01, (900, 900)).astype(np.float32)
    hdu = fits.CompImageHDU(
        image, header, compression_type="GZIP_1", quantize_level=0, tile_shape=(100, 100)
    )
    hdu.writeto(tmp_path / "mosaic.fits.fz")
    return tmp_path / "mosaic.fits.fz"


def cut_mosaic(path, n):
    offsets = np.random.default_rng(1).uniform(-0.028, 0.028, (n, 2))
    # One is on the first tile, in the south-east.
    offsets[n // 2] = 0.0275, -0.0275
    requests = [CutoutRequest(10 + x, y, 32, 32, 0.3) for x, y in offsets]
    images = LocalImages({"r": str(path)}, bands="r", color_mapping="flux")
    found = images.fetch_many(requests)
    images.close()
    return found, offsets


@pytest.mark.parametrize(("n", "n_calls"), [(6, 6), (40, 20), (300, 1)])
def test_tiles_are_decoded_once(mosaic, n, n_calls, monkeypatch):
    from astropy.io.fits.hdu.compressed import section

    decode, counts = section.decompress_image_data_section, []

    def count(*args):
        counts.append(np.prod(args[-1] - args[-2] + 1))
        return decode(*args)

    monkeypatch.setattr(section, "decompress_image_data_section", count)
    found, _ = cut_mosaic(mosaic, n)
    assert all(isinstance(result.image, np.ndarray) for result in found)
    # Few calls, of which some hold a tile that another one held.
    assert sum(counts) <= 1.3 * 81
    assert len(counts) <= n_calls


@pytest.mark.parametrize("n", [40, 300])
def test_a_damaged_tile_harms_only_its_cutouts(mosaic, n):
    with fits.open(mosaic, disable_image_compression=True) as hdus:
        header, start = hdus[1].header, hdus[1].fileinfo()["datLoc"]
        start += header.get("THEAP", header["NAXIS1"] * header["NAXIS2"])
    with mosaic.open("r+b") as file:
        file.seek(start)
        file.write(b"\0" * 1000)
    found, offsets = cut_mosaic(mosaic, n)
    x, y = 450 - offsets[:, 0] * 3600 / 0.262, 450 + offsets[:, 1] * 3600 / 0.262
    failed = np.array([isinstance(result, BadResponseError) for result in found])
    assert failed[n // 2]
    assert not failed[(x > 130) | (y > 130)].any()


@pytest.mark.slow
def test_processes_give_the_same_images(survey, monkeypatch):
    monkeypatch.setattr(local, "_FEW_REQUESTS", 10)
    coords = SkyCoord(make_positions(), unit="deg")
    expected = CutoutFetcher("local", base_url=survey).fetch(coords, progress=False)
    options = {"workers": 2}
    fetcher = CutoutFetcher("local", base_url=survey, service_options=options)
    found = fetcher.fetch(coords, progress=False)
    np.testing.assert_array_equal(found.images, expected.images)
    np.testing.assert_array_equal(found.flags, expected.flags)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no SIGKILL")
def test_killed_processes_are_reported(survey, monkeypatch):
    import multiprocessing

    monkeypatch.setattr(local, "_FEW_REQUESTS", 10)
    images = LocalImages(survey, workers=2)
    requests = make_requests()
    images.fetch_many(requests)
    for process in multiprocessing.active_children():
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    with pytest.raises(UnusableServiceError, match="ended abruptly"):
        images.fetch_many(requests)
    images.close()


def test_workers_are_checked(survey):
    with pytest.raises(ValueError, match="workers must be"):
        LocalImages(survey, workers=0)


class Endless:
    """A service that never delivers."""

    def fetch_many(self, requests):
        time.sleep(600)


def test_workers_end_at_once_when_a_run_is_stopped():
    processes, stop = ServiceProcesses(Endless, 2), threading.Event()
    threading.Timer(0.5, stop.set).start()
    start = time.monotonic()
    stopped = processes.fetch_many([None, None], stop)
    assert [type(error) for error in stopped] == [StoppedError] * 2
    processes.close()
    assert time.monotonic() - start < 60
