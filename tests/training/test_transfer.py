"""Fine-tuning, on the same bands and on others."""

import numpy as np
import pytest

from shredfinder import Cutouts, ShredClassifier
from shredfinder.models import build_network
from shredfinder.training import import_keras
from shredfinder.training.workflow import adapt_weights
from tests.conftest import make_images, needs_backend

pytestmark = needs_backend


def make_network(n_bands, size=32):
    import_keras()
    return build_network("compact", (size, size, n_bands))


def test_the_same_bands_keep_all_weights(toy_classifier):
    model = toy_classifier.model_
    adapted = adapt_weights(model, make_network(3), model.description.bands)
    for weight, kept in zip(adapted, model.weights, strict=True):
        np.testing.assert_array_equal(weight, kept)


@pytest.mark.parametrize("bands", ["ugriz", "grizy", "irg", "grz"])
def test_an_image_equal_in_all_bands_keeps_its_score(toy_classifier, bands):
    model = toy_classifier.model_
    network = make_network(len(bands))
    weights = adapt_weights(model, network, bands)
    rng = np.random.default_rng(0)
    plane = rng.random((4, 32, 32, 1), dtype=np.float32)
    network.set_weights(weights)
    old = model.keras_network().predict(plane.repeat(3, axis=3), verbose=0)
    new = network.predict(plane.repeat(len(bands), axis=3), verbose=0)
    np.testing.assert_allclose(new, old, atol=1e-5)


def test_bands_take_the_nearest_kernels(toy_classifier):
    model = toy_classifier.model_  # bands z, r, g
    weights = adapt_weights(model, make_network(5), "ugriz")
    old = model.weights[0].reshape(3, 3, 3, 3, -1)
    new = weights[0].reshape(3, 3, 3, 5, -1)
    z, r, g = (old[:, :, :, k] for k in range(3))
    # u is nearest to g; i, at 752 nm, to z (866) rather than r (617).
    for k, (kernel, share) in enumerate([(g, 2), (g, 2), (r, 1), (z, 2), (z, 2)]):
        np.testing.assert_allclose(new[:, :, :, k], kernel / share)


def test_a_band_of_unknown_wavelength(toy_classifier):
    with pytest.raises(
        ValueError, match="wavelength of band 'halpha' is unknown: known bands are u"
    ):
        adapt_weights(toy_classifier.model_, make_network(3), ("z", "r", "halpha"))


@pytest.fixture(scope="module")
def tiny_classifier(tiny, toy_images):
    classifier = ShredClassifier(tiny, random_state=1, epochs=12)
    return classifier.fit(*toy_images, progress=False)


def test_fit_fine_tunes_a_saved_model(tiny_classifier, toy_images, tmp_path):
    tiny_classifier.save(tmp_path / "start.shredmodel")
    images, y = toy_images
    start = ShredClassifier.load(tmp_path / "start.shredmodel")
    before = start.model_.weights
    tuned = start.fit(images, y, epochs=1, progress=False)
    moved = [np.abs(a - b).max() for a, b in zip(tuned.model_.weights, before, strict=True)]
    assert 0 < max(moved) < 1
    # One epoch of small steps does not undo what the network had learnt.
    assert tuned.score(images, y) > 0.9
    training = tuned.model_.description.training
    assert training["started_from"]["sha256"] == tiny_classifier.model_.sha256
    assert tuned.model_.description.color_mapping == "legacy-grz"


def test_fit_fine_tunes_on_five_bands(tiny_classifier, tmp_path):
    tiny_classifier.save(tmp_path / "start.shredmodel")
    images, y = make_images(40, n_bands=5)
    cutouts = Cutouts(images, pixel_scale=0.396, bands="ugriz")
    tuned = ShredClassifier.load(tmp_path / "start.shredmodel")
    tuned.fit(cutouts, y, epochs=2, progress=False)
    tuned.save(tmp_path / "tuned.shredmodel")
    loaded = ShredClassifier.load(tmp_path / "tuned.shredmodel")
    assert loaded.model_.description.bands == list("ugriz")
    assert loaded.model_.description.pixel_scale == 0.396
    np.testing.assert_allclose(
        loaded.predict_proba(cutouts), tuned.predict_proba(cutouts), atol=1e-6
    )


def test_another_architecture_is_refused(toy_classifier, toy_images, tmp_path):
    toy_classifier.save(tmp_path / "start.shredmodel")
    start = ShredClassifier.load(tmp_path / "start.shredmodel")
    start.set_params(architecture="published")
    images, y = make_images(20, size=128)
    with pytest.raises(ValueError, match=r"cannot fine-tune .*compact, 32×32 px\) as a published"):
        start.fit(images, y, epochs=1, progress=False)
