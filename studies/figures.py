"""Plot the figures of the documentation from the study's cross-validated scores.

    python studies/figures.py state/ catalogue --against compact

As in `summary.py`, they use the sources on which the raters agree. The images are written to
``docs/_static``.
"""

import argparse
import io
from pathlib import Path

import numpy as np
from PIL import Image
from scores import compute_scores, gather
from sources import load_sources
from study import RUNS

from shredfinder import ShredClassifier
from shredfinder.datasets import make_field
from shredfinder.evaluation import binned_metrics
from shredfinder.explanation import occlusion_maps
from shredfinder.imaging import measure_appearance
from shredfinder.plotting import (
    plot_binned_metrics,
    plot_class_gallery,
    plot_explanation,
    plot_history,
    plot_network,
    plot_p_cnn,
    plot_precision_recall,
    plot_reliability,
    plot_roc,
)
from shredfinder.plotting.style import make_figure

_OTHER = "#1f5fa8"
_RADII = [0, 2, 4, 6, 8, 12, 16, 24, 34]


def main():
    """Plot all figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("state", type=Path)
    parser.add_argument("run")
    parser.add_argument("--against", help="another run to compare with")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--output", type=Path, default=Path("docs/_static"))
    args = parser.parse_args()
    sources = load_sources(args.data)
    scores = {
        run: compute_scores(gather(args.state, run, len(sources.table))[0], sources)
        for run in (args.run, args.against)
        if run
    }
    use = sources.agreed & np.all([np.isfinite(p) for p in scores.values()], axis=0)
    rows = np.flatnonzero(use)
    scores = {run: p[rows] for run, p in scores.items()}
    y, fold = sources.shred[rows].astype(int), sources.fold[rows]
    figures = {
        "curves": plot_curves(y, scores, fold),
        "calibration": plot_calibration(y, scores),
        "by_kind_of_source": plot_bins(sources, rows, y, scores[args.run]),
        "classes": plot_class_gallery(sources.cutouts(rows), scores[args.run], y, random_state=1),
        "training": plot_training(args.state, args.run),
        "explanation": plot_occlusion(),
        "network_published": plot_network("published"),
        "network_compact": plot_network("compact"),
    }
    for name, figure in figures.items():
        save(figure, args.output / f"{name}.jpg", n_columns=1 if name == "training" else 2)


def plot_curves(y, scores, fold):
    """Plot ROC and precision-recall curves, the latter also for a shred fraction of 5 %."""
    figure = make_figure(9.4, 4.3)
    roc, pr = figure.subplots(1, 2)
    for ax in (roc, pr):
        ax.set_xlim(0, 1)
        ax.set_ylim(0, 1.005)
    for (run, p), color in zip(scores.items(), ("#c8342b", _OTHER), strict=False):
        plot_roc(y, p, fold, label=run, color=color, ax=roc)
    first = next(iter(scores))
    plot_precision_recall(y, scores[first], fold, label=first, ax=pr)
    plot_precision_recall(
        y, scores[first], fold, prevalence=0.05, label=first, color="#d99a00", ax=pr
    )
    return figure


def plot_calibration(y, scores):
    """Plot the reliability diagram and the histogram of the scores."""
    first, p = next(iter(scores.items()))
    reliability = plot_reliability(y, p, label=first)
    histogram = plot_p_cnn(p, y)
    histogram.figure.set_size_inches(4.8, 4.2)
    return side_by_side([reliability.figure, histogram.figure])


def plot_bins(sources, rows, y, p):
    """Plot metrics by the raters' confidence, by brightness and by size."""
    groups = sources.groups[rows]
    less = np.minimum(sources.table["confidence"], sources.table["confidence2"])
    appearance = measure_appearance(sources.cutouts(rows))
    words = np.array(["", "guess", "likely", "certain"])[np.asarray(less)[rows]]
    properties = [
        ("the less certain rater", words, None),
        ("central magnitude (r, within 3″)", appearance["central_mag"], 6),
        ("isophotal radius (arcsec)", appearance["isophotal_radius"], _RADII),
    ]
    figures = []
    for label, values, edges in properties:
        table = binned_metrics(y, p, values, edges, groups=groups, n_resamples=1000)
        if edges is None:
            table = table[[list(table["value"]).index(name) for name in sort_confidences(words)]]
        figures.append(plot_binned_metrics(table, label=label).figure)
    return side_by_side(figures)


def sort_confidences(words):
    """Return the confidences that occur, in increasing order."""
    return [word for word in ("guess", "likely", "certain") if word in words]


def plot_training(state, run):
    """Plot loss and accuracy by epoch, of both stages and all folds."""
    figures = []
    for name in (RUNS[run].start, run):
        paths = sorted(state.glob(f"{name}-?.shredmodel"))
        histories = [ShredClassifier.load(path).history_ for path in paths]
        labels = [f"fold {path.stem[-1]}" for path in paths]
        figures.append(plot_history(histories, labels=labels, title=f"recipe {name}"))
    return side_by_side(figures)


def plot_occlusion():
    """Plot occlusion maps of three simulated shreds and three galaxies."""
    field = make_field(size=1024, n_hosts=8, random_state=7)
    classifier = ShredClassifier.load()
    cutouts = field.cutouts()
    p, _ = classifier.predict_p_cnn(cutouts)
    truth = np.asarray(field.sources["label"])
    rng = np.random.default_rng(1)
    rows = np.concatenate(
        [
            rng.choice(np.flatnonzero((truth == "shred") & (p > 0.9)), 3, replace=False),
            rng.choice(np.flatnonzero((truth == "galaxy") & (p < 0.1)), 3, replace=False),
        ]
    )
    maps = occlusion_maps(classifier, cutouts[rows])
    titles = [f"{truth[row]}, p_cnn = {p[row]:.3f}" for row in rows]
    return plot_explanation(cutouts[rows], maps, titles=titles)


def side_by_side(figures):
    """Convert separate figures to images, to be arranged in a row."""
    return [render(figure) for figure in figures]


def render(figure, dpi=110):
    """Convert a figure to an image."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=dpi)
    return Image.open(file).convert("RGB")


def save(figure, path, n_columns=2):
    """Write a figure, or images arranged in rows, as a small JPEG."""
    images = figure if isinstance(figure, list) else [render(figure)]
    rows = [images[i : i + n_columns] for i in range(0, len(images), n_columns)]
    heights = [max(image.height for image in row) for row in rows]
    width = max(sum(image.width for image in row) for row in rows)
    whole = Image.new("RGB", (width, sum(heights)), "white")
    for k, row in enumerate(rows):
        left = 0
        for image in row:
            whole.paste(image, (left, sum(heights[:k])))
            left += image.width
    whole.save(path, quality=85, optimize=True)
    print(f"{path}: {whole.width}×{whole.height} px, {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
