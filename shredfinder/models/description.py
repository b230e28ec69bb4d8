"""Description of a trained model, and validation of cutouts against it."""

from __future__ import annotations

import itertools
import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Self, TypeGuard

import numpy as np

from shredfinder.exceptions import CutoutMismatchError, ModelFileError
from shredfinder.models.calibration import Calibration
from shredfinder.models.novelty import NoveltyMeasure
from shredfinder.models.sources import decode_sources

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from shredfinder.imaging.cutouts import Cutouts

__all__ = ["LINEAR", "SYMMETRIES", "ModelDescription", "apply_stretch", "fit_stretch", "is_stretch"]

#: Sources scored by the mean over the 8 rotations and reflections: none, uncertain ones, all.
SYMMETRIES = ("none", "uncertain", "all")

# Colour images: uint8 values are divided by 255, floats in 0–1 are unchanged.
LINEAR: dict[str, Any] = {"kind": "linear", "white": 255}
# Maximum number of pixels from which flux scales are estimated.
_MAX_PIXELS = 2_000_000
# Fraction of all pixels that become brighter than 1.
_ABOVE_WHITE = 1e-3
# Pixel scales are equal within this fraction: over 128 px they then differ by less than 1 px.
_SCALE_TOLERANCE = 0.005
# Outputs of the networks. The third is for sources that are neither galaxy nor shred.
_CLASSES = (["galaxy", "shred"], ["galaxy", "shred", "other"])
# Optional entries of a description.
_OPTIONAL = ("knots", "novelty", "other_limit", "sources")


