"""A trained network with its description: what is saved, loaded and run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from shredfinder.exceptions import ModelFileError
from shredfinder.models.architectures import build_network
from shredfinder.models.archive import find_model, read_model, write_model
from shredfinder.models.novelty import NoveltyMeasure
from shredfinder.models.scoring import OnnxNetwork, symmetric_views
from shredfinder.models.stretch import apply_stretch

if TYPE_CHECKING:
    from keras import Model

    from shredfinder._utils.types import PathLike
    from shredfinder.models.calibration import Calibration
    from shredfinder.models.description import ModelDescription

__all__ = ["TrainedModel"]

# Sources whose first answer, calibrated, lies within this many logits of even (p_cnn from 0.05 to
# 0.95) are looked at from all eight sides.
_UNCERTAIN_LOGIT = 3.0


class TrainedModel:
    """A network that scores images of one kind.

    Parameters
    ----------
    description : ModelDescription
        All that must be known to use it rightly.
    graph : bytes
        The network as an ONNX model.
    weights : list of `~numpy.ndarray`
        The Keras network's weights.
    sha256 : str or None
        Hash of the file that it was read from.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder.models import TrainedModel
    >>> model = TrainedModel.read()  # the one that comes with the package
    >>> images = np.random.default_rng(0).integers(0, 255, (2, 128, 128, 3), dtype=np.uint8)
    >>> model.n_parameters, model.score(images, "none").shape
    (314850, (2,))
    """

    def __init__(
        self,
        description: ModelDescription,
        graph: bytes,
        weights: list[np.ndarray],
        sha256: str | None = None,
    ) -> None:
        self.description = description
        self.graph = graph
        self.weights = weights
        self.sha256 = sha256
        self._network: OnnxNetwork | None = None
        self._novelty: NoveltyMeasure | None = None

    @classmethod
    def from_network(cls, description: ModelDescription, network: Model) -> Self:
        """Take over a trained `keras.Model`."""
        from shredfinder.models.onnx_graph import network_to_onnx

        return cls(description, network_to_onnx(network), network.get_weights())

    @classmethod
    def read(cls, path: PathLike | None = None) -> Self:
        """Read a model file, or one of the package's own by its name; None is the embedded one."""
        path = find_model(path)
        try:
            model = cls(*read_model(path))
            model.network  # noqa: B018  a graph that can't be run is found now, not while scoring
        except ModelFileError as error:
            if str(path) in str(error):
                raise
            raise ModelFileError(f"the model file {str(path)!r} can't be used: {error}") from error
        return model

    def write(self, path: PathLike) -> None:
        """Write a model file."""
        self.sha256 = write_model(path, self.description, self.graph, self.weights)

    @property
    def network(self) -> OnnxNetwork:
        """``OnnxNetwork``: the network, opened when it is first used."""
        if self._network is None:
            self._network = OnnxNetwork(self.graph, self.description.input_shape)
        return self._network

    @property
    def novelty(self) -> NoveltyMeasure | None:
        """`NoveltyMeasure` or None: how unlike the training images an image is, if known."""
        known = self.description.novelty
        if self._novelty is None and known:
            self._novelty = NoveltyMeasure.from_dict(known)
        return self._novelty

    @property
    def n_parameters(self) -> int:
        """`int`: number of parameters of the network."""
        return int(sum(array.size for array in self.weights))

    @property
    def n_views(self) -> int:
        """`int`: number of answers that the spread is taken of, one from each side."""
        return 8

    @property
    def provenance(self) -> dict[str, str]:
        """`dict` of str: what a table should keep of the model that scored it."""
        return {
            "model": self.description.name,
            "version": self.description.version,
            "architecture": self.description.architecture,
            "survey": self.description.survey,
            "sha256": self.sha256 or "not saved",
        }

    def keras_network(self) -> Model:
        """Build the `keras.Model` with the trained weights."""
        from shredfinder.models.architectures import import_keras

        import_keras()
        network = build_network(self.description.architecture, self.description.input_shape)
        network.set_weights(self.weights)
        return network

    def calibrated(self, calibration: Calibration) -> Self:
        """Give the same network with a calibration that follows its present one.

        Parameters
        ----------
        calibration : Calibration
            Of the probabilities that this model gives.

        Returns
        -------
        model : TrainedModel
            Another model; this one stays as it is.

        Raises
        ------
        ValueError
            If this one has an isotonic calibration, which nothing can follow.
        """
        if self.description.knots:
            raise ValueError(
                "the model has an isotonic calibration already: take the model as it was before"
            )
        temperature = self.description.temperature * calibration.temperature
        description = replace(
            self.description,
            temperature=float(np.clip(temperature, 0.01, 100)),
            knots=[list(pair) for pair in calibration.knots] or None,
        )
        return type(self)(description, self.graph, self.weights)

    def to_input(self, images: np.ndarray) -> np.ndarray:
        """Give images as the network takes them, by the description's stretch: float32."""
        return apply_stretch(images, self.description.stretch)

    def score(
        self,
        images: np.ndarray,
        symmetry: Literal["uncertain", "all", "none"],
        *,
        views: bool = False,
    ) -> Any:
        """Score images.

        Parameters
        ----------
        images : `~numpy.ndarray`
            Of shape ``(n, height, width, bands)``, uint8, float32 in 0–1 or fluxes, all usable.
        symmetry : {"uncertain", "all", "none"}
            Which images are scored as the mean over the eight rotations and reflections.
        views : bool, optional
            Give the answers from all eight sides too.

        Returns
        -------
        p_cnn : `~numpy.ndarray`
            Probabilities of being a shred at the training mix, float64 of shape ``(n,)``.
        sides : `~numpy.ndarray`
            Only with ``views``: those from each side, of shape ``(n, 8)``.

        Raises
        ------
        ValueError
            If views of images that are not square are asked for.
        """
        images = self.to_input(images)
        logits = self.network.logits(images)
        square = images.shape[1] == images.shape[2]
        if views and not square:
            raise ValueError(
                f"images of {images.shape[2]}×{images.shape[1]} px have no eight sides: their "
                "spread can't be told"
            )
        averaged = np.full(len(images), symmetry == "all" and square)
        if symmetry == "uncertain" and square:
            averaged = np.abs(logits) < _UNCERTAIN_LOGIT * self.description.temperature
        looked = np.flatnonzero(averaged | views)
        others = []
        if len(looked):
            others = [self.network.logits(view) for view in symmetric_views(images[looked])]
        calibration = self.description.calibration
        first = logits[looked]
        if len(looked):
            means = (first + sum(others)) / (1 + len(others))
            logits[looked] = np.where(averaged[looked], means, first)
        p_cnn = calibration.from_logits(logits)
        if not views:
            return p_cnn
        sides = np.stack([first, *others], axis=1) if len(looked) else np.empty((0, 8))
        return p_cnn, calibration.from_logits(sides)

    def __getstate__(self):
        # A session of ONNX Runtime can't be pickled; each process opens its own.
        return self.__dict__ | {"_network": None}
