"""Make the package's own model of a network of the study that was trained on all sources.

    python studies/embed.py state/ distilled --name legacy-dr9-compact-3 --corrected

Its temperature is that of the cross-validated answers on the sources whose raters agree, or, where
there are none, as given. The measure of novelty is learnt on the training images, some of them
degraded as the network saw them. With ``--fold K`` it is the network that was trained without
that fold, for ``benchmarks/faster_scoring.py``.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from answers import average, calibrate, gather
from runs import RUNS
from sources import SURVEY, load_sources

from shredfinder.datasets import degrade_cutouts
from shredfinder.models.architectures import build_network
from shredfinder.models.description import ModelDescription
from shredfinder.models.files import EMBEDDED_MODEL
from shredfinder.models.model import TrainedModel
from shredfinder.models.novelty import NoveltyMeasure


def main():
    """Convert, describe and write the model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("state", type=Path)
    parser.add_argument("run")
    parser.add_argument("--name", required=True)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--folds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--fold", default="all", help="the fold left out (default: none)")
    parser.add_argument("--symmetry", default="uncertain", choices=["uncertain", "all", "none"])
    parser.add_argument("--temperature", type=float, help="where no folds are there to tell")
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
    images = np.concatenate([cutouts.images for cutouts in see(sources, args.run, trained)])
    description.novelty = NoveltyMeasure.of_images(images).to_dict()
    state = torch.load(args.state / f"{args.run}-{args.fold}-0.pt")
    network = to_keras(state, description.input_shape)
    TrainedModel.from_network(description, network).write(args.output)
    print(f"{args.output}: {args.output.stat().st_size / 1e6:.1f} MB, {temperature=:.3f}")


def find_temperature(args, sources):
    """Find the temperature of the cross-validated answers."""
    logits = gather(args.state, args.run, len(sources.table), args.folds)
    usable = sources.agreed & np.isfinite(logits[:, 0])
    return calibrate(average(logits[usable], args.symmetry, 1.0), sources.shred[usable])


def see(sources, run, trained):
    """Give the training images as the network saw them, in equal parts as clear as they are."""
    surveys = RUNS[run].surveys
    for kind, survey in enumerate((SURVEY.name, *surveys)):
        cutouts = sources.cutouts(np.flatnonzero(trained)[kind :: 1 + len(surveys)])
        clear = survey == SURVEY.name
        yield cutouts if clear else degrade_cutouts(cutouts, survey, random_state=kind)


def to_keras(state, input_shape):
    """Put the weights of a PyTorch `networks.Compact` into the package's network."""
    network = build_network("compact", input_shape)
    values = [value.double().numpy() for name, value in state.items() if "num_batches" not in name]
    weights, epsilon = [], 1e-5
    n_layers = len([value for value in values if value.ndim == 4])
    for _ in range(n_layers):
        kernel, gamma, beta, mean, variance = values[:5]
        del values[:5]
        # Keras adds 1e-3 to the variance where PyTorch adds 1e-5.
        gamma = gamma * np.sqrt((variance + 1e-3) / (variance + epsilon))
        weights += [kernel.transpose(2, 3, 1, 0), gamma, beta, mean, variance]
    hidden, hidden_bias, last, last_bias = values
    # One logit becomes two of half its size and opposite signs.
    ends = np.concatenate([-last, last]).T / 2, np.concatenate([-last_bias, last_bias]) / 2
    network.set_weights([*weights, hidden.T, hidden_bias, *ends])
    return network


if __name__ == "__main__":
    main()
