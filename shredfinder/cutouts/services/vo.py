"""Images of the Virtual Observatory: SIA finds them and SODA cuts them, through pyvo."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from shredfinder._net.sessions import ClientSession, check_votable, pyvo_errors
from shredfinder.config import conf
from shredfinder.cutouts.services.base import CutoutService, name_host, register_service
from shredfinder.cutouts.services.local import MARGIN, make_cutout
from shredfinder.cutouts.services.planes import read_planes
from shredfinder.exceptions import BadResponseError, NoCoverageError, UnusableServiceError
from shredfinder.imaging.cutouts import FLUX
from shredfinder.surveys import COLOR_MAPPINGS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from astropy.wcs import WCS
    from pyvo.dal import DALResults, Record
    from pyvo.dal.adhoc import DatalinkResults, SodaQuery

    from shredfinder._net.client import HttpClient, Response
    from shredfinder.cutouts.image_headers import FluxUnit
    from shredfinder.cutouts.services.base import CutoutRequest, FetchedImage

    # Right ascension, declination and radius in degrees.
    Circle: TypeAlias = tuple[float, float, float]
    # Rows of responses, each with its response, which knows the services of the row's links.
    Records: TypeAlias = list[tuple[DALResults, Record]]

__all__ = ["VOImages"]

# Central wavelengths in metres: they identify bands that a service does not name.
_WAVELENGTHS = {"g": 480e-9, "r": 640e-9, "i": 770e-9, "z": 910e-9, "y": 1000e-9}
# Largest number of images of one band per cutout.
_MAX_IMAGES = 6
# Largest list of images, and largest image, in bytes: a brick in double precision has 104 million.
_MAX_LIST_BYTES, _MAX_IMAGE_BYTES = 16 * 2**20, 128 * 2**20
# Radius in degrees within which a service that has a band is expected to list an image in it.
_WIDE = 1.0
# Bounds a region's size in right ascension near the poles.
_MIN_COS_DEC = 0.05
# Semantics of a cutout service in datalink documents.
_CUTOUT_SEMANTICS = ("#proc", "#cutout")
# Addresses of version 2 of the protocol.
_VERSION_2 = re.compile(r"sia(p|v|_)*2|/v2")


@register_service("sia")
class VOImages(CutoutService):
    """Cutouts of the FITS images that a Simple Image Access service lists (version 1 or 2).

    For each cutout the service lists its images of the position. If it offers SODA, by datalink,
    cutouts of them are fetched, otherwise the whole images. These are resampled and coloured as by
    `LocalImages`, so they must be calibrated in nanomaggies, or need a ``flux_scale``. If the list
    names kinds of products, as NOIRLab's do (``prodtype``, ``proctype``), stacked images are used,
    and no weights or depths. A band that the service lacks ends the run with an error.

    Parameters
    ----------
    base_url : str, optional
        URL of the service's query; by default ``shredfinder.conf.sia_url``.
    layer : str, optional
        Collection (``COLLECTION`` of version 2), or a part of the titles of the images to use
        (version 1).
    version : {"auto", 1, 2}, optional
        Version of the protocol; by default found by trial.
    bands : sequence of str, optional
        Bands, for fluxes.
    color_mapping : str, optional
        Mapping from fluxes to colours; ``"flux"`` keeps the fluxes.
    flux_scale : float, optional
        Factor that converts the images' values to nanomaggies per native pixel; see
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
            raise ValueError(
                f"there is no colour mapping {color_mapping!r}: choose one of "
                f"{', '.join([*COLOR_MAPPINGS, FLUX])}"
            )
        self.base_url = base_url or conf.sia_url
        self.layer = layer
        self.version: Literal["auto", 1, 2] = version
        self._lock = threading.RLock()
        # Bands in which the service has listed an image somewhere.
        self._seen: set[str] = set()
        self.color_mapping = color_mapping
        self.flux_scale = flux_scale

    def cache_folder(self) -> str:
        """Return the name of the cache folder; see `CutoutService.cache_folder`."""
        kind = f"{self.color_mapping}-{''.join(self.bands)}"
        if self.flux_scale is not None:
            kind += f"-{self.flux_scale:g}"
        return f"{self.name}{name_host(self.base_url)}/{self.layer or 'all'}-{kind}"

    def fetch(self, request: CutoutRequest, client: HttpClient) -> FetchedImage:
        """Find, cut and combine images; see `CutoutService.fetch`."""
        self.check_size(request.width, request.height)
        # A version is tried once: its errors are the usual response to the other version.
        session = ClientSession(
            client, check_votable, doubt=self.version != "auto", max_bytes=_MAX_LIST_BYTES
        )
        radius = np.hypot(request.width, request.height) / 2 + MARGIN
        circle = (request.ra, request.dec, radius * request.pixel_scale / 3600)
        records = self._search(circle, session)
        with pyvo_errors():
            chosen = {band: self._choose(records, band) for band in self.bands}
            missing = [band for band, images in chosen.items() if not images]
            self._seen |= set(self.bands) - set(missing)
            if missing:
                # Without any image, the place is outside the footprint.
                if records:
                    self._check_bands(circle, session)
                raise NoCoverageError(f"no image in {', '.join(missing)}")
            planes = {
                band: [
                    plane
                    # More exposures of the same place add little to the mean but take as long to
                    # fetch.
                    for results, record in images[:_MAX_IMAGES]
                    for plane in self._fetch_image(results, record, circle, session, client)
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

    def _check_bands(self, circle: Circle, session: ClientSession) -> None:
        """Raise an error if the service lacks a band, rather than one place an image in it."""
        with self._lock:
            unseen = [band for band in self.bands if band not in self._seen]
            if not unseen:
                return
            # Ask once for a larger region, where a gap in the coverage ends.
            records = self._search((*circle[:2], _WIDE), session)
            self._seen |= {band for band in self.bands if self._choose(records, band)}
            lacking = [band for band in unseen if band not in self._seen]
        if lacking:
            have = [band for band in _WAVELENGTHS if self._choose(records, band)]
            advice = f" (color_mapping='flux', bands={''.join(have)!r})" if have else ""
            raise UnusableServiceError(
                f"the SIA service {self.base_url} lists images in {', '.join(have) or 'no band'} "
                f"but none in {', '.join(lacking)} within {_WIDE:g}° of RA {circle[0]:.4f}, Dec "
                f"{circle[1]:+.4f}: choose a service that has them, or fluxes in other "
                f"bands{advice}"
            )

    def _search(self, circle: Circle, session: ClientSession) -> Records:
        """List the images of a circle; find out the version at the first call."""
        if self.version == "auto":
            with self._lock:
                if self.version == "auto":
                    # Checked again inside the lock: another thread may have found the version
                    # meanwhile.
                    return self._try_versions(circle, session)
        return self._query(self.version, circle, session)

    def _try_versions(self, circle: Circle, session: ClientSession) -> Records:
        # Start with the version that the URL suggests; the other costs one more request.
        likely: Literal[1, 2] = 2 if _VERSION_2.search(self.base_url.lower()) else 1
        try:
            records = self._query(likely, circle, session)
        except BadResponseError as error:
            likely = 1 if likely == 2 else 2
            try:
                records = self._query(likely, circle, session)
            except BadResponseError:
                raise error from None
        self.version = likely
        return records

    def _query(self, version: int, circle: Circle, session: ClientSession) -> Records:
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
            # pyvo's default asks for all formats, JPEG previews included.
            query["FORMAT"] = "image/fits"
        with pyvo_errors():
            results = query.execute()
            return [(results, r) for r in results if version == 2 or self.layer in (r.title or "")]

    def _choose(self, records: Records, band: str) -> Records:
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
            # A service that names no format lists FITS images.
            file_format = _get_format(record) or "fits"
            if "fits" not in file_format and "datalink" not in file_format:
                continue
            # Match bands by name, such as "g DECam", if the service uses the usual names.
            names = (name or "").split()
            if names and (names[0] == band or names[0] in _WAVELENGTHS):
                matches = names[0] == band
            else:
                wavelength = _WAVELENGTHS.get(band, np.nan)
                # False if the service gives no limits, since these are then NaN.
                matches = _to_metres(low) <= wavelength <= _to_metres(high)
            if matches:
                chosen.append((results, record))
        return chosen

    def _fetch_image(
        self,
        results: DALResults,
        record: Record,
        circle: Circle,
        session: ClientSession,
        client: HttpClient,
    ) -> list[tuple[np.ndarray, WCS, FluxUnit]]:
        """Fetch an image or a part of it, as `read_planes` returns it."""
        links = _find_links(results, record, session)
        query = None if links is None else _find_soda(links, circle, session)
        if query is not None:
            try:
                return client.get(query.queryurl, dict(query), **_IMAGE_OPTIONS)
            except NoCoverageError:
                # SODA's response if image and circle do not overlap.
                return []
        url = _get_url(record) if links is None else _find_whole(links)
        if not url:
            raise BadResponseError("the service lists an image without its address")
        try:
            return client.get(url, **_IMAGE_OPTIONS)
        except NoCoverageError as error:
            # An image that the service lists must exist.
            raise BadResponseError(str(error), status=error.status) from error


def _read_image(response: Response) -> list[tuple[np.ndarray, WCS, FluxUnit]]:
    return read_planes(response.content, response.headers.get("Content-Type", ""))


# How images are fetched: the service's responses name their addresses.
_IMAGE_OPTIONS: dict[str, Any] = {
    "read": _read_image,
    "max_bytes": _MAX_IMAGE_BYTES,
    "named": False,
}


def _is_stack(record: Record) -> bool:
    """Return whether a row is a stacked image, if the list has columns for that."""
    product, process = (str(record.get(name, "")) for name in ("prodtype", "proctype"))
    return product in ("", "image") and (not process or process.startswith("Stack"))


def _find_links(
    results: DALResults, record: Record, session: ClientSession
) -> DatalinkResults | None:
    """Fetch the links of a record; None if it has none."""
    from pyvo.dal.adhoc import DATALINK_IVOID, DatalinkQuery, DatalinkResults
    from pyvo.dal.exceptions import DALServiceError

    try:
        # Links come from a service in the response, or else as the row's own format.
        resource = results.get_adhocservice_by_ivoid(DATALINK_IVOID)
    except DALServiceError:
        if "datalink" in (_get_format(record) or ""):
            return DatalinkResults.from_result_url(_get_url(record), session=session)
        return None
    return DatalinkQuery.from_resource(record, resource, session=session).execute()


def _find_soda(links: DatalinkResults, circle: Circle, session: ClientSession) -> SodaQuery | None:
    """Create the query of the SODA service among some links; None if there is none."""
    from astropy import units as u
    from pyvo.dal.adhoc import SODA_SYNC_IVOID, SodaQuery
    from pyvo.dal.exceptions import DALServiceError

    try:
        resource = links.get_adhocservice_by_ivoid(SODA_SYNC_IVOID)
    except DALServiceError:
        return None
    region = tuple(value * u.deg for value in circle)
    for link in links:
        if link["service_def"] and link["semantics"] in _CUTOUT_SEMANTICS:
            return SodaQuery.from_resource(link, resource, session=session, circle=region)
    return None


def _find_whole(links: DatalinkResults) -> str | None:
    """Return the address of the image itself among some links; None if it is not there."""
    return next((link["access_url"] for link in links if link["semantics"] == "#this"), None)


def _get_url(record: Record) -> str:
    # Not all services mark the column in the way that pyvo expects.
    return getattr(record, "access_url", None) or record.getdataurl()


def _get_format(record: Record) -> str | None:
    return record.access_format if hasattr(record, "access_format") else record.format


def _to_metres(value: Any) -> float:
    from astropy import units as u

    if value is None or value is np.ma.masked:
        return np.nan
    return value.to_value(u.m) if hasattr(value, "unit") else float(value)
