"""Cutouts from images on disk or in memory."""

from __future__ import annotations

from collections.abc import Mapping
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shredfinder._net.errors import NoCoverageError
from shredfinder._utils.files import reading_errors
from shredfinder._utils.runtime import count_threads
from shredfinder.cutouts.projection import deproject
from shredfinder.cutouts.services.base import Answer, CutoutService, register_service
from shredfinder.cutouts.services.folders import find_images
from shredfinder.cutouts.services.planes import OpenFiles, Plane, get_celestial
from shredfinder.imaging.colors import flux_to_rgb
from shredfinder.imaging.cutouts import FLUX
from shredfinder.surveys import COLOR_MAPPINGS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shredfinder._net.client import HttpClient
    from shredfinder._utils.types import PathLike
    from shredfinder.cutouts.services.base import CutoutRequest

__all__ = ["LocalImages"]

# Images whose pixels differ more than this from the mapping's are told of.
_SCALE_TOLERANCE = 0.02


@register_service("local")
class LocalImages(CutoutService):
    """Cutouts from FITS mosaics or survey bricks, or from arrays with a WCS.

    A cutout that crosses the edges of images is put together from all that touch it. Images of
    a finer scale are smoothed, averaged and resampled, and fluxes turned into colours, as the
    Legacy Surveys' viewer does, so that a brick on disk and the viewer look the same. North is
    up and east left, whatever the images' own orientation.

    Parameters
    ----------
    images : dict, path-like, tuple or list
        For each band its images: a dict of band → images; or cubes whose planes are ``bands``.
        An image is a FITS file, a pattern such as ``"bricks/*-r.fits"``, or a pair of array
        and `~astropy.wcs.WCS`; a list stands for several. A folder is searched for the Legacy
        Surveys' bricks, ``*-image-g.fits.fz`` and so on, or else for any FITS images, whose
        bands their headers (``FILTER``) or names tell.
    bands : sequence of str, optional
        Bands of a cube's planes, or to search for in a folder; by default g, r and z.
    color_mapping : str, optional
        How fluxes become colours; ``"flux"`` leaves them as they are, one channel a band.
    flux_scale : float, optional
        Factor that turns the images' values into nanomaggies per native pixel of the survey
        (0.262″ for the Legacy Surveys). It must be given where the images' pixels are of another
        size: 1 if their values are per native pixel all the same.
    base_url : path-like, optional
        Another way to give a folder, for the command line.
    layer : str, optional
        Name for the record.

    Raises
    ------
    ValueError
        If there is no such image, or none with a celestial WCS.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.coordinates import SkyCoord
    >>> from astropy.wcs import WCS
    >>> from shredfinder.cutouts import LocalImages, fetch_cutouts
    >>> wcs = WCS(naxis=2)
    >>> wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    >>> wcs.wcs.crval, wcs.wcs.crpix = (150.1, 2.2), (200.5, 200.5)
    >>> wcs.wcs.cdelt = -0.262 / 3600, 0.262 / 3600
    >>> sky = np.random.default_rng(0).normal(0, 0.01, (400, 400))
    >>> images = LocalImages({"g": (sky, wcs), "r": (sky, wcs), "z": (sky, wcs)})
    >>> fetch_cutouts(SkyCoord([150.1, 160], [2.2, 2.2], unit="deg"), service=images)
    <Cutouts: 2 of 128×128 px at 0.46875 arcsec/px, bands zrg, 1 unusable>
    """

    name = "local"
    color_mapping: str
    remote = False
    rate = None

    def __init__(
        self,
        images: dict[str, Any] | PathLike | tuple[Any, ...] | list[Any] | None = None,
        *,
        bands: Sequence[str] | None = None,
        color_mapping: str = "legacy-grz",
        flux_scale: float | None = None,
        base_url: PathLike | None = None,
        layer: str = "",
    ) -> None:
        images = base_url if images is None else images
        if images is None:
            raise ValueError("give the images: a folder, files, or arrays with a WCS")
        self.layer = layer
        self.color_mapping = color_mapping
        # Files are read one at a time, but resampling, which takes longer, needs none.
        self.max_workers = count_threads()
        self._files = OpenFiles()
        self._planes = _find_planes(images, tuple(bands or "grz"), self._files)
        found = tuple(dict.fromkeys(plane.band for plane in self._planes))
        if color_mapping == FLUX:
            self.bands = tuple(bands or found)
        elif color_mapping in COLOR_MAPPINGS:
            self.bands = tuple(COLOR_MAPPINGS[color_mapping].bands)
        else:
            raise ValueError(
                f"there is no colour mapping named {color_mapping!r}: choose one of "
                f"{', '.join([*sorted(COLOR_MAPPINGS), FLUX])}"
            )
        missing = [band for band in self.bands if band not in found]
        if missing:
            raise ValueError(
                f"there is no image in {', '.join(missing)}, only in "
                f"{', '.join(found) or 'other bands'}"
            )
        self._flux_scale = self._check_scale(flux_scale)

    def _check_scale(self, flux_scale):
        if flux_scale is not None or self.color_mapping == FLUX:
            return 1.0 if flux_scale is None else float(flux_scale)
        native = COLOR_MAPPINGS[self.color_mapping].native_pixel_scale
        for plane in self._planes:
            if abs(plane.pixel_scale / native - 1) > _SCALE_TOLERANCE:
                raise ValueError(
                    f"the image has pixels of {plane.pixel_scale:.4g} arcsec, but the colours "
                    f"hold for fluxes per {native} arcsec pixel: give "
                    "flux_scale, the factor between them (1 if the values are per such pixel)"
                )
        return 1.0

    def close(self) -> None:
        """Close the files; they are opened again when they are needed."""
        self._files.close()

    def fetch(self, request: CutoutRequest, client: HttpClient | None = None) -> Answer:
        """Cut one image; see `CutoutService.fetch`."""
        from astropy.coordinates import SkyCoord

        right = (np.arange(request.width) - (request.width - 1) / 2) * request.pixel_scale
        down = (np.arange(request.height) - (request.height - 1) / 2) * request.pixel_scale
        east, north = np.meshgrid(-right, -down)
        ra, dec = deproject(east, north, request.ra, request.dec)
        coords = SkyCoord(ra, dec, unit="deg")
        radius = np.hypot(request.width, request.height) / 2 * request.pixel_scale / 3600
        touching = [p for p in self._planes if p.overlaps(request.ra, request.dec, radius)]
        fluxes = np.full((*coords.shape, len(self.bands)), np.nan)
        located: dict[Any, Any] = {}
        for i, band in enumerate(self.bands):
            planes = [plane for plane in touching if plane.band == band]
            parts = [plane.cut(coords, request.pixel_scale, located) for plane in planes]
            fluxes[..., i] = _average([part for part in parts if part is not None], coords.shape)
        center = fluxes[(request.height - 1) // 2, (request.width - 1) // 2]
        if not np.isfinite(center).all():
            raise NoCoverageError("no image holds the position in every band")
        fluxes = (fluxes * self._flux_scale).astype(np.float32)
        if self.color_mapping == FLUX:
            return Answer(fluxes)
        return Answer(flux_to_rgb(fluxes, self.bands, color_mapping=self.color_mapping, axis=-1))


def _average(images, shape):
    """Mean of those images that have a value, pixel by pixel; NaN where none has."""
    total, n = np.zeros(shape), np.zeros(shape, int)
    for image in images:
        valid = np.isfinite(image)
        total[valid] += image[valid]
        n += valid
    return np.where(n > 0, total / np.maximum(n, 1), np.nan)


def _find_planes(images, bands, files):
    if isinstance(images, Mapping):
        pairs = [(source, (band,)) for band in images for source in _list_sources(images[band])]
    elif isinstance(images, (str, Path)) and Path(images).is_dir():
        pairs = find_images(images, bands)
    else:
        pairs = [(source, bands) for source in _list_sources(images)]
    return [plane for source, planes in pairs for plane in _make_planes(source, planes, files)]


def _list_sources(sources):
    if isinstance(sources, (str, Path)):
        paths = sorted(glob(str(sources), recursive=True)) or [str(sources)]
        missing = [path for path in paths if not Path(path).is_file()]
        if missing:
            raise ValueError(f"there is no image file {missing[0]!r}")
        return paths
    if isinstance(sources, tuple):
        return [sources]
    return [source for item in sources for source in _list_sources(item)]


def _make_planes(source, bands, files):
    from astropy.wcs import WCS

    if isinstance(source, tuple):
        array, wcs = source
        array = np.asarray(array)
        shape, index = array.shape, None
        where = "the array"
    else:
        where = source
        with files.lock, reading_errors(source, "the image"):
            hdus = files.get(source)
            index = next((i for i, h in enumerate(hdus) if h.is_image and h.shape), None)
            if index is None:
                raise ValueError(f"{source} holds no image")
            shape, wcs = hdus[index].shape, WCS(hdus[index].header, hdus)
    axes = ", ".join(wcs.wcs.ctype)
    with reading_errors(where, "the image"):
        wcs = get_celestial(wcs)
    if wcs is None:
        raise ValueError(f"{where} has no equatorial or galactic coordinates but {axes!r}")
    planes = shape[0] if len(shape) == 3 else 1
    if len(shape) not in (2, 3) or planes != len(bands):
        raise ValueError(
            f"{where} has the shape {shape}, but {len(bands)} bands were named "
            f"({', '.join(bands)}): give an image a band, or a cube with a plane for each"
        )
    with reading_errors(where, "the image"):
        return [
            Plane(band, wcs, shape[-2:], _reader(source, index, i, len(shape), files), files.lock)
            for i, band in enumerate(bands)
        ]


def _reader(source, index, plane, ndim, files):
    """Make a function that gives the plane, to be sliced."""
    if index is None:
        array = np.asarray(source[0])
        return lambda: array[plane] if ndim == 3 else array

    def read():
        hdu = files.get(source)[index]
        if ndim == 3:
            return hdu.data[plane]
        # Either way no more is read than is cut: values as they are in the file are mapped into
        # memory, and a section reads scaled or compressed ones (slowly, row by row).
        return hdu.data if _is_mapped(hdu) else hdu.section

    return read


def _is_mapped(hdu):
    """Tell whether an image's values lie in the file as they are."""
    from astropy.io.fits import CompImageHDU

    scaled = any(keyword in hdu.header for keyword in ("BSCALE", "BZERO", "BLANK"))
    return not scaled and not isinstance(hdu, CompImageHDU)
