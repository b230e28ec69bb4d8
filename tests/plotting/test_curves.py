import numpy as np
import pytest
from scipy.integrate import trapezoid

from shredfinder.evaluation import binned_metrics, compute_metrics
from shredfinder.plotting import (
    plot_binned_metrics,
    plot_history,
    plot_p_cnn,
    plot_precision_recall,
    plot_reliability,
    plot_roc,
)

pytest.importorskip("sklearn")

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def scores():
    rng = np.random.default_rng(0)
    y = np.arange(600) % 2
    p = 1 / (1 + np.exp(-rng.normal(4 * y - 2, 2)))
    p[::50] = np.nan
    folds = np.arange(600) // 120
    folds[:6] = -1
    return y, p, folds


def test_roc_of_the_folds_with_mean_and_spread(scores, tmp_path):
    y, p, folds = scores
    ax = plot_roc(y, p, folds)
    aucs = [compute_metrics(y[folds == k], p[folds == k])["auc"] for k in range(5)]
    (text,) = ax.get_legend().get_texts()
    assert text.get_text() == f"mean: AUC {np.mean(aucs):.4f} ± {np.std(aucs, ddof=1):.4f}"
    thin = [line for line in ax.lines if line.get_linewidth() == 0.5]
    assert len(thin) == 5
    # The area below the mean curve is the mean of the areas.
    thick = next(line for line in ax.lines if line.get_linewidth() == 2)
    assert trapezoid(thick.get_ydata(), thick.get_xdata()) == pytest.approx(np.mean(aucs), abs=0.01)
    (corner,) = ax.child_axes
    assert corner.get_xlim() == (0, 0.1)
    # A second classifier is drawn on the same axes and inset.
    n_before = len(corner.lines)
    assert plot_roc(y, 1 - p, folds, label="other", color="blue", ax=ax) is ax
    assert len(ax.child_axes) == 1
    assert len(corner.lines) == n_before + 6
    ax.figure.savefig(tmp_path / "roc.png")


def test_precision_at_a_prevalence_by_hand():
    y = np.repeat([0, 1], [100, 50])
    p = np.r_[np.full(96, 0.1), np.full(4, 0.9), np.full(10, 0.1), np.full(40, 0.9)]
    line = plot_precision_recall(y, p, prevalence=0.05).lines[0]
    recall, precision = line.get_data()
    found = precision[np.isclose(recall, 0.8)][0]
    assert found == pytest.approx(0.05 * 0.8 / (0.05 * 0.8 + 0.95 * 0.04))
    assert precision[-1] == pytest.approx(0.05)
    text = plot_precision_recall(y, p, label="a").get_legend().get_texts()[0].get_text()
    assert text == "a, 33% shreds"


def test_reliability_by_hand():
    y, p = [0, 1, 1, 1], [0.2, 0.2, 0.9, 0.9]
    ax = plot_reliability(y, p, n_bins=5)
    points = ax.containers[0].lines[0].get_xydata()
    np.testing.assert_allclose(points, [[0.2, 0.5], [0.9, 1]])
    assert "calibration error" in ax.get_legend().get_texts()[0].get_text()


def test_histogram_counts_every_source_once(scores):
    y, p, _ = scores
    ax = plot_p_cnn(p, y, n_bins=20)
    counts = [patch.get_data().values.sum() for patch in ax.patches]
    known = np.isfinite(p)
    assert counts == [np.sum(known & (y == 0)), np.sum(known & (y == 1))]
    plain = plot_p_cnn(p)
    assert plain.patches[0].get_data().values.sum() == known.sum()


def test_metrics_by_bins_and_by_names(scores):
    y, p, _ = scores
    values = np.linspace(15, 21, 600)
    table = binned_metrics(y, p, values, [15, 17, 19, 21], n_resamples=20)
    ax = plot_binned_metrics(table, label="r")
    assert len(ax.containers) == 3
    assert [text.get_text() for text in ax.texts] == [str(n) for n in table["n"]]
    named = plot_binned_metrics(binned_metrics(y, p, np.repeat(["a", "b"], 300)), ("auc",))
    assert [label.get_text() for label in named.get_xticklabels()] == ["a", "b"]
    with pytest.raises(ValueError, match="no column 'purity'"):
        plot_binned_metrics(table, ("purity",))


def test_history_of_several_trainings():
    short = {"loss": [1, 0.5], "accuracy": [float("nan"), 0.8]}
    long = {"loss": [1, 0.5, 0.2], "val_loss": [0.9, 0.4, 0.6], "val_accuracy": [0.5, 0.9, 0.8]}
    figure = plot_history([short, long], labels=["a", "b"])
    assert [ax.get_ylabel() for ax in figure.axes] == ["loss", "accuracy"]
    dots = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert [dot.get_xydata().tolist() for dot in dots] == [[[2, 0.4]]]
    with pytest.raises(ValueError, match="no history"):
        plot_history([])
    with pytest.raises(ValueError, match="2 histories but 1 labels"):
        plot_history([short, long], labels=["a"])


def test_invalid_input():
    for plot in (plot_roc, plot_precision_recall):
        with pytest.raises(ValueError, match="scored galaxies and scored shreds"):
            plot([0, 0], [0.1, 0.2])
        with pytest.raises(ValueError, match="folds of shape"):
            plot([0, 1], [0.1, 0.2], [0])
    with pytest.raises(ValueError, match="no source is scored"):
        plot_reliability([0, 1], [np.nan, np.nan])
    with pytest.raises(ValueError, match="classes must have the same shape as p_cnn"):
        plot_p_cnn([0.1, 0.2], [0])
