"""Training of networks: recipes, augmentation, and the loop."""

from shredfinder.models.backend import import_keras
from shredfinder.models.labels import combine_raters, encode_labels, split_groups
from shredfinder.training.augmentation import augment_image
from shredfinder.training.estimation import train_model
from shredfinder.training.fitting import fit_network
from shredfinder.training.recipes import RECIPES, Recipe, get_recipe

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
