"""Train the package's networks fold by fold, and the embedded models on all sources.

    python studies/study.py state/ catalogue compact-first-labels
    python studies/study.py state/ catalogue --output shredfinder/models/data/embedded.shredmodel
    python studies/study.py state/ robust --output shredfinder/models/data/robust.shredmodel

Every training is a call of ``ShredClassifier.fit``. For each run and fold, ``state/`` holds the
model and the logits of the held-out sources (``RUN-FOLD.npz``); finished trainings are not repeated
and interrupted ones resume. ``--output`` trains on all sources, with the temperature and the limit
of ``p_other`` from the run's cross-validated scores. ``--int8`` also saves the model in 8-bit
integers.
"""

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scores import calibrate, gather
from sources import SURVEY, load_sources

from shredfinder import Cutouts, ShredClassifier
from shredfinder.datasets import degrade_cutouts
from shredfinder.imaging import compress_jpeg
from shredfinder.training import RECIPES, Recipe


@dataclass(frozen=True)
class Run:
    """Settings of a training.

    Attributes
    ----------
    labels : str
        ``"final4"`` (all raters) or ``"final"`` (the first looks).
    soft : bool
        Whether to train on the raters' confidences, and on three classes, or on the hard labels of
        galaxies and shreds.
    recipe : str or Recipe
        Recipe, or key of `shredfinder.training.RECIPES`.
    epochs : int
        Number of epochs.
    start : str
        Run whose model the training starts from; empty for random weights.
    surveys : tuple of str
        Surveys to whose seeing and depth training images are degraded, in equal parts with
        original images.
    n_labels : int or None
        Number of randomly selected training sources; by default all.
    certain : bool
        Train only on sources of which both first raters were certain.
    flipped : float
        Fraction of the sources whose label is flipped before training.
    name : str
        Name of the model trained on all sources.
    """

    labels: str = "final4"
    soft: bool = True
    recipe: str | Recipe = "catalogue"
    epochs: int = 40
    start: str = "compact"
    surveys: tuple = ()
    n_labels: int | None = None
    certain: bool = False
    flipped: float = 0.0
    name: str = ""


# Noise and simulated galaxies, which are unlike the labelled sources, often reach 0.85.
LEAST_LIMIT = 0.9
COMPACT = Run(recipe="compact", epochs=60, start="")
RUNS = {
    # The embedded models.
    "catalogue": Run(name="legacy-dr9-compact-7"),
    "robust": Run(
        recipe=replace(RECIPES["catalogue"], kept=0.0),
        surveys=("sdss-dr17", "ps1-dr2"),
        name="legacy-dr9-robust-3",
    ),
    # The first stage of both: the images are only rotated, mirrored, scaled and shifted.
    "compact": COMPACT,
    # What the labels of all raters bring.
    "compact-first-labels": replace(COMPACT, labels="final"),
    # Number and quality of labels. Runs with fewer sources have more epochs, so that the number of
    # labels limits them and not the number of steps.
    "hard": replace(COMPACT, soft=False),
    "certain": replace(COMPACT, certain=True, epochs=96),
    "flipped-05": replace(COMPACT, soft=False, flipped=0.05),
    "flipped-20": replace(COMPACT, soft=False, flipped=0.20),
    "labels-160": replace(COMPACT, n_labels=160, epochs=192),
    "labels-320": replace(COMPACT, n_labels=320, epochs=192),
    "labels-640": replace(COMPACT, n_labels=640, epochs=192),
    "labels-1280": replace(COMPACT, n_labels=1280, epochs=96),
}


