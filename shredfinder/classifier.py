"""The scikit-learn classifier: train, score, calibrate, save and load a network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from shredfinder._utils.validation import check_count, check_weights
from shredfinder.exceptions import ModelFileError
from shredfinder.imaging import as_cutouts
from shredfinder.models.architectures import ARCHITECTURES, build_network
from shredfinder.models.calibration import fit_calibration
from shredfinder.models.description import SYMMETRIES
from shredfinder.models.labels import CLASSES, encode_labels, list_classes, warn_of_others
from shredfinder.models.model import TrainedModel
from shredfinder.models.scorer import ImageScorer
from shredfinder.surveys import DEFAULT_SURVEY, get_survey
from shredfinder.training import import_keras, train_model
from shredfinder.training.fitting import check_fit_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keras import Model
    from numpy.typing import ArrayLike
    from sklearn.utils import Tags

    from shredfinder._utils.validation import PathLike
    from shredfinder.imaging.cutouts import Cutouts, CutoutSequence, Images
    from shredfinder.training.recipes import Recipe

    # scikit-learn has no type annotations: subclasses of its classes would accept any attribute.
    class ClassifierMixin:
        def __sklearn_tags__(self) -> Tags: ...

    class BaseEstimator:
        def get_params(self, deep: bool = True) -> dict[str, Any]: ...
        def set_params(self, **params: Any) -> Self: ...
else:
    from sklearn.base import BaseEstimator, ClassifierMixin

__all__ = ["ShredClassifier"]

# Images from which the ranges of values in a network are measured.
_N_QUANTIZED = 512


# ClassifierMixin goes first and BaseEstimator last: scikit-learn's tags depend on this order.
class ShredClassifier(ClassifierMixin, ImageScorer, BaseEstimator):
    """Classify sources as galaxies or shreds from their image cutouts.

    A scikit-learn classifier whose samples are images. Parameters are validated by `fit`.

    Parameters
    ----------
    architecture : {"compact", "published"}
        Network: the package's own, or that of Di Teodoro, Peek & Wu (arXiv 2301.09648).
    survey : str
        Name or alias of the survey of the images, such as ``"sdss"``. It sets the pixel scale,
        bands and colours of arrays and files.
    bands : sequence of str, optional
        Bands of the channels in order, such as ``"ugriz"``, if they differ from the survey's.
    pixel_scale : float, optional
        Pixel scale in arcsec per pixel, if it differs from the survey's.
    symmetry : {"uncertain", "all", "none"}
        Sources scored by the mean logit over the 8 rotations and reflections: those whose first
        score is uncertain (about 0.05 to 0.95), all, or none.
    recipe : `~shredfinder.training.Recipe` or str, optional
        Optimiser, number of epochs and augmentation, or a key of `shredfinder.training.RECIPES`.
        By default the architecture's recipe, or ``"fine-tuning"`` if training starts from a
        fitted compact network.
    epochs : int, optional
        Maximum number of epochs. By default the recipe's.
    patience : int, optional
        Stop after this many epochs without a lower validation loss. By default the recipe's.
    batch_size : int, optional
        Batch size in training. By default the recipe's.
    validation : float, tuple, None or "auto"
        Fraction of the training set used for early stopping, or a tuple of images and labels.
        None trains on all images for the full number of epochs. ``"auto"`` is the recipe's
        setting: 0.2 for the published network, None for the compact one.
    random_state : int, optional
        Seed that makes `fit` repeatable.
    warm_start : bool
        Whether `fit` fine-tunes the current weights, if the classifier is fitted.

    Attributes
    ----------
    classes_ : `~numpy.ndarray`
        Labels of galaxy and shred, the order of the columns of `predict_proba`:
        ``["galaxy", "shred"]``, or ``[0, 1]`` or ``[False, True]`` if the classifier was fitted
        to such labels.
    history_ : dict of list
        Losses and accuracies by epoch of the last `fit`. Saved with the model.
    model_ : `~shredfinder.models.TrainedModel`
        Fitted network with its description.

    Notes
    -----
    Probabilities assume the class ratio of the training set, of which about 40 % are shreds. In
    a real catalogue about 5 % are: set ``prior`` to correct for it.

    `predict` returns labels of the kind that the classifier was fitted to, so that
    scikit-learn's scorers work with class names, 0 and 1, and booleans. A classifier fitted to
    soft labels, and a loaded one, predict class names.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder import ShredClassifier
    >>> classifier = ShredClassifier.load()
    >>> blank = np.full((2, 128, 128, 3), 32, dtype=np.uint8)
    >>> classifier.predict_proba(blank)  # blank images are not scored
    array([[nan, nan],
           [nan, nan]], dtype=float32)
    """

    def __init__(
        self,
        architecture: str = "compact",
        survey: str = DEFAULT_SURVEY,
        *,
        bands: Sequence[str] | None = None,
        pixel_scale: float | None = None,
        symmetry: str = "uncertain",
        recipe: Recipe | str | None = None,
        epochs: int | None = None,
        patience: int | None = None,
        batch_size: int | None = None,
        validation: float | tuple[Images, ArrayLike] | Literal["auto"] | None = "auto",
        random_state: int | None = None,
        warm_start: bool = False,
    ) -> None:
        # No checks here: scikit-learn's `clone` expects parameters to be stored exactly as given.
        self.architecture = architecture
        self.survey = survey
        self.bands = bands
        self.pixel_scale = pixel_scale
        self.symmetry = symmetry
        self.recipe = recipe
        self.epochs = epochs
        self.patience = patience
        self.batch_size = batch_size
        self.validation = validation
        self.random_state = random_state
        self.warm_start = warm_start

    def _check_params(self) -> None:
        for name, value, known in (
            ("architecture", self.architecture, tuple(ARCHITECTURES)),
            ("symmetry", self.symmetry, SYMMETRIES),
        ):
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
        check_count(self.random_state, "random_state", least=0)
        get_survey(self.survey)

    def __repr__(self) -> str:
        state = "not fitted"
        if self._is_fitted:
            state = f"model {self._description.name!r} {self._description.version}"
        return f"<ShredClassifier: {self.architecture}, {self.survey}, {state}>"

    def __sklearn_is_fitted__(self) -> bool:
        return self._is_fitted

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        # Images are four-dimensional arrays or paths. Those with NaN are accepted, not scored.
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.input_tags.allow_nan = True
        tags.classifier_tags.multi_class = False
        return tags

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
            Labels, of shape ``(n,)``: class names, 0 (galaxy) and 1 (shred), booleans, or soft
            labels between 0 and 1. Sources labelled ``"other"`` are ignored with a warning;
            sources without a usable image are ignored.
        sample_weight : array_like, optional
            Weights in the loss, of shape ``(n,)``.
        groups : array_like, optional
            Group of each source, of shape ``(n,)``. The validation set takes whole groups, so
            that overlapping cutouts do not leak into it.
        validation, recipe, epochs, patience, batch_size : optional
            Replace the classifier's parameters of these names, for this call.
        checkpoint : path-like, optional
            Folder for the state of the training. An interrupted training resumes from it.
        name : str, optional
            Name of the model, kept in its file.
        progress : bool or "auto", optional
            Show a progress bar; ``"auto"`` shows it on a terminal and in a notebook.

        Returns
        -------
        self : ShredClassifier
            The fitted classifier.

        Raises
        ------
        shredfinder.exceptions.MissingDependencyError
            If no deep-learning backend is installed.
        ValueError
            If a parameter is invalid, or images, labels, weights and groups differ in length.
        """
        self._check_params()
        # The wording that scikit-learn's estimator checks look for.
        if y is None:
            raise ValueError("ShredClassifier requires y to be passed, but the target y is None")
        loop = {
            "epochs": self.epochs if epochs is None else epochs,
            "patience": self.patience if patience is None else patience,
            "batch_size": self.batch_size if batch_size is None else batch_size,
        }
        if isinstance(validation, str) and validation == "auto":
            validation = self.validation
        check_fit_options(**loop, validation=validation, checkpoint=checkpoint)
        import_keras()  # a missing backend is reported before all images are read
        cutouts = self.open_training(X)[:]
        if isinstance(validation, tuple):
            validation = (self.open_training(validation[0])[:], validation[1])
        model, history = train_model(
            cutouts,
            y,
            name=name,
            architecture=self.architecture,
            survey=get_survey(self.survey).name,
            symmetry=self.symmetry,
            random_state=self.random_state,
            sample_weight=sample_weight,
            groups=groups,
            validation=validation,
            recipe=self.recipe if recipe is None else recipe,
            initial_model=self.model_ if self.warm_start and self._is_fitted else None,
            checkpoint=checkpoint,
            progress=progress,
            **loop,
        )
        # Set together at the end: a failed fit leaves an earlier model usable.
        self.model_, self.history_, self.classes_ = model, history, list_classes(y)
        return self

    def open_training(self, X: Images) -> Cutouts | CutoutSequence:
        """Open images as `fit` does; arrays and files are those of this classifier's survey.

        Parameters
        ----------
        X : Cutouts, array_like or sequence of path-like
            Images, as for `fit`.

        Returns
        -------
        source : Cutouts or ImageFiles
            Sequence whose slices are `Cutouts`.
        """
        facts = get_survey(self.survey)
        bands = tuple(self.bands or facts.bands)
        return as_cutouts(
            X,
            size=(facts.size, facts.size),
            pixel_scale=self.pixel_scale or facts.pixel_scale,
            bands=bands,
            # Other bands cannot have been drawn in the survey's standard colours.
            color_mapping=facts.color_mapping if bands == tuple(facts.bands) else None,
        )

    def score(
        self, X: Images, y: ArrayLike, sample_weight: ArrayLike | None = None, **kwargs: Any
    ) -> float:
        """Return the accuracy over the scored rows.

        Parameters
        ----------
        X : Cutouts, array_like or sequence of path-like
            Images, as for `predict_p_cnn`.
        y : array_like
            Labels, as for `fit`, of any kind. ``"other"`` is ignored with a warning.
        sample_weight : array_like, optional
            Weights, of shape ``(n,)``.
        **kwargs
            Further arguments of `predict_p_cnn`.

        Returns
        -------
        accuracy : float
            Weighted fraction of correct classes; NaN if no row is scored.
        """
        p_shred = encode_labels(y)
        p_cnn, _ = self.predict_p_cnn(X, **kwargs)
        if p_shred.shape != p_cnn.shape:
            raise ValueError(f"there are {len(p_cnn)} images but {len(p_shred)} labels")
        warn_of_others(int(np.isnan(p_shred).sum()), len(p_shred))
        weights = check_weights(sample_weight, len(p_cnn))
        # NaN: unscored images, and sources labelled "other".
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
        """Calibrate the model's probabilities.

        The calibration becomes part of the model: it is saved, and applied to every score.

        Parameters
        ----------
        p_cnn : array_like
            Probabilities of shape ``(n,)`` at the training prior, given by this model with its
            current calibration to sources that it was not trained on. Scores from
            cross-validating such a classifier (`~shredfinder.evaluation.cross_validate`) serve
            too, and no source has to be set aside.
        y : array_like
            Labels of these sources, as for `fit`; ``"other"`` is ignored.
        method : {"temperature", "isotonic"}, optional
            See `~shredfinder.evaluation.fit_calibration`.
        sample_weight : array_like, optional
            Weights, of shape ``(n,)``.

        Returns
        -------
        self : ShredClassifier
            The calibrated classifier.

        Raises
        ------
        shredfinder.exceptions.NotFittedError
            If the classifier is neither fitted nor loaded.
        ValueError
            If labels and probabilities differ in length, or the model already has an isotonic
            calibration.
        """
        model = self._get_model()
        calibration = fit_calibration(y, p_cnn, method=method, sample_weight=sample_weight)
        self.model_ = model.calibrated(calibration)
        return self

    def quantize(self, X: Images) -> Self:
        """Convert the network to 8-bit integers, which scores about twice as fast.

        The conversion becomes part of the model, and is saved. Scores change by 0.003 on average,
        see :doc:`/scale_out`. The weights in single precision remain, for fine-tuning.

        Parameters
        ----------
        X : Cutouts, array_like or sequence of path-like
            A few hundred images like those to be scored, such as training images. They set the
            scales of the integers; more than 512 add nothing, and 512 at random are used.

        Returns
        -------
        self : ShredClassifier
            The classifier with the converted network, whose name ends with ``-int8``.

        Raises
        ------
        shredfinder.exceptions.NotFittedError
            If the classifier is neither fitted nor loaded.
        shredfinder.exceptions.MissingDependencyError
            If the onnx package is not installed; the extras for training include it.
        ValueError
            If no image is usable, or the network is in 8-bit integers already.

        Examples
        --------
        >>> from shredfinder import ShredClassifier
        >>> ShredClassifier.load("int8").provenance["model"].endswith("-int8")
        True
        """
        model = self._get_model()
        cutouts = self.open_images(X)[:]
        model.description.check_cutouts(cutouts)
        rows = np.flatnonzero(cutouts.good)
        if not len(rows):
            raise ValueError(f"none of the {len(cutouts)} images is usable: give some that are")
        if len(rows) > _N_QUANTIZED:
            rows = np.sort(np.random.default_rng(0).choice(rows, _N_QUANTIZED, replace=False))
        self.model_ = model.quantized(cutouts.images[rows])
        return self

    @classmethod
    def load(cls, path: PathLike | None = None) -> Self:
        """Load a saved model.

        Parameters
        ----------
        path : path-like, optional
            File written by `~shredfinder.ShredClassifier.save`, or ``"robust"`` for the package's
            model for images poorer than those of the Legacy Surveys, or ``"int8"`` for the
            embedded model in 8-bit integers. By default the embedded model.

        Returns
        -------
        classifier : ShredClassifier
            Fitted classifier. Its `fit` fine-tunes the loaded weights (``warm_start`` is True).

        Raises
        ------
        shredfinder.exceptions.ModelFileError
            If the file is corrupted, truncated, not a model, or of a newer format.
        """
        model = TrainedModel.read(path)
        description = model.description
        classifier = cls(
            description.architecture,
            description.survey,
            bands=tuple(description.bands),
            pixel_scale=description.pixel_scale,
            symmetry=description.symmetry,
            warm_start=True,
        )
        try:
            classifier._check_params()
        except ValueError as error:  # an architecture or survey of a later version
            raise ModelFileError(
                f"the model file {str(path)!r} needs a newer version of shredfinder: {error}"
            ) from error
        classifier.model_ = model
        classifier.classes_ = np.array(CLASSES)
        history = description.training.get("history")
        if isinstance(history, dict):
            classifier.history_ = history
        return classifier

    def save(self, path: PathLike) -> None:
        """Save the model as one file.

        Parameters
        ----------
        path : path-like
            The file, usually ``*.shredmodel``; written atomically.
        """
        self._get_model().write(path)

    def keras_network(self) -> Model:
        """Build the Keras network with the fitted weights.

        Returns
        -------
        network : `keras.Model`
            Maps images in 0–1, ``(n, height, width, bands)``, to probabilities ``(n, 2)`` before
            calibration and symmetry averaging.
        """
        return self._get_model().keras_network()

    @property
    def n_parameters(self) -> int:
        """`int`: number of parameters of the network."""
        if self._is_fitted:
            return self.model_.n_parameters
        import_keras()
        facts = get_survey(self.survey)
        shape = (facts.size, facts.size, len(self.bands or facts.bands))
        return int(build_network(self.architecture, shape).count_params())
