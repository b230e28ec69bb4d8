"""CDS hips2fits: cutouts of any HiPS, through astroquery."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from shredfinder._net.addresses import complete_address, name_host
from shredfinder._utils.runtime import import_optional
from shredfinder.config import Conf, conf
from shredfinder.cutouts.decoding import decode_color, decode_fits
from shredfinder.cutouts.services.base import Answer, CutoutService, register_service
from shredfinder.imaging.cutouts import FLUX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shredfinder._net.client import HttpClient
    from shredfinder.cutouts.services.base import CutoutRequest

__all__ = ["HiPS"]

# Bands behind red, green and blue of the colour HiPS; "zg" is the mean of z and g.
_BANDS = {
    "CDS/P/DESI-Legacy-Surveys/DR10/color": ("z", "r", "g"),
    "CDS/P/SDSS9/color": ("i", "r", "g"),
    "CDS/P/PanSTARRS/DR1/color-i-r-g": ("i", "r", "g"),
    "CDS/P/PanSTARRS/DR1/color-z-zg-g": ("z", "zg", "g"),
}


@register_service("hips")
class HiPS(CutoutService):
    """Cutouts of colour or single-band HiPS from CDS's hips2fits, by `astroquery.hips2fits`.

    The colours of a HiPS are its own, also where the survey is the same: the model for the
    Legacy Surveys' viewer refuses them. There is no HiPS of DR9. Astroquery puts the query
    together, which needs matplotlib; it is sent as all others are, with their checks, retries
    and time limits.

    Parameters
    ----------
    layer : str, optional
        Full identifier of a colour HiPS, such as ``"CDS/P/PanSTARRS/DR1/color-i-r-g"``. (An
        abbreviated one would be resolved to any HiPS that matches.)
        Where ``image_format`` is ``"fits"``, one for each band, separated by commas or in a
        list.
    base_url : str, optional
        URL of hips2fits; by default ``shredfinder.conf.hips2fits_url``.
    bands : sequence of str, optional
        Bands behind red, green and blue, of a colour HiPS that is not known here; or the bands
        of the single-band ones, in their order.
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
            if name.count("/") < 2:
                raise ValueError(
                    f"{name!r} is not the full identifier of a HiPS: give one such as "
                    f"{', '.join(sorted(_BANDS))}"
                )
        self.image_format = image_format
        self.layers, self.layer = layers, ",".join(layers)
        self.base_url = complete_address(
            base_url or conf.hips2fits_url, Conf.hips2fits_url.defaultvalue
        )
        if image_format == "fits":
            if bands is None or len(bands) != len(layers):
                raise ValueError(
                    f"single-band images need one band for each of {len(layers)} HiPS, not "
                    f"{bands!r}: name them, such as bands='g'"
                )
            self.bands, self.color_mapping = tuple(bands), FLUX
        elif len(layers) > 1:
            raise ValueError(
                f"{len(layers)} HiPS were given: a colour image is that of one; for single bands "
                "choose image_format='fits'"
            )
        else:
            self.bands = tuple(bands or _BANDS.get(self.layer, ("red", "green", "blue")))
            self.color_mapping = f"hips:{self.layer}"

    def cache_folder(self) -> str:
        """Name the folder that holds these cutouts; see `CutoutService.cache_folder`."""
        host = name_host(self.base_url, Conf.hips2fits_url.defaultvalue)
        return f"{self.name}{host}/{'+'.join(self.layers)}"

    def fetch(self, request: CutoutRequest, client: HttpClient) -> Answer:
        """Ask for one image and check it; see `CutoutService.fetch`."""
        self.check_size(request.width, request.height)

        def read_color(body):
            image, suffix = decode_color(body.content, request, body.content_type)
            return Answer(image, body.content, suffix)

        def read_band(body):
            return decode_fits(body.content, request, 1, body.content_type)

        if self.image_format == "jpg":
            return self._ask(self.layer, request, client, read_color)
        images = [self._ask(name, request, client, read_band) for name in self.layers]
        return Answer(np.concatenate(images, axis=-1), suffix=".fits")

    def _ask(self, layer, request, client, read):
        # Astroquery imports it while it puts a query together.
        import_optional("matplotlib", "The service 'hips'")
        from astropy import units as u
        from astropy.coordinates import Angle, Latitude, Longitude
        from astroquery.hips2fits import hips2fits

        # The field of view is that of the larger side.
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
        return client.fetch(self.base_url, read, payload)
