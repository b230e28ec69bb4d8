"""From labelled cutouts to a trained model: input checks, initial weights and description."""

from __future__ import annotations

import hashlib
import random
import warnings
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from shredfinder._utils.validation import check_weights
from shredfinder.exceptions import ShredfinderWarning
from shredfinder.imaging.appearance import measure_appearance
from shredfinder.imaging.cutouts import FLUX
from shredfinder.models.architectures import (
    build_network,
    import_keras,
    preserve_random_state,
)
from shredfinder.models.description import LINEAR, ModelDescription, apply_stretch, fit_stretch
from shredfinder.models.labels import (
    CLASSES,
    encode_labels,
    find_others,
    split_groups,
    warn_of_others,
)
from shredfinder.models.model import TrainedModel
from shredfinder.models.novelty import NoveltyMeasure
from shredfinder.models.sources import encode_sources, hash_images
from shredfinder.surveys import COLOR_MAPPINGS, get_wavelength
from shredfinder.training.fitting import fit_network, renew_statistics
from shredfinder.training.recipes import get_recipe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keras import Model
    from numpy.typing import ArrayLike

    from shredfinder.imaging.cutouts import Cutouts
    from shredfinder.training.recipes import Recipe

__all__ = ["adapt_weights", "train_model"]

# A source above it is not scored. Chosen in cross-validation: see the model card.
_OTHER_LIMIT = 0.99


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
    initial_model: TrainedModel | None = None,
    recipe: Recipe | str | None = None,
    **loop: Any,
) -> tuple[TrainedModel, dict[str, list[float]]]:
    """Train a network on labelled cutouts.

    Parameters
    ----------
    cutouts : Cutouts
        Images of n sources.
    y : array_like
        Labels of shape ``(n,)``, see `encode_labels`.
    name, architecture, survey, symmetry : str
        Entries of the model's description.
    random_state : int, optional
        Seed that makes the training repeatable. The global random states of Python and NumPy are
        left alone.
    sample_weight, groups : array_like, optional
        Weight in the loss and group of each source, of shape ``(n,)``.
    validation : float, tuple, None or "auto", optional
        Fraction set aside for validation, or ``(cutouts, y)``. ``"auto"`` is the recipe's.
    initial_model : TrainedModel, optional
        Model to fine-tune.
    recipe : Recipe or str, optional
        Training settings, see `get_recipe`.
    **loop
        Further arguments of `fit_network`: epochs, patience, batch_size, checkpoint, progress.

    Returns
    -------
    model : TrainedModel
        The trained network with its description.
    history : dict of list
        Losses and accuracies by epoch.

    Raises
    ------
    ValueError
        If the inputs differ in length, or a class is missing.

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
    recipe = get_recipe(recipe, architecture, fine_tuning=initial_model is not None)
    # From here on, all arrays have one row per usable source.
    is_other = find_others(y) if recipe.augmentation.others else np.zeros(len(cutouts), bool)
    rows, p_shred, weight = _select_usable(cutouts, y, sample_weight, is_other)
    is_other = is_other[rows]
    groups = None if groups is None else _check_length("groups", groups, len(cutouts))[rows]
    stretch = _choose_stretch(cutouts, rows, initial_model)
    images = _stretch_images(cutouts, rows, stretch)
    targets = _to_targets(p_shred, is_other if recipe.augmentation.others else None)
    radii = _measure_radii(cutouts, rows, recipe)
    if isinstance(validation, str):
        validation = recipe.validation
    validation_data = None
    if isinstance(validation, tuple):
        held_cutouts, held_y = validation
        held, held_p, held_weight = _select_usable(held_cutouts, held_y, None)
        held_targets = _to_targets(held_p, np.zeros(len(held), bool))[:, : targets.shape[1]]
        # The stretch of the training images: validation must not influence the model.
        held_images = _stretch_images(held_cutouts, held, stretch)
        validation_data = held_images, held_targets, held_weight
    elif validation is not None:
        kept, aside = split_groups(p_shred, groups, validation, random_state)
        validation_data = images[aside], targets[aside], weight[aside]
        images, targets, weight, radii = images[kept], targets[kept], weight[kept], radii[kept]
        p_shred, is_other, rows = p_shred[kept], is_other[kept], rows[kept]
    with preserve_random_state():
        # Keras seeds each initialiser and dropout layer from Python's global generator.
        # keras.utils.set_random_seed would also reseed NumPy and the backends, for good.
        random.seed(random_state)
        network = build_network(architecture, images.shape[1:], targets.shape[1])
    initial = None
    if initial_model is not None:
        initial = adapt_weights(initial_model, network, cutouts.bands)
        network.set_weights(initial)
    history = fit_network(
        network,
        images,
        targets,
        weight,
        recipe=recipe,
        radii=radii,
        color_mapping=cutouts.color_mapping,
        validation_data=validation_data,
        random_state=random_state,
        **loop,
    )
    if initial is not None and recipe.kept:
        network.set_weights(_blend(initial, network.get_weights(), recipe.kept))
    if recipe.augmentation.needs_colors:
        renew_statistics(
            network,
            images,
            targets,
            recipe=recipe,
            color_mapping=cutouts.color_mapping,
            random_state=random_state,
        )
    # The model is returned all the same: the user may inspect its history.
    if not np.isfinite(history["loss"][-1]):
        finite = all(np.isfinite(array).all() for array in network.get_weights())
        result = "the best epoch before is kept" if finite else "the model cannot score"
        warnings.warn(
            f"the training diverged: its last loss is not finite, so {result}; "
            "check images and weights, or change random_state",
            ShredfinderWarning,
            stacklevel=3,
        )
    training = {
        "n_sources": len(images),
        "n_shreds": int(np.count_nonzero((p_shred >= 0.5) & ~is_other)),
        "n_others": int(is_other.sum()),
        "data_sha256": _hash_data(images, p_shred, weight),
        "n_epochs": len(history["loss"]),
        "random_state": random_state,
        "backend": f"keras {keras.__version__}, {keras.backend.backend()}",
        "history": {key: [_round(v) for v in values] for key, values in history.items()},
    }
    if initial_model is not None:
        training["started_from"] = initial_model.provenance
    description = ModelDescription.of_training(
        name,
        cutouts,
        stretch=stretch,
        architecture=architecture,
        survey=survey,
        symmetry=symmetry,
        # By weight, as the loss saw the classes: this is what priors are corrected from.
        training_prior=float(np.average(p_shred[~is_other], weights=weight[~is_other])),
        training=training,
        classes=[*CLASSES, "other"][: targets.shape[1]],
    )
    if targets.shape[1] > 2:
        description.other_limit = _OTHER_LIMIT
    # Of the images that were trained on, without those set aside for validation.
    measure = NoveltyMeasure.of_images(images)
    description.novelty = None if measure is None else measure.to_dict()
    # A fine-tuned model remembers the images of its initial model too.
    known = [] if initial_model is None else [initial_model.sources]
    hashes = hash_images(cutouts.images[rows], fluxes=stretch != LINEAR)
    description.sources = encode_sources([*known, hashes])
    return TrainedModel.from_network(description, network), history


def _blend(initial, trained, kept):
    """Average weights, except those of the last layer, which may have got a new class."""
    pairs = zip(initial[:-2], trained[:-2], strict=True)
    return [*(kept * old + (1 - kept) * new for old, new in pairs), *trained[-2:]]


def adapt_weights(
    initial_model: TrainedModel, network: Model, bands: Sequence[str]
) -> list[np.ndarray]:
    """Adapt a trained model's weights to a network for images in other bands.

    All layers but the first keep their weights; a class "other" is removed or, with weights of
    zero, added. A new band takes the first layer's kernels of the band nearest in wavelength. Bands
    that share kernels also share their weight, so an image that is equal in all of them keeps its
    score.

    Parameters
    ----------
    initial_model : TrainedModel
        Trained model.
    network : `keras.Model`
        Network of the same architecture. Only the shapes of its weights are used.
    bands : sequence of str
        Bands of the network's images, in the order of the channels.

    Returns
    -------
    weights : list of `~numpy.ndarray`
        Weights for the network.

    Raises
    ------
    ValueError
        If architecture or image size differ, or the wavelength of a band is unknown.
    """
    weights = list(initial_model.weights)
    known, bands = list(initial_model.description.bands), list(bands)
    if known != bands:
        # weights[0] is the first convolution's kernel, the only array that depends on the bands.
        weights[0] = _share_kernels(weights[0], known, bands)
    shapes = [tuple(weight.shape) for weight in network.get_weights()]
    # The last two arrays are the kernel and the bias of the classes.
    if len(weights) == len(shapes):
        weights[-2:] = [_adapt_classes(weight, shapes[-1][0]) for weight in weights[-2:]]
    if [weight.shape for weight in weights] != shapes:
        description = initial_model.description
        raise ValueError(
            f"cannot fine-tune the model {description.name!r} ({description.architecture}, "
            f"{description.size[1]}×{description.size[0]} px) as a {network.name} network for "
            f"images of {network.input_shape[2]}×{network.input_shape[1]} px: use the "
            "architecture and image size it was trained with, or train from scratch"
        )
    return weights


def _adapt_classes(weights: np.ndarray, n_classes: int) -> np.ndarray:
    """Remove or add the class "other", which is the last."""
    kept = weights[..., :n_classes]
    missing = n_classes - kept.shape[-1]
    added = np.zeros((*kept.shape[:-1], missing), kept.dtype)
    return np.concatenate([kept, added], axis=-1)


def _share_kernels(kernels: np.ndarray, known: list[str], bands: list[str]) -> np.ndarray:
    """Convert kernels ``(height, width, inputs, filters)`` from the known bands to others."""
    # The compact network's inputs are several sets of bands, one for each scale.
    by_band = kernels.reshape(*kernels.shape[:2], -1, len(known), kernels.shape[3])
    nearest = [_find_nearest(band, known) for band in bands]
    # Dividing by the number of bands that share a kernel keeps the sum over bands unchanged.
    shares = np.bincount(nearest, minlength=len(known))
    shared = np.stack([by_band[:, :, :, k] / shares[k] for k in nearest], axis=3)
    return shared.reshape(*kernels.shape[:2], -1, kernels.shape[3]).astype(kernels.dtype)


def _find_nearest(band: str, known: list[str]) -> int:
    if band in known:
        return known.index(band)
    # Logarithms, so that equal ratios of wavelengths are equal distances.
    distances = [abs(np.log(get_wavelength(band) / get_wavelength(other))) for other in known]
    return int(np.argmin(distances))


def _choose_stretch(
    cutouts: Cutouts, rows: np.ndarray, initial_model: TrainedModel | None
) -> dict[str, Any]:
    """Return the initial model's stretch if it applies; otherwise fit one."""
    if cutouts.color_mapping != FLUX:
        return LINEAR
    if initial_model is not None:
        known = initial_model.description
        if known.color_mapping == FLUX and tuple(known.bands) == tuple(cutouts.bands):
            return known.stretch
    return fit_stretch(cutouts.images[rows])


