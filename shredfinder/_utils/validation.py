"""Checks of the parameters of estimators and of training options."""

from __future__ import annotations

import inspect
import os
from numbers import Real
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from shredfinder._utils.types import PathLike

__all__ = ["Parametrized", "check_count", "check_fitting", "check_weights"]


class Parametrized:
    """An estimator whose constructor keeps its arguments as attributes of the same names."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Give the parameters of the constructor.

        Parameters
        ----------
        deep : bool, optional
            Without effect; scikit-learn passes it.

        Returns
        -------
        params : dict
            Values by name.
        """
        names = inspect.signature(type(self).__init__).parameters
        return {name: getattr(self, name) for name in names if name != "self"}

    def set_params(self, **params: Any) -> Self:
        """Set parameters of the constructor.

        Parameters
        ----------
        **params
            New values by name.

        Returns
        -------
        self : object
            The estimator.

        Raises
        ------
        ValueError
            If there is no such parameter, or a value is not allowed.
        """
        known = self.get_params()
        for name, value in params.items():
            if name not in known:
                raise ValueError(f"there is no parameter {name!r}: choose of {', '.join(known)}")
            setattr(self, name, value)
        self._check_params()
        return self

    def _check_params(self):
        """Raise ValueError if a parameter's value is not allowed."""


def check_count(value: Any, name: str, *, least: int = 1) -> None:
    """Check that a parameter is a whole number or None.

    Parameters
    ----------
    value : int or None
        The value.
    name : str
        The parameter's name, for the error message.
    least : int, optional
        The smallest number allowed.

    Raises
    ------
    ValueError
        If it is anything else.
    """
    if value is None:
        return
    is_whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not is_whole or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, not {value!r}")


def check_fitting(
    epochs: Any, patience: Any, batch_size: Any, validation: Any, checkpoint: PathLike | None
) -> None:
    """Check the options of a training run.

    Parameters
    ----------
    epochs, patience, batch_size, validation, checkpoint
        As for `shredfinder.ShredClassifier.fit`.

    Raises
    ------
    NotADirectoryError
        If the checkpoint is a file.
    ValueError
        If another option is invalid.
    """
    check_count(epochs, "epochs")
    check_count(patience, "patience", least=0)
    check_count(batch_size, "batch_size")
    if checkpoint is not None and os.path.exists(checkpoint) and not os.path.isdir(checkpoint):
        raise NotADirectoryError(f"checkpoint must be a folder, but {str(checkpoint)!r} is a file")
    if isinstance(validation, str):
        is_valid = validation == "auto"
    elif isinstance(validation, Real):
        is_valid = 0 < float(validation) < 1
    else:
        is_valid = validation is None or (isinstance(validation, tuple) and len(validation) == 2)
    if not is_valid:
        raise ValueError(
            "validation must be a fraction between 0 and 1, a tuple of images and labels, None or "
            f"'auto', not {validation!r:.80}"
        )


def check_weights(sample_weight: ArrayLike | None, n: int) -> np.ndarray:
    """Check sample weights, and convert them to an array.

    Parameters
    ----------
    sample_weight : array_like or None
        Weights of shape ``(n,)``; None for equal weights.
    n : int
        Number of sources.

    Returns
    -------
    weights : `~numpy.ndarray`
        Float, of shape ``(n,)``.

    Raises
    ------
    ValueError
        If they are not numbers, of another shape, negative or not finite.
    """
    if sample_weight is None:
        return np.ones(n)
    try:
        weights = np.ma.filled(np.ma.asarray(sample_weight).astype(float), np.nan)
    except (TypeError, ValueError):
        raise ValueError(
            f"sample_weight must be numbers, not {np.asarray(sample_weight).dtype}"
        ) from None
    if weights.shape != (n,):
        raise ValueError(
            f"sample_weight must have shape ({n},), one weight per image: got shape {weights.shape}"
        )
    if not (np.isfinite(weights) & (weights >= 0)).all():
        raise ValueError("sample_weight must be finite and not negative")
    return weights
