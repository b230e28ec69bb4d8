"""Parts of FITS files that are not in the table."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from shredfinder.bulk import classify_catalogue
from shredfinder.exceptions import ShredfinderWarning


@pytest.fixture
def catalogue(tmp_path):
    """A catalogue with keywords in the primary header and an image behind the table."""
    hdus = fits.HDUList(
        [
            fits.PrimaryHDU(),
            fits.table_to_hdu(Table({"objID": np.arange(700)})),
            fits.ImageHDU(np.arange(12.0).reshape(3, 4), name="COVERAGE"),
        ]
    )
    hdus[0].header["BRICKNAM"] = "0001m002"
    hdus.writeto(tmp_path / "in.fits")
    (tmp_path / "cutouts").mkdir()
    return tmp_path / "in.fits"


def score(catalogue, output):
    return classify_catalogue(
        catalogue, output, cutouts=catalogue.with_name("cutouts"), pattern="{objID}.png"
    )


@pytest.mark.filterwarnings("ignore:none of .* scored")
def test_other_parts_of_a_fits_file_survive(catalogue, tmp_path):
    score(catalogue, tmp_path / "out.fits")
    with fits.open(tmp_path / "out.fits") as hdus:
        assert [hdu.name for hdu in hdus][2:] == ["COVERAGE"]
        assert hdus[0].header["BRICKNAM"] == "0001m002"
        assert hdus[2].data.tolist() == np.arange(12.0).reshape(3, 4).tolist()
        assert hdus[1].data["objID"].tolist() == list(range(700))
        assert np.isnan(hdus[1].data["p_cnn"]).all()
        hdus.verify("exception")


@pytest.mark.filterwarnings("ignore:none of .* scored")
def test_parts_that_are_lost_are_named(catalogue, tmp_path):
    with pytest.warns(ShredfinderWarning, match=r"BRICKNAM.*extensions COVERAGE"):
        score(catalogue, tmp_path / "out.ecsv")
