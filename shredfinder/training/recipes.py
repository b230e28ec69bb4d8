"""Training recipes: optimiser, number of epochs and augmentation of each architecture."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from shredfinder.surveys import COLOR_MAPPINGS
from shredfinder.training.augmentation import (
    augment_image,
    fill_border,
    move_center,
    redden_image,
)
from shredfinder.training.others import draw_other

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from keras.optimizers import Optimizer

__all__ = ["RECIPES", "Augmentation", "Recipe", "get_recipe"]

# A centre this many radii off the nucleus is on a piece of the galaxy, and below _ON_NUCLEUS it is
# on the nucleus (the raters were told: within about 15 % of the visible diameter).
_OFF_NUCLEUS, _ON_NUCLEUS = 0.4, 0.2
_FARTHEST = 1.05
# Below the first offset in pixels nobody sees that an image is off-centre; above the second anybody
# may.
_UNSEEN, _SEEN = 1.2, 3.0
# Larger offsets fill too much of the image.
_MAX_OFFSET = 30
# Radii in pixels of galaxies that are moved. Smaller ones have no pieces that a survey resolves.
# Of larger ones there are enough real pieces among labelled sources.
_MIN_RADIUS, _MAX_RADIUS = 5.5, 17.0
# Only images whose label is this sure can be moved.
_SURE = 0.05
# Probability that the centre of a moved image is a shred.
_MOVED_SHRED = 0.97


@dataclass(frozen=True)
class Augmentation:
    """How training images are changed, at random.

    Attributes
    ----------
    max_scale, max_shift, unresampled : float
        As for `~shredfinder.training.augment_image`.
    moved : float
        Fraction of the images of certain galaxies that are moved so that another part of the galaxy
        lies at the centre. The label follows: shred from 0.4 radii, galaxy up to 0.2 radii.
    filled : float
        Fraction of the other images whose border is filled as that of moved images, so that the
        border tells nothing of the label.
    reddened : float
        Fraction of the images that are reddened, by up to ``max_ebv``, and whose zero-points
        change.
    others : float
        Fraction of the images that are replaced by a star, an artefact or blank sky, made from
        them (`~shredfinder.training.draw_other`), with the label ``"other"``.
    max_ebv : float
        Largest E(B−V) in mag.
    zero_point : float
        Standard deviation of the zero-points' changes in mag.

    Examples
    --------
    >>> from shredfinder.training import RECIPES
    >>> RECIPES["catalogue"].augmentation.moved
    0.05
    """

    max_scale: float = 1.15
    max_shift: float = 1.0
    unresampled: float = 0.0
    moved: float = 0.0
    filled: float = 0.0
    reddened: float = 0.0
    others: float = 0.0
    max_ebv: float = 0.6
    zero_point: float = 0.04

    @property
    def needs_colors(self) -> bool:
        """`bool`: whether images in a survey's colours are needed."""
        return any((self.moved, self.filled, self.reddened, self.others))

    def apply(
        self,
        image: np.ndarray,
        target: np.ndarray,
        radius: float,
        rng: np.random.Generator,
        *,
        color_mapping: str | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Change an image, and its label where the change demands it.

        Parameters
        ----------
        image : `~numpy.ndarray`
            Image of shape ``(height, width, bands)``, uint8 or float32.
        target : `~numpy.ndarray`
            Probability of each class: galaxy, shred and, for three classes, other.
        radius : float
            Isophotal radius of the source in pixels; NaN if unknown, which excludes it from
            moving.
        rng : `~numpy.random.Generator`
            Random number generator.
        color_mapping : str, optional
            Mapping of the image's colours. Without it, or for fluxes, images are only rotated,
            scaled and shifted.

        Returns
        -------
        image : `~numpy.ndarray`
            Image of the same shape and type.
        target : `~numpy.ndarray`
            Its label.
        """
        if self.needs_colors and color_mapping in COLOR_MAPPINGS:
            image, target = self._change(image, target, radius, rng, str(color_mapping))
        augmented = augment_image(
            image,
            rng,
            max_scale=self.max_scale,
            max_shift=self.max_shift,
            unresampled=self.unresampled,
        )
        return augmented, target

    def _change(
        self,
        image: np.ndarray,
        target: np.ndarray,
        radius: float,
        rng: np.random.Generator,
        color_mapping: str,
    ) -> tuple[np.ndarray, np.ndarray]:
        is_other = len(target) > 2 and target[2] > 0.5
        if len(target) > 2 and not is_other and rng.random() < self.others:
            drawn = draw_other(image, rng, color_mapping=color_mapping)
            if drawn is not None:
                image, target = drawn, np.array([0, 0, 1], target.dtype)
        elif (
            _MIN_RADIUS <= radius <= _MAX_RADIUS
            and target[0] >= 1 - _SURE
            and rng.random() < self.moved
        ):
            distance = radius * (
                rng.uniform(_OFF_NUCLEUS, _FARTHEST)
                if rng.random() < 0.6
                else rng.uniform(0, _OFF_NUCLEUS)
            )
            if distance <= _MAX_OFFSET:
                x, y = _draw_offset(distance, rng)
                image = move_center(image, x, y)
                p = _MOVED_SHRED * _get_moved_label(float(np.hypot(x, y)), radius)
                target = target * (1 - p)
                target[1] += p
        elif rng.random() < self.filled:
            image = fill_border(image, *_draw_offset(_draw_distance(radius, rng), rng))
        if rng.random() < self.reddened:
            # Some change in their zero-points only.
            ebv = rng.uniform(0, self.max_ebv) if rng.random() < 0.7 else 0.0
            bands = COLOR_MAPPINGS[color_mapping].bands
            offsets = dict(zip(bands, rng.normal(0, self.zero_point, len(bands)), strict=True))
            image = redden_image(image, ebv, rng, zero_points=offsets, color_mapping=color_mapping)
        return image, target


def _draw_offset(distance: float, rng: np.random.Generator) -> tuple[int, int]:
    angle = rng.uniform(0, 2 * np.pi)
    return round(distance * np.cos(angle)), round(distance * np.sin(angle))


def _draw_distance(radius: float, rng: np.random.Generator) -> float:
    """Draw an offset like those of moved images, or sometimes any."""
    if rng.random() < 0.3 or not radius > 0:
        return rng.uniform(0, _MAX_OFFSET)
    return min(rng.uniform(0, _FARTHEST) * radius, _MAX_OFFSET)


def _get_moved_label(offset: float, radius: float) -> float:
    """Return the share of "shred" in the label of an image moved by an offset in pixels."""
    relative = offset / radius
    share = np.clip((relative - _ON_NUCLEUS) / (_OFF_NUCLEUS - _ON_NUCLEUS), 0, 1)
    seen = np.clip((offset - _UNSEEN) / (_SEEN - _UNSEEN), 0, 1)
    return float(min(share, seen))


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
    augmentation : Augmentation
        Changes to the training images.
    kept : float
        If training starts from a trained network, its share in the final weights: they are averaged
        with those after training (Wortsman et al. 2022, arXiv 2109.01903), except in the last
        layer.

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
    augmentation: Augmentation = field(default_factory=Augmentation)
    kept: float = 0.0


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
    augmentation=Augmentation(max_scale=1.0, max_shift=0.0),
)
_COMPACT = Recipe(
    make_optimizer=partial(_make_one_cycle, 3e-3),
    epochs=90,
    patience=None,
    validation=None,
    batch_size=64,
    augmentation=Augmentation(max_scale=1.2, max_shift=1.0, unresampled=0.5),
)

# Catalogues hold what labelled sources do not show enough of: pieces of small galaxies, reddened
# galaxies, stars and artefacts.
_ROBUST = Augmentation(
    max_scale=1.2,
    max_shift=1.0,
    unresampled=0.5,
    moved=0.05,
    filled=0.05,
    # Images are corrected for more extinction before they are scored: tolerance of it would cost
    # the network the colours.
    reddened=0.3,
    max_ebv=0.1,
    others=0.12,
)

#: Recipes by name. An architecture's default recipe has the architecture's name.
RECIPES: dict[str, Recipe] = {
    "published": _PUBLISHED,
    "published-text": replace(_PUBLISHED, make_optimizer=_make_text_optimizer),
    "compact": _COMPACT,
    # Second stage, after "compact". Networks of that recipe are better on images like the labelled
    # ones, so part of its weights is kept.
    "catalogue": replace(
        _COMPACT,
        make_optimizer=partial(_make_one_cycle, 1e-3),
        epochs=40,
        augmentation=_ROBUST,
        kept=0.2,
    ),
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
