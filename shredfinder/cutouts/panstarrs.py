"""Pan-STARRS1: the list of images at a position, then a cutout of them."""

from shredfinder.config import Conf, conf
from shredfinder.cutouts.addresses import name_host
from shredfinder.cutouts.decoding import decode_color, find_suffix
from shredfinder.cutouts.errors import BadAnswerError, NoCoverageError, TransientError
from shredfinder.cutouts.service import Answer, CutoutService, register_service
from shredfinder.imaging.flags import CutoutFlag
from shredfinder.surveys import get_survey

__all__ = ["PanSTARRS"]

_FACTS = get_survey("ps1-dr2")
_COLUMNS = {"filter", "type", "filename"}


@register_service("ps1")
class PanSTARRS(CutoutService):
    """Colour cutouts of Pan-STARRS1 stacks (``ps1filenames.py`` and ``fitscut.cgi``).

    Each cutout takes two requests. Red, green and blue are i, r and g, scaled by the service
    to each image's own range of values. More than ten connections at once get blocked.

    Parameters
    ----------
    layer : str, optional
        Kind of image: only ``"stack"``.
    base_url : str, optional
        URL of the folder that holds both scripts; by default ``shredfinder.conf.ps1_url``.

    Examples
    --------
    >>> from shredfinder.cutouts import PanSTARRS
    >>> PanSTARRS().bands, PanSTARRS().groups
    (('i', 'r', 'g'), False)
    """

    name = "ps1"
    bands = _FACTS.bands
    color_mapping = _FACTS.color_mapping
    pixel_scale = _FACTS.pixel_scale
    size = _FACTS.size
    max_size = 6000
    rate = 5.0
    max_workers = 5

    def __init__(self, *, layer="stack", base_url=None):
        if layer != "stack":
            raise ValueError(f"layer must be 'stack', not {layer!r}")
        self.layer = layer
        self.base_url = (base_url or conf.ps1_url).rstrip("/")

    def cache_folder(self):
        """Name the folder that holds these cutouts; see `CutoutService.cache_folder`."""
        host = name_host(self.base_url, Conf.ps1_url.defaultvalue)
        return f"{self.name}{host}/{self.layer}-{''.join(self.bands)}"

    def fetch(self, request, client):
        """Ask for one image and check it; see `CutoutService.fetch`."""
        self.check_size(request.width, request.height)
        if request.width != request.height:
            raise ValueError("Pan-STARRS1 cutouts are square")
        position = {"ra": f"{request.ra:.7f}", "dec": f"{request.dec:.7f}"}
        names = self._find_images(position, client)
        red, green, blue = (names[band] for band in self.bands)
        # The side is a whole number of native pixels: right to half of one.
        side = round(request.width * request.pixel_scale / _FACTS.native_pixel_scale)
        params = position | {
            "size": side,
            "output_size": request.width,
            "format": "jpg",
            "red": red,
            "green": green,
            "blue": blue,
        }
        body = client.get(f"{self.base_url}/fitscut.cgi", params)
        image, suffix = decode_color(body.content, request, body.content_type)
        return Answer(image, body.content, suffix)

    def _find_images(self, position, client):
        """Names of the images of each band."""
        params = position | {"filters": "".join(sorted(self.bands)), "type": self.layer}
        body = client.get(f"{self.base_url}/ps1filenames.py", params)
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
