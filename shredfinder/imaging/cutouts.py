"""The container that carries cutouts and what must be known of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import numpy as np
from astropy import units as u
from numpy.typing import ArrayLike

from shredfinder._utils.types import PathLike
from shredfinder.imaging.checks import CutoutFlag, check_fluxes, check_images
from shredfinder.surveys import get_survey

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from astropy.units import Quantity

__all__ = [
    "FLUX",
    "CutoutSequence",
    "Cutouts",
    "Images",
    "join_cutouts",
    "to_arcsec_per_pixel",
]

# The colour mapping of images whose channels are fluxes.
FLUX = "flux"


class Cutouts:
    """Image cutouts, one a source, with what a model must know to score them rightly.

    Parameters
    ----------
    images : array_like
        Images of shape ``(n, height, width, bands)``, uint8 or float in 0–1, north up and east
        left, the source at the centre.
    flags : array_like of str, optional
        For each image a `~shredfinder.imaging.CutoutFlag` value: what is the matter with it,
        empty where nothing is. Images without a flag are checked in any case (see
        `~shredfinder.imaging.check_images`).
    pixel_scale : float or `~astropy.units.Quantity`
        Pixel scale: arcsec per pixel, an angle, or an angle per pixel.
    bands : sequence of str
        Bands of the channels, in their order: ``("z", "r", "g")`` or ``"zrg"`` for the colour
        images of the Legacy Surveys, whose red, green and blue are z, r and g.
    color_mapping : str, optional
        Name of the mapping from fluxes to the images' values, such as ``"legacy-grz"``;
        ``"flux"`` for fluxes as they are, of any range.
    service : str, optional
        Where the images come from, for the record.

    Raises
    ------
    ValueError
        If the images' shape, type or range, or the number of flags or bands, does not fit.

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
        self.images = _validate_images(images, fluxes=color_mapping == FLUX)
        self.pixel_scale = to_arcsec_per_pixel(pixel_scale)
        self.bands = tuple(bands)
        if len(self.bands) != self.images.shape[3]:
            raise ValueError(
                f"the images have {self.images.shape[3]} channels but {len(self.bands)} bands "
                f"were named ({', '.join(self.bands)}): name one for each channel"
            )
        self.service = service
        self.flags = self._complete_flags(flags)

    @classmethod
    def of_survey(cls, survey: str, images: ArrayLike, **kwargs: Any) -> Self:
        """Make cutouts of a survey's usual kind.

        Parameters
        ----------
        survey : str
            Name or alias of the survey, such as ``"legacy"``; it sets pixel scale, bands and
            colour mapping.
        images : array_like
            Images of shape ``(n, height, width, bands)``, uint8 or float in 0–1.
        **kwargs
            Further arguments of `Cutouts`; they go before the survey's.

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
        """Create cutouts from images that were checked one by one, without another check.

        Parameters
        ----------
        images : `~numpy.ndarray`
            Images of shape ``(n, height, width, bands)``, uint8, or float32 fluxes.
        flags : `~numpy.ndarray` of str
            Results of `~shredfinder.imaging.check_images`, of shape ``(n,)``.
        pixel_scale, bands, color_mapping, service
            As for `Cutouts`.

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

    def write(self, path: PathLike, **kwargs: Any) -> Path:
        """Write the cutouts to a folder, a FITS or an HDF5 file.

        Parameters
        ----------
        path : path-like
            A folder, or a file ending in ``.fits``, ``.h5`` or ``.hdf5``.
        **kwargs
            Further arguments of `~shredfinder.imaging.write_cutouts`.

        Returns
        -------
        path : `~pathlib.Path`
            What was written.
        """
        from shredfinder.imaging.writing import write_cutouts

        return write_cutouts(self, path, **kwargs)

    @classmethod
    def read(cls, path: PathLike, **kwargs: Any) -> Cutouts:
        """Read cutouts that `write` wrote.

        Parameters
        ----------
        path : path-like
            A folder or a file.
        **kwargs
            Further arguments of `~shredfinder.imaging.read_cutouts`.

        Returns
        -------
        cutouts : Cutouts
            The cutouts, checked anew.
        """
        from shredfinder.imaging.writing import read_cutouts

        return read_cutouts(path, **kwargs)

    def _complete_flags(self, flags):
        n = len(self.images)
        if flags is None:
            return self._check(self.images)
        flags = np.array(flags, dtype="U16", ndmin=1)
        if flags.shape != (n,):
            raise ValueError(f"there are {n} images but {flags.size} flags: give one for each")
        unknown = set(flags.tolist()) - {flag.value for flag in CutoutFlag}
        if unknown:
            raise ValueError(
                f"unknown flags {sorted(unknown)}: use the values of shredfinder.imaging.CutoutFlag"
            )
        unchecked = np.flatnonzero(flags == CutoutFlag.GOOD)
        flags[unchecked] = self._check(self.images[unchecked])
        return flags

    def _check(self, images):
        return (check_fluxes if self.color_mapping == FLUX else check_images)(images)

    @property
    def good(self) -> np.ndarray:
        """`~numpy.ndarray` of bool, shape ``(n,)``: the images that can be scored."""
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

    def __getitem__(self, item: Any) -> Cutouts:
        if isinstance(item, (int, np.integer)):
            # A single cutout stays a Cutouts object, of length one.
            item = slice(item, item + 1 or None)
        selected = object.__new__(type(self))
        selected.__dict__.update(self.__dict__)
        selected.images, selected.flags = self.images[item], self.flags[item]
        return selected

    def __iter__(self) -> Iterator[Cutouts]:
        return (self[i] for i in range(len(self)))

    def __repr__(self):
        height, width = self.size
        return (
            f"<Cutouts: {len(self)} of {width}×{height} px at {self.pixel_scale:g} arcsec/px, "
            f"bands {''.join(self.bands)}, {np.count_nonzero(~self.good)} unusable>"
        )


