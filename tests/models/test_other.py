"""Networks with a third class, for sources that are neither galaxy nor shred."""

import dataclasses

import numpy as np
import pytest
from astropy.table import Table

from shredfinder import Cutouts, ShredClassifier, ShredEnsemble, add_p_cnn
from shredfinder.imaging import CutoutFlag
from shredfinder.models import TrainedModel, build_network
from shredfinder.training import import_keras
from tests.conftest import HAS_BACKEND, needs_backend


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(4)
    return rng.integers(0, 255, (24, 128, 128, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Write a model with three classes, whose weights are those of the embedded one."""
    if not HAS_BACKEND:
        pytest.skip("training needs torch, jax or tensorflow")
    import_keras()
    known = TrainedModel.read()
    network = build_network("compact", known.description.input_shape, 3)
    kernel, bias = known.weights[-2:]
    rng = np.random.default_rng(1)
    # The third output depends on the image, so that some are above the limit and some are not.
    column = rng.normal(0, 1.0, kernel[:, :1].shape)
    weights = [
        *known.weights[:-2],
        np.concatenate([kernel[:, :2], column], axis=1),
        np.append(bias[:2], 0.0),
    ]
    network.set_weights(weights)
    description = dataclasses.replace(
        known.description, classes=["galaxy", "shred", "other"], other_limit=0.5, knots=None
    )
    target = tmp_path_factory.mktemp("models") / "three.shredmodel"
    TrainedModel.from_network(description, network).write(target)
    return target


@pytest.fixture(scope="module")
def classifier(path):
    return ShredClassifier.load(path)


@pytest.fixture(scope="module")
def p_other(classifier, images):
    found = classifier.model_.network.evaluate((images / 255).astype(np.float32))[1]
    # Both sides of the limit occur, or the tests below would show nothing.
    classifier.model_.description.other_limit = float(np.median(found))
    assert np.ptp(found) > 0
    return found


def test_probabilities_are_those_among_galaxies_and_shreds(classifier, images, p_other):
    known = TrainedModel.read().network.logits((images / 255).astype(np.float32))
    logits = classifier.model_.network.logits((images / 255).astype(np.float32))
    np.testing.assert_allclose(logits, known, atol=1e-3)
    details = classifier.predict_details(images, std=False, novelty=False, other=True)
    np.testing.assert_allclose(details["p_other"], p_other, atol=1e-6)


@pytest.mark.parametrize("std", [False, True])
def test_sources_above_the_limit_are_flagged_and_not_scored(classifier, images, p_other, std):
    details = classifier.predict_details(images, std=std, novelty=False)
    above = p_other > classifier.model_.description.other_limit
    assert 0 < above.sum() < len(above)
    assert (details["p_cnn_flag"][above] == CutoutFlag.NOT_A_GALAXY).all()
    assert np.isnan(details["p_cnn"][above]).all()
    assert (details["p_cnn_flag"][~above] == "").all()
    assert np.isfinite(details["p_cnn"][~above]).all()


def test_flag_of_other_colors_gives_way(classifier, images, p_other):
    cutouts = Cutouts(images, pixel_scale=0.46875, bands=("i", "r", "g"), color_mapping="sdss-gri")
    _, flags = classifier.predict_p_cnn(cutouts, allow_other_colors=True)
    assert set(flags) == {"not a galaxy", "other colors"}


def test_ensembles_average_the_members(classifier, images, p_other):
    robust = ShredClassifier.load("robust")
    two = ShredEnsemble([robust, classifier])
    one, other = two.model_.score(images / np.float32(255), "none")
    known = robust.predict_details(images, std=False, novelty=False, other=True)["p_other"]
    np.testing.assert_allclose(other, (p_other + known) / 2, atol=1e-6)
    assert np.isfinite(one).all()


@needs_backend
def test_ensembles_average_the_members_that_know_the_class(classifier, images, p_other):
    two = ShredEnsemble([fit_two_classes(images), classifier])
    one, other = two.model_.score(images / np.float32(255), "none")
    np.testing.assert_allclose(other, p_other, atol=1e-6)
    assert np.isfinite(one).all()


def test_column_of_a_table(classifier, images, p_other):
    table = Table({"objID": np.arange(len(images))})
    add_p_cnn(table, classifier, images, other=True)
    np.testing.assert_allclose(table["p_other"], p_other, atol=1e-6)
    assert "star" in table["p_other"].description
    # Scored again without it, the column goes.
    add_p_cnn(table, classifier, images)
    assert "p_other" not in table.colnames


@needs_backend
def test_models_with_two_classes_have_no_such_probability(images):
    with pytest.raises(ValueError, match="has no class for sources that are neither"):
        fit_two_classes(images).predict_details(images, novelty=False, other=True)


def fit_two_classes(images):
    y = np.arange(len(images)) % 2
    settings = {"recipe": "compact", "epochs": 1, "validation": None, "progress": False}
    return ShredClassifier.load().fit(images, y, **settings)
