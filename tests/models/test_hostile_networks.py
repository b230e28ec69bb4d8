"""Model files whose network would need endless time or memory."""

import itertools
import time

import numpy as np
import pytest

from shredfinder.exceptions import ModelFileError
from shredfinder.models.model import OnnxNetwork

onnx = pytest.importorskip("onnx")


def _network(operators, weights=(), size=16):
    """An ONNX model that applies operators to images, with a mean over the pixels at the end."""
    helper, float32 = onnx.helper, onnx.TensorProto.FLOAT
    nodes = [helper.make_node(kind, names, [out], **rest) for kind, names, out, rest in operators]
    nodes += [
        helper.make_node("GlobalAveragePool", [nodes[-1].output[0]], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("Slice", ["flat", "0", "2", "1"], ["probabilities"]),
    ]
    weights = dict(weights) | {str(i): np.array([i]) for i in range(3)}
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("images", float32, ["n", size, size, 3])],
        [helper.make_tensor_value_info("probabilities", float32, ["n", 2])],
        [onnx.numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


def _double(axis, times):
    names = ["images", *(f"x{i}" for i in range(times))]
    return [("Concat", [a, a], b, {"axis": axis}) for a, b in itertools.pairwise(names)]


HUGE = {
    "repeated Concat": (_double(1, 25), {}),
    "Concat of images": (_double(0, 25), {}),
    "Concat beyond 64 bits": (_double(2, 80), {}),
    "Pad": (
        [("Pad", ["images", "pads"], "x", {})],
        {"pads": np.array([0, 0, 0, 0, 0, 10**6, 10**6, 0])},
    ),
    "computed Pad": (
        [
            ("Add", ["half", "half"], "pads", {}),
            ("Pad", ["images", "pads"], "x", {}),
        ],
        {"half": np.array([0, 0, 0, 0, 0, 10**5, 10**5, 0])},
    ),
    "Add of all pairs": (
        [("Add", ["a", "b"], "ab", {}), ("Add", ["images", "ab"], "x", {})],
        {"a": np.ones((10**4, 1, 1, 1, 1, 1), "f4"), "b": np.ones((10**4, 1, 1, 1, 1), "f4")},
    ),
    "Conv to many channels": (
        [("Transpose", ["images"], "t", {"perm": [0, 3, 1, 2]}), ("Conv", ["t", "w"], "x", {})],
        {"w": np.ones((10**6, 3, 1, 1), "f4")},
    ),
}


@pytest.mark.parametrize("name", HUGE)
def test_models_of_huge_layers_are_refused_before_they_run(name):
    graph = _network(*HUGE[name])
    assert len(graph) < 20 * 2**20
    resource = pytest.importorskip("resource")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ModelFileError, match=r"values per image|unknown size|overflow"):
        OnnxNetwork(graph, (16, 16, 3))
    # Kilobytes, on Linux.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 2**10


@pytest.mark.parametrize("kind", ["STRING", "DOUBLE"])
def test_casts_to_larger_types_are_refused(kind):
    to = getattr(onnx.TensorProto, kind)
    graph = _network([("Cast", ["images"], "x", {"to": to}), ("Cast", ["x"], "y", {"to": 1})])
    with pytest.raises(ModelFileError, match="converts to other types"):
        OnnxNetwork(graph, (16, 16, 3))


def test_models_of_usual_layers_are_accepted():
    operators = [("Relu", ["images"], "r", {}), ("Concat", ["r", "images"], "x", {"axis": 3})]
    logits, _ = OnnxNetwork(_network(operators), (16, 16, 3)).evaluate(
        np.zeros((5, 16, 16, 3), "f4")
    )
    assert logits.shape == (5,)


def test_an_endless_model_is_ended(monkeypatch):
    helper, types = onnx.helper, onnx.TensorProto
    # A loop without an end, which is not an allowed operator: what if it were?
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["on"]),
            helper.make_node("Identity", ["before"], ["after"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", types.INT64, []),
            helper.make_tensor_value_info("go", types.BOOL, []),
            helper.make_tensor_value_info("before", types.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("on", types.BOOL, []),
            helper.make_tensor_value_info("after", types.FLOAT, None),
        ],
    )
    graph = _network(
        [("Loop", ["", "yes", "images"], "x", {"body": body})], {"yes": np.array(True)}
    )
    with pytest.raises(ModelFileError, match="operators that are not run"):
        OnnxNetwork(graph, (16, 16, 3))
    monkeypatch.setattr("shredfinder.models.model.check_graph", lambda graph: None)
    monkeypatch.setattr("shredfinder.models.model._MAX_SECONDS", 0.5)
    start = time.monotonic()
    with pytest.raises(ModelFileError, match=r"more than 0\.5 s per image"):
        OnnxNetwork(graph, (16, 16, 3))
    assert time.monotonic() - start < 30
