"""Bodies of answers as images; nothing is believed that was not checked."""

import contextlib
import io

import numpy as np

from shredfinder._net.bodies import find_suffix, find_text
from shredfinder._net.errors import BadAnswerError, TransientError
from shredfinder.cutouts.projection import deproject
from shredfinder.cutouts.services.planes import get_celestial
from shredfinder.imaging.checks import CutoutFlag

__all__ = ["decode_color", "decode_fits", "read_celestial", "read_fits"]

# How a complete file ends; a decoder may fill in the missing rest without a word.
_ENDINGS = {".jpg": b"\xff\xd9", ".png": b"IEND\xaeB`\x82"}
_FITS_BLOCK = 2880
# Types beside text/* that no image is sent as; services are sloppy about those of images.
_TEXT_TYPES = ("application/json", "application/xml", "application/xhtml+xml")
# Pixels by which an image may lie beside what was asked for: half of one is a matter of where
# a service counts from, and a wrong scale or orientation shows at the edges.
_MAX_OFFSET = 1.0


def decode_color(content, request, content_type=""):
    """Decode a colour image.

    Parameters
    ----------
    content : bytes
        A JPEG or PNG file.
    request : CutoutRequest
        What was asked for.
    content_type : str, optional
        Media type that it was sent as.

    Returns
    -------
    image : `~numpy.ndarray`
        Red, green and blue of shape ``(height, width, 3)``, uint8.
    suffix : str
        File-name suffix of that type.

    Raises
    ------
    TransientError
        If the file is cut short.
    BadAnswerError
        If it is no image, or one of another size.
    """
    from PIL import Image

    suffix = _check_beginning(content, (".jpg", ".png"), content_type)
    try:
        with Image.open(io.BytesIO(content), formats=("JPEG", "PNG")) as file:
            if file.size != (request.width, request.height):
                raise BadAnswerError(
                    f"asked for {request.width}×{request.height} px, got "
                    f"{file.width}×{file.height}",
                    CutoutFlag.WRONG_SIZE,
                )
            _check_ending(content, suffix)
            return np.asarray(file.convert("RGB")), suffix
    except (BadAnswerError, TransientError):
        raise
    except Exception as error:  # a decoder may raise anything at all on a broken file
        raise TransientError(f"broken image: {error}", CutoutFlag.CORRUPTED) from error


def decode_fits(content, request, n_bands, content_type=""):
    """Decode a FITS image or cube, such as the viewer's ``fits-cutout``.

    Parameters
    ----------
    content : bytes
        A FITS file whose first image has the axes x, y and, for several bands, band.
    request : CutoutRequest
        What was asked for.
    n_bands : int
        Bands that were asked for.
    content_type : str, optional
        Media type that it was sent as.

    Returns
    -------
    image : `~numpy.ndarray`
        Fluxes of shape ``(height, width, bands)``, float32, north up: the first row is the
        northernmost, where FITS counts from the south.

    Raises
    ------
    TransientError
        If the file is cut short.
    BadAnswerError
        If it is no FITS image, or one of another size, or its header's coordinates, if it has
        any, are not those that were asked for.
    """
    width, height = request.width, request.height
    data, header = next(iter(read_fits(content, content_type)), (None, None))
    if data is None:
        raise BadAnswerError("the FITS file holds no image", CutoutFlag.NO_COVERAGE)
    cube = data.reshape((1, *data.shape)) if data.ndim == 2 else data
    if cube.shape != (n_bands, height, width):
        raise BadAnswerError(
            f"asked for {n_bands} bands of {width}×{height} px, got an image with the axes "
            f"{data.shape[::-1]}",
            CutoutFlag.WRONG_SIZE,
        )
    _check_footprint(header, request)
    return np.ascontiguousarray(np.moveaxis(cube, 0, -1)[::-1], dtype=np.float32)


def _check_footprint(header, request):
    """Compare an image's coordinates, if it has any, with those that were asked for."""
    wcs = read_celestial(header)
    if wcs is None:
        return
    with _broken_coordinates():
        offset = _measure_offset(wcs, request)
    # The comparison fails for NaN too.
    if not offset < _MAX_OFFSET:
        raise BadAnswerError(
            f"by its coordinates the image lies {offset:.1f} px beside what was asked for "
            f"(RA {request.ra:.5f}, Dec {request.dec:+.5f}, {request.pixel_scale:g} arcsec/px, "
            "north up)",
            CutoutFlag.WRONG_POSITION,
        )


