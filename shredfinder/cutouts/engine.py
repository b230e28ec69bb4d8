"""Download of cutouts in threads: cache, shared images, and the flags of failures."""

from __future__ import annotations

import contextlib
import itertools
import logging
import math
import threading
import time
import warnings
from concurrent.futures import as_completed
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from shredfinder._utils.files import describe_cache_error
from shredfinder.cutouts.cache import EMPTY
from shredfinder.cutouts.decoding import encode_image
from shredfinder.cutouts.grouping import group_sources, single_group
from shredfinder.cutouts.services.base import CutoutRequest
from shredfinder.exceptions import (
    BadResponseError,
    ServiceError,
    ShredfinderWarning,
    StoppedError,
    UnreachableServiceError,
    UnusableServiceError,
)
from shredfinder.imaging.checks import CutoutFlag, check_file, check_fluxes, check_images
from shredfinder.imaging.cutouts import FLUX, Cutouts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future, ThreadPoolExecutor

    from tqdm import tqdm

    from shredfinder._net.client import HttpClient
    from shredfinder.cutouts.cache import Cache
    from shredfinder.cutouts.grouping import Group
    from shredfinder.cutouts.services.base import CutoutService, FetchedImage

__all__ = ["Batch", "Failures", "Run"]

_log = logging.getLogger(__name__)
# Flags for "the service has no image", which the cache remembers; the others are failures.
_EMPTY_FLAGS = (CutoutFlag.BLANK, CutoutFlag.NO_COVERAGE)
# Images that fail in a row, retries included, before a service counts as down.
_MAX_FAILURES = 20
# Positions without an image, and none with one, before a wrong address is suspected.
_MANY_EMPTY = 10


@dataclass
class Run:
    """What the threads of a download share.

    Attributes
    ----------
    service : CutoutService
        Source of the cutouts.
    size : int
        Width and height in pixels.
    pixel_scale : float
        Pixel scale in arcsec per pixel.
    cache : Cache or None
        Where cutouts are stored.
    client : HttpClient
        Sends the requests; its ``stop`` event ends the run.
    executor : `~concurrent.futures.ThreadPoolExecutor`
        The threads.
    failures : Failures
        Count of what went wrong.
    n_threads : int
        Their number.
    group : bool
        Whether neighbours share an image.
    offline : bool
        Whether to read the cache only.
    refresh : bool
        Whether to request the positions again that the cache remembers as having no image.
    started : float
        Time of `time.time` at which the run started.
    """

    service: CutoutService
    size: int
    pixel_scale: float
    cache: Cache | None
    client: HttpClient
    executor: ThreadPoolExecutor
    failures: Failures
    n_threads: int
    group: bool
    offline: bool
    refresh: bool = False
    started: float = field(default_factory=time.time)


