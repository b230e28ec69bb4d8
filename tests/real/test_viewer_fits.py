"""The viewer's FITS cutouts: coordinates of two axes, status 500 outside the footprint."""

import io

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits

from shredfinder.cutouts import CutoutRequest, LegacyViewer, fetch_cutouts
from shredfinder.cutouts.decoding import decode_fits
from shredfinder.exceptions import BadResponseError, ShredfinderWarning
from tests.cutouts.conftest import host_centred
from tests.cutouts.loopback import Faults, LoopbackServer, render_fluxes

REQUEST = CutoutRequest(184.7, 47.3, width=40, height=30, pixel_scale=0.5)


def make_body(bands, **changes):
    """Return a file as the viewer writes it."""
    data = np.arange(len(bands) * 30 * 40, dtype=">f4").reshape(len(bands), 30, 40)
    hdu = fits.PrimaryHDU(data if len(bands) > 1 else data[0])
    step = 0.5 / 3600
    hdu.header.update(
        CTYPE1="RA---TAN", CTYPE2="DEC--TAN", CRVAL1=184.7, CRVAL2=47.3, CRPIX1=20.5, CRPIX2=15.5,
        CD1_1=-step, CD1_2=0.0, CD2_1=0.0, CD2_2=step, IMAGEW=40.0, IMAGEH=30.0, BANDS=bands,
    )  # fmt: skip
    hdu.header.update({f"BAND{i}": band for i, band in enumerate(bands)})
    hdu.header.update(changes)
    assert "WCSAXES" not in hdu.header
    assert "CDELT1" not in hdu.header
    buffer = io.BytesIO()
    hdu.writeto(buffer)
    return buffer.getvalue(), data


@pytest.mark.parametrize("bands", ["grz", "griz", "r"])
def test_headers_with_coordinates_of_two_axes_are_read(bands):
    content, data = make_body(bands)
    assert fits.getheader(io.BytesIO(content))["NAXIS"] == (3 if len(bands) > 1 else 2)
    image = decode_fits(content, REQUEST, bands, "image/fits")
    np.testing.assert_array_equal(image, np.moveaxis(data, 0, -1)[::-1])


def test_another_position_is_still_refused():
    content, _ = make_body("grz", CRVAL1=184.701)
    with pytest.raises(BadResponseError, match="off the requested position"):
        decode_fits(content, REQUEST, "grz", "image/fits")


def fetch(server, coords, **options):
    viewer = LegacyViewer(image_format="fits", base_url=server.viewer)
    options = {"cache": False, "rate": None, "progress": False, "size": 32} | options
    return fetch_cutouts(coords, viewer, **options)


def test_fluxes_are_fetched_with_one_request(server):
    coords = host_centred(1, 3)
    cutouts = fetch(server, coords, group=False)
    assert cutouts.good.all()
    assert len(server.requests) == 3
    for image, c in zip(cutouts.images, coords, strict=True):
        truth = render_fluxes(c.ra.deg, c.dec.deg, 32, 32, 0.46875)
        assert np.abs(image - truth).max() < 1e-4


def test_one_small_jpeg_per_place_outside_the_footprint(server):
    ra = np.arange(30) * 10.0
    coords = SkyCoord(np.append(ra, 5.0), np.append(np.full(30, -60.0), 30.0), unit="deg")
    # More places than failures in a row that would end a run with a warning.
    cutouts = fetch(server, coords, max_workers=1)
    assert cutouts.flags.tolist() == ["no coverage"] * 30 + [""]
    paths = [path for _, path, _ in server.requests]
    assert paths.count("/viewer/jpeg-cutout") == 30
    assert paths.count("/viewer/fits-cutout") == 31
    assert {p["size"] for _, path, p in server.requests if path.endswith("jpeg-cutout")} == {"32"}


def test_an_outage_within_the_footprint_is_not_a_gap(quick_retry):
    faults = Faults({"500": 1})
    warned = pytest.warns(ShredfinderWarning, match="status 500")
    with LoopbackServer(faults=faults) as server, warned:
        cutouts = fetch(server, host_centred(1, 1), retry=quick_retry)
    assert cutouts.flags.tolist() == ["failed"]
