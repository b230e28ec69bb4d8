"""Print the study's table: runs, metrics, and the gain over a reference run.

    python studies/summary.py state/ catalogue compact compact-first-labels --against compact
    python studies/summary.py state/ compact compact-first-labels --labels final

The metrics are for the galaxies and shreds on which the raters agree, or of which both first raters
were certain (``--certain``), with 95 % intervals from 1,000 resamples of the groups on the sky. The
gain is paired: both networks use the same resamples and the folds that both have.
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
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--against", help="reference run")
    parser.add_argument("--folds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--labels", default="final4", choices=["final4", "final"])
    parser.add_argument("--certain", action="store_true", help="only certain sources")
    args = parser.parse_args()
    sources = load_sources(args.data, args.labels)
    tested = sources.agreed & (sources.certain | (not args.certain))

    def probabilities(run):
        return compute_scores(gather(args.state, run, len(tested), args.folds)[0], sources)

    reference = probabilities(args.against) if args.against else None
    rows = []
    for run in args.runs:
        p = probabilities(run)
        use = tested & np.isfinite(p)
        y, groups = sources.shred[use].astype(int), sources.groups[use]
        values = metrics(y, p[use])
        intervals = bootstrap_metrics(y, p[use], groups, metric=metrics)
        row = {"run": run, "n": len(y)}
        for name in values:
            digits = 4 if name == "auc" else 3
            low, high = intervals[name]
            row[name] = f"{values[name]:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"
        row["gain"] = ""
        if reference is not None and run != args.against:
            both = use & np.isfinite(reference)
            found = compare_models(
                sources.shred[both].astype(int), p[both], reference[both], sources.groups[both]
            )["auc"]
            row["gain"] = "{difference:+.4f} ({low:+.4f} to {high:+.4f})".format(**found)
        rows.append(row)
    Table(rows).pprint(max_lines=-1, max_width=-1)


def metrics(y, p, prevalence=0.05, completeness=0.95):
    """Compute the table's metrics; the purities are for 5 % shreds."""
    everything = compute_metrics(y, p)
    chosen = choose_threshold(y, p, prevalence, completeness=completeness)
    return {
        **{name: everything[name] for name in ("auc", "accuracy", "calibration_error")},
        "specificity": everything["specificity"],
        "purity": prevalence_metrics(y, p, prevalence)["purity"],
        "purity at 95 %": chosen["purity"],
    }


if __name__ == "__main__":
    main()
