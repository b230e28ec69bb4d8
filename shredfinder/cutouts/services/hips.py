"""CDS hips2fits: cutouts of any HiPS, through astroquery."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np

from shredfinder._utils.runtime import import_optional
from shredfinder.config import Conf, conf
from shredfinder.cutouts.decoding import decode_fits, read_color
from shredfinder.cutouts.services.base import (
    CutoutService,
    FetchedImage,
    complete_url,
    name_host,
    register_service,
)
from shredfinder.imaging.cutouts import FLUX

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shredfinder._net.client import HttpClient, Response
    from shredfinder.cutouts.services.base import CutoutRequest

__all__ = ["HiPS"]

T = TypeVar("T")

# Bands shown as red, green and blue by the colour HiPS; "zg" is the mean of z and g.
_BANDS = {
    "CDS/P/DESI-Legacy-Surveys/DR10/color": ("z", "r", "g"),
    "CDS/P/SDSS9/color": ("i", "r", "g"),
    "CDS/P/PanSTARRS/DR1/color-i-r-g": ("i", "r", "g"),
    "CDS/P/PanSTARRS/DR1/color-z-zg-g": ("z", "zg", "g"),
}


@register_service("hips")
class HiPS(CutoutService):
    """Cutouts of colour or single-band HiPS from CDS's hips2fits, by `astroquery.hips2fits`.

    The colours of a HiPS are its own, even for the same survey: the model for the Legacy Surveys'
    viewer refuses them. There is no HiPS of DR9. Astroquery writes the query, which needs
    matplotlib; the package's own client sends it.

    Parameters
    ----------
    layer : str, optional
        Full identifier of a colour HiPS, such as ``"CDS/P/PanSTARRS/DR1/color-i-r-g"``
        (hips2fits would resolve an abbreviated one to any HiPS that matches). With
        ``image_format="fits"``, one identifier per band, separated by commas or in a list.
    base_url : str, optional
        URL of hips2fits; by default ``shredfinder.conf.hips2fits_url``.
    bands : sequence of str, optional
        Bands shown as red, green and blue by a colour HiPS that is not known here; or the bands
        of single-band HiPS, in their order.
    image_format : {"jpg", "fits"}, optional
        Colour images, or the values of single-band HiPS, one channel each, in the HiPS's own
        unit.

    Examples
    --------
    >>> from shredfinder.cutouts import HiPS
    >>> HiPS(layer="CDS/P/SDSS9/color").bands
    ('i', 'r', 'g')
    >>> layers = ["CDS/P/PanSTARRS/DR1/g", "CDS/P/PanSTARRS/DR1/r"]
    >>> HiPS(layer=layers, bands="gr", image_format="fits").color_mapping
    'flux'
    """

    name = "hips"
    max_size = 5000
    groups = True
    rate = 4.0
    max_workers = 4

    def __init__(
        self,
        *,
        layer: str = "CDS/P/DESI-Legacy-Surveys/DR10/color",
        base_url: str | None = None,
        bands: Sequence[str] | None = None,
        image_format: Literal["jpg", "fits"] = "jpg",
    ) -> None:
        if image_format not in ("jpg", "fits"):
            raise ValueError(f"image_format must be 'jpg' or 'fits', not {image_format!r}")
        layers = layer.split(",") if isinstance(layer, str) else list(layer)
        for name in layers:
            # A full identifier has at least three parts, as CDS/P/SDSS9/color has.
            if name.count("/") < 2:
                raise ValueError(
                    f"layer {name!r} is not the full identifier of a HiPS: give one such as "
                    f"{', '.join(sorted(_BANDS))}"
                )
        self.image_format = image_format
        self.layers, self.layer = layers, ",".join(layers)
        self.base_url = complete_url(
            base_url or conf.hips2fits_url, Conf.hips2fits_url.defaultvalue
        )
        if image_format == "fits":
            if bands is None or len(bands) != len(layers):
                raise ValueError(
                    f"bands must name one band for each of {len(layers)} HiPS, such as bands='g', "
                    f"not {bands!r}"
                )
            self.bands, self.color_mapping = tuple(bands), FLUX
        elif len(layers) > 1:
            raise ValueError(
                f"layer names {len(layers)} HiPS but a colour image shows one; choose "
                "image_format='fits' for single bands"
            )
        else:
            self.bands = tuple(bands or _BANDS.get(self.layer, ("red", "green", "blue")))
            # A mapping of its own, which no model accepts without allow_other_colors.
            self.color_mapping = f"hips:{self.layer}"

    def cache_folder(self) -> str:
        """Return the name of the cache folder; see `CutoutService.cache_folder`."""
        host = name_host(self.base_url, Conf.hips2fits_url.defaultvalue)
        return f"{self.name}{host}/{'+'.join(self.layers)}"

    def fetch(self, request: CutoutRequest, client: HttpClient) -> FetchedImage:
        """Fetch and validate one image; see `CutoutService.fetch`."""
        self.check_size(request.width, request.height)

        def read_band(response: Response, band: str) -> np.ndarray:
            content_type = response.headers.get("Content-Type", "")
            return decode_fits(response.content, request, (band,), content_type)

        if self.image_format == "jpg":
            return self._get(
                self.layer, request, client, lambda response: read_color(response, request)
            )
        images = [
            self._get(name, request, client, partial(read_band, band=band))
            for name, band in zip(self.layers, self.bands, strict=True)
        ]
        # No body: the cache stores one cube in place of the single files.
        return FetchedImage(np.concatenate(images, axis=-1), suffix=".fits")

    def _get(
        self,
        layer: str,
        request: CutoutRequest,
        client: HttpClient,
        read: Callable[[Response], T],
    ) -> T:
        # Astroquery imports it while it writes a query.
        import_optional("matplotlib", "The service 'hips'")
        from astropy import units as u
        from astropy.coordinates import Angle, Latitude, Longitude
        from astroquery.hips2fits import hips2fits

        # hips2fits takes the field of view of the larger side.
        field = max(request.width, request.height) * request.pixel_scale
        payload = hips2fits.query(
            hips=layer,
            width=request.width,
            height=request.height,
            projection="TAN",
            ra=Longitude(request.ra * u.deg),
            dec=Latitude(request.dec * u.deg),
            fov=Angle(field * u.arcsec),
            format=self.image_format,
            get_query_payload=True,
        )
        max_bytes = request.limit_bytes(3 if self.image_format == "jpg" else 1, 4)
        return client.get(self.base_url, payload, read=read, max_bytes=max_bytes)
