"""Image files: decode and validate responses, encode cutouts for the cache."""

from __future__ import annotations

import contextlib
import io
import math
import re
from typing import TYPE_CHECKING

import numpy as np

from shredfinder._net.client import find_suffix, find_text
from shredfinder.cutouts.grouping import deproject
from shredfinder.cutouts.image_headers import read_bands, select_images
from shredfinder.cutouts.services.base import FetchedImage
from shredfinder.exceptions import BadResponseError, ServiceError, TransientServiceError
from shredfinder.imaging.checks import CutoutFlag
from shredfinder.imaging.reading import load_colors, open_image

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from astropy.io.fits import HDUList, Header
    from astropy.wcs import WCS

    from shredfinder._net.client import Response
    from shredfinder.cutouts.services.base import CutoutRequest

__all__ = [
    "decode_color",
    "decode_fits",
    "encode_image",
    "get_celestial",
    "read_celestial",
    "read_color",
    "read_fits",
    "read_wcs",
]

# The last bytes of a complete file: a decoder may fill in a missing rest silently.
_ENDINGS = {".jpg": b"\xff\xd9", ".png": b"IEND\xaeB`\x82"}
_FITS_BLOCK = 2880
# Media types that, like text/*, are never images. Services mislabel images, so others pass.
_TEXT_TYPES = ("application/json", "application/xml", "application/xhtml+xml")
# Largest image of a service that sends whole images, in bytes of memory: a brick in double
# precision has 104 million.
_MAX_BYTES = 128 * 2**20
# Tolerated offset in pixels: services differ by half a pixel in where they count from, while a
# wrong scale or orientation shows at the edges.
_MAX_OFFSET = 1.0
# Astropy treats other longitudes (ecliptic: ELON) as equatorial, without a warning.
_LONGITUDES = ("RA", "GLON")
# Keywords of a former standard, as in the headers of Pan-STARRS1, such as PC001002 for PC1_2.
_OLD_MATRIX = re.compile(r"(PC|CD)00(\d)00(\d)")
_OLD_NAMES = {"RADECSYS": "RADESYS"}


def decode_color(
    content: bytes, request: CutoutRequest, content_type: str = ""
) -> tuple[np.ndarray, str]:
    """Decode and validate a colour image.

    Parameters
    ----------
    content : bytes
        JPEG or PNG file.
    request : CutoutRequest
        Size of the requested image.
    content_type : str, optional
        Media type of the response.

    Returns
    -------
    image : `~numpy.ndarray`
        Red, green and blue, of shape ``(height, width, 3)``, uint8.
    suffix : str
        File-name suffix of the format.

    Raises
    ------
    TransientServiceError
        If the file is truncated.
    BadResponseError
        If it is not an image, or has another size.
    """
    from PIL import Image

    suffix = _check_beginning(content, (".jpg", ".png"), content_type)
    try:
        with open_image(io.BytesIO(content), ("JPEG", "PNG")) as file:
            if file.size != (request.width, request.height):
                raise BadResponseError(
                    f"requested {request.width}×{request.height} px, got "
                    f"{file.width}×{file.height}",
                    CutoutFlag.WRONG_SIZE,
                )
            # Some servers pad a complete file with zeros or a line break.
            if not content.rstrip(b"\x00\r\n").endswith(_ENDINGS[suffix]):
                raise TransientServiceError("the image is truncated", CutoutFlag.CORRUPTED)
            return load_colors(file), suffix
    except ServiceError:
        raise
    except Image.DecompressionBombError as error:
        raise BadResponseError(str(error), CutoutFlag.WRONG_SIZE) from error
    except Exception as error:  # a decoder may raise anything on a broken file
        raise TransientServiceError(f"broken image: {error}", CutoutFlag.CORRUPTED) from error


def read_color(response: Response, request: CutoutRequest) -> FetchedImage:
    """Read the colour image in a response; parameters and errors as for `decode_color`."""
    content_type = response.headers.get("Content-Type", "")
    image, suffix = decode_color(response.content, request, content_type)
    return FetchedImage(image, response.content, suffix)


