"""The training loop: augmented batches, early stopping and checkpoints."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from shredfinder._utils.files import atomic_write, writing_errors
from shredfinder._utils.runtime import progress_bar
from shredfinder._utils.validation import check_count
from shredfinder.models.architectures import import_keras, standard_settings
from shredfinder.training.torch_layers import native_torch_layers

if TYPE_CHECKING:
    from types import ModuleType

    from keras import Model
    from keras.utils import PyDataset

    from shredfinder._utils.validation import PathLike
    from shredfinder.training.recipes import Augmentation, Recipe

__all__ = ["check_fit_options", "fit_network", "renew_statistics"]


def check_fit_options(
    *,
    epochs: Any = None,
    patience: Any = None,
    batch_size: Any = None,
    validation: Any = None,
    checkpoint: PathLike | None = None,
) -> None:
    """Validate the options of a training before images are read.

    Parameters
    ----------
    epochs, patience, batch_size, validation, checkpoint : optional
        As for `shredfinder.ShredClassifier.fit`.

    Raises
    ------
    NotADirectoryError
        If the checkpoint is a file.
    ValueError
        If another option is invalid.

    Examples
    --------
    >>> from shredfinder.training.fitting import check_fit_options
    >>> check_fit_options(epochs=0)
    Traceback (most recent call last):
        ...
    ValueError: epochs must be a whole number of at least 1, not 0
    """
    check_count(epochs, "epochs")
    check_count(patience, "patience", least=0)
    check_count(batch_size, "batch_size")
    if checkpoint is not None and os.path.exists(checkpoint) and not os.path.isdir(checkpoint):
        raise NotADirectoryError(f"checkpoint must be a folder, but {str(checkpoint)!r} is a file")
    if isinstance(validation, str):
        is_valid = validation == "auto"
    elif isinstance(validation, Real):
        is_valid = 0 < float(validation) < 1
    else:
        is_valid = validation is None or (isinstance(validation, tuple) and len(validation) == 2)
    if not is_valid:
        raise ValueError(
            "validation must be a fraction between 0 and 1, a tuple of images and labels, None or "
            f"'auto', got {validation!r:.80}"
        )


@standard_settings()
def fit_network(
    network: Model,
    images: np.ndarray,
    targets: np.ndarray,
    sample_weight: np.ndarray,
    *,
    recipe: Recipe,
    radii: np.ndarray | None = None,
    color_mapping: str | None = None,
    validation_data: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
    epochs: int | None = None,
    patience: int | None = None,
    batch_size: int | None = None,
    random_state: int | None = None,
    checkpoint: PathLike | None = None,
    progress: bool | Literal["auto"] = "auto",
) -> dict[str, list[float]]:
    """Train a Keras network in place.

    Parameters
    ----------
    network : `keras.Model`
        The network; its weights are changed.
    images : `~numpy.ndarray`
        Images of shape ``(n, height, width, bands)``, uint8 or float32 in 0–1.
    targets : `~numpy.ndarray`
        Probability of each class, of shape ``(n, n_classes)``.
    sample_weight : `~numpy.ndarray`
        Weights in the loss, of shape ``(n,)``.
    recipe : Recipe
        Training settings.
    radii : `~numpy.ndarray`, optional
        Isophotal radius of each source in pixels, for augmentation by other centres.
    color_mapping : str, optional
        Mapping of the images' colours, for augmentation in fluxes.
    validation_data : tuple of `~numpy.ndarray`, optional
        Images, targets and weights, evaluated after each epoch. The weights of the epoch with
        the lowest validation loss are kept.
    epochs, patience, batch_size : int, optional
        Replace the recipe's.
    random_state : int, optional
        Seed of order and augmentation.
    checkpoint : path-like, optional
        Folder for the state after each epoch. A training that finds a state of the same data and
        settings there resumes from it.
    progress : bool or "auto", optional
        Show a progress bar.

    Returns
    -------
    history : dict of list
        By epoch, ``loss`` and ``accuracy`` on augmented images and, with validation data,
        ``val_loss`` and ``val_accuracy``.

    Raises
    ------
    ValueError
        If the checkpoint belongs to another training.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder.training import RECIPES, fit_network, import_keras
    >>> keras = import_keras()
    >>> network = keras.Sequential([
    ...     keras.Input((32, 32, 3)),
    ...     keras.layers.Flatten(),
    ...     keras.layers.Dense(2, activation="softmax"),
    ... ])
    >>> images = np.random.default_rng(0).integers(0, 255, (4, 32, 32, 3), dtype=np.uint8)
    >>> targets = np.array([[1, 0], [0, 1], [1, 0], [0, 1]], np.float32)
    >>> history = fit_network(
    ...     network, images, targets, np.ones(4, np.float32), recipe=RECIPES["compact"], epochs=1,
    ...     random_state=1, progress=False,
    ... )
    >>> len(history["loss"])
    1
    """
    keras = import_keras()
    epochs = recipe.epochs if epochs is None else epochs
    check_count(epochs, "epochs")
    # With fewer images than the batch size there would be no full batch.
    batch_size = min(recipe.batch_size if batch_size is None else batch_size, len(images))
    patience = recipe.patience if patience is None else patience
    radii = np.full(len(images), np.nan) if radii is None else radii
    batches = _make_batches(
        keras,
        (images, targets, sample_weight, radii),
        batch_size,
        recipe.augmentation,
        color_mapping,
        random_state,
    )
    network.compile(
        optimizer=recipe.make_optimizer(keras, len(batches) * epochs),
        loss=keras.losses.CategoricalCrossentropy(),
        weighted_metrics=["categorical_accuracy"],
    )
    settings = {
        "n_images": len(images),
        "epochs": epochs,
        "batch_size": batch_size,
        "random_state": random_state,
        "n_parameters": network.count_params(),
    }
    # Early stopping is not left to Keras's callbacks: a resumed EarlyStopping starts without the
    # earlier losses and best weights, and BackupAndRestore keeps neither.
    state = _TrainingState(checkpoint, settings)
    state.restore(network)
    with (
        native_torch_layers(network),
        progress_bar(
            total=epochs, initial=state.epoch, progress=progress, desc="training", unit="epoch"
        ) as bar,
    ):
        while state.epoch < epochs and not state.is_exhausted(patience):
            # One epoch per call, so that the state can be saved after each.
            batches.epoch = state.epoch
            # shuffle=False: the batches bring their own order, which a resumed run can repeat.
            logs = network.fit(batches, epochs=1, verbose=0, shuffle=False).history
            values = {"loss": float(logs["loss"][-1])}
            values["accuracy"] = float(logs["categorical_accuracy"][-1])
            if validation_data is not None:
                values |= _validate(network, validation_data, batch_size)
            state.finish_epoch(network, values)
            bar.update()
            bar.set_postfix({name: f"{value:.4f}" for name, value in values.items()})
    if state.best_weights is not None:
        network.set_weights(state.best_weights)
    return state.history


def renew_statistics(
    network: Model,
    images: np.ndarray,
    targets: np.ndarray,
    *,
    recipe: Recipe,
    color_mapping: str | None = None,
    random_state: int | None = None,
) -> None:
    """Recompute the statistics of batch normalisation, in place.

    Batch normalisation scores with the mean and variance of the training images. If most of these
    were changed, the statistics do not fit the images to be scored (Li et al. 2016, arXiv
    1603.04779). Here they become averages over one epoch of images that are neither moved nor
    reddened.

    Parameters
    ----------
    network : `keras.Model`
        The network.
    images : `~numpy.ndarray`
        Training images of shape ``(n, height, width, bands)``, uint8 or float32 in 0–1.
    targets : `~numpy.ndarray`
        Probability of each class, of shape ``(n, n_classes)``.
    recipe : Recipe
        Settings of the training.
    color_mapping : str, optional
        Mapping of the images' colours, for augmentation in fluxes.
    random_state : int, optional
        Seed of order and augmentation.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder.models import build_network
    >>> from shredfinder.training import RECIPES, renew_statistics
    >>> network = build_network("compact", (64, 64, 3))
    >>> images = np.random.default_rng(0).integers(0, 255, (8, 64, 64, 3), dtype=np.uint8)
    >>> targets = np.array([[1, 0], [0, 1]] * 4, np.float32)
    >>> before = network.get_weights()
    >>> renew_statistics(network, images, targets, recipe=RECIPES["catalogue"])
    >>> changed = sum(
    ...     not np.array_equal(a, b) for a, b in zip(before, network.get_weights(), strict=True)
    ... )
    >>> changed == 2 * sum("batch_norm" in layer.name for layer in network.layers)
    True
    """
    keras = import_keras()
    layers = [
        layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)
    ]
    if not layers:
        return
    unused = np.full(len(images), np.nan)
    batches = _make_batches(
        keras,
        (images, targets, unused, unused),
        min(recipe.batch_size, len(images)),
        replace(recipe.augmentation, moved=0, filled=0, reddened=0),
        color_mapping,
        random_state,
    )
    momenta = [layer.momentum for layer in layers]
    statistics = [v for layer in layers for v in (layer.moving_mean, layer.moving_variance)]
    sums = [0.0] * len(statistics)
    try:
        # Without momentum, the moving statistics are those of the last batch.
        for layer in layers:
            layer.momentum = 0.0
        with native_torch_layers(network):
            for i in range(len(batches)):
                network(batches[i][0], training=True)
                values = [np.float64(keras.ops.convert_to_numpy(v)) for v in statistics]
                sums = [total + value for total, value in zip(sums, values, strict=True)]
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
    for variable, total in zip(statistics, sums, strict=True):
        variable.assign(total / len(batches))


def _make_batches(
    keras: ModuleType,
    data: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    batch_size: int,
    augmentation: Augmentation,
    color_mapping: str | None,
    random_state: int | None,
) -> PyDataset:
    images, targets, sample_weight, radii = data
    # Without a seed this draws one, which all batches of the run then share.
    entropy: Any = np.random.SeedSequence(random_state).entropy

    def change(row: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return augmentation.apply(
            images[row], targets[row], radii[row], rng, color_mapping=color_mapping
        )

    # The base class exists only once Keras is imported, which scoring never does.
    class Batches(keras.utils.PyDataset):  # type: ignore[name-defined]
        """Augmented batches, determined by seed, epoch and index alone."""

        epoch = 0

        def __len__(self) -> int:
            # A smaller last batch would give its images more weight, so it is dropped. The
            # order changes with the epoch, so its images are used in other epochs.
            return max(len(images) // batch_size, 1)

        def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            order = np.random.default_rng([entropy, self.epoch]).permutation(len(images))
            rows = order[index * batch_size : (index + 1) * batch_size]
            rng = np.random.default_rng([entropy, self.epoch, index + 1])
            # Each image is scaled as it is made, while it is in the processor's cache.
            batch = np.empty((len(rows), *images.shape[1:]), np.float32)
            labels = np.empty((len(rows), targets.shape[1]), targets.dtype)
            for i, row in enumerate(rows):
                image, labels[i] = change(row, rng)
                _to_unit(image, out=batch[i])
            return batch, labels, sample_weight[rows]

    return Batches()


def _to_unit(images: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Scale uint8 images to 0–1."""
    white = np.float32(255 if images.dtype == np.uint8 else 1)
    return np.divide(images, white, out=out, dtype=np.float32)


