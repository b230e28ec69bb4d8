"""Convert a Keras network to an ONNX graph, and check the graphs of model files.

Keras's own exporter needs TensorFlow for two of the three backends. This one reads the layers, so
that a network is saved alike whatever backend trained it. It supports the layers that the
architectures use and refuses any other.
"""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from shredfinder._utils.runtime import import_optional
from shredfinder.exceptions import ModelFileError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from keras import Layer, Model, Variable
    from numpy.typing import ArrayLike, DTypeLike

__all__ = [
    "CPU",
    "WHITE",
    "check_graph",
    "import_runtime",
    "network_to_onnx",
    "open_session",
    "take_floats",
]

# Value of uint8 images that networks see as 1.
WHITE = 255

# Every ONNX Runtime since 1.12 supports opset 17.
_OPSET = 17
# The operators of the networks that are saved here. None of them repeats or branches, so that the
# time that a network takes does not depend on its images.
_OPERATORS = frozenset(
    {
        *("Add", "AveragePool", "BatchNormalization", "Cast", "Concat", "Conv", "DequantizeLinear"),
        *("Flatten", "Gemm", "GlobalAveragePool", "GlobalMaxPool", "Identity", "MatMul", "MaxPool"),
        *("Mul", "Pad", "QuantizeLinear", "Relu", "Sigmoid", "Slice", "Softmax", "Transpose"),
    }
)
_MAX_NODES = 10_000
# Values of all layers together, per image: the published network has 4 million. A network of few
# operators and weights can otherwise fill any memory, by padding or repeated concatenation.
_MAX_VALUES = 2**26
# ONNX Runtime's provider that every build has.
CPU = "CPUExecutionProvider"
# Types of tensors in onnx.proto.
_FLOAT, _UINT8 = 1, 2


def network_to_onnx(network: Model, *, uint8: bool = False) -> bytes:
    """Convert a functional Keras network of image layers to ONNX.

    Parameters
    ----------
    network : `keras.Model`
        Maps ``(n, height, width, bands)`` to ``(n, classes)``; one input and one output.
    uint8 : bool, optional
        Make the ONNX model take uint8 images, where the network takes them divided by 255. The
        division becomes part of the first convolution.

    Returns
    -------
    serialized : bytes
        ONNX model with the input ``images``, in the network's layout, and the output
        ``probabilities``.

    Raises
    ------
    ValueError
        If the network has a layer or activation that is not supported.
    shredfinder.exceptions.MissingDependencyError
        If the onnx package is not installed.
    """
    onnx = import_optional("onnx", "saving a trained network")
    helper = onnx.helper

    graph = _Graph(helper)
    # Keras puts channels last, ONNX first: one transpose at the input converts them.
    name = graph.add("Transpose", ["images"], perm=[0, 3, 1, 2])
    if uint8:
        name = graph.add("Cast", [name], to=_FLOAT)
        graph.undivided.add(name)
    graph.names[network.inputs[0].name] = name
    for layer in network.layers:
        if type(layer).__name__ == "InputLayer":
            continue
        # By name of the class, so that this module needs no import of Keras.
        convert = _CONVERTERS.get(type(layer).__name__)
        if convert is None:
            raise ValueError(
                f"cannot save the layer {layer.name!r} of type {type(layer).__name__} as ONNX: use "
                f"{', '.join(sorted(_CONVERTERS))}"
            )
        # Merging layers have a list of inputs, all others a single tensor.
        inputs = layer.input if isinstance(layer.input, list) else [layer.input]
        names = [graph.names[tensor.name] for tensor in inputs]
        is_homogeneous = type(layer).__name__ in _HOMOGENEOUS and graph.undivided.issuperset(names)
        # Convolutions divide their kernels instead.
        if not is_homogeneous and type(layer).__name__ != "Conv2D":
            names = [graph.divide(name) for name in names]
        output = graph.names[layer.output.name] = convert(graph, layer, names)
        if is_homogeneous:
            graph.undivided.add(output)
    # The last tensor gets the name that the runtime asks for.
    output = graph.divide(graph.names[network.outputs[0].name])
    graph.nodes.append(helper.make_node("Identity", [output], ["probabilities"]))

    shape = ["n", *network.input_shape[1:]]
    onnx_graph = helper.make_graph(
        graph.nodes,
        network.name,
        [helper.make_tensor_value_info("images", _UINT8 if uint8 else _FLOAT, shape)],
        [helper.make_tensor_value_info("probabilities", _FLOAT, ["n", network.output_shape[1]])],
        graph.initializers,
    )
    model = helper.make_model(
        onnx_graph, opset_imports=[helper.make_opsetid("", _OPSET)], producer_name="shredfinder"
    )
    model.ir_version = 8  # as old as opset 17, for older runtimes
    onnx.checker.check_model(model)
    return model.SerializeToString()


