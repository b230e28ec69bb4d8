import copy
import pickle

import numpy as np
import pytest
from PIL import Image

from shredfinder import Cutouts, ShredClassifier, conf
from shredfinder.datasets import example_cutouts
from shredfinder.exceptions import CutoutMismatchError, NotFittedError, ShredfinderWarning
from tests.conftest import make_images, needs, needs_backend


@pytest.fixture(scope="module")
def classifier():
    return ShredClassifier.load()


@pytest.fixture
def images():
    # The first of them are shreds and galaxies, none of which is taken for a star.
    return example_cutouts().images[[0, 2, 4, 5, 6]]


class TestScoring:
    def test_shapes_types_and_sums(self, classifier, images):
        p = classifier.predict_proba(images)
        assert (p.shape, p.dtype) == ((5, 2), np.float32)
        np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-6)
        assert classifier.classes_.tolist() == ["galaxy", "shred"]

    def test_the_kind_of_input_does_not_matter(self, classifier, images, tmp_path):
        paths = []
        for i, image in enumerate(images):
            paths.append(tmp_path / f"{i}.png")
            Image.fromarray(image).save(paths[-1])
        p = classifier.predict_proba(images)
        for X in (
            images / np.float64(255),
            Cutouts.of_survey("legacy-dr9", images),
            paths,
            [str(path) for path in paths],
            np.array([str(path) for path in paths]),
        ):
            np.testing.assert_allclose(classifier.predict_proba(X), p, atol=1e-6)

    def test_rows_do_not_depend_on_their_batch(self, classifier, images):
        p = classifier.predict_proba(images)
        for size in (1, 2, 100):
            np.testing.assert_allclose(
                classifier.predict_proba(images, batch_size=size), p, atol=1e-5
            )
        with conf.set_temp("batch_size", 3):
            np.testing.assert_allclose(classifier.predict_proba(images), p, atol=1e-5)

    def test_unusable_rows_are_nan_and_no_other(self, classifier, images):
        images[1] = 32
        images[3, 30:90, 30:90] = 32
        p, flags = classifier.predict_p_cnn(images)
        assert np.isnan(p).tolist() == [False, True, False, True, False]
        assert flags.tolist() == ["", "blank", "", "no coverage", ""]
        classes = classifier.predict(images)
        assert classes.mask.tolist() == np.isnan(p).tolist()
        assert set(classes.compressed()) <= {"galaxy", "shred"}

    def test_empty_input(self, classifier):
        assert classifier.predict_proba(np.empty((0, 128, 128, 3), np.uint8)).shape == (0, 2)
        assert classifier.predict_proba([]).shape == (0, 2)

    def test_averaging_makes_scores_symmetric(self, images):
        classifier = ShredClassifier.load().set_params(symmetry="all")
        turned = np.rot90(images, 1, axes=(1, 2))[:, ::-1]
        p = classifier.predict_proba(images)
        np.testing.assert_allclose(classifier.predict_proba(turned), p, atol=1e-5)
        classifier.set_params(symmetry="none")
        assert abs(classifier.predict_proba(images) - p).max() > 1e-4

    def test_prior_lowers_p(self, classifier, images):
        p, _ = classifier.predict_p_cnn(images)
        corrected, _ = classifier.predict_p_cnn(images, prior=0.05)
        assert (corrected < p).all()
        with pytest.warns(ShredfinderWarning, match="only .* scored sources"):
            estimated, _ = classifier.predict_p_cnn(images, prior="estimate")
        assert np.isfinite(estimated).all()
        with pytest.raises(ValueError, match=r"fraction .* or 'estimate', not 'guess'"):
            classifier.predict_p_cnn(images, prior="guess")
        with pytest.raises(ValueError, match="between 0 and 1"):
            classifier.predict_p_cnn(images, prior=5)

    def test_score_is_over_scored_rows(self, classifier, images):
        images[1] = 32
        right = classifier.predict(images)
        y = right.filled("galaxy")
        assert classifier.score(images, y) == 1
        y[0] = {"galaxy": "shred", "shred": "galaxy"}[y[0]]
        assert classifier.score(images, y) == pytest.approx(3 / 4)
        y[2] = "other"
        with pytest.warns(ShredfinderWarning, match="1 of 5"):
            assert classifier.score(images, y) == pytest.approx(2 / 3)
        assert np.isnan(classifier.score(images[1:2], y[1:2]))


