"""Training recipes and their choice."""

from dataclasses import replace

import pytest

from shredfinder import ShredClassifier
from shredfinder.training import RECIPES, get_recipe
from tests.conftest import needs_backend


def test_default_recipes():
    assert get_recipe(None, "compact") is RECIPES["compact"]
    assert get_recipe(None, "compact", fine_tuning=True) is RECIPES["fine-tuning"]
    assert get_recipe(None, "published", fine_tuning=True) is RECIPES["published"]


def test_a_recipe_by_name_or_object():
    own = replace(RECIPES["compact"], epochs=3)
    assert get_recipe(own, "published") is own
    assert get_recipe("published-text", "published") is RECIPES["published-text"]


@pytest.mark.parametrize("recipe", ["unknown", 3, []])
def test_an_unknown_recipe(recipe):
    with pytest.raises(ValueError, match="one of published, published-text, compact"):
        get_recipe(recipe, "compact")


@needs_backend
def test_the_papers_two_optimizers():
    from shredfinder.training import import_keras

    keras = import_keras()
    saved = RECIPES["published"].make_optimizer(keras, 100)
    text = RECIPES["published-text"].make_optimizer(keras, 100)
    assert (float(saved.learning_rate), saved.momentum) == (pytest.approx(1e-4), 0)
    assert (float(text.learning_rate), text.momentum) == (pytest.approx(1e-3), 0.9)


@needs_backend
def test_fit_uses_a_recipe(tiny, toy_images):
    images, y = toy_images
    recipe = replace(RECIPES["compact"], epochs=2, batch_size=16)
    classifier = ShredClassifier(tiny, random_state=1).fit(images, y, recipe=recipe, progress=False)
    assert len(classifier.history_["loss"]) == 2


@needs_backend
def test_fit_refuses_an_unknown_recipe(toy_images):
    with pytest.raises(ValueError, match="recipe must be"):
        ShredClassifier().fit(*toy_images, recipe="slow")
