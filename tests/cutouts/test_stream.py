"""Streams: batches in order, downloaded ahead, dropped after use."""

import time
import tracemalloc

import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from shredfinder.cutouts import (
    CutoutFetcher,
    CutoutService,
    FetchedImage,
    fetch_cutouts,
    sky_order,
)
from tests.cutouts.conftest import differences, host_centred, scattered


def options(server, **more):
    return {"base_url": server.viewer, "cache": False, "rate": None} | more


def stream_cutouts(coords, chunk=512, **options):
    return CutoutFetcher(**options).stream(coords, chunk=chunk, progress=False)


def test_batches_are_in_order(server):
    coords = host_centred(7, 10)
    batches = list(stream_cutouts(coords, chunk=30, **options(server)))
    assert [len(batch) for batch in batches] == [30, 30, 10]
    for i, batch in enumerate(batches):
        assert batch.good.all()
        assert differences(batch, coords[30 * i : 30 * (i + 1)]).max() < 5


def test_slices_of_any_length(server):
    coords = scattered(50)
    whole = fetch_cutouts(coords, **options(server, size=32), progress=False)
    server.requests.clear()
    with stream_cutouts(coords, chunk=8, **options(server, size=32)) as stream:
        assert len(stream) == 50
        assert stream.size == (32, 32)
        parts = [stream[i : i + 7] for i in range(0, 50, 7)]
        assert [len(part) for part in parts] == [7] * 7 + [1]
        images = np.concatenate([part.images for part in parts])
        np.testing.assert_array_equal(images, whole.images)
        assert len(server.requests) == 50
        # A slice that goes back restarts the download.
        np.testing.assert_array_equal(stream[3:6].images, whole.images[3:6])
        assert len(stream[10:10]) == 0
        with pytest.raises(TypeError, match="consecutive rows"):
            stream[::2]


def test_downloads_while_the_consumer_works(server):
    for n, _ in enumerate(stream_cutouts(scattered(30), chunk=10, **options(server, size=16))):
        if n < 2:
            # The next chunk arrives while this one is in use.
            deadline = time.monotonic() + 10
            while len(server.requests) < 10 * (n + 2) and time.monotonic() < deadline:
                time.sleep(0.01)
            assert len(server.requests) == 10 * (n + 2)


def test_sky_order_brings_neighbours_together(server):
    coords = host_centred(10, 12)
    mixed = coords[np.random.default_rng(5).permutation(len(coords))]
    order = sky_order(mixed)
    assert sorted(order) == list(range(120))
    for _ in stream_cutouts(mixed[order], chunk=40, **options(server)):
        pass
    assert len(server.requests) < 40


class Noise(CutoutService):
    """Images without a server, whose memory would be measured too."""

    remote = False

    def fetch(self, request, client):
        rng = np.random.default_rng(int(request.ra * 1e7))
        shape = (request.height, request.width, 3)
        return FetchedImage(rng.integers(0, 255, shape, dtype=np.uint8))


def test_memory_does_not_grow_with_the_catalogue():
    def peak(n):
        coords = scattered(n)
        tracemalloc.start()
        for _ in stream_cutouts(coords, service=Noise(), chunk=20):
            pass
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    # 400 images would take ten times the memory of 40.
    peak(40)
    assert peak(400) < 1.5 * peak(40)


def test_stopping_early_stops_the_downloads(server):
    for cutouts in stream_cutouts(scattered(200), chunk=5, **options(server, size=16)):
        assert len(cutouts) == 5
        break
    time.sleep(0.2)
    n = len(server.requests)
    assert n <= 20
    time.sleep(0.2)
    assert len(server.requests) == n


def test_empty_catalogue_has_one_empty_batch(server):
    (cutouts,) = stream_cutouts(SkyCoord([], [], unit="deg"), **options(server))
    assert len(cutouts) == 0
    with stream_cutouts(SkyCoord([], [], unit="deg"), **options(server)) as stream:
        assert stream[0:128].size == (128, 128)


def test_invalid_options_are_refused_at_once():
    with pytest.raises(ValueError, match="no cutout service"):
        stream_cutouts(scattered(3), service="nowhere")
    with pytest.raises(ValueError, match="chunk must be positive"):
        stream_cutouts(scattered(3), chunk=0)
