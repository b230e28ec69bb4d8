"""An estimated prior is recorded with its uncertainty, and refused a silent small sample."""

import warnings

import numpy as np
import pytest

from shredfinder import ShredTable
from shredfinder.bulk import classify_catalogue
from shredfinder.datasets import make_field
from shredfinder.exceptions import ShredfinderWarning
from shredfinder.models import PriorEstimate, estimate_prior
from shredfinder.models.calibration import Scores


def draw_scores(truth, n, rng):
    """Exact posteriors of two Gaussians, at a training prior of 0.4."""
    is_shred = rng.random(n) < truth
    score = rng.normal(np.where(is_shred, 1.5, -1.5), 1)
    return 1 / (1 + np.exp(-3 * score) * 0.6 / 0.4)


@pytest.mark.parametrize(("truth", "n"), [(0.02, 300), (0.05, 300), (0.2, 1000)])
def test_the_error_is_the_scatter_of_the_estimate(truth, n):
    rng = np.random.default_rng(1)
    estimates = [estimate_prior(draw_scores(truth, n, rng), 0.4) for _ in range(200)]
    scatter = np.std(np.array(estimates, float))
    assert np.median([estimate.error for estimate in estimates]) == pytest.approx(scatter, rel=0.15)
    within = [abs(estimate - truth) < estimate.error for estimate in estimates]
    assert 0.6 < np.mean(within) < 0.76
    bootstrapped = rng.choice(draw_scores(truth, n, rng), (100, n))
    again = np.std([float(estimate_prior(p, 0.4)) for p in bootstrapped])
    assert again == pytest.approx(scatter, rel=0.5)


@pytest.mark.parametrize("p", [1e-9, 1 - 1e-9])
def test_the_error_where_all_are_alike(p):
    estimate = estimate_prior(np.full(1000, p), 0.4)
    # The likelihood of no shred among 1000 sources falls by e within 1/1000.
    assert estimate.error == pytest.approx(0.001, rel=0.7)


@pytest.mark.parametrize("n", [0, 299, 300])
def test_small_samples_cause_a_warning(n):
    p_cnn = draw_scores(0.1, n, np.random.default_rng(2))
    scores = Scores(np.r_[p_cnn, np.nan], np.full(n + 1, ""), 0.4)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        prior = scores.estimate_prior()
    assert (prior is None) == (n == 0)
    assert [warning.category for warning in caught] == [ShredfinderWarning] * (n < 300)
    assert all(f"only {n} scored" in str(warning.message) for warning in caught)


@pytest.mark.parametrize("suffix", ["ecsv", "fits"])
def test_files_keep_the_estimate(tmp_path, suffix):
    field = make_field(size=320, n_hosts=1, random_state=1)
    cutouts = field.cutouts()[:6]
    table = ShredTable({"objID": np.arange(6)})
    table.write(tmp_path / f"in.{suffix}")
    cutouts.write(tmp_path / "cutouts", names=[f"{i}.png" for i in range(6)])
    with pytest.warns(ShredfinderWarning, match="only 6 scored sources"):
        scored = classify_catalogue(
            tmp_path / f"in.{suffix}",
            tmp_path / f"out.{suffix}",
            cutouts=tmp_path / "cutouts",
            pattern="{objID}.png",
            prior="estimate",
            progress=False,
        )
    assert isinstance(scored.prior, PriorEstimate)
    for name in ("p_cnn", "p_cnn_flag"):
        facts = ShredTable.read(tmp_path / f"out.{suffix}")[name].meta["shredfinder"]
        assert facts["prior"] == pytest.approx(float(scored.prior), rel=1e-5)
        assert facts["prior_error"] == pytest.approx(scored.prior.error, rel=1e-5)
        assert facts["prior_source"] == "estimate"
