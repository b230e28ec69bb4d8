"""What faster ways to score cost in accuracy: int8, fewer symmetries, cascades.

Run ``python benchmarks/faster_scoring.py ../shared/data`` in the repository's root, with a folder
of labelled cutouts (``labels.ecsv`` and ``cutouts/``). With ``--folds FOLDER``, which holds
``fold-0/model.shredmodel`` and so on, each source is scored by the model that has not seen it:
``shredfinder evaluate … --cross-validate 5 --checkpoint FOLDER`` makes them, and
``studies/embed.py`` with ``--fold 0`` and so on those of the embedded model's own study. Without,
the embedded model scores, which has seen all, so that only the differences mean something.

Each way is compared with the reference (the mean of all eight sides of each source, in float32) on
the same sources: the difference of AUC with the interval that holds 95 % of resamples of the
groups on the sky; what surely loses less than 0.001 may be kept. A cascade looks once, and again
only at sources whose first answer, calibrated, lies within some logits of even. A look takes the
same time whichever side it is at, so that images per second of one core's time ("/core-s") are
looks per second over looks per image; the two precisions' looks are timed by turns.
"""

import argparse
import tempfile
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
from shredfinder.models.scoring import OnnxNetwork, symmetric_views
from shredfinder.training import encode_labels

KEPT = -0.001
# Sides as `symmetric_views` gives them, after the image itself: mirrored and turned by turns.
# The four are rotations, the two half a turn apart.
SIDES = {"8": range(8), "4": (0, 2, 4, 6), "2": (0, 4), "1": (0,)}
# Logits within which a first answer is doubtful: p_cnn from 0.27 to 0.73, and from 0.05 to 0.95.
LIMITS = (1, 3)
REFERENCE = "float32, 8 sides"
ROUNDS = 3


def quantize(graph, images):
    """Make an int8 copy of a network, its scales per channel and calibrated on images."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self):
            self._parts = iter(np.array_split(images, len(images) // 32))

        def get_next(self):
            part = next(self._parts, None)
            return None if part is None else {"images": part}

    with tempfile.TemporaryDirectory() as folder:
        paths = [str(Path(folder) / name) for name in ("float.onnx", "ready.onnx", "int8.onnx")]
        Path(paths[0]).write_bytes(graph)
        quant_pre_process(paths[0], paths[1], skip_symbolic_shape=True)
        quantize_static(
            paths[1], paths[2], Reader(), quant_format=QuantFormat.QDQ, per_channel=True
        )
        return Path(paths[2]).read_bytes()


def look(network, images):
    """Give the logits of images, in all threads."""
    parts = np.array_split(images, max(1, len(images) // 32))
    with ThreadPoolExecutor(count_threads()) as executor:
        return np.concatenate(list(executor.map(network.logits, parts)))


def look_from_all_sides(network, images):
    """Give the logits of each image's eight sides, of shape ``(8, n)``."""
    sides = [images, *symmetric_views(images)]
    return np.stack([look(network, side) for side in sides])


def time_looks(networks, images):
    """Time networks by turns; give each one's looks per second of one core's time."""
    seconds = dict.fromkeys(networks, 0.0)
    for _ in range(ROUNDS):
        for name, network in networks.items():
            look(network, images[:64])
            start = time.process_time()
            look(network, images)
            seconds[name] += time.process_time() - start
    return {name: ROUNDS * len(images) / spent for name, spent in seconds.items()}


def list_ways(logits):
    """Make each way's logits, and its looks per image in each precision.

    ``logits`` holds those of all sides by precision, calibrated, of shape ``(8, n)``.
    """
    ways = {}
    for precision, of_sides in logits.items():
        for name, sides in SIDES.items():
            ways[f"{precision}, {name} side{'s' if len(sides) > 1 else ''}"] = (
                of_sides[list(sides)].mean(axis=0),
                {precision: len(sides)},
            )
    exact = logits["float32"]
    for first in logits:
        for limit in LIMITS:
            doubtful = np.abs(logits[first][0]) < limit
            for name in ("8", "4"):
                sides = list(SIDES[name])
                answer = np.where(doubtful, exact[sides].mean(axis=0), logits[first][0])
                looks = {first: 1.0}
                # The first look, if it was as exact, is one of the sides.
                again = len(sides) - (first == "float32")
                looks["float32"] = looks.get("float32", 0) + again * doubtful.mean()
                ways[f"{first}, then {name} if |logit| < {limit}"] = answer, looks
    return ways


