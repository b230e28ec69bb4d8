"""Make the package's embedded model with the package's own training.

    python studies/embedded.py state/ --folds 0 1 2 3 4
    python studies/embedded.py state/ --output shredfinder/models/data/embedded.shredmodel

The first command trains one model per fold and saves the held-out scores, on which the model is
judged and its temperature fitted. The second trains on all sources. Both resume from ``state/``.
"""

import argparse
from pathlib import Path

import numpy as np
from astropy.table import Table

from shredfinder import ShredClassifier
from shredfinder.evaluation import compute_metrics, make_folds, prevalence_metrics
from shredfinder.training import RECIPES, combine_raters, encode_labels

# Raters who saw the centre enlarged count double; unsettled sources count little.
_RATERS = {"": 1, "2": 1, "3": 2, "4": 2}
_UNSETTLED = 0.3


def main():
    """Train the folds, or the model on all sources."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("state", type=Path)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--folds", nargs="+", type=int, default=[])
    parser.add_argument("--epochs", type=int, default=48)
    parser.add_argument("--labels", default="final4", choices=["final4", "final"])
    parser.add_argument("--recipe", default="catalogue", choices=list(RECIPES))
    parser.add_argument("--name", default="legacy-dr9-compact-4")
    parser.add_argument("--output", type=Path)
    args = parser.parse_args()
    args.state.mkdir(parents=True, exist_ok=True)
    table = Table.read(args.data / "labels.ecsv")
    cutouts = read_cutouts(table, args.data)
    targets, weights = make_targets(table, args.labels)
    fold = make_groups(table)
    for k in args.folds:
        train(args, cutouts, targets, weights, fold != k, f"fold-{k}", np.flatnonzero(fold == k))
    if args.folds:
        report(args, table)
    if args.output is not None:
        rows = np.ones(len(table), bool)
        train(args, cutouts, targets, weights, rows, "all", None).save(args.output)


def read_cutouts(table, data):
    """Read the labelled cutouts."""
    paths = [data / "cutouts" / f"{name}.png" for name in table["objID"]]
    return ShredClassifier().open_training(paths)[:]


def make_targets(table, labels):
    """Return the soft labels, of shape ``(n, 3)``, and weights."""
    if labels == "final":
        hard = encode_labels(table["final"])
        p = np.nan_to_num(hard)
        is_other, weights = ~np.isfinite(hard), np.ones(len(table))
    else:
        names = [table[f"label{rater}"] for rater in _RATERS]
        given = [np.ma.array(column, mask=np.asarray(column) == "") for column in names]
        p = combine_raters(
            given, [table[f"confidence{r}"] for r in _RATERS], weights=list(_RATERS.values())
        )
        is_other = np.asarray(table["final4"]) == "other"
        p = np.where(np.isfinite(p), p, 0.5)
        settled = np.asarray(table["settled4"])
        # There are few stars and artefacts, so each counts three times.
        weights = np.where(settled, np.where(is_other, 3.0, 1.0), _UNSETTLED)
    return np.stack([(1 - p) * ~is_other, p * ~is_other, is_other], axis=1), weights


def make_groups(table):
    """Return each source's fold; neighbours on the sky share one."""
    groups = np.asarray(table["sky_group"])
    fold = make_folds(encode_labels(table["final"]), groups, n_splits=5, random_state=0)
    # Sources that are neither galaxy nor shred belong to the fold of their neighbours.
    for row in np.flatnonzero(fold < 0):
        known = fold[(groups == groups[row]) & (fold >= 0)]
        fold[row] = known[0] if len(known) else groups[row] % 5
    return fold


def train(args, cutouts, targets, weights, rows, name, held):
    """Train on some rows, and save the scores of others."""
    classifier = ShredClassifier(random_state=0, symmetry="none")
    classifier.fit(
        cutouts[rows],
        targets[rows],
        sample_weight=weights[rows],
        recipe=args.recipe,
        epochs=args.epochs,
        validation=None,
        checkpoint=args.state / name,
        name=args.name,
        progress=True,
    )
    if held is not None:
        # Scores without the limit on other, which is judged too.
        images = (cutouts[held].images / 255).astype(np.float32)
        logits, p_other = classifier.model_.network.evaluate(images)
        np.savez(args.state / f"{name}.npz", rows=held, logits=logits, other=p_other)
        classifier.save(args.state / f"{name}.shredmodel")
    return classifier


def report(args, table):
    """Print the figures of the held-out sources."""
    logits, other = np.full((2, len(table)), np.nan)
    for path in sorted(args.state.glob("fold-*.npz")):
        with np.load(path) as saved:
            logits[saved["rows"]], other[saved["rows"]] = saved["logits"], saved["other"]
    for labels in ("final4", "final"):
        truth = encode_labels(table[labels])
        settled = np.asarray(table["settled4"]) | (labels == "final")
        rows = np.isfinite(logits) & np.isfinite(truth) & settled
        y, p = truth[rows].astype(int), 1 / (1 + np.exp(-logits[rows]))
        print(labels, int(rows.sum()), compute_metrics(y, p))
        print("   at 5 % shreds", prevalence_metrics(y, p, 0.05))
        print("   not a galaxy (p > 0.9)", np.mean(other[rows] > 0.9))
    is_other = np.asarray(table["final4"] == "other") & np.asarray(table["settled4"])
    known = is_other & np.isfinite(other)
    print("of sources that are neither", known.sum(), "caught", np.mean(other[known] > 0.9))


if __name__ == "__main__":
    main()