def main():
    """Train the runs and folds given on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("state", type=Path)
    parser.add_argument("runs", nargs="+", choices=sorted(RUNS))
    parser.add_argument("--folds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--output", type=Path, help="train on all sources and save the model")
    parser.add_argument("--int8", type=Path, help="with --output, save it in 8-bit integers too")
    args = parser.parse_args()
    args.state.mkdir(parents=True, exist_ok=True)
    for name in args.runs:
        sources = load_sources(args.data, RUNS[name].labels)
        if args.output is not None:
            classifier = embed(sources, args.state, name, args.folds, args.output)
            if args.int8 is not None:
                classifier.quantize(sources.all_cutouts).save(args.int8)
            continue
        for fold in args.folds:
            train_fold(sources, args.state, name, fold)


def train_fold(sources, state, name, fold):
    """Train on all folds except one, and save the model and that fold's scores."""
    path = state / f"{name}-{fold}.npz"
    if path.exists():
        return
    held = np.flatnonzero(sources.fold == fold)
    classifier = train(sources, np.flatnonzero(sources.fold != fold), state, name, fold)
    logits, other = score(classifier, sources.cutouts(held))
    np.savez(path, rows=held, logits=logits, other=other)


def train(sources, rows, state, name, fold):
    """Return the classifier trained on some sources, from ``state/`` if it is there."""
    path = state / f"{name}-{fold}.shredmodel"
    if path.exists():
        return ShredClassifier.load(path)
    run = RUNS[name]
    classifier = ShredClassifier()
    if run.start:
        classifier = train(sources, rows, state, run.start, fold)
    classifier.set_params(random_state=0, symmetry="none", warm_start=True)
    rng = np.random.default_rng(fold if isinstance(fold, int) else 99)
    if run.certain:
        rows = rows[sources.certain[rows]]
    if not run.soft:
        rows = rows[np.isfinite(sources.hard[rows])]
    if run.n_labels is not None:
        rows = np.sort(rng.choice(rows, run.n_labels, replace=False))
    y = sources.soft[rows] if run.soft else sources.hard[rows].copy()
    flipped = rng.random(len(rows)) < run.flipped
    y[flipped] = 1 - y[flipped]
    classifier.fit(
        degrade(sources.cutouts(rows), run.surveys),
        y,
        sample_weight=sources.weights[rows],
        recipe=run.recipe,
        epochs=run.epochs,
        validation=None,
        checkpoint=state / f"{name}-{fold}",
        name=run.name or name,
        progress=True,
    )
    classifier.save(path)
    return classifier


def degrade(cutouts, surveys):
    """Degrade equal parts of the images to each survey, and leave one part as it is."""
    if not surveys:
        return cutouts
    images = cutouts.images.copy()
    kinds = len(surveys) + 1
    for kind, survey in enumerate(surveys, start=1):
        part = degrade_cutouts(cutouts[kind::kinds], survey, random_state=kind).images
        # Viewers compress their images, cutouts from FITS files need not be.
        part[::2] = [compress_jpeg(image) for image in part[::2]]
        images[kind::kinds] = part
    return Cutouts.of_survey(SURVEY.name, images)


def score(classifier, cutouts):
    """Return the logits for shred against galaxy and the probabilities of other."""
    images = (cutouts.images / 255).astype(np.float32)
    logits, p_other = classifier.model_.network.evaluate(images)
    return logits, np.zeros(len(logits)) if p_other is None else p_other


def embed(sources, state, name, folds, output):
    """Train on all sources and save the model, calibrated by the cross-validated scores.

    Returns
    -------
    classifier : ShredClassifier
        The saved model.
    """
    classifier = train(sources, np.arange(len(sources.table)), state, name, "all")
    logits, other = gather(state, name, len(sources.table), folds)
    usable = sources.agreed & np.isfinite(logits)
    if usable.any():
        description = classifier.model_.description
        description.temperature = calibrate(logits[usable], sources.shred[usable])
        # Fewer than one in 1,000 galaxies and shreds lose their score.
        limit = np.ceil(100 * np.quantile(other[usable], 0.999)) / 100
        description.other_limit = max(float(limit), LEAST_LIMIT)
        print(f"{usable.sum()} sources: temperature {description.temperature:.3f}, ", end="")
        print(f"limit of p_other {description.other_limit:.2f}")
    classifier.save(output)
    print(f"{output}: {output.stat().st_size / 1e6:.1f} MB")
    return classifier


if __name__ == "__main__":
    main()
