"""Images of the Virtual Observatory: SIA finds them, SODA cuts them, through pyvo."""

from __future__ import annotations

import contextlib
import re
import threading
from typing import TYPE_CHECKING, Literal

import numpy as np

from shredfinder._net.addresses import name_host
from shredfinder._net.errors import AnswerError, BadAnswerError, NoCoverageError
from shredfinder._net.pyvo_session import PyvoSession
from shredfinder.config import conf
from shredfinder.cutouts.services.base import CutoutService, register_service
from shredfinder.cutouts.services.mosaics import MARGIN, make_cutout, read_planes
from shredfinder.exceptions import ServiceError
from shredfinder.imaging.cutouts import FLUX
from shredfinder.surveys import COLOR_MAPPINGS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shredfinder._net.client import HttpClient
    from shredfinder.cutouts.services.base import Answer, CutoutRequest

__all__ = ["VOImages"]

# Central wavelengths in metres, by which bands are told apart where they are not named.
_WAVELENGTHS = {"g": 480e-9, "r": 640e-9, "i": 770e-9, "z": 910e-9, "y": 1000e-9}
# Images of one band that are put together for one cutout.
_MAX_IMAGES = 6
# A region's size in right ascension grows toward the poles, but not for ever.
_MIN_COS_DEC = 0.05
# How datalink documents call a service that cuts.
_CUTOUT_SEMANTICS = ("#proc", "#cutout")
# How an address tells that it is one of version 2.
_VERSION_2 = re.compile(r"sia(p|v|_)*2|/v2")


