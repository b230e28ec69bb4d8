"""Train networks: recipes, augmentation and the training loop."""

from shredfinder.models.architectures import import_keras
from shredfinder.models.labels import combine_raters, encode_labels, split_groups
from shredfinder.training.fitting import fit_network
from shredfinder.training.recipes import RECIPES, Recipe, augment_image, get_recipe
from shredfinder.training.workflow import train_model

__all__ = [
    "RECIPES",
    "Recipe",
    "augment_image",
    "combine_raters",
    "encode_labels",
    "fit_network",
    "get_recipe",
    "import_keras",
    "split_groups",
    "train_model",
]
