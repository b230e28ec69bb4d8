import numpy as np
import pytest
from astropy.table import Table

from shredfinder import ShredClassifier, ShredEnsemble, add_p_cnn
from shredfinder.exceptions import NotFittedError
from shredfinder.models.calibration import Calibration
from tests.conftest import galaxy_images, needs_backend


@pytest.fixture
def members():
    """Return the embedded model, and the same with halved logits."""
    first, second = ShredClassifier.load(), ShredClassifier.load()
    second.model_ = second.model_.calibrated(Calibration(2.0))
    return [first, second]


@pytest.fixture(scope="module")
def images():
    images = galaxy_images(6).copy()
    images[5] = 32
    return images


def test_ensembles_average_logits(members, images):
    ensemble = ShredEnsemble(members)
    p, flags = ensemble.predict_p_cnn(images)
    logits = [np.log(q / (1 - q)) for q in (m.predict_p_cnn(images)[0] for m in members)]
    np.testing.assert_allclose(np.log(p / (1 - p)), np.mean(logits, axis=0), rtol=1e-3)
    assert flags.tolist() == [""] * 5 + ["blank"]
    assert np.isnan(p[5])


def test_std_is_the_scatter_over_symmetries_and_members(members, images):
    details = ShredEnsemble(members).predict_details(images)
    views = []
    for member in members:
        _, _, member_views = member.model_.score_views(images[:5], "none")
        views.append(member_views)
    assert views[0].shape == (5, 8)
    expected = np.concatenate(views, axis=1).std(axis=1)
    np.testing.assert_allclose(details["p_cnn_std"][:5], expected, atol=1e-5)
    single = members[0].predict_details(images)
    np.testing.assert_array_equal(details["p_cnn_novelty"], single["p_cnn_novelty"])


def test_tables_record_the_ensemble(members, images):
    table = Table({"objID": np.arange(6)})
    add_p_cnn(table, ShredEnsemble(members), cutouts=images, std=True, prior=0.05)
    assert table.colnames == ["objID", "p_cnn", "p_cnn_flag", "p_cnn_std"]
    provenance = table["p_cnn"].info.meta["shredfinder"]
    assert provenance["model"].startswith("ensemble of 2: legacy-dr9")
    assert len(provenance["sha256"]) == 64
    assert provenance["sha256"] != members[0].provenance["sha256"]


def test_invalid_ensembles_are_refused(members):
    with pytest.raises(ValueError, match="at least one member"):
        ShredEnsemble([])
    with pytest.raises(NotFittedError):
        ShredEnsemble([ShredClassifier()])
    # Methods of single models do not exist, instead of failing when they are called.
    for name in ("save", "calibrate", "keras_network"):
        assert not hasattr(ShredEnsemble(members), name)


@needs_backend
def test_members_for_other_images_are_refused(members, toy_classifier):
    with pytest.raises(ValueError, match=r"differs from .* in size"):
        ShredEnsemble([members[0], toy_classifier])
