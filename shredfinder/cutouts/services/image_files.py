"""The images of the sky in FITS files and folders, and their bands."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Mapping
from functools import lru_cache
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from shredfinder._utils.files import reading_errors
from shredfinder._utils.units import to_floats
from shredfinder.cutouts.decoding import get_celestial, read_wcs
from shredfinder.cutouts.image_headers import (
    FluxUnit,
    convert_unit,
    find_map_word,
    match_band,
    read_band,
    read_bands,
    read_unit,
    select_images,
)
from shredfinder.cutouts.services.brick_files import find_bricks
from shredfinder.cutouts.services.planes import Plane
from shredfinder.exceptions import ShredfinderWarning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence, Sized

    from astropy.io.fits import HDUList, Header
    from astropy.wcs import WCS

    from shredfinder._utils.validation import PathLike
    from shredfinder.cutouts.services.planes import OpenFiles

__all__ = ["check_not_empty", "find_overlaps", "find_planes", "list_images", "read_file"]

# File names of the Legacy Surveys' images; a brick's folder holds other files too.
_BRICK_FILES = "*-image-{band}.fits*"
_SUFFIXES = tuple(
    suffix + compression
    for suffix in (".fits", ".fit", ".fts")
    for compression in ("", ".fz", ".gz", ".bz2")
)
# Images whose centres are nearer than this fraction of their size show the same field.
_SAME_FIELD = 0.25
# Keywords of coordinates, and those of distortions, of other standards, or of further WCS.
_COORDINATES = re.compile(
    r"(CTYPE|CRVAL|CRPIX|CDELT|CUNIT|CROTA|NAXIS|WCSAXES)\d*$|(CD|PC)\d+_\d+$|"
    r"RADE(CSYS|SYS)$|EQUINOX$|(LON|LAT)POLE$"
)
_DISTORTION = re.compile(
    r"P[VS]\d|[AB]P?_|CPDIS|CPERR|D[PQ]\d|D2IM|DVERR|WAT\d|CD\d{6}|PC\d{6}|CNPIX|PLT|OBSGEO|EPOCH"
)
_MAX_SHARED = 64
_shared: dict[tuple[Any, ...], WCS] = {}


class _Image(NamedTuple):
    """An image in a file or in memory: its place there, and what its header says."""

    source: Any
    extension: int
    shape: tuple[int, ...]
    wcs: WCS
    header: Header | dict[str, Any]
    primary: Header | dict[str, Any]
    unit: FluxUnit
    label: str

    @property
    def n_planes(self) -> int:
        return self.shape[-3] if len(self.shape) > 2 else 1


def find_planes(images: Any, bands: tuple[str, ...], files: OpenFiles) -> list[Plane]:
    """Find the images of single bands in any input of `LocalImages`.

    Parameters
    ----------
    images : dict, path-like, tuple or list
        As for `LocalImages`.
    bands : tuple of str
        Bands of a cube's planes, or to search for in a folder.
    files : OpenFiles
        Keeps the files open.

    Returns
    -------
    planes : list of Plane
        Images of one band, possibly of other bands than those requested.

    Raises
    ------
    ValueError
        If a file is missing, damaged, or holds no images of the sky, or bands are unknown.
    """
    if isinstance(images, Mapping):
        planes = [
            plane
            for band in images
            for source in _list_sources(images[band])
            for plane in _take_band(source, band, tuple(images), files)
        ]
    elif isinstance(images, (str, Path)) and Path(images).is_dir():
        found = list_images(images, bands).items()
        planes = [plane for path, band in found for plane in read_file(path, band, bands, files)]
        check_not_empty(planes, images, bands)
    else:
        planes = [
            plane
            for source in _list_sources(images)
            for image in _read_images(source, files)
            for plane in _split_planes(image, _name_planes(image, bands), files)
        ]
    _warn_of_overlaps(planes)
    return planes


def _list_sources(sources: Any) -> Sequence[str | tuple[Any, ...]]:
    if isinstance(sources, (str, Path)):
        # A file name with brackets matches nothing as a pattern, hence the second try as a name.
        paths = sorted(glob(str(sources), recursive=True)) or [str(sources)]
        missing = [path for path in paths if not Path(path).is_file()]
        if missing:
            raise ValueError(
                f"there is no image file {missing[0]!r}: give a FITS file or a pattern"
            )
        # stack.g*.fits matches weight maps too.
        return [path for path in paths if not find_map_word(Path(path).name)] or paths
    if isinstance(sources, tuple):
        return [sources]
    return [source for item in sources for source in _list_sources(item)]


def _read_images(source: str | tuple[Any, ...], files: OpenFiles) -> list[_Image]:
    """Read the headers of the images of the sky in a file, or make one of an array."""
    if isinstance(source, tuple):
        array, wcs, *unit = source
        found = [_Image(array, 0, np.shape(array), wcs, {}, {}, FluxUnit(), "the array")]
        if unit:
            found[0] = found[0]._replace(unit=unit[0])
        elif getattr(array, "unit", None) is not None:
            found[0] = found[0]._replace(unit=convert_unit(array.unit))
    else:
        with reading_errors(source, "the image"), files.use(source) as hdus:
            # A compressed image follows an empty primary HDU.
            indices = [i for i, hdu in enumerate(hdus) if hdu.is_image and len(hdu.shape) > 1]
            if not indices:
                raise ValueError(f"{source} holds no image")
            primary = hdus[0].header
            kept = select_images([hdus[i].header for i in indices], primary)
            if not kept:
                names = ", ".join(hdus[i].name or str(i) for i in indices)
                raise ValueError(
                    f"{source} holds no image of the sky, but only weight, mask, exposure or model "
                    f"maps or calibration frames ({names})"
                )
            found = [
                _Image(
                    source,
                    i,
                    hdus[i].shape,
                    _read_wcs(hdus[i].header, hdus),
                    hdus[i].header,
                    primary,
                    read_unit(hdus[i].header, primary),
                    source if len(indices) == 1 else f"{source}[{i}]",
                )
                for i in (indices[k] for k in kept)
            ]
    images = []
    for image in found:
        with reading_errors(image.label, "the image"):
            celestial = _get_celestial(image.wcs)
        if celestial is not None:
            images.append(image._replace(wcs=celestial))
    # Thumbnails have no coordinates; but at least one image needs them.
    if not images:
        axes = ", ".join(found[0].wcs.wcs.ctype)
        raise ValueError(
            f"{found[0].label} needs equatorial or galactic coordinates, but its axes are {axes!r}"
        )
    return images


def _read_wcs(header: Header, hdus: HDUList) -> WCS:
    """Read the coordinates in a header, or return those that the last files had too.

    The bands of a brick have the same coordinates, and reading them takes most of the time.
    """
    if any(_DISTORTION.match(keyword) for keyword in header):
        return read_wcs(header, hdus)
    key = tuple((keyword, header[keyword]) for keyword in header if _COORDINATES.match(keyword))
    wcs = _shared.get(key)
    if wcs is None:
        wcs = read_wcs(header, hdus)
        if len(_shared) >= _MAX_SHARED:
            _shared.clear()
        _shared[key] = wcs
    return wcs


# The same object for the same coordinates.
_get_celestial = lru_cache(maxsize=_MAX_SHARED)(get_celestial)


def _name_planes(image: _Image, bands: tuple[str, ...]) -> tuple[str, ...]:
    """Return the bands of an image's planes: those that its header names, or else the given."""
    with reading_errors(image.label, "the image"):
        named = read_bands(image.header, image.n_planes, bands) if image.n_planes > 1 else None
    if named:
        return named
    if image.n_planes == len(bands):
        return bands
    if image.n_planes == 1:
        band = _find_band(image, bands)
        if band:
            return (band,)
    raise ValueError(
        f"{image.label} has the shape {image.shape}, but {len(bands)} bands were named "
        f"({', '.join(bands)}): give one image per band, or a cube with one plane per band"
    )


