"""Index of the images in a folder, kept on disk, so that only new files' headers are read."""

from __future__ import annotations

import contextlib
import hashlib
import json
import multiprocessing
import os
import warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from shredfinder._utils.files import atomic_write, describe_cache_error
from shredfinder.config import get_cache_folder
from shredfinder.cutouts.image_headers import FluxUnit
from shredfinder.cutouts.services.footprints import FieldIndex
from shredfinder.cutouts.services.image_files import (
    check_not_empty,
    find_overlaps,
    list_images,
    read_file,
)
from shredfinder.cutouts.services.planes import OpenFiles
from shredfinder.exceptions import ShredfinderWarning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from shredfinder.cutouts.services.planes import Plane

__all__ = ["FolderIndex", "PlaneKind"]

# Counted up whenever headers are read in another way, so that older indices are not used.
_FORMAT = 1
# An image of one band: its file and its number there; its coordinates, as a hash, and kind; the
# extension that names it, if the file has several; and where it is.
_PLANE = np.dtype(
    [
        ("file", "i4"),
        ("number", "i4"),
        ("grid", "u8"),
        ("kind", "i4"),
        ("extension", "i4"),
        ("center", "f8", 3),
        ("radius", "f8"),
    ]
)
# Files whose headers are read by other processes, which take a second to start.
_MANY_FILES, _CHUNK = 1500, 100
# Reads at a time of the starts of files, for which a network's file system takes long.
_READ_AHEAD, _START = 16, 1 << 16
# Files whose headers are kept.
_MAX_KEPT = 512


@dataclass
class PlaneKind:
    """Band, unit and pixel scale that images have in common, and the name of the first."""

    band: str
    pixel_scale: float
    unit: FluxUnit
    label: str = ""
    flux_scale: float = 1.0


