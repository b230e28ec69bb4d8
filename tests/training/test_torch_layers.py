"""Layers computed by PyTorch's kernels agree with Keras's."""

import numpy as np
import pytest

from shredfinder.models import build_network
from shredfinder.training import import_keras, native_torch_layers
from tests.conftest import needs_backend

pytestmark = needs_backend


def _is_torch():
    return import_keras().backend.backend() == "torch"


def _train(network, images, targets, *, native):
    """Return the loss, all weights after a step, and the number of layers replaced."""
    keras = import_keras()
    network.compile(keras.optimizers.SGD(0.1), loss="categorical_crossentropy")
    # A changed state before the step: the averages of a batch normalisation start at 0 and 1.
    if not native:
        loss = network.train_on_batch(images, targets)
        return loss, network.get_weights(), 0
    with native_torch_layers(network) as n_layers:
        loss = network.train_on_batch(images, targets)
    return loss, network.get_weights(), n_layers


def _build(kind):
    """Build a network whose loss has no random part, so without dropout."""
    from keras import Model, layers

    inputs = layers.Input((16, 16, 3))
    x = inputs
    if kind == "bias and activation":
        x = layers.Conv2D(4, 3, padding="valid", activation="relu")(x)
    elif kind == "even kernel":
        x = layers.Conv2D(4, 4, padding="same")(x)
    elif kind == "strides":
        x = layers.Conv2D(4, 3, strides=2, padding="same")(x)
    elif kind == "dilation":
        x = layers.Conv2D(4, 3, dilation_rate=2, padding="same")(x)
    elif kind == "groups":
        x = layers.Conv2D(6, 3, groups=3)(x)
    elif kind == "batch normalisation":
        x = layers.BatchNormalization(momentum=0.8)(layers.Conv2D(4, 3, padding="same")(x))
    elif kind == "no scale":
        x = layers.BatchNormalization(scale=False)(x)
    elif kind == "vectors":
        x = layers.BatchNormalization()(layers.Flatten()(x))
    elif kind == "frozen":
        x = layers.BatchNormalization(trainable=False)(x)
    elif kind == "pooling":
        x = layers.MaxPooling2D(3, strides=2)(layers.MaxPooling2D((2, 1))(x))
    elif kind == "padded pooling":
        x = layers.MaxPooling2D(3, padding="same")(x)
    x = layers.Dense(2, activation="softmax")(layers.Flatten()(x))
    return Model(inputs, x)


_KINDS = {
    "bias and activation": 1,
    "even kernel": 0,
    "strides": 0,
    "dilation": 0,
    "groups": 1,
    "batch normalisation": 2,
    "no scale": 0,
    "vectors": 0,
    "frozen": 1,
    "pooling": 2,
    "padded pooling": 0,
}


@pytest.mark.parametrize("kind", _KINDS)
def test_a_step_is_the_same(kind):
    rng = np.random.default_rng(1)
    images = rng.random((6, 16, 16, 3), dtype=np.float32)
    targets = np.eye(2, dtype=np.float32)[rng.integers(0, 2, 6)]
    network = _build(kind)
    weights = network.get_weights()
    loss, expected, _ = _train(network, images, targets, native=False)
    network.set_weights(weights)
    native_loss, result, n_layers = _train(network, images, targets, native=True)
    assert n_layers == (_KINDS[kind] if _is_torch() else 0)
    assert native_loss == pytest.approx(loss, rel=1e-5)
    for one, other in zip(expected, result, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_layers_are_restored():
    network = build_network("published", (128, 128, 3))
    with native_torch_layers(network) as n_layers:
        assert n_layers == (12 if _is_torch() else 0)
    assert not any("call" in vars(layer) for layer in network.layers)


def test_mixed_precision_is_left_to_keras():
    keras = import_keras()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        network = build_network("compact", (64, 64, 3))
    finally:
        keras.config.set_dtype_policy("float32")
    with native_torch_layers(network) as n_layers:
        assert n_layers == 0
