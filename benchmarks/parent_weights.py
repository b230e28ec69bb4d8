"""Fit the weights with which find_parents compares the possible parents of a shred.

python benchmarks/parent_weights.py --n-fields 60 --first-seed 1001

Multinomial logistic regression on simulated fields with perfect scores: each shred belongs to one
of the galaxies around it, or to none. Prints the weights that shredfinder/hosts/assignment.py has.
"""

import argparse
import warnings

import numpy as np
from scipy.optimize import minimize
from scipy.spatial import cKDTree

from shredfinder.datasets import make_shredded_field
from shredfinder.hosts import assignment, find_parents
from shredfinder.hosts.sphere import unit_vectors

# Strength of the regularisation per shred, for evidence in units of its standard deviation.
_RIDGE = 1e-3
# Fits, each with the evidence that the weights before it give.
_N_FITS = 9


def collect(table, cutouts):
    """Return the sources, the pairs of shreds and galaxies, their evidence and which are right.

    Parameters
    ----------
    table : Table
        Catalogue of a simulated field.
    cutouts : Cutouts or None
        Its images.
    """
    found = []
    original = assignment.weigh_evidence

    def record(sources, *args):
        found.append((sources, original(sources, *args)))
        return found[-1][1]

    table["p_cnn"] = np.where(table["label"] == "shred", 0.99, 0.01)
    assignment.weigh_evidence = record
    try:
        find_parents(table, cutouts)
    finally:
        assignment.weigh_evidence = original
    ((sources, (shred, parent, _, _, evidence)),) = found
    # The rows were sorted: positions name them.
    order = cKDTree(unit_vectors(table["ra"], table["dec"])).query(sources.points)[1]
    galaxy = np.asarray(table["galaxy_id"])[order]
    return sources, shred, parent, evidence, galaxy[shred] == galaxy[parent]


def fit(samples):
    """Return the weights by name and the share of shreds whose best choice is right.

    The evidence of the shreds around each shred depends on the weights themselves: the fit is
    repeated, and means of the weights make it converge.
    """
    names = [*samples[0][3], "peers"]
    peers = [np.zeros(sample[1].size) for sample in samples]
    weights = np.zeros(len(names))
    for i in range(_N_FITS):
        found, correct = _fit_once(samples, names, peers)
        weights = found if i < 2 else (weights + found) / 2
        peers = [
            assignment.compare_peers(
                sources.points,
                shred,
                parent,
                sources.doubt[parent] + np.stack(list(evidence.values()), 1) @ weights[:-1],
            )
            for sources, shred, parent, evidence, _ in samples
        ]
    return dict(zip(names, weights.tolist(), strict=True)), correct


def _fit_once(samples, names, peers):
    values, shreds, right, start = [], [], [], 0
    for (sources, shred, parent, evidence, is_right), agreement in zip(samples, peers, strict=True):
        # Not the brighter shreds around each shred.
        pair = ~sources.shred[parent]
        values.append(np.stack([*evidence.values(), agreement], 1)[pair])
        shreds.append(shred[pair] + start)
        right.append(is_right[pair])
        start += len(sources.points)
    values, shred, right = (np.concatenate(parts) for parts in (values, shreds, right))
    free = np.array([name != "constant" for name in names])
    spread = np.where(values.std(axis=0) > 0, values.std(axis=0), 1.0)
    scaled = values / spread
    _, shred = np.unique(shred, return_inverse=True)
    n = shred.max() + 1

    def loss(weights):
        odds = np.clip(scaled @ weights, -50, 50)
        total = 1 + np.bincount(shred, np.exp(odds), n)
        gradient = scaled.T @ (np.exp(odds) / total[shred] - right)
        penalty = _RIDGE * n * free * weights
        return (
            np.log(total).sum() - odds[right].sum() + penalty @ weights / 2,
            gradient + penalty,
        )

    weights = minimize(loss, np.zeros(len(names)), jac=True, method="L-BFGS-B").x / spread
    odds = values @ weights
    order = np.argsort(odds, kind="stable")
    best = np.zeros(n, dtype=int)
    best[shred[order]] = order
    none = np.bincount(shred, right, n) == 0
    return weights, np.where(odds[best] > 0, right[best], none).mean()


def main():
    """Simulate the fields and print the weights."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--n-fields", type=int, default=60)
    parser.add_argument("--first-seed", type=int, default=1001)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    with_cutouts, without = [], []
    for seed in range(args.first_seed, args.first_seed + args.n_fields):
        field = make_shredded_field(1536 if seed % 3 == 0 else 1024, random_state=seed)
        with_cutouts.append(collect(field.sources, field.cutouts()))
        without.append(collect(field.sources, None))
    for name, samples in (("with cutouts", with_cutouts), ("without", without)):
        weights, correct = fit(samples)
        print(f"{name}: {correct:.3f} of the shreds right")
        print(", ".join(f"{key} {value:.2f}" for key, value in weights.items()))


if __name__ == "__main__":
    main()
