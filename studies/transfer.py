"""Compare fine-tuning the embedded model with training from scratch on few labels.

    python studies/transfer.py

The data are simulated fields as observed by SDSS and PS1 in their own five bands. The embedded
model was trained on three bands of the Legacy Surveys only. The table shows how much prior
knowledge of the task helps if labels are few. It does not predict the performance of a model for
these surveys on the real sky.
"""

import argparse

import numpy as np

from shredfinder import Cutouts, ShredClassifier
from shredfinder.datasets import make_field
from shredfinder.evaluation import compute_metrics


def main():
    """Train both ways and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--surveys", nargs="+", default=["sdss-dr17", "ps1-dr2"])
    parser.add_argument("--labels", nargs="+", type=int, default=[100, 300])
    parser.add_argument(
        "--fields", type=int, default=30, help="simulated fields; half of them form the test set"
    )
    parser.add_argument(
        "--repeats", type=int, default=3, help="random selections of labelled sources"
    )
    args = parser.parse_args()
    for survey in args.surveys:
        training = observe(survey, range(args.fields // 2))
        unseen = observe(survey, range(args.fields // 2, args.fields))
        print(f"{survey}: {len(training[1])} training sources, {len(unseen[1])} test sources")
        for n in args.labels:
            scores = np.array(
                [compare(survey, training, unseen, n, seed) for seed in range(args.repeats)]
            )
            scratch, fine_tuned = scores.mean(axis=0)
            gains = scores[:, 1] - scores[:, 0]
            print(
                f"  {n} labels: from scratch AUC {scratch:.4f}, fine-tuned {fine_tuned:.4f}, "
                f"gain {gains.mean():+.4f} ({', '.join(f'{gain:+.4f}' for gain in gains)})",
                flush=True,
            )


def observe(survey, seeds):
    """Simulate fields and return the cutouts and labels of their sources."""
    fields = [make_field(random_state=1000 + seed) for seed in seeds]
    parts = [field.observe(survey, random_state=0) for field in fields]
    cutouts = Cutouts(
        np.concatenate([part.images for part in parts]),
        pixel_scale=parts[0].pixel_scale,
        bands=parts[0].bands,
        color_mapping=parts[0].color_mapping,
    )
    return cutouts, np.concatenate([np.asarray(field.sources["label"]) for field in fields])


def compare(survey, training, unseen, n, seed):
    """Return the AUCs of training from scratch and of fine-tuning on the same sources."""
    cutouts, labels = training
    rows = np.random.default_rng(seed).choice(len(labels), n, replace=False)
    classifiers = (
        ShredClassifier("compact", survey, symmetry="none", random_state=seed),
        ShredClassifier.load().set_params(survey=survey, random_state=seed),
    )
    y = (unseen[1] == "shred").astype(int)
    scores = []
    for classifier in classifiers:
        classifier.fit(cutouts[rows], labels[rows], batch_size=16, progress=False)
        scores.append(compute_metrics(y, classifier.predict_p_cnn(unseen[0])[0])["auc"])
    return scores


if __name__ == "__main__":
    main()