@dataclass
class ModelDescription:
    """Properties of a trained network and of the images it accepts.

    Attributes
    ----------
    name, version : str
        Name of the model and version of the package that trained it.
    architecture : str
        Name of the network's architecture.
    classes : list of str
        Classes in the order of the network's outputs.
    survey : str
        Survey of the training images.
    bands : list of str
        Bands of the channels, in order.
    size : list of int
        Height and width of the images in pixels.
    pixel_scale : float
        Pixel scale in arcsec per pixel.
    color_mapping : str or None
        Mapping from fluxes to image values.
    stretch : dict
        Conversion of image values to the network's input, see
        `~shredfinder.models.apply_stretch`: ``{"kind": "linear", "white": 255}`` divides uint8
        images by 255 and leaves float images in 0–1 unchanged; ``"asinh"`` is for fluxes, with
        scales for each band.
    temperature : float
        Calibration: logits are divided by it, see `~shredfinder.models.Calibration`.
    training_prior : float
        Fraction of shreds in the training set, by weight.
    symmetry : str
        Default symmetry averaging, see `~shredfinder.ShredClassifier`.
    training : dict
        Data, settings and results of the training.
    knots : list of list of float or None
        Isotonic calibration applied after the temperature, see
        `~shredfinder.models.Calibration`.
    novelty : dict or None
        Statistics of the training images, from which `~shredfinder.models.NoveltyMeasure`
        recognises unfamiliar images.
    other_limit : float or None
        Sources with a higher probability of the class ``"other"`` are not scored. None for
        networks without that class.
    sources : str or None
        Hashes of the training images, see `~shredfinder.ShredClassifier.find_training_images`.

    Examples
    --------
    >>> from shredfinder import ShredClassifier
    >>> description = ShredClassifier.load().model_.description
    >>> description.name, description.input_shape, description.classes
    ('legacy-dr9-compact-7', (128, 128, 3), ['galaxy', 'shred', 'other'])
    """

    name: str
    version: str
    architecture: str
    classes: list
    survey: str
    bands: list
    size: list
    pixel_scale: float
    color_mapping: str | None
    stretch: dict
    temperature: float
    training_prior: float
    symmetry: str
    training: dict = field(default_factory=dict)
    knots: list | None = None
    novelty: dict | None = None
    other_limit: float | None = None
    sources: str | None = field(default=None, repr=False)

    @property
    def calibration(self) -> Calibration:
        """`~shredfinder.models.Calibration`: converts the network's logits to probabilities."""
        return Calibration(self.temperature, tuple(map(tuple, self.knots or ())))

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """`tuple` of int: height, width and number of bands."""
        return (*self.size, len(self.bands))

    @classmethod
    def of_training(
        cls, name: str, cutouts: Cutouts, *, stretch: dict[str, Any] = LINEAR, **facts: Any
    ) -> Self:
        """Create the description of a network trained on cutouts.

        Parameters
        ----------
        name : str
            Name of the model.
        cutouts : Cutouts
            Training images, which set size, bands, pixel scale and colours.
        stretch : dict, optional
            Conversion of their values to the network's input.
        **facts
            Architecture, survey, symmetry, training prior and training record; classes, if there
            are others than galaxy and shred.

        Returns
        -------
        description : ModelDescription
            Description without calibration.
        """
        from shredfinder import __version__

        return cls(
            name=name,
            version=__version__,
            bands=list(cutouts.bands),
            size=[int(side) for side in cutouts.size],
            pixel_scale=cutouts.pixel_scale,
            color_mapping=cutouts.color_mapping,
            stretch=dict(stretch),
            temperature=1.0,
            # The order of the network's outputs, and of the files' labels 0 and 1.
            **{"classes": ["galaxy", "shred"]} | facts,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable `dict`, without empty optional entries."""
        values = asdict(self)
        return {key: value for key, value in values.items() if key not in _OPTIONAL or value}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Create a description from the contents of a file, validating each entry.

        Parameters
        ----------
        values : dict
            As from `to_dict`.

        Returns
        -------
        description : ModelDescription
            The validated description.

        Raises
        ------
        shredfinder.exceptions.ModelFileError
            If an entry is missing or invalid.
        """
        # Each entry is validated before use: the file may come from anywhere.
        checks = {
            "name": _is_text,
            "version": _is_text,
            "architecture": _is_text,
            "classes": lambda value: value in _CLASSES,
            "survey": _is_text,
            "bands": lambda value: _is_list(value, str) and 0 < len(value) <= 64,
            "size": lambda value: (
                _is_list(value, int) and len(value) == 2 and all(0 < side <= 4096 for side in value)
            ),
            "pixel_scale": lambda value: _is_number(value) and 0 < value < 3600,
            "color_mapping": lambda value: value is None or _is_text(value),
            "stretch": lambda value: is_stretch(value, len(values["bands"])),
            "temperature": lambda value: _is_number(value) and 0.01 <= value <= 100,
            "training_prior": lambda value: _is_number(value) and 0 < value < 1,
            "symmetry": lambda value: value in SYMMETRIES,
            "training": lambda value: isinstance(value, dict),
            "knots": _are_knots,
            "novelty": _is_measure,
            "other_limit": lambda value: _is_number(value) and 0 < value <= 1,
            "sources": _are_sources,
        }
        # Files written before an optional entry existed lack it.
        checks = {key: check for key, check in checks.items() if key in {*values, *_NEEDED}}
        for key, is_valid in checks.items():
            if key not in values:
                raise ModelFileError(f"the model's description lacks the entry {key!r}")
            if not is_valid(values[key]):
                raise ModelFileError(
                    f"the model's description has an invalid {key}: {values[key]!r:.80}"
                )
        return cls(**{key: values[key] for key in checks})

    def check_cutouts(self, cutouts: Cutouts, *, allow_other_colors: bool = False) -> bool:
        """Validate that cutouts are of the same kind as the training images.

        Parameters
        ----------
        cutouts : `~shredfinder.Cutouts`
            Cutouts to be scored.
        allow_other_colors : bool, optional
            Accept other bands than the model's, if their number is the same.

        Returns
        -------
        other_colors : bool
            Whether the colours differ from those of the training images.

        Raises
        ------
        shredfinder.exceptions.CutoutMismatchError
            If size, number of bands or pixel scale differ, or the colours differ and
            ``allow_other_colors`` is False.
        """
        if len(cutouts.bands) != len(self.bands):
            raise CutoutMismatchError(
                f"the cutouts have {len(cutouts.bands)} bands ({_join(cutouts.bands)}), the model "
                f"{self.name!r} takes {len(self.bands)} ({_join(self.bands)}): train a model for "
                "these bands or use cutouts in the model's bands"
            )
        if cutouts.images.shape[1:3] != tuple(self.size):
            raise CutoutMismatchError(
                f"the cutouts measure {_format_size(cutouts.size)}, the model {self.name!r} takes "
                f"{_format_size(self.size)} at {self.pixel_scale:g} arcsec/px"
            )
        if abs(cutouts.pixel_scale / self.pixel_scale - 1) > _SCALE_TOLERANCE:
            raise CutoutMismatchError(
                f"the cutouts' pixel scale is {cutouts.pixel_scale:g} arcsec/px, the model "
                f"{self.name!r} was trained at {self.pixel_scale:g}: use cutouts at that scale"
            )
        same_bands = tuple(cutouts.bands) == tuple(self.bands)
        # An unknown colour mapping, as of a bare array, is given the benefit of the doubt.
        known = cutouts.color_mapping is not None and self.color_mapping is not None
        same_mapping = not known or cutouts.color_mapping == self.color_mapping
        if same_bands and same_mapping:
            return False
        if allow_other_colors:
            return True
        if not same_bands and sorted(cutouts.bands) == sorted(self.bands):
            advice = "put the channels in the model's order (red, green, blue for colour images)"
        else:
            advice = (
                "its scores are untested on other colours; allow_other_colors=True scores these "
                "cutouts and flags them"
            )
        raise CutoutMismatchError(
            f"the cutouts show the bands {_join(cutouts.bands)} with the colour mapping "
            f"{cutouts.color_mapping}, the model {self.name!r} was trained on "
            f"{_join(self.bands)} with {self.color_mapping}: {advice}"
        )


_NEEDED = [
    key for key in ModelDescription.__dataclass_fields__ if key not in _OPTIONAL
]  # fmt: skip


def _are_knots(value: Any) -> bool:
    if not isinstance(value, list) or not 2 <= len(value) <= 100_000:
        return False
    if not all(isinstance(pair, list) and len(pair) == 2 for pair in value):
        return False
    if not all(_is_number(item) and math.isfinite(item) for pair in value for item in pair):
        return False
    logits, probabilities = zip(*value, strict=True)
    # Strictly increasing logits, for interpolation; probabilities may have steps.
    increases = all(a < b for a, b in itertools.pairwise(logits))
    never_falls = all(a <= b for a, b in itertools.pairwise(probabilities))
    return increases and never_falls and probabilities[0] > 0 and probabilities[-1] < 1


def _is_measure(value: Any) -> bool:
    try:
        NoveltyMeasure.from_dict(value)
    except (AttributeError, ValueError):
        return False
    return True


def _are_sources(value: Any) -> bool:
    try:
        decode_sources(value)
    except (TypeError, ValueError):
        return False
    return isinstance(value, str)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 200


def _is_number(value: Any) -> bool:
    # bool is a subclass of int.
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_list(value: Any, kind: type) -> bool:
    # type, not isinstance: True would pass as an integer.
    return isinstance(value, list) and all(type(item) is kind for item in value)


def _join(bands: Iterable[str]) -> str:
    return ", ".join(bands)


def _format_size(size: Sequence[int]) -> str:
    return f"{size[1]}×{size[0]} px"


def fit_stretch(images: np.ndarray) -> dict[str, Any]:
    """Fit an arcsinh stretch to fluxes, band by band.

    Parameters
    ----------
    images : `~numpy.ndarray`
        Fluxes of shape ``(n, height, width, bands)``, in any unit; NaN where missing.

    Returns
    -------
    stretch : dict
        ``kind`` is ``"asinh"``. For each band, ``softening`` is the flux at which the mapping
        turns from linear to logarithmic (the sky noise: the scaled median absolute deviation of
        all pixels) and ``white`` the flux mapped to 1 (exceeded by 0.1 % of the pixels).

    Raises
    ------
    ValueError
        If a band has no finite flux.

    Notes
    -----
    After Lupton, Gunn & Szalay (1999, AJ 118, 1406): linear for faint sources, logarithmic for
    bright ones.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder.models import apply_stretch, fit_stretch
    >>> fluxes = np.random.default_rng(0).normal(0, 0.01, (4, 32, 32, 2))
    >>> fluxes[:, 12:20, 12:20] = 5.0, 50.0
    >>> apply_stretch(fluxes, fit_stretch(fluxes))[0, 16, 16].tolist()
    [1.0, 1.0]
    """
    softening, white = [], []
    for band in range(images.shape[3]):
        pixels = images[..., band].ravel()
        # Every k-th pixel of all images: enough for medians and quantiles.
        pixels = pixels[:: max(len(pixels) // _MAX_PIXELS, 1)]
        pixels = pixels[np.isfinite(pixels)].astype(float)
        if not len(pixels):
            raise ValueError(
                f"channel {band} of the images has no finite flux: leave it out, or "
                "check the images"
            )
        # 1.4826 converts the deviation of Gaussian noise to its standard deviation.
        noise = 1.4826 * np.median(np.abs(pixels - np.median(pixels)))
        # The deviation is 0 for images that mostly have one value, such as masked ones.
        noise = noise or np.std(pixels) or 1.0
        softening.append(float(noise))
        white.append(float(max(np.quantile(pixels, 1 - _ABOVE_WHITE), 3 * noise)))
    return {"kind": "asinh", "softening": softening, "white": white}


def apply_stretch(images: np.ndarray, stretch: dict[str, Any]) -> np.ndarray:
    """Convert image values to a network's input.

    Parameters
    ----------
    images : `~numpy.ndarray`
        Images of shape ``(n, height, width, bands)``: uint8 or float in 0–1 for a linear stretch,
        fluxes for an arcsinh stretch.
    stretch : dict
        As in `~shredfinder.models.ModelDescription`.

    Returns
    -------
    images : `~numpy.ndarray` of float32
        Images of the same shape. Fluxes that are not finite become 0, the sky level.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder.models import apply_stretch
    >>> images = np.array([0, 51, 255], dtype=np.uint8).reshape(3, 1, 1, 1)
    >>> apply_stretch(images, {"kind": "linear", "white": 255}).ravel().tolist()
    [0.0, 0.20000000298023224, 1.0]
    """
    if stretch["kind"] == "linear":
        if images.dtype == np.uint8:
            return images.astype(np.float32) / np.float32(255)
        return images
    softening = np.array(stretch["softening"], dtype=np.float32)
    top = np.arcsinh(np.array(stretch["white"], dtype=np.float32) / softening)
    fluxes = np.where(np.isfinite(images), images, 0).astype(np.float32)
    return np.arcsinh(fluxes / softening) / top


def is_stretch(value: Any, n_bands: int) -> TypeGuard[dict[str, Any]]:
    """Return whether a value read from a file is a valid stretch.

    Parameters
    ----------
    value : object
        Value from a file, not yet validated.
    n_bands : int
        Number of bands of the images.

    Returns
    -------
    valid : bool
        Whether `apply_stretch` accepts it.
    """
    if value == LINEAR:
        return True
    if not isinstance(value, dict) or set(value) != {"kind", "softening", "white"}:
        return False
    scales = (value["softening"], value["white"])
    return value["kind"] == "asinh" and all(
        isinstance(scale, list)
        and len(scale) == n_bands
        and all(isinstance(x, (int, float)) and 0 < x < np.inf for x in scale)
        for scale in scales
    )
