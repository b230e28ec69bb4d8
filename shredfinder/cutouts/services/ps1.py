"""Pan-STARRS1: the list of images at a position, then a cutout of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from shredfinder._net.client import find_suffix
from shredfinder.config import Conf, conf
from shredfinder.cutouts.decoding import read_color
from shredfinder.cutouts.services.base import (
    CutoutRequest,
    CutoutService,
    FetchedImage,
    complete_url,
    name_host,
    register_service,
)
from shredfinder.cutouts.services.local import MARGIN, make_cutout
from shredfinder.cutouts.services.planes import read_planes
from shredfinder.exceptions import BadResponseError, NoCoverageError, TransientServiceError
from shredfinder.imaging.cutouts import FLUX
from shredfinder.surveys import PS1 as _FACTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shredfinder._net.client import HttpClient, Response

__all__ = ["PanSTARRS"]

_NATIVE = _FACTS.native_pixel_scale
_COLUMNS = {"filter", "type", "filename"}
# A list of images has some kilobytes.
_MAX_LIST_BYTES = 2**20


@register_service("ps1")
class PanSTARRS(CutoutService):
    """Cutouts of Pan-STARRS1 DR2 stacks (``ps1filenames.py`` and ``fitscut.cgi``).

    A colour image takes two requests. Its red, green and blue are i, r and g, which the service
    scales to each image's own range of values. FITS images take one request per band; they come
    at 0.25″/px and are resampled as by `LocalImages`, and their values are the stacks' own linear
    counts. The service blocks clients with more than ten connections.

    Parameters
    ----------
    layer : str, optional
        Kind of image: only ``"stack"``.
    base_url : str, optional
        URL of the folder that holds both scripts; by default ``shredfinder.conf.ps1_url``.
    image_format : {"jpg", "fits"}, optional
        Colour images, or stacks of fluxes, one channel per band.
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
            raise ValueError(
                f"bands {bands!r}: colour images show i, r and g; choose image_format='fits' for "
                "other bands"
            )
        if not set(bands or "grizy") <= set("grizy"):
            raise ValueError(f"bands must be some of g, r, i, z and y, not {bands!r}")
        self.image_format = image_format
        if image_format == "fits":
            self.bands, self.color_mapping = tuple(bands or "grizy"), FLUX
            # Unlike colour images, fluxes have one scale, so that neighbours can share an image.
            self.groups, self.max_size = True, 3000
        else:
            self.bands, self.color_mapping = _FACTS.bands, _FACTS.color_mapping
        self.layer = layer
        self.base_url = complete_url(base_url or conf.ps1_url, Conf.ps1_url.defaultvalue)

    def cache_folder(self) -> str:
        """Return the name of the cache folder; see `CutoutService.cache_folder`."""
        host = name_host(self.base_url, Conf.ps1_url.defaultvalue)
        kind = "-fits" if self.image_format == "fits" else ""
        return f"{self.name}{host}/{self.layer}{kind}-{''.join(self.bands)}"

    def fetch(self, request: CutoutRequest, client: HttpClient) -> FetchedImage:
        """Fetch and validate one image; see `CutoutService.fetch`."""
        self.check_size(request.width, request.height)
        # First the names of the stacks at the position, then images of them.
        position = {"ra": f"{request.ra:.7f}", "dec": f"{request.dec:.7f}"}
        names = client.get(
            f"{self.base_url}/ps1filenames.py",
            position | {"filters": "".join(sorted(self.bands)), "type": self.layer},
            read=self._read_names,
            max_bytes=_MAX_LIST_BYTES,
        )
        if self.image_format == "fits":
            return self._fetch_fluxes(request, position, names, client)
        if request.width != request.height:
            raise ValueError(
                "Pan-STARRS1's colour images are square, not of "
                f"{request.width}×{request.height} px"
            )
        # The bands are in the order red, green and blue.
        red, green, blue = (names[band] for band in self.bands)
        # The side is a whole number of native pixels, so the scale is right to half of one.
        side = round(request.width * request.pixel_scale / _NATIVE)
        params = position | {
            "size": side,
            "output_size": request.width,
            "format": "jpg",
            "red": red,
            "green": green,
            "blue": blue,
        }

        return client.get(
            f"{self.base_url}/fitscut.cgi",
            params,
            read=lambda response: read_color(response, request),
            max_bytes=request.limit_bytes(),
        )

    def _fetch_fluxes(
        self,
        request: CutoutRequest,
        position: dict[str, str],
        names: dict[str, str],
        client: HttpClient,
    ) -> FetchedImage:
        """Fetch an image of each band at the native scale, and resample them."""
        # Resampling needs pixels beyond the edges of the cutout.
        margin = request.pixel_scale * MARGIN
        extent = max(request.width, request.height) * request.pixel_scale + 2 * margin
        # `size` counts native pixels, whatever the requested scale.
        side = math.ceil(extent / _NATIVE)
        params = position | {"size": side, "format": "fits"}
        native = CutoutRequest(request.ra, request.dec, side, side, _NATIVE)
        planes = {}
        for band in self.bands:
            planes[band] = client.get(
                f"{self.base_url}/fitscut.cgi",
                params | {"red": names[band]},
                read=lambda response: read_planes(
                    response.content, response.headers.get("Content-Type", "")
                ),
                max_bytes=native.limit_bytes(1, 4),
            )
        return make_cutout(planes, request, bands=self.bands, color_mapping=FLUX, flux_scale=1.0)

    def _read_names(self, response: Response) -> dict[str, str]:
        """Read the file name of each band's image from the service's list."""
        if find_suffix(response.content):
            raise BadResponseError("an image in place of a list of images")
        # Plain text: a line of column names, then one line per image.
        header, *lines = response.content.decode("utf-8", "replace").splitlines() or [""]
        columns = header.split()
        if not set(columns) >= _COLUMNS:
            raise BadResponseError(f"not a list of images but: {header[:200]}")
        if any(len(line.split()) != len(columns) for line in lines):
            raise TransientServiceError("the list of images is truncated")
        rows = [dict(zip(columns, line.split(), strict=True)) for line in lines]
        names = {row["filter"]: row["filename"] for row in rows if row.get("type") == self.layer}
        missing = [band for band in self.bands if band not in names]
        if missing:
            raise NoCoverageError(f"no image in {', '.join(missing)}")
        return names
