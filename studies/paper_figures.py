"""Plot the paper's figures, and others, for both networks from the records of ``paper.py``.

    python studies/paper_figures.py --state state/

Each model has scored the reserved sources and is plotted as a fold. As in ``paper.py``, the figures
use the reserved sources on which the raters agree. ``--state`` names the folder of the models and
adds the field view. The images are written to ``docs/_static``.
"""

import argparse
from collections import Counter
from pathlib import Path

import numpy as np
from astropy.coordinates import SkyCoord
from figures import plot_bins, render, save
from paper import RECORDS, SETTINGS, choose_setting, read_records, split
from sources import load_sources

from shredfinder import ShredClassifier
from shredfinder.datasets import make_field
from shredfinder.plotting import (
    FieldPanel,
    FieldView,
    plot_class_gallery,
    plot_field_view,
    plot_history,
    plot_p_cnn,
    plot_precision_recall,
    plot_reliability,
    plot_roc,
)
from shredfinder.plotting.style import make_figure

COLORS = {"published": "#1f5fa8", "compact": "#c8342b"}


def main():
    """Plot all figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--state", type=Path, help="folder of models for the field view")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--output", type=Path, default=Path("docs/_static"))
    args = parser.parse_args()
    sources = load_sources(args.data, "final")
    rows, _ = split(sources)
    agreed = sources.agreed[rows]
    rows = rows[agreed]
    y = sources.shred[rows].astype(int)
    recipes = {
        name: [*read_records(RECORDS["final"], name).values()] for name in (*SETTINGS, "compact")
    }
    better = choose_setting({name: recipes[name][0] for name in SETTINGS})
    records = {"published": recipes[better], "compact": recipes["compact"]}
    scores = {
        name: np.array([part["p_cnn"] for part in parts])[:, agreed]
        for name, parts in records.items()
    }
    figures = {
        "history": [render(plot_histories(name, parts)) for name, parts in records.items()],
        "roc": plot_curves(y, scores),
        "calibration": plot_calibration(y, scores),
        "by_kind": plot_kinds(sources, rows, y, scores),
        "classes": [
            render(plot_class_gallery(sources.cutouts(rows), p[0], y, random_state=1), dpi=70)
            for p in scores.values()
        ],
    }
    if args.state:
        paths = {
            name: args.state / f"{recipe}-0" / "model.shredmodel"
            for name, recipe in zip(scores, (better, "compact"), strict=True)
        }
        figures["field_view"] = plot_simulated_field(paths)
    columns = {"history": 1, "classes": 1}
    for name, figure in figures.items():
        save(figure, args.output / f"paper_{name}.jpg", n_columns=columns.get(name, 2))


def plot_histories(name, parts):
    """Plot loss and accuracy by epoch for all folds."""
    labels = [f"fold {k + 1}" for k in range(len(parts))]
    return plot_history([part["history"] for part in parts], labels=labels, title=name)


def plot_curves(y, scores):
    """Plot ROC and precision-recall curves of both networks."""
    figure = make_figure(9.4, 4.3)
    roc, pr = figure.subplots(1, 2)
    for ax in (roc, pr):
        ax.set_xlim(0, 1)
        ax.set_ylim(0, 1.005)
    for name, p in scores.items():
        many = np.tile(y, len(p)), p.ravel(), np.repeat(np.arange(len(p)), len(y))
        plot_roc(*many, label=name, color=COLORS[name], ax=roc)
        plot_precision_recall(*many, label=name, color=COLORS[name], ax=pr)
    return figure


def plot_calibration(y, scores):
    """Plot the reliability of both networks and histograms of their scores."""
    figure = make_figure(9.4, 3.6)
    reliability, *histograms = figure.subplots(1, 3, width_ratios=[1.6, 1, 1])
    reliability.plot([0, 1], [0, 1], "--", color="0.6", linewidth=1)
    for (name, p), ax in zip(scores.items(), histograms, strict=True):
        plot_reliability(
            np.tile(y, len(p)), p.ravel(), label=name, color=COLORS[name], ax=reliability
        )
        plot_p_cnn(p[0], y, ax=ax).set_title(f"{name}, fold 1", fontsize=10)
    return figure


def plot_kinds(sources, rows, y, scores):
    """Plot the metrics by kind of source: a row for each kind, a column for each network."""
    columns = [plot_bins(sources, rows, y, p[0]) for p in scores.values()]
    return [image for row in zip(*columns, strict=True) for image in row]


def plot_simulated_field(paths):
    """Plot a simulated field: all sources, and their classification by each model."""
    field = make_field(random_state=5)
    panels = [FieldPanel("all sources", field.sources["ra", "dec"])]
    for name, path in paths.items():
        table = field.sources["ra", "dec"]
        table["p_cnn"] = ShredClassifier.load(path).predict_p_cnn(field.cutouts())[0]
        panels.append(FieldPanel(f"{name} network", table))
    shreds = field.sources[field.sources["label"] == "shred"]
    host_id = Counter(shreds["host_id"]).most_common(1)[0][0]
    place = field.sources[field.sources["objID"] == host_id][0]
    host = SkyCoord(place["ra"], place["dec"], unit="deg")
    return plot_field_view(FieldView(field.image, field.wcs, panels, host, "most shreds"))


if __name__ == "__main__":
    main()
