"""CDS hips2fits: cutouts of any HiPS, through astroquery."""

from shredfinder.config import Conf, conf
from shredfinder.cutouts.addresses import name_host
from shredfinder.cutouts.decoding import decode_color
from shredfinder.cutouts.service import Answer, CutoutService, register_service
from shredfinder.optional import import_optional

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
    """Colour cutouts of a HiPS from CDS's hips2fits, by way of `astroquery.hips2fits`.

    The colours of a HiPS are its own, also where the survey is the same: the model for the
    Legacy Surveys' viewer refuses them. There is no HiPS of DR9. Astroquery puts the query
    together, which needs matplotlib; it is sent as all others are, with their checks, retries
    and time limits.

    Parameters
    ----------
    layer : str, optional
        Full identifier of a colour HiPS, such as ``"CDS/P/PanSTARRS/DR1/color-i-r-g"``. (An
        abbreviated one would be resolved to any HiPS that matches.)
    base_url : str, optional
        URL of hips2fits; by default ``shredfinder.conf.hips2fits_url``.
    bands : sequence of str, optional
        Bands behind red, green and blue, of a HiPS that is not known here.

    Examples
    --------
    >>> from shredfinder.cutouts import HiPS
    >>> HiPS(layer="CDS/P/SDSS9/color").bands
    ('i', 'r', 'g')
    """

    name = "hips"
    max_size = 5000
    groups = True
    rate = 4.0
    max_workers = 4

    def __init__(self, *, layer="CDS/P/DESI-Legacy-Surveys/DR10/color", base_url=None, bands=None):
        if layer.count("/") < 2:
            raise ValueError(
                f"{layer!r} is not the full identifier of a HiPS: give one such as "
                f"{', '.join(sorted(_BANDS))}"
            )
        self.layer = layer
        self.base_url = (base_url or conf.hips2fits_url).rstrip("/")
        self.bands = tuple(bands or _BANDS.get(layer, ("red", "green", "blue")))
        self.color_mapping = f"hips:{layer}"

    def cache_folder(self):
        """Name the folder that holds these cutouts; see `CutoutService.cache_folder`."""
        host = name_host(self.base_url, Conf.hips2fits_url.defaultvalue)
        return f"{self.name}{host}/{self.layer.replace('/', '_')}"

    def fetch(self, request, client):
        """Ask for one image and check it; see `CutoutService.fetch`."""
        # Astroquery imports it while it puts a query together.
        import_optional("matplotlib", "The service 'hips'")
        from astropy import units as u
        from astropy.coordinates import Angle, Latitude, Longitude
        from astroquery.hips2fits import hips2fits

        self.check_size(request.width, request.height)
        # The field of view is that of the larger side.
        field = max(request.width, request.height) * request.pixel_scale
        payload = hips2fits.query(
            hips=self.layer,
            width=request.width,
            height=request.height,
            projection="TAN",
            ra=Longitude(request.ra * u.deg),
            dec=Latitude(request.dec * u.deg),
            fov=Angle(field * u.arcsec),
            format="jpg",
            get_query_payload=True,
        )
        body = client.get(self.base_url, payload)
        image, suffix = decode_color(body.content, request.width, request.height)
        return Answer(image, body.content, suffix)