def decode_fits(
    content: bytes, request: CutoutRequest, bands: Sequence[str], content_type: str = ""
) -> np.ndarray:
    """Decode and validate a FITS image or cube, such as the viewer's ``fits-cutout``.

    Parameters
    ----------
    content : bytes
        FITS file whose first image of the sky has the axes x, y and, for several bands, band.
    request : CutoutRequest
        Position, size and scale of the requested image.
    bands : sequence of str
        Requested bands. The planes have this order unless the header names them (``BANDS``).
    content_type : str, optional
        Media type of the response.

    Returns
    -------
    image : `~numpy.ndarray`
        Fluxes of shape ``(height, width, bands)``, float32, north up: the first row is the
        northernmost, whereas FITS counts from the south.

    Raises
    ------
    TransientServiceError
        If the file is truncated.
    BadResponseError
        If it is not a FITS image, has another size, or by its header shows another position.
    """
    width, height = request.width, request.height
    images = read_fits(content, content_type, max_bytes=request.limit_bytes(len(bands), 4))
    kept = select_images([header for _, header in images], images[0][1]) if images else []
    if not kept:
        raise BadResponseError("the FITS file holds no image", CutoutFlag.NO_COVERAGE)
    data, header = images[kept[0]]
    # A single band comes without a third axis.
    cube = data.reshape((1, *data.shape)) if data.ndim == 2 else data
    if cube.ndim == 3:
        with _broken_header():
            named = read_bands(header, len(cube), bands)
        if named and set(bands) <= set(named):
            cube = cube[[named.index(band) for band in bands]]
        elif named:
            raise BadResponseError(
                f"requested the bands {', '.join(bands)}, got an image in {', '.join(named)}",
                CutoutFlag.WRONG_SIZE,
            )
    if cube.shape != (len(bands), height, width):
        raise BadResponseError(
            f"requested {len(bands)} bands of {width}×{height} px, got an image with the axes "
            f"{data.shape[::-1]}",
            CutoutFlag.WRONG_SIZE,
        )
    _check_footprint(header, request)
    # FITS counts rows from the south: [::-1] puts north on top. Bands go last.
    return np.ascontiguousarray(np.moveaxis(cube, 0, -1)[::-1], dtype=np.float32)


def _check_footprint(header: Header, request: CutoutRequest) -> None:
    """Compare the coordinates of an image, if it has any, with the requested ones."""
    wcs = read_celestial(header)
    if wcs is None:
        return
    with _broken_header():
        offset = _measure_offset(wcs, request)
    # The comparison fails for NaN too.
    if not offset < _MAX_OFFSET:
        raise BadResponseError(
            f"the image is {offset:.1f} px off the requested position "
            f"(RA {request.ra:.5f}, Dec {request.dec:+.5f}, {request.pixel_scale:g} arcsec/px, "
            "north up)",
            CutoutFlag.WRONG_POSITION,
        )


def _measure_offset(wcs: WCS, request: CutoutRequest) -> float:
    """Return the largest offset in pixels at the centre and the left and upper edges."""
    from astropy.coordinates import SkyCoord

    # The centre, and the middles of the left and the upper edge.
    right = np.array([0.0, -1.0, 0.0]) * (request.width - 1) / 2
    up = np.array([0.0, 0.0, 1.0]) * (request.height - 1) / 2
    scale = request.pixel_scale
    coords = SkyCoord(*deproject(-right * scale, up * scale, request.ra, request.dec), unit="deg")
    x, y = wcs.world_to_pixel(coords)
    return np.hypot(x - (request.width - 1) / 2 - right, y - (request.height - 1) / 2 - up).max()


def read_celestial(header: Header) -> WCS | None:
    """Read the celestial coordinates in a header; see `get_celestial`.

    Raises
    ------
    TransientServiceError
        If they are broken.
    """
    with _broken_header():
        return get_celestial(read_wcs(header))


def read_wcs(header: Header, hdus: HDUList | None = None) -> WCS:
    """Read the coordinates in a header, of its first two axes if these are celestial.

    The cubes of the Legacy Surveys' viewer have coordinates for two axes only: a WCS of all three
    would be singular.

    Parameters
    ----------
    header : `~astropy.io.fits.Header`
        The header.
    hdus : `~astropy.io.fits.HDUList`, optional
        The file, for distortions that are in its other extensions.

    Returns
    -------
    wcs : `~astropy.wcs.WCS`
        The coordinates.
    """
    from astropy.wcs import WCS

    # WCS would warn of each keyword of a former standard; threads cannot catch warnings without
    # disturbing each other.
    renamed = _declare_frame(header).copy()
    for name in list(header):
        new = _OLD_NAMES.get(name) or _OLD_MATRIX.sub(r"\1\2_\3", name)
        if new != name and new not in header:
            renamed.rename_keyword(name, new)
        elif new != name:
            del renamed[name]
    wcs = WCS(renamed, hdus, naxis=2, fix=False)
    if wcs.celestial.naxis != 2:
        wcs = WCS(renamed, hdus, fix=False)
    # This repairs units and dates as WCS does, but without warnings.
    wcs.wcs.fix()
    return wcs


def _declare_frame(header: Header) -> Header:
    """Return the header, with ``RADESYS = ICRS`` if it has only ``EQUINOX = 2000``.

    By the FITS standard such a header means FK5. But the Legacy Surveys write it, whose positions
    are those of Gaia, in ICRS: 0.02 arcsec away.
    """
    named = any(header.get(key) for key in ("RADESYS", "RADECSYS"))
    if named or header.get("EQUINOX") != 2000:
        return header
    header = header.copy()
    header["RADESYS"] = "ICRS"
    return header


def get_celestial(wcs: WCS) -> WCS | None:
    """Return the two celestial axes of a WCS; None unless they are equatorial or galactic."""
    celestial = wcs.celestial
    if celestial.naxis != 2 or celestial.wcs.lngtyp.strip() not in _LONGITUDES:
        return None
    return celestial


@contextlib.contextmanager
def _broken_header() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # a broken header may cause anything
        raise TransientServiceError(f"broken header: {error}", CutoutFlag.CORRUPTED) from error


