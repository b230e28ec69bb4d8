"""Parts of images, and tiles of compressed ones, each decoded once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from astropy.io.fits import Header

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["DecodedTiles", "Part"]

# Share of missing tiles from which it is faster to decode all of them.
_WHOLE = 0.55
# Tiles that take as long to decode as astropy takes to begin.
_CALL = 3
_MISSING = object()


class Part(NamedTuple):
    """A part of an image, and how often it is averaged 2 × 2."""

    rows: slice
    columns: slice
    level: int

    def place(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Return positions in the averaged part, given those in the image."""
        step = 2**self.level
        # Edges of pixels scale with `step`, centres do not: half a pixel is added and subtracted.
        return (
            (x - self.columns.start + 0.5) / step - 0.5,
            (y - self.rows.start + 0.5) / step - 0.5,
        )


class _KeptHeader(Header):
    """A header that does not change, whose values are looked up once."""

    def __getitem__(self, key: Any) -> Any:
        kept = self.__dict__.setdefault("_kept", {})
        if not isinstance(key, str):
            return super().__getitem__(key)
        if key not in kept:
            kept[key] = super().__getitem__(key) if super().__contains__(key) else _MISSING
        if kept[key] is _MISSING:
            raise KeyError(f"Keyword {key!r} not found.")
        return kept[key]

    def __contains__(self, key: object) -> bool:
        try:
            self[key]
        except KeyError:
            return False
        return True


class DecodedTiles:
    """A compressed image, and its tiles that were decoded.

    Parameters
    ----------
    hdu : `~astropy.io.fits.CompImageHDU`
        The image.
    """

    def __init__(self, hdu: Any) -> None:
        self._section, self._shape = hdu.section, hdu.shape
        # Astropy looks up a hundred keywords per call, which takes as long as decoding two tiles.
        table = getattr(hdu, "_bintable", None)
        if table is not None and type(table.header) is Header:
            table.header.__class__ = _KeptHeader
        self._tile = np.array(hdu.tile_shape)
        self._done = np.zeros(-(-np.array(self._shape) // self._tile), bool)
        # Tiles by themselves: an array of the whole image would take memory, and time, for all
        # the rows that a few tiles touch.
        self._tiles: dict[tuple[int, int], np.ndarray] = {}
        self._whole: np.ndarray | None = None
        self._prepared: Sequence[Part] | None = None

    def read(self, rows: slice, columns: slice, parts: Sequence[Part] = ()) -> np.ndarray:
        """Read a part of the image.

        Parameters
        ----------
        rows, columns : slice
            The part.
        parts : sequence of Part, optional
            All parts that will be read next, which are decoded together.

        Returns
        -------
        values : `~numpy.ndarray`
            The values as float32.
        """
        if len(parts) > 1 and parts is not self._prepared:
            self._prepared = parts
            self._prepare(parts)
        if self._whole is not None:
            return self._whole[rows, columns]
        first, last = self._find_tiles(rows, columns)
        missing = np.argwhere(~self._done[first[0] : last[0], first[1] : last[1]])
        if len(missing):
            # One call per rectangle of missing tiles costs less than one per tile.
            self._decode(missing.min(axis=0) + first, missing.max(axis=0) + first + 1)
        values = np.empty((rows.stop - rows.start, columns.stop - columns.start), np.float32)
        for i in range(first[0], last[0]):
            to_rows, from_rows = _intersect(rows, i * self._tile[0], self._tile[0])
            for j in range(first[1], last[1]):
                to_columns, from_columns = _intersect(columns, j * self._tile[1], self._tile[1])
                values[to_rows, to_columns] = self._tiles[i, j][from_rows, from_columns]
        return values

    def _find_tiles(self, rows: slice, columns: slice) -> tuple[np.ndarray, np.ndarray]:
        """Return the first tile of a part along each axis, and the last plus one."""
        low = np.array([rows.start, columns.start]) // self._tile
        return low, (np.array([rows.stop, columns.stop]) - 1) // self._tile + 1

    def _prepare(self, parts: Sequence[Part]) -> None:
        """Decode all tiles of some parts in few calls."""
        if self._whole is not None:
            return
        boxes = [self._find_tiles(part.rows, part.columns) for part in parts]
        needed = np.zeros(self._done.shape, bool)
        for low, high in boxes:
            needed[low[0] : high[0], low[1] : high[1]] = True
        try:
            if (needed & ~self._done).mean() > _WHOLE:
                self._whole = np.asarray(self._section[...], dtype=np.float32)
                self._tiles.clear()
                return
            for low, high in _merge(boxes):
                missing = np.argwhere(~self._done[low[0] : high[0], low[1] : high[1]])
                if len(missing):
                    self._decode(missing.min(axis=0) + low, missing.max(axis=0) + low + 1)
        except Exception:  # a damaged tile: the parts without it can be read one by one
            return

    def _decode(self, low: np.ndarray, high: np.ndarray) -> None:
        """Decode a rectangle of tiles."""
        top, left = low * self._tile
        bottom, right = np.minimum(high * self._tile, self._shape)
        values = np.asarray(self._section[top:bottom, left:right], dtype=np.float32)
        ny, nx = self._tile
        for i in range(low[0], high[0]):
            for j in range(low[1], high[1]):
                y, x = i * ny - top, j * nx - left
                self._tiles[i, j] = values[y : y + ny, x : x + nx]
        self._done[low[0] : high[0], low[1] : high[1]] = True


def _merge(boxes: Sequence[tuple[np.ndarray, np.ndarray]]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Merge rectangles where one that holds both costs less than both."""
    lows, highs = np.array([box[0] for box in boxes]), np.array([box[1] for box in boxes])
    n = 0
    for low, high in boxes:
        low_both, high_both = np.minimum(lows[:n], low), np.maximum(highs[:n], high)
        more = (high_both - low_both).prod(axis=1) - (highs[:n] - lows[:n]).prod(axis=1)
        best = int(more.argmin()) if n else -1
        if n and more[best] <= (high - low).prod() + _CALL:
            lows[best], highs[best] = low_both[best], high_both[best]
        else:
            lows[n], highs[n] = low, high
            n += 1
    return list(zip(lows[:n], highs[:n], strict=True))


def _intersect(part: slice, start: int, step: int) -> tuple[slice, slice]:
    """Return where a tile's pixels are in a part of an image, and which of the tile's they are."""
    low, high = max(part.start, start), min(part.stop, start + step)
    return slice(low - part.start, high - part.start), slice(low - start, high - start)
