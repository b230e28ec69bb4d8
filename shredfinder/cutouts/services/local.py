"""Cutouts from images on disk or in memory."""

from __future__ import annotations

import re
from collections.abc import Mapping
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shredfinder._utils.files import list_extensions, reading_errors
from shredfinder._utils.runtime import count_threads
from shredfinder.cutouts.decoding import get_celestial, read_wcs
from shredfinder.cutouts.grouping import deproject
from shredfinder.cutouts.services.base import CutoutService, FetchedImage, register_service
from shredfinder.cutouts.services.planes import OpenFiles, Plane
from shredfinder.exceptions import NoCoverageError
from shredfinder.imaging.colors import compress_jpeg, flux_to_rgb
from shredfinder.imaging.cutouts import FLUX
from shredfinder.surveys import COLOR_MAPPINGS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from astropy.wcs import WCS

    from shredfinder._net.client import HttpClient
    from shredfinder._utils.validation import PathLike
    from shredfinder.cutouts.services.base import CutoutRequest

__all__ = ["MARGIN", "LocalImages", "make_cutout"]

# Pixels around a cutout that smoothing and interpolation need.
MARGIN = 24
# Relative difference of pixel scales beyond which the images need a flux_scale.
_SCALE_TOLERANCE = 0.02
# File names of the Legacy Surveys' images; a brick's folder holds other files too.
_BRICK_FILES = "*-image-{band}.fits*"
_FITS_NAME = re.compile(r"\.fits?(\.fz|\.gz|\.bz2)?$", re.IGNORECASE)
_FILTER_KEYS = ("FILTER", "BAND", "FILTNAM")


