"""SDSS: SkyServer's colour images, and the calibrated frames."""

from __future__ import annotations

import bz2
from typing import TYPE_CHECKING, Any

import numpy as np

from shredfinder.config import Conf, conf
from shredfinder.cutouts.decoding import read_color
from shredfinder.cutouts.services.base import (
    CutoutService,
    FetchedImage,
    complete_url,
    name_host,
    register_service,
)
from shredfinder.cutouts.services.local import MARGIN, make_cutout
from shredfinder.cutouts.services.planes import read_planes
from shredfinder.exceptions import BadResponseError, NoCoverageError, TransientServiceError
from shredfinder.imaging.checks import CutoutFlag
from shredfinder.imaging.cutouts import FLUX
from shredfinder.surveys import SDSS as _FACTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from astropy.wcs import WCS

    from shredfinder._net.client import HttpClient, Response
    from shredfinder.cutouts.image_headers import FluxUnit
    from shredfinder.cutouts.services.base import CutoutRequest

__all__ = ["SDSS", "SDSSFrames"]

# What identifies a field of the imaging survey.
_FIELD = ("run", "rerun", "camcol", "field")
# Degrees around a position within which any field that covers it has a source.
_MIN_EXTENT = 0.05
# Outside its footprint SkyServer may send a black tile with a text. At least this share of its
# pixels is as dark as this level of 255, unlike in images, which show the noise of the sky.
_BLACK_SHARE, _BLACK_LEVEL = 0.7, 4
# A frame has 2048 × 1489 px of four bytes, and some tables.
_MAX_BYTES = 64 * 2**20
# A list of fields has some hundred bytes.
_MAX_LIST_BYTES = 2**20


@register_service("sdss")
class SDSS(CutoutService):
    """Colour cutouts of the Sloan Digital Sky Survey from SkyServer (``ImgCutout/getjpeg``).

    Red, green and blue are i, r and g. SkyServer delivers images of 64 to 2048 px per side, at
    any scale (native: 0.396127″/px).

    Parameters
    ----------
    layer : str, optional
        Data release. It names the cutouts; the base URL selects the data.
    base_url : str, optional
        URL of the folder that holds ``getjpeg``; by default ``shredfinder.conf.sdss_url``.

    Examples
    --------
    >>> from shredfinder.cutouts import SDSS
    >>> SDSS().bands, SDSS().max_size
    (('i', 'r', 'g'), 2048)
    """

    name = "sdss"
    bands = _FACTS.bands
    color_mapping = _FACTS.color_mapping
    pixel_scale = _FACTS.pixel_scale
    size = _FACTS.size
    min_size = 64
    max_size = 2048
    groups = True
    rate = 4.0
    max_workers = 4

    def __init__(self, *, layer: str = "dr17", base_url: str | None = None) -> None:
        self.layer = layer
        self.base_url = complete_url(base_url or conf.sdss_url, Conf.sdss_url.defaultvalue)

    def cache_folder(self) -> str:
        """Return the name of the cache folder; see `CutoutService.cache_folder`."""
        host = name_host(self.base_url, Conf.sdss_url.defaultvalue)
        return f"{self.name}{host}/{self.layer}"

    def fetch(self, request: CutoutRequest, client: HttpClient) -> FetchedImage:
        """Fetch and validate one image; see `CutoutService.fetch`."""
        self.check_size(request.width, request.height)
        params = {
            "ra": f"{request.ra:.7f}",
            "dec": f"{request.dec:.7f}",
            "scale": f"{request.pixel_scale:g}",
            "width": request.width,
            "height": request.height,
        }

        def read(response: Response) -> FetchedImage:
            fetched = read_color(response, request)
            black = (fetched.image <= _BLACK_LEVEL).all(axis=-1)
            # A uniform image is none of SkyServer's tiles: it may be an outage's.
            if black.mean() >= _BLACK_SHARE and not black.all():
                raise NoCoverageError("outside the footprint: a black image with a text")
            return fetched

        return client.get(
            f"{self.base_url}/getjpeg", params, read=read, max_bytes=request.limit_bytes()
        )


