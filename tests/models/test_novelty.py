import json

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from shredfinder import ShredClassifier
from shredfinder.datasets import degrade_cutouts, make_field
from shredfinder.datasets.observing import NOISE
from shredfinder.exceptions import ModelFileError
from shredfinder.imaging import flux_to_rgb
from shredfinder.models import ModelDescription, NoveltyMeasure
from shredfinder.models.novelty import image_statistics
from tests.conftest import make_images, needs_backend


@pytest.fixture(scope="module")
def field():
    return make_field(size=512, n_hosts=3, random_state=3)


@pytest.fixture(scope="module")
def shipped():
    return ShredClassifier.load().model_.novelty


def _observe(field, noise, blur=0.0):
    """Return images of the field with scaled noise in g, r and z, blurred by a Gaussian."""
    rng = np.random.default_rng(0)
    fluxes = np.stack([gaussian_filter(plane, blur) for plane in field.model])
    for plane, band, factor in zip(fluxes, "grz", noise, strict=True):
        plane += NOISE[band] * factor * rng.standard_normal(plane.shape)
    image = flux_to_rgb(fluxes, "grz")
    return np.stack([image[y : y + 128, x : x + 128] for y in (0, 200, 380) for x in (0, 200, 380)])


def _draw_patterns():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:128, :128]
    gradient = (x + y)[..., np.newaxis] * [0.9, 0.7, 0.5] + rng.normal(0, 2, (128, 128, 3))
    letters = np.full((128, 128, 3), 255)
    letters[(y % 12 < 8) & ((x // 3) % 2 == 0) & (rng.random((128, 128)) < 0.7)] = 0
    board = np.where((x // 8 + y // 8) % 2, 200, 40)[..., np.newaxis] + rng.integers(
        0, 3, (128, 128, 3)
    )
    clouds = 60 + 850 * gaussian_filter(rng.standard_normal((128, 128, 3)), (4, 4, 0))
    images = {
        "noise": rng.integers(0, 255, (128, 128, 3)),
        "noise of the sky's level": rng.normal(32, 6, (128, 128, 3)),
        "smooth noise": clouds,
        "gradient": gradient,
        "letters": letters,
        "checkerboard": board,
    }
    return {name: np.clip(image, 0, 255).astype(np.uint8) for name, image in images.items()}


def test_artificial_patterns_are_novel(shipped):
    images = _draw_patterns()
    novelty = dict(zip(images, shipped.measure(np.stack(list(images.values()))), strict=True))
    assert min(novelty.values()) > 1.2, novelty


def test_simulated_fields_are_familiar_and_sdss_like_ones_are_not(field, shipped):
    for compress in (True, False):
        own = shipped.measure(field.cutouts(compress=compress).images)
        assert np.mean(own > 1) < 0.1
    # The noise of SDSS and Pan-STARRS1, see studies/unfamiliar.py.
    sdss = shipped.measure(_observe(field, (1.9, 1.6, 4.3), blur=0.71))
    ps1 = shipped.measure(_observe(field, (1.75, 1.1, 1.1), blur=0.43))
    assert np.median(sdss) > 1
    assert np.median(ps1) < 1  # not recognised, as documented


def test_orientation_does_not_matter(field, shipped):
    images = field.cutouts().images
    before = shipped.measure(images)
    for turned in (images[:, ::-1], np.rot90(images, axes=(1, 2))):
        np.testing.assert_allclose(shipped.measure(turned), before, atol=0.5)


def test_float_and_integer_images_measure_alike():
    images, _ = make_images(10, size=64)
    np.testing.assert_allclose(
        image_statistics(images), image_statistics(images / np.float32(255)), atol=1e-4
    )


def test_a_measure_is_fitted_stored_and_read():
    images, _ = make_images(240, size=64, n_bands=5)
    measure = NoveltyMeasure.of_images(images[:200])
    assert np.mean(measure.measure(images[200:]) > 1) < 0.2
    assert measure.measure(255 - images[200:]).min() > 2
    again = NoveltyMeasure.from_dict(json.loads(json.dumps(measure.to_dict())))
    np.testing.assert_allclose(again.measure(images), measure.measure(images), rtol=1e-3)
    # Too few images, or too small ones.
    assert NoveltyMeasure.of_images(images[:50]) is None
    assert NoveltyMeasure.of_images(images[:, :28, :28]) is None


def test_invalid_statistics_are_refused_and_unknown_kinds_are_none(shipped):
    values = shipped.to_dict()
    assert NoveltyMeasure.from_dict(values | {"kind": "of a later version"}) is None
    description = ShredClassifier.load().model_.description.to_dict()
    for broken in ({"limit": -1}, {"scale": [0.0] * 19}, {"mean": [1.0]}, {"precision": "none"}):
        with pytest.raises(ValueError, match="statistics of the training images"):
            NoveltyMeasure.from_dict(values | broken)
        with pytest.raises(ModelFileError, match="invalid novelty"):
            ModelDescription.from_dict(description | {"novelty": values | broken})


def test_the_packages_models_have_measures_of_their_own(field):
    poor = degrade_cutouts(field.cutouts(), "sdss-dr17", random_state=1).images
    shares = [
        np.mean(ShredClassifier.load(name).predict_details(poor)["p_cnn_novelty"] > 1)
        for name in ("embedded", "robust")
    ]
    assert shares[0] > 0.5
    assert shares[1] < 0.1


@needs_backend
def test_fit_saves_a_measure(tiny, tmp_path):
    images, y = make_images(120, size=32)
    classifier = ShredClassifier(tiny, random_state=0)
    classifier.fit(images, y, epochs=1, progress=False)
    path = tmp_path / "model.shredmodel"
    classifier.save(path)
    details = ShredClassifier.load(path).predict_details(np.r_[images[:40], 255 - images[:2]])
    assert np.mean(details["p_cnn_novelty"][:40] > 1) < 0.3
    assert details["p_cnn_novelty"][40:].min() > 1
    classifier.fit(images[:60], y[:60], epochs=1, progress=False)
    with pytest.raises(ValueError, match="has no statistics of its training images"):
        classifier.predict_details(images)
    assert classifier.predict_details(images[:2], novelty=False).colnames[-1] == "p_cnn_std"
