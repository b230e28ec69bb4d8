"""The deep-learning backend that Keras trains with."""

from __future__ import annotations

import importlib.util
import os
import sys
from typing import TYPE_CHECKING

from shredfinder.exceptions import MissingDependencyError

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["import_keras"]

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
