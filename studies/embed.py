"""Make the package's embedded model from a network of the study trained on all sources.

    python studies/embed.py state/ distilled --name legacy-dr9-compact-3 --corrected

The temperature is fitted to the cross-validated scores of the sources on which the raters agree,
unless given. The novelty measure is fitted to the training images, degraded in the same proportions
as for the training. ``--fold K`` uses the network trained without that fold, for
``benchmarks/faster_scoring.py``.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from runs import RUNS
from scores import average, calibrate, gather
from sources import SURVEY, load_sources

from shredfinder.datasets import degrade_cutouts
from shredfinder.models.architectures import build_network, import_keras
from shredfinder.models.archive import EMBEDDED_MODEL
from shredfinder.models.description import ModelDescription
from shredfinder.models.model import TrainedModel
from shredfinder.models.novelty import NoveltyMeasure


def main():
    """Convert the network and write the model file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("state", type=Path)
    parser.add_argument("run")
    parser.add_argument("--name", required=True)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--folds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--fold", default="all", help="held-out fold (default: none)")
    parser.add_argument("--symmetry", default="uncertain", choices=["uncertain", "all", "none"])
    parser.add_argument(
        "--temperature", type=float, help="fixed temperature (default: fitted to the folds)"
    )
    parser.add_argument("--corrected", action="store_true", help="trained on corrected labels")
    parser.add_argument("--output", type=Path, default=EMBEDDED_MODEL)
    args = parser.parse_args()
    sources = load_sources(args.data, corrected=args.corrected)
    temperature = args.temperature or find_temperature(args, sources)
    trained = sources.fold >= 0
    if args.fold != "all":
        trained &= sources.fold != int(args.fold)
    description = ModelDescription.of_training(
        args.name,
        sources.cutouts(np.flatnonzero(trained)),
        architecture="compact",
        survey=SURVEY.name,
        symmetry=args.symmetry,
        training_prior=float(np.mean(sources.shred[trained])),
        training={
            "n_sources": int(trained.sum()),
            "n_shreds": int(sources.shred[trained].sum()),
            "n_epochs": RUNS[args.run].epochs,
            "random_state": 0,
            "backend": f"torch {torch.__version__}, studies/study.py, run {args.run!r}",
        },
    )
    description.temperature = temperature
    images = np.concatenate(
        [cutouts.images for cutouts in degrade_images(sources, args.run, trained)]
    )
    description.novelty = NoveltyMeasure.of_images(images).to_dict()
    state = torch.load(args.state / f"{args.run}-{args.fold}-0.pt")
    network = to_keras(state, description.input_shape)
    TrainedModel.from_network(description, network).write(args.output)
    print(f"{args.output}: {args.output.stat().st_size / 1e6:.1f} MB, {temperature=:.3f}")


def find_temperature(args, sources):
    """Fit the temperature of the cross-validated scores."""
    logits = gather(args.state, args.run, len(sources.table), args.folds)
    usable = sources.agreed & np.isfinite(logits[:, 0])
    return calibrate(average(logits[usable], args.symmetry, 1.0), sources.shred[usable])


def degrade_images(sources, run, trained):
    """Yield the training images in equal parts: as they are, and degraded to each survey."""
    surveys = RUNS[run].surveys
    for kind, survey in enumerate((SURVEY.name, *surveys)):
        cutouts = sources.cutouts(np.flatnonzero(trained)[kind :: 1 + len(surveys)])
        if survey != SURVEY.name:
            cutouts = degrade_cutouts(cutouts, survey, random_state=kind)
        yield cutouts


def to_keras(state, input_shape):
    """Convert a PyTorch `networks.Compact` to the package's Keras network."""
    import_keras()  # selects an installed backend
    network = build_network("compact", input_shape)
    values = [value.double().numpy() for name, value in state.items() if "num_batches" not in name]
    weights, epsilon = [], 1e-5
    n_layers = len([value for value in values if value.ndim == 4])
    for _ in range(n_layers):
        kernel, gamma, beta, mean, variance = values[:5]
        del values[:5]
        # Batch normalisation adds 1e-3 to the variance in Keras and 1e-5 in PyTorch.
        gamma = gamma * np.sqrt((variance + 1e-3) / (variance + epsilon))
        weights += [kernel.transpose(2, 3, 1, 0), gamma, beta, mean, variance]
    hidden, hidden_bias, last, last_bias = values
    # Replace the single logit by two of half its size with opposite signs.
    ends = np.concatenate([-last, last]).T / 2, np.concatenate([-last_bias, last_bias]) / 2
    network.set_weights([*weights, hidden.T, hidden_bias, *ends])
    return network


if __name__ == "__main__":
    main()