def read_celestial(header):
    """Read the celestial coordinates of an image's header.

    Parameters
    ----------
    header : `~astropy.io.fits.Header`
        The header.

    Returns
    -------
    wcs : `~astropy.wcs.WCS` or None
        As `~shredfinder.cutouts.services.planes.get_celestial` gives them.

    Raises
    ------
    TransientError
        If they are broken.
    """
    from astropy.wcs import WCS

    with _broken_coordinates():
        # Fixing would warn of each image's deviations from the standard.
        return get_celestial(WCS(header, fix=False))


@contextlib.contextmanager
def _broken_coordinates():
    try:
        yield
    except Exception as error:  # whatever a broken header causes
        raise TransientError(f"broken coordinates: {error}", CutoutFlag.CORRUPTED) from error


def _measure_offset(wcs, request):
    """Measure how many pixels an image lies beside what was asked for, where it is worst."""
    from astropy.coordinates import SkyCoord

    # The centre, and the middles of the left and the upper edge.
    right = np.array([0.0, -1.0, 0.0]) * (request.width - 1) / 2
    up = np.array([0.0, 0.0, 1.0]) * (request.height - 1) / 2
    scale = request.pixel_scale
    coords = SkyCoord(*deproject(-right * scale, up * scale, request.ra, request.dec), unit="deg")
    x, y = wcs.world_to_pixel(coords)
    return np.hypot(x - (request.width - 1) / 2 - right, y - (request.height - 1) / 2 - up).max()


def read_fits(content, content_type=""):
    """Read the images of a FITS file that is held in memory.

    Astropy only warns of files that are cut short, and warnings can't be caught in threads
    without disturbing other threads: so lengths are compared with the headers here.

    Parameters
    ----------
    content : bytes
        The file.
    content_type : str, optional
        Media type that it was sent as.

    Returns
    -------
    images : list of tuple
        Data and header of each image that has data.

    Raises
    ------
    TransientError
        If the file is cut short or broken.
    BadAnswerError
        If it is no FITS file.
    """
    from astropy.io import fits

    _check_beginning(content, (".fits",), content_type)
    try:
        position = 0
        while position < len(content):
            header = _read_header(content, position)
            if header.data_size_padded < 0:
                raise ValueError("an image of a negative size")
            position += len(header.tostring()) + header.data_size_padded
        if position != len(content):
            raise ValueError(f"{len(content)} bytes in place of {position}")
        with fits.open(io.BytesIO(content), memmap=False) as hdus:
            return [(h.data, h.header) for h in hdus if h.is_image and h.data is not None]
    except Exception as error:  # whatever broken headers cause
        raise TransientError(f"broken FITS file: {error}", CutoutFlag.CORRUPTED) from error


def _read_header(content, position):
    from astropy.io import fits

    text = b""
    while True:
        block = content[position : position + _FITS_BLOCK]
        if len(block) < _FITS_BLOCK:
            raise ValueError("cut short within a header")
        text, position = text + block, position + _FITS_BLOCK
        if any(block[i : i + 8] == b"END     " for i in range(0, _FITS_BLOCK, 80)):
            return fits.Header.fromstring(text)


def _check_beginning(content, suffixes, content_type):
    if not content:
        raise TransientError("empty answer", CutoutFlag.CORRUPTED)
    suffix = find_suffix(content)
    if content_type.startswith("text/") or content_type in _TEXT_TYPES:
        raise BadAnswerError(
            f"not an image but {content_type}: {find_text(content) or content[:16]!r}",
            CutoutFlag.NOT_AN_IMAGE,
        )
    if suffix not in suffixes:
        raise BadAnswerError(
            f"not an image but: {find_text(content) or content[:16]!r}", CutoutFlag.NOT_AN_IMAGE
        )
    return suffix


def _check_ending(content, suffix):
    if not content.rstrip(b"\x00\r\n").endswith(_ENDINGS[suffix]):
        raise TransientError("the image is cut short", CutoutFlag.CORRUPTED)