class Batch:
    """Cutouts of a number of positions, whose download starts at once; `result` waits for them.

    Parameters
    ----------
    run : Run
        Threads, client and options.
    ra, dec : `~numpy.ndarray`
        Positions in degrees, of shape ``(n,)``; NaN for rows without a position.
    """

    def __init__(self, run: Run, ra: np.ndarray, dec: np.ndarray) -> None:
        self._run = run
        service, n = run.service, len(ra)
        shape = (n, run.size, run.size, len(service.bands))
        # Missing pixels are NaN in fluxes and black in colours.
        if service.color_mapping == FLUX:
            self.images = np.full(shape, np.nan, np.float32)
        else:
            self.images = np.zeros(shape, np.uint8)
        # Rows stay flagged as failed if the run ends before their turn.
        self.flags = np.full(n, CutoutFlag.FAILED.value, dtype="U16")
        self.flags[np.isnan(ra)] = CutoutFlag.NO_POSITION
        # Sources at the same position are requested once.
        self._rows: dict[CutoutRequest, list[int]] = {}
        for row in np.flatnonzero(~np.isnan(ra)).tolist():
            request = CutoutRequest(
                float(ra[row]), float(dec[row]), run.size, run.size, run.pixel_scale
            )
            self._rows.setdefault(request, []).append(row)
        self._requests = list(self._rows)
        stored: list[int] = []
        missing: list[int] = []
        for i, request in enumerate(self._requests):
            # Only looks for a file: images are read and checked in the threads.
            path = None if run.cache is None else run.cache.find(service, request)
            asks_again = path is not None and run.refresh and path.endswith(EMPTY)
            (missing if path is None or asks_again else stored).append(i)
        self._futures = [run.executor.submit(self._read_stored, i) for i in stored]
        if run.offline:
            for i in missing:
                self._put(self._requests[i], CutoutFlag.MISSING)
        else:
            self._futures += self._submit(missing)
        # Rows without a position are done, and so are missing ones if offline.
        waiting = stored if run.offline else range(len(self._requests))
        self._n_done = n - sum(len(self._rows[self._requests[i]]) for i in waiting)

    def _submit(self, missing: list[int]) -> list[Future[int]]:
        """Start to fetch images."""
        run = self._run
        if not missing:
            return []
        if run.service.batch_size == 1:
            wanted = np.zeros(len(self._requests), bool)
            wanted[missing] = True
            groups = [group.select(wanted) for group in self._groups if wanted[group.rows].any()]
            return [run.executor.submit(self._fetch, group) for group in groups]
        # Every thread gets a part.
        size = min(run.service.batch_size, max(1, math.ceil(len(missing) / run.n_threads)))
        return [
            run.executor.submit(self._fetch_many, missing[start : start + size])
            for start in range(0, len(missing), size)
        ]

    @cached_property
    def _groups(self) -> list[Group]:
        """Groups of all positions, so that a cutout does not depend on what the cache holds."""
        run = self._run
        size, scale = run.size, run.pixel_scale
        ra, dec = np.array([(r.ra, r.dec) for r in self._requests]).T
        if not run.group:
            return [self._single(i) for i in range(len(self._requests))]
        return group_sources(ra, dec, size=size, pixel_scale=scale, max_size=run.service.max_size)

    def _single(self, i: int) -> Group:
        source, run = self._requests[i], self._run
        return single_group(i, source.ra, source.dec, size=run.size, pixel_scale=run.pixel_scale)

    def _read_stored(self, i: int) -> int:
        """Read a cutout from the cache; return its number of rows."""
        run, request = self._run, self._requests[i]
        image = flag = None
        if run.cache is not None:
            with run.failures.note_errors(run.cache):
                image, flag = run.cache.read(run.service, request)
        if flag is not None:
            if flag in _EMPTY_FLAGS:
                run.failures.note_remembered(len(self._rows[request]))
            return self._put(request, flag, image)
        if run.offline:
            return self._put(request, CutoutFlag.MISSING)
        # The file was broken, or was pruned in the meantime.
        only = np.arange(len(self._requests)) == i
        return self._fetch(next(g for g in self._groups if only[g.rows].any()).select(only))

    def _fetch(self, group: Group) -> int:
        """Fetch an image and take the cutouts of a group from it; return the number of rows.

        A uniform image is requested again before it is believed.
        """
        run = self._run
        doubts = run.client.retry.doubts if run.service.remote else 0
        try:
            for n_attempts in itertools.count(1):
                if run.client.stop.is_set():
                    raise StoppedError("the run was stopped")
                fetched = run.service.fetch(group.request, run.client)
                cutouts = [
                    fetched.image[top : top + run.size, left : left + run.size]
                    for left, top in zip(group.left, group.top, strict=True)
                ]
                # Each cutout is checked here once, and not again in `result`.
                flags = [_check(cutout, fetched) for cutout in cutouts]
                doubtful = set(flags) <= {*_EMPTY_FLAGS, CutoutFlag.WRONG_SIZE}
                if n_attempts > doubts or not doubtful:
                    break
                # An outage may send a uniform image too, or a drawn text.
                run.client.pause(run.client.retry.draw_pause(n_attempts))
            if set(flags) == {CutoutFlag.WRONG_SIZE}:
                raise BadResponseError("a grey image in place of colours", CutoutFlag.WRONG_SIZE)
        # Raised in `result`: a wrong layer or certificate would fail for every source.
        except UnusableServiceError:
            raise
        except ServiceError as error:
            return self._fail(group, error)
        return self._keep(group, fetched, cutouts, flags)

    def _fetch_many(self, rows: list[int]) -> int:
        """Fetch images, one per source, in one call; return the number of rows."""
        run, n_rows = self._run, 0
        stopped = run.client.stop.is_set()
        sources = [self._requests[row] for row in rows]
        fetched = [] if stopped else run.service.fetch_many(sources, run.client)
        for i, row in enumerate(rows):
            result = StoppedError("the run was stopped") if stopped else fetched[i]
            group = self._single(row)
            if isinstance(result, UnusableServiceError):
                raise result
            if isinstance(result, ServiceError):
                n_rows += self._fail(group, result)
            else:
                flag = _check(result.image, result)
                n_rows += self._keep(group, result, [result.image], [flag])
        return n_rows

    def _keep(
        self,
        group: Group,
        fetched: FetchedImage,
        cutouts: list[np.ndarray],
        flags: list[CutoutFlag],
    ) -> int:
        """Put the cutouts of a group into the cache and their rows; return the number of rows."""
        run = self._run
        run.failures.note_success()
        n_rows = 0
        for row, cutout, flag in zip(group.rows, cutouts, flags, strict=True):
            request = self._requests[row]
            if flag == CutoutFlag.GOOD:
                if run.cache is not None:
                    # The body is stored as it came, unless it shows more than this cutout.
                    content, suffix = fetched.body, fetched.suffix
                    if content is None or group.request != request:
                        content, suffix = encode_image(cutout, request, run.service.bands)
                    with run.failures.note_errors(run.cache):
                        run.cache.write(run.service, request, content, suffix)
                n_rows += self._put(request, flag, cutout)
            else:
                n_rows += self._put(request, flag, reason="the image holds no data")
        return n_rows

    def _fail(self, group: Group, error: ServiceError) -> int:
        """Flag the rows of a group, or fetch its sources one by one."""
        _log.debug("%s: %s", group.request, error)
        transient = error.transient or isinstance(error, StoppedError)
        # One bad source must not fail its neighbours: each is requested separately. If the service
        # itself has failed, that would only multiply the failures.
        split = len(group.rows) > 1 and not transient
        self._run.failures.note(error, lasting=not split)
        if split:
            return sum(self._fetch(self._single(row)) for row in group.rows)
        flag = CutoutFlag(error.flag)
        return sum(self._put(self._requests[row], flag, reason=str(error)) for row in group.rows)

    def _put(
        self,
        request: CutoutRequest,
        flag: CutoutFlag,
        image: np.ndarray | None = None,
        reason: str = "",
    ) -> int:
        """Write a result to its rows; no two threads write to the same ones."""
        run, rows = self._run, self._rows[request]
        self.flags[rows] = flag
        if image is not None:
            self.images[rows] = image
        # A flag without a reason came from the cache and is not written again.
        elif reason and flag in _EMPTY_FLAGS and run.cache is not None:
            with run.failures.note_errors(run.cache):
                run.cache.write_empty(run.service, request, flag, reason, started=run.started)
        return len(rows)

    def result(self, bar: tqdm | None = None) -> Cutouts:
        """Wait for the cutouts.

        Parameters
        ----------
        bar : `tqdm.tqdm`, optional
            Progress bar to update.

        Returns
        -------
        cutouts : Cutouts
            One per position, in order.

        Raises
        ------
        shredfinder.exceptions.UnusableServiceError
            If the service cannot be used as configured.
        """
        run, service = self._run, self._run.service
        if bar is not None:
            bar.update(self._n_done)
        # In order of completion, so that the bar moves although an early image is slow.
        for future in as_completed(self._futures):
            n_rows = future.result()
            if bar is not None:
                bar.update(n_rows)
        run.failures.warn(run.client.first_url)
        return Cutouts.from_checked(
            self.images,
            self.flags,
            pixel_scale=run.pixel_scale,
            bands=tuple(service.bands),
            color_mapping=service.color_mapping,
            service=f"{service.name}:{service.layer}" if service.layer else service.name,
        )


