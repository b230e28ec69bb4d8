"""Train networks: recipes, augmentation and the training loop."""

from shredfinder.models.architectures import import_keras
from shredfinder.models.labels import combine_raters, encode_labels, split_groups
from shredfinder.training.fitting import check_fit_options, fit_network
from shredfinder.training.recipes import RECIPES, Recipe, augment_image, get_recipe
from shredfinder.training.workflow import adapt_weights, train_model

__all__ = [
    "RECIPES",
    "Recipe",
    "adapt_weights",
    "augment_image",
    "check_fit_options",
    "combine_raters",
    "encode_labels",
    "fit_network",
    "get_recipe",
    "import_keras",
    "split_groups",
    "train_model",
]
