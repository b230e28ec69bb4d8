"""Stretches convert image values to a network's input."""

import json

import numpy as np
import pytest

from shredfinder import Cutouts, ShredClassifier
from shredfinder.exceptions import CutoutMismatchError, ModelFileError
from shredfinder.models import ModelDescription, apply_stretch, fit_stretch
from shredfinder.models.description import LINEAR, is_stretch
from tests.conftest import make_images, needs_backend


@pytest.fixture
def fluxes():
    rng = np.random.default_rng(0)
    images = rng.normal(0, (0.01, 0.1), (20, 32, 32, 2)).astype(np.float32)
    images[:, 12:20, 12:20] += (1.0, 10.0)
    return images


def test_colours_are_scaled_to_one():
    images = np.array([0, 51, 255], dtype=np.uint8).reshape(1, 1, 1, 3)
    np.testing.assert_allclose(apply_stretch(images, LINEAR).ravel(), [0, 0.2, 1])
    floats = np.random.default_rng(0).random((1, 4, 4, 3), dtype=np.float32)
    assert apply_stretch(floats, LINEAR) is floats


def test_softening_is_the_noise_of_the_sky(fluxes):
    stretch = fit_stretch(fluxes)
    # An eighth of the pixels being bright makes the median deviation a tenth larger.
    np.testing.assert_allclose(stretch["softening"], [0.01, 0.1], rtol=0.15)
    assert 1.0 < stretch["white"][0] < 1.1
    assert 10 < stretch["white"][1] < 11


def test_stretched_fluxes(fluxes):
    stretched = apply_stretch(fluxes, fit_stretch(fluxes))
    assert stretched.dtype == np.float32
    assert abs(np.median(stretched)) < 0.02
    # The two bands differ by a factor of ten in flux but not in the network's input.
    center = stretched[:, 14:18, 14:18].mean(axis=(0, 1, 2))
    np.testing.assert_allclose(center, 1, atol=0.02)


def test_values_that_are_not_finite_become_sky(fluxes):
    stretch = fit_stretch(fluxes)
    fluxes[0, :4] = np.nan
    fluxes[0, 4] = np.inf
    assert (apply_stretch(fluxes, stretch)[0, :5] == 0).all()
    np.testing.assert_allclose(fit_stretch(fluxes)["white"], stretch["white"], rtol=0.01)


def test_a_channel_without_fluxes(fluxes):
    fluxes[..., 1] = np.nan
    with pytest.raises(ValueError, match="channel 1 of the images has no finite flux"):
        fit_stretch(fluxes)


def test_images_of_one_value_have_a_stretch():
    assert is_stretch(fit_stretch(np.zeros((2, 8, 8, 1))), 1)


@pytest.mark.parametrize(
    "value",
    [
        None,
        {"kind": "linear"},
        {"kind": "linear", "white": 1},
        {"kind": "asinh", "softening": [1.0], "white": [2.0]},
        {"kind": "asinh", "softening": [1.0, 0.0], "white": [2.0, 2.0]},
        {"kind": "asinh", "softening": [1.0, float("nan")], "white": [2.0, 2.0]},
        {"kind": "asinh", "softening": [1.0, "1"], "white": [2.0, 2.0]},
        {"kind": "log", "softening": [1.0, 1.0], "white": [2.0, 2.0]},
        {"kind": "asinh", "softening": [1.0, 1.0], "white": [2.0, 2.0], "more": 1},
    ],
)
def test_invalid_stretches_for_two_bands(value):
    assert not is_stretch(value, 2)
    description = ShredClassifier.load().model_.description.to_dict()
    description |= {"bands": ["g", "r"], "stretch": value}
    with pytest.raises(ModelFileError, match="invalid stretch"):
        ModelDescription.from_dict(json.loads(json.dumps(description)))


@pytest.fixture(scope="module")
def flux_cutouts():
    images, _ = make_images(40, n_bands=5)
    # Fluxes of very different levels in the five bands.
    fluxes = images.astype(np.float32) * np.logspace(-4, 0, 5, dtype=np.float32)
    return Cutouts(fluxes, pixel_scale=0.396, bands="ugriz", color_mapping="flux")


@pytest.fixture(scope="module")
def flux_classifier(tiny, flux_cutouts):
    classifier = ShredClassifier(tiny, survey="sdss-dr17", random_state=1, epochs=12)
    return classifier.fit(flux_cutouts, np.arange(40) % 2, progress=False)


@needs_backend
class TestFluxes:
    def test_train_score_save_load(self, flux_classifier, flux_cutouts, tmp_path):
        assert flux_classifier.score(flux_cutouts, np.arange(40) % 2) > 0.9
        flux_classifier.save(tmp_path / "five.shredmodel")
        loaded = ShredClassifier.load(tmp_path / "five.shredmodel")
        description = loaded.model_.description
        assert description.stretch == flux_classifier.model_.description.stretch
        assert (description.bands, description.color_mapping) == (list("ugriz"), "flux")
        np.testing.assert_allclose(
            loaded.predict_proba(flux_cutouts),
            flux_classifier.predict_proba(flux_cutouts),
            atol=1e-6,
        )
        # An array is assumed to be of the model's kind: fluxes.
        np.testing.assert_array_equal(
            loaded.predict_proba(flux_cutouts.images), loaded.predict_proba(flux_cutouts)
        )

    def test_images_with_missing_pixels_are_scored(self, flux_classifier, flux_cutouts):
        images = flux_cutouts.images[:2].copy()
        images[0, :6] = np.nan
        p_cnn, flags = flux_classifier.predict_p_cnn(images)
        assert np.isfinite(p_cnn).all()
        assert flags.tolist() == ["", ""]

    @pytest.mark.parametrize("missing", [np.nan, 0])
    def test_a_missing_band_is_refused(self, flux_classifier, flux_cutouts, missing):
        images = flux_cutouts.images[:2].copy()
        images[0, ..., 4] = missing
        p_cnn, flags = flux_classifier.predict_p_cnn(images)
        assert np.isnan(p_cnn).tolist() == [True, False]
        assert flags.tolist() == ["no coverage", ""]

    def test_colours_are_refused(self, flux_classifier):
        images = make_images(4, n_bands=5)[0]
        with pytest.raises(CutoutMismatchError, match=r"trained on .* with flux"):
            flux_classifier.predict(
                Cutouts(images, pixel_scale=0.396, bands="ugriz", color_mapping="colour")
            )

    def test_validation_images_are_stretched_too(self, tiny, flux_cutouts):
        classifier = ShredClassifier(tiny, random_state=1)
        y = np.arange(40) % 2
        classifier.fit(
            flux_cutouts[:30],
            y[:30],
            validation=(flux_cutouts[30:], y[30:]),
            epochs=12,
            progress=False,
        )
        assert classifier.history_["val_accuracy"][-1] > 0.8

    def test_fine_tuning_keeps_the_stretch(self, flux_classifier, flux_cutouts, tmp_path):
        flux_classifier.save(tmp_path / "five.shredmodel")
        start = ShredClassifier.load(tmp_path / "five.shredmodel")
        stretch = start.model_.description.stretch
        brighter = Cutouts(
            flux_cutouts.images * 2, pixel_scale=0.396, bands="ugriz", color_mapping="flux"
        )
        start.fit(brighter, np.arange(40) % 2, epochs=1, progress=False)
        assert start.model_.description.stretch == stretch
