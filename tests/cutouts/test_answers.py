"""Answers of services that are not what was asked for, one at a time."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits

from shredfinder._net.errors import BadAnswerError, TransientError
from shredfinder.cutouts.services.mosaics import read_planes
from shredfinder.cutouts.services.sdss_frames import _COLUMNS, _limit_ra, _read_fields


def body(content):
    return SimpleNamespace(content=content, content_type="")


def make_fits(data, **cards):
    header = fits.Header()
    header.update(cards)
    buffer = io.BytesIO()
    fits.PrimaryHDU(data, header).writeto(buffer)
    return buffer.getvalue()


SKY = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 10.0, "CRVAL2": 2.0}
SKY |= {"CRPIX1": 2.0, "CRPIX2": 2.0, "CD1_1": -1e-4, "CD2_2": 1e-4}


def test_planes_are_images_with_coordinates():
    [(data, wcs)] = read_planes(body(make_fits(np.ones((3, 4)), **SKY)))
    assert data.shape == (3, 4)
    assert wcs.wcs.crval.tolist() == [10.0, 2.0]
    assert read_planes(body(b"")) == []  # "no content"
    assert read_planes(body(make_fits(None))) == []


def test_planes_without_coordinates_are_refused():
    with pytest.raises(BadAnswerError, match=r"\(3, 4\) without celestial"):
        read_planes(body(make_fits(np.ones((3, 4)))))
    with pytest.raises(BadAnswerError, match=r"\(2, 3, 4\) without celestial"):
        read_planes(body(make_fits(np.ones((2, 3, 4)), **SKY, CD3_3=1.0)))
    with pytest.raises(TransientError, match="broken coordinates"):
        read_planes(body(make_fits(np.ones((3, 4)), **SKY | {"CTYPE1": "RA---TA", "CD1_1": 0.0})))


def test_fields_are_read_from_lines():
    header = ",".join(_COLUMNS)
    text = f"#Table1\n{header}\n" + ",".join("1" * len(_COLUMNS)) + "\n"
    assert _read_fields(body(text.encode())) == [(1,) * len(_COLUMNS)]
    assert _read_fields(body(f"#Table1\n{header}\n".encode())) == []


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        ("<html>busy</html>", BadAnswerError, "not a list of fields but: <html>busy"),
        (",".join(_COLUMNS) + "\n1,two,3", TransientError, "broken"),
        (",".join(_COLUMNS) + "\n1,2", TransientError, "cut short"),
    ],
)
def test_lists_that_are_no_lists_of_fields(rows, error, message):
    with pytest.raises(error, match=message):
        _read_fields(body(rows.encode()))


def test_ranges_run_over_the_meridian():
    assert _limit_ra(10.0, 1.0) == "ra BETWEEN 9.000000 AND 11.000000"
    assert _limit_ra(0.5, 1.0) == "ra >= 359.500000 OR ra <= 1.500000"
    assert _limit_ra(359.5, 1.0) == "ra >= 358.500000 OR ra <= 0.500000"
