"""Validation of responses."""

import io

import numpy as np
import pytest
from astropy.io import fits
from PIL import Image

from shredfinder.cutouts import CutoutRequest
from shredfinder.cutouts.decoding import decode_color, decode_fits
from shredfinder.exceptions import BadResponseError, TransientServiceError

REQUEST = CutoutRequest(150.1, 2.2, 64, 64, 0.5)


def make_jpeg(size=(64, 64)):
    image = np.random.default_rng(0).integers(0, 255, (*size[::-1], 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG")
    return buffer.getvalue()


def make_fits(n_bands=3, *, size=64, scale=0.5, ra=150.1, dec=2.2, shift=0.0, flip=False):
    data = np.random.default_rng(0).normal(size=(n_bands, size, size)).astype(np.float32)
    header = fits.Header(
        {
            "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": ra, "CRVAL2": dec,
            "CRPIX1": (size + 1) / 2 + shift, "CRPIX2": (size + 1) / 2,
            "CDELT1": (1 if flip else -1) * scale / 3600, "CDELT2": scale / 3600,
        }
    )  # fmt: skip
    buffer = io.BytesIO()
    fits.PrimaryHDU(data, header).writeto(buffer)
    return buffer.getvalue(), data


@pytest.mark.parametrize("kind", ["image/jpeg", "application/octet-stream", ""])
def test_media_types_of_images_are_accepted(kind):
    image, suffix = decode_color(make_jpeg(), REQUEST, kind)
    assert image.shape == (64, 64, 3)
    assert suffix == ".jpg"


@pytest.mark.parametrize("kind", ["text/html", "text/plain", "application/json"])
def test_text_media_types_are_refused(kind):
    with pytest.raises(BadResponseError, match=f"not an image but {kind}") as caught:
        decode_color(make_jpeg(), REQUEST, kind)
    assert caught.value.flag == "not an image"
    with pytest.raises(BadResponseError):
        decode_fits(make_fits()[0], REQUEST, "grz", kind)


@pytest.mark.parametrize("n", [0, 10, 2000])
def test_truncated_files_are_transient_errors(n):
    with pytest.raises(TransientServiceError):
        decode_color(make_jpeg()[:n], REQUEST)
    with pytest.raises(TransientServiceError):
        decode_fits(make_fits()[0][:n], REQUEST, "grz")


def test_other_sizes_are_refused():
    with pytest.raises(BadResponseError, match="requested 64×64 px, got 60×64") as caught:
        decode_color(make_jpeg((60, 64)), REQUEST)
    assert caught.value.flag == "wrong size"
    for wrong in (make_fits(2), make_fits(size=63)):
        with pytest.raises(BadResponseError, match="requested 3 bands of 64×64") as caught:
            decode_fits(wrong[0], REQUEST, "grz")
        assert caught.value.flag == "wrong size"


@pytest.mark.parametrize(
    "options",
    [
        {"ra": 150.2},
        {"dec": -2.2},
        {"scale": 0.4},
        {"shift": 2},
        {"flip": True},
        {"ra": 330.1, "dec": -2.2},
    ],
)
def test_fits_images_of_other_positions_are_refused(options):
    with pytest.raises(BadResponseError, match="px off the requested position") as caught:
        decode_fits(make_fits(**options)[0], REQUEST, "grz")
    assert caught.value.flag == "wrong position"


def test_fits_images_are_north_up():
    # Services differ by half a pixel in where they count from.
    for content, data in (make_fits(), make_fits(shift=0.5)):
        image = decode_fits(content, REQUEST, "grz")
        np.testing.assert_array_equal(image, np.moveaxis(data, 0, -1)[::-1])


def test_fits_images_without_coordinates_are_accepted():
    buffer = io.BytesIO()
    fits.PrimaryHDU(np.ones((64, 64), np.float32)).writeto(buffer)
    assert decode_fits(buffer.getvalue(), REQUEST, "g").shape == (64, 64, 1)
