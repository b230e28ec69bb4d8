"""How each architecture is trained."""

from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["RECIPES", "Recipe"]


@dataclass(frozen=True)
class Recipe:
    """Settings of a training.

    Attributes
    ----------
    make_optimizer : callable
        Called with the module Keras and the number of training steps; gives the optimiser.
    epochs : int
        Passes through the training images, at most.
    patience : int or None
        Stop when the validation loss has not fallen for as many epochs; None never stops.
    validation : float or None
        Fraction of the training images set aside for that; None sets none aside.
    batch_size : int
        Images a step.
    augmentation : dict
        Arguments of `~shredfinder.training.augment_image`.
    """

    make_optimizer: Callable
    epochs: int
    patience: int | None
    validation: float | None
    batch_size: int
    augmentation: dict = field(default_factory=dict)


def _published_optimizer(keras, n_steps):
    # The text of arXiv 2301.09648 says 1e-3 with momentum, the authors' saved model 1e-4
    # without. The latter is the default here.
    return keras.optimizers.RMSprop(learning_rate=1e-4)


def _compact_optimizer(keras, n_steps):
    # One cycle (Smith & Topin 2017, arXiv 1708.07120): a quarter up, three quarters down.
    warmup = max(n_steps // 4, 1)
    rate = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=1e-4,
        decay_steps=max(n_steps - warmup, 1),
        warmup_target=3e-3,
        warmup_steps=warmup,
    )
    return keras.optimizers.AdamW(learning_rate=rate, weight_decay=0.05)


RECIPES = {
    "published": Recipe(
        make_optimizer=_published_optimizer,
        epochs=100,
        patience=5,
        validation=0.2,
        batch_size=32,
        augmentation={"max_scale": 1.0, "max_shift": 0.0},
    ),
    "compact": Recipe(
        make_optimizer=_compact_optimizer,
        epochs=90,
        patience=None,
        validation=None,
        batch_size=64,
        augmentation={"max_scale": 1.2, "max_shift": 1.0, "unresampled": 0.5},
    ),
}