@register_service("local")
class LocalImages(CutoutService):
    """Cutouts from FITS mosaics or survey bricks, or from arrays with a WCS.

    A cutout that crosses the edges of images is the mean of all that touch it. Images are
    resampled, fluxes mapped to colours, and colours JPEG-compressed as the Legacy Surveys' viewer
    does, so that a brick on disk and the viewer give the same cutout. North is up and east left,
    whatever the images' own orientation. Coordinates with ``EQUINOX = 2000`` and no ``RADESYS``,
    as the Legacy Surveys write them, are ICRS.

    Parameters
    ----------
    images : dict, path-like, tuple or list
        A dict of band → images; or cubes whose planes are ``bands``. An image is a FITS file, a
        pattern such as ``"bricks/*-r.fits"``, or a pair of array and `~astropy.wcs.WCS`; a list
        holds several. A folder is searched for the Legacy Surveys' bricks,
        ``*-image-g.fits.fz`` and so on, or else for any FITS images, whose bands are read from
        their headers (``FILTER``) or names.
    bands : sequence of str, optional
        Bands of a cube's planes, or to search for in a folder; by default g, r and z.
    color_mapping : str, optional
        Mapping from fluxes to colours; ``"flux"`` keeps the fluxes, one channel per band.
    flux_scale : float, optional
        Factor that converts the images' values to nanomaggies per native pixel of the survey
        (0.262″ for the Legacy Surveys). It is required if the images' pixels are of another size:
        1 if their values are per native pixel nevertheless.
    jpeg : bool, optional
        Whether to compress and decompress colour images as JPEG, as the survey's viewer does. By
        default yes if its images, on which models were trained, are JPEG images.
    base_url : path-like, optional
        Another way to give a folder, for the command line.
    layer : str, optional
        Name for the record.

    Raises
    ------
    ValueError
        If an image does not exist or has no celestial WCS.

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
        jpeg: bool = True,
        base_url: PathLike | None = None,
        layer: str = "",
    ) -> None:
        images = base_url if images is None else images
        if images is None:
            raise ValueError(
                "the service 'local' needs images: a folder, FITS files, or arrays with a WCS"
            )
        self.layer = layer
        self.color_mapping = color_mapping
        self._jpeg = jpeg
        # Files are read one at a time, but resampling, which takes longer, is concurrent.
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
                f"there is no colour mapping {color_mapping!r}: choose one of "
                f"{', '.join([*sorted(COLOR_MAPPINGS), FLUX])}"
            )
        missing = [band for band in self.bands if band not in found]
        if missing:
            raise ValueError(
                f"there is no image in {', '.join(missing)}, only in "
                f"{', '.join(found) or 'other bands'}"
            )
        self._flux_scale = self._check_scale(flux_scale)

    def _check_scale(self, flux_scale: float | None) -> float:
        if flux_scale is not None or self.color_mapping == FLUX:
            return 1.0 if flux_scale is None else float(flux_scale)
        native = COLOR_MAPPINGS[self.color_mapping].native_pixel_scale
        for plane in self._planes:
            if abs(plane.pixel_scale / native - 1) > _SCALE_TOLERANCE:
                raise ValueError(
                    f"the image has pixels of {plane.pixel_scale:.4g} arcsec, but the colour "
                    f"mapping needs fluxes per {native} arcsec pixel: give flux_scale, the factor "
                    "between them (1 if the values are per such pixel)"
                )
        return 1.0

    def close(self) -> None:
        """Close the files; they are reopened when they are needed."""
        self._files.close()

    def fetch(self, request: CutoutRequest, client: HttpClient | None = None) -> FetchedImage:
        """Combine and resample images; see `CutoutService.fetch`."""
        from astropy.coordinates import SkyCoord

        # Offsets of pixel centres from the cutout's centre, which lies between pixels for even
        # sizes.
        right = (np.arange(request.width) - (request.width - 1) / 2) * request.pixel_scale
        down = (np.arange(request.height) - (request.height - 1) / 2) * request.pixel_scale
        # East is left and north up, while pixels count to the right and down.
        east, north = np.meshgrid(-right, -down)
        ra, dec = deproject(east, north, request.ra, request.dec)
        coords = SkyCoord(ra, dec, unit="deg")
        radius = np.hypot(request.width, request.height) / 2 * request.pixel_scale / 3600
        touching = [p for p in self._planes if p.overlaps(request.ra, request.dec, radius)]
        fluxes = np.full((*coords.shape, len(self.bands)), np.nan)
        # Bands of a brick share the pixel positions.
        located: dict[Any, Any] = {}
        for i, band in enumerate(self.bands):
            planes = [plane for plane in touching if plane.band == band]
            parts = [plane.cut(coords, request.pixel_scale, located) for plane in planes]
            fluxes[..., i] = _average([part for part in parts if part is not None], coords.shape)
        # The source itself must be on an image; missing pixels beside it stay NaN.
        center = fluxes[(request.height - 1) // 2, (request.width - 1) // 2]
        if not np.isfinite(center).all():
            raise NoCoverageError("no image holds the position in every band")
        fluxes = (fluxes * self._flux_scale).astype(np.float32)
        if self.color_mapping == FLUX:
            return FetchedImage(fluxes)
        image = flux_to_rgb(fluxes, self.bands, color_mapping=self.color_mapping, axis=-1)
        if self._jpeg:
            image = compress_jpeg(image, color_mapping=self.color_mapping)
        return FetchedImage(image)


def make_cutout(
    planes: dict[str, list[Any]], request: CutoutRequest, **options: Any
) -> FetchedImage:
    """Resample images that a service sent, north up and at the requested scale.

    Parameters
    ----------
    planes : dict of list
        For each band its images, as `read_planes` returns them.
    request : CutoutRequest
        Position, size and scale of the cutout.
    **options
        ``bands``, ``color_mapping``, ``flux_scale`` and ``jpeg`` of `LocalImages`.

    Returns
    -------
    fetched : FetchedImage
        The cutout.

    Raises
    ------
    NoCoverageError
        If no image of a band holds the position.
    """
    missing = [band for band, images in planes.items() if not images]
    if missing:
        raise NoCoverageError(f"no image in {', '.join(missing)} holds the position")
    return LocalImages(planes, **options).fetch(request)


def _average(images: list[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    """Return the mean of the finite values, pixel by pixel; NaN where there is none."""
    total, n = np.zeros(shape), np.zeros(shape, int)
    for image in images:
        valid = np.isfinite(image)
        total[valid] += image[valid]
        n += valid
    # maximum avoids a warning about 0 / 0 where there is no image.
    return np.where(n > 0, total / np.maximum(n, 1), np.nan)


def _find_planes(images: Any, bands: tuple[str, ...], files: OpenFiles) -> list[Plane]:
    if isinstance(images, Mapping):
        pairs = [(source, (band,)) for band in images for source in _list_sources(images[band])]
    elif isinstance(images, (str, Path)) and Path(images).is_dir():
        pairs = _find_images(images, bands)
    else:
        pairs = [(source, bands) for source in _list_sources(images)]
    return [plane for source, planes in pairs for plane in _make_planes(source, planes, files)]


def _list_sources(sources: Any) -> Sequence[str | tuple[Any, WCS]]:
    if isinstance(sources, (str, Path)):
        # A file name with brackets matches nothing as a pattern, hence the second try as a name.
        paths = sorted(glob(str(sources), recursive=True)) or [str(sources)]
        missing = [path for path in paths if not Path(path).is_file()]
        if missing:
            raise ValueError(
                f"there is no image file {missing[0]!r}: give a FITS file or a pattern"
            )
        return paths
    if isinstance(sources, tuple):
        return [sources]
    return [source for item in sources for source in _list_sources(item)]


def _make_planes(
    source: str | tuple[Any, WCS], bands: tuple[str, ...], files: OpenFiles
) -> list[Plane]:
    if isinstance(source, tuple):
        array, wcs = source
        array = np.asarray(array)
        shape, index = array.shape, None
        where = "the array"
    else:
        where = source
        with files.lock, reading_errors(source, "the image"):
            hdus = files.get(source)
            # A compressed image follows an empty primary HDU.
            index = next((i for i, h in enumerate(hdus) if h.is_image and h.shape), None)
            if index is None:
                raise ValueError(f"{source} holds no image")
            shape, wcs = hdus[index].shape, read_wcs(hdus[index].header, hdus)
    axes = ", ".join(wcs.wcs.ctype)
    with reading_errors(where, "the image"):
        wcs = get_celestial(wcs)
    if wcs is None:
        raise ValueError(
            f"{where} needs equatorial or galactic coordinates, but its axes are {axes!r}"
        )
    planes = shape[0] if len(shape) == 3 else 1
    if len(shape) not in (2, 3) or planes != len(bands):
        raise ValueError(
            f"{where} has the shape {shape}, but {len(bands)} bands were named "
            f"({', '.join(bands)}): give one image per band, or a cube with one plane per band"
        )
    with reading_errors(where, "the image"):
        return [
            Plane(band, wcs, shape[-2:], _reader(source, index, i, len(shape), files), files.lock)
            for i, band in enumerate(bands)
        ]


def _reader(
    source: Any, index: int | None, plane: int, ndim: int, files: OpenFiles
) -> Callable[[], Any]:
    """Return a function that returns the plane, to be sliced."""
    if index is None:
        array = np.asarray(source[0])
        return lambda: array[plane] if ndim == 3 else array

    def read() -> Any:
        hdu = files.get(source)[index]
        if ndim == 3:
            return hdu.data[plane]
        # Either way only the slice is read: plain values are mapped into memory, and a section
        # reads scaled or compressed ones (slowly, row by row).
        return hdu.data if _is_mapped(hdu) else hdu.section

    return read


def _is_mapped(hdu: Any) -> bool:
    """Return whether the file holds an image's values unscaled and uncompressed."""
    from astropy.io.fits import CompImageHDU

    scaled = any(keyword in hdu.header for keyword in ("BSCALE", "BZERO", "BLANK"))
    return not scaled and not isinstance(hdu, CompImageHDU)


