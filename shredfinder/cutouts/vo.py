"""Images of the Virtual Observatory: SIA finds them, SODA cuts them, through pyvo."""

import contextlib

import numpy as np

from shredfinder.config import conf
from shredfinder.cutouts.addresses import name_host
from shredfinder.cutouts.decoding import read_fits
from shredfinder.cutouts.errors import AnswerError, BadAnswerError, NoCoverageError
from shredfinder.cutouts.local import LocalImages
from shredfinder.cutouts.pyvo_session import PyvoSession
from shredfinder.cutouts.service import CutoutService, register_service
from shredfinder.exceptions import ServiceError
from shredfinder.imaging.cutouts import FLUX
from shredfinder.surveys import COLOR_MAPPINGS

__all__ = ["VOImages"]

# Central wavelengths in metres, by which bands are told apart where they are not named.
_WAVELENGTHS = {"g": 480e-9, "r": 640e-9, "i": 770e-9, "z": 910e-9, "y": 1000e-9}
# Pixels around a cutout that smoothing and interpolation reach.
_MARGIN = 24
# Images of one band that are put together for one cutout.
_MAX_IMAGES = 6


@register_service("sia")
class VOImages(CutoutService):
    """Cutouts of the FITS images that a Simple Image Access service lists (version 1 or 2).

    For each cutout the service is asked for images of the position. Where it offers SODA, by
    datalink, cutouts of them are fetched, otherwise the whole images. These are resampled and
    coloured as local images are (see `LocalImages`), so that they must be calibrated in
    nanomaggies, or be given a ``flux_scale``.

    Parameters
    ----------
    base_url : str, optional
        Address of the service's query; by default ``shredfinder.conf.sia_url``.
    layer : str, optional
        Collection (``COLLECTION`` of version 2), or a part of the titles of those images that
        are meant (version 1).
    version : {1, 2}, optional
        Version of the protocol.
    bands : sequence of str, optional
        Bands, for fluxes.
    color_mapping : str, optional
        How fluxes become colours; ``"flux"`` leaves them as they are.
    flux_scale : float, optional
        Factor that turns the images' values into nanomaggies per native pixel; see
        `LocalImages`.

    Examples
    --------
    >>> from shredfinder.cutouts import VOImages
    >>> VOImages(base_url="https://example.org/sia", version=2).bands
    ('z', 'r', 'g')
    """

    name = "sia"
    max_size = 3000
    groups = True
    rate = 4.0
    max_workers = 4

    def __init__(
        self,
        *,
        base_url=None,
        layer="",
        version=1,
        bands=None,
        color_mapping="legacy-grz",
        flux_scale=None,
    ):
        if version not in (1, 2):
            raise ValueError(f"version must be 1 or 2, not {version!r}")
        if color_mapping == FLUX:
            self.bands = tuple(bands or "grz")
        elif color_mapping in COLOR_MAPPINGS:
            self.bands = tuple(COLOR_MAPPINGS[color_mapping].bands)
        else:
            raise ValueError(f"there is no colour mapping named {color_mapping!r}")
        self.base_url = base_url or conf.sia_url
        self.layer = layer
        self.version = version
        self.color_mapping = color_mapping
        self.flux_scale = flux_scale

    def cache_folder(self):
        """Name the folder that holds these cutouts; see `CutoutService.cache_folder`."""
        kind = f"{self.color_mapping}-{''.join(self.bands)}"
        if self.flux_scale is not None:
            kind += f"-{self.flux_scale:g}"
        return f"{self.name}{name_host(self.base_url)}/{self.layer or 'all'}-{kind}"

    def fetch(self, request, client):
        """Find, cut and put together images; see `CutoutService.fetch`."""
        self.check_size(request.width, request.height)
        session = PyvoSession(client)
        radius = np.hypot(request.width, request.height) / 2 + _MARGIN
        circle = (request.ra, request.dec, radius * request.pixel_scale / 3600)
        with _pyvo_errors():
            records = self._search(circle, session)
            chosen = {band: self._choose(records, band) for band in self.bands}
            missing = [band for band, images in chosen.items() if not images]
            if missing:
                raise NoCoverageError(f"no image in {', '.join(missing)}")
            planes = {
                band: [
                    image
                    for results, record in images[:_MAX_IMAGES]
                    for image in self._fetch_image(results, record, circle, session)
                ]
                for band, images in chosen.items()
            }
        missing = [band for band, images in planes.items() if not images]
        if missing:
            raise NoCoverageError(f"no image in {', '.join(missing)} holds the position")
        local = LocalImages(
            planes,
            bands=self.bands,
            color_mapping=self.color_mapping,
            flux_scale=self.flux_scale,
        )
        return local.fetch(request)

    def _search(self, circle, session):
        from pyvo.dal.sia import SIAQuery
        from pyvo.dal.sia2 import SIA2Query

        if self.version == 2:
            query = SIA2Query(
                self.base_url, pos=circle, collection=self.layer or None, session=session
            )
            results = query.execute()
            return [(results, record) for record in results]
        ra, dec, radius = circle
        query = SIAQuery(self.base_url, pos=(ra, dec), size=2 * radius, session=session)
        query["FORMAT"] = "image/fits"
        results = query.execute()
        return [(results, r) for r in results if self.layer in (r.title or "")]

    def _choose(self, records, band):
        """Choose the FITS images of a band."""
        chosen = []
        for results, record in records:
            if self.version == 2:
                name, low, high = None, record.em_min, record.em_max
                file_format = record.access_format
            else:
                name = record.bandpass_id
                low, high = record.bandpass_lolimit, record.bandpass_hilimit
                file_format = record.format
            if "fits" not in (file_format or "fits") and "datalink" not in file_format:
                continue
            names = (name or "").split()
            if names and (names[0] == band or names[0] in _WAVELENGTHS):
                matches = names[0] == band
            else:
                wavelength = _WAVELENGTHS.get(band, np.nan)
                matches = _to_metres(low) <= wavelength <= _to_metres(high)
            if matches:
                chosen.append((results, record))
        return chosen

    def _fetch_image(self, results, record, circle, session):
        """Fetch an image or a part of it, as a list of no or one pair of array and WCS."""
        query = _find_soda(results, record, circle, session)
        if query is not None:
            try:
                content = session.fetch(query.queryurl, dict(query))
            except BadAnswerError:
                # SODA answers so where image and circle don't overlap.
                return []
        else:
            content = session.fetch(record.getdataurl())
        return _read_image(content)


