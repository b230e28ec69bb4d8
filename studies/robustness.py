"""Measure the AUC at other surveys' seeing and depth, with and without training on such images.

    python studies/robustness.py state/ catalogue robust

Each source is scored once by the network trained without its fold, on the original image and on
images degraded to the seeing, depth and pixel scale of SDSS and PS1
(`shredfinder.datasets.degrade_cutouts`). The test set is the sources on which the raters agree; the
95 % intervals are from 1,000 resamples of the groups on the sky. The gain is that of the second run
over the first, paired.
"""

import argparse
from pathlib import Path

import numpy as np
from scores import to_probability
from sources import load_sources
from study import RUNS, score

from shredfinder import ShredClassifier
from shredfinder.datasets import degrade_cutouts
from shredfinder.evaluation import bootstrap_metrics, compare_models, compute_metrics
from shredfinder.surveys import DEFAULT_SURVEY, SURVEYS


def main():
    """Score the folds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("state", type=Path)
    parser.add_argument("runs", nargs="+", choices=sorted(RUNS))
    parser.add_argument("--folds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    args = parser.parse_args()
    sources = load_sources(args.data)
    rows = np.flatnonzero(sources.agreed & np.isin(sources.fold, args.folds))
    y = sources.shred[rows].astype(int)
    groups = sources.groups[rows]
    print(f"{len(rows)} sources in folds {', '.join(map(str, args.folds))}")
    for kind in SURVEYS:
        cutouts = sources.cutouts(rows)
        if kind != DEFAULT_SURVEY:
            cutouts = degrade_cutouts(cutouts, kind, random_state=0)
        logits = [score_folds(args, name, cutouts, sources.fold[rows]) for name in args.runs]
        scores = [to_probability(values) for values in logits]
        for name, p_cnn in zip(args.runs, scores, strict=True):
            values = compute_metrics(y, p_cnn)
            low, high = bootstrap_metrics(y, p_cnn, groups)["auc"]
            line = f"{kind:12} {name:12} AUC {values['auc']:.4f} ({low:.4f}-{high:.4f})"
            print(f"{line} accuracy {values['accuracy']:.3f}", flush=True)
        for name, p_cnn in zip(args.runs[1:], scores[1:], strict=True):
            found = compare_models(y, p_cnn, scores[0], groups)["auc"]
            gain = "{difference:+.4f} ({low:+.4f} to {high:+.4f})".format(**found)
            print(f"{'':12} {name} over {args.runs[0]}: {gain}")


def score_folds(args, name, cutouts, folds):
    """Return the logits of sources, each from the network trained without it."""
    logits = np.full(len(cutouts), np.nan)
    for fold in args.folds:
        model = ShredClassifier.load(args.state / f"{name}-{fold}.shredmodel")
        rows = np.flatnonzero(folds == fold)
        logits[rows], _ = score(model, cutouts[rows])
    return logits


if __name__ == "__main__":
    main()