def _find_images(folder: PathLike, bands: tuple[str, ...]) -> Sequence[tuple[str, tuple[str, ...]]]:
    """Find the images in a folder and its subfolders, as pairs of path and bands."""
    folder = Path(folder)
    bricks = [
        (str(path), (band,))
        for band in bands
        for path in sorted(folder.rglob(_BRICK_FILES.format(band=band)))
    ]
    if bricks:
        return bricks
    paths = sorted(path for path in folder.rglob("*") if _FITS_NAME.search(path.name))
    if not paths:
        raise ValueError(
            f"the folder {str(folder)!r} holds no FITS images: give a folder of bricks "
            f"({_BRICK_FILES.format(band=bands[0])} and so on) or of other FITS images"
        )
    images = []
    for path in paths:
        found = _find_bands(path, bands)
        if found is None:
            raise ValueError(
                f"cannot find out which of the bands {', '.join(bands)} the image {str(path)!r} "
                f"shows: neither {' nor '.join(_FILTER_KEYS)} in its header nor its name says so; "
                "give a dict of bands and files"
            )
        images.append((str(path), found))
    # Images in other bands than those requested are ignored.
    return [(path, found) for path, found in images if set(found) <= set(bands)]


def _find_bands(path: Path, bands: tuple[str, ...]) -> tuple[str, ...] | None:
    """Read the bands of a file from its header or its name; None if neither names them."""
    from astropy.io import fits

    with fits.open(path) as hdus:
        header = next(
            (hdu.header for hdu in list_extensions(hdus) if hdu.is_image and hdu.shape),
            hdus[0].header,
        )
    # A cube with as many planes as bands holds all of them, in this order.
    if header.get("NAXIS") == 3 and header.get("NAXIS3") == len(bands):
        return tuple(bands)
    for key in _FILTER_KEYS:
        words = str(header.get(key, "")).split()
        if words:
            # Such as "g DECam SDSS c0001 4720.0 1520.0".
            return (words[0],)
    # Only an unambiguous name counts: m51-g-r.fits names two bands.
    words = [word for word in re.split(r"[-_.\s]", path.name) if word in bands]
    return (words[0],) if len(words) == 1 else None
