import numpy as np
import pytest

from shredfinder.evaluation import compare_aucs, compare_models, compute_metrics


def _draw(rng, n=300, same=0.0):
    """Two models' scores, equally good, with a share of their noise in common."""
    y = np.arange(n) % 2
    common = rng.normal(size=n)
    scores = [y + np.sqrt(same) * common + np.sqrt(1 - same) * rng.normal(size=n) for _ in "ab"]
    return y, *scores


def test_delong_follows_its_definition():
    rng = np.random.default_rng(5)
    y, a, b = _draw(rng, 40)
    a = a.round(1)  # ties count a half
    found = compare_aucs(y, a, b)
    parts = []
    for scores in (a, b):
        wins = np.sign(scores[y == 1][:, np.newaxis] - scores[y == 0]) / 2 + 0.5
        parts.append((wins.mean(1), wins.mean(0)))
    assert found["auc"] == pytest.approx(parts[0][0].mean())
    b = 1 / (1 + np.exp(-b))
    assert found["auc_other"] == pytest.approx(compute_metrics(y, b)["auc"])
    variance = sum(
        np.cov(parts[0][k], parts[1][k])[0, 0] / 20
        + np.cov(parts[0][k], parts[1][k])[1, 1] / 20
        - 2 * np.cov(parts[0][k], parts[1][k])[0, 1] / 20
        for k in (0, 1)
    )
    assert found["standard_error"] == pytest.approx(np.sqrt(variance))


def test_the_p_values_of_equal_models_are_uniform():
    rng = np.random.default_rng(2)
    p_values = [compare_aucs(*_draw(rng, same=0.7))["p_value"] for _ in range(400)]
    assert 0.02 <= np.mean(np.array(p_values) < 0.05) <= 0.085
    assert np.mean(p_values) == pytest.approx(0.5, abs=0.06)


def test_shared_errors_do_not_widen_the_interval():
    rng = np.random.default_rng(4)
    apart, alike = (compare_aucs(*_draw(rng, same=same)) for same in (0.0, 0.95))
    assert alike["standard_error"] < 0.5 * apart["standard_error"]


def test_bootstrap_agrees_with_delong_for_independent_sources():
    rng = np.random.default_rng(6)
    y, a, b = _draw(rng, 400)
    a, b = (1 / (1 + np.exp(-x)) for x in (a, b))
    delong = compare_aucs(y, a, b)
    found = compare_models(y, a, b, n_resamples=300)["auc"]
    assert found["difference"] == pytest.approx(delong["difference"])
    width = found["high"] - found["low"]
    assert width == pytest.approx(delong["high"] - delong["low"], rel=0.2)


def test_groups_widen_the_interval_and_unscored_sources_are_ignored():
    rng = np.random.default_rng(7)
    y = np.repeat(np.arange(60) % 2, 8)
    a, b = (np.clip(y + np.repeat(rng.normal(0, 0.6, 60), 8), 0, 1) for _ in "ab")
    b[:16] = np.nan
    single, grouped = (
        compare_models(y, a, b, groups, n_resamples=200)["accuracy"]
        for groups in (None, np.repeat(np.arange(60), 8))
    )
    assert grouped["high"] - grouped["low"] > 1.8 * (single["high"] - single["low"])
    assert compare_aucs(y, a, b)["n"] == 464
    same = compare_aucs(y, a, a)
    assert (same["difference"], same["p_value"]) == (0, 1)


def test_too_few_sources_are_refused():
    with pytest.raises(ValueError, match="1 galaxies and 2 shreds"):
        compare_aucs([0, 1, 1], [0.1, 0.9, 0.8], [0.1, 0.8, 0.9])
    with pytest.raises(ValueError, match="must have the same shape"):
        compare_aucs([0, 1], [0.1, 0.9], [0.1])
