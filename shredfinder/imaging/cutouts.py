"""Cutouts with scale, bands, colours and flags, and sequences that make them on demand."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from shredfinder._utils.files import check_no_address
from shredfinder._utils.validation import PathLike
from shredfinder.imaging.checks import (
    CutoutFlag,
    check_fluxes,
    check_images,
    fill_masked,
    to_arcsec_per_pixel,
    validate_images,
)
from shredfinder.imaging.reading import as_paths, decode_image, list_images, read_image
from shredfinder.imaging.storage import read_arrays, write_arrays
from shredfinder.surveys import get_survey

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from astropy.table import Table
    from astropy.units import Quantity

__all__ = [
    "FLUX",
    "CutoutSequence",
    "Cutouts",
    "ImageFiles",
    "Images",
    "as_cutouts",
    "join_cutouts",
]

# Colour mapping of images whose channels are fluxes.
FLUX = "flux"


class Cutouts:
    """Image cutouts, one per source, with their scale, bands and colours.

    Parameters
    ----------
    images : array_like
        Images of shape ``(n, height, width, bands)``, uint8 or float in 0–1, north up and east
        left, with the source at the centre. Masked pixels count as not finite.
    flags : array_like of str, optional
        `~shredfinder.imaging.CutoutFlag` value of each image, shape ``(n,)``: why it cannot be
        scored, empty if it can. Images without a flag are checked by
        `~shredfinder.imaging.check_images`.
    pixel_scale : float or `~astropy.units.Quantity`
        Pixel scale: arcsec per pixel, an angle, or an angle per pixel.
    bands : sequence of str
        Band of each channel. The colour images of the Legacy Surveys show z, r and g as red,
        green and blue: ``("z", "r", "g")`` or ``"zrg"``.
    color_mapping : str, optional
        Name of the mapping from fluxes to pixel values, such as ``"legacy-grz"``; ``"flux"``
        for fluxes.
    service : str, optional
        Source of the images, for the record.

    Raises
    ------
    ValueError
        If the shape, type or range of the images, or the number of flags or bands, is wrong.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder import Cutouts
    >>> images = np.random.default_rng(0).integers(0, 255, (3, 128, 128, 3), dtype=np.uint8)
    >>> images[1] = 32
    >>> cutouts = Cutouts(images, pixel_scale=0.46875, bands="zrg")
    >>> len(cutouts), cutouts.size, cutouts.flags.tolist()
    (3, (128, 128), ['', 'blank', ''])
    """

    def __init__(
        self,
        images: ArrayLike,
        *,
        flags: ArrayLike | None = None,
        pixel_scale: float | Quantity,
        bands: Sequence[str],
        color_mapping: str | None = None,
        service: str | None = None,
    ) -> None:
        self.color_mapping = color_mapping
        # Fluxes may have any range; colours are uint8, or float in 0–1.
        self.images = validate_images(images, fluxes=color_mapping == FLUX)
        self.pixel_scale = to_arcsec_per_pixel(pixel_scale)
        self.bands = tuple(bands)
        if len(self.bands) != self.images.shape[3]:
            raise ValueError(
                f"the images have {self.images.shape[3]} channels, got {len(self.bands)} bands "
                f"({', '.join(self.bands)}): name one band per channel"
            )
        self.service = service
        check = check_fluxes if color_mapping == FLUX else check_images
        self.flags = check(self.images) if flags is None else self._complete_flags(flags, check)

    @classmethod
    def of_survey(cls, survey: str, images: ArrayLike, **kwargs: Any) -> Self:
        """Create cutouts with the scale, bands and colours of a survey.

        Parameters
        ----------
        survey : str
            Name or alias of the survey, such as ``"legacy"``; it sets pixel scale, bands and
            colour mapping.
        images : array_like
            Images of shape ``(n, height, width, bands)``, uint8 or float in 0–1.
        **kwargs
            Further arguments of `Cutouts`; they override the survey's values.

        Returns
        -------
        cutouts : Cutouts
            The images with the survey's facts.
        """
        facts = get_survey(survey)
        defaults: dict[str, Any] = {
            "pixel_scale": facts.pixel_scale,
            "bands": facts.bands,
            "color_mapping": facts.color_mapping,
        }
        return cls(images, **(defaults | kwargs))

    @classmethod
    def from_checked(
        cls,
        images: np.ndarray,
        flags: np.ndarray,
        *,
        pixel_scale: float,
        bands: tuple[str, ...],
        color_mapping: str | None,
        service: str | None,
    ) -> Self:
        """Create cutouts whose images were validated and checked before.

        Parameters
        ----------
        images : `~numpy.ndarray`
            Images of shape ``(n, height, width, bands)``, uint8 or float32.
        flags : `~numpy.ndarray` of str
            Flags of shape ``(n,)``.
        pixel_scale, bands, color_mapping, service
            As for `Cutouts`; the pixel scale is in arcsec per pixel.

        Returns
        -------
        cutouts : Cutouts
            The images, not copied.
        """
        cutouts = cls.__new__(cls)
        cutouts.images, cutouts.flags = images, flags
        cutouts.pixel_scale, cutouts.bands = pixel_scale, bands
        cutouts.color_mapping, cutouts.service = color_mapping, service
        return cutouts

    @property
    def facts(self) -> dict[str, Any]:
        """`dict`: pixel scale, bands, colour mapping and service."""
        names = ("pixel_scale", "bands", "color_mapping", "service")
        return {name: getattr(self, name) for name in names}

    def write(
        self,
        path: PathLike,
        *,
        file_format: Literal["folder", "fits", "hdf5"] | None = None,
        names: Sequence[str | None] | None = None,
        table: Table | None = None,
        overwrite: bool = False,
    ) -> Path:
        """Write the cutouts to a folder, a FITS file or an HDF5 file.

        A folder holds the usable images and ``cutouts.ecsv``, a table of all rows with the
        columns ``path`` (empty without a usable image) and ``flag``. Colour images are PNG files,
        or JPEG files (lossy) if their name ends in ``.jpg``; fluxes are FITS files.

        Parameters
        ----------
        path : path-like
            A folder, or a file ending in ``.fits``, ``.h5`` or ``.hdf5``.
        file_format : {"folder", "fits", "hdf5"}, optional
            Format; by default chosen by the file extension. A path without one is a folder.
        names : sequence of str or None, optional
            For a folder: file name of each cutout, by default ``000000.png`` and so on. Names
            may contain subfolders; a cutout whose name is None is not written.
        table : `~astropy.table.Table`, optional
            For a folder: table whose rows are added to ``cutouts.ecsv``.
        overwrite : bool, optional
            Replace existing files.

        Returns
        -------
        path : `~pathlib.Path`
            The folder or file.

        Raises
        ------
        OSError
            If the file exists, or its folder does not.
        ValueError
            If the number of names or rows is wrong.
        """
        return write_arrays(
            self.images,
            self.flags,
            self.facts,
            path,
            file_format=file_format,
            names=names,
            table=table,
            overwrite=overwrite,
        )

    @classmethod
    def read(
        cls, path: PathLike, *, file_format: Literal["folder", "fits", "hdf5"] | None = None
    ) -> Self:
        """Read cutouts that `write` wrote.

        Parameters
        ----------
        path : path-like
            A folder or a file.
        file_format : {"folder", "fits", "hdf5"}, optional
            Format; by default chosen by the file extension.

        Returns
        -------
        cutouts : Cutouts
            The cutouts, with all images checked again. Rows without a file keep their flag and
            have an image of zeros, or of NaN if the images are not uint8.

        Raises
        ------
        OSError
            If there is no such file.
        ValueError
            If the file holds no cutouts.
        """
        images, flags, facts = read_arrays(path, file_format=file_format)
        return cls(images, flags=flags, **facts)

    def _complete_flags(self, flags, check):
        n = len(self.images)
        flags = np.array(flags, dtype="U16", ndmin=1)
        if flags.shape != (n,):
            raise ValueError(f"got {n} images and {flags.size} flags: give one flag per image")
        unknown = set(flags.tolist()) - {flag.value for flag in CutoutFlag}
        if unknown:
            raise ValueError(
                f"unknown flags {sorted(unknown)}: use the values of shredfinder.imaging.CutoutFlag"
            )
        # Flags that say why an image is missing are kept; an empty flag is only a claim.
        unchecked = np.flatnonzero(flags == CutoutFlag.GOOD)
        flags[unchecked] = check(self.images[unchecked])
        return flags

    @property
    def good(self) -> np.ndarray:
        """`~numpy.ndarray` of bool, shape ``(n,)``: whether each image can be scored."""
        return (self.flags == CutoutFlag.GOOD) | (self.flags == CutoutFlag.OTHER_COLORS)

    @property
    def size(self) -> tuple[int, int]:
        """`tuple` of int: height and width in pixels."""
        return self.images.shape[1:3]

    @property
    def shape(self) -> tuple[int, ...]:
        """`tuple` of int: shape of the images; scikit-learn indexes by it."""
        return self.images.shape

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, item: Any) -> Self:
        if isinstance(item, (int, np.integer)):
            # A single cutout stays a Cutouts object, of length one. For the last row, -1, the
            # slice must end with None, since 0 would make it empty.
            item = slice(item, item + 1 or None)
        # Without __init__, which would check all images again.
        selected = object.__new__(type(self))
        selected.__dict__.update(self.__dict__)
        selected.images, selected.flags = self.images[item], self.flags[item]
        return selected

    def __iter__(self) -> Iterator[Self]:
        return (self[i] for i in range(len(self)))

    def __repr__(self):
        height, width = self.size
        return (
            f"<Cutouts: {len(self)} of {width}×{height} px at {self.pixel_scale:g} arcsec/px, "
            f"bands {''.join(self.bands)}, {np.count_nonzero(~self.good)} unusable>"
        )


def join_cutouts(parts: Sequence[Cutouts]) -> Cutouts:
    """Concatenate cutouts of one size and kind.

    Parameters
    ----------
    parts : sequence of Cutouts
        At least one; the first gives pixel scale, bands, colour mapping and service.

    Returns
    -------
    cutouts : Cutouts
        All cutouts, not checked again.
    """
    images = np.concatenate([part.images for part in parts])
    flags = np.concatenate([part.flags for part in parts])
    return Cutouts.from_checked(images, flags, **parts[0].facts)


class CutoutSequence(ABC):
    """Cutouts that are made on demand: a slice returns `~shredfinder.Cutouts`.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder import Cutouts
    >>> from shredfinder.imaging import CutoutSequence
    >>> class Noise(CutoutSequence):
    ...     concurrent = True
    ...     def __len__(self):
    ...         return 1000
    ...     def __getitem__(self, rows):
    ...         n = len(range(*rows.indices(len(self))))
    ...         rng = np.random.default_rng(rows.start)
    ...         images = rng.integers(0, 255, (n, 128, 128, 3), dtype=np.uint8)
    ...         return Cutouts.of_survey("legacy-dr9", images)
    >>> Noise()[10:12]
    <Cutouts: 2 of 128×128 px at 0.46875 arcsec/px, bands zrg, 0 unusable>
    """

    #: Whether several threads may take slices at once, in any order.
    concurrent = False

    @property
    def first_tried(self) -> str:
        """`str`: the first file or address, for messages; empty if there is none."""
        return ""

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of cutouts."""

    @abstractmethod
    def __getitem__(self, rows: Any) -> Cutouts:
        """Return the `~shredfinder.Cutouts` of a slice of rows."""


