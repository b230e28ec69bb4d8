"""A trained network with its description: what is saved, loaded and evaluated."""

from __future__ import annotations

import threading
import warnings
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from shredfinder._utils.runtime import count_threads
from shredfinder.exceptions import ModelFileError, ShredfinderWarning
from shredfinder.models.architectures import build_network
from shredfinder.models.archive import find_model, read_model, write_model
from shredfinder.models.description import LINEAR, apply_stretch
from shredfinder.models.novelty import NoveltyMeasure
from shredfinder.models.onnx_graph import (
    CPU,
    WHITE,
    check_graph,
    import_runtime,
    open_session,
    take_floats,
)
from shredfinder.models.sources import decode_sources

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keras import Model

    from shredfinder._utils.validation import PathLike
    from shredfinder.models.calibration import Calibration
    from shredfinder.models.description import ModelDescription

__all__ = ["OnnxNetwork", "TrainedModel", "symmetric_views"]

# Sources whose first logit, calibrated, is within this distance of zero (p_cnn from 0.05 to 0.95)
# are averaged over the 8 rotations and reflections.
_UNCERTAIN_LOGIT = 3.0
# More images at a time do not fit into the processor's cache with the output of the first layers.
_CPU_BATCH = 32
# Longest evaluation of one image, in seconds; the published network takes 0.1 s.
_MAX_SECONDS = 60.0
# Providers that are tried before the processor, in builds of ONNX Runtime that have them: GPUs
# that compute in single precision and accept calls from several threads. CoreML and DirectML don't.
_GPUS = ("CUDAExecutionProvider", "ROCMExecutionProvider", "MIGraphXExecutionProvider")


