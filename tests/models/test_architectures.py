import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from shredfinder import ShredClassifier
from shredfinder.exceptions import ShredfinderWarning
from shredfinder.models import build_network, import_keras
from shredfinder.models.model import OnnxNetwork
from shredfinder.models.onnx_graph import network_to_onnx
from shredfinder.training import RECIPES
from tests.conftest import needs_backend

pytestmark = needs_backend

# Shapes derived by hand from the description of the network in arXiv 2301.09648.
PUBLISHED_SHAPES = [
    ("Conv2D", (128, 128, 32)),
    ("Conv2D", (126, 126, 32)),
    ("MaxPooling2D", (63, 63, 32)),
    ("Dropout", (63, 63, 32)),
    ("Conv2D", (63, 63, 64)),
    ("Conv2D", (61, 61, 64)),
    ("MaxPooling2D", (30, 30, 64)),
    ("Dropout", (30, 30, 64)),
    ("Conv2D", (30, 30, 128)),
    ("Conv2D", (28, 28, 128)),
    ("MaxPooling2D", (14, 14, 128)),
    ("Dropout", (14, 14, 128)),
    ("Conv2D", (14, 14, 512)),
    ("Conv2D", (10, 10, 512)),
    ("MaxPooling2D", (2, 2, 512)),
    ("Dropout", (2, 2, 512)),
    ("Flatten", (2048,)),
    ("Dense", (1024,)),
    ("Dropout", (1024,)),
    ("Dense", (2,)),
]


def build(architecture, shape):
    import_keras()
    return build_network(architecture, shape)


def test_the_published_network_matches_the_paper():
    network = build("published", (128, 128, 3))
    layers = [(type(layer).__name__, tuple(layer.output.shape[1:])) for layer in network.layers[1:]]
    assert layers == PUBLISHED_SHAPES
    assert network.count_params() == 10_580_258
    convolutions = [layer for layer in network.layers if type(layer).__name__ == "Conv2D"]
    assert [layer.kernel_size[0] for layer in convolutions] == [3] * 6 + [5] * 2
    assert [layer.padding for layer in convolutions] == ["same", "valid"] * 4
    dropouts = [layer.rate for layer in network.layers if type(layer).__name__ == "Dropout"]
    assert dropouts == [0.2] * 5
    activations = [
        layer.activation.__name__ for layer in network.layers if hasattr(layer, "kernel")
    ]
    assert activations == ["relu"] * 9 + ["softmax"]


def _build_without_convolution(shape):
    """A network whose first layers do not, all of them, leave the division to a convolution."""
    from keras import Model, layers

    inputs = layers.Input(shape)
    x = layers.Add()([layers.MaxPooling2D(2)(inputs), layers.AveragePooling2D(2)(inputs)])
    y = layers.BatchNormalization()(layers.ZeroPadding2D(1)(layers.Cropping2D(1)(x)))
    x = layers.Flatten()(layers.Concatenate()([x, y]))
    return Model(inputs, layers.Dense(2, activation="softmax")(x))


@pytest.mark.parametrize("name", ["compact", "published", "without convolution"])
def test_networks_for_uint8_images_give_the_same_scores(name):
    shape = (128, 128, 3) if name == "published" else (32, 48, 3)
    import_keras()
    network = (
        _build_without_convolution(shape) if name.startswith("w") else build_network(name, shape)
    )
    rng = np.random.default_rng(1)
    weights = [rng.uniform(-0.1, 0.1, w.shape) * (w == 0) + w for w in network.get_weights()]
    network.set_weights(weights)
    images = rng.integers(0, 255, (3, *shape), dtype=np.uint8)
    floats = images.astype(np.float32) / 255
    expected = np.log(network.predict_on_batch(floats)).astype(float)
    expected = expected[:, 1] - expected[:, 0]
    for uint8 in (True, False):
        onnx = OnnxNetwork(network_to_onnx(network, uint8=uint8), shape)
        for given in (images, floats):
            np.testing.assert_allclose(onnx.logits(given), expected, rtol=1e-5, atol=1e-5)


def test_the_classifier_counts_parameters_before_it_is_fitted():
    assert ShredClassifier("published").n_parameters == 10_580_258


@pytest.mark.parametrize("n_bands", [1, 3, 5])
def test_the_compact_network_accepts_any_number_of_bands(n_bands):
    network = build("compact", (64, 64, n_bands))
    assert network.output_shape == (None, 2)
    assert build("compact", (128, 128, 3)).count_params() < 10_580_258 / 5


def test_invalid_sizes_and_names():
    with pytest.raises(ValueError, match="multiples of 16 px, got 100×100"):
        build("compact", (100, 100, 3))
    with pytest.raises(ValueError, match="unknown architecture 'resnet'"):
        build("resnet", (128, 128, 3))


@pytest.mark.parametrize(
    ("data_format", "float_type"),
    [
        ("channels_first", "float32"),
        ("channels_last", "float16"),
        ("channels_first", "bfloat16"),
        ("channels_last", "float64"),
    ],
)
def test_settings_of_keras_do_not_change_a_fit(tiny, toy_images, tmp_path, data_format, float_type):
    config = import_keras().config
    expected = ShredClassifier(tiny, random_state=1).fit(*toy_images, progress=False)
    saved = config.image_data_format(), config.floatx(), config.epsilon(), config.dtype_policy()
    try:
        config.set_image_data_format(data_format)
        config.set_floatx(float_type)
        config.set_epsilon(1e-2)
        config.set_dtype_policy(float_type)
        found = ShredClassifier(tiny, random_state=1).fit(*toy_images, progress=False)
        found.save(tmp_path / "a.shredmodel")
        network = ShredClassifier.load(tmp_path / "a.shredmodel").keras_network()
        # The user's settings stay.
        assert (config.image_data_format(), config.floatx()) == (data_format, float_type)
        assert config.dtype_policy().name == float_type
    finally:
        config.set_image_data_format(saved[0])
        config.set_floatx(saved[1])
        config.set_epsilon(saved[2])
        config.set_dtype_policy(saved[3])
    assert found.history_ == expected.history_
    for one, other in zip(found.model_.weights, expected.model_.weights, strict=True):
        assert one.dtype == np.float32
        np.testing.assert_array_equal(one, other)
    for one, other in zip(network.get_weights(), found.model_.weights, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_settings_that_keras_itself_refuses(tmp_path):
    (tmp_path / "keras.json").write_text('{"floatx": "bfloat16"}')
    code = "from shredfinder.models import import_keras; print(import_keras().config.floatx())"
    environment = os.environ | {"KERAS_HOME": str(tmp_path)}
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert result.stdout.split()[-1] == "float32"


def test_a_model_with_broken_weights_is_not_saved(tiny, toy_images, tmp_path):
    recipe = replace(
        RECIPES[tiny], make_optimizer=lambda keras, n_steps: keras.optimizers.SGD(1e38)
    )
    classifier = ShredClassifier(tiny, random_state=1)
    with pytest.warns(ShredfinderWarning, match="diverged.*cannot score"):
        classifier.fit(*toy_images, epochs=6, validation=None, recipe=recipe, progress=False)
    # Weights that are not finite never recover.
    assert len(classifier.history_["loss"]) < 6
    path = tmp_path / "a.shredmodel"
    with pytest.raises(ValueError, match="of its weights are not finite"):
        classifier.save(path)
    assert not path.exists()
