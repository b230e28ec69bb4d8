"""What going on from the embedded model gains over beginning anew, with few labels.

    python studies/transfer.py

On simulated fields, as SDSS and PS1 would see them in their own five bands, which the embedded
model, of three bands of the Legacy Surveys, has never seen. A simulated sky is no measurement of
a survey: the table tells what knowledge of the task is worth where labels are few, not how well
a model of these surveys would do.
"""

import argparse

import numpy as np

from shredfinder import Cutouts, ShredClassifier
from shredfinder.datasets import make_field
from shredfinder.evaluation import compute_metrics


def main():
    """Train from both beginnings and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--surveys", nargs="+", default=["sdss-dr17", "ps1-dr2"])
    parser.add_argument("--labels", nargs="+", type=int, default=[100, 300])
    parser.add_argument("--fields", type=int, default=30, help="fields; half of them judge")
    parser.add_argument("--repeats", type=int, default=3, help="choices of the labelled sources")
    args = parser.parse_args()
    for survey in args.surveys:
        training = observe(survey, range(args.fields // 2))
        unseen = observe(survey, range(args.fields // 2, args.fields))
        print(f"{survey}: {len(training[1])} sources to choose from, {len(unseen[1])} to judge by")
        for n in args.labels:
            scores = np.array(
                [compare(survey, training, unseen, n, seed) for seed in range(args.repeats)]
            )
            anew, going_on = scores.mean(axis=0)
            gains = scores[:, 1] - scores[:, 0]
            print(
                f"  {n} labels: from scratch AUC {anew:.4f}, fine-tuned {going_on:.4f}, "
                f"gain {gains.mean():+.4f} ({', '.join(f'{gain:+.4f}' for gain in gains)})",
                flush=True,
            )


def observe(survey, seeds):
    """Simulate fields; give the cutouts of their sources and the labels."""
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
    """Give the AUC of both trainings on the same labelled sources."""
    cutouts, labels = training
    rows = np.random.default_rng(seed).choice(len(labels), n, replace=False)
    beginnings = (
        ShredClassifier("compact", survey, symmetry="none", random_state=seed),
        ShredClassifier.load().set_params(survey=survey, random_state=seed),
    )
    y = (unseen[1] == "shred").astype(int)
    scores = []
    for classifier in beginnings:
        classifier.fit(cutouts[rows], labels[rows], batch_size=16, progress=False)
        scores.append(compute_metrics(y, classifier.predict_p_cnn(unseen[0])[0])["auc"])
    return scores


if __name__ == "__main__":
    main()
