"""Types of arguments, the validation of counts and sample weights, and numbers in messages."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from astropy.units import Quantity
from numpy.typing import ArrayLike

__all__ = [
    "PathLike",
    "PerBand",
    "QuantityLike",
    "ScalarOrArray",
    "check_count",
    "check_weights",
    "quantify",
]


PathLike: TypeAlias = str | os.PathLike[str]
"""Path of a file or a folder."""

QuantityLike: TypeAlias = ArrayLike | Quantity
"""A number, array or masked column, as a Quantity or in the unit that the function documents."""

ScalarOrArray: TypeAlias = Any
"""A scalar for scalar arguments, else an array, which type checkers cannot infer."""

PerBand: TypeAlias = Mapping[str, QuantityLike] | Sequence[QuantityLike] | QuantityLike
"""One value or array per band."""


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
    # True is an int for Python.
    is_whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not is_whole or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, not {value!r}")


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


def quantify(n: int | np.integer, noun: str) -> str:
    """Write a number with its noun, which is singular for 1.

    Parameters
    ----------
    n : int
        The number.
    noun : str
        The noun in the singular; its plural ends in -s.

    Returns
    -------
    words : str
        Such as ``"1 source"`` or ``"1,200 sources"``.

    Examples
    --------
    >>> from shredfinder._utils.validation import quantify
    >>> quantify(1, "source"), quantify(0, "source"), quantify(1200, "source")
    ('1 source', '0 sources', '1,200 sources')
    """
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"
