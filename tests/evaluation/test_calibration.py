import json
import zipfile

import numpy as np
import pytest

from shredfinder import ShredClassifier
from shredfinder.evaluation import calibrate_folds, calibration_error, fit_calibration
from shredfinder.exceptions import ModelFileError
from shredfinder.models.archive import EMBEDDED_MODEL


def _draw(n=3000, *, distort, seed=0):
    """Return labels, true probabilities, and those of a model that distorts the logits."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2.5, n)
    truth = 1 / (1 + np.exp(-logits))
    y = (rng.random(n) < truth).astype(int)
    return y, truth, 1 / (1 + np.exp(-distort(logits)))


def test_a_temperature_is_recovered():
    y, truth, p = _draw(distort=lambda x: 3 * x)
    calibration = fit_calibration(y, p)
    assert calibration.temperature == pytest.approx(3, rel=0.1)
    assert calibration.knots == ()
    assert np.abs(calibration.apply(p) - truth).max() < 0.03
    # Sources of other classes, unscored ones and those of zero weight do not count.
    labels = np.where(y == 1, "shred", "galaxy").astype("U6")
    p[:100], labels[100:200] = np.nan, "other"
    weight = np.r_[np.ones(1500), np.zeros(1500)]
    part = fit_calibration(y[200:1500], p[200:1500])
    weighted = fit_calibration(labels, p, sample_weight=weight)
    assert weighted.temperature == pytest.approx(part.temperature, rel=1e-5)


def test_isotonic_corrects_what_a_temperature_cannot():
    y, truth, p = _draw(distort=lambda x: x**3 / 4 - 2)
    errors = {}
    for method in ("temperature", "isotonic"):
        calibrated = fit_calibration(y, p, method=method).apply(p)
        errors[method] = np.abs(calibrated - truth).mean()
        assert (np.diff(calibrated[np.argsort(p)]) >= 0).all()
    assert errors["isotonic"] < 0.03 < 3 * errors["isotonic"] < errors["temperature"]
    # Scores stay within the limits that the number of labels justifies, and NaN stays NaN.
    calibration = fit_calibration(y, p, method="isotonic")
    ends = calibration.apply(np.array([0, 1, np.nan]))
    assert 0 < ends[0] < ends[1] < 1
    assert np.isnan(ends[2])


def test_single_precision_scores_of_0_and_1_stay_finite():
    y, p = np.array([0, 1, 0, 1, 1, 0]), np.array([0, 1, 0, 1, 0, 1], dtype=np.float32)
    calibration = fit_calibration(y, p)
    assert calibration.temperature == pytest.approx(np.exp(2), rel=1e-3)
    assert np.isfinite(calibration.apply(p)).all()


def test_each_fold_is_calibrated_by_the_others():
    y, _, p = _draw(2000, distort=lambda x: 3 * x)
    folds = np.arange(2000) % 4
    folds[:40] = -1
    calibrated = calibrate_folds(y, p, folds)
    others = (folds > 0) & (np.arange(2000) > 999)
    by_half = calibrate_folds(y, p, folds, usable=np.arange(2000) > 999)
    held = folds == 0
    np.testing.assert_allclose(by_half[held], fit_calibration(y[others], p[others]).apply(p[held]))
    assert np.isnan(calibrated[:40]).all()
    known = folds >= 0
    assert calibration_error(y[known], calibrated[known]) < 0.03
    # A fold's own labels have no influence on it.
    flipped = np.where(held, 1 - y, y)
    np.testing.assert_array_equal(calibrate_folds(flipped, p, folds)[held], calibrated[held])


def test_invalid_input():
    with pytest.raises(ValueError, match="2 have a class and a score, 0 of them shreds"):
        fit_calibration([0, 0, 1], [0.1, 0.2, np.nan])
    with pytest.raises(ValueError, match="method must be"):
        fit_calibration([0, 1], [0.1, 0.9], method="platt")
    with pytest.raises(ValueError, match=r"same shape, got \(2,\) and \(1,\)"):
        fit_calibration([0, 1], [0.1])
    with pytest.raises(ValueError, match=r"same shape, got \(2,\), \(2,\), \(1,\) and \(2,\)"):
        calibrate_folds([0, 1], [0.1, 0.9], [0])


@pytest.mark.parametrize("method", ["temperature", "isotonic"])
def test_a_model_keeps_its_calibration(method, tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (40, 128, 128, 3), dtype=np.uint8)
    images[::2, 50:80, 50:80] //= 2
    classifier = ShredClassifier.load("robust")
    # Noise is no galaxy, and would not be scored.
    classifier.model_.description.other_limit = 1.0
    before = classifier.predict_p_cnn(images)[0]
    sha256 = classifier.provenance["sha256"]
    y = rng.random(40) < 0.65 + 0.3 * (np.argsort(np.argsort(before)) / 40)
    expected = fit_calibration(y.astype(int), before, method=method).apply(before)
    assert classifier.calibrate(before, y.astype(int), method=method) is classifier
    after = classifier.predict_p_cnn(images)[0]
    np.testing.assert_allclose(after, expected, atol=2e-4)
    assert np.abs(after - before).max() > 0.05
    assert classifier.provenance["sha256"] != sha256
    classifier.save(tmp_path / "calibrated.shredmodel")
    loaded = ShredClassifier.load(tmp_path / "calibrated.shredmodel")
    np.testing.assert_array_equal(loaded.predict_p_cnn(images)[0], after)
    with zipfile.ZipFile(tmp_path / "calibrated.shredmodel") as archive:
        head = json.loads(archive.read("model.json"))
    # Versions without isotonic calibration must refuse such a file.
    assert head["format_version"] >= (2 if method == "isotonic" else 1)
    assert ("knots" in head["description"]) == (method == "isotonic")
    if method == "isotonic":
        with pytest.raises(ValueError, match="already has an isotonic calibration"):
            loaded.calibrate(after, y.astype(int))
    else:
        # A second calibration follows the first and finds nothing to correct.
        again = loaded.calibrate(after, y.astype(int)).predict_p_cnn(images)[0]
        np.testing.assert_allclose(again, after, atol=1e-3)


def test_saving_the_embedded_model_reproduces_its_bytes(tmp_path):
    ShredClassifier.load().save(tmp_path / "again.shredmodel")
    with (
        zipfile.ZipFile(EMBEDDED_MODEL) as old,
        zipfile.ZipFile(tmp_path / "again.shredmodel") as new,
    ):
        for name in ("model.json", "network.onnx"):
            assert new.read(name) == old.read(name)


@pytest.mark.parametrize(
    "knots", [[[0, 0.1]], [[1, 0.1], [0, 0.2]], [[0, 0.5], [1, 0.4]], [[0, 0.5], [1, 1.0]], "none"]
)
def test_invalid_calibrations_are_refused(knots):
    values = ShredClassifier.load().model_.description.to_dict() | {"knots": knots}
    with pytest.raises(ModelFileError, match="invalid knots"):
        type(ShredClassifier.load().model_.description).from_dict(values)
