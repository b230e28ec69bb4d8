"""Training recipes: optimiser, number of epochs and augmentation of each architecture."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    from keras.optimizers import Optimizer

__all__ = ["RECIPES", "Recipe", "augment_image", "get_recipe"]


@dataclass(frozen=True)
class Recipe:
    """Settings of a training.

    Attributes
    ----------
    make_optimizer : callable
        Called with the Keras module and the number of training steps; returns the optimiser.
    epochs : int
        Maximum number of epochs.
    patience : int or None
        Stop after this many epochs without a lower validation loss; None never stops early.
    validation : float or None
        Fraction of the training images set aside for validation; None sets none aside.
    batch_size : int
        Batch size.
    augmentation : dict
        Keyword arguments of `~shredfinder.training.augment_image`.

    Examples
    --------
    >>> from shredfinder.training import RECIPES
    >>> recipe = RECIPES["published"]
    >>> recipe.epochs, recipe.patience
    (100, 5)
    """

    make_optimizer: Callable[[ModuleType, int], Optimizer]
    epochs: int
    patience: int | None
    validation: float | None
    batch_size: int
    augmentation: dict[str, Any] = field(default_factory=dict)


def _make_published_optimizer(keras: ModuleType, n_steps: int) -> Optimizer:
    # From the authors' saved model. The paper's text differs, see below.
    return keras.optimizers.RMSprop(learning_rate=1e-4)


def _make_text_optimizer(keras: ModuleType, n_steps: int) -> Optimizer:
    # "a RMSprop optimizer with plain momentum and a learning rate of 0.001" (arXiv 2301.09648,
    # section 3). The paper does not give the momentum; 0.9 is the customary value.
    return keras.optimizers.RMSprop(learning_rate=1e-3, momentum=0.9)


def _make_one_cycle(highest: float, keras: ModuleType, n_steps: int) -> Optimizer:
    # One cycle (Smith & Topin 2017, arXiv 1708.07120): the rate rises for a quarter of the
    # steps and falls for the rest.
    warmup = max(n_steps // 4, 1)
    rate = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=highest / 30,
        decay_steps=max(n_steps - warmup, 1),
        warmup_target=highest,
        warmup_steps=warmup,
    )
    return keras.optimizers.AdamW(learning_rate=rate, weight_decay=0.05)


_PUBLISHED = Recipe(
    make_optimizer=_make_published_optimizer,
    epochs=100,
    patience=5,
    validation=0.2,
    batch_size=32,
    augmentation={"max_scale": 1.0, "max_shift": 0.0},
)
_COMPACT = Recipe(
    make_optimizer=partial(_make_one_cycle, 3e-3),
    epochs=90,
    patience=None,
    validation=None,
    batch_size=64,
    augmentation={"max_scale": 1.2, "max_shift": 1.0, "unresampled": 0.5},
)

#: Recipes by name. An architecture's default recipe has the architecture's name.
RECIPES: dict[str, Recipe] = {
    "published": _PUBLISHED,
    "published-text": replace(_PUBLISHED, make_optimizer=_make_text_optimizer),
    "compact": _COMPACT,
    # A low rate preserves what the network has learnt. With few labels, small batches keep the
    # number of steps up.
    "fine-tuning": replace(
        _COMPACT, make_optimizer=partial(_make_one_cycle, 5e-4), epochs=30, batch_size=32
    ),
}


def get_recipe(
    recipe: Recipe | str | None, architecture: str, *, fine_tuning: bool = False
) -> Recipe:
    """Return the recipe of a training.

    Parameters
    ----------
    recipe : Recipe, str or None
        A recipe, a key of `RECIPES`, or None for the default.
    architecture : str
        The network's architecture, which sets the default.
    fine_tuning : bool, optional
        Whether training starts from a trained network. The compact network's default is then
        ``"fine-tuning"``; the published network always has the same.

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
            f"recipe must be a shredfinder.training.Recipe or one of {', '.join(RECIPES)}, got "
            f"{recipe!r}"
        ) from None


def augment_image(
    image: np.ndarray,
    rng: np.random.Generator,
    *,
    max_scale: float = 1.15,
    max_shift: float = 1.0,
    unresampled: float = 0.0,
) -> np.ndarray:
    """Rotate, mirror, scale and shift an image at random, in a single resampling.

    Parameters
    ----------
    image : `~numpy.ndarray`
        Image of shape ``(height, width, bands)``, uint8 or float32.
    rng : `~numpy.random.Generator`
        Random number generator.
    max_scale : float, optional
        The scale factor lies between ``1 / max_scale`` and ``max_scale``, uniform in its
        logarithm; 1 keeps the scale.
    max_shift : float, optional
        Largest shift in pixels along either axis. The source must stay at the centre, so keep
        this within the accuracy of catalogue positions.
    unresampled : float, optional
        Fraction of the images that are only rotated by right angles and mirrored. Resampling
        smooths the noise; with these the network also sees images as sharp as the real ones.
        Images that are not square are always resampled.

    Returns
    -------
    augmented : `~numpy.ndarray`
        Image of the same shape and type. Corners outside the rotated image are filled by
        reflection.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder.training import augment_image
    >>> rng = np.random.default_rng(1)
    >>> image = rng.integers(0, 255, (128, 128, 3), dtype=np.uint8)
    >>> augmented = augment_image(image, rng, max_scale=1.2)
    >>> augmented.shape, augmented.dtype
    ((128, 128, 3), dtype('uint8'))
    """
    height, width = image.shape[:2]
    if unresampled and height == width and rng.uniform() < unresampled:
        rotated = np.rot90(image, int(rng.integers(4)))
        return np.ascontiguousarray(rotated[:, ::-1] if rng.integers(2) else rotated)
    angle = rng.uniform(0, 2 * np.pi)
    scale = np.exp(rng.uniform(-1, 1) * np.log(max_scale))
    shift = rng.uniform(-max_shift, max_shift, 2)
    mirror = rng.choice((-1.0, 1.0))
    # Pad so that a rotated and shrunk image still covers the corners.
    pad = int(np.ceil(max(height, width) * (np.sqrt(2) * max_scale - 1) / 2 + max_shift)) + 1
    padded = np.pad(image, ((pad, pad), (pad, pad), (0, 0)), mode="symmetric")
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    # Broadcasting multiplies the first column by ±1, which mirrors x.
    matrix = scale * matrix * (mirror, 1.0)
    # Pillow maps each output pixel's position (its centre at +0.5) back to the input.
    center_out, center_in = np.array([width, height]) / 2, np.array(padded.shape[1::-1]) / 2
    offset = center_in - matrix @ center_out + shift
    # x_in = a x + b y + c, y_in = d x + e y + f.
    coefficients = (*matrix[0], offset[0], *matrix[1], offset[1])

    def transform(channels: np.ndarray) -> np.ndarray:
        transformed = Image.fromarray(channels).transform(
            (width, height), Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR
        )
        return np.asarray(transformed)

    if image.dtype == np.uint8 and image.shape[2] == 3:
        return transform(padded)
    # Pillow supports colour images only as three bands of uint8.
    bands = np.moveaxis(padded, -1, 0)
    return np.stack([transform(np.ascontiguousarray(band)) for band in bands], axis=-1)
