"""Repeat the paper's experiment with the published and the compact network.

    python studies/paper.py state/ --mixed
    python studies/paper.py state-final4/ --mixed --labels final4 --setting published

As in arXiv 2301.09648, one fifth of the sources is reserved for testing, here by whole groups on
the sky, and the rest is split into five folds. Each fold in turn is the validation set for training
on the other four (at most 100 epochs, patience 5). The published network is trained with both
RMSprop settings on the first fold, and with the better one on all five. The compact network is
trained on the same folds for 90 epochs, of which the best is kept. All models are tested on the
reserved sources.

``state/`` holds the checkpoint and the model of each training; an interrupted training resumes.
Completed trainings are recorded in ``docs/measured/`` (losses by epoch and scores of the reserved
sources) and not repeated, so that the trainings can be done on several machines or fold by fold
(``--folds``). The table uses the records that exist, and judges all models by the labels given.
"""

import argparse
import json
import time
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
from sources import SURVEY, load_sources

from shredfinder import ShredClassifier
from shredfinder._utils.files import atomic_write
from shredfinder.evaluation import bootstrap_metrics, compute_metrics, make_folds
from shredfinder.training import encode_labels, import_keras

N_FOLDS = 5
SETTINGS = ("published", "published-text")
MEASURED = Path(__file__).parents[1] / "docs" / "measured"
RECORDS = {"final": MEASURED / "paper", "final4": MEASURED / "paper_final4"}
SHOWN = ("auc", "accuracy", "precision", "recall", "specificity", "f1", "calibration_error")