def read_fits(
    content: bytes, content_type: str = "", *, max_bytes: int = _MAX_BYTES
) -> list[tuple[np.ndarray, Header]]:
    """Read the images in the content of a FITS file.

    Astropy only warns of truncated files, and threads cannot catch warnings without disturbing
    each other: so the lengths in the headers are compared here.

    Parameters
    ----------
    content : bytes
        The file.
    content_type : str, optional
        Media type of the response.
    max_bytes : int, optional
        Largest size of the images in memory, which is far larger than the file's if they are
        compressed.

    Returns
    -------
    images : list of tuple
        Data and header of each image that has data.

    Raises
    ------
    TransientServiceError
        If the file is truncated or broken.
    BadResponseError
        If it is not a FITS file, or its images are larger.
    """
    from astropy.io import fits

    _check_beginning(content, (".fits",), content_type)
    try:
        position = 0
        while position < len(content):
            header = _read_header(content, position)
            # Without this check the position would go backwards for ever.
            if header.data_size_padded < 0:
                raise ValueError("an image of a negative size")
            position += len(header.tostring()) + header.data_size_padded
        if position != len(content):
            raise ValueError(f"{len(content)} bytes in place of {position}")
        with fits.open(io.BytesIO(content), memmap=False) as hdus:
            images = [hdu for hdu in hdus if hdu.is_image]
            # The headers are not to be trusted: nothing is decompressed before its size is known.
            n_bytes = sum(math.prod(h.shape) * abs(h.header["BITPIX"]) // 8 for h in images)
            if n_bytes > max_bytes:
                raise BadResponseError(
                    f"the FITS file holds images of {n_bytes} bytes, more than {max_bytes}",
                    CutoutFlag.WRONG_SIZE,
                )
            return [(hdu.data, hdu.header) for hdu in images if hdu.data is not None]
    except ServiceError:
        raise
    except Exception as error:  # a broken header may cause anything
        raise TransientServiceError(f"broken FITS file: {error}", CutoutFlag.CORRUPTED) from error


def _read_header(content: bytes, position: int) -> Header:
    from astropy.io import fits

    text = b""
    while True:
        block = content[position : position + _FITS_BLOCK]
        if len(block) < _FITS_BLOCK:
            raise ValueError("truncated within a header")
        text, position = text + block, position + _FITS_BLOCK
        # A header is a series of 80-byte cards, filled up to a whole block after END.
        if any(block[i : i + 8] == b"END     " for i in range(0, _FITS_BLOCK, 80)):
            return fits.Header.fromstring(text)


def _check_beginning(content: bytes, suffixes: Sequence[str], content_type: str) -> str:
    """Return the suffix of the format; raise if it is none of those expected."""
    if not content:
        raise TransientServiceError("empty response", CutoutFlag.CORRUPTED)
    suffix = find_suffix(content)
    media_type = content_type.partition(";")[0].strip().lower()
    is_text = media_type.startswith("text/") or media_type in _TEXT_TYPES
    if suffix is None or suffix not in suffixes or is_text:
        kind = f"{media_type}: " if is_text else ""
        raise BadResponseError(
            f"not an image but {kind}{find_text(content) or content[:16]!r}",
            CutoutFlag.NOT_AN_IMAGE,
        )
    return suffix


def encode_image(
    image: np.ndarray, request: CutoutRequest, bands: Sequence[str]
) -> tuple[bytes, str]:
    """Encode an image without loss, so that it decodes to the same values.

    Parameters
    ----------
    image : `~numpy.ndarray`
        Image of shape ``(height, width, bands)``, north up; uint8 colours, or fluxes.
    request : CutoutRequest
        Its position and scale.
    bands : sequence of str
        Bands of its channels.

    Returns
    -------
    content : bytes
        PNG file of colours, FITS file of anything else.
    suffix : str
        File-name suffix.
    """
    buffer = io.BytesIO()
    if image.dtype == np.uint8 and image.shape[2] == 3:
        from PIL import Image

        # Stronger compression takes much longer and gains little on noise.
        Image.fromarray(image).save(buffer, "PNG", compress_level=1)
        return buffer.getvalue(), ".png"
    from astropy.io import fits

    hdu = fits.PrimaryHDU(np.moveaxis(image, -1, 0)[:, ::-1].astype(np.float32))
    header = hdu.header
    header["BANDS"] = "".join(bands)
    for axis, kind, center, n, sign in (
        (1, "RA---TAN", request.ra, request.width, -1),
        (2, "DEC--TAN", request.dec, request.height, 1),
    ):
        header[f"CTYPE{axis}"], header[f"CUNIT{axis}"] = kind, "deg"
        # FITS numbers pixels from 1, so the centre of n pixels is at (n + 1) / 2.
        header[f"CRVAL{axis}"], header[f"CRPIX{axis}"] = center, (n + 1) / 2
        # East is left: right ascension decreases with x.
        header[f"CDELT{axis}"] = sign * request.pixel_scale / 3600
    hdu.writeto(buffer)
    return buffer.getvalue(), ".fits"
