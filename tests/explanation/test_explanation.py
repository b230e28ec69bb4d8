import numpy as np
import pytest

from shredfinder import Cutouts, ShredClassifier
from shredfinder.exceptions import CutoutMismatchError
from shredfinder.explanation import grad_cam, occlusion_maps
from shredfinder.explanation.grad_cam import _choose_layer, _locate_features
from shredfinder.models import build_network
from tests.conftest import make_images, needs_backend


class Bright:
    """A network whose logit is the brightness of rows 4–8 and columns 20–28."""

    threads = 2

    def logits(self, images):
        return images[:, 4:8, 20:28].mean(axis=(1, 2, 3)).astype(float) * 10


@pytest.fixture
def bright(toy_classifier):
    """A classifier of 32 px images whose score depends on one position only."""
    classifier = ShredClassifier()
    model = toy_classifier.model_
    classifier.model_ = type(model)(model.description, model.graph, model.weights)
    classifier.model_.network = Bright()
    return classifier


def test_occlusion_finds_the_position_that_drives_the_score(bright):
    images = np.random.default_rng(0).integers(30, 60, (3, 32, 32, 3), dtype=np.uint8)
    images[0, 4:8, 20:28] = 250
    images[1, 20:30, 2:12] = 250
    images[2] = 9  # blank
    maps = occlusion_maps(bright, images, patch=4, stride=2)
    assert maps.shape == (3, 32, 32)
    assert maps.dtype == np.float32
    inside = np.zeros((32, 32), dtype=bool)
    inside[4:8, 20:28] = True
    assert maps[0][inside].min() > 0.3
    far = np.ones((32, 32), dtype=bool)
    far[0:12, 16:32] = False
    np.testing.assert_allclose(maps[0][far], 0, atol=1e-6)
    assert np.abs(maps[1][far]).max() < 1e-6
    assert np.isnan(maps[2]).all()


def test_occlusion_covers_the_edges_and_refuses_wrong_options(bright):
    images, _ = make_images(1)
    assert np.isfinite(occlusion_maps(bright, images, patch=10, stride=7)).all()
    white = images.copy()
    white[0, 4:8, 20:28] = 255
    # Covering pixels by their own value changes nothing.
    assert np.abs(occlusion_maps(bright, white, fill=1.0)[0, 4:8, 20:28]).max() < 1e-5
    with pytest.raises(ValueError, match="patch must fit"):
        occlusion_maps(bright, images, patch=33)
    with pytest.raises(ValueError, match="fill must be"):
        occlusion_maps(bright, images, fill="grey")
    with pytest.raises(ValueError, match="stride must be"):
        occlusion_maps(bright, images, stride=0)
    wide = Cutouts.of_survey("legacy-dr9", images, pixel_scale=1.0)
    with pytest.raises(CutoutMismatchError):
        occlusion_maps(bright, wide)


def test_occlusion_of_the_embedded_model_agrees_with_its_scores():
    rng = np.random.default_rng(1)
    images = rng.integers(20, 60, (2, 128, 128, 3), dtype=np.uint8)
    images[:, 60:68, 60:68] += 150
    classifier = ShredClassifier.load()
    maps = occlusion_maps(classifier, images, patch=128, stride=1)
    median = np.median(images / np.float32(255), axis=(1, 2))
    # A single position covers the whole image: the map is the difference to a blank image.
    model = classifier.model_
    for image, value, color in zip(images, maps, median, strict=True):
        blank = np.broadcast_to(color, image.shape).astype(np.float32)
        both = np.stack([image / np.float32(255), blank])
        whole, covered = model.network.logits(both) / model.description.temperature
        np.testing.assert_allclose(value, whole - covered, rtol=1e-4)


def build_averages():
    """Build the convolutions of the published network, with one filter that averages."""
    from shredfinder.training import import_keras

    keras = import_keras()
    inputs = x = keras.layers.Input((128, 128, 3))
    for kernel in (3, 3, 3, 5):
        x = keras.layers.Conv2D(1, kernel, padding="same", kernel_initializer="ones")(x)
        x = keras.layers.Conv2D(1, kernel, padding="valid", kernel_initializer="ones")(x)
        if kernel == 3:
            x = keras.layers.MaxPooling2D(2)(x)
    return keras.Model(inputs, x)


@needs_backend
def test_grad_cam_places_features_at_their_receptive_fields():
    network = build_averages()
    (start, step), _ = _locate_features(network, _choose_layer(network, None))
    assert step == 8
    row, column = 40, 76
    image = np.zeros((1, 128, 128, 3), np.float32)
    image[:, row - 3 : row + 4, column - 3 : column + 4] = 1
    features = network.predict(image, verbose=0)[0, ..., 0]
    found = np.unravel_index(features.argmax(), features.shape)
    # As accurate as the spacing of the features allows.
    np.testing.assert_allclose(start + step * np.array(found), [row, column], atol=step / 2 + 0.5)


@pytest.mark.slow
@needs_backend
def test_the_published_network_has_the_same_receptive_fields():
    published, averages = build_network("published", (128, 128, 3)), build_averages()
    places = [
        _locate_features(network, _choose_layer(network, None)) for network in (published, averages)
    ]
    assert places[0] == places[1]


@needs_backend
def test_grad_cam_by_hand_and_its_refusals(toy_classifier):
    from shredfinder.training import import_keras

    keras = import_keras()
    images, _ = make_images(4, size=32)
    inputs = keras.layers.Input((32, 32, 3))
    x = keras.layers.Conv2D(2, 1, name="look")(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    outputs = keras.layers.Dense(2, activation="softmax")(x)
    network = keras.Model(inputs, outputs)
    kernel = np.zeros((1, 1, 3, 2), np.float32)
    kernel[..., 0, 0] = kernel[..., 1, 1] = 1
    dense = np.array([[1.0, 3.0], [0.5, 0.0]], np.float32)
    network.set_weights([kernel, np.zeros(2), dense, np.zeros(2)])

    class Small(ShredClassifier):
        def keras_network(self):
            return network

    classifier = Small()
    classifier.model_ = toy_classifier.model_
    images[2] = 7
    maps = grad_cam(classifier, images)
    # The logit's gradient by channel is the difference of its weights, over the 32² places.
    expected = images[0] / 255 @ np.array([2.0, -0.5, 0.0]) / 32**2
    np.testing.assert_allclose(maps[0], expected, rtol=1e-4)
    assert np.isnan(maps[2]).all()
    assert np.isfinite(maps[[1, 3]]).all()
    with pytest.raises(ValueError, match="no feature layer 'nowhere'"):
        grad_cam(classifier, images, layer="nowhere")
    with pytest.raises(ValueError, match=r"joins several views: use .*occlusion_maps"):
        grad_cam(toy_classifier, images)
