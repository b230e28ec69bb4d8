"""Conversion of networks to 8-bit integers, which processors multiply several times as fast."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shredfinder._utils.runtime import import_optional
from shredfinder.models.onnx_graph import import_runtime

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["quantize_graph"]

# Nearly all the time is spent in these. The last layers stay in single precision: probabilities in
# steps of 1/255 would have no useful logits.
_OPERATORS = ["Conv", "Concat", "MaxPool"]
# Images whose values are held in memory at a time.
_BATCH = 32


def quantize_graph(graph: bytes, images: np.ndarray) -> bytes:
    """Convert the convolutions of an ONNX model to 8-bit integers.

    Parameters
    ----------
    graph : bytes
        ONNX model from `~shredfinder.models.onnx_graph.network_to_onnx`.
    images : `~numpy.ndarray`
        Images of the kind and type that the model takes, of shape ``(n, height, width, bands)``.
        The ranges of their values in each layer set the scales.

    Returns
    -------
    quantized : bytes
        ONNX model with the same input and output.

    Raises
    ------
    shredfinder.exceptions.MissingDependencyError
        If the onnx package is not installed.

    Notes
    -----
    Weights have a scale for each channel and 7 bits: processors without VNNI instructions add
    products of 8 and 8 bits in 16, which overflow.
    """
    onnx = import_optional("onnx", "converting a network to 8-bit integers")
    import_runtime()
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Batches(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self._parts: Iterator[np.ndarray] = iter(
                np.array_split(images, -(-len(images) // _BATCH))
            )

        def get_next(self) -> dict[str, np.ndarray] | None:
            part = next(self._parts, None)
            return None if part is None else {"images": part}

    with tempfile.TemporaryDirectory(prefix="shredfinder-") as folder:
        single, fused, integers = (str(Path(folder) / f"{i}.onnx") for i in range(3))
        Path(single).write_bytes(graph)
        # Merges each batch normalisation into the convolution before it.
        quant_pre_process(single, fused, skip_symbolic_shape=True)
        quantization.quantize_static(
            fused,
            integers,
            Batches(),
            op_types_to_quantize=_OPERATORS,
            per_channel=True,
            reduce_range=True,
            # Products of signed activations are slower on x86 processors.
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
        )
        model = onnx.load(integers)
    # Only the standard operators, as in the given model.
    standard = [opset for opset in model.opset_import if not opset.domain]
    del model.opset_import[:]
    model.opset_import.extend(standard)
    # Types of the layers' values, which `take_floats` changes.
    del model.graph.value_info[:]
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
