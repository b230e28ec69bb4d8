"""From images and labels to a trained model: the checks and choices around the loop."""

from __future__ import annotations

import hashlib
import warnings
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from shredfinder._utils.validation import check_weights
from shredfinder.exceptions import ShredfinderWarning
from shredfinder.imaging.cutouts import FLUX
from shredfinder.models.architectures import build_network
from shredfinder.models.backend import import_keras
from shredfinder.models.description import ModelDescription
from shredfinder.models.labels import CLASSES, encode_labels, split_groups, warn_of_others
from shredfinder.models.model import TrainedModel
from shredfinder.models.novelty import NoveltyMeasure
from shredfinder.models.stretch import LINEAR, apply_stretch, fit_stretch
from shredfinder.training.fitting import fit_network
from shredfinder.training.recipes import get_recipe
from shredfinder.training.transfer import adapt_weights

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from shredfinder.imaging.cutouts import Cutouts
    from shredfinder.training.recipes import Recipe

__all__ = ["train_model"]


def train_model(
    cutouts: Cutouts,
    y: ArrayLike,
    *,
    name: str,
    architecture: str,
    survey: str,
    symmetry: str,
    random_state: int | None = None,
    sample_weight: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    validation: float | tuple[Cutouts, ArrayLike] | Literal["auto"] | None = "auto",
    start: TrainedModel | None = None,
    recipe: Recipe | str | None = None,
    **loop: Any,
) -> tuple[TrainedModel, dict[str, list[float]]]:
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
    recipe : Recipe or str, optional
        How the network is trained, see `get_recipe`.
    **loop
        Arguments of `fit_network`: epochs, patience, batch_size, checkpoint, progress.

    Returns
    -------
    model : TrainedModel
        The trained network with its description.
    history : dict of list
        Losses by epoch.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder import Cutouts
    >>> from shredfinder.training import train_model
    >>> images = np.random.default_rng(0).integers(0, 255, (4, 32, 32, 3), dtype=np.uint8)
    >>> cutouts = Cutouts.of_survey("legacy-dr9", images)
    >>> model, history = train_model(
    ...     cutouts, ["galaxy", "shred"] * 2, name="mine", architecture="compact",
    ...     survey="legacy-dr9", symmetry="uncertain", validation=None, epochs=1, progress=False,
    ... )
    >>> model.description.training_prior
    0.5
    """
    keras = import_keras()
    recipe = get_recipe(recipe, architecture, fine_tuning=start is not None)
    rows, p_shred, weight = _select_usable(cutouts, y, sample_weight)
    groups = None if groups is None else _check_length("groups", groups, len(cutouts))[rows]
    stretch = _choose_stretch(cutouts, rows, start)
    images = _stretch(cutouts, rows, stretch)
    validation = recipe.validation if isinstance(validation, str) else validation
    validation_data = None
    if isinstance(validation, tuple):
        held_cutouts, held_y = validation
        held, held_p, held_weight = _select_usable(held_cutouts, held_y, None)
        validation_data = _stretch(held_cutouts, held, stretch), _to_targets(held_p), held_weight
    elif validation is not None:
        kept, aside = split_groups(p_shred, groups, validation, random_state)
        validation_data = images[aside], _to_targets(p_shred[aside]), weight[aside]
        images, p_shred, weight = images[kept], p_shred[kept], weight[kept]
    if random_state is not None:
        keras.utils.set_random_seed(random_state)
    network = build_network(architecture, images.shape[1:])
    if start is not None:
        network.set_weights(adapt_weights(start, network, cutouts.bands))
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
    if start is not None:
        training["started_from"] = start.provenance
    description = ModelDescription.of_training(
        name,
        cutouts,
        stretch=stretch,
        architecture=architecture,
        survey=survey,
        symmetry=symmetry,
        training_prior=float(np.average(p_shred, weights=weight)),
        training=training,
    )
    measure = NoveltyMeasure.of_images(images)
    description.novelty = None if measure is None else measure.to_dict()
    return TrainedModel.from_network(description, network), history


def _choose_stretch(cutouts, rows, start):
    """Take the stretch of a model that is gone on with, where it fits, or find one."""
    if cutouts.color_mapping != FLUX:
        return LINEAR
    known = None if start is None else start.description
    if known and known.color_mapping == FLUX and tuple(known.bands) == tuple(cutouts.bands):
        return known.stretch
    return fit_stretch(cutouts.images[rows])


def _stretch(cutouts, rows, stretch):
    # Colour images stay uint8, a quarter of the memory, until their batch's turn.
    images = cutouts.images[rows]
    return images if stretch == LINEAR else apply_stretch(images, stretch)


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
