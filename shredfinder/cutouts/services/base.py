"""Base class of the cutout services, and the registry of their names."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import numpy as np

from shredfinder.exceptions import ServiceError
from shredfinder.surveys import LEGACY, SURVEYS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shredfinder._net.client import HttpClient

__all__ = [
    "CutoutRequest",
    "CutoutService",
    "FetchedImage",
    "available_services",
    "complete_url",
    "get_service",
    "name_host",
    "register_service",
]

ServiceClass = TypeVar("ServiceClass", bound="type[CutoutService]")

# Height in degrees of the declination bands of `CutoutService.order`: far larger than an image.
_BAND = 0.5
# Decimals of degrees in requests and file names: 0.4 milliarcsec.
_DECIMALS = 7
# A file may have this many times the bytes of an image's pixels, plus some for headers: a service
# may send double precision, or weights along with the image.
_MAX_RATIO, _HEADER_BYTES = 4, 256 * 1024


@dataclass(frozen=True)
class CutoutRequest:
    """One image to fetch: north up, east left, in gnomonic projection.

    Attributes
    ----------
    ra, dec : float
        ICRS position of the image's centre in degrees, rounded to 1e-7.
    width, height : int
        Size in pixels.
    pixel_scale : float
        Pixel scale in arcsec per pixel.

    Examples
    --------
    >>> from shredfinder.cutouts import CutoutRequest
    >>> CutoutRequest(-0.5, 2.2, width=128, height=128, pixel_scale=0.46875).ra
    359.5
    """

    ra: float
    dec: float
    width: int
    height: int
    pixel_scale: float

    def __post_init__(self):
        # Rounded as the file name in the cache is. 359.99999999 rounds to 360, hence % 360 again.
        object.__setattr__(self, "ra", round(self.ra % 360.0, _DECIMALS) % 360.0)
        object.__setattr__(self, "dec", round(self.dec, _DECIMALS))

    def limit_bytes(self, n_bands: int = 3, itemsize: int = 1) -> int:
        """Return the largest size of a response that is read: a few times the image's pixels.

        Parameters
        ----------
        n_bands : int, optional
            Number of bands in the file.
        itemsize : int, optional
            Bytes per pixel: 1 for colours, 4 for fluxes.

        Returns
        -------
        n_bytes : int
            Number of bytes, for ``client.get(..., max_bytes=)``.
        """
        return _MAX_RATIO * self.width * self.height * n_bands * itemsize + _HEADER_BYTES


@dataclass
class FetchedImage:
    """An image that a service delivered, decoded and validated.

    Attributes
    ----------
    image : `~numpy.ndarray`
        Image of shape ``(height, width, bands)``, north up; uint8 colours, or float32 fluxes.
    body : bytes or None
        The file as it came, if it holds this image and no more; the cache stores it.
    suffix : str
        File-name suffix of ``body``.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder.cutouts import FetchedImage
    >>> FetchedImage(np.zeros((128, 128, 3), np.uint8)).suffix
    '.png'
    """

    image: np.ndarray
    body: bytes | None = None
    suffix: str = ".png"


class CutoutService:
    """Base class of the cutout services; a new one overrides ``fetch`` and the attributes.

    Attributes
    ----------
    name : str
        Name of the service for users.
    layer : str
        Which of the service's images; part of the cache's folder names.
    bands : tuple of str
        Bands of the images' channels, in the channels' order.
    color_mapping : str or None
        Name of the mapping from fluxes to colours.
    flux_pixel_scale : float or None
        Side in arcsec of the pixels to which fluxes in nanomaggies refer, whatever the scale of the
        images; None if fluxes are not in nanomaggies.
    pixel_scale : float
        Default pixel scale in arcsec per pixel.
    size : int
        Default width and height in pixels.
    max_size : int or None
        Largest width and height in pixels that the service delivers.
    min_size : int
        Smallest width and height in pixels that the service delivers.
    groups : bool
        Whether neighbouring sources may share one image.
    remote : bool
        Whether images come over a network, and are worth caching.
    rate : float or None
        Default number of requests per second; None for no limit.
    max_workers : int
        Default number of connections.
    batch_size : int
        Largest number of cutouts that `fetch_many` makes at a time; 1 if it gains nothing.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder.cutouts import FetchedImage, CutoutService, fetch_cutouts
    >>> class Ramp(CutoutService):
    ...     name = "ramp"
    ...     remote = False
    ...     def fetch(self, request, client):
    ...         row, column = np.indices((request.height, request.width), dtype=np.uint8)
    ...         return FetchedImage(np.stack([row, column, row], axis=-1))
    >>> from astropy.coordinates import SkyCoord
    >>> fetch_cutouts(SkyCoord([150.1], [2.2], unit="deg"), Ramp(), progress=False)
    <Cutouts: 1 of 128×128 px at 0.46875 arcsec/px, bands redgreenblue, 0 unusable>
    """

    name: str = "unnamed"
    layer: str = ""
    bands: tuple[str, ...] = ("red", "green", "blue")
    color_mapping: str | None = None
    flux_pixel_scale: float | None = None
    pixel_scale: float = LEGACY.pixel_scale
    size: int = LEGACY.size
    max_size: int | None = None
    min_size: int = 1
    groups: bool = False
    remote: bool = True
    rate: float | None = 5.0
    max_workers: int = 4
    batch_size: int = 1

    def cache_folder(self) -> str:
        """Return the name of the folder of this service's cutouts in the cache.

        Returns
        -------
        folder : str
            ``{service}/{layer and kind}``: whatever distinguishes the images.
        """
        return f"{self.name}/{self.layer or 'all'}-{''.join(self.bands)}"

    def fetch(self, request: CutoutRequest, client: HttpClient) -> FetchedImage:
        """Fetch and validate one image.

        Parameters
        ----------
        request : CutoutRequest
            Position, size and pixel scale.
        client : HttpClient
            Sends requests: ``client.get(url, params, read=function)`` returns the result of
            ``function(response)``, which decodes the body. The client retries after each
            `~shredfinder.exceptions.TransientServiceError`, be it its own or the function's.

        Returns
        -------
        fetched : FetchedImage
            The image, of exactly the requested size.

        Raises
        ------
        shredfinder.exceptions.ServiceError
            If there is no such image: a `~shredfinder.exceptions.NoCoverageError` outside the
            footprint, a `~shredfinder.exceptions.BadResponseError` for an invalid response, and an
            `~shredfinder.exceptions.UnusableServiceError` to end the run.
        """
        raise NotImplementedError

    def fetch_many(
        self, requests: Sequence[CutoutRequest], client: HttpClient
    ) -> list[FetchedImage | ServiceError]:
        """Fetch and validate several images of the same size and scale.

        Parameters
        ----------
        requests : sequence of CutoutRequest
            Positions, size and pixel scale.
        client : HttpClient
            As for `fetch`.

        Returns
        -------
        fetched : list of FetchedImage or ~shredfinder.exceptions.ServiceError
            For each request its image, or the error that `fetch` would raise.
        """
        fetched: list[FetchedImage | ServiceError] = []
        for request in requests:
            try:
                fetched.append(self.fetch(request, client))
            except ServiceError as error:
                fetched.append(error)
        return fetched

    def order(self, ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
        """Return the order in which positions are best fetched.

        Parameters
        ----------
        ra, dec : `~numpy.ndarray`
            Positions in degrees, of shape ``(n,)``; NaN where there is none.

        Returns
        -------
        order : `~numpy.ndarray` of int
            Indices of the positions: by default by bands of declination, and by right ascension
            within each.
        """
        # lexsort sorts by its last key first, and puts NaN at the end.
        return np.lexsort((ra, np.floor(dec / _BAND)))

    def close(self) -> None:
        """Close open files; by default there are none."""

    def check_size(self, width: int, height: int) -> None:
        """Raise an error if the service does not deliver images of that size.

        Parameters
        ----------
        width, height : int
            Size in pixels.

        Raises
        ------
        ValueError
            If the size is not positive, or beyond the service's limits.
        """
        largest = self.max_size or np.inf
        for name, value in (("width", width), ("height", height)):
            if value != int(value) or not self.min_size <= value <= largest:
                raise ValueError(
                    f"{name} of {value} px: the service {self.name!r} delivers images of "
                    f"{self.min_size} to {largest:g} px per side; choose such a size, or a "
                    "coarser pixel_scale"
                )


_SERVICES: dict[str, type[CutoutService]] = {}


def register_service(name: str) -> Callable[[ServiceClass], ServiceClass]:
    """Register a service class under a name.

    Parameters
    ----------
    name : str
        Name for ``service=``.

    Returns
    -------
    decorator : callable
        Class decorator that returns the class unchanged.

    Examples
    --------
    >>> from shredfinder.cutouts import CutoutService, available_services, register_service
    >>> @register_service("mine")
    ... class MyService(CutoutService):
    ...     name = "mine"
    >>> "mine" in available_services()
    True
    """

    def register(cls: ServiceClass) -> ServiceClass:
        _SERVICES[name] = cls
        return cls

    return register


def available_services() -> list[str]:
    """List the names of the services.

    Returns
    -------
    names : list of str
        Values for ``service=``.

    Examples
    --------
    >>> from shredfinder.cutouts import available_services
    >>> {"hips", "legacy", "local", "ps1", "sdss", "sia"} <= set(available_services())
    True
    """
    return sorted(_SERVICES)


def get_service(service: str | CutoutService, **options: Any) -> CutoutService:
    """Create a service by name.

    Parameters
    ----------
    service : str or CutoutService
        Name of a service (see `available_services`), name of a survey (see
        `shredfinder.surveys.SURVEYS`), or a service object, which is returned unchanged.
    **options
        Arguments of the service's class, such as ``layer`` and ``base_url``; None is the same
        as leaving it out.

    Returns
    -------
    service : CutoutService
        The service.

    Raises
    ------
    ValueError
        If there is no service of that name, or options are given along with a service object.

    Examples
    --------
    >>> from shredfinder.cutouts import get_service
    >>> service = get_service("legacy", layer="ls-dr10-grz")
    >>> service.bands, service.max_size
    (('z', 'r', 'g'), 3000)
    >>> get_service("ps1-dr2").layer
    'stack'
    """
    options = {key: value for key, value in options.items() if value is not None}
    if isinstance(service, CutoutService):
        if options:
            raise ValueError(
                f"{' and '.join(sorted(options))} cannot be combined with a service object: "
                f"set them in {type(service).__name__}(...)"
            )
        return service
    # A survey's name selects its service and layer.
    name = service
    if isinstance(service, str) and service not in _SERVICES and service in SURVEYS:
        survey = SURVEYS[service]
        name, options = survey.service, {"layer": survey.layer} | options
    if not isinstance(name, str) or name not in _SERVICES:
        raise ValueError(
            f"there is no cutout service {service!r}: choose one of "
            f"{', '.join([*available_services(), *SURVEYS])}, or give a CutoutService object"
        )
    try:
        return _SERVICES[name](**options)
    except TypeError as error:
        # The class itself may raise a TypeError, which must not be taken for an unknown option.
        known = list(inspect.signature(_SERVICES[name]).parameters)
        unknown = [option for option in options if option not in known]
        if not unknown:
            raise
        raise ValueError(
            f"the service {service!r} has no option {', '.join(unknown)}: choose from "
            f"{', '.join(known)}"
        ) from error


def complete_url(base_url: str, default: str) -> str:
    """Append the service's default path to a base URL that has none.

    Parameters
    ----------
    base_url, default : str
        The given base URL, and the service's default.

    Returns
    -------
    url : str
        The base URL without a slash at its end: for the viewer, ``"http://127.0.0.1:8000"``
        becomes ``"http://127.0.0.1:8000/viewer"``.
    """
    url = base_url.rstrip("/")
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ValueError(f"base_url {base_url!r} is not a valid address: {error}") from error
    # A folder on disk has no netloc.
    return url if parts.path or not parts.netloc else url + urlsplit(default).path


def name_host(base_url: str, default: str = "") -> str:
    """Return what distinguishes a server in cache folders: ``@{host and path}``.

    Parameters
    ----------
    base_url, default : str
        The base URL in use, and the service's default.

    Returns
    -------
    host : str
        Empty for the default server.
    """
    url = base_url.rstrip("/")
    parts = urlsplit(url)
    return "" if url == default.rstrip("/") else f"@{parts.netloc}{parts.path}".replace("/", "_")
