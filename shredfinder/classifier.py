"""The classifier: one estimator for every architecture, survey and kind of input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from shredfinder._utils.validation import Parametrized, check_count, check_fitting, check_weights
from shredfinder.exceptions import ModelFileError
from shredfinder.models.architectures import ARCHITECTURES, build_network
from shredfinder.models.calibration import fit_calibration
from shredfinder.models.labels import CLASSES, encode_labels, warn_of_others
from shredfinder.models.model import TrainedModel
from shredfinder.models.scorer import ImageScorer
from shredfinder.models.sources import open_source
from shredfinder.surveys import get_survey

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keras import Model
    from numpy.typing import ArrayLike

    from shredfinder._utils.types import PathLike
    from shredfinder.imaging.cutouts import Cutouts, CutoutSequence, Images
    from shredfinder.training.recipes import Recipe

__all__ = ["ShredClassifier"]

_SYMMETRIES = ("none", "uncertain", "all")


class ShredClassifier(ImageScorer, Parametrized):
    """Tell galaxies from shreds by their cutouts.

    Parameters
    ----------
    architecture : {"compact", "published"}
        The network: this project's own, or that of Di Teodoro, Peek & Wu (arXiv 2301.09648).
    survey : str
        Survey of the images; it gives pixel scale, bands and colours of bare arrays and files.
    bands : sequence of str, optional
        Bands of the channels in their order, where they are not the survey's, such as
        ``"ugriz"`` for five-band stacks.
    pixel_scale : float, optional
        Pixel scale in arcsec per pixel, where it is not the survey's.
    symmetry : {"uncertain", "all", "none"}
        Which sources are scored as the mean, in logits, over the eight rotations and
        reflections by right angles: those whose first answer leaves doubt, all, or none.
    random_state : int, optional
        Makes `fit` repeatable.
    warm_start : bool
        Whether `fit` goes on from the present weights, where there are any.

    Attributes
    ----------
    classes_ : `~numpy.ndarray` of str
        ``["galaxy", "shred"]``: the order of `predict_proba`'s columns.
    history_ : dict of list
        Losses and accuracies by epoch of the last `fit`; a saved model keeps them.
    model_ : `~shredfinder.models.TrainedModel`
        The fitted network with its description.

    Notes
    -----
    Probabilities hold for the mix of classes in the training set, of which about 40 % are
    shreds. In a real catalogue about 5 % are: give ``prior`` to correct for it.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder import ShredClassifier
    >>> classifier = ShredClassifier.load()
    >>> blank = np.full((2, 128, 128, 3), 32, dtype=np.uint8)
    >>> classifier.predict_proba(blank)  # blank images are never guessed
    array([[nan, nan],
           [nan, nan]], dtype=float32)
    """

    def __init__(
        self,
        architecture: str = "compact",
        survey: str = "legacy-dr9",
        *,
        bands: Sequence[str] | None = None,
        pixel_scale: float | None = None,
        symmetry: str = "uncertain",
        random_state: int | None = None,
        warm_start: bool = False,
    ) -> None:
        self.architecture = architecture
        self.survey = survey
        self.bands = bands
        self.pixel_scale = pixel_scale
        self.symmetry = symmetry
        self.random_state = random_state
        self.warm_start = warm_start
        self.classes_ = np.array(CLASSES)
        self._check_params()

    def _check_params(self):
        for name, value, known in (
            ("architecture", self.architecture, tuple(ARCHITECTURES)),
            ("symmetry", self.symmetry, _SYMMETRIES),
        ):
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, not {value!r}")
        check_count(self.random_state, "random_state", least=0)
        get_survey(self.survey)

    def __repr__(self):
        state = "not fitted"
        if self._is_fitted:
            state = f"model {self._description.name!r} {self._description.version}"
        return f"<ShredClassifier: {self.architecture}, {self.survey}, {state}>"

    # Fitting

    def fit(
        self,
        X: Images,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        *,
        validation: float | tuple[Images, ArrayLike] | Literal["auto"] | None = "auto",
        recipe: Recipe | str | None = None,
        epochs: int | None = None,
        patience: int | None = None,
        batch_size: int | None = None,
        checkpoint: PathLike | None = None,
        name: str = "custom",
        progress: bool | Literal["auto"] = "auto",
    ) -> Self:
        """Train the network.

        Parameters
        ----------
        X : Cutouts, array_like or sequence of path-like
            Images: Cutouts, an array of shape ``(n, height, width, bands)``, uint8 or float in
            0–1, or image files.
        y : array_like
            Labels, of shape ``(n,)``: class names, 0 (galaxy) and 1 (shred), or fractions in
            between. Sources labelled ``"other"`` are left out, with a warning, as are those
            without a usable image.
        sample_weight : array_like, optional
            Weights in the loss, of shape ``(n,)``.
        groups : array_like, optional
            Group of each source, of shape ``(n,)``; the validation set takes whole groups, so
            that overlapping cutouts don't leak into it.
        validation : float, tuple, None or "auto", optional
            Fraction set aside for early stopping, or images and labels for it; None trains on
            all for the full number of epochs. By default the recipe's: 0.2 for the published
            network, none for the compact one.
        recipe : `~shredfinder.training.Recipe` or str, optional
            How the network is trained: optimiser, epochs, augmentation; or the name of one of
            `shredfinder.training.RECIPES`. By default that of the architecture, or
            ``"fine-tuning"`` where a trained compact network is gone on with.
        epochs : int, optional
            Passes through the images, at most; by default 100 for the published network (with
            ``patience`` 5), and 90 for the compact one (30 for fine-tuning), whose learning rate
            runs one cycle.
        patience : int, optional
            Stop when the validation loss has not fallen for as many epochs.
        batch_size : int, optional
            Images a step.
        checkpoint : path-like, optional
            Folder of the training's state; a training that was interrupted goes on from there.
        name : str, optional
            Name that the model will carry.
        progress : bool or "auto", optional
            Show a progress bar; ``"auto"`` does on a terminal and in a notebook.

        Returns
        -------
        self : ShredClassifier
            The fitted classifier.

        Raises
        ------
        shredfinder.exceptions.MissingDependencyError
            If no deep-learning backend is installed.
        ValueError
            If images, labels, weights or groups don't fit each other.
        """
        from shredfinder.training import import_keras, train_model

        self._check_params()
        check_fitting(epochs, patience, batch_size, validation, checkpoint)
        import_keras()  # where there is no backend, better said before all images are read
        cutouts = self.open_training(X)[:]
        if isinstance(validation, tuple):
            validation = (self.open_training(validation[0])[:], validation[1])
        self.model_, self.history_ = train_model(
            cutouts,
            y,
            name=name,
            architecture=self.architecture,
            survey=self.survey,
            symmetry=self.symmetry,
            random_state=self.random_state,
            sample_weight=sample_weight,
            groups=groups,
            validation=validation,
            recipe=recipe,
            start=self.model_ if self.warm_start and self._is_fitted else None,
            epochs=epochs,
            patience=patience,
            batch_size=batch_size,
            checkpoint=checkpoint,
            progress=progress,
        )
        return self

    def open_training(self, X: Images) -> Cutouts | CutoutSequence:
        """Take images as `fit` does: bare arrays and files are of this classifier's survey.

        Parameters
        ----------
        X : Cutouts, array_like or sequence of path-like
            Images, as for `fit`.

        Returns
        -------
        source : Cutouts or ImageFiles
            A sequence whose slices are `Cutouts`.
        """
        facts = get_survey(self.survey)
        bands = tuple(self.bands or facts.bands)
        return open_source(
            X,
            size=(facts.size, facts.size),
            pixel_scale=self.pixel_scale or facts.pixel_scale,
            bands=bands,
            color_mapping=facts.color_mapping if bands == tuple(facts.bands) else None,
        )

    def score(
        self, X: Images, y: ArrayLike, sample_weight: ArrayLike | None = None, **kwargs: Any
    ) -> float:
        """Give the accuracy over the rows that have an answer.

        Parameters
        ----------
        X : Cutouts, array_like or sequence of path-like
            Images, as for `predict_p_cnn`.
        y : array_like
            Labels, as for `fit`; ``"other"`` is left out, with a warning.
        sample_weight : array_like, optional
            Weights, of shape ``(n,)``.
        **kwargs
            Further arguments of `predict_p_cnn`.

        Returns
        -------
        accuracy : float
            Weighted fraction of right classes; NaN where no row has an answer.
        """
        p_shred = encode_labels(y)
        p_cnn, _ = self.predict_p_cnn(X, **kwargs)
        if p_shred.shape != p_cnn.shape:
            raise ValueError(f"there are {len(p_cnn)} images but {len(p_shred)} labels")
        warn_of_others(np.count_nonzero(np.isnan(p_shred)), len(p_shred))
        weights = check_weights(sample_weight, len(p_cnn))
        known = np.isfinite(p_cnn) & np.isfinite(p_shred) & (weights > 0)
        if not known.any():
            return float("nan")
        right = (p_cnn[known] >= 0.5) == (p_shred[known] >= 0.5)
        return float(np.average(right, weights=weights[known]))

    # Model

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
        model = self._get_model()
        found = fit_calibration(y, p_cnn, method=method, sample_weight=sample_weight)
        self.model_ = model.calibrated(found)
        return self

    @classmethod
    def load(cls, path: PathLike | None = None) -> Self:
        """Load a saved model.

        Parameters
        ----------
        path : path-like, optional
            A file written by `~shredfinder.ShredClassifier.save`, or ``"robust"`` for the package's
            model for images poorer than the Legacy Surveys'; by default its embedded model.

        Returns
        -------
        classifier : ShredClassifier
            Ready to score; a further `fit` goes on from its weights.

        Raises
        ------
        shredfinder.exceptions.ModelFileError
            If the file is corrupted, truncated, no model, or of a newer format.
        """
        model = TrainedModel.read(path)
        description = model.description
        try:
            classifier = cls(
                description.architecture,
                description.survey,
                bands=tuple(description.bands),
                pixel_scale=description.pixel_scale,
                symmetry=description.symmetry,
                warm_start=True,
            )
        except ValueError as error:  # an architecture or survey of a later version
            raise ModelFileError(
                f"the model file {str(path)!r} is beyond this version of shredfinder: {error}"
            ) from error
        classifier.model_ = model
        history = description.training.get("history")
        if isinstance(history, dict):
            classifier.history_ = history
        return classifier

    def save(self, path: PathLike) -> None:
        """Save the model as one file.

        Parameters
        ----------
        path : path-like
            The file, by custom ``*.shredmodel``; written atomically.
        """
        self._get_model().write(path)

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
    def n_parameters(self) -> int:
        """`int`: number of parameters of the network."""
        if self._is_fitted:
            return self.model_.n_parameters
        from shredfinder.training import import_keras

        import_keras()
        facts = get_survey(self.survey)
        shape = (facts.size, facts.size, len(self.bands or facts.bands))
        return int(build_network(self.architecture, shape).count_params())