def take_floats(graph: bytes) -> bytes:
    """Make an ONNX model that takes uint8 images take float32 images of the same values.

    Parameters
    ----------
    graph : bytes
        ONNX model from `network_to_onnx` with ``uint8``.

    Returns
    -------
    graph : bytes
        The same model, whose cast of the images does nothing.
    """
    changed = bytearray(graph)
    # Numbers of the fields in onnx.proto: of the model, 7 is the graph; of a graph, 11 is an input;
    # of an input, 2 is the type; of a type, 1 is the tensor. The tensor's first field is its type.
    parts = [memoryview(changed)]
    for wanted in (7, 11, 2, 1):
        parts = [
            value for part in parts for number, value in _read_fields(part) if number == wanted
        ]
    for tensor in parts:
        if bytes(tensor[:2]) == bytes([8, _UINT8]):
            tensor[1] = _FLOAT
    return bytes(changed)


def check_graph(graph: bytes) -> None:
    """Refuse an ONNX model with other operators or more memory than those of image networks.

    The onnx package, which would read the model, is needed for training only. So the few fields of
    interest are read here, in the encoding of protocol buffers.

    Parameters
    ----------
    graph : bytes
        ONNX model.

    Raises
    ------
    shredfinder.exceptions.ModelFileError
        If it has other operators, functions, nested graphs or weights in other files, needs too
        much memory, or is damaged.
    """
    try:
        # Numbers of the fields in onnx.proto: of the model, 7 is the graph and 25 a function.
        model = list(_read_fields(memoryview(graph)))
        if any(number == 25 for number, _ in model):
            raise ModelFileError("the model's network defines functions, which are not run")
        parts = [field for number, part in model if number == 7 for field in _read_fields(part)]
        nodes = [list(_read_fields(part)) for number, part in parts if number == 1]
        tensors = [part for number, part in parts if number == 5]
        used = {bytes(v).decode() for node in nodes for number, v in node if number == 4}
        domains = {bytes(v).decode() for node in nodes for number, v in node if number == 7}
        attributes = [list(_read_fields(v)) for node in nodes for number, v in node if number == 5]
        # Of a tensor, 13 and 14 place its values in another file; of an attribute, 5 and 10 are
        # tensors, 6 and 11 graphs.
        tensors += [v for fields in attributes for number, v in fields if number in (5, 10)]
        nested = any(number in (6, 11) for fields in attributes for number, _ in fields)
        # Of an attribute, 3 is an integer. Text would take more memory than numbers.
        casts = {
            value
            for node in nodes
            if any(number == 4 and bytes(kind) == b"Cast" for number, kind in node)
            for number, part in node
            if number == 5
            for key, value in _read_fields(part)
            if key == 3
        }
        outside = any(
            number in (13, 14) and value
            for tensor in tensors
            for number, value in _read_fields(tensor)
        )
    except (IndexError, TypeError, ValueError) as error:
        if isinstance(error, ModelFileError):
            raise
        raise ModelFileError(f"the model's network is damaged: {error}") from error
    refused = sorted(used - _OPERATORS)
    if refused or nested or domains - {"", "ai.onnx"}:
        what = ", ".join(refused) or "nested graphs or operators of other libraries"
        raise ModelFileError(
            f"the model's network has operators that are not run ({what}): use a model that "
            "shredfinder saved"
        )
    if casts - {_FLOAT}:
        raise ModelFileError("the model's network converts to other types than 32-bit floats")
    if outside:
        raise ModelFileError("the model's network keeps weights in another file, which is not read")
    if len(nodes) > _MAX_NODES:
        raise ModelFileError(f"the model's network has {len(nodes)} operators, over {_MAX_NODES}")
    # Of a graph, 11 is an input and 12 an output; of these, 1 is the name; of a node, 2.
    known = {bytes(v) for n, part in parts if n == 12 for k, v in _read_fields(part) if k == 1}
    names = [bytes(value) for node in nodes for number, value in node if number == 2]
    _check_size(graph, [name for name in names if name and name not in known])