class TestMismatches:
    def test_wrong_size(self, classifier):
        with pytest.raises(CutoutMismatchError, match=r"64×64 px.*128×128"):
            classifier.predict(np.zeros((1, 64, 64, 3), np.uint8))

    def test_wrong_number_of_bands(self, classifier):
        with pytest.raises(CutoutMismatchError, match=r"5 bands.*takes 3"):
            classifier.predict(np.zeros((1, 128, 128, 5), np.float32), bands="ugriz")

    def test_bands_must_be_named_for_each_channel(self, classifier):
        with pytest.raises(ValueError, match="5 channels, got 3 bands"):
            classifier.predict(np.zeros((1, 128, 128, 5), np.float32))

    def test_wrong_pixel_scale(self, classifier, images):
        with pytest.raises(CutoutMismatchError, match=r"pixel scale is 0.262"):
            classifier.predict(images, pixel_scale=0.262)

    def test_bands_in_another_order(self, classifier, images):
        with pytest.raises(CutoutMismatchError, match="put the channels in the model's order"):
            classifier.predict(images, bands="grz")

    def test_other_colors_only_on_request_and_flagged(self, classifier, images):
        images[2] = 32
        cutouts = Cutouts.of_survey("sdss-dr17", images)
        with pytest.raises(CutoutMismatchError, match="allow_other_colors=True"):
            classifier.predict(cutouts)
        p, flags = classifier.predict_p_cnn(cutouts, allow_other_colors=True)
        assert flags.tolist() == ["other colors"] * 2 + ["blank"] + ["other colors"] * 2
        assert np.isnan(p).tolist() == [False, False, True, False, False]

    def test_other_stretches_are_other_colors(self, classifier, images):
        cutouts = Cutouts.of_survey("legacy-dr9", images, color_mapping="lupton")
        with pytest.raises(CutoutMismatchError, match="lupton"):
            classifier.predict(cutouts)

    def test_scoring_before_fitting(self, images):
        with pytest.raises(NotFittedError, match="call fit"):
            ShredClassifier().predict(images)


def test_a_loaded_model_can_be_pickled_and_copied(classifier, images):
    p = classifier.predict_proba(images)
    for other in (pickle.loads(pickle.dumps(classifier)), copy.deepcopy(classifier)):
        np.testing.assert_array_equal(other.predict_proba(images), p)


def test_provenance_names_the_model(classifier):
    provenance = classifier.provenance
    assert provenance["survey"] == "legacy-dr9"
    assert len(provenance["sha256"]) == 64
    assert classifier.size_ == (128, 128)
    assert classifier.bands_ == ("z", "r", "g")
    assert "not fitted" in repr(ShredClassifier())
    assert provenance["model"] in repr(classifier)


