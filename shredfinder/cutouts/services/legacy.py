"""The Legacy Surveys sky viewer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from shredfinder.config import Conf, conf
from shredfinder.cutouts.decoding import decode_color, decode_fits, read_color
from shredfinder.cutouts.services.base import (
    CutoutRequest,
    CutoutService,
    FetchedImage,
    complete_url,
    name_host,
    register_service,
)
from shredfinder.exceptions import (
    NoCoverageError,
    ServiceError,
    StoppedError,
    UnusableServiceError,
)
from shredfinder.imaging.checks import CutoutFlag, check_images
from shredfinder.imaging.cutouts import FLUX
from shredfinder.surveys import LEGACY

if TYPE_CHECKING:
    from collections.abc import Callable

    from shredfinder._net.client import HttpClient, Response

__all__ = ["LegacyViewer"]

# Width and height in pixels of the JPEG images that show whether a place is covered.
_PROBE_SIZE = 32


@register_service("legacy")
class LegacyViewer(CutoutService):
    """Cutouts from the Legacy Surveys sky viewer (``jpeg-cutout`` and ``fits-cutout``).

    The viewer publishes no rate limit, and throttles; the default rate is a careful guess. Images
    have at most 3000 px per side: the viewer clips larger ones silently, so they are refused
    here.

    Parameters
    ----------
    layer : str, optional
        Layer, such as ``"ls-dr9"``, ``"ls-dr9-south"`` or ``"ls-dr10-grz"``. The colour images
        of ``"ls-dr10"`` mix g, r, i and z; models for g, r and z refuse them, and those of layers
        that ``shredfinder.surveys.LEGACY.layers`` does not list.
    base_url : str, optional
        URL of the viewer or a mirror; by default ``shredfinder.conf.legacy_viewer_url``.
    image_format : {"jpeg", "fits"}, optional
        Colour images, or fluxes in nanomaggies, one channel per band.
    bands : str, optional
        Bands of FITS images, in the channels' order. JPEG images have those of their layer.

    Examples
    --------
    >>> from shredfinder.cutouts import LegacyViewer
    >>> viewer = LegacyViewer(layer="ls-dr10-grz")
    >>> viewer.bands, viewer.color_mapping, viewer.max_size
    (('z', 'r', 'g'), 'legacy-grz', 3000)
    """

    name = "legacy"
    max_size = 3000
    groups = True
    rate = 8.0
    max_workers = 6
    flux_pixel_scale = LEGACY.native_pixel_scale
    pixel_scale = LEGACY.pixel_scale
    size = LEGACY.size

    def __init__(
        self,
        *,
        layer: str = LEGACY.layer,
        base_url: str | None = None,
        image_format: Literal["jpeg", "fits"] = "jpeg",
        bands: str | None = None,
    ) -> None:
        if image_format not in ("jpeg", "fits"):
            raise ValueError(f"image_format must be 'jpeg' or 'fits', not {image_format!r}")
        self.layer = layer
        self.base_url = complete_url(
            base_url or conf.legacy_viewer_url, Conf.legacy_viewer_url.defaultvalue
        )
        self.image_format = image_format
        if image_format == "fits":
            self.bands, self.color_mapping = tuple(bands or "grz"), FLUX
        elif bands is not None and sorted(bands) != sorted("grz"):
            raise ValueError(
                f"bands {bands!r}: JPEG images have the colours of their layer; choose "
                "image_format='fits' for other bands"
            )
        else:
            # Layers of unknown colours get a mapping of their own, which no model accepts.
            self.color_mapping = LEGACY.layers.get(layer, f"viewer-{layer}")
            in_grz = self.color_mapping == LEGACY.color_mapping
            # Which bands other layers show as red, green and blue is not known.
            self.bands = LEGACY.bands if in_grz else ("red", "green", "blue")

    def cache_folder(self) -> str:
        """Return the name of the cache folder; see `CutoutService.cache_folder`."""
        host = name_host(self.base_url, Conf.legacy_viewer_url.defaultvalue)
        kind = "jpeg" if self.image_format == "jpeg" else f"fits-{''.join(self.bands)}"
        return f"{self.name}{host}/{self.layer}-{kind}"

    def fetch(self, request: CutoutRequest, client: HttpClient) -> FetchedImage:
        """Fetch and validate one image; see `CutoutService.fetch`."""
        self.check_size(request.width, request.height)
        params: dict[str, Any] = {
            "ra": f"{request.ra:.7f}",
            "dec": f"{request.dec:.7f}",
            "layer": self.layer,
            # Text without rounding noise, as in the names of the cache's folders.
            "pixscale": f"{request.pixel_scale:g}",
        }
        if request.width == request.height:
            params["size"] = request.width
        else:
            params |= {"width": request.width, "height": request.height}
        if self.image_format == "fits":
            params["bands"] = "".join(self.bands)
        elif self.color_mapping == LEGACY.color_mapping:
            params["bands"] = "grz"

        def read(response: Response) -> FetchedImage:
            content = response.content
            content_type = response.headers.get("Content-Type", "")
            # The viewer reports an unknown layer with status 200.
            if b"no such layer" in content[:200].lower():
                raise UnusableServiceError(
                    f"the viewer at {self.base_url} has no layer {self.layer!r}: choose one such "
                    "as 'ls-dr9', 'ls-dr9-north', 'ls-dr9-south' or 'ls-dr10-grz'"
                )
            if self.image_format == "fits":
                image = decode_fits(content, request, self.bands, content_type)
                return FetchedImage(image, content, ".fits")
            image, suffix = decode_color(content, request, content_type)
            return FetchedImage(image, content, suffix)

        examine = None
        if self.image_format == "fits":
            examine = self._examine_failures(request, params, client)
        url = f"{self.base_url}/{self.image_format}-cutout"
        max_bytes = request.limit_bytes(len(self.bands), 4 if self.image_format == "fits" else 1)
        return client.get(url, params, read=read, max_bytes=max_bytes, examine=examine)

    def _examine_failures(
        self, request: CutoutRequest, params: dict[str, Any], client: HttpClient
    ) -> Callable[[ServiceError], None]:
        """Return a function that raises `NoCoverageError` for a FITS image outside the footprint.

        There the viewer responds with status 500 as in an outage, whereas its JPEG images are
        uniform. So a small JPEG of the same field decides, once it could be fetched.
        """
        side = max(request.width, request.height)
        probe = CutoutRequest(
            request.ra, request.dec, _PROBE_SIZE, _PROBE_SIZE, request.pixel_scale
        )
        names = ("ra", "dec", "layer")
        small = {name: params[name] for name in names} | {
            "pixscale": f"{request.pixel_scale * side / _PROBE_SIZE:.7g}",
            "size": _PROBE_SIZE,
        }
        covered = False

        def examine(error: ServiceError) -> None:
            nonlocal covered
            if error.status != 500 or covered:
                return
            try:
                fetched = client.get(
                    f"{self.base_url}/jpeg-cutout",
                    small,
                    read=lambda response: read_color(response, probe),
                    max_bytes=probe.limit_bytes(),
                    retry=False,
                )
            except StoppedError:
                raise
            except ServiceError:
                return  # the next attempt tries again
            covered = check_images(fetched.image[np.newaxis])[0] != CutoutFlag.BLANK
            if not covered:
                raise NoCoverageError(
                    "outside the footprint: status 500, and the JPEG image is uniform"
                ) from error

        return examine