def main():
    """Run the missing trainings and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("state", type=Path)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--only", choices=["published", "compact"], help="train one network only")
    parser.add_argument(
        "--setting", choices=SETTINGS, help="by default, the better one on the first fold"
    )
    parser.add_argument("--folds", nargs="+", type=int, default=list(range(N_FOLDS)))
    parser.add_argument("--labels", default="final", choices=sorted(RECORDS))
    parser.add_argument(
        "--mixed",
        action="store_true",
        help="multiply in bfloat16: nearly twice as fast on processors with bfloat16 instructions, "
        "and ten times slower on others",
    )
    args = parser.parse_args()
    if args.mixed:
        import_keras().config.set_dtype_policy("mixed_bfloat16")
    for folder in (args.state, RECORDS[args.labels]):
        folder.mkdir(parents=True, exist_ok=True)
    sources = load_sources(args.data, args.labels)
    reserved, folds = split(sources)
    trainings = Trainings(args, sources, reserved, folds)
    if args.only != "published":
        for fold in args.folds:
            trainings.run("compact", "compact", fold)
    if args.only != "compact":
        better = args.setting or choose_setting(
            {name: trainings.run("published", name, 0) for name in SETTINGS}
        )
        for fold in args.folds:
            trainings.run("published", better, fold)
    summarize(sources, reserved)


def choose_setting(firsts):
    """Select the setting with the lowest validation loss on the first fold."""
    losses = {name: min(record["history"]["val_loss"]) for name, record in firsts.items()}
    better = min(losses, key=losses.get)
    print(f"lowest validation loss on the first fold: {losses}; using {better}", flush=True)
    return better


def split(sources):
    """Reserve one fifth of the sources and split the rest, by whole groups on the sky.

    The folds come from the first labels, so that models of both labels have the same test sources.
    """
    groups = sources.groups
    labels = encode_labels(sources.table["final"])
    reserved = make_folds(labels, groups, n_splits=5, random_state=1) == 0
    folds = make_folds(np.where(reserved, np.nan, labels), groups, n_splits=N_FOLDS, random_state=2)
    return np.flatnonzero(reserved), folds


class Trainings:
    """Train the models of the folds, each once."""

    def __init__(self, args, sources, reserved, folds):
        self.args, self.sources, self.reserved, self.folds = args, sources, reserved, folds

    def run(self, architecture, recipe, fold):
        """Train on all folds except one, score the reserved sources, and return the record."""
        path = path_of(RECORDS[self.args.labels], recipe, fold)
        if path.exists():
            return json.loads(path.read_text())
        folder = self.args.state / f"{recipe}-{fold}"
        folder.mkdir(exist_ok=True)
        labels = self.sources.hard
        usable = (self.folds >= 0) & np.isfinite(labels)
        kept = np.flatnonzero(usable & (self.folds != fold))
        held = np.flatnonzero(usable & (self.folds == fold))
        classifier = ShredClassifier(architecture, SURVEY.name, symmetry="none", random_state=fold)
        clock = Clock(folder / "seconds", known=not (folder / "checkpoint").exists())
        with clock:
            classifier.fit(
                self.sources.cutouts(kept),
                labels[kept],
                validation=(self.sources.cutouts(held), labels[held]),
                recipe=recipe,
                checkpoint=folder / "checkpoint",
                name=f"{recipe}, fold {fold}",
                progress=False,
            )
        start = time.perf_counter()
        p_cnn, _ = classifier.predict_p_cnn(self.sources.cutouts(self.reserved))
        speed = len(self.reserved) / (time.perf_counter() - start)
        classifier.save(folder / "model.shredmodel")
        history = {
            name: [round(float(value), 5) for value in values]
            for name, values in classifier.history_.items()
        }
        record = {
            "history": history,
            "n_parameters": classifier.n_parameters,
            "precision": "bfloat16" if self.args.mixed else "float32",
            "seconds": round(clock.total) if clock.total == clock.total else None,
            "images_per_second": round(speed, 1),
            "objID": [str(name) for name in self.sources.table["objID"][self.reserved]],
            "p_cnn": [round(float(p), 5) for p in p_cnn],
        }
        with atomic_write(path) as temporary:
            Path(temporary).write_text(json.dumps(record) + "\n")
        print(f"{recipe} {fold}: {len(history['loss'])} epochs, {clock.total:.0f} s", flush=True)
        return record


class Clock:
    """Add up the time of a training with interruptions; NaN if it was killed once."""

    def __init__(self, path, known):
        self.path = path
        self.total = 0.0 if known else float("nan")
        if path.exists():
            self.total = float(path.read_text())

    def __enter__(self):
        self.start = time.perf_counter()

    def __exit__(self, *error):
        self.total += time.perf_counter() - self.start
        self.path.write_text(str(self.total))


def summarize(sources, reserved):
    """Print the table of all records: means over the folds, intervals by group."""
    agreed = sources.agreed[reserved]
    y = sources.shred[reserved][agreed].astype(int)
    groups = sources.groups[reserved][agreed]
    names = [str(name) for name in sources.table["objID"][reserved]]
    # All models use the same resamples, because the source indices are resampled.
    numbers = np.arange(len(y), dtype=float)
    print(f"{len(y)} reserved sources on which the raters agree; mean over folds (95 % interval)")
    found = {}
    for labels, recipe in product(RECORDS, (*SETTINGS, "compact")):
        records = read_records(RECORDS[labels], recipe)
        if not records:
            continue
        for record in records.values():
            if record["objID"] != names:
                raise ValueError(f"{RECORDS[labels]}: {recipe!r} was tested on other sources")
        scores = [np.array(record["p_cnn"])[agreed] for record in records.values()]
        found[recipe, labels] = dict(zip(records, scores, strict=True))
        metrics = [compute_metrics(y, p_cnn) for p_cnn in scores]
        intervals = bootstrap_metrics(y, numbers, groups, metric=partial(mean, scores))
        row = {"network": recipe, "trained on": labels, **describe([*records.values()])}
        for name in SHOWN:
            values = [part[name] for part in metrics]
            low, high = intervals[name]
            row[name] = f"{np.mean(values):.4f} ({low:.4f} to {high:.4f}) ±{np.std(values):.4f}"
        for name, value in row.items():
            print(f"{name:>20}: {value}")
        print()
    pairs = [(("compact", labels), ("published", labels)) for labels in RECORDS]
    pairs += [((recipe, "final4"), (recipe, "final")) for recipe in ("published", "compact")]
    for first, second in pairs:
        # Fold by fold, since some trainings may be missing.
        common = sorted(set(found.get(first, ())) & set(found.get(second, ())))
        if not common:
            continue
        scores, others = ([found[key][fold] for fold in common] for key in (first, second))
        gains = partial(gain, scores, others)
        values = gains(y, numbers)
        intervals = bootstrap_metrics(y, numbers, groups, metric=gains)
        print(f"{', '.join(first)} minus {', '.join(second)}, paired, folds {common}")
        for name, (low, high) in intervals.items():
            print(f"{name:>20}: {values[name]:+.4f} ({low:+.4f} to {high:+.4f})")


def describe(records):
    """Summarize the trainings of one network."""
    seconds = [record["seconds"] for record in records if record["seconds"] is not None]
    epochs = [len(record["history"]["loss"]) for record in records]
    return {
        "folds": len(records),
        "arithmetic": records[0]["precision"],
        "parameters": records[0]["n_parameters"],
        "images/s": round(np.median([record["images_per_second"] for record in records])),
        "epochs": f"{min(epochs)} to {max(epochs)}",
        "minutes": round(np.mean(seconds) / 60, 1) if seconds else None,
    }


def mean(scores, y, numbers):
    """Compute the mean metrics over the models of the folds, for the given source indices."""
    rows = numbers.astype(int)
    parts = [compute_metrics(y, p_cnn[rows]) for p_cnn in scores]
    return {name: float(np.mean([part[name] for part in parts])) for name in SHOWN}


def gain(scores, others, y, numbers):
    """Compute the differences in mean metrics between two sets of models."""
    first, second = mean(scores, y, numbers), mean(others, y, numbers)
    return {name: first[name] - second[name] for name in SHOWN}


def read_records(folder, recipe):
    """Read the records of completed trainings by fold."""
    paths = {fold: path_of(folder, recipe, fold) for fold in range(N_FOLDS)}
    return {fold: json.loads(path.read_text()) for fold, path in paths.items() if path.exists()}


def path_of(folder, recipe, fold):
    """Return the path of a training's record."""
    return folder / f"{recipe}-{fold}.json"


if __name__ == "__main__":
    main()