@needs_backend
class TestFitting:
    def test_the_network_learns(self, toy_classifier):
        images, y = make_images(40, seed=9)
        assert toy_classifier.score(images, y) > 0.9
        assert len(toy_classifier.history_["loss"]) == 8

    def test_keras_and_onnx_agree(self, toy_classifier, toy_images):
        images, _ = toy_images
        plain = copy.deepcopy(toy_classifier).set_params(symmetry="none")
        network = toy_classifier.keras_network()
        keras_p = network.predict(images.astype(np.float32) / 255, verbose=0)
        np.testing.assert_allclose(plain.predict_proba(images), keras_p, atol=1e-4)

    def test_the_embedded_model_agrees_with_keras(self, classifier, images):
        plain = copy.deepcopy(classifier).set_params(symmetry="none")
        keras_p = classifier.keras_network().predict(images.astype(np.float32) / 255, verbose=0)
        # Galaxy and shred alone, without the third class.
        keras_p = keras_p[:, :2] / keras_p[:, :2].sum(axis=1, keepdims=True)
        # The Keras network knows nothing of the calibration.
        powers = keras_p ** (1 / classifier.model_.description.temperature)
        calibrated = powers / powers.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(plain.predict_proba(images), calibrated, atol=1e-4)

    @pytest.mark.slow
    def test_the_published_network_agrees_with_keras(self):
        images, y = make_images(4, size=128)
        classifier = ShredClassifier("published", random_state=0, symmetry="none")
        classifier.fit(images, y, epochs=1, validation=None, progress=False)
        keras_p = classifier.keras_network().predict(images.astype(np.float32) / 255, verbose=0)
        np.testing.assert_allclose(classifier.predict_proba(images), keras_p, atol=1e-4)
        assert classifier.n_parameters == 10_580_258

    def test_save_and_load(self, toy_classifier, toy_images, tmp_path):
        images, _ = toy_images
        toy_classifier.save(tmp_path / "toy.shredmodel")
        loaded = ShredClassifier.load(tmp_path / "toy.shredmodel")
        np.testing.assert_array_equal(
            loaded.predict_proba(images), toy_classifier.predict_proba(images)
        )
        assert loaded.provenance == toy_classifier.provenance
        training = loaded.model_.description.training
        assert training["n_sources"] == 60
        assert training["n_shreds"] == 30
        assert len(training["data_sha256"]) == 64

    def test_a_seed_makes_it_repeatable(self, tiny, toy_images):
        images, y = toy_images
        options = {"validation": 0.25, "progress": False}
        p = [
            ShredClassifier(tiny, random_state=seed).fit(images, y, **options).predict_proba(images)
            for seed in (4, 4, 5)
        ]
        np.testing.assert_array_equal(p[0], p[1])
        assert abs(p[0] - p[2]).max() > 1e-3

    def test_names_numbers_booleans_and_floats_are_the_same_labels(self, tiny, toy_images):
        images, y = toy_images
        first, *others = (
            ShredClassifier(tiny, random_state=4)
            .fit(images, labels, epochs=1, progress=False)
            .predict_proba(images)
            for labels in (y, np.where(y, "shred", "galaxy"), y.astype(bool), y.astype(float))
        )
        for p in others:
            np.testing.assert_array_equal(p, first)

    def test_soft_labels_teach_soft_scores(self, tiny, toy_images):
        images, y = toy_images
        classifier = ShredClassifier(tiny, random_state=4)
        classifier.fit(images, 0.3 + 0.4 * y, epochs=20, progress=False)
        p_cnn, _ = classifier.predict_p_cnn(images)
        assert p_cnn[y == 1].mean() == pytest.approx(0.7, abs=0.1)
        assert p_cnn[y == 0].mean() == pytest.approx(0.3, abs=0.1)
        assert classifier.classes_.tolist() == ["galaxy", "shred"]
        assert classifier.model_.description.training_prior == pytest.approx(0.5)

    def test_other_and_unusable_rows_are_ignored(self, tiny, toy_images):
        images, y = toy_images
        images, labels = images.copy(), np.where(y, "shred", "galaxy").astype("U6")
        images[:3] = 32
        labels[5:7] = "other"
        with pytest.warns(ShredfinderWarning, match="2 of 60"):
            classifier = ShredClassifier(tiny).fit(images, labels, epochs=1, progress=False)
        assert classifier.model_.description.training["n_sources"] == 55

    def test_five_bands_train_score_save_and_load(self, tiny, tmp_path):
        images, y = make_images(24, n_bands=5)
        stacks = images.astype(np.float32) / 255
        classifier = ShredClassifier(tiny, bands="ugriz", random_state=0)
        classifier.fit(stacks, y, epochs=1, batch_size=8, progress=False)
        classifier.save(tmp_path / "five.shredmodel")
        loaded = ShredClassifier.load(tmp_path / "five.shredmodel")
        assert loaded.bands_ == tuple("ugriz")
        np.testing.assert_array_equal(
            loaded.predict_proba(stacks), classifier.predict_proba(stacks)
        )
        with pytest.raises(CutoutMismatchError, match="3 bands"):
            loaded.predict(stacks[..., :3], bands="gri")

    def test_early_stopping_keeps_the_best_epoch(self, tiny, toy_images):
        images, y = toy_images
        # The more it learns, the worse it does on images with the wrong labels.
        options = {"validation": (images[:20], 1 - y[:20]), "progress": False}
        classifier = ShredClassifier(tiny, random_state=0)
        classifier.fit(images, y, patience=2, epochs=30, **options)
        losses = classifier.history_["val_loss"]
        best = int(np.argmin(losses))
        assert len(losses) - 1 - best == 2
        shorter = ShredClassifier(tiny, random_state=0)
        shorter.fit(images, y, epochs=best + 1, **options)
        np.testing.assert_allclose(
            classifier.predict_proba(images), shorter.predict_proba(images), atol=1e-5
        )

    def test_validation_keeps_groups_together(self, tiny, toy_images):
        images, y = toy_images
        groups = np.arange(60) // 20
        classifier = ShredClassifier(tiny, random_state=0)
        classifier.fit(images, y, groups=groups, validation=0.34, epochs=1, progress=False)
        assert set(classifier.history_) == {"loss", "accuracy", "val_loss", "val_accuracy"}
        assert classifier.model_.description.training["n_sources"] == 40

    def test_an_interrupted_training_resumes(self, tiny, toy_images, tmp_path, monkeypatch):
        images, y = toy_images
        options = {"epochs": 3, "validation": 0.25, "progress": False}
        whole = ShredClassifier(tiny, random_state=2).fit(images, y, **options)

        from shredfinder.training import fitting

        finish = fitting._TrainingState.finish_epoch

        def interrupt(state, *args):
            finish(state, *args)
            if state.epoch == 2:
                raise KeyboardInterrupt

        monkeypatch.setattr(fitting._TrainingState, "finish_epoch", interrupt)
        resumed = ShredClassifier(tiny, random_state=2)
        with pytest.raises(KeyboardInterrupt):
            resumed.fit(images, y, checkpoint=tmp_path / "state", **options)
        monkeypatch.undo()
        resumed.fit(images, y, checkpoint=tmp_path / "state", **options)
        assert len(resumed.history_["loss"]) == 3
        # The last epoch agrees only roughly: dropout is drawn again after the interrupt.
        np.testing.assert_allclose(resumed.history_["loss"][:2], whole.history_["loss"][:2])
        assert resumed.history_["loss"][2] == pytest.approx(whole.history_["loss"][2], rel=0.2)
        assert resumed.history_["loss"][2] < 0.8 * resumed.history_["loss"][0]

        with pytest.raises(ValueError, match="belongs to another training"):
            ShredClassifier(tiny, random_state=3).fit(
                images, y, checkpoint=tmp_path / "state", **options
            )

    def test_a_loaded_model_is_fine_tuned(self, tiny, toy_images, tmp_path):
        images, y = toy_images
        fresh = ShredClassifier(tiny, random_state=0).fit(images, y, epochs=8, progress=False)
        fresh.save(tmp_path / "toy.shredmodel")
        loaded = ShredClassifier.load(tmp_path / "toy.shredmodel")
        assert loaded.warm_start
        loaded.fit(images, y, epochs=1, progress=False)
        assert loaded.history_["loss"][0] < 0.7 * fresh.history_["loss"][0]

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"y": np.zeros(60)}, "both classes.*only galaxy sources"),
            ({"y": np.full(60, np.nan)}, "include no sources"),
            ({"y": np.zeros(59)}, "60 images but labels"),
            ({"y": ["star"] * 60}, "unknown labels 'star'"),
            ({"y": np.full(60, 2)}, "unknown labels '2"),
            ({"sample_weight": np.ones(3)}, "must have shape .60,., one weight per image"),
            ({"sample_weight": -np.ones(60)}, "not negative"),
            ({"groups": np.ones(3)}, "60 images but groups"),
            ({"validation": 1.5}, "between 0 and 1"),
            ({"epochs": 0}, "at least 1"),
        ],
    )
    @pytest.mark.filterwarnings("ignore::shredfinder.exceptions.ShredfinderWarning")
    def test_errors_name_the_argument(self, tiny, toy_images, change, message):
        images, y = toy_images
        arguments = {"y": y, "epochs": 1, "progress": False} | change
        with pytest.raises(ValueError, match=message):
            ShredClassifier(tiny).fit(images, **arguments)


