"""SDSS SkyServer's image cutouts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shredfinder._net.addresses import complete_address, name_host
from shredfinder.config import Conf, conf
from shredfinder.cutouts.decoding import decode_color
from shredfinder.cutouts.services.base import Answer, CutoutService, register_service
from shredfinder.surveys import SDSS as _FACTS

if TYPE_CHECKING:
    from shredfinder._net.client import HttpClient
    from shredfinder.cutouts.services.base import CutoutRequest

__all__ = ["SDSS"]


@register_service("sdss")
class SDSS(CutoutService):
    """Colour cutouts of the Sloan Digital Sky Survey from SkyServer (``ImgCutout/getjpeg``).

    Red, green and blue are i, r and g. SkyServer delivers 64 to 2048 px a side, at any scale
    (native: 0.396127″).

    Parameters
    ----------
    layer : str, optional
        Data release; it names the cutouts, the base URL decides.
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
        self.base_url = complete_address(base_url or conf.sdss_url, Conf.sdss_url.defaultvalue)

    def cache_folder(self) -> str:
        """Name the folder that holds these cutouts; see `CutoutService.cache_folder`."""
        host = name_host(self.base_url, Conf.sdss_url.defaultvalue)
        return f"{self.name}{host}/{self.layer}"

    def fetch(self, request: CutoutRequest, client: HttpClient) -> Answer:
        """Ask for one image and check it; see `CutoutService.fetch`."""
        self.check_size(request.width, request.height)
        params = {
            "ra": f"{request.ra:.7f}",
            "dec": f"{request.dec:.7f}",
            "scale": f"{request.pixel_scale:g}",
            "width": request.width,
            "height": request.height,
        }
        body = client.get(f"{self.base_url}/getjpeg", params)
        image, suffix = decode_color(body.content, request, body.content_type)
        return Answer(image, body.content, suffix)
