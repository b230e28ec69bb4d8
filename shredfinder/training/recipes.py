"""How each architecture is trained."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["RECIPES", "Recipe", "get_recipe"]


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

    Examples
    --------
    >>> from shredfinder.training import RECIPES
    >>> recipe = RECIPES["published"]
    >>> recipe.epochs, recipe.patience
    (100, 5)
    """

    make_optimizer: Callable
    epochs: int
    patience: int | None
    validation: float | None
    batch_size: int
    augmentation: dict = field(default_factory=dict)


def _published_optimizer(keras, n_steps):
    # As in the authors' saved model. Their text has another, below.
    return keras.optimizers.RMSprop(learning_rate=1e-4)


def _text_optimizer(keras, n_steps):
    # "a RMSprop optimizer with plain momentum and a learning rate of 0.001" (arXiv 2301.09648,
    # section 3); the value of the momentum is not told, 0.9 is the usual one.
    return keras.optimizers.RMSprop(learning_rate=1e-3, momentum=0.9)


def _one_cycle(highest, keras, n_steps):
    # Smith & Topin 2017, arXiv 1708.07120: a quarter up, three quarters down.
    warmup = max(n_steps // 4, 1)
    rate = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=highest / 30,
        decay_steps=max(n_steps - warmup, 1),
        warmup_target=highest,
        warmup_steps=warmup,
    )
    return keras.optimizers.AdamW(learning_rate=rate, weight_decay=0.05)


_PUBLISHED = Recipe(
    make_optimizer=_published_optimizer,
    epochs=100,
    patience=5,
    validation=0.2,
    batch_size=32,
    augmentation={"max_scale": 1.0, "max_shift": 0.0},
)
_COMPACT = Recipe(
    make_optimizer=partial(_one_cycle, 3e-3),
    epochs=90,
    patience=None,
    validation=None,
    batch_size=64,
    augmentation={"max_scale": 1.2, "max_shift": 1.0, "unresampled": 0.5},
)

#: The recipes, by architecture.
RECIPES = {
    "published": _PUBLISHED,
    "published-text": replace(_PUBLISHED, make_optimizer=_text_optimizer),
    "compact": _COMPACT,
    # What has been learnt is kept by small steps; few labels need small batches to make any.
    "fine-tuning": replace(
        _COMPACT, make_optimizer=partial(_one_cycle, 5e-4), epochs=30, batch_size=32
    ),
}


def get_recipe(
    recipe: Recipe | str | None, architecture: str, *, fine_tuning: bool = False
) -> Recipe:
    """Find the recipe that a training goes by.

    Parameters
    ----------
    recipe : Recipe, str or None
        A recipe, the name of one of `RECIPES`, or None for the usual one.
    architecture : str
        The network's architecture, whose recipe is the usual one.
    fine_tuning : bool, optional
        Whether a trained network is gone on with; the usual recipe is then ``"fine-tuning"``,
        except for the published network, which has one manner of training.

    Returns
    -------
    recipe : Recipe
        The recipe.

    Raises
    ------
    ValueError
        If there is no such recipe.

    Examples
    --------
    >>> from shredfinder.training import get_recipe
    >>> get_recipe(None, "compact").epochs, get_recipe("published", "compact").patience
    (90, 5)
    """
    if isinstance(recipe, Recipe):
        return recipe
    if recipe is None:
        recipe = "fine-tuning" if fine_tuning and architecture == "compact" else architecture
    try:
        return RECIPES[recipe]
    except (KeyError, TypeError):
        raise ValueError(
            f"recipe must be a shredfinder.training.Recipe or one of {', '.join(RECIPES)}, not "
            f"{recipe!r}"
        ) from None
