"""Cross-validated scores of the study's networks."""

import numpy as np

from shredfinder.evaluation import fit_calibration


def gather(state, name, n_sources, folds=range(5)):
    """Combine the folds that exist.

    Returns
    -------
    logits, other : `~numpy.ndarray`
        Logit for shred against galaxy and probability of other, of shape ``(n_sources,)``; NaN for
        sources that no fold has scored.
    """
    logits, other = np.full((2, n_sources), np.nan)
    paths = [path for k in folds if (path := state / f"{name}-{k}.npz").exists()]
    if not paths:
        raise FileNotFoundError(f"no fold of {name!r} in {str(state)!r}: run studies/study.py")
    for path in paths:
        with np.load(path) as saved:
            logits[saved["rows"]], other[saved["rows"]] = saved["logits"], saved["other"]
    return logits, other


def to_probability(logits):
    """Return the probability of each logit."""
    return 1 / (1 + np.exp(-logits))


def calibrate(logits, shred):
    """Fit the temperature that minimises the cross-entropy."""
    return fit_calibration(shred, to_probability(logits)).temperature


def compute_scores(logits, sources):
    """Return calibrated probabilities; the temperature of each fold is fitted to the others."""
    usable = sources.agreed & np.isfinite(logits)
    p = np.full(len(logits), np.nan)
    for k in np.unique(sources.fold):
        others, held = usable & (sources.fold != k), (sources.fold == k) & np.isfinite(logits)
        if not held.any():
            continue
        fitted = others if others.any() else usable & held
        temperature = calibrate(logits[fitted], sources.shred[fitted])
        p[held] = to_probability(logits[held] / temperature)
    return p