def _validate(
    network: Model, validation_data: tuple[np.ndarray, np.ndarray, np.ndarray], batch_size: int
) -> dict[str, float]:
    images, targets, weight = validation_data
    starts = range(0, len(images), batch_size)
    p = np.concatenate(
        [network.predict_on_batch(_to_unit(images[i : i + batch_size])) for i in starts]
    )
    # Cross-entropy with soft targets; the clipping is that of Keras.
    losses = -(targets * np.log(np.clip(p, 1e-7, 1))).sum(axis=1)
    correct = p.argmax(axis=1) == targets.argmax(axis=1)
    return {
        "val_loss": float(np.average(losses, weights=weight)),
        "val_accuracy": float(np.average(correct, weights=weight)),
    }


def _find_lowest(losses: list[float]) -> int:
    """Return the epoch of the lowest loss; NaN, as from diverged weights, is the highest."""
    return int(np.argmin(np.nan_to_num(losses, nan=np.inf, posinf=np.inf)))


class _TrainingState:
    """History and best weights of a training, kept on disk if a folder is given."""

    def __init__(self, folder: PathLike | None, settings: dict[str, Any]) -> None:
        self.folder = None if folder is None else Path(folder)
        self.settings = settings
        self.history: dict[str, list[float]] = {}
        self.best_weights: list[np.ndarray] | None = None

    @property
    def epoch(self) -> int:
        return len(self.history.get("loss", ()))

    def is_exhausted(self, patience: int | None) -> bool:
        # Weights that are not finite never recover.
        if self.epoch and not np.isfinite(self.history["loss"][-1]):
            return True
        losses = self.history.get("val_loss")
        if patience is None or not losses:
            return False
        # Epochs since the lowest loss.
        return len(losses) - 1 - _find_lowest(losses) >= patience

    def restore(self, network: Model) -> None:
        if self.folder is None or not (self.folder / "state.json").exists():
            return
        saved = json.loads((self.folder / "state.json").read_text())
        # Weights of another training might load without an error and give wrong results.
        if saved["settings"] != self.settings:
            raise ValueError(
                f"the checkpoint in {str(self.folder)!r} belongs to another training "
                f"({saved['settings']}, this one has {self.settings}): use another folder or "
                "remove it"
            )
        # The optimiser's variables must exist before their saved values can be loaded.
        network.optimizer.build(network.trainable_variables)
        network.load_weights(self.folder / saved["weights"])
        self.history = saved["history"]
        if saved["best"]:
            with np.load(self.folder / saved["best"]) as best:
                self.best_weights = [best[name] for name in best.files]

    def finish_epoch(self, network: Model, values: dict[str, float]) -> None:
        n_before = self.epoch
        for name, value in values.items():
            # A state written by an earlier version may lack a quantity.
            before = self.history.setdefault(name, [float("nan")] * n_before)
            before.append(value)
        losses = self.history.get("val_loss", [])
        is_best = bool(losses) and _find_lowest(losses) == len(losses) - 1
        if is_best:
            self.best_weights = network.get_weights()
        if self.folder is not None:
            with writing_errors(self.folder):
                self._save(self.folder, network, is_best)

    def _save(self, folder: Path, network: Model, is_best: bool) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        before = set(folder.glob("epoch-*"))
        weights = f"epoch-{self.epoch:03d}.weights.h5"
        network.save_weights(folder / weights)
        best = next((path.name for path in before if path.suffix == ".npz"), None)
        if is_best and self.best_weights is not None:
            best = f"epoch-{self.epoch:03d}.npz"
            np.savez(folder / best, *self.best_weights)
        # The state names its files and is replaced atomically, so a training killed at any
        # moment resumes from a complete epoch. Old files are removed afterwards.
        state = {
            "settings": self.settings,
            "history": self.history,
            "weights": weights,
            "best": best,
        }
        with atomic_write(folder / "state.json") as temporary:
            temporary.write_text(json.dumps(state))
        for path in before:
            if path.name not in (weights, best):
                path.unlink()
