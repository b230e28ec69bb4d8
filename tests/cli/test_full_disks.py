"""Outputs that exceed a limit on file sizes: errors name the file and what to do."""

import contextlib
import gc

import numpy as np
import pytest
from astropy.table import Table
from PIL import Image

from shredfinder.cli import main
from tests.conftest import needs
from tests.cutouts.loopback import LoopbackServer

resource = pytest.importorskip("resource")  # not on Windows
# The formats' writers leave files open when they fail, and Python complains of their last bytes.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@contextlib.contextmanager
def limited(size):
    """Limit the size of files that this process writes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def sources(tmp_path):
    folder = tmp_path / "cutouts"
    folder.mkdir()
    image = np.random.default_rng(0).integers(0, 255, (128, 128, 3), dtype=np.uint8)
    Image.fromarray(image).save(folder / "0.png")
    n = 3000
    table = Table({"objID": np.arange(n), "ra": np.arange(n) * 0.1, "dec": np.zeros(n)})
    table.write(tmp_path / "sources.fits")
    table[:3].write(tmp_path / "few.fits")
    table.write(tmp_path / "sources.csv")
    return tmp_path


def check(command, size, path, capsys):
    with limited(size):
        assert main(command) == 1
        gc.collect()
    [line] = capsys.readouterr().err.strip().splitlines()[-1:]
    assert line.startswith(f"shredfinder: error: cannot write '{path}")
    assert "raise the limit (ulimit -f)" in line
    # Neither a part of the output nor a temporary file.
    assert not path.is_file()
    assert not [p for p in path.parent.iterdir() if "-shredfinder-" in p.name]


@pytest.mark.parametrize(
    "suffix",
    [
        ".fits",
        ".csv",
        ".fits.gz",
        pytest.param(".parquet", marks=needs("pyarrow")),
        pytest.param(".h5", marks=needs("h5py")),
    ],
)
def test_classify(sources, capsys, suffix):
    out = sources / f"out{suffix}"
    given = sources / ("sources.fits" if suffix.startswith(".fits") else "sources.csv")
    command = ["classify", str(given), "--cutouts", str(sources / "cutouts"), "-o", str(out)]
    check(command, 12_000, out, capsys)


def test_fetch(sources, capsys):
    with LoopbackServer() as server:
        command = ["fetch", str(sources / "few.fits"), "--base-url", server.viewer, "--rate", "0"]
        command += ["--cache", str(sources / "cache"), "-o", str(sources / "out")]
        check(command, 2_000, sources / "out", capsys)


@needs("matplotlib")
def test_demo(sources, capsys):
    out = sources / "demo.png"
    check(["demo", "-o", str(out)], 20_000, out, capsys)
