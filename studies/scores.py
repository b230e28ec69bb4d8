"""Cross-validated scores of the study's networks, computed as the package computes them."""

import numpy as np

from shredfinder.evaluation import fit_calibration

_UNCERTAIN = np.log(0.95 / 0.05)


def read_logits(state, name, fold, seed):
    """Read the row numbers and logits ``(n, 8)`` of one training."""
    with np.load(state / f"{name}-{fold}-{seed}.npz") as saved:
        return saved["rows"], saved["logits"].astype(float)


def gather(state, name, n_sources, folds=range(5), seeds=(0,)):
    """Combine the folds to logits ``(n_sources, 8)``; NaN for sources that no fold has scored."""
    logits = np.full((n_sources, 8), np.nan)
    for fold in folds:
        parts = [read_logits(state, name, fold, seed) for seed in seeds]
        logits[parts[0][0]] = np.mean([logits for _, logits in parts], axis=0)
    return logits


def calibrate(logits, shred):
    """Fit the temperature that minimises the cross-entropy."""
    return fit_calibration(shred, 1 / (1 + np.exp(-logits))).temperature


def compute_scores(logits, shred, fold, usable, symmetry="uncertain"):
    """Return calibrated probabilities; the temperature of each fold is fitted to the others.

    Parameters
    ----------
    logits : `~numpy.ndarray`
        Logits of the 8 rotations and reflections, ``(n, 8)``.
    shred, fold, usable : `~numpy.ndarray`
        Label and fold of each source, and whether it is used for the calibration.
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
    """Average over the symmetries for all, for uncertain or for no sources."""
    mean = logits.mean(1)
    if symmetry == "uncertain":
        return np.where(np.abs(logits[:, 0] / temperature) < _UNCERTAIN, mean, logits[:, 0])
    return mean if symmetry == "all" else logits[:, 0]
