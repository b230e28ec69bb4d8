"""Models recognise their training images, so that evaluations on them are reported."""

import numpy as np
import pytest

from shredfinder import Cutouts, ShredClassifier, ShredEnsemble
from shredfinder.exceptions import ModelFileError
from shredfinder.models import ModelDescription
from shredfinder.models.sources import decode_sources, encode_sources, hash_images
from tests.conftest import make_images, needs_backend


@pytest.fixture(scope="module")
def images():
    return make_images(48, size=32)[0]


def fit(images, **options):
    y = np.arange(len(images)) % 2
    classifier = ShredClassifier(random_state=1)
    return classifier.fit(images, y, epochs=1, progress=False, **options)


def test_hashes_tell_images_apart(images):
    hashes = hash_images(images)
    assert len(np.unique(hashes)) == len(images)
    changed = images.copy()
    changed[3, 0, 0, 0] ^= 1
    assert np.flatnonzero(hash_images(changed) != hashes).tolist() == [3]
    # Colours as floats are the same images; fluxes are not colours.
    np.testing.assert_array_equal(hash_images(images / np.float32(255)), hashes)
    assert not np.isin(hash_images(images / 255, fluxes=True), hashes).any()


def test_hashes_survive_the_description(images):
    hashes = hash_images(images)
    text = encode_sources([hashes, hashes[:5]])
    assert np.isin(hashes, decode_sources(text)).all()
    assert len(decode_sources(text)) == len(images)
    # 3,200 images take less than 50 kB.
    assert len(encode_sources([np.arange(3200, dtype=np.uint64)])) < 50_000
    assert len(decode_sources(None)) == len(decode_sources("")) == 0


@pytest.mark.parametrize("value", ["no base 64", "AAAA", 7, ["AAAA"]])
def test_invalid_hashes_are_refused(value):
    description = ShredClassifier.load().model_.description.to_dict()
    with pytest.raises(ModelFileError, match="invalid sources"):
        ModelDescription.from_dict(description | {"sources": value})


def test_models_without_hashes_recognise_nothing(images):
    classifier = ShredClassifier.load()
    classifier.model_.description.sources = None
    classifier.model_.__dict__.pop("sources", None)
    cutouts = np.zeros((2, 128, 128, 3), np.uint8)
    assert not classifier.find_training_images(cutouts).any()


@needs_backend
class TestFitted:
    def test_training_images_are_found(self, images, tmp_path):
        classifier = fit(images[:24])
        expected = np.arange(48) < 24
        assert (classifier.find_training_images(images) == expected).all()
        classifier.save(tmp_path / "mine.shredmodel")
        loaded = ShredClassifier.load(tmp_path / "mine.shredmodel")
        assert (loaded.find_training_images(images) == expected).all()
        # Unusable images are no training images, even if they have the same pixels.
        flags = np.where(np.arange(48) % 2, "", "failed")
        cutouts = Cutouts.of_survey("legacy-dr9", images, flags=flags)
        assert loaded.find_training_images(cutouts).sum() == 12
        ensemble = ShredEnsemble([loaded, fit(images[40:])])
        assert ensemble.find_training_images(images).sum() == 32

    def test_validation_images_are_not_training_images(self, images):
        classifier = fit(images, validation=0.25)
        n = classifier.model_.description.training["n_sources"]
        assert n < len(images)
        assert classifier.find_training_images(images).sum() == n

    def test_fine_tuning_remembers_the_first_images(self, images):
        classifier = fit(images[:24])
        classifier.set_params(warm_start=True)
        y = np.arange(16) % 2
        classifier.fit(images[32:], y, epochs=1, progress=False)
        assert classifier.find_training_images(images).sum() == 40
