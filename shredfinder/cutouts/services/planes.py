"""Single-band images with a WCS, in files or in memory, from which cutouts are resampled."""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from shredfinder._utils.files import list_extensions
from shredfinder.cutouts.decoding import read_celestial, read_fits
from shredfinder.cutouts.image_headers import FluxUnit, read_unit, select_images
from shredfinder.cutouts.services.tiles import DecodedTiles, Part
from shredfinder.exceptions import BadResponseError
from shredfinder.imaging.checks import CutoutFlag
from shredfinder.imaging.resampling import choose_level, smooth_and_average

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from astropy.io.fits import HDUList
    from astropy.wcs import WCS
    from numpy.typing import ArrayLike

__all__ = ["OpenFiles", "Plane", "read_planes", "to_vectors"]

# Pixels around a cutout, at the coarsest level, that smoothing and interpolation need, and
# interpolation alone.
_MARGIN, _NATIVE_MARGIN = 10, 4
# Files and, if they are compressed, files whose decoded tiles are kept: three bands of a brick and
# parts of its neighbours.
_MAX_OPEN, _MAX_DECODED = 48, 12


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


class _File:
    """An open file, the lock that is held while it is used, and its decoded tiles."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.lock = threading.RLock()
        self.hdus: HDUList | None = None
        self.tiles: dict[int, DecodedTiles] = {}

    def close(self) -> None:
        if self.hdus is not None:
            self.hdus.close()
        self.hdus = None
        self.tiles.clear()


class OpenFiles:
    """FITS files that stay open while they are in use; the least recently used are closed.

    Each file has its own lock, so that threads wait only for another that reads the same file.
    """

    def __init__(self) -> None:
        self._files: OrderedDict[str, _File] = OrderedDict()
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def use(self, path: str) -> Iterator[HDUList]:
        """Yield an open file, opened if it is not, which no other thread uses meanwhile."""
        with self._open(path) as (_, hdus):
            yield hdus

    @contextlib.contextmanager
    def _open(self, path: str) -> Iterator[tuple[_File, HDUList]]:
        from astropy.io import fits

        with self._lock:
            file = self._files.setdefault(path, _File(path))
            self._files.move_to_end(path)
        with file.lock:
            hdus = file.hdus
            if hdus is None:
                # memmap=True would refuse scaled values; the default maps only what it can.
                hdus = fits.open(path)
                try:
                    list_extensions(hdus)
                except ValueError:
                    hdus.close()
                    raise
                file.hdus = hdus
                self._close_others()
            yield file, hdus

    def _close_others(self) -> None:
        with self._lock:
            files = list(self._files.values())
            decoded = [file for file in files if file.tiles]
            for file in [*files[:-_MAX_OPEN], *decoded[:-_MAX_DECODED]]:
                # A file that another thread uses stays open.
                if file.lock.acquire(blocking=False):
                    file.close()
                    self._files.pop(file.path, None)
                    file.lock.release()

    def read(
        self, path: str, index: int, where: tuple[Any, ...], parts: Sequence[Part] = ()
    ) -> np.ndarray:
        """Read a part of an image.

        Parameters
        ----------
        path : str
            The file.
        index : int
            Position of the image in the file.
        where : tuple
            Indices, the last two of which are slices of rows and columns.
        parts : sequence of Part, optional
            All parts that will be read next, for compressed images.

        Returns
        -------
        values : `~numpy.ndarray`
            The values, scaled, with NaN for missing ones.
        """
        from astropy.io.fits import CompImageHDU

        with self._open(path) as (file, hdus):
            hdu = hdus[index]
            if isinstance(hdu, CompImageHDU) and len(where) == 2:
                if index not in file.tiles:
                    file.tiles[index] = DecodedTiles(hdu)
                    self._close_others()
                return file.tiles[index].read(*where, parts)
            # Only the slice is read: plain values are mapped into memory, and a section reads
            # scaled or compressed ones.
            scaled = any(keyword in hdu.header for keyword in ("BSCALE", "BZERO", "BLANK"))
            plain = not scaled and not isinstance(hdu, CompImageHDU)
            data = hdu.data if plain else hdu.section
            # Converted at once, since bytes are swapped anyway.
            return np.array(data[where], dtype=np.float32)

    def close(self) -> None:
        """Close all files."""
        with self._lock:
            files = list(self._files.values())
            self._files.clear()
        for file in files:
            with file.lock:
                file.close()


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
        Reads a slice of rows and one of columns as floats, with NaN for missing pixels; its third
        argument are all parts that will be read.
    unit : FluxUnit, optional
        Unit of the values, as the header states it.
    label : str, optional
        File and extension, for messages.

    Attributes
    ----------
    flux_scale : float
        Factor that `cut` applies to the values, 1 unless it is set.
    grid : tuple
        The same for images with the same coordinates and size, such as bands of a brick.
    center : `~numpy.ndarray`
        Unit vector of the image's centre.
    radius : float
        Half its diagonal in radians.
    """

    def __init__(
        self,
        band: str,
        wcs: WCS,
        shape: tuple[int, ...],
        read: Callable[..., np.ndarray],
        *,
        unit: FluxUnit | None = None,
        label: str = "the image",
    ) -> None:
        self.band = band
        self.wcs = wcs
        self.shape = tuple(shape)
        self._read = read
        self.unit = FluxUnit() if unit is None else unit
        self.label = label
        self.flux_scale = 1.0
        geometry = _measure_geometry(wcs, self.shape)
        self.grid, self.pixel_scale, self.center, self.radius, self._lock = geometry
        self._is_icrs = wcs.wcs.radesys == "ICRS" and wcs.wcs.lngtyp.strip() == "RA"

    def locate(self, ra: np.ndarray, dec: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the pixels of positions in degrees (ICRS), NaN where there are none."""
        from astropy.coordinates import SkyCoord

        with self._lock:
            if self._is_icrs:
                # Far from the image, a projection may not exist, or distortions not converge.
                x, y = self.wcs.all_world2pix(ra.ravel(), dec.ravel(), 0, quiet=True)
            else:
                x, y = self.wcs.world_to_pixel(SkyCoord(ra.ravel(), dec.ravel(), unit="deg"))
        return x.reshape(ra.shape), y.reshape(ra.shape)

    def choose_part(self, x: np.ndarray, y: np.ndarray, pixel_scale: float) -> Part | None:
        """Choose what to read for pixels of a cutout, and how to average it; None for nothing."""
        # Average 2 × 2 pixels `level` times, so that blocks of ``step`` pixels become one.
        level = choose_level(pixel_scale, self.pixel_scale)
        columns, rows = _bounds(x, self.shape[1], level), _bounds(y, self.shape[0], level)
        if columns is None or rows is None:
            return None
        return Part(slice(*rows), slice(*columns), level)

    def read(self, part: Part, parts: Sequence[Part] = ()) -> np.ndarray:
        """Read a part of the image, as float32, averaged.

        Parameters
        ----------
        part : Part
            The part.
        parts : sequence of Part, optional
            All parts that will be read next, so that compressed images are decoded together.

        Returns
        -------
        values : `~numpy.ndarray`
            The values.

        Raises
        ------
        BadResponseError
            If the data of a file are damaged though its header is not.
        """
        try:
            values = self._read(part.rows, part.columns, parts)
        except Exception as error:  # decoders raise many types of errors
            raise BadResponseError(
                f"cannot read {self.label} in {self.band}: {error}", CutoutFlag.CORRUPTED
            ) from error
        values = np.asarray(values, dtype=np.float32)
        if self.flux_scale != 1:
            values = values * np.float32(self.flux_scale)
        return smooth_and_average(values, part.level)


# Bands of a brick share their coordinates.
@lru_cache(maxsize=64)
def _measure_geometry(
    wcs: WCS, shape: tuple[int, ...]
) -> tuple[tuple[Any, ...], float, np.ndarray, float, threading.Lock]:
    """Return the grid, pixel scale, centre and radius of an image, and a lock for its WCS.

    A WCS is not thread-safe.
    """
    from astropy.wcs.utils import proj_plane_pixel_scales

    grid: tuple[Any, ...] = (wcs.to_header_string(relax=True), shape)
    if wcs.has_distortion:  # which that header does not hold completely
        grid = (id(wcs), shape)
    pixel_scale = float(np.mean(proj_plane_pixel_scales(wcs))) * 3600
    ny, nx = shape
    middle = wcs.pixel_to_world((nx - 1) / 2, (ny - 1) / 2).icrs
    center = to_vectors(middle.ra.deg, middle.dec.deg)
    radius = float(np.radians(np.hypot(nx, ny) / 2 * pixel_scale / 3600))
    return grid, pixel_scale, center, radius, threading.Lock()


def _bounds(x: np.ndarray, n: int, level: int) -> tuple[int, int] | None:
    """Return the first and last pixel plus one to read, aligned to the image's averaged blocks."""
    # Positions between the nodes are at most a pixel farther out.
    if not (np.nanmin(x, initial=n) < n + 0.5 and np.nanmax(x, initial=-1) > -1.5):
        return None
    step, margin = 2**level, _MARGIN if level else _NATIVE_MARGIN
    first = max(0, int(np.floor(np.nanmin(x))) // step - margin) * step
    last = (int(np.ceil(np.nanmax(x))) // step + margin + 1) * step
    # At the image's end, pixels that fill no block are smoothed all the same.
    last = min(n, last)
    return (first, last) if last - first >= step else None


def to_vectors(ra: ArrayLike, dec: ArrayLike) -> np.ndarray:
    """Return unit vectors of shape ``(..., 3)`` of positions in degrees."""
    ra, dec = np.radians(ra), np.radians(dec)
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=-1)
