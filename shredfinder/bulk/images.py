"""The images of a catalogue file's rows: files in a folder, or cutouts of a service."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from shredfinder._utils.positions import find_position, get_positions
from shredfinder.imaging import CutoutSequence
from shredfinder.table.patterns import PatternFiles, warn_of_names
from shredfinder.table.scoring import make_fetcher, open_cutouts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from astropy.table import Table

    from shredfinder.bulk.stores import FitsStore, ParquetStore, TableStore
    from shredfinder.imaging import Cutouts
    from shredfinder.models.scorer import ImageScorer
    from shredfinder.table.scoring import ScoreOptions

    Store = FitsStore | ParquetStore | TableStore

__all__ = ["FolderImages", "ServiceImages", "read_parts"]

# Rows per chunk: about ten seconds of local images, or some minutes of a remote service.
_LOCAL_CHUNK, _REMOTE_CHUNK = 16_384, 1_024
# Local cutouts that are made at a time. Small parts let scoring start and end soon after cutting.
_LOCAL_PART = 128


class FolderImages:
    """Image files in a folder, in the order of the rows.

    Parameters
    ----------
    store : FitsStore, ParquetStore or TableStore
        The catalogue.
    classifier : ImageScorer
        Its model decides which images suit.
    options : ScoreOptions
        Folder, pattern and properties of the images.

    Attributes
    ----------
    chunk_size : int
        Rows per chunk.
    description : dict of str
        Where the images come from. A run resumes only if it is unchanged.
    """

    chunk_size = _LOCAL_CHUNK

    def __init__(self, store: Store, classifier: ImageScorer, options: ScoreOptions) -> None:
        self._store, self._classifier, self._options = store, classifier, options
        folder: Any = options.cutouts
        pattern = options.pattern
        self._names = PatternFiles(store.template, folder, pattern).names
        parts = (PatternFiles(part, folder, pattern) for part in read_parts(store, self._names))
        warn_of_names(parts, self._names)
        self.description = {
            "folder": os.path.abspath(folder),
            "pattern": options.pattern,
            "pixel_scale": str(options.pixel_scale),
            "bands": str(options.bands),
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def open(self, start: int, stop: int) -> Cutouts | CutoutSequence:
        """Open the cutouts of a chunk."""
        table = self._store.read(start, stop, self._names)
        return open_cutouts(table, self._classifier, self._options)

    def rows(self, start: int, stop: int) -> slice:
        """Return the rows of a chunk."""
        return slice(start, stop)


class ServiceImages:
    """Cutouts by position, in an order in which neighbours on the sky follow each other.

    Parameters and attributes are those of `FolderImages`; ``workers`` is the number of processes
    that cut local images.
    """

    def __init__(
        self,
        store: Store,
        classifier: ImageScorer,
        options: ScoreOptions,
        workers: int | None,
    ) -> None:
        coords = _read_positions(store, options.position)
        fetcher = make_fetcher(classifier, options.service)
        if workers is not None:
            given = dict(fetcher.service_options or {})
            fetcher = replace(fetcher, service_options=given | {"workers": workers})
        # Chunks follow this order, not that of the rows: `rows` maps them back.
        self._order = fetcher.order(coords)
        source = fetcher.cutout_service
        names = ("base_url", "size", "pixel_scale", "group")
        self.description = {name: str(getattr(fetcher, name)) for name in names}
        # A run may resume with another number of processes.
        given = {k: v for k, v in (fetcher.service_options or {}).items() if k != "workers"}
        self.description["service_options"] = str(given or None)
        self.description |= {"service": source.name, "layer": source.layer}
        self.description["position"] = str(options.position)
        remote = source.remote
        self.chunk_size = _REMOTE_CHUNK if remote else _LOCAL_CHUNK
        # A remote service keeps its own chunk, which it needs for grouping requests.
        # Parts are longer than a brick's sources are many, where processes share them.
        parts = {} if remote else {"chunk": _LOCAL_PART * source.max_workers}
        self._stream = fetcher.stream(coords[self._order], progress=False, **parts)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stream.close()

    def open(self, start: int, stop: int) -> CutoutSequence:
        """Open the cutouts of a chunk."""
        return _Window(self._stream, start, stop)

    def rows(self, start: int, stop: int) -> np.ndarray:
        """Return the rows of a chunk."""
        return self._order[start:stop]


def _read_positions(store, position):
    """Read the positions of all rows part by part."""
    from astropy.coordinates import SkyCoord

    if isinstance(position, SkyCoord):
        if position.shape != (store.n_rows,):
            raise ValueError(
                f"position has shape {position.shape}, but the catalogue has {store.n_rows} rows: "
                "give one position per row"
            )
        return position
    position = find_position(store.template) if position is None else position
    names = [position] if isinstance(position, str) else list(position)
    # Fails on wrong names or units before the whole file is read.
    get_positions(store.template, position)
    ra, dec = np.empty((2, store.n_rows))
    start = 0
    for part in read_parts(store, names):
        coords = get_positions(part, position)
        rows = slice(start, start + len(part))
        ra[rows], dec[rows] = coords.ra.deg, coords.dec.deg
        start = rows.stop
    return SkyCoord(ra, dec, unit="deg")


def read_parts(store: Store, names: Sequence[Any]) -> Iterator[Table]:
    """Read some columns of all rows, part by part.

    Parameters
    ----------
    store : FitsStore, ParquetStore or TableStore
        The catalogue.
    names : sequence of str
        Columns.

    Yields
    ------
    table : `~astropy.table.Table`
        At most 16,384 rows, in order.
    """
    for start in range(0, store.n_rows, _LOCAL_CHUNK):
        yield store.read(start, min(start + _LOCAL_CHUNK, store.n_rows), names)


class _Window(CutoutSequence):
    """Consecutive cutouts of a stream."""

    def __init__(self, stream, start, stop):
        self._stream, self._start, self._n = stream, start, stop - start

    @property
    def first_tried(self):
        return self._stream.first_tried

    def __len__(self):
        return self._n

    def __getitem__(self, rows):
        # The scorer asks for slices only, in ascending order, as the stream needs.
        start, stop, _ = rows.indices(self._n)
        return self._stream[self._start + start : self._start + stop]