def _find_band(image: _Image, bands: tuple[str, ...]) -> str:
    """Return the band of an image of one band by its header or its file's name."""
    band = read_band(image.header, image.primary, bands)
    if not band and isinstance(image.source, str):
        band = match_band(Path(image.source).name, bands)
    return band


def _take_band(source: Any, band: str, bands: tuple[str, ...], files: OpenFiles) -> Iterator[Plane]:
    """Yield the planes of a source that was given for one band."""
    images = _read_images(source, files)
    named: list[tuple[str, ...]] = []
    for image in images:
        if image.n_planes == 1:
            named.append((read_band(image.header, image.primary, bands),))
        else:
            named.append(_name_planes(image, (band,)))
    # A file may hold an extension for each band.
    some = any(band in names for names in named)
    for image, names in zip(images, named, strict=True):
        if image.n_planes > 1 and band not in names:
            raise ValueError(
                f"{image.label} was given as {band}, but its planes are {', '.join(names)}"
            )
        if band in names or not some:
            if names[0] in bands and band not in names:
                warnings.warn(
                    f"{image.label} was given as {band}, but by its header it shows {names[0]}",
                    ShredfinderWarning,
                    stacklevel=5,
                )
            yield from _split_planes(image, names if image.n_planes > 1 else (band,), files, band)


