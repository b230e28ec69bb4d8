import numpy as np
import pytest
from astropy.table import Table

from shredfinder import ShredClassifier, ShredEnsemble, add_p_cnn
from shredfinder.exceptions import NotFittedError
from shredfinder.models.calibration import Calibration
from tests.conftest import needs_backend


@pytest.fixture
def members():
    """The embedded model, and the same, half as sure."""
    first, second = ShredClassifier.load(), ShredClassifier.load()
    second.model_ = second.model_.calibrated(Calibration(2.0))
    return [first, second]


@pytest.fixture(scope="module")
def images():
    images = np.random.default_rng(0).integers(20, 60, (6, 128, 128, 3), dtype=np.uint8)
    images[::2, 60:68, 60:68] += 100
    images[5] = 32
    return images


def test_the_mean_is_that_of_the_logits(members, images):
    ensemble = ShredEnsemble(members)
    p, flags = ensemble.predict_p_cnn(images)
    logits = [np.log(q / (1 - q)) for q in (m.predict_p_cnn(images)[0] for m in members)]
    np.testing.assert_allclose(np.log(p / (1 - p)), np.mean(logits, axis=0), rtol=1e-3)
    assert flags.tolist() == [""] * 5 + ["blank"]
    assert np.isnan(p[5])


def test_the_spread_is_that_of_sides_and_members(members, images):
    details = ShredEnsemble(members).predict_details(images)
    views = []
    for member in members:
        _, sides = member.model_.score(images[:5], "none", views=True)
        views.append(sides)
    assert views[0].shape == (5, 8)
    expected = np.concatenate(views, axis=1).std(axis=1)
    np.testing.assert_allclose(details["p_cnn_std"][:5], expected, atol=1e-5)
    single = members[0].predict_details(images)
    np.testing.assert_array_equal(details["p_cnn_novelty"], single["p_cnn_novelty"])


def test_tables_are_scored_and_know_by_what(members, images):
    table = Table({"objID": np.arange(6)})
    add_p_cnn(table, ShredEnsemble(members), cutouts=images, std=True, prior=0.05)
    assert table.colnames == ["objID", "p_cnn", "p_cnn_flag", "p_cnn_std"]
    provenance = table["p_cnn"].info.meta["shredfinder"]
    assert provenance["model"].startswith("ensemble of 2: legacy-dr9")
    assert len(provenance["sha256"]) == 64
    assert provenance["sha256"] != members[0].provenance["sha256"]


def test_what_is_no_ensemble_is_refused(members):
    with pytest.raises(ValueError, match="at least one member"):
        ShredEnsemble([])
    with pytest.raises(NotFittedError):
        ShredEnsemble([ShredClassifier()])
    # What belongs to a single model is its members', not refused when it is called.
    for name in ("save", "calibrate", "keras_network"):
        assert not hasattr(ShredEnsemble(members), name)


@needs_backend
def test_members_of_other_images_are_refused(members, toy_classifier):
    with pytest.raises(ValueError, match=r"differs from .* in size"):
        ShredEnsemble([members[0], toy_classifier])
