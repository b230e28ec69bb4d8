"""The networks, in Keras 3.

Keras is imported inside the functions: scoring a saved model never needs it.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from typing import TYPE_CHECKING

from shredfinder.exceptions import MissingDependencyError

if TYPE_CHECKING:
    from types import ModuleType

    from keras import Model

__all__ = ["ARCHITECTURES", "build_network", "import_keras"]


def build_published(input_shape):
    """Build the network of Di Teodoro, Peek & Wu (arXiv 2301.09648, their figure 2).

    Parameters
    ----------
    input_shape : tuple of int
        Height, width and number of bands; 128, 128, 3 in the paper.

    Returns
    -------
    network : `keras.Model`
        From images in 0–1, ``(n, height, width, bands)``, to the probabilities of galaxy and
        shred, ``(n, 2)``; 10,580,258 parameters at the paper's input shape.
    """
    from keras import Model, layers

    inputs = layers.Input(input_shape, name="images")
    x = inputs
    for n_filters, kernel, pool in ((32, 3, 2), (64, 3, 2), (128, 3, 2), (512, 5, 4)):
        x = layers.Conv2D(n_filters, kernel, padding="same", activation="relu")(x)
        x = layers.Conv2D(n_filters, kernel, padding="valid", activation="relu")(x)
        x = layers.MaxPooling2D(pool)(x)
        x = layers.Dropout(0.2)(x)
    x = layers.Flatten()(x)
    x = layers.Dense(1024, activation="relu")(x)
    x = layers.Dropout(0.2)(x)
    outputs = _end(x)
    return Model(inputs, outputs, name="published")


def build_compact(input_shape):
    """Build this project's own network.

    It sees the source at three scales at once, each a quarter as wide as the cutout in pixels:
    the centre as it is, twice the field averaged 2 × 2, and the whole field averaged 4 × 4.
    What decides is at the centre and in its surroundings; the full resolution everywhere else
    would cost much and tell little.

    Parameters
    ----------
    input_shape : tuple of int
        Height, width and number of bands; height and width are multiples of 16.

    Returns
    -------
    network : `keras.Model`
        From images in 0–1, ``(n, height, width, bands)``, to the probabilities of galaxy and
        shred, ``(n, 2)``.
    """
    from keras import Model, layers

    height, width, _ = input_shape
    if height % 16 or width % 16:
        raise ValueError(
            f"the compact network takes images whose sides are multiples of 16 px, not "
            f"{width}×{height} px"
        )

    def convolve(x, n_filters):
        x = layers.Conv2D(n_filters, 3, padding="same", use_bias=False)(x)
        # Keras's own momentum of 0.99 would need thousands of steps to settle.
        return layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))

    inputs = layers.Input(input_shape, name="images")
    center = layers.Cropping2D((height * 3 // 8, width * 3 // 8))(inputs)
    middle = layers.AveragePooling2D(2)(layers.Cropping2D((height // 4, width // 4))(inputs))
    whole = layers.AveragePooling2D(4)(inputs)
    x = layers.Concatenate()([center, middle, whole])
    for n_filters in (32, 64):
        x = convolve(convolve(x, n_filters), n_filters)
        x = layers.MaxPooling2D(2)(x)
    x = convolve(convolve(x, 128), 128)
    # What is anywhere, what is most, and what is at the centre, where the source must be.
    rim = ((height // 16 - 2) // 2, (width // 16 - 2) // 2)
    x = layers.Concatenate()(
        [
            layers.GlobalAveragePooling2D()(x),
            layers.GlobalMaxPooling2D()(x),
            layers.GlobalAveragePooling2D()(layers.Cropping2D(rim)(x)),
        ]
    )
    x = layers.Dropout(0.3)(x)
    x = layers.Dense(64, activation="relu")(x)
    outputs = _end(x)
    return Model(inputs, outputs, name="compact")


def _end(x):
    from keras import layers

    # In single precision whatever Keras's policy is: half of it would round probabilities.
    return layers.Dense(2, activation="softmax", name="probabilities", dtype="float32")(x)


#: From the name of each architecture to the function that builds it.
ARCHITECTURES = {"compact": build_compact, "published": build_published}


def build_network(architecture: str, input_shape: tuple[int, ...]) -> Model:
    """Build a network with fresh weights.

    Parameters
    ----------
    architecture : str
        A key of `ARCHITECTURES`.
    input_shape : tuple of int
        Height, width and number of bands.

    Returns
    -------
    network : `keras.Model`
        The network.

    Raises
    ------
    ValueError
        If there is no such architecture or it can't take images of that shape.

    Examples
    --------
    >>> from shredfinder.models import build_network
    >>> from shredfinder.training import import_keras
    >>> keras = import_keras()
    >>> build_network("published", (128, 128, 3)).count_params()
    10580258
    """
    try:
        build = ARCHITECTURES[architecture]
    except KeyError:
        raise ValueError(
            f"there is no architecture {architecture!r}: choose one of {', '.join(ARCHITECTURES)}"
        ) from None
    return build(tuple(int(side) for side in input_shape))


_BACKENDS = ("torch", "jax", "tensorflow")


def import_keras() -> ModuleType:
    """Import Keras with a backend that is installed.

    Keras takes the backend named in the environment variable ``KERAS_BACKEND``; where none is
    named, the first that is installed of PyTorch, JAX and TensorFlow is chosen.

    Returns
    -------
    keras : module
        Keras 3.

    Raises
    ------
    shredfinder.exceptions.MissingDependencyError
        If no backend is installed, or the one that was named is not.

    Examples
    --------
    >>> from shredfinder.training import import_keras
    >>> keras = import_keras()
    >>> keras.backend.backend() in ("torch", "jax", "tensorflow")
    True
    """
    if "keras" not in sys.modules:
        chosen = os.environ.get("KERAS_BACKEND")
        candidates = (chosen,) if chosen else _BACKENDS
        installed = [
            name for name in candidates if name in _BACKENDS and importlib.util.find_spec(name)
        ]
        if not installed:
            raise MissingDependencyError(
                f"training needs a deep-learning backend, and {' or '.join(candidates)} is not "
                "installed: pip install 'shredfinder[jax]' (or torch, or tensorflow); scoring "
                "with a saved model needs none"
            )
        os.environ["KERAS_BACKEND"] = installed[0]
    import keras

    if keras.backend.backend() not in _BACKENDS:
        raise MissingDependencyError(
            f"Keras runs on the backend {keras.backend.backend()!r}, which can't train: set "
            f"KERAS_BACKEND to one of {', '.join(_BACKENDS)} before Keras is imported"
        )
    return keras
