"""Pan-STARRS1's images: white beyond a skycell, and keywords of a former standard."""

import io
import warnings

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from PIL import Image

from shredfinder.cutouts import LocalImages, PanSTARRS, fetch_cutouts
from shredfinder.cutouts.services.planes import read_planes
from shredfinder.imaging import check_images

COORDS = SkyCoord([184.7], [47.3], unit="deg")
OPTIONS = {"cache": False, "rate": None, "progress": False}


def make_header(size):
    step = 0.25 / 3600
    header = fits.Header()
    header.update(
        CTYPE1="RA---TAN", CTYPE2="DEC--TAN", CRVAL1=184.7, CRVAL2=47.3, CRPIX1=(size + 1) / 2,
        CRPIX2=(size + 1) / 2, CDELT1=step, CDELT2=step, PC001001=-1.0, PC001002=0.0,
        PC002001=0.0, PC002002=1.0, RADECSYS="FK5",
    )  # fmt: skip
    header["MJD-OBS"] = 55000.0
    return header


def cut_off(image, columns):
    """Return the JPEG of an image that is white beyond the edge of a skycell."""
    image = image.copy()
    image[:, columns] = 255
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG")
    return np.asarray(Image.open(io.BytesIO(buffer.getvalue()))), buffer.getvalue()


def sky(size=128):
    return np.random.default_rng(0).integers(20, 90, (size, size, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("columns", "flag"),
    [
        (slice(60, None), "no coverage"),
        (slice(0, 69), "no coverage"),
        (slice(10, None), "no coverage"),
        (slice(None), "blank"),
        (slice(90, None), ""),
    ],
)
@pytest.mark.filterwarnings("ignore:no cutout was fetched")
def test_white_borders_are_no_coverage(columns, flag, server, respond):
    image, body = cut_off(sky(), columns)
    assert check_images(image[np.newaxis]).tolist() == [flag]

    def send(path, params, usual):
        return (200, body, "image/jpeg") if path.endswith("fitscut.cgi") else usual

    respond(send)
    cutouts = fetch_cutouts(COORDS, PanSTARRS(base_url=server.url), **OPTIONS)
    assert cutouts.flags.tolist() == [flag]


def test_saturated_stars_are_covered():
    image = sky()
    y, x = np.mgrid[:128, :128] - 64
    image[x**2 + y**2 < 50**2] = 255
    image[:, 62:67] = 255  # and its bleed trail
    assert check_images(image[np.newaxis]).tolist() == [""]
    # In floating point too.
    assert check_images(image[np.newaxis] / np.float32(255)).tolist() == [""]


def test_headers_cause_no_warning(tmp_path, server):
    data = np.random.default_rng(0).normal(size=(300, 300)).astype(np.float32)
    hdu = fits.PrimaryHDU(data, make_header(300))
    buffer = io.BytesIO()
    hdu.writeto(buffer)
    hdu.writeto(tmp_path / "stack.fits")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        [(_, wcs, _)] = read_planes(buffer.getvalue())
        local = LocalImages({"g": str(tmp_path / "stack.fits")}, color_mapping="flux")
        cutouts = fetch_cutouts(COORDS, local, size=32, progress=False)
        local.close()
        service = PanSTARRS(image_format="fits", bands="gr", base_url=server.url)
        assert fetch_cutouts(COORDS, service, **OPTIONS).good.all()
    assert cutouts.good.all()
    # East is left.
    assert wcs.pixel_to_world(0, 149.5).ra.deg > 184.7
    np.testing.assert_allclose(wcs.proj_plane_pixel_scales()[0].to_value("arcsec"), 0.25)
