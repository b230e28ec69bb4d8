"""Measure the accuracy of faster scoring methods: int8, fewer symmetries, cascades.

Run ``python benchmarks/faster_scoring.py ../shared/data`` in the repository root, with a folder of
labelled cutouts (``labels.ecsv`` and ``cutouts/``). ``--folds PATTERN`` names the models of the
folds; each source is then scored by the model trained without it. ``studies/study.py STATE/
catalogue`` makes those of the embedded model's study, ``STATE/catalogue-{}.shredmodel``, and
``shredfinder evaluate … --cross-validate 5 --checkpoint FOLDER`` makes
``FOLDER/fold-{}/model.shredmodel``. Without ``--folds`` the embedded model is used, which was
trained on all sources, so that only the differences are meaningful.

Each method is compared with the reference (the mean over the 8 rotations and reflections, in
float32) on the same sources, by the difference in AUC with its 95 % interval from resamples of the
groups on the sky. A method qualifies if the whole interval lies above −0.001. A cascade evaluates
each source once, and again only if the first calibrated score is within some logits of 0.5. Every
evaluation takes the same time, so images per second of core time ("/core-s") are evaluations per
second divided by evaluations per image. The two precisions are timed in turn.
"""

import argparse
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from astropy.table import Table

from shredfinder import ShredClassifier
from shredfinder._utils.runtime import count_threads
from shredfinder.evaluation import compute_metrics, make_folds
from shredfinder.imaging import ImageFiles
from shredfinder.models import TrainedModel
from shredfinder.models.model import symmetric_views
from shredfinder.training import encode_labels

KEPT = -0.001
# Indices of the image and its `symmetric_views`, which alternate reflections and rotations. The set
# of four are the rotations, the set of two are 180° apart.
SYMMETRIES = {"8": range(8), "4": (0, 2, 4, 6), "2": (0, 4), "1": (0,)}
# Logits within which a first score is uncertain: p_cnn from 0.27 to 0.73 and from 0.05 to 0.95.
LIMITS = (1, 3)
REFERENCE = "float32, 8 symmetries"
ROUNDS = 3