def _stretch_images(cutouts: Cutouts, rows: np.ndarray, stretch: dict[str, Any]) -> np.ndarray:
    # Colour images stay uint8, a quarter of the memory; the loop scales each batch.
    images = cutouts.images[rows]
    return images if stretch == LINEAR else apply_stretch(images, stretch)


def _measure_radii(cutouts: Cutouts, rows: np.ndarray, recipe: Recipe) -> np.ndarray:
    """Measure the isophotal radius of each source in pixels; NaN where it is not needed."""
    if not recipe.augmentation.moved or cutouts.color_mapping not in COLOR_MAPPINGS:
        return np.full(len(rows), np.nan)
    band = COLOR_MAPPINGS[str(cutouts.color_mapping)].bands[1]
    measured = measure_appearance(cutouts[rows], band=band)["isophotal_radius"]
    return np.asarray(measured, dtype=float) / cutouts.pixel_scale


def _select_usable(
    cutouts: Cutouts,
    y: ArrayLike,
    sample_weight: ArrayLike | None,
    is_other: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the rows with an image, a class and a weight, their labels and weights."""
    n = len(cutouts)
    p_shred = _check_length("labels", encode_labels(y), n)
    weight = check_weights(sample_weight, n)
    if is_other is not None:
        # Among galaxies and shreds they are neither, and the network is not told which.
        p_shred = np.where(_check_length("labels", is_other, n), 0.5, p_shred)
    warn_of_others(int(np.isnan(p_shred).sum()), n)
    # A weight of zero means "not in the training set", so it does not count as a class either.
    rows = np.flatnonzero(cutouts.good & np.isfinite(p_shred) & (weight > 0))
    known = rows if is_other is None else rows[~is_other[rows]]
    present = np.unique(p_shred[known] >= 0.5)
    if len(present) < 2:
        found = f"only {CLASSES[int(present[0])]} sources" if len(present) else "no sources"
        raise ValueError(
            f"training needs both classes, but of {n} sources those with a usable image and a "
            f"label include {found}"
        )
    return rows, p_shred[rows], weight[rows].astype(np.float32)


def _hash_data(images: np.ndarray, p_shred: np.ndarray, weight: np.ndarray) -> str:
    """Hash the training data, to recognise models of the same data."""
    digest = hashlib.sha256()
    for array in (images, p_shred, weight):
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _round(value: float) -> float | None:
    """Round a number for the record; None if it is not finite, which JSON cannot hold."""
    return float(f"{value:.5g}") if np.isfinite(value) else None


def _check_length(what: str, values: ArrayLike, n: int) -> np.ndarray:
    if np.shape(values) != (n,):
        raise ValueError(
            f"there are {n} images but {what} of shape {np.shape(values)}: give one per image"
        )
    return np.asarray(values)


def _to_targets(p_shred: np.ndarray, is_other: np.ndarray | None = None) -> np.ndarray:
    """Return the probabilities of galaxy and shred and, if others are known, of other."""
    targets = np.stack([1 - p_shred, p_shred], axis=1).astype(np.float32)
    if is_other is None:
        return targets
    return np.concatenate([np.where(is_other[:, None], 0, targets), is_other[:, None]], axis=1)
