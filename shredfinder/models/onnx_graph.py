"""Turn a Keras network into an ONNX graph.

Keras's own exporter needs TensorFlow for two of the three backends; this one reads the layers,
so that a network is saved in the same way whatever it was trained with. It knows the layers
that the architectures use and refuses any other.
"""

import numpy as np

from shredfinder._utils.runtime import import_optional

__all__ = ["network_to_onnx"]

# Opset 17 is read by every ONNX Runtime since 1.12.
_OPSET = 17


def network_to_onnx(network):
    """Convert a functional Keras network of image layers to ONNX.

    Parameters
    ----------
    network : `keras.Model`
        From ``(n, height, width, bands)`` to ``(n, classes)``, one input and one output.

    Returns
    -------
    serialized : bytes
        An ONNX model with the input ``images``, of the network's own layout, and the output
        ``probabilities``.

    Raises
    ------
    ValueError
        If the network holds a layer that is not known here.
    shredfinder.exceptions.MissingDependencyError
        If the onnx package is not installed.
    """
    onnx = import_optional("onnx", "storing a trained network")
    helper = onnx.helper

    graph = _Graph(helper)
    # Keras works on channels last, ONNX on channels first: one transpose at the entrance.
    graph.names[network.inputs[0].name] = graph.add("Transpose", ["images"], perm=[0, 3, 1, 2])
    for layer in network.layers:
        if type(layer).__name__ == "InputLayer":
            continue
        convert = _CONVERTERS.get(type(layer).__name__)
        if convert is None:
            raise ValueError(
                f"the layer {layer.name!r} is a {type(layer).__name__}, which can't be stored "
                f"as ONNX: use {', '.join(sorted(_CONVERTERS))}"
            )
        inputs = layer.input if isinstance(layer.input, list) else [layer.input]
        names = [graph.names[tensor.name] for tensor in inputs]
        graph.names[layer.output.name] = convert(graph, layer, names)
    output = graph.names[network.outputs[0].name]
    graph.nodes.append(helper.make_node("Identity", [output], ["probabilities"]))

    float32 = onnx.TensorProto.FLOAT
    shape = ["n", *network.input_shape[1:]]
    onnx_graph = helper.make_graph(
        graph.nodes,
        network.name,
        [helper.make_tensor_value_info("images", float32, shape)],
        [helper.make_tensor_value_info("probabilities", float32, ["n", network.output_shape[1]])],
        graph.initializers,
    )
    model = helper.make_model(
        onnx_graph, opset_imports=[helper.make_opsetid("", _OPSET)], producer_name="shredfinder"
    )
    model.ir_version = 8  # the version of opset 17's time, for older runtimes
    onnx.checker.check_model(model)
    return model.SerializeToString()


class _Graph:
    """Nodes and weights in the making, and the ONNX name of each Keras tensor."""

    def __init__(self, helper):
        self.helper = helper
        self.nodes, self.initializers, self.names = [], [], {}

    def add(self, op, inputs, **attributes):
        name = f"t{len(self.nodes)}"
        self.nodes.append(self.helper.make_node(op, inputs, [name], **attributes))
        return name

    def weight(self, values, dtype=np.float32):
        from onnx import numpy_helper

        name = f"w{len(self.initializers)}"
        values = np.ascontiguousarray(np.asarray(values, dtype=dtype))
        self.initializers.append(numpy_helper.from_array(values, name))
        return name

    def activate(self, name, activation):
        kind = getattr(activation, "__name__", str(activation))
        if kind == "linear":
            return name
        if kind == "softmax":
            return self.add("Softmax", [name], axis=1)
        if kind in ("relu", "sigmoid"):
            return self.add(kind.capitalize(), [name])
        raise ValueError(f"the activation {kind!r} can't be stored as ONNX")


def _convert_conv(graph, layer, inputs):
    # Keras: (height, width, in, out); ONNX: (out, in, height, width).
    weights = [graph.weight(np.transpose(_array(layer.kernel), (3, 2, 0, 1)))]
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


def _convert_batch_norm(graph, layer, inputs):
    n = int(layer.moving_mean.shape[0])
    gamma = _array(layer.gamma) if layer.scale else np.ones(n)
    beta = _array(layer.beta) if layer.center else np.zeros(n)
    statistics = (gamma, beta, _array(layer.moving_mean), _array(layer.moving_variance))
    weights = [graph.weight(values) for values in statistics]
    return graph.add("BatchNormalization", inputs + weights, epsilon=float(layer.epsilon))


def _convert_dense(graph, layer, inputs):
    output = graph.add("MatMul", [*inputs, graph.weight(_array(layer.kernel))])
    if layer.use_bias:
        output = graph.add("Add", [output, graph.weight(_array(layer.bias))])
    return graph.activate(output, layer.activation)


def _convert_flatten(graph, layer, inputs):
    # Dense weights that follow expect the order height, width, channel.
    last = graph.add("Transpose", inputs, perm=[0, 2, 3, 1])
    return graph.add("Flatten", [last], axis=1)


def _convert_pool(op):
    def convert(graph, layer, inputs):
        return graph.add(
            op,
            inputs,
            kernel_shape=list(layer.pool_size),
            strides=list(layer.strides),
            auto_pad="SAME_UPPER" if layer.padding == "same" else "VALID",
        )

    return convert


def _convert_global_pool(op):
    def convert(graph, layer, inputs):
        return graph.add("Flatten", [graph.add(op, inputs)], axis=1)

    return convert


def _convert_cropping(graph, layer, inputs):
    (top, _), (left, _) = layer.cropping
    height, width = layer.output.shape[1:3]
    bounds = [(top, top + height), (left, left + width)]
    starts, ends = (graph.weight([b[k] for b in bounds], np.int64) for k in (0, 1))
    return graph.add("Slice", [*inputs, starts, ends, graph.weight([2, 3], np.int64)])


def _convert_zero_padding(graph, layer, inputs):
    (top, bottom), (left, right) = layer.padding
    pads = graph.weight([0, 0, top, left, 0, 0, bottom, right], np.int64)
    return graph.add("Pad", [*inputs, pads])


def _array(variable):
    from keras import ops

    return np.asarray(ops.convert_to_numpy(variable))


_CONVERTERS = {
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
