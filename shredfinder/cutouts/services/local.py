"""Cutouts from images on disk or in memory."""

from __future__ import annotations

import os
import threading
import warnings
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from shredfinder._utils.runtime import count_threads
from shredfinder._utils.validation import check_count
from shredfinder.cutouts.services.base import CutoutService, FetchedImage, register_service
from shredfinder.cutouts.services.brick_files import BrickFolder
from shredfinder.cutouts.services.folder_index import FolderIndex
from shredfinder.cutouts.services.footprints import FieldIndex, resample
from shredfinder.cutouts.services.image_files import find_planes, list_images
from shredfinder.cutouts.services.planes import OpenFiles, Plane, to_vectors
from shredfinder.cutouts.services.processes import ServiceProcesses
from shredfinder.exceptions import (
    BadResponseError,
    NoCoverageError,
    ServiceError,
    ShredfinderWarning,
)
from shredfinder.imaging.checks import CutoutFlag
from shredfinder.imaging.colors import compress_jpeg, flux_to_rgb
from shredfinder.imaging.cutouts import FLUX
from shredfinder.surveys import COLOR_MAPPINGS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shredfinder._net.client import HttpClient
    from shredfinder._utils.validation import PathLike
    from shredfinder.cutouts.services.base import CutoutRequest
    from shredfinder.cutouts.services.folder_index import PlaneKind

__all__ = ["MARGIN", "LocalImages", "make_cutout"]

