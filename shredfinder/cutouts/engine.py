"""The machinery of a download: threads, cache, grouping, and what is done with each answer."""

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed

import numpy as np

from shredfinder._net.errors import AnswerError, StoppedError, TransientError
from shredfinder._net.retries import call_with_retries
from shredfinder.cutouts.failures import Failures
from shredfinder.cutouts.grouping import group_sources, single_group
from shredfinder.cutouts.services.base import Answer, CutoutRequest
from shredfinder.exceptions import ServiceError
from shredfinder.imaging.checks import CutoutFlag, check_fluxes, check_images
from shredfinder.imaging.cutouts import Cutouts

__all__ = ["Engine"]

_log = logging.getLogger(__name__)
# Flags that say that there is no image at all, rather than that it did not come.
_EMPTY = (CutoutFlag.BLANK, CutoutFlag.NO_COVERAGE)


class Engine:
    """Fetches cutouts of any number of batches of positions; a context manager.

    Parameters
    ----------
    service : CutoutService
        Where cutouts come from.
    size : int
        Width and height in pixels.
    pixel_scale : float
        Pixel scale in arcsec per pixel.
    cache : Cache or None
        Where cutouts are kept.
    client : HttpClient
        Sends the requests; the engine closes it.
    max_workers : int
        Number of threads.
    policy : RetryPolicy
        How often requests are tried again.
    group : bool
        Whether neighbours share an image.
    offline : bool
        Ask the cache only.
    time_limit : float or None
        Seconds after which no more is asked for.
    owns_service : bool
        Whether the service was made for this engine, which then closes it.
    """

    def __init__(
        self,
        service,
        *,
        size,
        pixel_scale,
        cache,
        client,
        max_workers,
        policy,
        group,
        offline,
        time_limit,
        owns_service=False,
    ):
        self.service = service
        self.size = size
        self.pixel_scale = pixel_scale
        self.cache = cache
        self.client = client
        self.policy = policy
        self.group = group
        self.offline = offline
        self._owns_service = owns_service
        self._executor = ThreadPoolExecutor(max_workers, thread_name_prefix="shredfinder-fetch")
        self._failures = Failures(service.name, client.stop, patience=policy.total)
        self._time_limit = time_limit
        self._timer = None
        if time_limit is not None:
            reason = f"the time limit of {time_limit:g} s is reached"
            self._timer = threading.Timer(time_limit, self._failures.stop, [reason])
            self._timer.daemon = True

    def __enter__(self):
        if self._timer is not None:
            # No request outlives the run, not even one that gets no answer.
            self.client.end = time.monotonic() + self._time_limit
            self._timer.start()
        return self

    def __exit__(self, *exception):
        self.client.stop.set()
        if self._timer is not None:
            self._timer.cancel()
        self._executor.shutdown(wait=True, cancel_futures=True)
        self.client.close()
        if self._owns_service:
            self.service.close()

    def submit(self, ra, dec):
        """Start fetching; returns at once with a `Batch`, in which positions may be NaN."""
        return Batch(self, ra, dec)

    def run(self, function, *args):
        """Call a function in one of the threads; gives its future."""
        return self._executor.submit(function, *args)

    def request(self, ra, dec):
        """Make the request of a source that is alone."""
        return CutoutRequest(float(ra), float(dec), self.size, self.size, self.pixel_scale)

    def find_groups(self, ra, dec):
        """Group sources as the service allows it."""
        kind = {"size": self.size, "pixel_scale": self.pixel_scale}
        if self.group:
            return group_sources(ra, dec, max_size=self.service.max_size, **kind)
        return [single_group(i, ra[i], dec[i], **kind) for i in range(len(ra))]

    def fetch_group(self, group, ra, dec):
        """Fetch a group's cutouts.

        Parameters
        ----------
        group : Group
            Which sources, and the image that holds them.
        ra, dec : `~numpy.ndarray`
            Positions that the group's rows refer to, in degrees.

        Yields
        ------
        row : int
            Which source.
        image : `~numpy.ndarray` or None
            Its cutout.
        flag : CutoutFlag
            Why there is none.
        """
        try:
            answer = self._ask(group.request)
        except AnswerError as error:
            _log.debug("%s: %s", group.request, error)
            # One source's trouble with a shared image must not become its neighbours'.
            split = len(group.rows) > 1 and not isinstance(error, (TransientError, StoppedError))
            self._failures.note(error, empty=error.flag in _EMPTY, lasting=not split)
            if split:
                for row in group.rows:
                    yield from self.fetch_group(self._single(row, ra, dec), ra, dec)
                return
            for row in group.rows:
                self._remember(self.request(ra[row], dec[row]), error.flag, str(error))
                yield int(row), None, error.flag
            return
        shared = (group.request.width, group.request.height) != (self.size, self.size)
        for row, cutout in group.slice_image(answer.image, self.size):
            request = self.request(ra[row], dec[row])
            flag = self._check(cutout)
            if flag != CutoutFlag.GOOD:
                self._remember(request, flag, "the image holds no data")
                yield row, None, flag
                continue
            if self.cache is not None:
                alone = not shared and len(group.rows) == 1
                self.cache.write(self.service, request, answer if alone else Answer(cutout))
            yield row, cutout, flag

    def _single(self, row, ra, dec):
        return single_group(row, ra[row], dec[row], size=self.size, pixel_scale=self.pixel_scale)

    def _ask(self, request):
        if self.client.stop.is_set():
            raise StoppedError("stopped")
        answer = call_with_retries(
            lambda: self.service.fetch(request, self.client),
            policy=self.policy,
            stop=self.client.stop,
        )
        self._failures.note_success()
        return answer

    def warn_of_failures(self):
        """Tell, once, why rows were left without a cutout that another run may bring."""
        self._failures.warn()

    def _check(self, cutout):
        check = check_images if cutout.dtype == np.uint8 else check_fluxes
        return CutoutFlag(check(cutout[np.newaxis])[0])

    def _remember(self, request, flag, reason):
        if self.cache is not None and flag in _EMPTY:
            self.cache.write_empty(self.service, request, flag, reason)


