"""Train networks: recipes, augmentation and the training loop."""

from shredfinder.models.architectures import import_keras
from shredfinder.models.labels import combine_raters, encode_labels, split_groups
from shredfinder.training.augmentation import (
    augment_image,
    fill_border,
    move_center,
    redden_image,
)
from shredfinder.training.companions import draw_companion
from shredfinder.training.fitting import fit_network, renew_statistics
from shredfinder.training.others import OTHER_KINDS, draw_other
from shredfinder.training.recipes import RECIPES, Augmentation, Recipe, get_recipe
from shredfinder.training.torch_layers import native_torch_layers
from shredfinder.training.workflow import train_model

__all__ = [
    "OTHER_KINDS",
    "RECIPES",
    "Augmentation",
    "Recipe",
    "augment_image",
    "combine_raters",
    "draw_companion",
    "draw_other",
    "encode_labels",
    "fill_border",
    "fit_network",
    "get_recipe",
    "import_keras",
    "move_center",
    "native_torch_layers",
    "redden_image",
    "renew_statistics",
    "split_groups",
    "train_model",
]
