"""The score of the model for poorer images as an optional column."""

import numpy as np
import pytest
from astropy.table import Table

from shredfinder import ShredClassifier, add_p_cnn
from shredfinder.bulk import classify_catalogue
from shredfinder.datasets import make_field
from shredfinder.models import adjust_prior


@pytest.fixture(scope="module")
def cutouts():
    return make_field(size=512, n_hosts=2, random_state=5).cutouts()


@pytest.fixture(scope="module")
def robust(cutouts):
    return ShredClassifier.load("robust").predict_p_cnn(cutouts)[0]


def test_column_holds_the_other_models_score(cutouts, robust):
    table = Table({"objID": np.arange(len(cutouts))})
    add_p_cnn(table, cutouts=cutouts, robust=True)
    training = [
        ShredClassifier.load(name).model_.description.training_prior for name in (None, "robust")
    ]
    np.testing.assert_allclose(
        table["p_cnn_robust"], adjust_prior(robust, training[0], training[1]), atol=1e-6
    )
    assert "poorer images" in table["p_cnn_robust"].description
    add_p_cnn(table, cutouts=cutouts)
    assert "p_cnn_robust" not in table.colnames


def test_column_follows_the_prior(cutouts):
    classifier = ShredClassifier.load()
    plain = classifier.predict_details(cutouts, std=False, novelty=False, robust=True)
    rare = classifier.predict_details(cutouts, std=False, novelty=False, robust=True, prior=0.05)
    expected = adjust_prior(
        plain["p_cnn_robust"], 0.05, classifier.model_.description.training_prior
    )
    np.testing.assert_allclose(rare["p_cnn_robust"], expected, atol=1e-5)


def test_column_in_a_catalogue_file(cutouts, tmp_path):
    from PIL import Image

    table = Table({"objID": np.arange(4)})
    table.write(tmp_path / "in.fits")
    for name in range(3):
        Image.fromarray(cutouts.images[name]).save(tmp_path / f"{name}.png")
    classify_catalogue(
        tmp_path / "in.fits", tmp_path / "out.fits", cutouts=tmp_path, robust=True, progress=False
    )
    scored = Table.read(tmp_path / "out.fits")
    known = np.isfinite(np.ma.filled(scored["p_cnn_robust"], np.nan))
    assert known.tolist() == [True, True, True, False]
