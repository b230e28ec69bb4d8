"""What an estimator says and does by the model that it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shredfinder import exceptions

if TYPE_CHECKING:
    from shredfinder.models.model import TrainedModel

__all__ = ["ModelHolder"]


class ModelHolder:
    """An estimator that has, once fitted or loaded, a `TrainedModel` as ``model_``."""

    model_: TrainedModel

    @property
    def provenance(self) -> dict[str, str]:
        """`dict` of str: what a table should keep of the model that scored it."""
        return self._get_model().provenance

    @property
    def size_(self) -> tuple[int, ...]:
        """`tuple` of int: height and width of the model's images in pixels."""
        return tuple(self._description.size)

    @property
    def pixel_scale_(self) -> float:
        """`float`: pixel scale of the model's images in arcsec per pixel."""
        return self._description.pixel_scale

    @property
    def bands_(self) -> tuple[str, ...]:
        """`tuple` of str: bands of the model's images in the channels' order."""
        return tuple(self._description.bands)

    @property
    def color_mapping_(self) -> str | None:
        """`str` or None: mapping from fluxes to the values of the model's images."""
        return self._description.color_mapping

    @property
    def _is_fitted(self):
        return hasattr(self, "model_")

    def _get_model(self):
        if not self._is_fitted:
            raise exceptions.NotFittedError(
                "this classifier has no model yet: call fit, or use ShredClassifier.load() for the "
                "embedded model"
            )
        return self.model_

    @property
    def _description(self):
        return self._get_model().description