class ImageFiles(CutoutSequence):
    """Image files that are read on demand.

    Memory does not grow with the number of files. Several threads may take slices at once.

    Parameters
    ----------
    paths : sequence of path-like or None
        One file per row; None for a row without a file.
    size : tuple of int
        Height and width in pixels that each image must have.
    pixel_scale, bands, color_mapping, service
        As for `~shredfinder.Cutouts`.

    Examples
    --------
    >>> from shredfinder.imaging import ImageFiles
    >>> files = ImageFiles(["nowhere.png", None], size=(128, 128), pixel_scale=0.46875, bands="zrg")
    >>> len(files), files[:2].flags.tolist()
    (2, ['missing', 'missing'])
    """

    concurrent = True

    def __init__(
        self, paths: Sequence[PathLike | None], *, size: tuple[int, int], **facts: Any
    ) -> None:
        if isinstance(paths, (str, os.PathLike)):
            raise ValueError(f"paths must be a list of image files, got {str(paths)!r}")
        # A sequence may format its paths on demand, so it is not copied into a list.
        self.paths = paths if isinstance(paths, Sequence) else list(paths)
        self.size = (size[0], size[1])
        self.facts = facts
        if isinstance(self.paths, list):
            check_no_address(next((path for path in self.paths if path is not None), ""), "cutouts")

    @property
    def first_tried(self) -> str:
        """`str`: the first file name, for messages; empty if there is none."""
        path = next((path for path in self.paths if path is not None), None)
        return "" if path is None else f"the file {str(path)!r}"

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, rows: Any) -> Cutouts:
        paths = self.paths[rows]
        images = np.zeros((len(paths), *self.size, 3), dtype=np.uint8)
        flags = np.full(len(paths), CutoutFlag.GOOD.value, dtype="U16")
        for i, path in enumerate(paths):
            image, flags[i] = read_image(path, self.size)
            if image is not None:
                images[i] = image
        return Cutouts(images, flags=flags, **self.facts)