@register_service("sia")
class VOImages(CutoutService):
    """Cutouts of the FITS images that a Simple Image Access service lists (version 1 or 2).

    For each cutout the service is asked for images of the position. Where it offers SODA, by
    datalink, cutouts of them are fetched, otherwise the whole images. These are resampled and
    coloured as local images are (see `LocalImages`), so that they must be calibrated in
    nanomaggies, or be given a ``flux_scale``. Of a list that tells kinds of products apart, as
    NOIRLab's do (``prodtype``, ``proctype``), stacked images are taken, and no weights or depths.

    Parameters
    ----------
    base_url : str, optional
        Address of the service's query; by default ``shredfinder.conf.sia_url``.
    layer : str, optional
        Collection (``COLLECTION`` of version 2), or a part of the titles of those images that
        are meant (version 1).
    version : {"auto", 1, 2}, optional
        Version of the protocol; by default the one that the service answers.
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
        base_url: str | None = None,
        layer: str = "",
        version: Literal["auto", 1, 2] = "auto",
        bands: Sequence[str] | None = None,
        color_mapping: str = "legacy-grz",
        flux_scale: float | None = None,
    ) -> None:
        if version not in (1, 2, "auto"):
            raise ValueError(f"version must be 1, 2 or 'auto', not {version!r}")
        if color_mapping == FLUX:
            self.bands = tuple(bands or "grz")
        elif color_mapping in COLOR_MAPPINGS:
            self.bands = tuple(COLOR_MAPPINGS[color_mapping].bands)
        else:
            raise ValueError(f"there is no colour mapping named {color_mapping!r}")
        self.base_url = base_url or conf.sia_url
        self.layer = layer
        self.version = version
        self._lock = threading.Lock()
        self.color_mapping = color_mapping
        self.flux_scale = flux_scale

    def cache_folder(self) -> str:
        """Name the folder that holds these cutouts; see `CutoutService.cache_folder`."""
        kind = f"{self.color_mapping}-{''.join(self.bands)}"
        if self.flux_scale is not None:
            kind += f"-{self.flux_scale:g}"
        return f"{self.name}{name_host(self.base_url)}/{self.layer or 'all'}-{kind}"

    def fetch(self, request: CutoutRequest, client: HttpClient) -> Answer:
        """Find, cut and put together images; see `CutoutService.fetch`."""
        self.check_size(request.width, request.height)
        session = PyvoSession(client)
        radius = np.hypot(request.width, request.height) / 2 + MARGIN
        circle = (request.ra, request.dec, radius * request.pixel_scale / 3600)
        records = self._search(circle, session)
        with _pyvo_errors():
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
        return make_cutout(
            planes,
            request,
            bands=self.bands,
            color_mapping=self.color_mapping,
            flux_scale=self.flux_scale,
        )

    def _search(self, circle, session):
        """List the images of a circle; the first time, find out by which version."""
        if self.version == "auto":
            with self._lock:
                if self.version == "auto":
                    return self._try_versions(circle, session)
        return self._query(self.version, circle, session)

    def _try_versions(self, circle, session):
        likely = 2 if _VERSION_2.search(self.base_url.lower()) else 1
        try:
            records = self._query(likely, circle, session)
        except BadAnswerError as error:
            likely = 3 - likely
            try:
                records = self._query(likely, circle, session)
            except BadAnswerError:
                raise error from None
        self.version = likely
        return records

    def _query(self, version, circle, session):
        from pyvo.dal.sia import SIAQuery
        from pyvo.dal.sia2 import SIA2Query

        ra, dec, radius = circle
        if version == 2:
            query = SIA2Query(
                self.base_url, pos=circle, collection=self.layer or None, session=session
            )
        else:
            # In version 1 the size is one of coordinates, not an angle on the sky.
            width = min(2 * radius / max(np.cos(np.radians(dec)), _MIN_COS_DEC), 360.0)
            query = SIAQuery(
                self.base_url, pos=(ra, dec), size=(width, 2 * radius), session=session
            )
            query["FORMAT"] = "image/fits"
        with _pyvo_errors():
            results = query.execute()
            return [(results, r) for r in results if version == 2 or self.layer in (r.title or "")]

    def _choose(self, records, band):
        """Choose the FITS images of a band."""
        chosen = []
        for results, record in records:
            if not _is_stack(record):
                continue
            if self.version == 2:
                name, low, high = None, record.get("em_min"), record.get("em_max")
            else:
                name = record.bandpass_id
                low, high = record.bandpass_lolimit, record.bandpass_hilimit
            file_format = _get_format(record)
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
        links = _find_links(results, record, session)
        query = None if links is None else _find_soda(links, circle, session)
        if query is not None:
            try:
                return session.fetch(query.queryurl, read_planes, dict(query))
            except NoCoverageError:
                # SODA answers so where image and circle don't overlap.
                return []
        url = _get_url(record) if links is None else _find_whole(links)
        if not url:
            raise BadAnswerError("the service lists an image, and no address of it")
        try:
            return session.fetch(url, read_planes)
        except NoCoverageError as error:
            # What a service lists should be there.
            raise BadAnswerError(str(error)) from error


def _is_stack(record):
    """Tell whether a row is a stacked image, where the list has columns that say so."""
    product, process = (str(record.get(name, "")) for name in ("prodtype", "proctype"))
    return product in ("", "image") and (not process or process.startswith("Stack"))


def _find_links(results, record, session):
    """Ask for the links of a record; None if it has none."""
    from pyvo.dal.adhoc import DATALINK_IVOID, DatalinkQuery, DatalinkResults
    from pyvo.dal.exceptions import DALServiceError

    try:
        resource = results.get_adhocservice_by_ivoid(DATALINK_IVOID)
    except DALServiceError:
        if "datalink" in (_get_format(record) or ""):
            return DatalinkResults.from_result_url(_get_url(record), session=session)
        return None
    return DatalinkQuery.from_resource(record, resource, session=session).execute()


def _find_soda(links, circle, session):
    """Make the query of the SODA service among some links; None if there is none."""
    from astropy import units as u
    from pyvo.dal.adhoc import SODA_SYNC_IVOID, SodaQuery
    from pyvo.dal.exceptions import DALServiceError

    try:
        resource = links.get_adhocservice_by_ivoid(SODA_SYNC_IVOID)
    except DALServiceError:
        return None
    circle = tuple(value * u.deg for value in circle)
    for link in links:
        if link["service_def"] and link["semantics"] in _CUTOUT_SEMANTICS:
            return SodaQuery.from_resource(link, resource, session=session, circle=circle)
    return None


def _find_whole(links):
    """Find the address of the image itself among some links; None if it is not there."""
    return next((link["access_url"] for link in links if link["semantics"] == "#this"), None)


def _get_url(record):
    # Not all services mark the column as pyvo looks for it.
    return getattr(record, "access_url", None) or record.getdataurl()


def _get_format(record):
    return record.access_format if hasattr(record, "access_format") else record.format


def _to_metres(value):
    from astropy import units as u

    if value is None or value is np.ma.masked:
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
