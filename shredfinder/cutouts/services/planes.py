"""Single-band images with a WCS, in files or in memory, that cutouts are taken from."""

import threading
from collections import OrderedDict

import numpy as np

from shredfinder._net.errors import BadAnswerError
from shredfinder._utils.files import list_extensions
from shredfinder.imaging.checks import CutoutFlag
from shredfinder.imaging.resampling import LanczosSampling, choose_level, smooth_and_average

__all__ = ["OpenFiles", "Plane", "get_celestial"]

# Native pixels beside a cutout, at the coarsest level, that smoothing and interpolation reach.
_MARGIN = 10
_MAX_OPEN = 16
# Astropy takes the others (ecliptic: ELON and ELAT) for equatorial, without a word.
_LONGITUDES = ("RA", "GLON")


def get_celestial(wcs):
    """Take the celestial part of an image's coordinates.

    Parameters
    ----------
    wcs : `~astropy.wcs.WCS`
        Coordinates of any number of axes.

    Returns
    -------
    celestial : `~astropy.wcs.WCS` or None
        Those of two axes, equatorial or galactic; None if there are none.
    """
    celestial = wcs.celestial
    if celestial.naxis != 2 or celestial.wcs.lngtyp.strip() not in _LONGITUDES:
        return None
    return celestial


class OpenFiles:
    """FITS files that are kept open while they are in use, the least recent ones closed."""

    def __init__(self):
        self._files = OrderedDict()
        self.lock = threading.RLock()

    def get(self, path):
        """Open a file, or take it as it is open; hold `lock` while using it."""
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

    def close(self):
        """Close all."""
        with self.lock:
            while self._files:
                self._files.popitem()[1].close()


class Plane:
    """An image of one band.

    Parameters
    ----------
    band : str
        Its band.
    wcs : `~astropy.wcs.WCS`
        Its celestial coordinates, of two axes.
    shape : tuple of int
        Its height and width in pixels.
    read : callable
        Gives an object that has the image's shape, and its values when it is sliced.
    lock : context manager
        Held while that object is used.
    """

    def __init__(self, band, wcs, shape, read, lock):
        from astropy.wcs.utils import proj_plane_pixel_scales

        self.band = band
        self.wcs = wcs
        self.shape = tuple(shape)
        self._read = read
        self._lock = lock
        # The bands of a brick have the same pixels: what is known of one's holds for all.
        self.grid = (wcs.to_header_string(relax=True), self.shape)
        if wcs.has_distortion:  # not all of it is in that header
            self.grid = (id(wcs), self.shape)
        self.pixel_scale = float(np.mean(proj_plane_pixel_scales(wcs))) * 3600
        ny, nx = self.shape
        middle = wcs.pixel_to_world((nx - 1) / 2, (ny - 1) / 2).icrs
        self._center = _vector(middle.ra.deg, middle.dec.deg)
        self._radius = np.radians(np.hypot(nx, ny) / 2 * self.pixel_scale / 3600)

    def overlaps(self, ra, dec, radius):
        """Tell whether a circle may touch the image; all in degrees."""
        distance = np.linalg.norm(_vector(ra, dec) - self._center)
        # Chord and arc differ little, and far projections a little more.
        return distance < (np.radians(radius) + self._radius) * 1.1

    def cut(self, coords, pixel_scale, located=None):
        """Take the values at positions on the sky, treated as the viewer treats its images.

        Parameters
        ----------
        coords : `~astropy.coordinates.SkyCoord`
            Positions of the cutout's pixels, of shape ``(height, width)``.
        pixel_scale : float
            The cutout's pixel scale in arcsec.
        located : dict, optional
            Keeps what this finds out of the positions, for other planes of the same `grid`.

        Returns
        -------
        values : `~numpy.ndarray` or None
            Values of shape ``(height, width)``, NaN where the image has none; None if the
            image holds none of the positions.
        """
        from astropy.nddata import Cutout2D

        located = {} if located is None else located
        if self.grid not in located:
            located[self.grid] = self._locate(coords, pixel_scale)
        if located[self.grid] is None:
            return None
        (left, right), (bottom, top), level, sampling = located[self.grid]
        try:
            with self._lock:
                part = Cutout2D(
                    self._read(),
                    position=((left + right - 1) / 2, (bottom + top - 1) / 2),
                    size=(top - bottom, right - left),
                    mode="strict",
                )
                values = np.array(part.data, dtype=np.float64)
        except Exception as error:  # a file may be damaged where its header is not
            raise BadAnswerError(
                f"the image in {self.band} can't be read: {error}", CutoutFlag.CORRUPTED
            ) from error
        return sampling.apply(smooth_and_average(values, level))

    def _locate(self, coords, pixel_scale):
        """Find the pixels to be read, how often they are averaged, and how they are weighed."""
        with self._lock:  # a WCS is not made for several threads
            x, y = self.wcs.world_to_pixel(coords)
        level = choose_level(pixel_scale, self.pixel_scale)
        step = 2**level
        bounds = [_bounds(a, n, step) for a, n in ((x, self.shape[1]), (y, self.shape[0]))]
        if None in bounds:
            return None
        (left, right), (bottom, top) = bounds
        sampling = LanczosSampling(
            (x - left + 0.5) / step - 0.5,
            (y - bottom + 0.5) / step - 0.5,
            ((top - bottom) // step, (right - left) // step),
        )
        return *bounds, level, sampling


def _bounds(x, n, step):
    """First and last pixel, plus one, to be read; the averaged blocks are those of the image."""
    n -= n % step
    if not np.isfinite(x).any():
        return None
    first = max(0, int(np.floor(np.nanmin(x))) // step - _MARGIN) * step
    last = min(n // step, int(np.ceil(np.nanmax(x))) // step + _MARGIN + 1) * step
    return (first, last) if last - first >= step else None


def _vector(ra, dec):
    ra, dec = np.radians(ra), np.radians(dec)
    return np.array([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])
