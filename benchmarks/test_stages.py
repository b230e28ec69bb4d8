"""Time the stages of scoring with pytest-benchmark, to detect regressions.

Run ``tox -e benchmark``, or ``pytest benchmarks/test_stages.py --benchmark-only``;
``--benchmark-autosave`` and ``--benchmark-compare`` compare with an earlier run. One round is 128
images, so that "OPS" times 128 is images per second; for table work it is 10,000 rows.
``throughput.py`` measures complete runs.
"""

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from simulated import FACTS, make_bricks, make_catalogue, make_files
from throughput import time_table

from shredfinder import ShredClassifier
from shredfinder.bulk import classify_catalogue
from shredfinder.cutouts import LocalImages, fetch_cutouts
from shredfinder.imaging import ImageFiles

N = 128


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Return a folder, image files, and positions on bricks."""
    folder = tmp_path_factory.mktemp("world")
    images, bricks = folder / "images", folder / "bricks"
    images.mkdir()
    bricks.mkdir()
    return folder, make_files(images, N), make_bricks(bricks, 1)


@pytest.fixture(scope="module")
def cutouts(world):
    return ImageFiles(world[1], size=(128, 128), **FACTS)[:]


def test_decode(benchmark, world):
    files = ImageFiles(world[1], size=(128, 128), **FACTS)
    assert benchmark(lambda: files[:]).good.all()


def test_cut_from_bricks(benchmark, world):
    folder, _, positions = world
    service = LocalImages(folder / "bricks")
    coords = SkyCoord(*positions[:, :N], unit="deg")
    cutouts = benchmark(fetch_cutouts, coords, service=service, progress=False)
    service.close()
    assert cutouts.good.all()


@pytest.mark.parametrize("symmetry", ["none", "uncertain", "all"])
def test_score(benchmark, cutouts, symmetry):
    classifier = ShredClassifier.load()
    classifier.symmetry = symmetry
    p_cnn, _ = benchmark(classifier.predict_p_cnn, cutouts)
    assert np.isfinite(p_cnn).all()


@pytest.mark.parametrize("suffix", ["fits", "parquet"])
def test_table_work(benchmark, world, suffix):
    folder, paths, positions = world
    make_catalogue(folder / f"table.{suffix}", 10_000, len(paths), positions)
    benchmark(time_table, folder / f"table.{suffix}")


def test_file_to_file(benchmark, world):
    folder, paths, positions = world
    path, output = folder / "catalogue.parquet", folder / "scored.parquet"
    make_catalogue(path, N, len(paths), positions)
    scored = benchmark(
        classify_catalogue,
        path,
        output,
        cutouts=folder / "images",
        pattern="{image}.png",
        overwrite=True,
    )
    assert np.isfinite(scored["p_cnn"]).all()
