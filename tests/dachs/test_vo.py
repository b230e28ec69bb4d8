"""The VO path against a real server, DaCHS, on loopback.

Needs Debian's packages::

    apt-get install --no-install-recommends postgresql-15 postgresql-15-pgsphere \\
        postgresql-15-q3c python3-gavo

and takes about half a minute: ``pytest -m dachs``.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from shredfinder.cutouts import VOImages, fetch_cutouts
from shredfinder.imaging import flux_to_rgb
from tests.dachs.make_data import FIELDS, PEAKS
from tests.dachs.running import running_dachs

HERE = Path(__file__).parent

pytestmark = [
    pytest.mark.dachs,
    pytest.mark.skipif(
        shutil.which("dachs") is None or not Path("/usr/lib/postgresql").is_dir(),
        reason="DaCHS is not installed (Debian's python3-gavo and postgresql-15-pgsphere)",
    ),
]


@pytest.fixture(scope="module")
def dachs():
    """Base URL of a server of its own."""

    def fill(source):
        subprocess.run([sys.executable, HERE / "make_data.py", source], check=True)
        shutil.copy(HERE / "q.rd", source)

    with running_dachs(fill) as url:
        yield url


@pytest.mark.parametrize(
    ("version", "path"),
    [
        (1, "/tst/q/i/siap.xml"),
        (2, "/__system__/siap2/sitewide/siap2.xml"),
        # A cutout service of version 1, without datalink.
        (1, "/tst/q/c/siap.xml"),
    ],
)
def test_cutouts(dachs, tmp_path, version, path):
    coords = SkyCoord([*FIELDS.values(), (10, 2)], unit="deg")
    service = VOImages(base_url=dachs + path, version=version)
    options = {"service": service, "size": 64, "rate": None, "progress": False}
    cutouts = fetch_cutouts(coords, cache=tmp_path, **options)
    assert cutouts.flags.tolist() == ["", "", "no coverage"]
    for image in cutouts.images[:2]:
        # The star is central, and as bright as it was made (smoothed by a ninth of its width).
        levels = np.asarray(image, float) - 32
        y, x = np.mgrid[:64, :64]
        weight = np.where(levels.sum(axis=-1) > 60, levels.sum(axis=-1), 0)
        center = (x * weight).sum() / weight.sum(), (y * weight).sum() / weight.sum()
        np.testing.assert_allclose(center, [31.5, 31.5], atol=0.2)
        peak = flux_to_rgb(np.array(list(PEAKS.values())), "".join(PEAKS))
        assert np.abs(image[31:33, 31:33].mean(axis=(0, 1)) - peak).max() < 15
    offline = fetch_cutouts(coords, cache=tmp_path, offline=True, **options)
    np.testing.assert_array_equal(offline.images, cutouts.images)


def test_soda_cuts_before_it_sends(dachs):
    from shredfinder.cutouts.http import HttpClient
    from shredfinder.cutouts.service import CutoutRequest

    sizes = []

    class Counting(HttpClient):
        def get(self, url, params=None, **kwargs):
            body = super().get(url, params, **kwargs)
            sizes.append((url, len(body.content)))
            return body

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
    # Half a pixel on the flank of a star changes a few levels there, and few elsewhere.
    difference = np.abs(shared.images.astype(int) - single.images).mean(axis=(1, 2, 3))
    assert difference.max() < 5
