import errno
import io

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from shredfinder._utils.files import atomic_write, list_extensions, reading_errors
from shredfinder.catalogs import read_candidates
from shredfinder.cutouts import LocalImages
from shredfinder.hosts import read_hosts
from shredfinder.imaging import Cutouts
from shredfinder.table import read_catalogue


@pytest.fixture
def loop(tmp_path):
    """A file whose second header claims a negative data size, minus the size of the header."""
    image = fits.ImageHDU(np.zeros((2, 2), np.uint8)).header
    image["NAXIS1"], image["NAXIS2"] = 2880, -1
    data = fits.PrimaryHDU().header.tostring() + image.tostring()
    path = tmp_path / "loop.fits"
    path.write_bytes(data.encode() + bytes(2880))
    return path


def test_all_extensions_are_listed():
    buffer = io.BytesIO()
    parts = [fits.PrimaryHDU(), fits.ImageHDU(np.ones((2, 2))), fits.BinTableHDU(Table({"a": [1]}))]
    fits.HDUList(parts).writeto(buffer)
    buffer.seek(0)
    with fits.open(buffer) as hdus:
        assert [type(part) for part in list_extensions(hdus)] == [type(part) for part in parts]


def test_headers_that_form_a_loop_are_refused(loop):
    with fits.open(loop) as hdus, pytest.raises(ValueError, match="the header after byte"):
        list_extensions(hdus)


@pytest.mark.parametrize(
    "read",
    [
        read_candidates, read_catalogue, read_hosts, Cutouts.read,
        lambda path: read_hosts(path, redshift="z"), lambda path: LocalImages(str(path)),
    ],
)  # fmt: skip
def test_no_reader_loops_forever(loop, read):
    with pytest.raises(ValueError, match=r"loop\.fits.*: the file is damaged: the header after"):
        read(loop)


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (IndexError("out of range"), ValueError, "cannot read the image 'a.fits': out of range"),
        (
            OSError("Empty or corrupt FITS file"),
            ValueError,
            "cannot read the image 'a.fits': Empty",
        ),
        (EOFError(), ValueError, "'a.fits': EOFError"),
        (KeyError("NAXIS1"), ValueError, "'a.fits': NAXIS1"),
        (ValueError("a.fits holds no image"), ValueError, "^a.fits holds no image"),
        (OSError(errno.EACCES, "Permission denied"), PermissionError, "Permission denied"),
        (ImportError("no h5py"), ImportError, "no h5py"),
    ],
)
def test_errors_name_the_file(error, kind, message):
    with pytest.raises(kind, match=message) as caught, reading_errors("a.fits", "the image"):
        raise error
    assert type(caught.value) is kind


def test_missing_columns_stay_key_errors():
    what = "'a.fits': no column ra"
    with pytest.raises(KeyError, match=what), reading_errors("a.fits", has_columns=True):
        raise KeyError("no column ra")


def test_a_file_is_written_atomically(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("before")

    def fail_halfway():
        with atomic_write(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()
    assert path.read_text() == "before"
    with atomic_write(path) as temporary:
        assert temporary.suffix == ".csv"
        temporary.write_text("after")
    assert path.read_text() == "after"
    assert [entry.name for entry in tmp_path.iterdir()] == ["table.csv"]
