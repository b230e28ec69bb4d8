"""Run a saved network with ONNX Runtime."""

import warnings

import numpy as np

from shredfinder._utils.runtime import count_threads
from shredfinder.exceptions import ModelFileError, ShredfinderWarning

__all__ = ["OnnxNetwork", "symmetric_views"]

# Images that the processor's cache holds together with the first layers' output: more at a time
# are slower.
_CPU_BATCH = 32
_CPU = "CPUExecutionProvider"
# What is asked before the processor, in builds of ONNX Runtime that have it: GPUs that compute in
# single precision and take calls from several threads. Apple's CoreML and DirectML do not.
_GPUS = ("CUDAExecutionProvider", "ROCMExecutionProvider", "MIGraphXExecutionProvider")


class OnnxNetwork:
    """A network ready to score images.

    Parameters
    ----------
    graph : bytes
        ONNX model with the input ``images``.
    input_shape : tuple of int
        Height, width and number of bands that the model's description promises.

    Raises
    ------
    shredfinder.exceptions.ModelFileError
        If ONNX Runtime can't read the graph or the graph is not what was promised.

    Attributes
    ----------
    threads : int
        Threads that are to call `logits` at once: ``shredfinder.conf.threads`` when the network
        was opened.
    providers : tuple of str
        What ONNX Runtime computes with, the first before the others.

    Warns
    -----
    shredfinder.exceptions.ShredfinderWarning
        If ONNX Runtime was built for a GPU but finds none that it can use.

    Notes
    -----
    Each call runs in its caller's thread alone. Threads that share an image wait for each other
    after each layer; threads with images of their own never do, and can decode meanwhile.
    """

    def __init__(self, graph, input_shape):
        import onnxruntime as ort

        options = ort.SessionOptions()
        self.threads = count_threads()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4  # its errors reach the user as exceptions
        built = ort.get_available_providers()
        gpus = [name for name in _GPUS if name in built]
        try:
            self._session = ort.InferenceSession(graph, options, providers=[*gpus, _CPU])
        except Exception as error:  # ONNX Runtime's own exceptions share no base class
            raise ModelFileError(f"ONNX Runtime can't read the model's network: {error}") from error
        self.providers = tuple(self._session.get_providers())
        if gpus and not set(gpus) & set(self.providers):
            warnings.warn(
                f"ONNX Runtime is built for {gpus[0]} but can't use it here, for lack of a GPU or "
                "of its libraries: scoring runs on the processor",
                ShredfinderWarning,
                stacklevel=2,
            )
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        shapes = [tuple(node.shape[1:]) for node in (*inputs, *outputs)]
        if len(inputs) != 1 or len(outputs) != 1 or shapes != [tuple(input_shape), (2,)]:
            raise ModelFileError(
                f"the model's network maps {shapes[:-1]} to {shapes[-1:]}, but its description "
                f"says {tuple(input_shape)} to (2,)"
            )
        self._input, self._output = inputs[0].name, outputs[0].name
        self._batch = _CPU_BATCH if self.providers == (_CPU,) else None

    def logits(self, images):
        """Score a batch of images.

        Parameters
        ----------
        images : `~numpy.ndarray`
            Of shape ``(n, height, width, bands)``, float32 in 0–1.

        Returns
        -------
        logits : `~numpy.ndarray`
            ln p(shred) − ln p(galaxy), of shape ``(n,)``, float64.
        """
        size = self._batch or max(len(images), 1)
        parts = [
            self._session.run([self._output], {self._input: images[start : start + size]})[0]
            for start in range(0, max(len(images), 1), size)
        ]
        probabilities = np.concatenate(parts)
        # The smaller one of each pair keeps its precision down to 1e-38.
        logs = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny, dtype=np.float64))
        return logs[:, 1] - logs[:, 0]


def symmetric_views(images):
    """Turn and mirror images: the seven other views of a source that has no preferred side.

    Parameters
    ----------
    images : `~numpy.ndarray`
        Of shape ``(n, height, width, bands)`` with equal height and width.

    Yields
    ------
    view : `~numpy.ndarray`
        Each of the seven rotations and reflections by right angles other than the identity.
    """
    for turns in range(4):
        turned = np.rot90(images, turns, axes=(1, 2))
        if turns:
            yield np.ascontiguousarray(turned)
        yield np.ascontiguousarray(turned[:, :, ::-1])
