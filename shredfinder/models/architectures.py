"""The networks, in Keras 3, and the choice of its backend.

Keras is imported inside functions: scoring with a saved model does not need it.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import random
import sys
import tempfile
from typing import TYPE_CHECKING

import numpy as np

from shredfinder.exceptions import MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    from keras import KerasTensor, Model

__all__ = [
    "ARCHITECTURES",
    "build_network",
    "import_keras",
    "preserve_random_state",
    "standard_settings",
]

_BACKENDS = ("torch", "jax", "tensorflow")


@contextlib.contextmanager
def preserve_random_state() -> Iterator[None]:
    """Restore the global random states of Python and NumPy on exit.

    Yields
    ------
    None
        The states may be changed inside the context.
    """
    python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)  # noqa: NPY002


@contextlib.contextmanager
def standard_settings() -> Iterator[None]:
    """Apply Keras's default data format, float type and epsilon, and restore the user's on exit.

    ``keras.json`` may set others, such as ``channels_first`` or ``float16``. They would change the
    networks, or round their weights and losses.

    Yields
    ------
    None
        A policy of mixed precision stays: it keeps weights in single precision.
    """
    config = import_keras().config
    policy = config.dtype_policy()
    saved = config.image_data_format(), config.floatx(), config.epsilon()
    try:
        config.set_image_data_format("channels_last")
        config.set_floatx("float32")
        config.set_epsilon(1e-7)
        if not policy.name.startswith("mixed"):
            config.set_dtype_policy("float32")
        yield
    finally:
        config.set_image_data_format(saved[0])
        config.set_floatx(saved[1])
        config.set_epsilon(saved[2])
        config.set_dtype_policy(policy)


def import_keras() -> ModuleType:
    """Import Keras with an installed backend.

    The environment variable ``KERAS_BACKEND`` names the backend. If it is not set, the first
    installed of PyTorch, JAX and TensorFlow is used.

    Returns
    -------
    keras : module
        Keras 3.

    Raises
    ------
    shredfinder.exceptions.MissingDependencyError
        If no backend, or not the named one, is installed.

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
                "installed: pip install 'shredfinder[torch]' (or jax, or tensorflow); scoring "
                "with a saved model needs none"
            )
        # Keras reads the variable once, when it is imported.
        os.environ["KERAS_BACKEND"] = installed[0]
    with preserve_random_state():  # importing JAX draws numbers
        keras = _import_keras_anyway()
    if keras.backend.backend() not in _BACKENDS:
        raise MissingDependencyError(
            f"Keras uses the backend {keras.backend.backend()!r}, which cannot train: set "
            f"KERAS_BACKEND to one of {', '.join(_BACKENDS)} before Keras is imported"
        )
    return keras


def _import_keras_anyway() -> ModuleType:
    """Import Keras, without the user's ``keras.json`` if Keras refuses that (``bfloat16``)."""
    try:
        return importlib.import_module("keras")
    except ValueError:
        for name in [name for name in sys.modules if name.partition(".")[0] == "keras"]:
            del sys.modules[name]
    home = os.environ.get("KERAS_HOME")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["KERAS_HOME"] = folder
        try:
            return importlib.import_module("keras")
        finally:
            del os.environ["KERAS_HOME"]
            if home is not None:
                os.environ["KERAS_HOME"] = home


def build_published(input_shape: tuple[int, ...], n_classes: int = 2) -> Model:
    """Build the network of Di Teodoro, Peek & Wu (arXiv 2301.09648, figure 2).

    Parameters
    ----------
    input_shape : tuple of int
        Height, width and number of bands; 128, 128, 3 in the paper.
    n_classes : int, optional
        Number of classes; 2 in the paper.

    Returns
    -------
    network : `keras.Model`
        Maps images in 0–1, ``(n, height, width, bands)``, to the probabilities of the classes,
        ``(n, n_classes)``. It has 10,580,258 parameters for the paper's input shape.
    """
    from keras import Model, layers

    inputs = layers.Input(input_shape, name="images")
    x = inputs
    # 128 → 126/2 = 63 → 61/2 = 30 → 28/2 = 14 → 10/4 = 2 px, and 2 × 2 × 512 = 2048 features.
    for n_filters, kernel, pool in ((32, 3, 2), (64, 3, 2), (128, 3, 2), (512, 5, 4)):
        x = layers.Conv2D(n_filters, kernel, padding="same", activation="relu")(x)
        x = layers.Conv2D(n_filters, kernel, padding="valid", activation="relu")(x)
        x = layers.MaxPooling2D(pool)(x)
        x = layers.Dropout(0.2)(x)
    x = layers.Flatten()(x)
    x = layers.Dense(1024, activation="relu")(x)
    x = layers.Dropout(0.2)(x)
    return Model(inputs, _add_probabilities(x, n_classes), name="published")


