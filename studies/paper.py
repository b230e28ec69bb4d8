"""Repeat the paper's experiment with its network and with the embedded model's, side by side.

    python studies/paper.py state/ --data ../shared/data

As in arXiv 2301.09648, a fifth of the sources is reserved, here by whole groups on the sky, and the
rest is split into five parts, each of which in turn stops the training early on the four others
(at most 100 epochs, patience 5). The published network is trained with both of its settings of
RMSprop on the first part, and with the better of them on all five; the compact one, which needs no
stopping, on the same parts. All are judged on the reserved sources.

``state/`` keeps each training's checkpoint after every epoch, its model and its answers: what is
there is not trained again, and an interrupted training goes on. ``state/comparison.ecsv`` is
the table; ``state/histories.json`` has the losses by epoch.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from astropy.table import Table
from sources import SURVEY, load_sources

from shredfinder import ShredClassifier
from shredfinder.evaluation import bootstrap_metrics, compute_metrics, make_folds
from shredfinder.training import import_keras

N_FOLDS = 5
SETTINGS = ("published", "published-text")
SHOWN = ("auc", "accuracy", "precision", "recall", "specificity", "f1", "calibration_error")


def main():
    """Train what is missing and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("state", type=Path)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--only", choices=["published", "compact"], help="train one network only")
    parser.add_argument(
        "--mixed", action="store_true", help="multiply in bfloat16: nearly twice as fast"
    )
    args = parser.parse_args()
    if args.mixed:
        import_keras().config.set_dtype_policy("mixed_bfloat16")
    args.state.mkdir(parents=True, exist_ok=True)
    sources = load_sources(args.data)
    reserved, folds = split(sources)
    trainings = Trainings(args.state, sources, reserved, folds)
    if args.only != "compact":
        losses = {
            recipe: min(trainings.run("published", recipe, 0)["val_loss"]) for recipe in SETTINGS
        }
        better = min(losses, key=losses.get)
        print(f"lowest validation loss on the first part: {losses}; {better} goes on", flush=True)
        for fold in range(1, N_FOLDS):
            trainings.run("published", better, fold)
    if args.only != "published":
        for fold in range(N_FOLDS):
            trainings.run("compact", "compact", fold)
    summarize(args.state, sources, reserved)


def split(sources):
    """Reserve a fifth of the sources, and split the rest; whole groups on the sky."""
    groups = np.asarray(sources.table["sky_group"])
    labels = sources.targets["hard"]
    reserved = make_folds(labels, groups, n_splits=5, random_state=1) == 0
    folds = make_folds(np.where(reserved, np.nan, labels), groups, n_splits=N_FOLDS, random_state=2)
    return np.flatnonzero(reserved), folds


class Trainings:
    """Models of the parts, trained once."""

    def __init__(self, state, sources, reserved, folds):
        self.state, self.sources, self.reserved, self.folds = state, sources, reserved, folds

    def run(self, architecture, recipe, fold):
        """Train a network without one part, judge the reserved sources; give its record."""
        folder = self.state / f"{recipe}-{fold}"
        record = folder / "record.json"
        if record.exists():
            return json.loads(record.read_text())
        folder.mkdir(exist_ok=True)
        labels = self.sources.targets["hard"]
        kept = np.flatnonzero((self.folds >= 0) & (self.folds != fold))
        held = np.flatnonzero(self.folds == fold)
        classifier = ShredClassifier(architecture, SURVEY.name, symmetry="none", random_state=fold)
        validation = (self.sources.cutouts(held), labels[held])
        clock = Clock(folder / "seconds")
        with clock:
            classifier.fit(
                self.sources.cutouts(kept),
                labels[kept],
                validation=validation if architecture == "published" else None,
                recipe=recipe,
                checkpoint=folder / "checkpoint",
                name=f"{recipe}, part {fold}",
                progress=False,
            )
        began = time.perf_counter()
        p_cnn, _ = classifier.predict_p_cnn(self.sources.cutouts(self.reserved))
        speed = len(self.reserved) / (time.perf_counter() - began)
        p_held, _ = classifier.predict_p_cnn(self.sources.cutouts(held))
        np.savez(folder / "answers.npz", reserved=p_cnn, rows=held, held=p_held)
        classifier.save(folder / "model.shredmodel")
        values = classifier.history_ | {
            "n_parameters": classifier.n_parameters,
            "seconds": clock.total,
            "images_per_second": speed,
        }
        record.write_text(json.dumps(values))
        print(f"{recipe} {fold}: {len(values['loss'])} epochs, {clock.total:.0f} s", flush=True)
        return values


class Clock:
    """Adds up the time of a training that may be interrupted."""

    def __init__(self, path):
        self.path = path
        self.total = float(path.read_text()) if path.exists() else 0.0

    def __enter__(self):
        self.began = time.perf_counter()

    def __exit__(self, *error):
        self.total += time.perf_counter() - self.began
        self.path.write_text(str(self.total))


def summarize(state, sources, reserved):
    """Write the table of what is there: means over the parts, intervals by group."""
    agreed = sources.agreed[reserved]
    y = sources.shred[reserved][agreed].astype(int)
    groups = np.asarray(sources.table["sky_group"])[reserved][agreed]
    rows, histories = [], {}
    for recipe in (*SETTINGS, "compact"):
        folders = [state / f"{recipe}-{fold}" for fold in range(N_FOLDS)]
        folders = [folder for folder in folders if (folder / "record.json").exists()]
        if not folders:
            continue
        records = [json.loads((folder / "record.json").read_text()) for folder in folders]
        answers = [np.load(folder / "answers.npz")["reserved"][agreed] for folder in folders]
        histories[recipe] = [
            {name: values for name, values in record.items() if isinstance(values, list)}
            for record in records
        ]
        metrics = [compute_metrics(y, p_cnn) for p_cnn in answers]
        # A resample of the groups holds for all parts' models at once: columns of one table.
        stacked = np.arange(len(y), dtype=float)
        intervals = bootstrap_metrics(
            y, stacked, groups, metric=lambda y, index, p=answers: mean_metrics(y, index, p)
        )
        row = {"network": recipe, "parts": len(folders)}
        for name in SHOWN:
            values = [part[name] for part in metrics]
            low, high = intervals[name]
            row[name] = f"{np.mean(values):.4f} ({low:.4f}-{high:.4f}) ±{np.std(values):.4f}"
        row["parameters"] = records[0]["n_parameters"]
        row["images/s"] = round(float(np.median([r["images_per_second"] for r in records])), 1)
        row["epochs"] = round(float(np.mean([len(r["loss"]) for r in records])), 1)
        row["minutes"] = round(float(np.mean([r["seconds"] for r in records])) / 60, 1)
        rows.append(row)
    table = Table(rows)
    table.write(state / "comparison.ecsv", overwrite=True)
    (state / "histories.json").write_text(json.dumps(histories))
    print(f"{len(y)} reserved sources whose raters agree; mean over parts (95 % of resamples)")
    for row in table:
        for name in table.colnames:
            print(f"{name:>20}: {row[name]}")
        print()


def mean_metrics(y, index, answers):
    """Compute the mean over the parts' models of each figure."""
    rows = index.astype(int)
    parts = [compute_metrics(y, p_cnn[rows]) for p_cnn in answers]
    return {name: float(np.mean([part[name] for part in parts])) for name in SHOWN}


if __name__ == "__main__":
    main()