# Pixels around a cutout that smoothing and interpolation need.
MARGIN = 24
# Relative difference of pixel scales beyond which the images need a flux_scale.
_SCALE_TOLERANCE = 0.02
# Relative difference of units beyond which one flux_scale cannot be right for both images.
_UNIT_TOLERANCE = 0.05
# Bricks or files whose headers are all read at once, with all checks.
_FEW_FILES = 16
_N_SAMPLES = 5
# Cutouts that are made without starting processes.
_FEW_REQUESTS = 1000


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
        their headers (``FILTER``) or names. Weight, mask, exposure and model maps, and
        extensions without coordinates, are left out. Positions of many images that are no bricks
        are kept in shredfinder's cache, so that opening the folder again is fast.
    bands : sequence of str, optional
        Bands of a cube's planes, unless its header names them (``BANDS``), or to search for in
        a folder; by default g, r and z.
    color_mapping : str, optional
        Mapping from fluxes to colours; ``"flux"`` keeps the fluxes, one channel per band.
    flux_scale : float, optional
        Factor that converts the images' values to nanomaggies per native pixel of the survey
        (0.262″ for the Legacy Surveys). By default headers decide (``BUNIT`` and the magnitude
        zero point); images without either are in nanomaggies. It is required if the images'
        pixels are of another size: 1 if their values are per native pixel nevertheless.
    jpeg : bool, optional
        Whether to compress and decompress colour images as JPEG, as the survey's viewer does. By
        default yes if its images, on which models were trained, are JPEG images.
    base_url : path-like, optional
        Another way to give a folder, for the command line.
    layer : str, optional
        Name for the record.
    workers : int, optional
        Processes that make the cutouts, if there are more than a thousand. A script needs
        ``if __name__ == "__main__":``. By default, threads make them, which share one core for
        about a third of the time.

    Raises
    ------
    ValueError
        If an image does not exist, has no celestial WCS, or is in a unit that cannot be converted
        to nanomaggies.

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
    batch_size = 128

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
        workers: int | None = None,
    ) -> None:
        images = base_url if images is None else images
        if images is None:
            raise ValueError(
                "the service 'local' needs images: a folder, FITS files, or arrays with a WCS"
            )
        check_count(workers, "workers")
        self._make = partial(
            LocalImages,
            images,
            bands=bands,
            color_mapping=color_mapping,
            flux_scale=flux_scale,
            jpeg=jpeg,
            layer=layer,
        )
        self._n_workers, self._n_requests = workers or 1, 0
        self._processes: ServiceProcesses | None = None
        self._starting = threading.Lock()
        self.layer = layer
        self.color_mapping = color_mapping
        self._jpeg = jpeg
        # With processes, the threads only wait for them.
        self.max_workers = count_threads() if workers is None else workers
        self._files = OpenFiles()
        self._flux_scale = flux_scale
        try:
            self._fields = (
                self._index_bricks(images, bands)
                or self._index_folder(images, bands)
                or self._index_all(images, bands)
            )
        except Exception:
            self.close()
            raise

    def _index_all(self, images: Any, bands: Sequence[str] | None) -> FieldIndex:
        """Read the headers of all images."""
        planes = find_planes(images, tuple(bands or "grz"), self._files)
        self.bands = self._choose_bands(planes, bands)
        self._set_scales(planes, self._flux_scale)
        return FieldIndex.of_planes(planes)

    def _index_bricks(self, images: Any, bands: Sequence[str] | None) -> FieldIndex | None:
        """Find the bricks of a survey by their names; None for other images, or a few bricks."""
        if not isinstance(images, (str, os.PathLike)) or not os.path.isdir(images):
            return None
        bricks = BrickFolder(images, tuple(bands or "grz"))
        if len(bricks) <= _FEW_FILES or np.isnan(bricks.ra).any():
            return None

        def read(brick: int) -> list[Plane]:
            found = bricks.list_files(brick)
            return find_planes(found, tuple(bands or "grz"), self._files) if found else []

        def load(brick: int) -> list[Plane]:
            planes = read(brick)
            self._set_scales(planes, self._flux_scale, quiet=True)
            return planes

        centers = to_vectors(bricks.ra, bricks.dec)
        index = FieldIndex(centers, np.radians(bricks.radius), load)
        # The names of some are compared with their headers; others may be named so by chance, and
        # a brick's folder may hold no images.
        spread = np.linspace(0, len(bricks) - 1, _N_SAMPLES).astype(int)
        samples = ((i, read(i)) for i in dict.fromkeys((*spread, *range(len(bricks)))))
        sampled = list(islice(((i, planes) for i, planes in samples if planes), _N_SAMPLES))
        if not all(index.covers(i, plane) for i, planes in sampled for plane in planes):
            return None
        planes = [plane for _, planes in sampled for plane in planes]
        if not planes:
            return None
        self.bands = self._choose_bands(planes, bands)
        self._set_scales(planes, self._flux_scale)
        return index

    def _index_folder(self, images: Any, bands: Sequence[str] | None) -> FieldIndex | None:
        """Find images of any names by an index on disk; None for other input, or a few files."""
        if not isinstance(images, (str, os.PathLike)) or not os.path.isdir(images):
            return None
        wanted = tuple(bands or "grz")
        if len(list_images(images, wanted)) <= _FEW_FILES:
            return None
        folder = FolderIndex(os.fspath(images), wanted, self._files, self._n_workers)
        self.bands = self._choose_bands(folder.kinds, bands)
        self._set_scales(folder.kinds, self._flux_scale)
        prepare = partial(self._set_scales, flux_scale=self._flux_scale, quiet=True)
        return folder.make_fields(prepare)

    def _choose_bands(
        self, planes: Sequence[Plane | PlaneKind], bands: Sequence[str] | None
    ) -> tuple[str, ...]:
        """Return the bands of the cutouts' channels, which must all have images."""
        found = tuple(dict.fromkeys(plane.band for plane in planes))
        if self.color_mapping == FLUX:
            chosen = tuple(bands or found)
        elif self.color_mapping in COLOR_MAPPINGS:
            chosen = tuple(COLOR_MAPPINGS[self.color_mapping].bands)
        else:
            raise ValueError(
                f"there is no colour mapping {self.color_mapping!r}: choose one of "
                f"{', '.join([*sorted(COLOR_MAPPINGS), FLUX])}"
            )
        missing = [band for band in chosen if band not in found]
        if missing:
            raise ValueError(
                f"there is no image in {', '.join(missing)}, only in "
                f"{', '.join(found) or 'other bands'}"
            )
        return chosen

    def _set_scales(
        self,
        planes: Sequence[Plane | PlaneKind],
        flux_scale: float | None,
        *,
        quiet: bool = False,
    ) -> None:
        """Set the factor of each image to nanomaggies per native pixel of the survey."""
        planes = [plane for plane in planes if plane.band in self.bands]
        native = None
        if self.color_mapping != FLUX:
            native = COLOR_MAPPINGS[self.color_mapping].native_pixel_scale
        stated = [plane.unit.get_factor(native or plane.pixel_scale) for plane in planes]
        scales = [native or plane.pixel_scale for plane in planes]
        # Bands of different pixel scales have no common area to which fluxes refer.
        if not quiet and scales and max(scales) <= (1 + _SCALE_TOLERANCE) * min(scales):
            self.flux_pixel_scale = float(np.median(scales))
        if flux_scale is not None:
            for plane in planes:
                plane.flux_scale = float(flux_scale)
            differ = stated and max(stated) > (1 + _UNIT_TOLERANCE) * min(stated)
            if differ and not quiet:
                low, high = (planes[int(f(stated))].label for f in (np.argmin, np.argmax))
                warnings.warn(
                    f"flux_scale={flux_scale:g} is applied to all images, though by their headers "
                    f"{low} and {high} have different units",
                    ShredfinderWarning,
                    stacklevel=3,
                )
            return
        unknown = [plane for plane in planes if plane.unit.problem]
        if unknown and native is not None:
            raise ValueError(
                f"{unknown[0].label} {unknown[0].unit.problem}: the colour mapping needs "
                f"nanomaggies per {native} arcsec pixel; give flux_scale, the factor between them"
            )
        if unknown and not quiet:
            warnings.warn(
                f"{unknown[0].label} {unknown[0].unit.problem}: the values of all images are kept "
                "as they are; give flux_scale, the factor to nanomaggies",
                ShredfinderWarning,
                stacklevel=3,
            )
        if unknown:
            return
        for plane, factor in zip(planes, stated, strict=True):
            ratio = plane.pixel_scale / (native or plane.pixel_scale)
            if abs(ratio - 1) > _SCALE_TOLERANCE and not plane.unit.per_area:
                raise ValueError(
                    f"{plane.label} has pixels of {plane.pixel_scale:.4g} arcsec, but the colour "
                    f"mapping needs fluxes per {native} arcsec pixel: give flux_scale, the factor "
                    f"between them ({factor:.4g} if the values are per such pixel, "
                    f"{factor / ratio**2:.4g} if they are per pixel of "
                    "the image)"
                )
            plane.flux_scale = factor
        converted = [p for p in planes if abs(p.flux_scale - 1) > _UNIT_TOLERANCE]
        if converted and not quiet:
            factors = sorted({f"{plane.flux_scale:.4g}" for plane in converted}, key=float)
            warnings.warn(
                f"{converted[0].label} is {converted[0].unit.stated}: values are converted to "
                f"nanomaggies (multiplied by {' to '.join(factors[:: max(len(factors) - 1, 1)])}); "
                "give flux_scale for another factor",
                ShredfinderWarning,
                stacklevel=3,
            )

    def close(self) -> None:
        """Close the files and end the processes; both start again when they are needed."""
        self._files.close()
        with self._starting:
            processes, self._processes = self._processes, None
        if processes is not None:
            processes.close()

    def order(self, ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
        """Return an order of positions, brick by brick; NaN is last.

        If there are many, processes start with the first of them.
        """
        with self._starting:
            self._n_requests = max(self._n_requests, len(ra))
        valid = np.isfinite(ra) & np.isfinite(dec)
        field = np.full(len(ra), len(self._fields))
        field[valid] = self._fields.nearest(ra[valid], dec[valid])
        return np.argsort(self._fields.ranks[field], kind="stable")

    def fetch(self, request: CutoutRequest, client: HttpClient | None = None) -> FetchedImage:
        """Combine and resample images; see `CutoutService.fetch`."""
        (fetched,) = self.fetch_many([request], client)
        if isinstance(fetched, ServiceError):
            raise fetched
        return fetched

    def fetch_many(
        self, requests: Sequence[CutoutRequest], client: HttpClient | None = None
    ) -> list[FetchedImage | ServiceError]:
        """Combine and resample images; see `CutoutService.fetch_many`."""
        if not requests:
            return []
        with self._starting:
            self._n_requests += len(requests)
            # A few cutouts are made sooner than a process has started.
            if self._n_workers > 1 and self._n_requests > _FEW_REQUESTS and not self._processes:
                self._processes = ServiceProcesses(self._make, self._n_workers)
            processes = self._processes
        if processes is not None:
            return processes.fetch_many(requests, None if client is None else client.stop)
        cubes = resample(self._fields, requests, self.bands)
        return [self._finish(cube) for cube in cubes]

    def _finish(self, fluxes: np.ndarray | Exception | None) -> FetchedImage | ServiceError:
        if isinstance(fluxes, ServiceError):
            return fluxes
        if isinstance(fluxes, Exception):
            return BadResponseError(str(fluxes), CutoutFlag.CORRUPTED)
        # The source itself must be on an image; missing pixels beside it stay NaN.
        if (
            fluxes is None
            or not np.isfinite(
                fluxes[:, (fluxes.shape[1] - 1) // 2, (fluxes.shape[2] - 1) // 2]
            ).all()
        ):
            return NoCoverageError("no image holds the position in every band")
        if self.color_mapping == FLUX:
            return FetchedImage(np.ascontiguousarray(np.moveaxis(fluxes, 0, -1)))
        image = flux_to_rgb(fluxes, self.bands, color_mapping=self.color_mapping)
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
