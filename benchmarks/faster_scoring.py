"""What faster ways to score cost in accuracy: int8, fewer symmetries, a cascade.

Run ``python benchmarks/faster_scoring.py ../shared/data`` in the repository's root, with a folder of
labelled cutouts (``labels.ecsv`` and ``cutouts/``). With ``--folds state/``, the checkpoint folder of
``shredfinder evaluate … --cross-validate 5 --checkpoint state/``, each source is scored by the
model that has not seen it; without, by the embedded model, which has, so that only the
differences mean something.

Each way is compared with the reference (all eight sides of each source, float32) on the same
sources: the difference of AUC with the interval that holds 95 % of resamples of the groups on the
sky.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from astropy.table import Table

from shredfinder import ShredClassifier
from shredfinder.evaluation import make_folds
from shredfinder.imaging import ImageFiles
from shredfinder.models import TrainedModel
from shredfinder.training import encode_labels

KEPT = -0.001
REFERENCE = ("float32", "all")
WAYS = [REFERENCE, *((p, s) for p in ("float32", "int8") for s in ("uncertain", "none", "all"))]


def quantize(model, images):
    """Make an int8 copy of a model, calibrated on images.

    The first and last layers stay in float32 where ONNX Runtime can't quantise them; scales are
    per channel.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self):
            self._parts = iter(np.array_split(images.astype(np.float32) / 255, len(images) // 32))

        def get_next(self):
            part = next(self._parts, None)
            return None if part is None else {"images": part}

    with tempfile.TemporaryDirectory() as folder:
        paths = [str(Path(folder) / name) for name in ("float.onnx", "ready.onnx", "int8.onnx")]
        Path(paths[0]).write_bytes(model.graph)
        quant_pre_process(paths[0], paths[1])
        quantize_static(
            paths[1], paths[2], Reader(), quant_format=QuantFormat.QDQ, per_channel=True
        )
        graph = Path(paths[2]).read_bytes()
    return TrainedModel(model.description, graph, model.weights, "int8")


def score(model, symmetry, cutouts):
    """Score cutouts in all threads; give probabilities and seconds."""
    classifier = ShredClassifier()
    classifier.model_, classifier.symmetry = model, symmetry
    classifier.predict_p_cnn(cutouts[:128])
    start = time.perf_counter()
    p_cnn, _ = classifier.predict_p_cnn(cutouts)
    return p_cnn, time.perf_counter() - start


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
    parser.add_argument("--folds", type=Path, help="checkpoint folder of a cross-validation")
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
        folds = make_folds(labels, groups)
        models = {
            k: TrainedModel.read(options.folds / f"fold-{k}" / "model.shredmodel")
            for k in range(folds.max() + 1)
        }
        print("each source by the model that has not seen it")
    rng = np.random.default_rng(0)
    scores, seconds = {}, {}
    for way in WAYS:
        scores[way], seconds[way] = np.full(len(table), np.nan), 0.0
    for k, model in models.items():
        rows = np.flatnonzero((folds == k) & cutouts.good)
        seen = np.flatnonzero(((folds != k) | (options.folds is None)) & cutouts.good)
        calibration = cutouts.images[rng.choice(seen, 512, replace=False)]
        kinds = {"float32": model, "int8": quantize(model, calibration)}
        for precision, symmetry in scores:
            way = precision, symmetry
            scores[way][rows], spent = score(kinds[precision], symmetry, cutouts[rows])
            seconds[way] += spent
    known = np.isfinite(judged) & np.isfinite(scores[REFERENCE])
    is_shred = judged[known] >= 0.5
    print(f"{np.count_nonzero(known)} sources, {np.count_nonzero(is_shred)} shreds\n")
    print(
        f"{'precision':<10}{'symmetries':<12}{'images/s':>9}{'AUC':>9}{'ΔAUC':>10}"
        f"{'95 % interval':>22}  ΔAUC > {KEPT}"
    )
    n_scored = np.count_nonzero(np.isfinite(scores[REFERENCE]))
    for (precision, symmetry), p_cnn in scores.items():
        auc = area(is_shred, p_cnn[known], np.ones(known.sum()))
        change, low, high = compare(is_shred, scores[REFERENCE][known], p_cnn[known], groups[known])
        verdict = "yes" if low > KEPT else "not sure" if high > KEPT else "no"
        speed = n_scored / seconds[precision, symmetry]
        print(
            f"{precision:<10}{symmetry:<12}{speed:9.0f}{auc:9.5f}{change:+10.5f}"
            f"{f'{low:+.5f} to {high:+.5f}':>22}  {verdict}"
        )


if __name__ == "__main__":
    main()
