"""Type aliases for annotations of the public interface."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from astropy.units import Quantity
from numpy.typing import ArrayLike

__all__ = ["PathLike", "PerBand", "QuantityLike", "ScalarOrArray"]

PathLike: TypeAlias = str | os.PathLike[str]
"""Path of a file or a folder."""

QuantityLike: TypeAlias = ArrayLike | Quantity
"""A number, array or masked column, as a Quantity or in the unit that the function documents."""

ScalarOrArray: TypeAlias = Any
"""A scalar for scalar arguments, else an array, which type checkers cannot infer."""

PerBand: TypeAlias = Mapping[str, QuantityLike] | Sequence[QuantityLike] | QuantityLike
"""One value or array per band."""