def join_cutouts(parts):
    """Put cutouts of one kind and size after one another.

    Parameters
    ----------
    parts : sequence of Cutouts
        At least one; pixel scale, bands, colour mapping and service are those of the first.

    Returns
    -------
    cutouts : Cutouts
        All of them. Images are not checked again.
    """
    joined = object.__new__(Cutouts)
    joined.__dict__.update(parts[0].__dict__)
    joined.images = np.concatenate([part.images for part in parts])
    joined.flags = np.concatenate([part.flags for part in parts])
    return joined


def _validate_images(images, fluxes):
    images = np.asarray(images)
    if images.ndim != 4:
        hint = " (for a single image write images[np.newaxis])" if images.ndim == 3 else ""
        raise ValueError(
            f"images must have the shape (n, height, width, bands), not {images.shape}{hint}"
        )
    if fluxes and images.dtype.kind in "fiu":
        return images.astype(np.float32, copy=False)
    if images.dtype == np.uint8:
        return images
    if images.dtype.kind != "f":
        raise ValueError(f"images must be uint8 or float in 0–1, not {images.dtype}")
    images = images.astype(np.float32, copy=False)
    finite = np.isfinite(images).all(axis=(1, 2, 3))
    if finite.any():
        low, high = images[finite].min(axis=(1, 2, 3)), images[finite].max(axis=(1, 2, 3))
        if ((low < 0) | (high > 1)).all():
            raise ValueError(
                f"float images must lie in 0–1, but these go from {low.min():g} to "
                f"{high.max():g}: scale them as the model's training images were"
            )
    return images


def to_arcsec_per_pixel(pixel_scale: float | Quantity) -> float:
    """Convert a pixel scale (arcsec per pixel, an angle, or an angle per pixel) to a float."""
    try:
        scale = u.Quantity(pixel_scale, u.arcsec if not hasattr(pixel_scale, "unit") else None)
        if scale.unit.is_equivalent(u.arcsec / u.pix):
            scale = scale * u.pix
        value = float(scale.to_value(u.arcsec))
    except (TypeError, u.UnitsError) as error:
        raise ValueError(
            f"pixel_scale must be arcsec per pixel or an angle, not {pixel_scale!r}"
        ) from error
    if not (np.isfinite(value) and value > 0):
        raise ValueError(f"pixel_scale must be positive, not {pixel_scale!r}")
    return value


class CutoutSequence(ABC):
    """Cutouts that are made when they are asked for: slices give `~shredfinder.Cutouts`.

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

    @abstractmethod
    def __len__(self) -> int:
        """Give the number of cutouts."""

    @abstractmethod
    def __getitem__(self, rows: Any) -> Cutouts:
        """Make the `~shredfinder.Cutouts` of a slice of rows."""


Images: TypeAlias = Cutouts | CutoutSequence | ArrayLike | Sequence[PathLike | None]
"""Cutouts, an array of shape ``(n, height, width, bands)``, or paths of image files."""