def _check(cutout: np.ndarray, fetched: FetchedImage) -> CutoutFlag:
    """Check a cutout of an image; files of colours have the same flags as in a folder."""
    if cutout.dtype != np.uint8:
        return CutoutFlag(check_fluxes(cutout[np.newaxis])[0])
    flag = CutoutFlag.GOOD if fetched.body is None else check_file(cutout)
    return flag or CutoutFlag(check_images(cutout[np.newaxis])[0])


@dataclass
class Failures:
    """Failures of a run, counted for all of its threads.

    Attributes
    ----------
    service : str
        Name of the service, for messages.
    stop : `threading.Event`
        Ends the run when it is set.
    patience : float
        Longest pause in seconds that a server may ask for; a longer one ends the run.
    """

    service: str
    stop: threading.Event
    patience: float
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _n_in_row: int = 0
    _n_good: int = 0
    _n_empty: int = 0
    n_remembered: int = 0
    _stop_reason: str = ""
    _end: float = math.inf
    _late: str = ""
    _last_failure: str = ""
    _last_empty: str = ""
    _cache_error: str = ""
    _warned: set[str] = field(default_factory=set)

    def note(self, error: ServiceError, *, lasting: bool) -> None:
        """Count an error after all its retries; ``lasting`` if it leaves sources without image."""
        if isinstance(error, StoppedError):
            # The requests may end before the timer does.
            if time.monotonic() >= self._end:
                self.stop_run(self._late)
            return
        with self._lock:
            if error.flag in _EMPTY_FLAGS:
                # The service works: it has no image there.
                self._n_in_row = 0
                self._n_empty += lasting
                self._last_empty = str(error)
                return
            self._n_in_row += 1
            if lasting:
                self._last_failure = str(error)
            down = self._n_in_row >= _MAX_FAILURES
        pause = getattr(error, "retry_after", 0.0)
        if pause > self.patience:
            self.stop_run(f"the service {self.service!r} asks for a pause of {pause:.0f} s")
        elif isinstance(error, UnreachableServiceError):
            self.stop_run(f"the service {self.service!r} cannot be reached: {error}")
        elif down:
            self.stop_run(
                f"the service {self.service!r} seems to be down ({_MAX_FAILURES} images in a row "
                f"failed, all retries included; the last one: {error})"
            )

    def note_success(self) -> None:
        """Count an image."""
        with self._lock:
            self._n_in_row = 0
            self._n_good += 1

    def note_remembered(self, n_rows: int) -> None:
        """Count rows that have no image according to the cache."""
        with self._lock:
            self.n_remembered += n_rows

    def start_timer(self, end: float) -> threading.Timer:
        """Start the timer that ends the run at a time of `time.monotonic`, perhaps infinity."""
        seconds = max(end - time.monotonic(), 0.0)
        self._end, self._late = end, f"the time limit of {seconds:.2g} s is reached"
        timer = threading.Timer(min(seconds, threading.TIMEOUT_MAX), self.stop_run, [self._late])
        timer.daemon = True
        # Without a limit it never runs.
        if seconds < math.inf:
            timer.start()
        return timer

    @contextlib.contextmanager
    def note_errors(self, cache: Cache | None = None) -> Iterator[None]:
        """Keep the error of a cache that cannot be created, read or written, for one warning."""
        try:
            yield
        except OSError as error:
            text = describe_cache_error(None if cache is None else cache.path, error)
            with self._lock:
                self._cache_error = self._cache_error or text

    def stop_run(self, reason: str) -> None:
        """End the run; the first reason is kept for the warning."""
        with self._lock:
            self._stop_reason = self._stop_reason or reason
        self.stop.set()

    def warn_nothing(self, n: int, first_url: str) -> None:
        """Warn that none of ``n`` positions has a cutout, unless a warning said why."""
        if not self._warned - {"cache"}:
            self._warn_once(
                "nothing",
                f"no cutout was fetched for any of {n} positions (the first address tried: "
                f"{first_url or self.service})",
            )

    def warn(self, first_url: str) -> None:
        """Warn of what went wrong, once per kind; name the first address if nothing came."""
        tried = "" if self._n_good or not first_url else f" (the first address tried: {first_url})"
        service = f"the service {self.service!r}"
        failed = CutoutFlag.FAILED.value
        if self._cache_error:
            self._warn_once("cache", self._cache_error)
        if self._stop_reason:
            # The reason for the stop already explains the failed rows.
            self._warned.add("failure")
            self._warn_once(
                "stop",
                f"{self._stop_reason}: the remaining rows are flagged {failed!r}; run again to "
                "fetch them",
            )
        elif self._last_failure:
            self._warn_once(
                "failure",
                f"{service} did not deliver some images: {self._last_failure}; these rows are "
                f"flagged, run again to fetch them{tried}",
            )
        if self._n_empty >= _MANY_EMPTY and not self._n_good:
            self._warn_once(
                "empty",
                f"{service} has no image at any of {self._n_empty} positions "
                f"({self._last_empty}): check its base_url and layer{tried}",
            )

    def warn_remembered(self) -> None:
        """Warn, at the end of a run, of the rows that the service was not asked for."""
        n = self.n_remembered
        rows = "1 row rests" if n == 1 else f"{n} rows rest"
        self._warn_once(
            "remembered",
            f"{rows} on the cache, which remembers that the service {self.service!r} had no "
            "image there in two earlier runs: refresh=True asks again",
        )

    def _warn_once(self, kind: str, message: str) -> None:
        if kind not in self._warned:
            self._warned.add(kind)
            warnings.warn(message, ShredfinderWarning)