def _split_planes(
    image: _Image, names: tuple[str, ...], files: OpenFiles, only: str | None = None
) -> list[Plane]:
    with reading_errors(image.label, "the image"):
        return [
            Plane(
                band,
                image.wcs,
                image.shape[-2:],
                _reader(image, i, files),
                unit=image.unit,
                label=image.label,
            )
            for i, band in enumerate(names)
            if only in (None, band)
        ]


def _reader(image: _Image, plane: int, files: OpenFiles) -> Callable[..., np.ndarray]:
    """Return a function that reads a range of rows and columns, NaN where masked."""
    # Cubes have their planes on the third axis from the end; more axes have one pixel each.
    n_axes = len(image.shape)
    where = (0,) * (n_axes - 3) + ((plane,) if n_axes > 2 else ())
    if not isinstance(image.source, str):
        array = _as_array(image.source)
        return lambda rows, columns, parts: to_floats(array[(*where, rows, columns)], "the image")
    path, index = image.source, image.extension
    return lambda rows, columns, parts: files.read(path, index, (*where, rows, columns), parts)


def _as_array(array: Any) -> Any:
    """Return the plain numbers of an array, with its mask, if it has any."""
    if hasattr(array, "uncertainty"):  # astropy's NDData and CCDData
        return np.ma.array(array.data, mask=array.mask is not None and array.mask)
    if hasattr(array, "unit"):
        return getattr(array, "value", array.data)
    return array if hasattr(array, "mask") else np.asarray(array)


def list_images(folder: PathLike, bands: tuple[str, ...]) -> dict[str, str]:
    """List the FITS images in a folder and its subfolders, but for maps by their names.

    Parameters
    ----------
    folder : path-like
        The folder.
    bands : tuple of str
        Bands to look for.

    Returns
    -------
    bands : dict
        By path, sorted: the band that the name of a brick's file says; empty for other images.
    """
    bricks = find_bricks(folder, bands)
    if bricks:
        return {path: band for found in bricks.values() for band, path in found.items()}
    paths = (
        os.path.join(place, name)
        for place, _, names in os.walk(folder)
        for name in names
        if name.lower().endswith(_SUFFIXES)
    )
    return {path: "" for path in sorted(paths) if not find_map_word(os.path.relpath(path, folder))}


def read_file(path: str, band: str, bands: tuple[str, ...], files: OpenFiles) -> list[Plane]:
    """Read the headers of a file in a folder.

    Parameters
    ----------
    path : str
        The file.
    band : str
        Its band, if its name says it; otherwise empty.
    bands : tuple of str
        Bands to look for.
    files : OpenFiles
        Keeps the file open.

    Returns
    -------
    planes : list of Plane
        Images of one band; empty for a file that holds tables or maps only.
    """
    if band:
        return list(_take_band(path, band, bands, files))
    if not _holds_images(path, files):
        return []
    return [
        plane
        for image in _read_images(path, files)
        for plane in _split_planes(image, _recognise_planes(image, bands), files)
    ]