def test_fit_without_a_backend_names_the_extra(monkeypatch, toy_images):
    import importlib.util
    import sys

    monkeypatch.delitem(sys.modules, "keras", raising=False)
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    images, y = toy_images
    with pytest.raises(ImportError, match=r"pip install 'shredfinder\[torch\]'"):
        ShredClassifier().fit(images, y)


def test_a_score_that_is_not_finite_is_flagged(toy_classifier, toy_images, monkeypatch):
    images = toy_images[0][:2]
    monkeypatch.setattr(
        type(toy_classifier.model_), "score", lambda *_: (np.full(len(images), np.nan),) * 2
    )
    p_cnn, flags = toy_classifier.predict_p_cnn(images)
    assert np.isnan(p_cnn).all()
    assert (flags == "not scored").all()


def test_a_diverged_training_warns(toy_classifier, toy_images, monkeypatch):
    monkeypatch.setattr(
        "shredfinder.training.workflow.fit_network", lambda *_, **__: {"loss": [1.0, np.nan]}
    )
    with pytest.warns(ShredfinderWarning, match="diverged"):
        ShredClassifier("compact", random_state=1).fit(*toy_images, epochs=2, progress=False)


@needs("onnx")
@pytest.mark.parametrize("kind", ["uint8", "float"])
def test_a_network_in_integers_scores_alike_and_is_saved(tmp_path, kind):
    images = example_cutouts().images[:40]
    given = images if kind == "uint8" else (images / 255).astype(np.float32)
    classifier = ShredClassifier.load("robust")
    expected, _ = classifier.predict_p_cnn(images)
    assert classifier.quantize(given) is classifier
    classifier.save(tmp_path / "int8.shredmodel")
    loaded = ShredClassifier.load(tmp_path / "int8.shredmodel")
    assert loaded.provenance["model"].endswith("-int8")
    p_cnn, _ = loaded.predict_p_cnn(given)
    assert 0 < np.abs(p_cnn - expected).max() < 0.15
    assert np.abs(p_cnn - expected).mean() < 0.01
    with pytest.raises(ValueError, match="in 8-bit integers already"):
        loaded.quantize(images)
    with pytest.raises(ValueError, match="none of the 2 images is usable"):
        loaded.quantize(np.full((2, 128, 128, 3), 32, np.uint8))
