"""VO images from a local DaCHS server: ``pytest -m dachs``."""

import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from shredfinder.cutouts import VOImages, fetch_cutouts
from shredfinder.imaging import compress_jpeg, flux_to_rgb
from tests.dachs.images import FIELDS, IMAGE_SERVICES, PEAKS, SCALE, SIGMA, fill_images
from tests.dachs.running import needs_dachs, running_dachs

pytestmark = needs_dachs


@pytest.fixture(scope="module")
def dachs():
    """Base URL of a DaCHS server."""
    with running_dachs(fill_images) as url:
        yield url


@pytest.mark.parametrize(
    ("version", "path"),
    [
        (1, IMAGE_SERVICES[0]),
        (2, IMAGE_SERVICES[1]),
        (1, IMAGE_SERVICES[2]),
        ("auto", IMAGE_SERVICES[0]),
        ("auto", IMAGE_SERVICES[1]),
    ],
)
def test_cutouts(dachs, tmp_path, version, path):
    coords = SkyCoord([*FIELDS.values(), (10, 2)], unit="deg")
    service = VOImages(base_url=dachs + path, version=version)
    options = {"service": service, "size": 64, "rate": None, "progress": False}
    cutouts = fetch_cutouts(coords, cache=tmp_path, **options)
    assert cutouts.flags.tolist() == ["", "", "no coverage"]
    for image in cutouts.images[:2]:
        # The star is central and has its simulated brightness.
        levels = np.asarray(image, float) - 32
        y, x = np.mgrid[:64, :64]
        weight = np.where(levels.sum(axis=-1) > 60, levels.sum(axis=-1), 0)
        center = (x * weight).sum() / weight.sum(), (y * weight).sum() / weight.sum()
        np.testing.assert_allclose(center, [31.5, 31.5], atol=0.2)
        # The colours are at half resolution, so the star goes through the same compression.
        star = np.exp(-0.5 * ((x - 31.5) ** 2 + (y - 31.5) ** 2) / (SIGMA * SCALE / 0.46875) ** 2)
        fluxes = np.multiply.outer(list(PEAKS.values()), star)
        expected = compress_jpeg(flux_to_rgb(fluxes, "".join(PEAKS))).astype(float)
        assert np.abs(image[31:33, 31:33] - expected[31:33, 31:33]).max() < 8
    offline = fetch_cutouts(coords, cache=tmp_path, offline=True, **options)
    np.testing.assert_array_equal(offline.images, cutouts.images)


def test_soda_transfers_only_cutouts(dachs):
    from shredfinder._net.client import HttpClient
    from shredfinder.cutouts import CutoutRequest

    sizes = []

    class Counting(HttpClient):
        def get(self, url, params=None, *, read, **kwargs):
            def count(response):
                sizes.append((url, len(response.content)))
                return read(response)

            return super().get(url, params, read=count, **kwargs)

    client = Counting()
    service = VOImages(base_url=f"{dachs}/tst/q/i/siap.xml")
    service.fetch(CutoutRequest(150.1, 2.2, 64, 64, 0.46875), client)
    client.close()
    cut = [n for url, n in sizes if "dlget" in url]
    assert len(cut) == 3
    # The whole images have 512 × 512 px.
    assert max(cut) < 0.5 * 512 * 512 * 4


def test_shared_images(dachs):
    ra, dec = FIELDS["f1"]
    coords = SkyCoord([ra, ra + 0.002, ra - 0.003], [dec, dec + 0.002, dec], unit="deg")
    service = VOImages(base_url=f"{dachs}/tst/q/i/siap.xml")
    options = {"service": service, "size": 64, "rate": None, "progress": False, "cache": False}
    shared = fetch_cutouts(coords, **options)
    single = fetch_cutouts(coords, group=False, **options)
    assert shared.good.all()
    # Half a pixel changes a few levels on the flank of a star, and few elsewhere.
    difference = np.abs(shared.images.astype(int) - single.images).mean(axis=(1, 2, 3))
    assert difference.max() < 5