def _check_size(graph: bytes, names: Sequence[bytes]) -> None:
    """Refuse an ONNX model whose layers hold too many values, without evaluating it.

    With each layer as a further output, ONNX Runtime infers the shapes of all.

    Parameters
    ----------
    graph : bytes
        ONNX model.
    names : sequence of bytes
        Names of the layers that are not outputs.

    Raises
    ------
    shredfinder.exceptions.ModelFileError
        If they are too large, or their shape depends on more than the number of images.
    """
    ort = import_runtime()
    options = ort.SessionOptions()
    # The optimiser would evaluate layers that do not depend on the images.
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    # Messages in a row are merged: this adds outputs to the graph.
    outputs = b"".join(_make_field(12, _make_field(1, name)) for name in names)
    session = open_session(graph + _make_field(7, outputs), options, [CPU])
    # The name of the first axis of the images; each layer's first axis must be as long.
    n_images = next((node.shape[0] for node in session.get_inputs() if node.shape), None)
    n_values = 0
    for node in session.get_outputs():
        first, *others = node.shape or [1]
        sizes = others if isinstance(first, str) and first == n_images else [first, *others]
        if not all(isinstance(size, int) and size > 0 for size in sizes):
            raise ModelFileError(
                f"the model's network has a layer of unknown size {node.shape}: use a model that "
                "shredfinder saved"
            )
        n_values += math.prod(sizes)
    if n_values > _MAX_VALUES:
        raise ModelFileError(
            f"the model's network has layers of {n_values:.3g} values per image, over "
            f"{_MAX_VALUES:.3g}: use a smaller network"
        )


def import_runtime() -> Any:
    """Import ONNX Runtime without its telemetry.

    Without the variable, it writes a device identifier and contacts a collector. A value that the
    user has set stays.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    return onnxruntime


def open_session(graph: bytes, options: Any, providers: Sequence[str]) -> Any:
    """Open an ONNX model; `ModelFileError` if ONNX Runtime cannot read it."""
    options.log_severity_level = 4  # errors reach the user as exceptions
    try:
        return import_runtime().InferenceSession(graph, options, providers=list(providers))
    except Exception as error:  # ONNX Runtime's exceptions share no base class
        raise ModelFileError(f"ONNX Runtime cannot read the model's network: {error}") from error


def _make_field(number: int, value: bytes) -> bytes:
    """Encode a field of a message that holds bytes."""

    def encode(integer: int) -> bytes:
        head = b""
        while integer > 127:
            head += bytes([integer & 127 | 128])
            integer >>= 7
        return head + bytes([integer])

    return encode(8 * number + 2) + encode(len(value)) + value


def _read_fields(data: memoryview) -> Iterator[tuple[int, Any]]:
    """Yield number and value of each field of a message: bytes of nested ones, else integers."""
    position = 0

    def read_integer() -> int:
        nonlocal position
        value = shift = 0
        while True:
            byte = data[position]
            position += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
            if shift > 63:
                raise ValueError("an integer is too long")

    while position < len(data):
        number, kind = divmod(read_integer(), 8)
        if kind == 0:
            yield number, read_integer()
            continue
        length = {1: 8, 5: 4}.get(kind)
        if kind == 2:
            length = read_integer()
        if length is None or position + length > len(data):
            raise ValueError("a field is truncated or of an unknown kind")
        yield number, data[position : position + length]
        position += length


class _Graph:
    """A graph under construction: nodes, weights and the ONNX name of each Keras tensor."""

    def __init__(self, helper: Any) -> None:
        self.helper = helper
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self.names: dict[str, str] = {}
        # ONNX names of the tensors whose values are 255 times those of Keras.
        self.undivided: set[str] = set()

    def add(self, op: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Add a node and return the name of its output."""
        name = f"t{len(self.nodes)}"
        self.nodes.append(self.helper.make_node(op, inputs, [name], **attributes))
        return name

    def weight(self, values: ArrayLike, dtype: DTypeLike = np.float32) -> str:
        """Add constant values and return their name."""
        from onnx import numpy_helper

        name = f"w{len(self.initializers)}"
        values = np.ascontiguousarray(np.asarray(values, dtype=dtype))
        self.initializers.append(numpy_helper.from_array(values, name))
        return name

    def divide(self, name: str) -> str:
        """Return the name of a tensor with the values of Keras."""
        if name not in self.undivided:
            return name
        return self.add("Mul", [name, self.weight(1 / WHITE)])

    def activate(self, name: str, activation: Any) -> str:
        """Apply a Keras activation and return the name of its output."""
        kind = getattr(activation, "__name__", str(activation))
        if kind == "linear":
            return name
        if kind == "softmax":
            return self.add("Softmax", [name], axis=1)
        if kind in ("relu", "sigmoid"):
            return self.add(kind.capitalize(), [name])
        raise ValueError(f"cannot save the activation {kind!r} as ONNX: use relu, sigmoid, softmax")


def _convert_conv(graph: _Graph, layer: Layer, inputs: list[str]) -> str:
    # Keras: (height, width, in, out); ONNX: (out, in, height, width).
    kernel = np.transpose(_array(layer.kernel), (3, 2, 0, 1))
    if graph.undivided.issuperset(inputs):
        kernel = kernel.astype(np.float64) / WHITE
    weights = [graph.weight(kernel)]
    if layer.use_bias:
        weights.append(graph.weight(_array(layer.bias)))
    output = graph.add(
        "Conv",
        inputs + weights,
        kernel_shape=list(layer.kernel_size),
        strides=list(layer.strides),
        group=layer.groups,
        auto_pad="SAME_UPPER" if layer.padding == "same" else "VALID",
    )
    return graph.activate(output, layer.activation)


