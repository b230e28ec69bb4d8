import io

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from shredfinder._utils.files import list_extensions
from shredfinder.catalogs import read_candidates
from shredfinder.cutouts import LocalImages
from shredfinder.hosts import read_hosts
from shredfinder.imaging import Cutouts
from shredfinder.table import read_catalogue


@pytest.fixture
def circle(tmp_path):
    """A file whose second header claims as many bytes less than none as it has itself."""
    image = fits.ImageHDU(np.zeros((2, 2), np.uint8)).header
    image["NAXIS1"], image["NAXIS2"] = 2880, -1
    data = fits.PrimaryHDU().header.tostring() + image.tostring()
    path = tmp_path / "circle.fits"
    path.write_bytes(data.encode() + bytes(2880))
    return path


def test_all_parts_are_listed():
    buffer = io.BytesIO()
    parts = [fits.PrimaryHDU(), fits.ImageHDU(np.ones((2, 2))), fits.BinTableHDU(Table({"a": [1]}))]
    fits.HDUList(parts).writeto(buffer)
    buffer.seek(0)
    with fits.open(buffer) as hdus:
        assert [type(part) for part in list_extensions(hdus)] == [type(part) for part in parts]


def test_headers_that_lead_in_a_circle(circle):
    with fits.open(circle) as hdus, pytest.raises(ValueError, match="the header after byte"):
        list_extensions(hdus)


@pytest.mark.parametrize(
    "read",
    [
        read_candidates, read_catalogue, read_hosts, Cutouts.read,
        lambda path: read_hosts(path, redshift="z"), lambda path: LocalImages(str(path)),
    ],
)  # fmt: skip
def test_no_reader_goes_round_for_ever(circle, read):
    with pytest.raises(ValueError, match=r"circle\.fits.*: the file is damaged: the header after"):
        read(circle)