def evaluate(network, images):
    """Return the logits of images, using all threads."""
    parts = np.array_split(images, max(1, len(images) // 32))
    with ThreadPoolExecutor(count_threads()) as executor:
        return np.concatenate(list(executor.map(network.logits, parts)))


def evaluate_symmetries(network, images):
    """Return the logits of the 8 rotations and reflections, of shape ``(8, n)``."""
    return np.stack([evaluate(network, view) for view in (images, *symmetric_views(images))])


def time_evaluations(networks, images):
    """Time networks in turn; return evaluations per second of core time of each."""
    seconds = dict.fromkeys(networks, 0.0)
    for _ in range(ROUNDS):
        for name, network in networks.items():
            evaluate(network, images[:64])
            start = time.process_time()
            evaluate(network, images)
            seconds[name] += time.process_time() - start
    return {name: ROUNDS * len(images) / spent for name, spent in seconds.items()}


def list_methods(logits):
    """Return the logits of each method and its evaluations per image in each precision.

    ``logits`` maps precisions to calibrated logits of all symmetries, of shape ``(8, n)``.
    """
    methods = {}
    for precision, symmetric in logits.items():
        for name, chosen in SYMMETRIES.items():
            methods[f"{precision}, {name} symmetr{'ies' if len(chosen) > 1 else 'y'}"] = (
                symmetric[list(chosen)].mean(axis=0),
                {precision: len(chosen)},
            )
    exact = logits["float32"]
    for first in logits:
        for limit in LIMITS:
            uncertain = np.abs(logits[first][0]) < limit
            for name in ("8", "4"):
                chosen = list(SYMMETRIES[name])
                combined = np.where(uncertain, exact[chosen].mean(axis=0), logits[first][0])
                counts = {first: 1.0}
                # The first evaluation, if in the same precision, is one of the symmetries.
                again = len(chosen) - (first == "float32")
                counts["float32"] = counts.get("float32", 0) + again * uncertain.mean()
                methods[f"{first}, then {name} if |logit| < {limit}"] = combined, counts
    return methods


def area(is_shred, p_cnn, weights):
    """Compute the area under the ROC curve of weighted sources."""
    order = np.argsort(p_cnn, kind="stable")
    shreds, galaxies = (weights * is_shred)[order], (weights * ~is_shred)[order]
    # Ties count one half.
    _, first = np.unique(p_cnn[order], return_index=True)
    shreds, galaxies = np.add.reduceat(shreds, first), np.add.reduceat(galaxies, first)
    below = np.cumsum(galaxies) - galaxies / 2
    return (shreds * below).sum() / (shreds.sum() * galaxies.sum())


def compare(is_shred, reference, p_cnn, groups, n=1000):
    """Return the difference of two AUCs and its 95 % interval from resamples."""
    rng = np.random.default_rng(0)
    _, groups = np.unique(groups, return_inverse=True)
    n_groups = groups.max() + 1
    ones = np.ones(len(groups))
    difference = area(is_shred, p_cnn, ones) - area(is_shred, reference, ones)
    resampled = []
    for _ in range(n):
        counts = np.bincount(rng.integers(0, n_groups, n_groups), minlength=n_groups)
        weights = counts[groups].astype(float)
        resampled.append(area(is_shred, p_cnn, weights) - area(is_shred, reference, weights))
    return difference, *np.quantile(resampled, [0.025, 0.975])


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of labels.ecsv and cutouts/")
    parser.add_argument(
        "--folds", help="pattern of the models, such as state/catalogue-{}.shredmodel"
    )
    parser.add_argument("--n-folds", type=int, default=5, help="number of folds")
    parser.add_argument("--label", default="final", help="column of labels that defined the folds")
    parser.add_argument("--judge", default="consensus", help="column of labels to test on")
    options = parser.parse_args()
    table = Table.read(options.data / "labels.ecsv")
    labels, judged = (encode_labels(table[name]) for name in (options.label, options.judge))
    groups = np.asarray(table["sky_group"])
    embedded = ShredClassifier.load()
    paths = [options.data / "cutouts" / f"{name}.png" for name in table["objID"]]
    facts = {"pixel_scale": embedded.pixel_scale_, "bands": embedded.bands_}
    files = ImageFiles(paths, size=embedded.size_, color_mapping=embedded.color_mapping_, **facts)
    cutouts = files[:]
    if options.folds is None:
        models, folds = {0: embedded.model_}, np.where(np.isfinite(labels), 0, -1)
        print("embedded model, tested on its training set: only differences are meaningful")
    else:
        folds = make_folds(labels, groups, n_splits=options.n_folds)
        paths = {k: Path(options.folds.format(k)) for k in range(options.n_folds)}
        models = {k: TrainedModel.read(path) for k, path in paths.items() if path.exists()}
        if not models:
            parser.error(f"no files {options.folds}")
        print(
            f"models of {len(models)} of {options.n_folds} folds; each source scored by the model "
            "trained without it"
        )
    rng = np.random.default_rng(0)
    logits = {name: np.full((8, len(table)), np.nan) for name in ("float32", "int8")}
    for k, model in models.items():
        rows = np.flatnonzero((folds == k) & cutouts.good)
        seen = np.flatnonzero(((folds != k) | (options.folds is None)) & cutouts.good)
        seen = rng.choice(seen, min(512, len(seen)), replace=False)
        # Models of older files take float images.
        model = TrainedModel.from_network(model.description, model.keras_network())
        networks = {
            "float32": model.network,
            "int8": model.quantized(cutouts.images[seen]).network,
        }
        images = cutouts.images[rows]
        for name, network in networks.items():
            values = evaluate_symmetries(network, images)
            logits[name][:, rows] = values / model.description.temperature
    speeds = time_evaluations(networks, images)
    known = np.isfinite(judged) & np.isfinite(logits["float32"][0])
    is_shred, groups = judged[known] >= 0.5, groups[known]
    methods = list_methods({name: values[:, known] for name, values in logits.items()})
    print(f"{np.count_nonzero(known)} sources, {np.count_nonzero(is_shred)} shreds")
    print(
        "evaluations per core-second: "
        + ", ".join(f"{n} {speed:.0f}" for n, speed in speeds.items())
    )
    print(
        f"\n{'':<32}{'evals':>6}{'/core-s':>8}{'AUC':>8}{'1000 ΔAUC (95 %)':>25}"
        f"{'accuracy':>10}{'ECE':>7}  > {KEPT * 1e3:g}"
    )
    reference = methods[REFERENCE][0]
    for name, (combined, counts) in methods.items():
        metrics = compute_metrics(is_shred.astype(int), 1 / (1 + np.exp(-combined)))
        change, low, high = compare(is_shred, reference, combined, groups)
        verdict = "yes" if low > KEPT else "unclear" if high > KEPT else "no"
        speed = 1 / sum(n / speeds[precision] for precision, n in counts.items())
        interval = f"{change * 1e3:+.2f} ({low * 1e3:+.2f} to {high * 1e3:+.2f})"
        print(
            f"{name:<32}{sum(counts.values()):6.2f}{speed:8.0f}{metrics['auc']:8.4f}{interval:>25}"
            f"{metrics['accuracy']:10.4f}{metrics['calibration_error']:7.4f}  {verdict}"
        )


if __name__ == "__main__":
    main()
