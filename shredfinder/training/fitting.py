"""The training loop: augmented batches, early stopping, checkpoints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from shredfinder._utils.files import atomic_write
from shredfinder._utils.runtime import progress_bar
from shredfinder._utils.validation import check_count
from shredfinder.models.backend import import_keras
from shredfinder.training.augmentation import augment_image

if TYPE_CHECKING:
    from keras import Model

    from shredfinder._utils.types import PathLike
    from shredfinder.training.recipes import Recipe

__all__ = ["fit_network"]


def fit_network(
    network: Model,
    images: np.ndarray,
    targets: np.ndarray,
    sample_weight: np.ndarray,
    *,
    recipe: Recipe,
    validation_data: tuple[np.ndarray, ...] | None = None,
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
        The network; its weights change.
    images : `~numpy.ndarray`
        Of shape ``(n, height, width, bands)``, uint8 or float32 in 0–1.
    targets : `~numpy.ndarray`
        Probability of each class, of shape ``(n, 2)``.
    sample_weight : `~numpy.ndarray`
        Weight of each image in the loss, of shape ``(n,)``.
    recipe : Recipe
        Settings of the architecture.
    validation_data : tuple of `~numpy.ndarray`, optional
        Images, targets and weights that are judged after each epoch. The weights of the best
        epoch are kept.
    epochs, patience, batch_size : int, optional
        Instead of the recipe's.
    random_state : int, optional
        Makes the training repeatable.
    checkpoint : path-like, optional
        Folder that keeps the state after each epoch; a training that finds one there, of the
        same data and settings, goes on from it.
    progress : bool or "auto", optional
        Show a progress bar.

    Returns
    -------
    history : dict of list
        ``loss`` and ``accuracy``, on augmented images, and with validation data ``val_loss`` and
        ``val_accuracy``, by epoch.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder.models import build_network
    >>> from shredfinder.training import RECIPES, fit_network, import_keras
    >>> keras = import_keras()
    >>> images = np.random.default_rng(0).integers(0, 255, (4, 32, 32, 3), dtype=np.uint8)
    >>> targets = np.array([[1, 0], [0, 1], [1, 0], [0, 1]], np.float32)
    >>> history = fit_network(
    ...     build_network("compact", (32, 32, 3)), images, targets, np.ones(4, np.float32),
    ...     recipe=RECIPES["compact"], epochs=1, random_state=1, progress=False,
    ... )
    >>> len(history["loss"])
    1
    """
    keras = import_keras()
    epochs = recipe.epochs if epochs is None else epochs
    check_count(epochs, "epochs")
    batch_size = min(recipe.batch_size if batch_size is None else batch_size, len(images))
    patience = recipe.patience if patience is None else patience
    batches = _make_batches(
        keras, images, targets, sample_weight, batch_size, recipe.augmentation, random_state
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
    state = _TrainingState(checkpoint, settings)
    state.restore(network)
    with progress_bar(
        total=epochs, initial=state.epoch, progress=progress, desc="training", unit="epoch"
    ) as bar:
        while state.epoch < epochs and not state.is_exhausted(patience):
            batches.epoch = state.epoch
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


def _make_batches(keras, images, targets, sample_weight, batch_size, augmentation, random_state):
    entropy = np.random.SeedSequence(random_state).entropy

    class Batches(keras.utils.PyDataset):
        """Augmented batches, each a function of seed, epoch and index alone."""

        epoch = 0

        def __len__(self):
            # The last, smaller batch would weigh its images more: they come in other epochs.
            return max(len(images) // batch_size, 1)

        def __getitem__(self, index):
            order = np.random.default_rng([entropy, self.epoch]).permutation(len(images))
            rows = order[index * batch_size : (index + 1) * batch_size]
            rng = np.random.default_rng([entropy, self.epoch, index + 1])
            views = np.stack([augment_image(images[row], rng, **augmentation) for row in rows])
            return _to_unit(views), targets[rows], sample_weight[rows]

    return Batches()


def _to_unit(images):
    return images.astype(np.float32) / 255 if images.dtype == np.uint8 else images


def _validate(network, validation_data, batch_size):
    images, targets, weight = validation_data
    starts = range(0, len(images), batch_size)
    p = np.concatenate(
        [network.predict_on_batch(_to_unit(images[i : i + batch_size])) for i in starts]
    )
    losses = -(targets * np.log(np.clip(p, 1e-7, 1))).sum(axis=1)
    correct = p.argmax(axis=1) == targets.argmax(axis=1)
    return {
        "val_loss": float(np.average(losses, weights=weight)),
        "val_accuracy": float(np.average(correct, weights=weight)),
    }


class _TrainingState:
    """History and best weights, kept on disk if a folder is given."""

    def __init__(self, folder, settings):
        self.folder = None if folder is None else Path(folder)
        self.settings = settings
        self.history = {}
        self.best_weights = None

    @property
    def epoch(self):
        return len(self.history.get("loss", ()))

    def is_exhausted(self, patience):
        losses = self.history.get("val_loss")
        if patience is None or not losses:
            return False
        return len(losses) - 1 - int(np.argmin(losses)) >= patience

    def restore(self, network):
        if self.folder is None or not (self.folder / "state.json").exists():
            return
        saved = json.loads((self.folder / "state.json").read_text())
        if saved["settings"] != self.settings:
            raise ValueError(
                f"the checkpoint in {str(self.folder)!r} belongs to another training "
                f"({saved['settings']}, not {self.settings}): give another folder or remove it"
            )
        network.optimizer.build(network.trainable_variables)
        network.load_weights(self.folder / saved["weights"])
        self.history = saved["history"]
        if saved["best"]:
            with np.load(self.folder / saved["best"]) as best:
                self.best_weights = [best[name] for name in best.files]

    def finish_epoch(self, network, values):
        n_before = self.epoch
        for name, value in values.items():
            # A state of an earlier version may lack what is kept now.
            before = self.history.setdefault(name, [float("nan")] * n_before)
            before.append(value)
        losses = self.history.get("val_loss", ())
        is_best = bool(losses) and int(np.argmin(losses)) == len(losses) - 1
        if is_best:
            self.best_weights = network.get_weights()
        if self.folder is not None:
            self._save(network, is_best)

    def _save(self, network, is_best):
        self.folder.mkdir(parents=True, exist_ok=True)
        before = set(self.folder.glob("epoch-*"))
        weights = f"epoch-{self.epoch:03d}.weights.h5"
        network.save_weights(self.folder / weights)
        best = next((path.name for path in before if path.suffix == ".npz"), None)
        if is_best:
            best = f"epoch-{self.epoch:03d}.npz"
            np.savez(self.folder / best, *self.best_weights)
        # The state names its files and is replaced in one step, so that a training that is
        # killed at any moment finds a whole epoch to go on from.
        state = {
            "settings": self.settings,
            "history": self.history,
            "weights": weights,
            "best": best,
        }
        with atomic_write(self.folder / "state.json") as temporary:
            temporary.write_text(json.dumps(state))
        for path in before:
            if path.name not in (weights, best):
                path.unlink()
