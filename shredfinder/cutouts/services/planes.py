"""Single-band images with a WCS, in files or in memory, from which cutouts are resampled."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np

from shredfinder._utils.files import list_extensions
from shredfinder.cutouts.decoding import read_celestial, read_fits
from shredfinder.cutouts.image_headers import FluxUnit, read_unit, select_images
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


def read_planes(content: bytes, content_type: str = "") -> list[tuple[np.ndarray, WCS, FluxUnit]]:
    """Read the images of one band that a service sent.

    Parameters
    ----------
    content : bytes
        A FITS file, or nothing. Weight and mask maps and thumbnails in it are left out.
    content_type : str, optional
        Media type of the response.

    Returns
    -------
    planes : list of tuple
        Array, celestial WCS and unit of each image; empty if there is no image.

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
    planes = []
    headers = [header for _, header in images]
    for i in select_images(headers, headers[0]):
        data = np.asarray(images[i][0], dtype=np.float32)
        # SDSS's frames hold a calibration vector beside the image.
        wcs = read_celestial(headers[i]) if data.ndim == 2 else None
        if wcs is not None:
            planes.append((data, wcs, read_unit(headers[i], headers[0])))
    if not planes:
        shapes = ", ".join(str(np.shape(data)) for data, _ in images)
        raise BadResponseError(f"an image of shape {shapes} without celestial coordinates")
    return planes


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
            # memmap=True would refuse scaled values; the default maps only what it can.
            hdus = fits.open(path)
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
        Reads a slice of rows and one of columns as floats, with NaN for missing pixels.
    lock : context manager
        Held while it reads.
    unit : FluxUnit, optional
        Unit of the values, as the header states it.
    label : str, optional
        File and extension, for messages.

    Attributes
    ----------
    flux_scale : float
        Factor that `cut` applies to the values, 1 unless it is set.
    """

    def __init__(
        self,
        band: str,
        wcs: WCS,
        shape: tuple[int, ...],
        read: Callable[[slice, slice], np.ndarray],
        lock: AbstractContextManager[Any],
        *,
        unit: FluxUnit | None = None,
        label: str = "the image",
    ) -> None:
        from astropy.wcs.utils import proj_plane_pixel_scales

        self.band = band
        self.wcs = wcs
        self.shape = tuple(shape)
        self._read = read
        self._lock = lock
        self.unit = FluxUnit() if unit is None else unit
        self.label = label
        self.flux_scale = 1.0
        # Bands of a brick have the same pixel grid, and share what `cut` finds out of it.
        self.grid: tuple[Any, ...] = (wcs.to_header_string(relax=True), self.shape)
        if wcs.has_distortion:  # which that header does not hold completely
            self.grid = (id(wcs), self.shape)
        self.pixel_scale = float(np.mean(proj_plane_pixel_scales(wcs))) * 3600
        ny, nx = self.shape
        middle = wcs.pixel_to_world((nx - 1) / 2, (ny - 1) / 2).icrs
        self.center = _vector(middle.ra.deg, middle.dec.deg)
        self.radius = np.radians(np.hypot(nx, ny) / 2 * self.pixel_scale / 3600)

    def overlaps(self, ra: float, dec: float, radius: float) -> bool:
        """Return whether a circle may touch the image; all in degrees."""
        distance = np.linalg.norm(_vector(ra, dec) - self.center)
        # The margin covers the difference of chord and arc, and distant projections.
        return distance < (np.radians(radius) + self.radius) * 1.1

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
        located = {} if located is None else located
        if self.grid not in located:
            located[self.grid] = self._locate(coords, pixel_scale)
        if located[self.grid] is None:
            return None
        (left, right), (bottom, top), level, x, y = located[self.grid]
        try:
            # Only reading needs the lock; resampling runs in parallel.
            with self._lock:
                values = np.asarray(
                    self._read(slice(bottom, top), slice(left, right)), dtype=np.float32
                )
        except Exception as error:  # the data of a file may be damaged though its header is not
            raise BadResponseError(
                f"cannot read {self.label} in {self.band}: {error}", CutoutFlag.CORRUPTED
            ) from error
        if self.flux_scale != 1:
            values = values * self.flux_scale
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
