"""Other centres, filled borders, reddening, and images of stars and artefacts."""

import dataclasses

import numpy as np
import pytest

from shredfinder import Cutouts, ShredClassifier
from shredfinder.imaging import compress_jpeg, flux_to_rgb, rgb_to_flux
from shredfinder.models import build_network
from shredfinder.training import (
    OTHER_KINDS,
    RECIPES,
    Augmentation,
    draw_companion,
    draw_other,
    encode_labels,
    fill_border,
    import_keras,
    move_center,
    redden_image,
    renew_statistics,
)
from shredfinder.training.companions import find_small_galaxies
from tests.conftest import needs_backend

STILL = Augmentation(max_scale=1.0, max_shift=0.0, unresampled=1.0)
RADIUS = 12.0  # pixels


@pytest.fixture(scope="module")
def galaxy():
    """A round galaxy with noise, in the viewer's colours."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:128, :128] - 63.5
    profile = np.exp(-np.hypot(x, y) / 3)
    fluxes = np.array([0.1, 0.2, 0.3])[:, None, None] * profile  # g, r, z
    return flux_to_rgb(fluxes + rng.normal(0, 0.002, fluxes.shape), "grz")


@pytest.fixture(scope="module")
def sky():
    fluxes = np.random.default_rng(4).normal(0, 0.002, (3, 128, 128))
    return flux_to_rgb(fluxes, "grz")


def apply_many(augmentation, image, target, n=200, radius=RADIUS):
    rng = np.random.default_rng(1)
    target = np.array(target, np.float32)
    found = [
        augmentation.apply(image, target, radius, rng, color_mapping="legacy-grz") for _ in range(n)
    ]
    return [image for image, _ in found], np.stack([label for _, label in found])


def find_peak(image):
    light = image.sum(axis=-1)
    row, column = np.unravel_index(light.argmax(), light.shape)
    return np.hypot(row - 63.5, column - 63.5)


@pytest.mark.parametrize(("x", "y"), [(5, 0), (-5, 0), (0, 7), (0, -7), (3, -4), (-30, 30)])
def test_the_named_pixel_comes_to_lie_at_the_centre(x, y):
    image = np.random.default_rng(0).integers(0, 255, (128, 128, 3), dtype=np.uint8)
    moved = move_center(image, x, y)
    assert moved.shape == image.shape
    np.testing.assert_array_equal(moved[64, 64], image[64 + y, 64 + x])
    # The filled border is the same part of the image as without the move.
    filled = fill_border(image, x, y)
    assert filled.shape == image.shape
    np.testing.assert_array_equal(filled[64, 64], image[64, 64])
    changed = (filled != image).any(axis=(2,))
    assert changed.any(axis=0).sum() <= (abs(x) if y == 0 else 128)
    assert 0.9 * (abs(x) + abs(y)) * 100 < changed.sum() < (abs(x) + abs(y)) * 129


def test_labels_follow_the_new_centre(galaxy):
    moved, labels = apply_many(dataclasses.replace(STILL, moved=1.0), galaxy, (1, 0))
    offset = np.array([find_peak(image) for image in moved])
    near, far = offset < 0.2 * RADIUS - 1, offset > 0.4 * RADIUS + 1
    assert near.sum() > 10
    assert far.sum() > 50
    assert (labels[near, 0] == 1).all()
    np.testing.assert_allclose(labels[far, 1], 0.97, atol=1e-6)
    np.testing.assert_allclose(labels.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize(
    ("target", "radius"), [((0, 1), RADIUS), ((0.6, 0.4), RADIUS), ((1, 0), 4.0), ((1, 0), np.nan)]
)
def test_only_certain_resolved_galaxies_are_moved(galaxy, target, radius):
    moved, labels = apply_many(
        dataclasses.replace(STILL, moved=1.0), galaxy, target, n=40, radius=radius
    )
    np.testing.assert_allclose(labels, [target] * 40, atol=1e-6)
    assert max(map(find_peak, moved)) < 1


def test_filled_borders_keep_centre_and_label(galaxy):
    filled, labels = apply_many(dataclasses.replace(STILL, filled=1.0), galaxy, (1, 0), n=40)
    assert (labels[:, 0] == 1).all()
    assert max(map(find_peak, filled)) < 1


def test_without_a_colour_mapping_nothing_but_the_orientation_changes(galaxy):
    every = dataclasses.replace(STILL, moved=1.0, reddened=1.0, others=1.0)
    image, label = every.apply(galaxy, np.array([1.0, 0, 0]), RADIUS, np.random.default_rng(0))
    assert label.tolist() == [1, 0, 0]
    np.testing.assert_array_equal(np.sort(image, axis=None), np.sort(galaxy, axis=None))


def test_reddening_dims_each_band_by_its_coefficient(galaxy, sky):
    rng = np.random.default_rng(0)
    core = (slice(None), slice(58, 70), slice(58, 70))
    ratio = rgb_to_flux(redden_image(galaxy, 0.3, rng))[core].sum(axis=(1, 2))
    ratio /= rgb_to_flux(galaxy)[core].sum(axis=(1, 2))
    # z, r and g: coefficients of the Legacy Surveys.
    expected = 10 ** (-0.4 * 0.3 * np.array([1.211, 2.165, 3.214]))
    np.testing.assert_allclose(ratio, expected, rtol=0.05)
    offset = rgb_to_flux(redden_image(galaxy, 0.0, rng, zero_points={"r": 0.5}))[core]
    known = rgb_to_flux(galaxy)[core]
    np.testing.assert_allclose(offset[1].sum() / known[1].sum(), 10**-0.2, rtol=0.05)
    np.testing.assert_allclose(offset[0].sum() / known[0].sum(), 1, rtol=0.05)
    # Dust does not dim the noise of the sky.
    seen = compress_jpeg(sky)
    before, after = (rgb_to_flux(image)[1].std() for image in (seen, redden_image(seen, 0.4, rng)))
    assert 0.75 < after / before < 1.1


@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_what_is_no_galaxy(galaxy, kind):
    rng = np.random.default_rng(2)
    drawn = [draw_other(galaxy, rng, kind=kind) for _ in range(12)]
    assert all(one is not None and one.shape == galaxy.shape for one in drawn)
    center = np.array([one[60:68, 60:68].max() for one in drawn])
    if "star" in kind:
        assert center.min() > 90
    elif kind == "blank sky":
        assert center.max() < 90
    else:
        assert all((one == 32).all(axis=-1).sum() > 2000 for one in drawn)


def test_images_without_such_a_place_give_none():
    full = np.full((128, 128, 3), 200, np.uint8)
    assert draw_other(full, np.random.default_rng(0), kind="blank sky") is None


def test_other_images_replace_their_share(galaxy):
    _, labels = apply_many(dataclasses.replace(STILL, others=0.25), galaxy, (1, 0, 0))
    assert 0.12 < labels[:, 2].mean() < 0.35
    assert set(labels[:, 2].tolist()) == {0.0, 1.0}


def test_a_classifier_learns_the_third_class(galaxy, sky, monkeypatch):
    keras = import_keras()

    from shredfinder.models.architectures import ARCHITECTURES

    def build(input_shape, n_classes=2):
        layers = keras.layers
        inputs = layers.Input(input_shape)
        x = layers.GlobalAveragePooling2D()(layers.AveragePooling2D(16)(inputs))
        return keras.Model(inputs, layers.Dense(n_classes, activation="softmax")(x))

    monkeypatch.setitem(ARCHITECTURES, "compact", build)
    images = np.stack([galaxy] * 8 + [galaxy[::-1] // 2] * 8 + [sky] * 8)
    labels = ["galaxy"] * 8 + ["shred"] * 8 + ["other"] * 8
    classifier = ShredClassifier(random_state=1)
    cutouts = Cutouts.of_survey("legacy-dr9", images)
    classifier.fit(cutouts, labels, recipe="catalogue", epochs=1, progress=False)
    description = classifier.model_.description
    assert description.classes == ["galaxy", "shred", "other"]
    assert description.training["n_others"] == 8
    assert description.training["n_sources"] == 24
    assert description.training_prior == 0.5
    assert classifier.predict_proba(cutouts).shape == (24, 2)
    # A recipe without the class leaves these sources out.
    with pytest.warns(UserWarning, match="8 of 24 sources are labelled neither"):
        classifier.fit(cutouts, labels, epochs=1, progress=False)
    assert classifier.model_.description.other_limit is None


def test_soft_labels_of_three_classes():
    y = np.array([[0.9, 0.1, 0], [0.2, 0.6, 0.2], [0, 0, 1]])
    np.testing.assert_allclose(encode_labels(y), [0.1, 0.75, np.nan])
    with pytest.raises(ValueError, match="add up to 1"):
        encode_labels(np.array([[0.9, 0.4, 0.0]]))


def test_the_recipe_has_them_all():
    augmentation = RECIPES["catalogue"].augmentation
    assert min(augmentation.moved, augmentation.filled, augmentation.reddened) > 0
    assert augmentation.others > 0
    assert not RECIPES["compact"].augmentation.needs_colors


def test_a_companion_lies_at_the_centre_and_its_host_beside_it(galaxy):
    drawn = draw_companion(galaxy, 25.0, galaxy, 6.0, np.random.default_rng(2))
    light = drawn.sum(axis=-1).astype(float)
    assert light[62:66, 62:66].mean() > 1.2 * np.median(light[56:72, 56:72])
    # The host's nucleus is elsewhere.
    peaks = light.copy()
    peaks[54:74, 54:74] = 0
    assert peaks.max() > 200


def test_a_companion_fainter_than_its_host_is_not_drawn(galaxy, sky):
    bright = np.full_like(galaxy, 200)
    assert draw_companion(bright, 25.0, sky, 6.0, np.random.default_rng(2)) is None


def test_only_certain_small_galaxies_become_companions(galaxy):
    images = np.stack([galaxy] * 5)
    targets = np.array([[1, 0], [1, 0], [0, 1], [0.8, 0.2], [1, 0]])
    small = find_small_galaxies(images, targets, np.array([6.0, 30.0, 6.0, 6.0, np.nan]))
    assert [radius for _, radius in small] == [6.0]


@needs_backend
@pytest.mark.parametrize("start", ["embedded", "robust"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_models_with_and_without_other_can_be_fine_tuned(start, n_classes):
    from shredfinder.models.model import TrainedModel
    from shredfinder.training.workflow import adapt_weights

    import_keras()
    known = TrainedModel.read(None if start == "embedded" else start)
    network = build_network("compact", (128, 128, 3), n_classes)
    weights = adapt_weights(known, network, known.description.bands)
    network.set_weights(weights)
    images = np.random.default_rng(0).random((3, 128, 128, 3), dtype=np.float32)
    p = np.asarray(network.predict(images, verbose=0))
    logits, _ = known.network.evaluate(images)
    np.testing.assert_allclose(np.log(p[:, 1] / p[:, 0]), logits, atol=1e-3)


@needs_backend
@pytest.mark.parametrize("kept", [0.0, 0.25, 1.0])
def test_a_share_of_the_initial_weights_is_kept(galaxy, kept):
    images, y = np.stack([galaxy] * 4), np.array([0, 1, 0, 1])
    recipe = dataclasses.replace(RECIPES["compact"], kept=kept)
    plain = dataclasses.replace(recipe, kept=0.0)
    models = []
    for used in (plain, recipe):
        classifier = ShredClassifier.load().set_params(random_state=1)
        classifier.fit(images, y, recipe=used, epochs=1, validation=None, progress=False)
        models.append(classifier.model_.weights)
    old = ShredClassifier.load().model_.weights
    for a, b, c in zip(old[:-2], *(model[:-2] for model in models), strict=True):
        np.testing.assert_allclose(c, kept * a + (1 - kept) * b, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(models[0][-1], models[1][-1])


@needs_backend
def test_statistics_of_images():
    keras = import_keras()
    images = np.random.default_rng(0).integers(0, 255, (8, 16, 16, 3), dtype=np.uint8)
    targets = np.array([[1, 0, 0], [0, 1, 0]] * 4, np.float32)
    layer = keras.layers.BatchNormalization()
    network = keras.Sequential([keras.Input((16, 16, 3)), layer])
    # Rotations and reflections do not change the mean; reddening and moving would.
    turned = Augmentation(unresampled=1.0, reddened=1.0, moved=1.0, filled=1.0)
    recipe = dataclasses.replace(RECIPES["catalogue"], augmentation=turned)
    renew_statistics(network, images, targets, recipe=recipe, color_mapping="legacy-grz")
    mean, variance = (keras.ops.convert_to_numpy(v) for v in network.weights[2:])
    np.testing.assert_allclose(mean, (images / 255).mean(axis=(0, 1, 2)), rtol=1e-4)
    np.testing.assert_allclose(variance, (images / 255).var(axis=(0, 1, 2)), rtol=1e-3)
    assert layer.momentum == 0.99


@needs_backend
@pytest.mark.parametrize(("reddened", "renewed"), [(1.0, True), (0.0, False)])
def test_statistics_of_changed_images_are_replaced(galaxy, reddened, renewed):
    images, y = np.stack([galaxy, np.rot90(galaxy)] * 2), np.array([0, 1, 0, 1])
    plain = RECIPES["compact"]
    augmentation = dataclasses.replace(plain.augmentation, reddened=reddened, max_ebv=3.0)
    recipe = dataclasses.replace(
        plain, augmentation=augmentation, make_optimizer=lambda keras, _: keras.optimizers.SGD(0.0)
    )
    classifier = ShredClassifier.load().set_params(random_state=1)
    classifier.fit(images, y, recipe=recipe, epochs=1, validation=None, progress=False)
    network = ShredClassifier.load().model_.keras_network()
    renew_statistics(network, images, np.eye(2)[y], recipe=plain, random_state=1)
    # The rate is 0, so that only the statistics change.
    equal = [
        np.allclose(a, b, rtol=1e-4, atol=1e-5)
        for a, b in zip(classifier.model_.weights[:-2], network.get_weights()[:-2], strict=True)
    ]
    assert all(equal) == renewed