def _convert_batch_norm(graph: _Graph, layer: Layer, inputs: list[str]) -> str:
    n = int(layer.moving_mean.shape[0])
    gamma = _array(layer.gamma) if layer.scale else np.ones(n)
    beta = _array(layer.beta) if layer.center else np.zeros(n)
    statistics = (gamma, beta, _array(layer.moving_mean), _array(layer.moving_variance))
    weights = [graph.weight(values) for values in statistics]
    return graph.add("BatchNormalization", inputs + weights, epsilon=float(layer.epsilon))


def _convert_dense(graph: _Graph, layer: Layer, inputs: list[str]) -> str:
    output = graph.add("MatMul", [*inputs, graph.weight(_array(layer.kernel))])
    if layer.use_bias:
        output = graph.add("Add", [output, graph.weight(_array(layer.bias))])
    return graph.activate(output, layer.activation)


def _convert_flatten(graph: _Graph, layer: Layer, inputs: list[str]) -> str:
    # The weights of the next dense layer expect the order height, width, channel.
    last = graph.add("Transpose", inputs, perm=[0, 2, 3, 1])
    return graph.add("Flatten", [last], axis=1)


def _convert_pool(op: str) -> Callable[[_Graph, Layer, list[str]], str]:
    def convert(graph: _Graph, layer: Layer, inputs: list[str]) -> str:
        return graph.add(
            op,
            inputs,
            kernel_shape=list(layer.pool_size),
            strides=list(layer.strides),
            auto_pad="SAME_UPPER" if layer.padding == "same" else "VALID",
        )

    return convert


def _convert_global_pool(op: str) -> Callable[[_Graph, Layer, list[str]], str]:
    def convert(graph: _Graph, layer: Layer, inputs: list[str]) -> str:
        # ONNX keeps the pooled axes with length 1, Keras drops them.
        return graph.add("Flatten", [graph.add(op, inputs)], axis=1)

    return convert


def _convert_cropping(graph: _Graph, layer: Layer, inputs: list[str]) -> str:
    (top, _), (left, _) = layer.cropping
    height, width = layer.output.shape[1:3]
    bounds = [(top, top + height), (left, left + width)]
    # Axes 2 and 3 are height and width, as channels come first.
    starts, ends = (graph.weight([b[k] for b in bounds], np.int64) for k in (0, 1))
    return graph.add("Slice", [*inputs, starts, ends, graph.weight([2, 3], np.int64)])


def _convert_zero_padding(graph: _Graph, layer: Layer, inputs: list[str]) -> str:
    (top, bottom), (left, right) = layer.padding
    # All the starts, then all the ends, of the axes image, channel, height and width.
    pads = graph.weight([0, 0, top, left, 0, 0, bottom, right], np.int64)
    return graph.add("Pad", [*inputs, pads])


def _array(variable: Variable) -> np.ndarray:
    from keras import ops

    return np.asarray(ops.convert_to_numpy(variable))


# Dropout does nothing when scoring, so its converters return their input.
_CONVERTERS: dict[str, Callable[[_Graph, Layer, list[str]], str]] = {
    "Activation": lambda graph, layer, inputs: graph.activate(inputs[0], layer.activation),
    "Add": lambda graph, layer, inputs: graph.add("Add", inputs),
    "AveragePooling2D": _convert_pool("AveragePool"),
    "BatchNormalization": _convert_batch_norm,
    "Concatenate": lambda graph, layer, inputs: graph.add("Concat", inputs, axis=1),
    "Conv2D": _convert_conv,
    "Cropping2D": _convert_cropping,
    "Dense": _convert_dense,
    "Dropout": lambda graph, layer, inputs: inputs[0],
    "Flatten": _convert_flatten,
    "GlobalAveragePooling2D": _convert_global_pool("GlobalAveragePool"),
    "GlobalMaxPooling2D": _convert_global_pool("GlobalMaxPool"),
    "MaxPooling2D": _convert_pool("MaxPool"),
    "ReLU": lambda graph, layer, inputs: graph.add("Relu", inputs),
    "SpatialDropout2D": lambda graph, layer, inputs: inputs[0],
    "ZeroPadding2D": _convert_zero_padding,
}
# Layers whose output is 255 times as large if their inputs are.
_HOMOGENEOUS = frozenset(
    {
        *("Add", "AveragePooling2D", "Concatenate", "Cropping2D", "Dropout", "Flatten"),
        *("GlobalAveragePooling2D", "GlobalMaxPooling2D", "MaxPooling2D", "SpatialDropout2D"),
        "ZeroPadding2D",
    }
)
