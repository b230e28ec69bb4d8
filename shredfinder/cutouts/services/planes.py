"""Single-band images with a WCS, in files or in memory, from which cutouts are resampled."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np

from shredfinder._utils.files import list_extensions
from shredfinder.cutouts.decoding import read_celestial, read_fits
from shredfinder.exceptions import BadResponseError
from shredfinder.imaging.checks import CutoutFlag
from shredfinder.imaging.resampling import (
    choose_level,
    resample_lanczos,
    smooth_and_average,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from astropy.coordinates import SkyCoord
    from astropy.io.fits import HDUList
    from astropy.wcs import WCS

__all__ = ["OpenFiles", "Plane", "read_planes"]

# Pixels around a cutout, at the coarsest level, that smoothing and interpolation need.
_MARGIN = 10
_MAX_OPEN = 16


def read_planes(content: bytes, content_type: str = "") -> list[tuple[np.ndarray, WCS]]:
    """Read the image of one band that a service sent.

    Parameters
    ----------
    content : bytes
        A FITS file, whose first image is used, or nothing.
    content_type : str, optional
        Media type of the response.

    Returns
    -------
    planes : list of tuple
        Array and celestial WCS of the image; empty if there is no image.

    Raises
    ------
    TransientServiceError
        If the file is truncated.
    BadResponseError
        If it is not a FITS file, or its image has no celestial coordinates.
    """
    # VO services send nothing if no image overlaps the region.
    images = read_fits(content, content_type) if content else []
    if not images:
        return []
    data, header = np.asarray(images[0][0], dtype=np.float32), images[0][1]
    wcs = read_celestial(header)
    if data.ndim != 2 or wcs is None:
        raise BadResponseError(f"an image of shape {data.shape} without celestial coordinates")
    return [(data, wcs)]


class OpenFiles:
    """FITS files that stay open while they are in use; the least recently used are closed."""

    def __init__(self) -> None:
        self._files: OrderedDict[str, HDUList] = OrderedDict()
        # Reentrant: a plane's `read` calls `get` while `cut` holds the lock.
        self.lock = threading.RLock()

    def get(self, path: str) -> HDUList:
        """Return an open file, opened if it is not; hold ``lock`` while using it."""
        from astropy.io import fits

        if path in self._files:
            self._files.move_to_end(path)
        else:
            hdus = fits.open(path, memmap=True)
            try:
                list_extensions(hdus)
            except ValueError:
                hdus.close()
                raise
            self._files[path] = hdus
            if len(self._files) > _MAX_OPEN:
                self._files.popitem(last=False)[1].close()
        return self._files[path]

    def close(self) -> None:
        """Close all files."""
        with self.lock:
            while self._files:
                self._files.popitem()[1].close()


class Plane:
    """An image of one band.

    Parameters
    ----------
    band : str
        The band.
    wcs : `~astropy.wcs.WCS`
        Two celestial axes.
    shape : tuple of int
        Height and width in pixels.
    read : callable
        Returns an array or another object of the image's shape, to be sliced.
    lock : context manager
        Held while that object is used.
    """

    def __init__(
        self,
        band: str,
        wcs: WCS,
        shape: tuple[int, ...],
        read: Callable[[], Any],
        lock: AbstractContextManager[Any],
    ) -> None:
        from astropy.wcs.utils import proj_plane_pixel_scales

        self.band = band
        self.wcs = wcs
        self.shape = tuple(shape)
        self._read = read
        self._lock = lock
        # Bands of a brick have the same pixel grid, and share what `cut` finds out of it.
        self.grid: tuple[Any, ...] = (wcs.to_header_string(relax=True), self.shape)
        if wcs.has_distortion:  # which that header does not hold completely
            self.grid = (id(wcs), self.shape)
        self.pixel_scale = float(np.mean(proj_plane_pixel_scales(wcs))) * 3600
        ny, nx = self.shape
        middle = wcs.pixel_to_world((nx - 1) / 2, (ny - 1) / 2).icrs
        self._center = _vector(middle.ra.deg, middle.dec.deg)
        self._radius = np.radians(np.hypot(nx, ny) / 2 * self.pixel_scale / 3600)

    def overlaps(self, ra: float, dec: float, radius: float) -> bool:
        """Return whether a circle may touch the image; all in degrees."""
        distance = np.linalg.norm(_vector(ra, dec) - self._center)
        # The margin covers the difference of chord and arc, and distant projections.
        return distance < (np.radians(radius) + self._radius) * 1.1

    def cut(
        self, coords: SkyCoord, pixel_scale: float, located: dict[Any, Any] | None = None
    ) -> np.ndarray | None:
        """Resample the image at positions on the sky, as the Legacy Surveys' viewer does.

        Parameters
        ----------
        coords : `~astropy.coordinates.SkyCoord`
            Positions of the cutout's pixels, of shape ``(height, width)``.
        pixel_scale : float
            The cutout's pixel scale in arcsec.
        located : dict, optional
            Stores the pixel positions, for other planes of the same ``grid``.

        Returns
        -------
        values : `~numpy.ndarray` or None
            Values of shape ``(height, width)``, NaN outside the image; None if all are
            outside.
        """
        from astropy.nddata import Cutout2D

        located = {} if located is None else located
        if self.grid not in located:
            located[self.grid] = self._locate(coords, pixel_scale)
        if located[self.grid] is None:
            return None
        (left, right), (bottom, top), level, x, y = located[self.grid]
        try:
            # Only reading needs the lock; resampling runs in parallel.
            with self._lock:
                part = Cutout2D(
                    self._read(),
                    # The centre of the pixels from `left` to `right - 1`.
                    position=((left + right - 1) / 2, (bottom + top - 1) / 2),
                    size=(top - bottom, right - left),
                    mode="strict",
                )
                values = np.array(part.data, dtype=np.float32)
        except Exception as error:  # the data of a file may be damaged though its header is not
            raise BadResponseError(
                f"cannot read the image in {self.band}: {error}", CutoutFlag.CORRUPTED
            ) from error
        return resample_lanczos(smooth_and_average(values, level), x, y)

    def _locate(self, coords: SkyCoord, pixel_scale: float) -> tuple[Any, ...] | None:
        """Return the range of pixels to read, the level of averaging, and the positions in it."""
        with self._lock:  # a WCS is not thread-safe
            x, y = self.wcs.world_to_pixel(coords)
        # Average 2 × 2 pixels `level` times, so that blocks of ``step`` pixels become one.
        level = choose_level(pixel_scale, self.pixel_scale)
        step = 2**level
        columns, rows = _bounds(x, self.shape[1], step), _bounds(y, self.shape[0], step)
        if columns is None or rows is None:
            return None
        left, bottom = columns[0], rows[0]
        # Edges of pixels scale with `step`, centres do not: half a pixel is added and subtracted.
        x, y = ((axis + 0.5) / step - 0.5 for axis in (x - left, y - bottom))
        return columns, rows, level, x, y


def _bounds(x: np.ndarray, n: int, step: int) -> tuple[int, int] | None:
    """Return the first and last pixel plus one to read, aligned to the image's averaged blocks."""
    if not np.isfinite(x).any():
        return None
    first = max(0, int(np.floor(np.nanmin(x))) // step - _MARGIN) * step
    last = (int(np.ceil(np.nanmax(x))) // step + _MARGIN + 1) * step
    # At the image's end, pixels that fill no block are smoothed all the same.
    last = min(n, last)
    return (first, last) if last - first >= step else None


def _vector(ra: float, dec: float) -> np.ndarray:
    ra, dec = np.radians(ra), np.radians(dec)
    return np.array([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])
