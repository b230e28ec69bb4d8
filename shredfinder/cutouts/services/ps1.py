"""Pan-STARRS1: the list of images at a position, then a cutout of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from shredfinder._net.addresses import complete_address, name_host
from shredfinder._net.bodies import find_suffix
from shredfinder._net.errors import BadAnswerError, NoCoverageError, TransientError
from shredfinder.config import Conf, conf
from shredfinder.cutouts.decoding import decode_color
from shredfinder.cutouts.services.base import Answer, CutoutService, register_service
from shredfinder.cutouts.services.mosaics import MARGIN, make_cutout, read_planes
from shredfinder.imaging.checks import CutoutFlag
from shredfinder.imaging.cutouts import FLUX
from shredfinder.surveys import PS1 as _FACTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shredfinder._net.client import HttpClient
    from shredfinder.cutouts.services.base import CutoutRequest

__all__ = ["PanSTARRS"]

_NATIVE = _FACTS.native_pixel_scale
_COLUMNS = {"filter", "type", "filename"}


@register_service("ps1")
class PanSTARRS(CutoutService):
    """Cutouts of Pan-STARRS1 DR2 stacks (``ps1filenames.py`` and ``fitscut.cgi``).

    A colour image takes two requests. Its red, green and blue are i, r and g, scaled by the
    service to each image's own range of values. FITS images, one request a band, come at
    0.25″/px and are resampled here as `LocalImages` are; their values are the stacks' own linear
    counts. More than ten connections at once get blocked.

    Parameters
    ----------
    layer : str, optional
        Kind of image: only ``"stack"``.
    base_url : str, optional
        URL of the folder that holds both scripts; by default ``shredfinder.conf.ps1_url``.
    image_format : {"jpg", "fits"}, optional
        Colour images, or stacks of fluxes, one channel a band.
    bands : sequence of str, optional
        Bands of FITS images, by default all five.

    Examples
    --------
    >>> from shredfinder.cutouts import PanSTARRS
    >>> PanSTARRS().bands, PanSTARRS().groups
    (('i', 'r', 'g'), False)
    >>> stacks = PanSTARRS(image_format="fits")
    >>> stacks.bands, stacks.color_mapping
    (('g', 'r', 'i', 'z', 'y'), 'flux')
    """

    name = "ps1"
    pixel_scale = _FACTS.pixel_scale
    size = _FACTS.size
    max_size = 6000
    rate = 5.0
    max_workers = 5

    def __init__(
        self,
        *,
        layer: str = "stack",
        base_url: str | None = None,
        image_format: Literal["jpg", "fits"] = "jpg",
        bands: Sequence[str] | None = None,
    ) -> None:
        if layer != "stack":
            raise ValueError(f"layer must be 'stack', not {layer!r}")
        if image_format not in ("jpg", "fits"):
            raise ValueError(f"image_format must be 'jpg' or 'fits', not {image_format!r}")
        if image_format == "jpg" and bands is not None:
            raise ValueError("colour images show i, r and g: image_format='fits' takes bands")
        if not set(bands or "grizy") <= set("grizy"):
            raise ValueError(f"bands must be some of g, r, i, z and y, not {bands!r}")
        self.image_format = image_format
        if image_format == "fits":
            self.bands, self.color_mapping = tuple(bands or "grizy"), FLUX
            # Images of fluxes have one scale, and are fetched with room to spare.
            self.groups, self.max_size = True, 3000
        else:
            self.bands, self.color_mapping = _FACTS.bands, _FACTS.color_mapping
        self.layer = layer
        self.base_url = complete_address(base_url or conf.ps1_url, Conf.ps1_url.defaultvalue)

    def cache_folder(self) -> str:
        """Name the folder that holds these cutouts; see `CutoutService.cache_folder`."""
        host = name_host(self.base_url, Conf.ps1_url.defaultvalue)
        kind = "-fits" if self.image_format == "fits" else ""
        return f"{self.name}{host}/{self.layer}{kind}-{''.join(self.bands)}"

    def fetch(self, request: CutoutRequest, client: HttpClient) -> Answer:
        """Ask for one image and check it; see `CutoutService.fetch`."""
        self.check_size(request.width, request.height)
        position = {"ra": f"{request.ra:.7f}", "dec": f"{request.dec:.7f}"}
        names = self._find_images(position, client)
        if self.image_format == "fits":
            return self._fetch_fluxes(request, position, names, client)
        if request.width != request.height:
            raise ValueError("Pan-STARRS1's colour images are square")
        red, green, blue = (names[band] for band in self.bands)
        # The side is a whole number of native pixels: right to half of one.
        side = round(request.width * request.pixel_scale / _NATIVE)
        params = position | {
            "size": side,
            "output_size": request.width,
            "format": "jpg",
            "red": red,
            "green": green,
            "blue": blue,
        }

        def read(body):
            image, suffix = decode_color(body.content, request, body.content_type)
            return Answer(image, body.content, suffix)

        return client.fetch(f"{self.base_url}/fitscut.cgi", read, params)

    def _fetch_fluxes(self, request, position, names, client):
        """Fetch an image of each band, at the native scale, and resample them."""
        margin = request.pixel_scale * MARGIN
        extent = max(request.width, request.height) * request.pixel_scale + 2 * margin
        params = position | {"size": math.ceil(extent / _NATIVE), "format": "fits"}
        planes = {}
        for band in self.bands:
            image = params | {"red": names[band]}
            planes[band] = client.fetch(f"{self.base_url}/fitscut.cgi", read_planes, image)
        return make_cutout(planes, request, bands=self.bands, color_mapping=FLUX)

    def _find_images(self, position, client):
        """Names of the images of each band."""
        params = position | {"filters": "".join(sorted(self.bands)), "type": self.layer}
        return client.fetch(f"{self.base_url}/ps1filenames.py", self._read_names, params)

    def _read_names(self, body):
        if find_suffix(body.content):
            raise BadAnswerError("an image in place of a list of images", CutoutFlag.FAILED)
        header, *lines = body.content.decode("utf-8", "replace").splitlines() or [""]
        columns = header.split()
        if not set(columns) >= _COLUMNS:
            raise BadAnswerError(f"not a list of images but: {header[:200]}", CutoutFlag.FAILED)
        if any(len(line.split()) != len(columns) for line in lines):
            raise TransientError("the list of images is cut short")
        rows = [dict(zip(columns, line.split(), strict=True)) for line in lines]
        names = {row["filter"]: row["filename"] for row in rows if row.get("type") == self.layer}
        missing = [band for band in self.bands if band not in names]
        if missing:
            raise NoCoverageError(f"no image in {', '.join(missing)}")
        return names
