"""Description of a trained model, and validation of cutouts against it."""

from __future__ import annotations

import itertools
import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Self

from shredfinder.exceptions import CutoutMismatchError, ModelFileError
from shredfinder.models.calibration import Calibration
from shredfinder.models.novelty import NoveltyMeasure
from shredfinder.models.stretch import LINEAR, is_stretch

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from shredfinder.imaging.cutouts import Cutouts

__all__ = ["SYMMETRIES", "ModelDescription"]

#: Sources scored by the mean over the 8 rotations and reflections: none, uncertain ones, all.
SYMMETRIES = ("none", "uncertain", "all")

# Pixel scales are equal within this fraction: over 128 px they then differ by less than 1 px.
_SCALE_TOLERANCE = 0.005
# Optional entries of a description.
_OPTIONAL = ("knots", "novelty")


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

    Examples
    --------
    >>> from shredfinder import ShredClassifier
    >>> description = ShredClassifier.load().model_.description
    >>> description.name, description.input_shape, description.classes
    ('legacy-dr9-compact-3', (128, 128, 3), ['galaxy', 'shred'])
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
            Architecture, survey, symmetry, training prior and training record.

        Returns
        -------
        description : ModelDescription
            Description without calibration.
        """
        from shredfinder import __version__

        return cls(
            name=name,
            version=__version__,
            classes=["galaxy", "shred"],
            bands=list(cutouts.bands),
            size=[int(side) for side in cutouts.size],
            pixel_scale=cutouts.pixel_scale,
            color_mapping=cutouts.color_mapping,
            stretch=dict(stretch),
            temperature=1.0,
            **facts,
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
            "classes": lambda value: value == ["galaxy", "shred"],
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
    increases = all(a < b for a, b in itertools.pairwise(logits))
    never_falls = all(a <= b for a, b in itertools.pairwise(probabilities))
    return increases and never_falls and probabilities[0] > 0 and probabilities[-1] < 1


def _is_measure(value: Any) -> bool:
    try:
        NoveltyMeasure.from_dict(value)
    except (AttributeError, ValueError):
        return False
    return True


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 200


def _is_number(value: Any) -> bool:
    # bool is a subclass of int.
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_list(value: Any, kind: type) -> bool:
    return isinstance(value, list) and all(type(item) is kind for item in value)


def _join(bands: Iterable[str]) -> str:
    return ", ".join(bands)


def _format_size(size: Sequence[int]) -> str:
    return f"{size[1]}×{size[0]} px"
