"""Draw the paper's figures, and more, of both networks, from the records of ``paper.py``.

    python studies/paper_figures.py --state state/

Each part's model has answered the reserved sources, and is drawn as a fold; judged, as in
``paper.py``, on the reserved sources whose raters agree. With ``--state``, where the models are,
the field view is drawn too. Pictures go to ``docs/_static``.
"""

import argparse
from collections import Counter
from pathlib import Path

import numpy as np
from astropy.coordinates import SkyCoord
from figures import draw_bins, render, save
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
    """Draw them all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--state", type=Path, help="draw the field view by the models there")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--records", type=Path, default=RECORDS)
    parser.add_argument("--output", type=Path, default=Path("docs/_static"))
    args = parser.parse_args()
    sources = load_sources(args.data)
    rows, _ = split(sources)
    agreed = sources.agreed[rows]
    rows = rows[agreed]
    y = sources.shred[rows].astype(int)
    recipes = {name: read_records(args.records, name) for name in (*SETTINGS, "compact")}
    better = choose_setting({name: recipes[name][0] for name in SETTINGS})
    records = {"published": recipes[better], "compact": recipes["compact"]}
    answers = {
        name: np.array([part["p_cnn"] for part in parts])[:, agreed]
        for name, parts in records.items()
    }
    figures = {
        "history": [render(draw_history(name, parts)) for name, parts in records.items()],
        "roc": draw_curves(y, answers),
        "calibration": draw_calibration(y, answers),
        "by_kind": [
            picture for p in answers.values() for picture in draw_bins(sources, rows, y, p[0])
        ],
        "classes": [
            render(plot_class_gallery(sources.cutouts(rows), p[0], y, random_state=1), dpi=70)
            for p in answers.values()
        ],
    }
    if args.state:
        paths = {
            name: args.state / f"{recipe}-0" / "model.shredmodel"
            for name, recipe in zip(answers, (better, "compact"), strict=True)
        }
        figures["field_view"] = draw_field(paths)
    columns = {"history": 1, "calibration": 3, "by_kind": 3, "classes": 1}
    for name, figure in figures.items():
        save(figure, args.output / f"paper_{name}.jpg", n_columns=columns.get(name, 2))


def draw_history(name, parts):
    """Draw loss and accuracy by epoch of all parts."""
    labels = [f"part {k + 1}" for k in range(len(parts))]
    return plot_history([part["history"] for part in parts], labels=labels, title=name)


def draw_curves(y, answers):
    """Draw ROC curves and precision against recall of both networks."""
    figure = make_figure(9.4, 4.3)
    roc, pr = figure.subplots(1, 2)
    for ax in (roc, pr):
        ax.set_xlim(0, 1)
        ax.set_ylim(0, 1.005)
    for name, p in answers.items():
        many = np.tile(y, len(p)), p.ravel(), np.repeat(np.arange(len(p)), len(y))
        plot_roc(*many, label=name, color=COLORS[name], ax=roc)
        plot_precision_recall(*many, label=name, color=COLORS[name], ax=pr)
    return figure


def draw_calibration(y, answers):
    """Draw the reliability of both networks, and the histograms of their answers."""
    reliability = None
    for name, p in answers.items():
        reliability = plot_reliability(
            np.tile(y, len(p)), p.ravel(), label=name, color=COLORS[name], ax=reliability
        )
    pictures = [render(reliability.figure)]
    for name, p in answers.items():
        histogram = plot_p_cnn(p[0], y)
        histogram.set_title(f"{name}, part 1", fontsize=10)
        histogram.figure.set_size_inches(4.8, reliability.figure.get_figheight())
        pictures.append(render(histogram.figure))
    return pictures


def draw_field(paths):
    """Draw a simulated field, before and after the models have looked at its sources."""
    field = make_field(random_state=5)
    panels = [FieldPanel("all sources", field.sources["ra", "dec"])]
    for name, path in paths.items():
        table = field.sources["ra", "dec"]
        table["p_cnn"] = ShredClassifier.load(path).predict_p_cnn(field.cutouts())[0]
        panels.append(FieldPanel(f"by the {name} network", table))
    shreds = field.sources[field.sources["label"] == "shred"]
    torn = Counter(shreds["host_id"]).most_common(1)[0][0]
    place = field.sources[field.sources["objID"] == torn][0]
    host = SkyCoord(place["ra"], place["dec"], unit="deg")
    return plot_field_view(FieldView(field.image, field.wcs, panels, host, "most torn"))


if __name__ == "__main__":
    main()
