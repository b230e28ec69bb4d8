"""Cutouts of any number of positions, at once or as a stream."""

from __future__ import annotations

import contextlib
import math
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import KW_ONLY, dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from shredfinder._net.client import HttpClient
from shredfinder._net.retries import RetryPolicy
from shredfinder._utils.positions import get_degrees
from shredfinder._utils.runtime import progress_bar
from shredfinder._utils.validation import check_count
from shredfinder.config import conf
from shredfinder.cutouts.cache import Cache
from shredfinder.cutouts.engine import Batch, Failures, Run
from shredfinder.cutouts.services.base import CutoutService, get_service
from shredfinder.imaging import CutoutSequence
from shredfinder.imaging.checks import to_arcsec_per_pixel
from shredfinder.imaging.cutouts import join_cutouts
from shredfinder.surveys import DEFAULT_SURVEY, get_survey

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy as np
    from astropy.coordinates import SkyCoord
    from astropy.table import Table
    from astropy.units import Quantity

    from shredfinder._utils.validation import PathLike
    from shredfinder.imaging import Cutouts

    Progress: TypeAlias = bool | Literal["auto"]

__all__ = ["CutoutFetcher", "CutoutStream", "fetch_cutouts"]


@dataclass(frozen=True)
class CutoutFetcher:
    """How cutouts are fetched: the service and all options, validated.

    Threads and connections exist only during a run. It can be pickled if the service is named.

    Parameters
    ----------
    service : str or CutoutService, optional
        Name of a service (see `available_services`) or survey, or a service of your own; by
        default ``shredfinder.conf.service``, or else the Legacy Surveys' viewer.
    layer : str, optional
        The service's images, such as ``"ls-dr9"``.
    base_url : str, optional
        Base URL of a mirror or test server; for ``"local"``, a folder.
    service_options : dict, optional
        Further arguments of the service's class, such as ``{"jpeg": False}`` of `LocalImages`.
    size : int, optional
        Width and height of the cutouts in pixels, by default 128.
    pixel_scale : float or `~astropy.units.Quantity`, optional
        Pixel scale in arcsec per pixel, by default 0.46875 as for the embedded model.
    cache : bool, path-like or Cache, optional
        Where cutouts are stored: by default in astropy's cache; False for nowhere. Local services
        use no cache.
    offline : bool, optional
        Read the cache only; rows that it does not hold are flagged ``missing``.
    refresh : bool, optional
        Request the positions again of which the cache remembers that there is no image.
    group : bool or "auto", optional
        Whether neighbouring sources share a larger image; ``"auto"`` if the service allows it.
        Slices are centred on their sources to half a pixel.
    max_workers : int, optional
        Number of connections, by default that of the service.
    rate : float, "polite" or None, optional
        Requests per second, by default the service's careful rate; None for no limit.
    timeout : float, optional
        Seconds that one request may take, up to its last byte.
    time_limit : float, optional
        Seconds that the whole run may take; the remaining rows are flagged ``failed``.
    retry : RetryPolicy, optional
        How often requests are retried after status 429 and 5xx, cut connections, timeouts and
        truncated bodies, and, fewer times, after failures that look final. All connections honour
        a ``Retry-After`` of the server.

    Raises
    ------
    ValueError
        If an option is invalid, or the service does not deliver that size.

    Examples
    --------
    >>> from astropy.coordinates import SkyCoord
    >>> from shredfinder.cutouts import CutoutFetcher
    >>> fetcher = CutoutFetcher("legacy", layer="ls-dr9", size=64, offline=True)
    >>> cutouts = fetcher.fetch(SkyCoord([184.7, 184.8], [47.3, 47.4], unit="deg"))
    >>> cutouts.size, cutouts.flags.tolist()
    ((64, 64), ['missing', 'missing'])
    """

    service: str | CutoutService | None = None
    _: KW_ONLY
    layer: str | None = None
    base_url: PathLike | None = None
    service_options: Mapping[str, Any] | None = None
    size: int | None = None
    pixel_scale: float | Quantity | None = None
    cache: bool | PathLike | Cache | None = True
    offline: bool = False
    refresh: bool = False
    group: bool | Literal["auto"] = "auto"
    max_workers: int | None = None
    rate: float | Literal["polite"] | None = "polite"
    timeout: float = 60.0
    time_limit: float | None = None
    retry: RetryPolicy | None = None

    def __post_init__(self) -> None:
        if self.pixel_scale is not None:
            # The way to set an attribute of a frozen dataclass.
            object.__setattr__(self, "pixel_scale", to_arcsec_per_pixel(self.pixel_scale))
        if not isinstance(self.cache, (bool, str, Path, Cache, type(None))):
            raise ValueError(f"cache must be a folder, a Cache, True or False, not {self.cache!r}")
        if self.group not in (True, False, "auto"):
            raise ValueError(f"group must be True, False or 'auto', not {self.group!r}")
        if self.retry is not None and not isinstance(self.retry, RetryPolicy):
            raise ValueError(f"retry must be a RetryPolicy, not {self.retry!r}")
        if self.offline and self.refresh:
            raise ValueError("refresh=True asks the service, which offline=True rules out")
        for name in ("size", "max_workers"):
            if getattr(self, name) is not None:
                check_count(getattr(self, name), name)
        for name in ("rate", "timeout", "time_limit"):
            value = getattr(self, name)
            if value in (None, "polite"):
                continue
            # `not value > 0` refuses NaN too, which `value <= 0` would accept.
            if isinstance(value, str) or not value > 0:
                unit = "requests per second" if name == "rate" else "seconds"
                raise ValueError(f"{name} must be a positive number of {unit}, not {value!r}")
        # The default service is looked up when it is needed: a model may name another one.
        if self.service is not None:
            self._check_service()

    def _check_service(self) -> None:
        service = self.cutout_service
        size = service.size if self.size is None else self.size
        service.check_size(size, size)
        if self.group is True and not service.groups:
            raise ValueError(
                f"group=True: the service {service.name!r} cannot share an image between sources"
            )

    @cached_property
    def cutout_service(self) -> CutoutService:
        """CutoutService: the service, created from its name at first use."""
        service = self.service or conf.service or get_survey(DEFAULT_SURVEY).service
        options = {"layer": self.layer, "base_url": self.base_url} | dict(
            self.service_options or {}
        )
        return get_service(service, **options)

    def __getstate__(self) -> dict[str, Any]:
        # A service that was created here is created again where the fetcher is unpickled.
        return {key: value for key, value in self.__dict__.items() if key != "cutout_service"}

    def with_defaults(
        self,
        *,
        size: int | None = None,
        pixel_scale: float | None = None,
        survey: str | None = None,
    ) -> CutoutFetcher:
        """Return a copy in which options that were left open have these values.

        Parameters
        ----------
        size : int, optional
            Width and height in pixels, such as a model's.
        pixel_scale : float, optional
            Pixel scale in arcsec per pixel.
        survey : str, optional
            Survey whose service and layer are used, unless ``shredfinder.conf.service`` names
            another service.

        Returns
        -------
        fetcher : CutoutFetcher
            The copy.
        """
        filled: dict[str, Any] = {}
        if self.size is None and size is not None:
            filled["size"] = size
        if self.pixel_scale is None and pixel_scale is not None:
            filled["pixel_scale"] = pixel_scale
        if self.service is None and survey is not None and not conf.service:
            facts = get_survey(survey)
            filled |= {"service": facts.service, "layer": self.layer or facts.layer}
        copied = object.__new__(CutoutFetcher)
        # The created service goes along: opening thousands of local images takes a while.
        copied.__dict__.update(self.__dict__ | filled)
        if "service" in filled:
            copied.__dict__.pop("cutout_service", None)
        copied._check_service()
        return copied

    def order(self, coords: SkyCoord | Table) -> np.ndarray:
        """Return the order in which positions are best fetched; see `CutoutService.order`."""
        return self.cutout_service.order(*get_degrees(coords, name="coords"))

    def fetch(self, coords: SkyCoord | Table, *, progress: Progress = "auto") -> Cutouts:
        """Fetch a cutout for each position; parameters and result as for `fetch_cutouts`."""
        ra, dec = get_degrees(coords, name="coords")
        with (
            self._open_run() as run,
            progress_bar(total=len(ra), progress=progress, desc="cutouts", unit="source") as bar,
        ):
            cutouts = Batch(run, ra, dec).result(bar)
        if len(cutouts) and not cutouts.good.any() and not run.offline:
            run.failures.warn_nothing(len(cutouts), run.client.first_url)
        return cutouts

    def stream(
        self,
        coords: SkyCoord | Table,
        *,
        chunk: int = 512,
        ahead: int = 1,
        progress: Progress = "auto",
    ) -> CutoutStream:
        """Return a `CutoutStream` of the positions; parameters as there."""
        return CutoutStream(coords, self, chunk=chunk, ahead=ahead, progress=progress)

    @contextlib.contextmanager
    def _open_run(self) -> Iterator[Run]:
        """Start the threads and the HTTP client of a run, and stop them in the end."""
        self._check_service()
        service = self.cutout_service
        retry = self.retry or RetryPolicy()
        max_workers = self.max_workers or service.max_workers
        client = HttpClient(
            max_workers=max_workers,
            rate=service.rate if self.rate == "polite" else self.rate,
            timeout=self.timeout,
            retry=retry,
        )
        # A server that asks for a longer pause than all retries may take ends the run.
        failures = Failures(service.name, client.stop, patience=retry.total)
        cache = self.cache or None
        if cache is not None and not isinstance(cache, Cache):
            with failures.note_errors():
                cache = Cache(None if cache is True else cache)
        # No request outlives the run, not even one without a response.
        client.end = min(client.end, time.monotonic() + (self.time_limit or math.inf))
        timer = failures.start_timer(client.end)
        executor = ThreadPoolExecutor(max_workers, thread_name_prefix="shredfinder-fetch")
        try:
            yield Run(
                service,
                size=int(service.size if self.size is None else self.size),
                pixel_scale=(service.pixel_scale if self.pixel_scale is None else self.pixel_scale),
                cache=cache if service.remote and isinstance(cache, Cache) else None,
                client=client,
                executor=executor,
                failures=failures,
                n_threads=max_workers,
                group=service.groups if self.group == "auto" else self.group,
                offline=self.offline and service.remote,
                refresh=self.refresh,
            )
            if failures.n_remembered:
                failures.warn_remembered()
        except GeneratorExit:
            # A stream was closed, perhaps after its last row.
            if failures.n_remembered:
                failures.warn_remembered()
            raise
        finally:
            # Ends pauses and downloads at once, also after an error or Ctrl-C.
            client.stop.set()
            timer.cancel()
            executor.shutdown(wait=True, cancel_futures=True)
            client.close()
            # A service object that the user made stays open.
            if service is not self.service:
                service.close()


