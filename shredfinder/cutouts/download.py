"""Cutouts of any number of positions, at once or as a stream."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from shredfinder._net.client import HttpClient
from shredfinder._net.retries import RetryPolicy
from shredfinder._utils.positions import get_degrees
from shredfinder._utils.runtime import progress_bar
from shredfinder.config import conf
from shredfinder.cutouts.cache import Cache
from shredfinder.cutouts.engine import Engine
from shredfinder.cutouts.services.base import CutoutService, get_service
from shredfinder.surveys import DEFAULT_SURVEY, get_survey

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord
    from astropy.table import Table
    from astropy.units import Quantity

    from shredfinder._utils.types import PathLike
    from shredfinder.imaging.cutouts import Cutouts

__all__ = ["fetch_cutouts", "make_engine"]

# A service's own polite rate; None and infinity mean no limit.
_POLITE = "polite"


def fetch_cutouts(
    coords: SkyCoord | Table,
    *,
    service: str | CutoutService | None = None,
    layer: str | None = None,
    base_url: str | None = None,
    size: int | None = None,
    pixel_scale: float | Quantity | None = None,
    cache: bool | PathLike | Cache = True,
    offline: bool = False,
    group: bool | Literal["auto"] = "auto",
    max_workers: int | None = None,
    rate: float | str | None = _POLITE,
    timeout: float = 60.0,
    time_limit: float | None = None,
    retry: RetryPolicy | None = None,
    progress: bool | Literal["auto"] = "auto",
) -> Cutouts:
    """Fetch a cutout for each position.

    All cutouts are held in memory; for more than some ten thousand use `CutoutStream`.

    Parameters
    ----------
    coords : `~astropy.coordinates.SkyCoord` or `~astropy.table.Table`
        Positions; of a table, its column of type SkyCoord, or else ``ra`` and ``dec``.
    service : str or CutoutService, optional
        Name of a service (see `available_services`), or a service of your own; by default
        ``shredfinder.conf.service``, or else that of the Legacy Surveys' viewer.
    layer : str, optional
        Which of the service's images, such as ``"ls-dr9"``.
    base_url : str, optional
        Another address of the service: a mirror, or a test server.
    size : int, optional
        Width and height of the cutouts in pixels, by default 128.
    pixel_scale : float or `~astropy.units.Quantity`, optional
        Pixel scale in arcsec per pixel, by default 0.46875, that of the embedded model.
    cache : bool, path-like or Cache, optional
        Where cutouts are kept, so that no run asks twice: by default in astropy's cache; False
        for nowhere. Local services need none and use none.
    offline : bool, optional
        Ask the cache only; rows that it does not hold are flagged ``missing``.
    group : bool or "auto", optional
        Whether neighbouring sources share a larger image; ``"auto"`` where the service allows
        it. Slices are centred on their sources to half a pixel.
    max_workers : int, optional
        Simultaneous connections, by default the service's polite number.
    rate : float, "polite" or None, optional
        Requests per second, by default the service's polite rate; None for no limit.
    timeout : float, optional
        Seconds that one request may take, up to its last byte.
    time_limit : float, optional
        Seconds that the whole may take; rows left over are flagged ``failed``.
    retry : RetryPolicy, optional
        How often requests are tried again after status 429 and 5xx, cut connections, timeouts
        and truncated bodies. A ``Retry-After`` of the server is honoured, by all connections.
    progress : bool or "auto", optional
        Show a progress bar; ``"auto"`` on a terminal and in a notebook.

    Returns
    -------
    cutouts : ~shredfinder.Cutouts
        One a position, in order, with images of shape ``(n, size, size, bands)``. A row without
        a usable image has a flag that says why: ``no coverage`` (also for status 400 and 404),
        ``blank``, ``no position``; and ``failed``, ``corrupted``, ``not an image`` or
        ``wrong size`` for what another run may mend.

    Raises
    ------
    shredfinder.exceptions.ServiceError
        If the service can't be used at all: an unknown layer, an invalid certificate.
    ValueError
        If the service does not exist or does not deliver such a size.

    Warns
    -----
    shredfinder.exceptions.ShredfinderWarning
        If the service is down, or ``time_limit`` is reached: the rest is flagged ``failed``.

    Examples
    --------
    >>> from astropy.coordinates import SkyCoord
    >>> from shredfinder.cutouts import fetch_cutouts
    >>> coords = SkyCoord([184.7, 184.8], [47.3, 47.4], unit="deg")
    >>> cutouts = fetch_cutouts(coords, offline=True)   # without offline: asks the viewer
    >>> cutouts.size, cutouts.flags.tolist()
    ((128, 128), ['missing', 'missing'])
    """
    ra, dec = get_degrees(coords, name="coords")
    engine = make_engine(
        service=service,
        layer=layer,
        base_url=base_url,
        size=size,
        pixel_scale=pixel_scale,
        cache=cache,
        offline=offline,
        group=group,
        max_workers=max_workers,
        rate=rate,
        timeout=timeout,
        time_limit=time_limit,
        retry=retry,
    )
    with (
        engine,
        progress_bar(total=len(ra), progress=progress, desc="cutouts", unit="source") as bar,
    ):
        return engine.submit(ra, dec).result(bar)


def make_engine(
    *,
    service=None,
    layer=None,
    base_url=None,
    size=None,
    pixel_scale=None,
    cache=True,
    offline=False,
    group="auto",
    max_workers=None,
    rate=_POLITE,
    timeout=60.0,
    time_limit=None,
    retry=None,
):
    """Check the options of `fetch_cutouts` and make an engine of them.

    Returns
    -------
    engine : shredfinder.cutouts.engine.Engine
        Ready to fetch, and to be used as a context manager.
    """
    owns_service = not isinstance(service, CutoutService)
    service = service or conf.service or get_survey(DEFAULT_SURVEY).service
    service = get_service(service, layer=layer, base_url=base_url)
    size = service.size if size is None else size
    service.check_size(size, size)
    pixel_scale = _to_arcsec(service.pixel_scale if pixel_scale is None else pixel_scale)
    max_workers = max_workers or service.max_workers
    if group not in (True, False, "auto"):
        raise ValueError(f"group must be True, False or 'auto', not {group!r}")
    if group is True and not service.groups:
        raise ValueError(f"the service {service.name!r} can't share an image between sources")
    policy = retry or RetryPolicy()
    client = HttpClient(
        max_workers=max_workers,
        rate=service.rate if rate == _POLITE else rate,
        timeout=timeout,
        policy=policy,
    )
    return Engine(
        service,
        size=int(size),
        pixel_scale=pixel_scale,
        cache=_to_cache(cache) if service.remote else None,
        client=client,
        max_workers=max_workers,
        policy=policy,
        group=service.groups if group == "auto" else group,
        offline=offline and service.remote,
        time_limit=time_limit,
        owns_service=owns_service,
    )


def _to_cache(cache):
    if isinstance(cache, Cache):
        return cache
    if cache is None or cache is False:
        return None
    if cache is True:
        return Cache()
    if isinstance(cache, (str, Path)):
        return Cache(cache)
    raise ValueError(f"cache must be a folder, a Cache, True or False, not {cache!r}")


def _to_arcsec(pixel_scale):
    from astropy import units as u

    if hasattr(pixel_scale, "unit"):
        if pixel_scale.unit.is_equivalent(u.arcsec / u.pix):
            pixel_scale = pixel_scale * u.pix
        pixel_scale = pixel_scale.to_value(u.arcsec)
    if not (np.isfinite(pixel_scale) and pixel_scale > 0):
        raise ValueError(f"pixel_scale must be a positive number of arcsec, not {pixel_scale!r}")
    return float(pixel_scale)