def _find_soda(results, record, circle, session):
    """Make the query of a record's SODA service; None if it has none."""
    from astropy import units as u
    from pyvo.dal.adhoc import DATALINK_IVOID, SODA_SYNC_IVOID, DatalinkQuery, SodaQuery
    from pyvo.dal.exceptions import DALServiceError

    ra, dec, radius = circle
    circle = (ra * u.deg, dec * u.deg, radius * u.deg)
    try:
        resource = results.get_adhocservice_by_ivoid(DATALINK_IVOID)
    except DALServiceError:
        return None
    query = DatalinkQuery.from_resource(record, resource, session=session)
    links = query.execute()
    try:
        resource = links.get_adhocservice_by_ivoid(SODA_SYNC_IVOID)
    except DALServiceError:
        return None
    for link in links:
        if "proc" in link["semantics"]:
            return SodaQuery.from_resource(link, resource, session=session, circle=circle)
    return None


def _read_image(content):
    from astropy.wcs import WCS

    if not content:
        # SODA's answer where nothing overlaps is "no content".
        return []
    images = read_fits(content)
    if not images:
        return []
    data, header = np.asarray(images[0][0], dtype=np.float32), images[0][1]
    # Fixing would warn of each image's deviations from the standard.
    wcs = WCS(header, fix=False).celestial
    if data.ndim != 2 or wcs.naxis != 2:
        raise BadAnswerError(f"an image of shape {data.shape} without celestial coordinates")
    return [(data, wcs)]


def _to_metres(value):
    from astropy import units as u

    if value is None:
        return np.nan
    return value.to_value(u.m) if hasattr(value, "unit") else float(value)


@contextlib.contextmanager
def _pyvo_errors():
    """Turn pyvo's errors into those that the downloader knows."""
    from pyvo.dal.exceptions import DALAccessError

    try:
        yield
    except DALAccessError as error:
        cause = error
        while cause is not None:
            # Pyvo wraps what its session raises.
            if isinstance(cause, (AnswerError, ServiceError)):
                raise cause from error
            cause = cause.__cause__ or cause.__context__
        raise BadAnswerError(f"the service answered: {error}") from error