class OnnxNetwork:
    """A network that ONNX Runtime evaluates.

    Parameters
    ----------
    graph : bytes
        ONNX model with the input ``images``.
    input_shape : tuple of int
        Height, width and number of bands according to the model's description.
    n_classes : int, optional
        Number of outputs according to the description.

    Raises
    ------
    shredfinder.exceptions.ModelFileError
        If ONNX Runtime cannot read the graph, or its input or output has another shape.

    Warns
    -----
    shredfinder.exceptions.ShredfinderWarning
        If ONNX Runtime was built for a GPU but cannot use one.

    Attributes
    ----------
    threads : int
        Number of threads that should call `logits` at once: ``shredfinder.conf.threads`` at the
        time the network was opened.
    takes_uint8 : bool
        Whether the graph takes uint8 images; float images are then multiplied by 255.
    providers : tuple of str
        ONNX Runtime's providers, in order of preference.

    Notes
    -----
    Each call runs in its caller's thread. Threads that share an image would wait for each other
    after each layer; threads with their own images do not, and can decode in the meantime.
    """

    def __init__(self, graph: bytes, input_shape: tuple[int, ...], n_classes: int = 2) -> None:
        check_graph(graph)
        ort = import_runtime()
        options = ort.SessionOptions()
        self.threads = count_threads()
        # Parallel over images rather than within one; see Notes.
        options.intra_op_num_threads = 1
        built = ort.get_available_providers()
        gpus = [name for name in _GPUS if name in built]
        self._session = open_session(graph, options, [*gpus, CPU])
        self.providers = tuple(self._session.get_providers())
        if gpus and not set(gpus) & set(self.providers):
            warnings.warn(
                f"ONNX Runtime is built for {gpus[0]} but finds no usable GPU: scoring runs on "
                "the processor",
                ShredfinderWarning,
                stacklevel=2,
            )
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        # The first axis is the batch, of any length.
        shapes = [tuple(node.shape[1:]) for node in (*inputs, *outputs)]
        if len(inputs) != 1 or len(outputs) != 1 or shapes != [tuple(input_shape), (n_classes,)]:
            raise ModelFileError(
                f"the model's network maps {shapes[:-1]} to {shapes[-1:]}, its description says "
                f"{tuple(input_shape)} to ({n_classes},)"
            )
        self._input, self._output = inputs[0].name, outputs[0].name
        self.takes_uint8 = inputs[0].type == "tensor(uint8)"
        self._graph, self._options = graph, options
        self._batch = _CPU_BATCH if self.providers == (CPU,) else None
        self._try_out(ort.RunOptions(), input_shape)

    def _try_out(self, options: Any, input_shape: tuple[int, ...]) -> None:
        """Evaluate a black image, within a time limit."""
        # ONNX Runtime looks at the option before each operator.
        timer = threading.Timer(_MAX_SECONDS, setattr, [options, "terminate", True])
        timer.daemon = True
        timer.start()
        try:
            kind = np.uint8 if self.takes_uint8 else np.float32
            self.evaluate(np.zeros((1, *input_shape), kind), options)
        except ModelFileError as error:
            if options.terminate:
                raise ModelFileError(
                    f"the model's network takes more than {_MAX_SECONDS:g} s per image"
                ) from error
            raise
        finally:
            timer.cancel()

    @cached_property
    def _float_session(self) -> Any:
        """Session of the same network for float images."""
        return open_session(take_floats(self._graph), self._options, self._session.get_providers())

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Evaluate a batch of images.

        Parameters
        ----------
        images : `~numpy.ndarray`
            Images of shape ``(n, height, width, bands)``, uint8 or float32 in 0–1.

        Returns
        -------
        logits : `~numpy.ndarray`
            ln p(shred) − ln p(galaxy), float64 of shape ``(n,)``.
        """
        return self.evaluate(images)[0]

    def evaluate(self, images: np.ndarray, options: Any = None) -> tuple[np.ndarray, np.ndarray]:
        """Evaluate a batch of images, with the probability of being neither galaxy nor shred.

        Parameters
        ----------
        images : `~numpy.ndarray`
            As for `logits`.
        options : `onnxruntime.RunOptions`, optional
            Options of the run, by which another thread can end it.

        Returns
        -------
        logits : `~numpy.ndarray`
            As from `logits`.
        p_other : `~numpy.ndarray`
            Probability of the class ``"other"``, float32 of shape ``(n,)``; NaN for networks
            without it.
        """
        size = self._batch or max(len(images), 1)
        parts = []
        for start in range(0, max(len(images), 1), size):
            part, session = images[start : start + size], self._session
            if self.takes_uint8 and part.dtype != np.uint8:
                part, session = part * np.float32(WHITE), self._float_session
            elif not self.takes_uint8 and part.dtype == np.uint8:
                part = part.astype(np.float32) / np.float32(WHITE)
            try:
                parts += session.run([self._output], {self._input: part}, options)
            except Exception as error:  # ONNX Runtime's exceptions share no base class
                raise ModelFileError(
                    f"the model's network cannot evaluate images of shape {images.shape}: {error}"
                ) from error
        probabilities = np.concatenate(parts)
        # Both probabilities are used, since the smaller one is precise down to 1e-38.
        logs = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny, dtype=np.float64))
        other = probabilities[:, 2] if probabilities.shape[1] > 2 else np.full(len(logs), np.nan)
        return logs[:, 1] - logs[:, 0], other.astype(np.float32)


def symmetric_views(images: np.ndarray) -> Iterator[np.ndarray]:
    """Rotate and reflect images.

    Parameters
    ----------
    images : `~numpy.ndarray`
        Square images of shape ``(n, size, size, bands)``.

    Yields
    ------
    view : `~numpy.ndarray`
        The images in each of the 7 rotations and reflections other than the identity.
    """
    # Four rotations, each as it is and mirrored; the first as it is, is the identity.
    for turns in range(4):
        turned = np.rot90(images, turns, axes=(1, 2))
        if turns:
            yield np.ascontiguousarray(turned)
        yield np.ascontiguousarray(turned[:, :, ::-1])


class TrainedModel:
    """A network with the description of the images that it scores.

    Parameters
    ----------
    description : ModelDescription
        Images, classes, calibration and training of the network.
    graph : bytes
        The network as an ONNX model.
    weights : list of `~numpy.ndarray`
        Weights of the Keras network.
    sha256 : str or None
        Hash of the file that the model was read from.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder.models import TrainedModel
    >>> model = TrainedModel.read()  # the embedded model
    >>> images = np.random.default_rng(0).integers(0, 255, (2, 128, 128, 3), dtype=np.uint8)
    >>> p_cnn, p_other = model.score(images, "none")
    >>> model.n_parameters, p_cnn.shape
    (314915, (2,))
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
        self.calibration = description.calibration

    @classmethod
    def from_network(cls, description: ModelDescription, network: Model) -> Self:
        """Create a model from a trained `keras.Model`."""
        from shredfinder.models.onnx_graph import network_to_onnx

        uint8 = description.stretch == LINEAR
        return cls(description, network_to_onnx(network, uint8=uint8), network.get_weights())

    @classmethod
    def read(cls, path: PathLike | None = None) -> Self:
        """Read a model file, or a model of the package by name; None is the embedded model."""
        path = find_model(path)
        try:
            model = cls(*read_model(path))
            model.network  # noqa: B018  a graph that cannot run fails now, not while scoring
        except ModelFileError as error:
            if str(path) in str(error):
                raise
            raise ModelFileError(f"cannot use model file {str(path)!r}: {error}") from error
        return model

    def write(self, path: PathLike) -> None:
        """Write a model file."""
        self.sha256 = write_model(path, self.description, self.graph, self.weights)

    @cached_property
    def network(self) -> OnnxNetwork:
        """``OnnxNetwork``: the network, opened on first use."""
        return OnnxNetwork(self.graph, self.description.input_shape, len(self.description.classes))

    @cached_property
    def novelty(self) -> NoveltyMeasure | None:
        """`NoveltyMeasure` or None: distance from the training set, if the model has one."""
        known = self.description.novelty
        return NoveltyMeasure.from_dict(known) if known else None

    @cached_property
    def sources(self) -> np.ndarray:
        """`~numpy.ndarray` of uint64: hashes of the training images; empty in older files."""
        return decode_sources(self.description.sources)

    @property
    def n_parameters(self) -> int:
        """`int`: number of parameters of the network."""
        return int(sum(array.size for array in self.weights))

    @property
    def n_views(self) -> int:
        """`int`: number of evaluations behind ``p_cnn_std``, one per symmetry."""
        return 8

    @property
    def provenance(self) -> dict[str, str]:
        """`dict` of str: name, version, architecture, survey and hash, for a table's ``meta``."""
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
        known = self.description
        network = build_network(known.architecture, known.input_shape, len(known.classes))
        network.set_weights(self.weights)
        return network

    def calibrated(self, calibration: Calibration) -> Self:
        """Return the same network with a calibration on top of its present one.

        Parameters
        ----------
        calibration : Calibration
            Calibration of the probabilities of this model.

        Returns
        -------
        model : TrainedModel
            A new model; this one is unchanged.

        Raises
        ------
        ValueError
            If this model has an isotonic calibration, which cannot be followed by another.
        """
        if self.description.knots:
            raise ValueError(
                "the model already has an isotonic calibration: calibrate the original model"
            )
        # Both divide the logits, so the two temperatures multiply.
        temperature = self.description.temperature * calibration.temperature
        description = replace(
            self.description,
            temperature=float(np.clip(temperature, 0.01, 100)),
            knots=[list(pair) for pair in calibration.knots] or None,
        )
        return type(self)(description, self.graph, self.weights)

    def quantized(self, images: np.ndarray) -> Self:
        """Return the same model with the convolutions in 8-bit integers.

        Parameters
        ----------
        images : `~numpy.ndarray`
            Usable images of shape ``(n, height, width, bands)``, as for `score`. The ranges of
            their values in each layer set the scales of the integers.

        Returns
        -------
        model : TrainedModel
            A new model, whose name ends with ``-int8``; this one is unchanged.

        Raises
        ------
        shredfinder.exceptions.MissingDependencyError
            If the onnx package is not installed.
        ValueError
            If there are no images, or the model is in 8-bit integers already.
        """
        from shredfinder.models.quantization import quantize_graph

        if self.description.name.endswith("-int8"):
            raise ValueError(f"the model {self.description.name!r} is in 8-bit integers already")
        images = self._prepare(images)
        if self.network.takes_uint8 and images.dtype != np.uint8:
            images = np.rint(images * WHITE).astype(np.uint8)
        elif not self.network.takes_uint8:
            images = self.to_input(images)
        graph = quantize_graph(self.graph, images)
        description = replace(self.description, name=f"{self.description.name}-int8")
        return type(self)(description, graph, self.weights)

    def to_input(self, images: np.ndarray) -> np.ndarray:
        """Convert images to the network's input, float32, with the description's stretch."""
        return apply_stretch(images, self.description.stretch)

    def score(self, images: np.ndarray, symmetry: str) -> tuple[np.ndarray, np.ndarray]:
        """Score images.

        Parameters
        ----------
        images : `~numpy.ndarray`
            Usable images of shape ``(n, height, width, bands)``: uint8, float32 in 0–1, or fluxes.
        symmetry : {"uncertain", "all", "none"}
            Images whose logits are averaged over the 8 rotations and reflections.

        Returns
        -------
        p_cnn : `~numpy.ndarray`
            Probabilities of being a shred at the training set's fraction, among galaxies and
            shreds, float64 of shape ``(n,)``.
        p_other : `~numpy.ndarray`
            Probabilities of being neither, float32 of shape ``(n,)``; NaN if the network does not
            know that class.
        """
        images = self._prepare(images)
        logits, p_other = self.network.evaluate(images)
        if symmetry != "none" and images.shape[1] == images.shape[2]:
            # The limit is on calibrated logits, these are not yet divided by the temperature.
            limit = _UNCERTAIN_LOGIT * self.description.temperature
            rows = np.flatnonzero((np.abs(logits) < limit) | (symmetry == "all"))
            if len(rows):
                logits[rows] = self._view_logits(images[rows], logits[rows]).mean(axis=1)
        return self.calibration.from_logits(logits), p_other

    def score_views(
        self, images: np.ndarray, symmetry: str
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Score images, and each of their rotations and reflections.

        Parameters
        ----------
        images, symmetry
            As for `score`; the images are square.

        Returns
        -------
        p_cnn, p_other : `~numpy.ndarray`
            As from `score`.
        views : `~numpy.ndarray`
            Probabilities of the 8 rotations and reflections, shape ``(n, 8)``.
        """
        images = self._prepare(images)
        if not len(images):
            return np.empty(0), np.empty(0), np.empty((0, self.n_views))
        logits, p_other = self.network.evaluate(images)
        logits = self._view_logits(images, logits)
        first = logits[:, 0]
        averaged = np.full(len(images), symmetry == "all")
        if symmetry == "uncertain":
            averaged = np.abs(first) < _UNCERTAIN_LOGIT * self.description.temperature
        means = np.where(averaged, logits.mean(axis=1), first)
        return self.calibration.from_logits(means), p_other, self.calibration.from_logits(logits)

    def _prepare(self, images: np.ndarray) -> np.ndarray:
        """Convert images to what `OnnxNetwork.evaluate` takes: uint8 images may stay so."""
        is_color = images.dtype == np.uint8 and self.description.stretch == LINEAR
        return images if is_color else self.to_input(images)

    def _view_logits(self, images, first):
        """Return the logits of all 8 symmetries, shape ``(n, 8)``; the first are known."""
        # The first, without rotation, was evaluated already.
        others = [self.network.logits(view) for view in symmetric_views(images)]
        return np.stack([first, *others], axis=1)

    def __getstate__(self):
        # A session of ONNX Runtime cannot be pickled; each process opens its own.
        return {key: value for key, value in self.__dict__.items() if key != "network"}
