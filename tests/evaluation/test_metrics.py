import numpy as np
import pytest
import sklearn.metrics

from shredfinder.evaluation import (
    bootstrap_metrics,
    calibration_error,
    compute_metrics,
    prevalence_metrics,
)


def test_metrics_by_hand():
    # One shred missed, one galaxy classified as a shred.
    y = [0, 0, 0, 0, 1, 1, 1, 1]
    p = [0.1, 0.2, 0.3, 0.8, 0.4, 0.7, 0.9, 0.95]
    metrics = compute_metrics(y, p)
    assert metrics["n"] == 8
    assert metrics["accuracy"] == 6 / 8
    assert metrics["precision"] == metrics["recall"] == metrics["f1"] == 3 / 4
    assert metrics["specificity"] == 3 / 4
    # Of 16 pairs, (0.8 > 0.4) and (0.8 > 0.7) are in the wrong order.
    assert metrics["auc"] == 14 / 16
    assert metrics["brier"] == pytest.approx(np.mean(np.subtract(p, y) ** 2))


def test_metrics_agree_with_scikit_learn():
    rng = np.random.default_rng(1)
    y, p = rng.integers(0, 2, 500), rng.random(500).round(2)  # with ties
    metrics = compute_metrics(y, p, threshold=0.3)
    assert metrics["auc"] == pytest.approx(sklearn.metrics.roc_auc_score(y, p), abs=1e-12)
    assert metrics["brier"] == pytest.approx(sklearn.metrics.brier_score_loss(y, p), abs=1e-12)
    for name in ("accuracy", "precision", "recall", "f1"):
        score = getattr(sklearn.metrics, f"{name}_score")
        assert metrics[name] == pytest.approx(score(y, p >= 0.3), abs=1e-12)


def test_unscored_rows_are_ignored():
    assert compute_metrics([0, 1, 1], [0.1, 0.9, np.nan])["n"] == 2


def test_undefined_metrics_are_nan():
    metrics = compute_metrics([0, 0], [0.1, 0.2])
    assert np.isnan(metrics["auc"])
    assert np.isnan(metrics["recall"])
    assert metrics["n"] == 2
    empty = compute_metrics([], [])
    assert empty.pop("n") == 0
    assert np.isnan(list(empty.values())).all()
    assert np.isnan(calibration_error([], []))


def test_calibration_error_by_hand():
    # Bin of 0.2: a half are shreds, off by 0.3; bin of 0.9: all are, off by 0.1.
    assert calibration_error([0, 1, 1, 1], [0.2, 0.2, 0.9, 0.9], n_bins=5) == pytest.approx(0.2)
    assert calibration_error([1], [1.0]) == 0


def test_purity_at_prevalence_by_hand():
    y = np.repeat([0, 1], 100)
    p = np.r_[np.full(96, 0.1), np.full(4, 0.9), np.full(10, 0.1), np.full(90, 0.9)]
    metrics = prevalence_metrics(y, p, 0.05)
    assert metrics["completeness"] == 0.9
    assert metrics["purity"] == pytest.approx(0.05 * 0.9 / (0.05 * 0.9 + 0.95 * 0.04))
    # Corrected to 5 %, 0.9 becomes 0.415 and no source is classified as a shred.
    corrected = prevalence_metrics(y, p, 0.05, training_prior=0.4)
    assert corrected["completeness"] == 0


def test_invalid_input():
    with pytest.raises(ValueError, match=r"must have the shape \(n,\), got \(2,\) and \(1,\)"):
        compute_metrics([0, 1], [0.5])
    with pytest.raises(ValueError, match=r"must be in 0–1, got 0\.5 to 1\.5"):
        compute_metrics([0, 1], [0.5, 1.5])
    with pytest.raises(ValueError, match="must be 0"):
        compute_metrics([0, 2], [0.5, 0.5])


def test_intervals_contain_the_value_and_widen_with_groups():
    rng = np.random.default_rng(0)
    truth = np.repeat(rng.integers(0, 2, 60), 10)
    right = np.repeat(rng.random(60) < 0.8, 10)  # whole groups are right or wrong
    p = np.where(right, truth, 1 - truth) * 0.8 + 0.1
    options = {"metric": compute_metrics, "n_resamples": 200}
    single = bootstrap_metrics(truth, p, **options)["accuracy"]
    grouped = bootstrap_metrics(truth, p, np.repeat(np.arange(60), 10), **options)["accuracy"]
    accuracy = compute_metrics(truth, p)["accuracy"]
    assert grouped[0] < accuracy < grouped[1]
    assert grouped[1] - grouped[0] > 2 * (single[1] - single[0])
    assert bootstrap_metrics(truth, p, **options)["accuracy"] == single
