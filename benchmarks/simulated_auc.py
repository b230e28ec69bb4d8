"""Measure AUC and accuracy of the embedded model on simulated fields with known truth.

python benchmarks/simulated_auc.py --n-fields 20
"""

import argparse

import numpy as np

from shredfinder import ShredClassifier
from shredfinder.datasets import make_field
from shredfinder.evaluation import bootstrap_metrics, compute_metrics


def main():
    """Simulate, score and print the metrics."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n-fields", type=int, default=20)
    args = parser.parse_args()
    classifier = ShredClassifier.load()
    truth, scores, fields = [], [], []
    for seed in range(args.n_fields):
        field = make_field(random_state=seed)
        p_cnn, _ = classifier.predict_p_cnn(field.cutouts())
        truth.append(np.asarray(field.sources["label"]) == "shred")
        scores.append(p_cnn)
        fields.append(np.full(len(p_cnn), seed))
    y, p_cnn = np.concatenate(truth).astype(int), np.concatenate(scores)
    metrics = compute_metrics(y, p_cnn)
    intervals = bootstrap_metrics(y, p_cnn, np.concatenate(fields), n_resamples=300)
    print(f"{args.n_fields} fields, {metrics['n']} sources, {y.mean():.1%} shreds")
    for name in ("auc", "accuracy", "recall", "specificity"):
        low, high = intervals[name]
        print(f"{name:12} {metrics[name]:.4f} ({low:.4f} to {high:.4f})")


if __name__ == "__main__":
    main()
