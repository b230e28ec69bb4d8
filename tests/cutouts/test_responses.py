"""Readers of single responses: images with a WCS, and SkyServer's lists of fields."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits

from shredfinder.cutouts.services.planes import read_planes
from shredfinder.cutouts.services.sdss import _FIELD, limit_ra, read_fields
from shredfinder.exceptions import BadResponseError, TransientServiceError


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
    [(data, wcs, _)] = read_planes(make_fits(np.ones((3, 4)), **SKY))
    assert data.shape == (3, 4)
    assert wcs.wcs.crval.tolist() == [10.0, 2.0]
    assert read_planes(b"") == []  # "no content"
    assert read_planes(make_fits(None)) == []


def test_planes_without_coordinates_are_refused():
    with pytest.raises(BadResponseError, match=r"\(3, 4\) without celestial"):
        read_planes(make_fits(np.ones((3, 4))))
    with pytest.raises(BadResponseError, match=r"\(2, 3, 4\) without celestial"):
        read_planes(make_fits(np.ones((2, 3, 4)), **SKY, CD3_3=1.0))
    with pytest.raises(TransientServiceError, match="broken header"):
        read_planes(make_fits(np.ones((3, 4)), **SKY | {"CTYPE1": "RA---TA", "CD1_1": 0.0}))


def test_fields_are_read_from_lines():
    header = ",".join(_FIELD)
    text = f"#Table1\n{header}\n" + ",".join("1" * len(_FIELD)) + "\n"
    assert read_fields(body(text.encode())) == [(1,) * len(_FIELD)]
    assert read_fields(body(f"#Table1\n{header}\n".encode())) == []


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        ("<html>busy</html>", BadResponseError, "not a list of fields but: <html>busy"),
        (",".join(_FIELD) + "\n1,two,3", TransientServiceError, "broken"),
        (",".join(_FIELD) + "\n1,2", TransientServiceError, "truncated"),
    ],
)
def test_invalid_lists_of_fields_are_refused(rows, error, message):
    with pytest.raises(error, match=message):
        read_fields(body(rows.encode()))


def test_ranges_of_right_ascension_cross_zero():
    assert limit_ra(10.0, 1.0) == "ra BETWEEN 9.000000 AND 11.000000"
    assert limit_ra(0.5, 1.0) == "ra >= 359.500000 OR ra <= 1.500000"
    assert limit_ra(359.5, 1.0) == "ra >= 358.500000 OR ra <= 0.500000"
