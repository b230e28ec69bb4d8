"""Bodies of answers as images; nothing is believed that was not checked."""

import io

import numpy as np

from shredfinder.cutouts.errors import BadAnswerError, TransientError
from shredfinder.imaging.flags import CutoutFlag

__all__ = ["decode_color", "decode_fits", "find_suffix", "find_text", "read_fits"]

_SIGNATURES = {b"\xff\xd8\xff": ".jpg", b"\x89PNG\r\n\x1a\n": ".png", b"SIMPLE  =": ".fits"}
# How a complete file ends; a decoder may fill in the missing rest without a word.
_ENDINGS = {".jpg": b"\xff\xd9", ".png": b"IEND\xaeB`\x82"}
_FITS_BLOCK = 2880


def find_text(content):
    """Read the text that came in place of an image.

    Parameters
    ----------
    content : bytes
        Body of an answer.

    Returns
    -------
    text : str
        Its beginning, for messages; empty if the body is not text.
    """
    start = content[:400]
    if find_suffix(content) or b"\x00" in start:
        return ""
    return " ".join(start.decode("utf-8", "replace").split())[:200]


def find_suffix(content):
    """Tell a file's type from its first bytes; None if it is no image."""
    return next((s for start, s in _SIGNATURES.items() if content.startswith(start)), None)


def decode_color(content, width, height):
    """Decode a colour image.

    Parameters
    ----------
    content : bytes
        A JPEG or PNG file.
    width, height : int
        Size in pixels that was asked for.

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

    suffix = _check_beginning(content, (".jpg", ".png"))
    try:
        with Image.open(io.BytesIO(content), formats=("JPEG", "PNG")) as file:
            if file.size != (width, height):
                raise BadAnswerError(
                    f"asked for {width}×{height} px, got {file.width}×{file.height}",
                    CutoutFlag.WRONG_SIZE,
                )
            _check_ending(content, suffix)
            return np.asarray(file.convert("RGB")), suffix
    except (BadAnswerError, TransientError):
        raise
    except Exception as error:  # a decoder may raise anything at all on a broken file
        raise TransientError(f"broken image: {error}", CutoutFlag.CORRUPTED) from error


def decode_fits(content, width, height, n_bands):
    """Decode a FITS image or cube, such as the viewer's ``fits-cutout``.

    Parameters
    ----------
    content : bytes
        A FITS file whose first image has the axes x, y and, for several bands, band.
    width, height : int
        Size in pixels that was asked for.
    n_bands : int
        Bands that were asked for.

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
        If it is no FITS image, or one of another size.
    """
    images = (data for data, _ in read_fits(content))
    data = next(images, None)
    if data is None:
        raise BadAnswerError("the FITS file holds no image", CutoutFlag.NO_COVERAGE)
    cube = data.reshape((1, *data.shape)) if data.ndim == 2 else data
    if cube.shape != (n_bands, height, width):
        raise BadAnswerError(
            f"asked for {n_bands} bands of {width}×{height} px, got an image with the axes "
            f"{data.shape[::-1]}",
            CutoutFlag.WRONG_SIZE,
        )
    return np.ascontiguousarray(np.moveaxis(cube, 0, -1)[::-1], dtype=np.float32)


def read_fits(content):
    """Read the images of a FITS file that is held in memory.

    Astropy only warns of files that are cut short, and warnings can't be caught in threads
    without disturbing other threads: so lengths are compared with the headers here.

    Parameters
    ----------
    content : bytes
        The file.

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

    _check_beginning(content, (".fits",))
    try:
        position = 0
        while position < len(content):
            header = _read_header(content, position)
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


def _check_beginning(content, suffixes):
    if not content:
        raise TransientError("empty answer", CutoutFlag.CORRUPTED)
    suffix = find_suffix(content)
    if suffix not in suffixes:
        raise BadAnswerError(
            f"not an image but: {find_text(content) or content[:16]!r}", CutoutFlag.NOT_AN_IMAGE
        )
    return suffix


def _check_ending(content, suffix):
    if not content.rstrip(b"\x00\r\n").endswith(_ENDINGS[suffix]):
        raise TransientError("the image is cut short", CutoutFlag.CORRUPTED)
