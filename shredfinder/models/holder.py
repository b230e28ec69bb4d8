"""What an estimator says and does by the model that it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from shredfinder.exceptions import NotFittedError

if TYPE_CHECKING:
    from keras import Model
    from numpy.typing import ArrayLike

    from shredfinder.models.model import TrainedModel
    from shredfinder.typing import PathLike

__all__ = ["ModelHolder"]


class ModelHolder:
    """An estimator that has, once fitted or loaded, a `TrainedModel` as ``model_``."""

    model_: TrainedModel

    def save(self, path: PathLike) -> None:
        """Save the model as one file.

        Parameters
        ----------
        path : path-like
            The file, by custom ``*.shredmodel``; written atomically.
        """
        self._get_model().write(path)

    def calibrate(
        self,
        p_cnn: ArrayLike,
        y: ArrayLike,
        *,
        method: Literal["temperature", "isotonic"] = "temperature",
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Calibrate the model, so that its probabilities mean what they say.

        The calibration is part of the model: it is saved with it and applied whenever it scores.

        Parameters
        ----------
        p_cnn : array_like
            Probabilities, of shape ``(n,)``, that this model, as calibrated so far, gives to
            sources that it was not trained on; or those of a cross-validation of classifiers
            like this one (`~shredfinder.evaluation.cross_validate`), so that none need be set
            aside. At the training mix, not corrected for another prior.
        y : array_like
            Labels of these sources, as for `fit`; ``"other"`` is left out.
        method : {"temperature", "isotonic"}, optional
            See `~shredfinder.evaluation.fit_calibration`.
        sample_weight : array_like, optional
            Weights, of shape ``(n,)``.

        Returns
        -------
        self : object
            The calibrated classifier.

        Raises
        ------
        shredfinder.exceptions.NotFittedError
            If the classifier is neither fitted nor loaded.
        ValueError
            If labels and probabilities don't fit each other, or the model has an isotonic
            calibration already.
        """
        from shredfinder.evaluation import fit_calibration

        model = self._get_model()
        found = fit_calibration(y, p_cnn, method=method, sample_weight=sample_weight)
        self.model_ = model.calibrated(found)
        return self

    def keras_network(self) -> Model:
        """Build the Keras network with the fitted weights.

        Returns
        -------
        network : `keras.Model`
            From images in 0–1, ``(n, height, width, bands)``, to ``(n, 2)`` probabilities,
            before calibration and symmetry averaging.
        """
        return self._get_model().keras_network()

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
            raise NotFittedError(
                "this classifier has no model yet: call fit, or ShredClassifier.load() for the "
                "one that comes with the package"
            )
        return self.model_

    @property
    def _description(self):
        return self._get_model().description
