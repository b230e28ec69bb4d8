"""SDSS's calibrated images, the frames, found and addressed through astroquery."""

from __future__ import annotations

import bz2
from typing import TYPE_CHECKING, Any

import numpy as np

from shredfinder._net.addresses import complete_address, name_host
from shredfinder._net.client import Body
from shredfinder._net.errors import BadAnswerError, NoCoverageError, TransientError
from shredfinder.config import Conf, conf
from shredfinder.cutouts.services.base import CutoutService, register_service
from shredfinder.cutouts.services.mosaics import MARGIN, make_cutout, read_planes
from shredfinder.imaging.checks import CutoutFlag
from shredfinder.imaging.cutouts import FLUX
from shredfinder.surveys import SDSS as _FACTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shredfinder._net.client import HttpClient
    from shredfinder.cutouts.services.base import Answer, CutoutRequest

__all__ = ["SDSSFrames"]

_COLUMNS = ("run", "rerun", "camcol", "field")
# Degrees around a position within which there is a source of any field that covers it.
_MIN_EXTENT = 0.05
# A frame has 2048 × 1489 px of four bytes, and tables beside.
_MAX_BYTES = 64 * 2**20


@register_service("sdss-frames")
class SDSSFrames(CutoutService):
    """Stacks of fluxes from SDSS's calibrated frames, one channel a band.

    For each image the fields around it are looked up in SkyServer's catalogue, and their frames
    fetched from the Science Archive Server: some three megabytes a field and band, so that
    this is a service for hundreds of sources, and neighbours share the frames. Astroquery writes
    the query and knows the addresses. Values are nanomaggies per native pixel (0.396″), with the
    sky subtracted; they are resampled as those of `LocalImages` are.

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
        self.base_url = complete_address(
            base_url or conf.sdss_sas_url, Conf.sdss_sas_url.defaultvalue
        )
        self.search_url = (search_url or conf.sdss_sql_url).rstrip("/")

    def cache_folder(self) -> str:
        """Name the folder that holds these cutouts; see `CutoutService.cache_folder`."""
        host = name_host(self.base_url, Conf.sdss_sas_url.defaultvalue)
        return f"{self.name}{host}/{self.layer}-{''.join(self.bands)}"

    def fetch(self, request: CutoutRequest, client: HttpClient) -> Answer:
        """Find the fields, fetch and resample their frames; see `CutoutService.fetch`."""
        from astroquery.sdss import SDSSClass

        self.check_size(request.width, request.height)
        planes: dict[str, list[Any]] = {band: [] for band in self.bands}
        for field in self._find_fields(request, client):
            for band in self.bands:
                url = SDSSClass.IMAGING_URL_SUFFIX.format(
                    base=self.base_url,
                    dr=self.layer[2:],
                    instrument="eboss",
                    band=band,
                    **dict(zip(_COLUMNS, field, strict=True)),
                )
                planes[band] += client.fetch(url, _read_frame)
        return make_cutout(planes, request, bands=self.bands, color_mapping=FLUX)

    def _find_fields(self, request, client):
        """Look up which fields the catalogue's primary sources around a position are from."""
        from astroquery.sdss import SDSSClass

        release = int(self.layer[2:])
        half = max(request.width, request.height) / 2 + MARGIN
        half = max(half * request.pixel_scale / 3600, _MIN_EXTENT / 2)
        query = (
            f"SELECT DISTINCT {', '.join(_COLUMNS)} FROM PhotoPrimary WHERE "
            f"dec BETWEEN {request.dec - half:.6f} AND {request.dec + half:.6f} AND "
            f"({_limit_ra(request.ra, half / np.cos(np.radians(request.dec)))})"
        )
        payload = SDSSClass().query_sql(query, data_release=release, get_query_payload=True)
        url = self.search_url + SDSSClass.QUERY_URL_SUFFIX_DR_NEW.format(dr=release)
        fields = client.fetch(url, _read_fields, payload)
        if not fields:
            raise NoCoverageError("no field of the survey holds the position")
        return fields


def _limit_ra(ra, half):
    """Write a range of right ascension, which may run over the meridian."""
    low, high = (ra - half) % 360, (ra + half) % 360
    if low < high:
        return f"ra BETWEEN {low:.6f} AND {high:.6f}"
    return f"ra >= {low:.6f} OR ra <= {high:.6f}"


def _read_fields(body):
    text = body.content.decode("utf-8", "replace")
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    if not lines or tuple(lines[0].lower().split(",")) != _COLUMNS:
        start = " ".join(text.split())[:200]
        raise BadAnswerError(f"not a list of fields but: {start}", CutoutFlag.FAILED)
    try:
        fields = [tuple(int(value) for value in line.split(",")) for line in lines[1:]]
    except ValueError as error:
        raise TransientError(f"the list of fields is broken: {error}") from error
    if any(len(field) != len(_COLUMNS) for field in fields):
        raise TransientError("the list of fields is cut short")
    return fields


def _read_frame(body):
    decompressor = bz2.BZ2Decompressor()
    try:
        content = decompressor.decompress(body.content, _MAX_BYTES)
    except (OSError, EOFError) as error:
        raise BadAnswerError(
            f"not a compressed image from {body.url}: {body.content[:16]!r}",
            CutoutFlag.NOT_AN_IMAGE,
        ) from error
    if not decompressor.eof:
        raise TransientError(f"the image from {body.url} is cut short", CutoutFlag.CORRUPTED)
    return read_planes(Body(content, "", body.url))