def build_compact(input_shape: tuple[int, ...], n_classes: int = 2) -> Model:
    """Build the package's own network.

    It sees the source at three scales, each a quarter of the cutout's width in pixels: the
    central quarter at full resolution, the central half averaged 2 × 2, and the whole field
    averaged 4 × 4. The centre and its surroundings decide; full resolution everywhere would cost
    much more and add little.

    Parameters
    ----------
    input_shape : tuple of int
        Height, width and number of bands. Height and width must be multiples of 16.
    n_classes : int, optional
        Number of classes.

    Returns
    -------
    network : `keras.Model`
        Maps images in 0–1, ``(n, height, width, bands)``, to the probabilities of the classes,
        ``(n, n_classes)``.
    """
    from keras import Model, layers

    height, width, _ = input_shape
    if height % 16 or width % 16:
        raise ValueError(
            "the compact network needs images whose sides are multiples of 16 px, got "
            f"{width}×{height} px"
        )

    def convolve(x: KerasTensor, n_filters: int) -> KerasTensor:
        x = layers.Conv2D(n_filters, 3, padding="same", use_bias=False)(x)
        # Keras's default momentum of 0.99 would need thousands of steps to converge.
        return layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))

    inputs = layers.Input(input_shape, name="images")
    # All three have a quarter of the cutout's height and width, so they can be stacked as channels.
    center = layers.Cropping2D((height * 3 // 8, width * 3 // 8))(inputs)
    middle = layers.AveragePooling2D(2)(layers.Cropping2D((height // 4, width // 4))(inputs))
    whole = layers.AveragePooling2D(4)(inputs)
    x = layers.Concatenate()([center, middle, whole])
    for n_filters in (32, 64):
        x = convolve(convolve(x, n_filters), n_filters)
        x = layers.MaxPooling2D(2)(x)
    x = convolve(convolve(x, 128), 128)
    # Pool over the field (mean and maximum) and over the centre, the source's position.
    # After two poolings the field is height // 16 px: the rim leaves the central 2 × 2.
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
    return Model(inputs, _add_probabilities(x, n_classes), name="compact")


def _add_probabilities(x: KerasTensor, n_classes: int) -> KerasTensor:
    from keras import layers

    # Single precision whatever Keras's policy: half precision would round probabilities.
    return layers.Dense(n_classes, activation="softmax", name="probabilities", dtype="float32")(x)


#: Builders of the networks by name of the architecture.
ARCHITECTURES: dict[str, Callable[..., Model]] = {
    "compact": build_compact,
    "published": build_published,
}


def build_network(architecture: str, input_shape: tuple[int, ...], n_classes: int = 2) -> Model:
    """Build a network with newly initialised weights.

    Parameters
    ----------
    architecture : str
        Key of `ARCHITECTURES`.
    input_shape : tuple of int
        Height, width and number of bands.
    n_classes : int, optional
        Number of classes: 2, or 3 with a class for sources that are no galaxy.

    Returns
    -------
    network : `keras.Model`
        The network.

    Raises
    ------
    ValueError
        If the architecture is unknown or cannot process images of that shape.

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
            f"unknown architecture {architecture!r}: use one of {', '.join(ARCHITECTURES)}"
        ) from None
    with standard_settings():
        shape = tuple(int(side) for side in input_shape)
        # Networks for two classes need not know of others.
        return build(shape) if n_classes == 2 else build(shape, n_classes)