def area(is_shred, p_cnn, weights):
    """Compute the area under the ROC curve, of sources that may count several times."""
    order = np.argsort(p_cnn, kind="stable")
    shreds, galaxies = (weights * is_shred)[order], (weights * ~is_shred)[order]
    # Ties are as good as right half of the time.
    _, first = np.unique(p_cnn[order], return_index=True)
    shreds, galaxies = np.add.reduceat(shreds, first), np.add.reduceat(galaxies, first)
    below = np.cumsum(galaxies) - galaxies / 2
    return (shreds * below).sum() / (shreds.sum() * galaxies.sum())


def compare(is_shred, reference, p_cnn, groups, n=1000):
    """Give the difference of two AUCs and the interval that holds 95 % of its resamples."""
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
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of labels.ecsv and cutouts/")
    parser.add_argument("--folds", type=Path, help="folder of fold-0/model.shredmodel and so on")
    parser.add_argument("--n-folds", type=int, default=5, help="of that cross-validation")
    parser.add_argument("--label", default="final", help="labels that the folds were made by")
    parser.add_argument("--judge", default="consensus", help="labels to judge by")
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
        print("embedded model, judged on what it was trained on: only differences count")
    else:
        folds = make_folds(labels, groups, n_splits=options.n_folds)
        paths = {
            k: options.folds / f"fold-{k}" / "model.shredmodel" for k in range(options.n_folds)
        }
        models = {k: TrainedModel.read(path) for k, path in paths.items() if path.exists()}
        if not models:
            parser.error(f"{options.folds} holds no fold-*/model.shredmodel")
        print(
            f"models of {len(models)} of {options.n_folds} folds; each source by one that has "
            "not seen it"
        )
    rng = np.random.default_rng(0)
    logits = {name: np.full((8, len(table)), np.nan) for name in ("float32", "int8")}
    for k, model in models.items():
        rows = np.flatnonzero((folds == k) & cutouts.good)
        seen = np.flatnonzero(((folds != k) | (options.folds is None)) & cutouts.good)
        seen = rng.choice(seen, min(512, len(seen)), replace=False)
        graph = quantize(model.graph, cutouts.images[seen].astype(np.float32) / 255)
        networks = {
            "float32": model.network,
            "int8": OnnxNetwork(graph, model.description.input_shape),
        }
        images = cutouts.images[rows].astype(np.float32) / 255
        for name, network in networks.items():
            sides = look_from_all_sides(network, images)
            logits[name][:, rows] = sides / model.description.temperature
    speeds = time_looks(networks, images)
    known = np.isfinite(judged) & np.isfinite(logits["float32"][0])
    is_shred, groups = judged[known] >= 0.5, groups[known]
    ways = list_ways({name: values[:, known] for name, values in logits.items()})
    print(f"{np.count_nonzero(known)} sources, {np.count_nonzero(is_shred)} shreds")
    print("looks per core-second: " + ", ".join(f"{n} {speed:.0f}" for n, speed in speeds.items()))
    print(
        f"\n{'':<32}{'looks':>6}{'/core-s':>8}{'AUC':>8}{'1000 ΔAUC (95 %)':>25}"
        f"{'accuracy':>10}{'ECE':>7}  > {KEPT * 1e3:g}"
    )
    reference = ways[REFERENCE][0]
    for name, (answer, looks) in ways.items():
        metrics = compute_metrics(is_shred.astype(int), 1 / (1 + np.exp(-answer)))
        change, low, high = compare(is_shred, reference, answer, groups)
        verdict = "yes" if low > KEPT else "not sure" if high > KEPT else "no"
        speed = 1 / sum(n / speeds[precision] for precision, n in looks.items())
        interval = f"{change * 1e3:+.2f} ({low * 1e3:+.2f} to {high * 1e3:+.2f})"
        print(
            f"{name:<32}{sum(looks.values()):6.2f}{speed:8.0f}{metrics['auc']:8.4f}{interval:>25}"
            f"{metrics['accuracy']:10.4f}{metrics['calibration_error']:7.4f}  {verdict}"
        )


if __name__ == "__main__":
    main()