@register_service("sdss-frames")
class SDSSFrames(CutoutService):
    """Stacks of fluxes from SDSS's calibrated frames, one channel per band.

    For each image, SkyServer's catalogue lists the fields around it, and their frames come from
    the Science Archive Server: about three megabytes per field and band. So this is a service for
    hundreds of sources, and neighbours share the frames. Astroquery writes the query and knows the
    addresses. Values are nanomaggies per native pixel (0.396″), with the sky subtracted; they are
    resampled as by `LocalImages`.

    Parameters
    ----------
    layer : str, optional
        Data release, ``"dr13"`` to ``"dr17"``.
    base_url : str, optional
        Base URL of the archive server; by default ``shredfinder.conf.sdss_sas_url``.
    search_url : str, optional
        Base URL of SkyServer; by default ``shredfinder.conf.sdss_sql_url``.
    bands : sequence of str, optional
        Bands, by default all five.

    Examples
    --------
    >>> from shredfinder.cutouts import SDSSFrames
    >>> SDSSFrames().bands, SDSSFrames().color_mapping
    (('u', 'g', 'r', 'i', 'z'), 'flux')
    """

    name = "sdss-frames"
    color_mapping = FLUX
    flux_pixel_scale = _FACTS.native_pixel_scale
    pixel_scale = _FACTS.pixel_scale
    size = _FACTS.size
    max_size = 1024
    groups = True
    rate = 4.0
    max_workers = 4

    def __init__(
        self,
        *,
        layer: str = "dr17",
        base_url: str | None = None,
        search_url: str | None = None,
        bands: Sequence[str] = "ugriz",
    ) -> None:
        if layer not in {f"dr{n}" for n in range(13, 18)}:
            raise ValueError(f"layer must be one of dr13 to dr17, not {layer!r}")
        if not bands or not set(bands) <= set("ugriz"):
            raise ValueError(f"bands must be some of u, g, r, i and z, not {bands!r}")
        self.layer = layer
        self.bands = tuple(bands)
        self.base_url = complete_url(base_url or conf.sdss_sas_url, Conf.sdss_sas_url.defaultvalue)
        self.search_url = (search_url or conf.sdss_sql_url).rstrip("/")

    def cache_folder(self) -> str:
        """Return the name of the cache folder; see `CutoutService.cache_folder`."""
        host = name_host(self.base_url, Conf.sdss_sas_url.defaultvalue)
        return f"{self.name}{host}/{self.layer}-{''.join(self.bands)}"

    def fetch(self, request: CutoutRequest, client: HttpClient) -> FetchedImage:
        """Find the fields, fetch and resample their frames; see `CutoutService.fetch`."""
        from astroquery.sdss import SDSSClass

        self.check_size(request.width, request.height)
        planes: dict[str, list[Any]] = {band: [] for band in self.bands}
        for field in self._find_fields(request, client):
            for band in self.bands:
                url = SDSSClass.IMAGING_URL_SUFFIX.format(
                    base=self.base_url,
                    dr=self.layer[2:],
                    # The folder of the archive in which the imaging frames of DR13 to DR17 are.
                    instrument="eboss",
                    band=band,
                    **dict(zip(_FIELD, field, strict=True)),
                )
                planes[band] += client.get(url, read=_read_frame, max_bytes=_MAX_BYTES)
        return make_cutout(planes, request, bands=self.bands, color_mapping=FLUX, flux_scale=1.0)

    def _find_fields(self, request: CutoutRequest, client: HttpClient) -> list[tuple[int, ...]]:
        """Query the fields of the catalogue's primary sources around a position."""
        from astroquery.sdss import SDSSClass

        release = int(self.layer[2:])
        half = max(request.width, request.height) / 2 + MARGIN
        # A small box might hold no catalogued source, although a field covers it.
        half = max(half * request.pixel_scale / 3600, _MIN_EXTENT / 2)
        query = (
            f"SELECT DISTINCT {', '.join(_FIELD)} FROM PhotoPrimary WHERE "
            f"dec BETWEEN {request.dec - half:.6f} AND {request.dec + half:.6f} AND "
            # A degree of right ascension shrinks with cos(Dec).
            f"({limit_ra(request.ra, half / np.cos(np.radians(request.dec)))})"
        )
        payload = SDSSClass().query_sql(query, data_release=release, get_query_payload=True)
        url = self.search_url + SDSSClass.QUERY_URL_SUFFIX_DR_NEW.format(dr=release)
        fields = client.get(url, payload, read=read_fields, max_bytes=_MAX_LIST_BYTES)
        if not fields:
            raise NoCoverageError("no field of the survey holds the position")
        return fields


def limit_ra(ra: float, half: float) -> str:
    """Write the SQL condition for a range of right ascension, which may cross 0°."""
    low, high = (ra - half) % 360, (ra + half) % 360
    if low < high:
        return f"ra BETWEEN {low:.6f} AND {high:.6f}"
    # The range crosses RA 0: two intervals.
    return f"ra >= {low:.6f} OR ra <= {high:.6f}"


def read_fields(response: Response) -> list[tuple[int, ...]]:
    """Read SkyServer's CSV list of fields: run, rerun, camcol and field of each."""
    text = response.content.decode("utf-8", "replace")
    lines = [line.strip() for line in text.splitlines()]
    # SkyServer starts its CSV with a comment line such as #Table1.
    lines = [line for line in lines if line and not line.startswith("#")]
    if not lines or tuple(lines[0].lower().split(",")) != _FIELD:
        raise BadResponseError(f"not a list of fields but: {' '.join(text.split())[:200]}")
    try:
        fields = [tuple(int(value) for value in line.split(",")) for line in lines[1:]]
    except ValueError as error:
        raise TransientServiceError(f"the list of fields is broken: {error}") from error
    if any(len(field) != len(_FIELD) for field in fields):
        raise TransientServiceError("the list of fields is truncated")
    return fields


def _read_frame(response: Response) -> list[tuple[np.ndarray, WCS, FluxUnit]]:
    """Decompress and read a frame, as `read_planes` does."""
    decompressor = bz2.BZ2Decompressor()
    try:
        # Bounded: a small file may expand to any size.
        content = decompressor.decompress(response.content, _MAX_BYTES)
    except (OSError, EOFError) as error:
        raise BadResponseError(
            f"not a compressed image from {response.url}: {response.content[:16]!r}",
            CutoutFlag.NOT_AN_IMAGE,
        ) from error
    # The limit was reached, so there is more.
    if len(content) >= _MAX_BYTES:
        raise BadResponseError(f"the image from {response.url} has more than {_MAX_BYTES} bytes")
    if not decompressor.eof:
        raise TransientServiceError(
            f"the image from {response.url} is truncated", CutoutFlag.CORRUPTED
        )
    return read_planes(content)
