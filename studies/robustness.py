"""How the AUC suffers from another survey's seeing and depth, and what learning from it helps.

    python studies/robustness.py state/ distilled robust

Each source is scored by the network that was trained without its fold, on the image as it is and
degraded to the seeing, depth and pixels of SDSS and PS1 (`shredfinder.datasets.degrade_cutouts`),
looked at once. Judged on the sources whose raters agree; intervals hold 95 % of 1,000 resamples
of the groups on the sky. The gain is that of the second run over the first, paired.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from runs import RUNS
from sources import load_sources
from study import NETWORKS, degrade, score

from shredfinder.evaluation import bootstrap_metrics, compare_models, compute_metrics
from shredfinder.surveys import IMAGING


def main():
    """Score the folds that are there, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("state", type=Path)
    parser.add_argument("runs", nargs="+", choices=sorted(RUNS))
    parser.add_argument("--folds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    sources = load_sources(args.data)
    rows = np.flatnonzero(sources.agreed & np.isin(sources.fold, args.folds))
    y = sources.shred[rows].astype(int)
    groups = np.asarray(sources.table["sky_group"])[rows]
    print(f"{len(rows)} sources of the folds {', '.join(map(str, args.folds))}")
    for kind in ("legacy-dr9", *sorted(IMAGING)):
        images = sources.images[rows]
        if kind != "legacy-dr9":
            images = degrade(images, kind, random_state=0)
        logits = [score_folds(args, name, images, sources.fold[rows]) for name in args.runs]
        answers = [1 / (1 + np.exp(-values)) for values in logits]
        for name, p_cnn in zip(args.runs, answers, strict=True):
            values = compute_metrics(y, p_cnn)
            low, high = bootstrap_metrics(y, p_cnn, groups)["auc"]
            line = f"{kind:12} {name:12} AUC {values['auc']:.4f} ({low:.4f}-{high:.4f})"
            print(f"{line} accuracy {values['accuracy']:.3f}", flush=True)
        for name, p_cnn in zip(args.runs[1:], answers[1:], strict=True):
            found = compare_models(y, p_cnn, answers[0], groups)["auc"]
            gain = "{difference:+.4f} ({low:+.4f} to {high:+.4f})".format(**found)
            print(f"{'':12} {name} over {args.runs[0]}: {gain}")


def score_folds(args, name, images, folds):
    """Give the logits of sources, each by the network that has not seen it."""
    logits = np.full(len(images), np.nan)
    for fold in args.folds:
        network = NETWORKS[RUNS[name].network]()
        network.load_state_dict(torch.load(args.state / f"{name}-{fold}-0.pt"))
        rows = np.flatnonzero(folds == fold)
        logits[rows] = score(network, images[rows], n_symmetries=1)[:, 0]
    return logits


if __name__ == "__main__":
    main()