Images: TypeAlias = Cutouts | CutoutSequence | ArrayLike | Sequence[PathLike | None]
"""Cutouts, an array of shape ``(n, height, width, bands)``, or paths of image files."""


def as_cutouts(X: Images, *, size: tuple[int, int], **facts: Any) -> Cutouts | CutoutSequence:
    """Convert any supported input to a sequence of cutouts.

    Parameters
    ----------
    X : Cutouts, CutoutSequence, array_like or sequence of path-like
        Cutouts and sequences of them (returned unchanged), images of shape
        ``(n, height, width, bands)`` or ``(height, width, bands)``, or paths of image files with
        None for rows without a file: a list, an array, a pandas Series, an Arrow array or a table
        column. Pillow images may be listed, too. A single image, as an array, a path or a Pillow
        image, is a batch of one. A folder stands for its image files, sorted by name.
    size : tuple of int
        Height and width in pixels that image files must have.
    **facts
        ``pixel_scale``, ``bands`` and ``color_mapping`` of bare arrays and files.

    Returns
    -------
    cutouts : Cutouts or CutoutSequence
        The input; files are not yet read.

    Raises
    ------
    ValueError
        If the input is none of these.

    Examples
    --------
    >>> from shredfinder.imaging import as_cutouts
    >>> facts = {"pixel_scale": 0.46875, "bands": "zrg"}
    >>> as_cutouts(["a.png", None], size=(128, 128), **facts)[:].flags.tolist()
    ['missing', 'missing']
    """
    if isinstance(X, (Cutouts, CutoutSequence)):
        return X
    if isinstance(X, (str, os.PathLike)):
        # One image is a batch of one.
        return ImageFiles(list_images(X) if os.path.isdir(X) else [X], size=size, **facts)
    images: Any = X
    pictures = images if isinstance(images, (list, tuple)) else [images]
    if len(pictures) and all(hasattr(picture, "getbands") for picture in pictures):
        return _decode_pictures(pictures, facts)
    # Before as_paths, which would look at each element.
    if isinstance(images, np.ndarray) and images.ndim in (3, 4):
        return Cutouts(images, **facts)
    paths = as_paths(images)
    if paths is not None:
        return ImageFiles(paths, size=size, **facts)
    try:
        # A Series or an object array holds one array per image.
        images = fill_masked(images if np.ndim(images) > 1 else list(images))
    except ValueError:
        raise ValueError("images must have the same size, got a list of different sizes") from None
    return Cutouts(images, **facts)


def _decode_pictures(pictures: Sequence[Any], facts: dict[str, Any]) -> Cutouts:
    """Convert images of Pillow, which are checked like files."""
    sizes = sorted({f"{picture.width}×{picture.height}" for picture in pictures})
    if len(sizes) > 1:
        raise ValueError(f"images must have the same size, got {', '.join(sizes)} px")
    images = np.zeros((len(pictures), pictures[0].height, pictures[0].width, 3), np.uint8)
    flags = np.full(len(pictures), CutoutFlag.GOOD.value, dtype="U16")
    for i, picture in enumerate(pictures):
        try:
            image, flags[i] = decode_image(picture)
        except Exception:  # decoders raise many kinds of errors on broken files
            image, flags[i] = None, CutoutFlag.CORRUPTED
        if image is not None:
            images[i] = image
    return Cutouts(images, flags=flags, **facts)