def check_not_empty(planes: Sized, folder: PathLike, bands: tuple[str, ...]) -> None:
    """Raise a ValueError if no images were found in a folder, saying what is there."""
    if not len(planes):
        paths = sorted(path for path in Path(folder).rglob("*") if find_map_word(path.name))
        maps = [path.name for path in paths if path.name.lower().endswith(_SUFFIXES)]
        beside = f" (only maps, such as {maps[0]!r})" if maps else ""
        raise ValueError(
            f"the folder {str(folder)!r} holds no FITS images{beside}: give a folder of bricks "
            f"({_BRICK_FILES.format(band=bands[0])} and so on) or of other FITS images"
        )


def _holds_images(path: str, files: OpenFiles) -> bool:
    """Return whether a file holds images of the sky, rather than tables or maps."""
    with reading_errors(path, "the image"), files.use(path) as hdus:
        headers = [hdu.header for hdu in hdus if hdu.is_image and len(hdu.shape) > 1]
        kept = select_images(headers, hdus[0].header)
        # An inverse variance may show in its unit only.
        return any(not read_unit(headers[i], hdus[0].header).is_map for i in kept)


def _recognise_planes(image: _Image, bands: tuple[str, ...]) -> tuple[str, ...]:
    """Return the bands of an image in a folder, where a single one needs a name too."""
    if image.n_planes > 1:
        return _name_planes(image, bands)
    band = _find_band(image, bands)
    if not band:
        raise ValueError(
            f"cannot find out which of the bands {', '.join(bands)} the image {image.label!r} "
            "shows: neither FILTER nor BAND nor FILTNAM in its header nor its name says so; "
            "give a dict of bands and files"
        )
    return (band,)


def find_overlaps(
    bands: Sequence[str], centers: np.ndarray, radii: np.ndarray, labels: Callable[[int], str]
) -> str:
    """Describe files that show the same field in one band, of which one may be no image.

    Parameters
    ----------
    bands : sequence of str
        Band of each image.
    centers : `~numpy.ndarray`
        Unit vectors of their centres, of shape ``(n, 3)``.
    radii : `~numpy.ndarray`
        Their radii in radians.
    labels : callable
        Returns the name of an image by its number.

    Returns
    -------
    message : str
        Empty if there are none.
    """
    from scipy.spatial import cKDTree

    pairs: list[tuple[int, int]] = []
    for band in dict.fromkeys(bands):
        group = np.flatnonzero(np.asarray(bands) == band)
        reach = _SAME_FIELD * radii[group].max()
        near = cKDTree(centers[group]).query_pairs(reach, output_type="ndarray")
        first, second = group[near].T
        distance = np.linalg.norm(centers[first] - centers[second], axis=1)
        same = distance < _SAME_FIELD * np.minimum(radii[first], radii[second])
        pairs += zip(first[same], second[same], strict=True)
    if not pairs:
        return ""
    a, b = min(pairs)
    more = f" (and {len(pairs) - 1} more pairs)" if len(pairs) > 1 else ""
    return (
        f"{labels(a)} and {labels(b)} show the same part of the sky in {bands[a]}"
        f"{more}: cutouts are their mean; if one is no image but a weight, mask or model map, "
        "give the images alone, in a dict of bands and files"
    )


def _warn_of_overlaps(planes: list[Plane]) -> None:
    """Warn of files that show the same field in one band."""
    # Arrays are given one by one, on purpose.
    planes = [plane for plane in planes if plane.label != "the array"]
    bands = [plane.band for plane in planes]
    centers = np.array([plane.center for plane in planes]).reshape(-1, 3)
    radii = np.array([plane.radius for plane in planes])
    message = find_overlaps(bands, centers, radii, lambda number: planes[number].label)
    if message:
        warnings.warn(message, ShredfinderWarning, stacklevel=4)
