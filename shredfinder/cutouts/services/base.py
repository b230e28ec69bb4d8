"""What a cutout service is, and the register of those that can be chosen by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from shredfinder.imaging.cutouts import FLUX

if TYPE_CHECKING:
    from collections.abc import Callable

    from shredfinder._net.client import HttpClient

__all__ = [
    "Answer",
    "CutoutRequest",
    "CutoutService",
    "available_services",
    "get_service",
    "register_service",
]

# Decimals of degrees in requests and file names: 0.4 milliarcsec.
_DECIMALS = 7


@dataclass(frozen=True)
class CutoutRequest:
    """One image to be asked for: north up, east left, in gnomonic projection.

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
        # What is asked is what the cache's file name says.
        object.__setattr__(self, "ra", round(self.ra % 360.0, _DECIMALS) % 360.0)
        object.__setattr__(self, "dec", round(self.dec, _DECIMALS))


@dataclass
class Answer:
    """An image that a service delivered, decoded and of the size that was asked for.

    Attributes
    ----------
    image : `~numpy.ndarray`
        Image of shape ``(height, width, bands)``, north up; uint8 colours, or float32 fluxes.
    body : bytes or None
        The file as it came, if the image is all that it holds.
    suffix : str
        File-name suffix that fits ``body``.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder.cutouts import Answer
    >>> Answer(np.zeros((128, 128, 3), np.uint8)).suffix
    '.png'
    """

    image: np.ndarray
    body: bytes | None = None
    suffix: str = ".png"


class CutoutService:
    """Base of the cutout services; a new one overrides ``fetch`` and the attributes.

    Attributes
    ----------
    name : str
        Name that users choose the service by.
    layer : str
        Which of the service's images; part of the cache's folder names.
    bands : tuple of str
        Bands of the images' channels, in the channels' order.
    color_mapping : str or None
        Name of the mapping from fluxes to colours.
    pixel_scale : float
        Pixel scale in arcsec per pixel that is asked for by default.
    size : int
        Width and height in pixels that are asked for by default.
    max_size : int or None
        Largest width and height in pixels that the service delivers.
    min_size : int
        Smallest width and height in pixels that the service delivers.
    groups : bool
        Whether one image may be asked for many neighbouring sources.
    remote : bool
        Whether answers come over a network, and are worth caching.
    rate : float or None
        Polite number of requests per second; None where it does not matter.
    max_workers : int
        Polite number of simultaneous connections.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder.cutouts import Answer, CutoutService, fetch_cutouts
    >>> class Grey(CutoutService):
    ...     name = "grey"
    ...     remote = False
    ...     def fetch(self, request, client):
    ...         row, _ = np.indices((request.height, request.width), dtype=np.uint8)
    ...         return Answer(np.stack([row, row, row], axis=-1))
    >>> from astropy.coordinates import SkyCoord
    >>> fetch_cutouts(SkyCoord([150.1], [2.2], unit="deg"), service=Grey(), progress=False)
    <Cutouts: 1 of 128×128 px at 0.46875 arcsec/px, bands redgreenblue, 0 unusable>
    """

    name: str = "unnamed"
    layer: str = ""
    bands: tuple[str, ...] = ("red", "green", "blue")
    color_mapping: str | None = None
    pixel_scale: float = 0.46875
    size: int = 128
    max_size: int | None = None
    min_size: int = 1
    groups: bool = False
    remote: bool = True
    rate: float | None = 5.0
    max_workers: int = 4

    @property
    def dtype(self) -> np.dtype:
        """`numpy.dtype`: type of the images' values."""
        return np.dtype(np.float32 if self.color_mapping == FLUX else np.uint8)

    def cache_folder(self) -> str:
        """Name the folder that holds this service's cutouts.

        Returns
        -------
        folder : str
            Two names with a slash between them, made of what distinguishes the images:
            ``{service}/{layer and kind}``.
        """
        return f"{self.name}/{self.layer or 'all'}-{''.join(self.bands)}"

    def fetch(self, request: CutoutRequest, client: HttpClient) -> Answer:
        """Ask for one image and check it.

        Parameters
        ----------
        request : CutoutRequest
            What to ask for.
        client : shredfinder._net.client.HttpClient
            Sends requests politely.

        Returns
        -------
        answer : Answer
            The image, of exactly the size that was asked for.

        Raises
        ------
        shredfinder._net.errors.AnswerError
            If there is no such image; a ``TransientError`` is tried again.
        shredfinder.exceptions.ServiceError
            If the service can't be used at all; it ends the run.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Close what is open; a service without anything to close does nothing."""

    def check_size(self, width: int, height: int) -> None:
        """Refuse what the service would not deliver as asked.

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
                    f"{name} of {value} px: the service {self.name!r} delivers "
                    f"{self.min_size} to {largest:g} px a side; larger ones would be clipped, so "
                    "choose a smaller size or a coarser pixel_scale"
                )


_SERVICES: dict[str, type[CutoutService]] = {}


def register_service(name: str) -> Callable[..., Any]:
    """Make a class of services available by name.

    Parameters
    ----------
    name : str
        Name for ``service=``.

    Returns
    -------
    decorator : callable
        Class decorator that leaves the class as it is.

    Examples
    --------
    >>> from shredfinder.cutouts import CutoutService, available_services, register_service
    >>> @register_service("mine")
    ... class MyService(CutoutService):
    ...     name = "mine"
    >>> "mine" in available_services()
    True
    """

    def register(cls):
        _SERVICES[name] = cls
        return cls

    return register


def available_services() -> list[str]:
    """List the services that can be chosen by name.

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
    """Look up a service.

    Parameters
    ----------
    service : str or CutoutService
        A name (see `available_services`), or a service as it is.
    **options
        Arguments of the service's class, such as ``layer`` and ``base_url``; None is the same
        as leaving it out.

    Returns
    -------
    service : CutoutService
        The service, ready for use.

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
    """
    options = {key: value for key, value in options.items() if value is not None}
    if isinstance(service, CutoutService):
        if options:
            raise ValueError(
                f"{', '.join(sorted(options))} given along with a service object: "
                "give them where the service is made"
            )
        return service
    if not isinstance(service, str) or service not in _SERVICES:
        raise ValueError(
            f"there is no cutout service {service!r}: choose one of "
            f"{', '.join(available_services())}, or give a CutoutService object"
        )
    try:
        return _SERVICES[service](**options)
    except TypeError as error:
        raise ValueError(f"the service {service!r} can't be made of these options: {error}") from (
            error
        )
