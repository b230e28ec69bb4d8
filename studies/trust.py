"""Tabulate performance by rater agreement, kind of source and prior, and plot the worst errors.

    python studies/trust.py state/ catalogue --gallery worst_errors.png

Everything uses the cross-validated scores of the study.
"""

import argparse
from pathlib import Path

import numpy as np
from astropy.table import Table
from scores import compute_scores, gather
from sources import load_sources

from shredfinder.evaluation import calibration_error, compute_metrics
from shredfinder.models import adjust_prior, estimate_prior
from shredfinder.plotting import plot_gallery

_KINDS = Path(__file__).with_name("kinds.csv")


def main():
    """Print the tables and plot the gallery."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("state", type=Path)
    parser.add_argument("run")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--gallery", type=Path, help="image file for the worst errors")
    args = parser.parse_args()
    sources = load_sources(args.data)
    p = compute_scores(gather(args.state, args.run, len(sources.table))[0], sources)
    print(by_agreement(sources, p), by_kind(sources, p), priors(sources, p), sep="\n\n")
    if args.gallery:
        plot_worst(sources, p, args.gallery)


def by_agreement(sources, p):
    """Tabulate metrics by agreement and confidence of the raters."""
    table = sources.table
    same = np.asarray(table["label"] == table["label2"])
    surer, less = (f(table["confidence"], table["confidence2"]) for f in (np.maximum, np.minimum))
    rows = [
        ("first two agree, both certain", sources.agreed & same & (less == 3)),
        ("agree, one certain, one likely", sources.agreed & same & (less == 2) & (surer == 3)),
        ("agree, less sure", sources.agreed & same & ((less == 1) | (surer < 3))),
        ("disagree, settled by the others", sources.agreed & ~same),
        ("not settled; judged by the vote", ~sources.agreed & np.isfinite(sources.hard)),
    ]
    return _tabulate("raters", rows, sources, p)


def by_kind(sources, p):
    """Tabulate metrics by kind, for visually tagged sources on which the raters agree."""
    tags = Table.read(_KINDS)
    tagged = dict(zip(tags["objID"].tolist(), tags["kinds"].tolist(), strict=True))
    kinds = [tagged.get(name, "").split("+") for name in sources.table["objID"].tolist()]
    names = sorted({name for kind in kinds for name in kind if name})
    rows = [(name, sources.agreed & np.array([name in kind for kind in kinds])) for name in names]
    return _tabulate("kind", rows, sources, p)


def priors(sources, p, n_resamples=200):
    """Test the correction for the prior on resampled folds with 5 % and 20 % shreds.

    For each fold, sources are drawn with replacement at the given shred fraction, which is then
    estimated from their scores alone. The interval of an estimate comes from resampling those
    scores; the table gives how often it contains the true fraction.
    """
    rng = np.random.default_rng(0)
    training_prior = float(np.mean(sources.shred[np.isfinite(sources.hard)]))
    rows = []
    for prior in (0.05, 0.2):
        estimates, covered, adjusted, truth = [], [], [], []
        for k in np.unique(sources.fold[np.isfinite(p)]):
            held = sources.agreed & np.isfinite(p) & (sources.fold == k)
            shreds, galaxies = (
                np.flatnonzero(held & (sources.shred == value)) for value in (True, False)
            )
            n = len(galaxies)
            for _ in range(n_resamples // 5):
                n_shreds = rng.binomial(n, prior)
                drawn = np.r_[rng.choice(shreds, n_shreds), rng.choice(galaxies, n - n_shreds)]
                low, high = _interval(p[drawn], training_prior, rng)
                estimates.append(estimate_prior(p[drawn], training_prior))
                covered.append(low <= prior <= high)
                adjusted.append(adjust_prior(p[drawn], estimates[-1], training_prior))
                truth.append(sources.shred[drawn])
        error = calibration_error(np.concatenate(truth).astype(int), np.concatenate(adjusted))
        rows.append(
            {
                "true prior": prior,
                "estimate": f"{np.mean(estimates):.3f} ± {np.std(estimates):.3f}",
                "in 95 % interval": f"{np.mean(covered):.2f}",
                "calibration error": f"{error:.4f}",
                "mean p": f"{np.mean(np.concatenate(adjusted)):.3f}",
            }
        )
    return "\n".join(Table(rows).pformat(max_lines=-1, max_width=-1))


def _interval(p, training_prior, rng, n_resamples=60):
    values = [
        estimate_prior(rng.choice(p, len(p)), training_prior, tolerance=1e-5)
        for _ in range(n_resamples)
    ]
    return np.percentile(values, [2.5, 97.5])


def _tabulate(title, rows, sources, p):
    out = []
    for name, use in rows:
        use = use & np.isfinite(p)
        metrics = compute_metrics(sources.shred[use].astype(int), p[use])
        out.append(
            {
                title: name,
                "sources": int(metrics["n"]),
                "shreds": int(sources.shred[use].sum()),
                "AUC": f"{metrics['auc']:.4f}",
                "accuracy": f"{metrics['accuracy']:.3f}",
                "recall": f"{metrics['recall']:.3f}",
                "specificity": f"{metrics['specificity']:.3f}",
            }
        )
    return "\n".join(Table(out).pformat(max_lines=-1, max_width=-1))


def plot_worst(sources, p, path, n=24):
    """Plot the most confident errors of the model."""
    wrong = sources.agreed & np.isfinite(p) & ((p >= 0.5) != sources.shred)
    rows = np.flatnonzero(wrong)
    rows = rows[np.argsort(-np.abs(p[rows] - 0.5))][:n]
    labels = sources.table["final4", "confidence", "confidence2"][rows]
    titles = [
        f"{label} ({sure}, {sure2})\np = {score:.2f}"
        for (label, sure, sure2), score in zip(labels, p[rows], strict=True)
    ]
    figure = plot_gallery(sources.cutouts(rows), titles=titles, n_columns=8)
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    main()
