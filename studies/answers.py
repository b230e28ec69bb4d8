"""Cross-validated answers of the study's networks, as the package would give them."""

import numpy as np

from shredfinder.evaluation import fit_calibration

_UNCERTAIN = np.log(0.95 / 0.05)


def read_logits(state, name, fold, seed):
    """Read the logits of one training, ``(rows, logits from eight sides)``."""
    with np.load(state / f"{name}-{fold}-{seed}.npz") as saved:
        return saved["rows"], saved["logits"].astype(float)


def gather(state, name, n_sources, folds=range(5), seeds=(0,)):
    """Put the folds together: logits from eight sides, NaN where no fold has answered."""
    logits = np.full((n_sources, 8), np.nan)
    for fold in folds:
        parts = [read_logits(state, name, fold, seed) for seed in seeds]
        logits[parts[0][0]] = np.mean([logits for _, logits in parts], axis=0)
    return logits


def calibrate(logits, shred):
    """Find the temperature of least cross-entropy."""
    return fit_calibration(shred, 1 / (1 + np.exp(-logits))).temperature


def answer(logits, shred, fold, usable, symmetry="uncertain"):
    """Give calibrated probabilities; the temperature of a fold comes from the others.

    Parameters
    ----------
    logits : `~numpy.ndarray`
        From eight sides, ``(n, 8)``.
    shred, fold, usable : `~numpy.ndarray`
        Label and fold of each source, and whether it may calibrate.
    symmetry : {"uncertain", "all", "none"}
        As in `shredfinder.ShredClassifier`.
    """
    p = np.full(len(logits), np.nan)
    for k in np.unique(fold[fold >= 0]):
        others = usable & (fold != k) & (fold >= 0) & np.isfinite(logits[:, 0])
        held = (fold == k) & np.isfinite(logits[:, 0])
        if not others.any():
            others = usable & held
        temperature = calibrate(average(logits[others], symmetry, 1.0), shred[others])
        p[held] = 1 / (1 + np.exp(-average(logits[held], symmetry, temperature) / temperature))
    return p


def average(logits, symmetry, temperature):
    """Average the eight sides of all, of uncertain or of no sources."""
    mean = logits.mean(1)
    if symmetry == "uncertain":
        return np.where(np.abs(logits[:, 0] / temperature) < _UNCERTAIN, mean, logits[:, 0])
    return mean if symmetry == "all" else logits[:, 0]