class CutoutStream(CutoutSequence, contextlib.AbstractContextManager):
    """Sequence of cutouts that are fetched when they are needed, and a little ahead.

    A slice is a `~shredfinder.Cutouts` object, so that a classifier accepts a stream as it
    accepts image files. While one chunk is in use, the next ones are downloaded; used chunks are
    dropped, so that the memory does not grow with the catalogue. Slices should go forward: one
    that goes back fetches again (from the cache, if there is one).

    Parameters
    ----------
    coords : `~astropy.coordinates.SkyCoord` or `~astropy.table.Table`
        Positions, as for `fetch_cutouts`.
    fetcher : CutoutFetcher
        Source of the cutouts.
    chunk : int, optional
        Sources per chunk. Neighbours share an image only within a chunk: sort a catalogue in
        random order by `sky_order` first.
    ahead : int, optional
        Chunks that are downloaded ahead.
    progress : bool or "auto", optional
        Whether to show a progress bar; ``"auto"`` on a terminal and in a notebook.

    Examples
    --------
    >>> from astropy.coordinates import SkyCoord
    >>> from shredfinder.cutouts import CutoutFetcher
    >>> coords = SkyCoord([184.7, 184.8, 184.9], [47.3, 47.4, 47.5], unit="deg")
    >>> with CutoutFetcher(offline=True).stream(coords, chunk=2) as stream:
    ...     [len(cutouts) for cutouts in stream]
    [2, 1]
    """

    def __init__(
        self,
        coords: SkyCoord | Table,
        fetcher: CutoutFetcher,
        *,
        chunk: int = 512,
        ahead: int = 1,
        progress: Progress = "auto",
    ) -> None:
        if chunk < 1 or ahead < 0:
            raise ValueError(
                f"chunk must be positive and ahead not negative, not {chunk} and {ahead}"
            )
        # Options are validated now, not at the first slice.
        fetcher._check_service()
        self.fetcher = fetcher
        self.ra, self.dec = get_degrees(coords, name="coords")
        self.chunk, self.ahead = int(chunk), int(ahead)
        self.progress = progress
        images = self.fetcher.cutout_service
        size = self.fetcher.size or images.size
        self.size = (size, size)
        self.pixel_scale = self.fetcher.pixel_scale or images.pixel_scale
        self.bands, self.color_mapping = images.bands, images.color_mapping
        self._chunks: Any = None
        self._run: Run | None = None
        # The rows from ``_start`` on that were fetched and not yet dropped.
        self._buffer: Cutouts | None = None
        self._start = 0

    def __len__(self) -> int:
        return len(self.ra)

    @property
    def first_tried(self) -> str:
        """`str`: the first address that was requested, or that of the service."""
        service = self.fetcher.cutout_service
        requested = self._run.client.first_url if self._run is not None else ""
        return requested or str(getattr(service, "base_url", None) or service.name)

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop downloading."""
        if self._chunks is not None:
            self._chunks.close()
            self._chunks = None
        self._buffer = None

    def __iter__(self) -> Iterator[Cutouts]:
        return self._iterate(0)

    def __getitem__(self, rows: Any) -> Cutouts:
        if not isinstance(rows, slice) or rows.step not in (None, 1):
            raise TypeError(
                "a CutoutStream can only be sliced by consecutive rows, such as stream[0:128]"
            )
        start, stop, _ = rows.indices(len(self))
        # An empty slice such as stream[5:3] gets an empty result.
        stop = max(start, stop)
        end = self._start + (0 if self._buffer is None else len(self._buffer))
        # Restart for a slice that goes back, or that skips rows.
        if self._chunks is None or start < self._start or start > end:
            self.close()
            self._chunks, self._start = self._iterate(start), start
        while self._buffer is None or self._start + len(self._buffer) < stop:
            # Rows before the slice are dropped first.
            left = None if self._buffer is None else self._buffer[start - self._start :]
            following = next(self._chunks)
            self._buffer = following if not left else join_cutouts([left, following])
            self._start = start
        return self._buffer[start - self._start : stop - self._start]

    def _iterate(self, start: int) -> Iterator[Cutouts]:
        n = len(self)
        bar = progress_bar(
            total=n, initial=start, progress=self.progress, desc="cutouts", unit="source"
        )
        with self.fetcher._open_run() as run, bar:
            self._run = run
            # A Batch starts its downloads when it is created: `ahead` of them run while one is
            # used.
            waiting: deque[Batch] = deque()
            # An empty catalogue has one empty chunk, with bands and size.
            for first in range(start, max(n, start + 1), self.chunk):
                rows = slice(first, first + self.chunk)
                waiting.append(Batch(run, self.ra[rows], self.dec[rows]))
                if len(waiting) > self.ahead:
                    yield waiting.popleft().result(bar)
            while waiting:
                yield waiting.popleft().result(bar)


def fetch_cutouts(
    coords: SkyCoord | Table,
    service: str | CutoutService | CutoutFetcher | None = None,
    *,
    layer: str | None = None,
    base_url: PathLike | None = None,
    service_options: Mapping[str, Any] | None = None,
    size: int | None = None,
    pixel_scale: float | Quantity | None = None,
    cache: bool | PathLike | Cache | None = True,
    offline: bool = False,
    refresh: bool = False,
    group: bool | Literal["auto"] = "auto",
    max_workers: int | None = None,
    rate: float | Literal["polite"] | None = "polite",
    timeout: float = 60.0,
    time_limit: float | None = None,
    retry: RetryPolicy | None = None,
    progress: Progress = "auto",
) -> Cutouts:
    """Fetch a cutout for each position.

    All cutouts are held in memory; for more than some ten thousand use `CutoutFetcher.stream`.

    Parameters
    ----------
    coords : `~astropy.coordinates.SkyCoord` or `~astropy.table.Table`
        Positions; of a table, its column of type SkyCoord, or else ``ra`` and ``dec``.
    service : str, CutoutService or CutoutFetcher, optional
        Source of the cutouts, as for `CutoutFetcher`; or a configured fetcher, whose options
        hold unless another value is given here.
    progress : bool or "auto", optional
        Whether to show a progress bar; ``"auto"`` on a terminal and in a notebook.
    layer, base_url, service_options, size, pixel_scale, cache, offline, refresh
        As for `CutoutFetcher`.
    group, max_workers, rate, timeout, time_limit, retry
        As for `CutoutFetcher`.

    Returns
    -------
    cutouts : ~shredfinder.Cutouts
        One per position, in order, with images of shape ``(n, size, size, bands)``. A row without
        a usable image is flagged: ``no coverage`` (also for status 400 and 404), ``blank`` or
        ``no position``; ``failed``, ``corrupted``, ``not an image`` or ``wrong size`` if another
        run may succeed.

    Raises
    ------
    shredfinder.exceptions.UnusableServiceError
        If the service cannot be used as configured: an unknown layer, an invalid certificate.
    ValueError
        If an option is invalid, or the service does not exist or does not deliver that size.

    Warns
    -----
    shredfinder.exceptions.ShredfinderWarning
        If the service is down, or ``time_limit`` is reached: the rest is flagged ``failed``. Also
        if rows have no image according to the cache, or no position has a usable cutout.

    Examples
    --------
    >>> from astropy.coordinates import SkyCoord
    >>> from shredfinder.cutouts import fetch_cutouts
    >>> coords = SkyCoord([184.7, 184.8], [47.3, 47.4], unit="deg")
    >>> cutouts = fetch_cutouts(coords, offline=True)  # without offline: fetches from the viewer
    >>> cutouts.size, cutouts.flags.tolist()
    ((128, 128), ['missing', 'missing'])
    """
    options: dict[str, Any] = {
        "layer": layer, "base_url": base_url, "service_options": service_options, "size": size,
        "pixel_scale": pixel_scale, "cache": cache, "offline": offline, "refresh": refresh,
        "group": group, "max_workers": max_workers, "rate": rate, "timeout": timeout,
        "time_limit": time_limit, "retry": retry,
    }  # fmt: skip
    if isinstance(service, CutoutFetcher):
        defaults = {option.name: option.default for option in fields(CutoutFetcher)}
        # An argument left at its default does not override the fetcher's own option.
        given = {key: value for key, value in options.items() if value is not defaults[key]}
        fetcher = replace(service, **given)
    else:
        fetcher = CutoutFetcher(service, **options)
    return fetcher.fetch(coords, progress=progress)