class Batch:
    """Cutouts that are being fetched; `result` waits for them.

    Parameters
    ----------
    engine : Engine
        Does the work.
    ra, dec : `~numpy.ndarray`
        Positions in degrees, of shape ``(n,)``; NaN where there is none.
    """

    def __init__(self, engine, ra, dec):
        service, n = engine.service, len(ra)
        self.engine = engine
        fill = 0 if service.dtype == np.uint8 else np.nan
        shape = (n, engine.size, engine.size, len(service.bands))
        self.images = np.full(shape, fill, dtype=service.dtype)
        self.flags = np.full(n, CutoutFlag.FAILED.value, dtype="U16")
        self.flags[np.isnan(ra)] = CutoutFlag.NO_POSITION
        # Sources at the same position are asked for once.
        rows = np.flatnonzero(~np.isnan(ra))
        keys = {}
        for row in rows:
            request = engine.request(ra[row], dec[row])
            keys.setdefault((request.ra, request.dec), []).append(row)
        self._rows = list(keys.values())
        positions = np.array(list(keys), dtype=float).reshape(-1, 2)
        self._ra, self._dec = positions[:, 0], positions[:, 1]
        self._n_without = n - len(rows)
        self._futures = self._start()

    def _start(self):
        engine = self.engine
        stored = np.zeros(len(self._ra), bool)
        if engine.cache is not None:
            for i in range(len(self._ra)):
                request = engine.request(self._ra[i], self._dec[i])
                stored[i] = engine.cache.contains(engine.service, request)
        futures = [engine.run(self._read_stored, i) for i in np.flatnonzero(stored)]
        missing = np.flatnonzero(~stored)
        if engine.offline:
            for i in missing:
                self.flags[self._rows[i]] = CutoutFlag.MISSING
            self._n_without += sum(len(self._rows[i]) for i in missing)
            return futures
        ra, dec = self._ra[missing], self._dec[missing]
        futures.extend(
            engine.run(self._fetch, missing, group, ra, dec)
            for group in engine.find_groups(ra, dec)
        )
        return futures

    def _read_stored(self, i):
        engine = self.engine
        request = engine.request(self._ra[i], self._dec[i])
        image, flag = engine.cache.read(engine.service, request)
        if flag is not None:
            return self._put(i, image, flag)
        if engine.offline:
            return self._put(i, None, CutoutFlag.MISSING)
        # Pruned in the meantime, or broken.
        rows = np.array([i])
        (group,) = engine.find_groups(self._ra[rows], self._dec[rows])
        return self._fetch(rows, group, self._ra[rows], self._dec[rows])

    def _fetch(self, indices, group, ra, dec):
        answers = self.engine.fetch_group(group, ra, dec)
        return sum(self._put(indices[row], image, flag) for row, image, flag in answers)

    def _put(self, i, image, flag):
        """Write an answer where it belongs; no two threads write to the same rows."""
        for row in self._rows[i]:
            self.flags[row] = flag
            if image is not None:
                self.images[row] = image
        return len(self._rows[i])

    def result(self, bar=None):
        """Wait for the cutouts.

        Parameters
        ----------
        bar : `tqdm.tqdm`, optional
            Progress bar that is moved on.

        Returns
        -------
        cutouts : Cutouts
            One a position, in order.

        Raises
        ------
        shredfinder.exceptions.ServiceError
            If the service can't be used at all.
        """
        engine, service = self.engine, self.engine.service
        if bar is not None:
            bar.update(self._n_without)
        for future in as_completed(self._futures):
            try:
                n_rows = future.result()
            except ServiceError:
                engine.client.stop.set()
                raise
            if bar is not None:
                bar.update(n_rows)
        engine.warn_of_failures()
        return Cutouts(
            self.images,
            flags=self.flags,
            pixel_scale=engine.pixel_scale,
            bands=service.bands,
            color_mapping=service.color_mapping,
            service=f"{service.name}:{service.layer}" if service.layer else service.name,
        )
