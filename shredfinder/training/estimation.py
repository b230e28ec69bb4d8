"""From images and labels to a trained model: the checks and choices around the loop."""

import hashlib
import warnings

import numpy as np

from shredfinder.exceptions import ShredfinderWarning
from shredfinder.models.architectures import build_network
from shredfinder.models.description import ModelDescription
from shredfinder.models.model import TrainedModel
from shredfinder.models.novelty import NoveltyMeasure
from shredfinder.parameters import check_weights
from shredfinder.training.backend import import_keras
from shredfinder.training.fitting import fit_network
from shredfinder.training.labels import CLASSES, encode_labels, split_groups, warn_of_others
from shredfinder.training.recipes import RECIPES

__all__ = ["train_model"]


def train_model(
    cutouts,
    y,
    *,
    name,
    architecture,
    survey,
    symmetry,
    random_state=None,
    sample_weight=None,
    groups=None,
    validation="auto",
    start=None,
    **loop,
):
    """Train a network on labelled cutouts.

    Parameters
    ----------
    cutouts : Cutouts
        The images.
    y : array_like
        Labels, see `encode_labels`.
    name, architecture, survey, symmetry
        For the model's description.
    random_state : int, optional
        Makes the training repeatable.
    sample_weight, groups : array_like, optional
        Weight in the loss, and group, of each source.
    validation : float, tuple, None or "auto", optional
        Fraction set aside, or ``(cutouts, y)`` to validate on; by default the recipe's.
    start : TrainedModel, optional
        Model whose weights are gone on from.
    **loop
        Arguments of `fit_network`: epochs, patience, batch_size, checkpoint, progress.

    Returns
    -------
    model : TrainedModel
        The trained network with its description.
    history : dict of list
        Losses by epoch.
    """
    keras = import_keras()
    recipe = RECIPES[architecture]
    rows, p_shred, weight = _select_usable(cutouts, y, sample_weight)
    groups = None if groups is None else _check_length("groups", groups, len(cutouts))[rows]
    images = cutouts.images[rows]
    validation = recipe.validation if isinstance(validation, str) else validation
    validation_data = None
    if isinstance(validation, tuple):
        held_cutouts, held_y = validation
        held, held_p, held_weight = _select_usable(held_cutouts, held_y, None)
        validation_data = held_cutouts.images[held], _to_targets(held_p), held_weight
    elif validation is not None:
        kept, aside = split_groups(p_shred, groups, validation, random_state)
        validation_data = images[aside], _to_targets(p_shred[aside]), weight[aside]
        images, p_shred, weight = images[kept], p_shred[kept], weight[kept]
    if random_state is not None:
        keras.utils.set_random_seed(random_state)
    network = build_network(architecture, images.shape[1:])
    if start is not None:
        start.description.check_cutouts(cutouts)
        network.set_weights(start.weights)
    history = fit_network(
        network,
        images,
        _to_targets(p_shred),
        weight,
        recipe=recipe,
        validation_data=validation_data,
        random_state=random_state,
        **loop,
    )
    if not np.isfinite(history["loss"][-1]):
        warnings.warn(
            "the training diverged: its last loss is not finite, and the model will give no "
            "answers; check images and weights, or begin from another random_state",
            ShredfinderWarning,
            stacklevel=3,
        )
    training = {
        "n_sources": len(images),
        "n_shreds": int(np.count_nonzero(p_shred >= 0.5)),
        "data_sha256": _hash_data(images, p_shred, weight),
        "n_epochs": len(history["loss"]),
        "random_state": random_state,
        "backend": f"keras {keras.__version__}, {keras.backend.backend()}",
        "history": {name: [_shorten(v) for v in values] for name, values in history.items()},
    }
    description = ModelDescription.of_training(
        name,
        cutouts,
        architecture=architecture,
        survey=survey,
        symmetry=symmetry,
        training_prior=float(np.average(p_shred, weights=weight)),
        training=training,
    )
    measure = NoveltyMeasure.of_images(images)
    description.novelty = None if measure is None else measure.to_dict()
    return TrainedModel.from_network(description, network), history


def _select_usable(cutouts, y, sample_weight):
    """Find the rows with an image, a class and a weight."""
    n = len(cutouts)
    p_shred = _check_length("labels", encode_labels(y), n)
    weight = check_weights(sample_weight, n)
    warn_of_others(np.count_nonzero(np.isnan(p_shred)), n)
    rows = np.flatnonzero(cutouts.good & np.isfinite(p_shred) & (weight > 0))
    present = np.unique(p_shred[rows] >= 0.5)
    if len(present) < 2:
        found = f"only {CLASSES[int(present[0])]} sources" if len(present) else "no source at all"
        raise ValueError(
            f"training needs both classes, but of {n} sources those with a usable image and a "
            f"label hold {found}"
        )
    return rows, p_shred[rows], weight[rows].astype(np.float32)


def _hash_data(images, p_shred, weight):
    """Hash what was trained on, so that two models can be told to have seen the same."""
    digest = hashlib.sha256()
    for array in (images, p_shred, weight):
        digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()


def _shorten(value):
    """Round a number for the record; None where it is not finite, which JSON does not know."""
    return float(f"{value:.5g}") if np.isfinite(value) else None


def _check_length(what, values, n):
    if np.shape(values) != (n,):
        raise ValueError(
            f"there are {n} images but {what} of shape {np.shape(values)}: give one for each"
        )
    return np.asarray(values)


def _to_targets(p_shred):
    return np.stack([1 - p_shred, p_shred], axis=1).astype(np.float32)