class FolderIndex:
    """Find the images in a folder, whose headers are read once and when they are needed.

    The index is a file in shredfinder's cache. It is updated when files were added, removed or
    changed.

    Parameters
    ----------
    folder : str
        The folder.
    bands : tuple of str
        Bands to look for.
    files : OpenFiles
        Keeps the files open.
    n_processes : int, optional
        Processes that read the headers of many files.

    Attributes
    ----------
    kinds : list of PlaneKind
        The kinds of images that the folder holds.

    Raises
    ------
    ValueError
        If the folder holds no images, a file is damaged, or a band is unknown.
    """

    def __init__(
        self, folder: str, bands: tuple[str, ...], files: OpenFiles, n_processes: int = 1
    ) -> None:
        self._folder, self._bands, self._n_processes = os.path.abspath(folder), bands, n_processes
        self._read = lru_cache(_MAX_KEPT)(
            lambda path: read_file(path, self._named[path], bands, files)
        )
        self._named = list_images(self._folder, bands)
        self._paths = list(self._named)
        # Files that have just been removed count as changed.
        stats = [_stat(path) for path in self._paths]
        self._stats = np.array(stats, np.int64).reshape(-1, 2)
        self._planes: np.ndarray = np.empty(0, _PLANE)
        self._kinds: list[Any] = []
        self._overlaps = ""
        self._load()
        check_not_empty(self._planes, folder, bands)
        if self._overlaps:
            warnings.warn(self._overlaps, ShredfinderWarning, stacklevel=4)
        used, first = np.unique(self._planes["kind"], return_index=True)
        self.kinds = [
            PlaneKind(band, pixel_scale, FluxUnit(*unit), self._label(row))
            for (band, pixel_scale, unit), row in (
                (self._kinds[kind], row) for kind, row in zip(used, first, strict=True)
            )
        ]

    def __len__(self) -> int:
        return len(self._paths)

    def make_fields(self, prepare: Callable[[list[Plane]], None]) -> FieldIndex:
        """Return the index of the fields that the images show.

        Parameters
        ----------
        prepare : callable
            Called with a field's images when its headers have been read.
        """
        _, first, field = np.unique(self._planes["grid"], return_index=True, return_inverse=True)
        rows, ends = np.argsort(field, kind="stable"), np.cumsum(np.bincount(field))

        def load(number: int) -> list[Plane]:
            group = rows[ends[number - 1] if number else 0 : ends[number]]
            planes = [self._get(self._planes[row]) for row in group]
            prepare(planes)
            return planes

        return FieldIndex(self._planes["center"][first], self._planes["radius"][first], load)

    def _get(self, row: np.void) -> Plane:
        path = self._paths[row["file"]]
        planes = self._read(path)
        if row["number"] >= len(planes):
            raise ValueError(f"{path} was changed since the folder was opened")
        return planes[row["number"]]

    def _label(self, row: int) -> str:
        path, extension = self._paths[self._planes["file"][row]], self._planes["extension"][row]
        return path if extension < 0 else f"{path}[{extension}]"

    def _load(self) -> None:
        """Load the index from the cache, update it, and store it again if it changed."""
        try:
            cache = get_cache_folder("indices") / f"{self._hash()}.npz"
        except OSError as error:
            warnings.warn(describe_cache_error(None, error), ShredfinderWarning, stacklevel=5)
            self._update([], self._stats[:0])
            return
        paths, stats = self._read_cache(cache)
        if paths == self._paths and np.array_equal(stats, self._stats):
            return
        try:
            self._update(paths, stats)
        finally:
            # Also if a file is damaged: the others need not be read again.
            try:
                self._write_cache(cache)
            except OSError as error:
                message = describe_cache_error(cache.parent, error)
                warnings.warn(message, ShredfinderWarning, stacklevel=5)

    def _hash(self) -> str:
        key = json.dumps([_FORMAT, self._folder, self._bands])
        return hashlib.blake2b(key.encode(errors="surrogateescape"), digest_size=16).hexdigest()

    def _read_cache(self, path: Path) -> tuple[list[str], np.ndarray]:
        """Read the stored index; return the files that it holds, and their sizes and times."""
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                names = os.fsdecode(stored["names"].tobytes())
                start = os.path.join(self._folder, "")
                paths = [start + name for name in names.split("\0")] if names else []
                facts = json.loads(stored["facts"].tobytes())
                self._planes = stored["planes"].astype(_PLANE, casting="equiv")
                self._kinds, self._overlaps = facts["kinds"], facts["overlaps"]
                return paths, stored["stats"]
        # There is none, or it is damaged.
        except Exception:
            return [], self._stats[:0]

    def _write_cache(self, path: Path) -> None:
        names = [os.path.relpath(path, self._folder) for path in self._paths]
        facts = json.dumps({"kinds": self._kinds, "overlaps": self._overlaps})
        with atomic_write(path, parents=True) as temporary:
            np.savez(
                temporary,
                names=np.frombuffer(b"\0".join(map(os.fsencode, names)), np.uint8),
                stats=self._stats,
                facts=np.frombuffer(facts.encode(), np.uint8),
                planes=self._planes,
            )

    def _update(self, paths: list[str], stats: np.ndarray) -> None:
        """Keep the rows of unchanged files, and read the headers of the others."""
        before = {path: row for row, path in enumerate(paths)}
        old = np.array([before.get(path, -1) for path in self._paths], int)
        same = np.flatnonzero(old >= 0)
        same = same[(stats[old[same]] == self._stats[same]).all(axis=1)]
        place = np.full(len(paths), -1)
        place[old[same]] = same
        kept = self._planes[place[self._planes["file"]] >= 0]
        kept["file"] = place[kept["file"]]
        new = np.setdiff1d(np.arange(len(self._paths)), same)
        kinds = {json.dumps(kind): number for number, kind in enumerate(self._kinds)}
        rows, error = [kept], None
        for file, records in zip(new, self._read_all(new), strict=True):
            if isinstance(records, Exception):
                error = error or records
                # So that it counts as changed the next time.
                self._stats[file] = -1
                continue
            for number, (grid, kind, extension, center, radius) in enumerate(records):
                row = kinds.setdefault(json.dumps(kind), len(kinds))
                plane = (file, number, grid, row, extension, center, radius)
                rows.append(np.array([plane], _PLANE))
        self._planes = np.concatenate(rows)
        self._planes = self._planes[np.lexsort((self._planes["number"], self._planes["file"]))]
        self._kinds = [json.loads(kind) for kind in kinds]
        self._overlaps = find_overlaps(
            [self._kinds[kind][0] for kind in self._planes["kind"]],
            self._planes["center"],
            self._planes["radius"],
            self._label,
        )
        if error:
            raise error

    def _read_all(self, new: np.ndarray) -> Iterator[list[Any] | Exception]:
        """Read the headers of files, in parallel."""
        pairs = [(self._paths[file], self._named[self._paths[file]]) for file in new]
        chunks = [(pairs[i : i + _CHUNK], self._bands) for i in range(0, len(pairs), _CHUNK)]
        if self._n_processes > 1 and len(pairs) > _MANY_FILES:
            # A forked process would inherit locks that other threads hold.
            context = multiprocessing.get_context("spawn")
            with ProcessPoolExecutor(self._n_processes, mp_context=context) as executor:
                yield from chain.from_iterable(executor.map(_read_records, chunks))
            return
        # Astropy's coordinates are not thread-safe, but files may be read ahead.
        with ThreadPoolExecutor(_READ_AHEAD) as ahead:
            for chunk in chunks:
                list(ahead.map(_read_start, [path for path, _ in chunk[0]]))
                yield from _read_records(chunk)


def _stat(path: str) -> tuple[int, int]:
    try:
        found = os.stat(path)
    except OSError:
        return -1, -1
    return found.st_size, found.st_mtime_ns


def _read_start(path: str) -> None:
    # Errors are reported when the header is read.
    with contextlib.suppress(OSError), open(path, "rb") as file:
        file.read(_START)


def _read_records(chunk: tuple[list[tuple[str, str]], tuple[str, ...]]) -> list[Any]:
    """Return what the index holds of each image in some files, or the errors."""
    pairs, bands = chunk
    files = OpenFiles()
    found: list[Any] = []
    for path, band in pairs:
        try:
            planes = read_file(path, band, bands, files)
        except Exception as error:  # damaged files raise many types of errors
            found.append(error)
            continue
        found.append([_record(path, plane) for plane in planes])
    files.close()
    return found


def _record(path: str, plane: Plane) -> tuple[Any, ...]:
    # The coordinates with distortions of two files are never taken to be the same.
    key = plane.grid if isinstance(plane.grid[0], str) else plane.label
    grid = int.from_bytes(hashlib.blake2b(repr(key).encode(), digest_size=8).digest(), "little")
    extension = -1 if plane.label == path else int(plane.label[len(path) + 1 : -1])
    kind = [plane.band, plane.pixel_scale, list(plane.unit)]
    return grid, kind, extension, tuple(plane.center), plane.radius
