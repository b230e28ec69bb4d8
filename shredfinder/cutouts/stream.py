"""Cutouts of a catalogue of any length, batch by batch."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Literal, Self

from shredfinder._utils.positions import get_degrees
from shredfinder._utils.runtime import progress_bar
from shredfinder.cutouts.download import make_engine
from shredfinder.imaging import CutoutSequence
from shredfinder.imaging.cutouts import join_cutouts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from astropy.coordinates import SkyCoord
    from astropy.table import Table

    from shredfinder.imaging import Cutouts

__all__ = ["CutoutStream", "iter_cutouts"]


class CutoutStream(CutoutSequence):
    """A sequence of cutouts that are fetched when they are asked for, and a little before.

    A slice gives `~shredfinder.Cutouts`, so that a classifier takes a stream for ``X`` as it
    takes image files. While one chunk is being used, the next ones are downloaded; chunks that
    were used are dropped, so that the memory taken does not grow with the catalogue. Slices
    should go forward: one that goes back fetches again (from the cache, if there is one).

    Parameters
    ----------
    coords : `~astropy.coordinates.SkyCoord` or `~astropy.table.Table`
        Positions, as for `fetch_cutouts`.
    chunk : int, optional
        Sources that are fetched at a time. Neighbours share an image only within a chunk: sort
        a catalogue in random order by `sky_order` first.
    ahead : int, optional
        Chunks that are downloaded ahead.
    **options
        Further arguments of `fetch_cutouts`.

    Examples
    --------
    >>> from astropy.coordinates import SkyCoord
    >>> from shredfinder.cutouts import CutoutStream
    >>> coords = SkyCoord([184.7, 184.8, 184.9], [47.3, 47.4, 47.5], unit="deg")
    >>> with CutoutStream(coords, chunk=2, offline=True) as stream:
    ...     [len(cutouts) for cutouts in stream]
    [2, 1]
    """

    def __init__(
        self,
        coords: SkyCoord | Table,
        *,
        chunk: int = 512,
        ahead: int = 1,
        progress: bool | Literal["auto"] = "auto",
        **options: Any,
    ) -> None:
        if chunk < 1 or ahead < 0:
            raise ValueError(f"chunk must be positive and ahead not negative: {chunk}, {ahead}")
        self.ra, self.dec = get_degrees(coords, name="coords")
        self.chunk, self.ahead = int(chunk), int(ahead)
        self.progress = progress
        self._options = options
        # Wrong options are told of at once, not when the first slice is taken.
        with make_engine(**options) as engine:
            self.size = (engine.size, engine.size)
            self.pixel_scale = engine.pixel_scale
            self.bands = engine.service.bands
            self.color_mapping = engine.service.color_mapping
        self._chunks: Any = None
        self._buffer: Cutouts | None = None
        self._start, self._n_asked = 0, 0

    def __len__(self) -> int:
        return len(self.ra)

    def __enter__(self) -> Self:
        return self

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
            raise TypeError("a stream gives slices of consecutive rows only, such as stream[0:128]")
        start, stop, _ = rows.indices(len(self))
        stop = max(start, stop)
        end = self._start + (0 if self._buffer is None else len(self._buffer))
        if self._chunks is None or start < self._start or start > end:
            self.close()
            self._chunks, self._start = self._iterate(start), start
        while self._buffer is None or self._start + len(self._buffer) < stop:
            # What lies before the slice is dropped first.
            left = None if self._buffer is None else self._buffer[start - self._start :]
            following = next(self._chunks)
            self._buffer = following if not left else join_cutouts([left, following])
            self._start = start
        return self._buffer[start - self._start : stop - self._start]

    def _iterate(self, start):
        n = len(self)
        engine = make_engine(**self._options)
        bar = progress_bar(
            total=n, initial=start, progress=self.progress, desc="cutouts", unit="source"
        )
        with engine, bar:
            waiting = deque()
            # An empty catalogue has one empty chunk, which knows bands and size.
            for first in range(start, max(n, start + 1), self.chunk):
                rows = slice(first, first + self.chunk)
                waiting.append(engine.submit(self.ra[rows], self.dec[rows]))
                if len(waiting) > self.ahead:
                    yield waiting.popleft().result(bar)
            while waiting:
                yield waiting.popleft().result(bar)


def iter_cutouts(
    coords: SkyCoord | Table, *, chunk: int = 512, **options: Any
) -> Iterator[Cutouts]:
    """Fetch cutouts chunk by chunk, downloading the next while one is in use.

    Parameters
    ----------
    coords : `~astropy.coordinates.SkyCoord` or `~astropy.table.Table`
        Positions, as for `fetch_cutouts`.
    chunk : int, optional
        Cutouts at a time.
    **options
        Further arguments of `CutoutStream` and `fetch_cutouts`.

    Yields
    ------
    cutouts : ~shredfinder.Cutouts
        The next ones, in the order of the positions.

    Examples
    --------
    >>> from astropy.coordinates import SkyCoord
    >>> from shredfinder.cutouts import iter_cutouts
    >>> coords = SkyCoord([184.7, 184.8, 184.9], [47.3, 47.4, 47.5], unit="deg")
    >>> for cutouts in iter_cutouts(coords, chunk=2, offline=True):
    ...     print(cutouts.flags.tolist())
    ['missing', 'missing']
    ['missing']
    """
    with CutoutStream(coords, chunk=chunk, **options) as stream:
        yield from stream
