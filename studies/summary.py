"""Print the study's table: runs, metrics, and the gain over a reference run.

    python studies/summary.py state/ --runs plain first soft distilled

The metrics are for the sources on which the raters agree, with 95 % intervals from 1,000 resamples
of the groups on the sky. The gain is paired: both networks use the same resamples and the folds
that both have.
"""

import argparse
from pathlib import Path

import numpy as np
from astropy.table import Table
from scores import compute_scores, gather
from sources import load_sources

from shredfinder.evaluation import (
    bootstrap_metrics,
    choose_threshold,
    compare_models,
    compute_metrics,
    prevalence_metrics,
)


def main():
    """Read the scores and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("state", type=Path)
    parser.add_argument("--runs", nargs="+", required=True, help="NAME, or NAME+NAME to average")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--against", default="plain")
    parser.add_argument("--folds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--symmetry", default="uncertain", choices=["uncertain", "all", "none"])
    parser.add_argument("--corrected", action="store_true", help="test on corrected labels")
    args = parser.parse_args()
    sources = load_sources(args.data, images=False, corrected=args.corrected)
    groups = np.asarray(sources.table["sky_group"])

    def probabilities(runs):
        logits = np.mean(
            [gather(args.state, run, len(groups), args.folds) for run in runs.split("+")], axis=0
        )
        usable = sources.agreed & np.isfinite(logits[:, 0])
        return compute_scores(logits, sources.shred, sources.fold, usable, args.symmetry)

    try:
        reference = probabilities(args.against)
    except FileNotFoundError:
        reference = None
    rows = []
    for runs in args.runs:
        p = probabilities(runs)
        use = sources.agreed & np.isfinite(p)
        metrics = lambda y, p: compute_metrics(y, p) | operating_point(y, p)  # noqa: E731
        y = sources.shred[use].astype(int)
        values = metrics(y, p[use])
        intervals = bootstrap_metrics(y, p[use], groups[use], metric=metrics)
        row = {"run": runs, "n": len(y)}
        for name in ("auc", "accuracy", "calibration_error", "purity", "pure"):
            digits = 4 if name == "auc" else 3
            low, high = intervals[name]
            row[name] = f"{values[name]:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"
        if reference is not None and runs != args.against:
            both = use & np.isfinite(reference)
            found = compare_models(
                sources.shred[both].astype(int), p[both], reference[both], groups[both]
            )["auc"]
            row["gain"] = "{difference:+.4f} ({low:+.4f} to {high:+.4f})".format(**found)
        else:
            row["gain"] = ""
        rows.append(row)
    Table(rows).pprint(max_lines=-1, max_width=-1)


def operating_point(y, p, prevalence=0.05, completeness=0.95):
    """Compute the purity at 5 % shreds for a threshold of 0.5 and for 95 % completeness."""
    return {
        "purity": prevalence_metrics(y, p, prevalence)["purity"],
        "pure": choose_threshold(y, p, prevalence, completeness=completeness)["purity"],
    }


if __name__ == "__main__":
    main()
