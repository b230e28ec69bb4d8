"""Type aliases for annotations of the public interface."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from astropy.units import Quantity
from numpy.typing import ArrayLike

__all__ = ["PathLike", "PerBand", "QuantityLike", "ScalarOrArray"]

PathLike: TypeAlias = str | os.PathLike[str]
"""A file or a folder."""

QuantityLike: TypeAlias = ArrayLike | Quantity
"""A number, an array or a masked column, with a unit or in the unit that the function names."""

ScalarOrArray: TypeAlias = Any
"""A number for numbers and an array for arrays: callers know which, type checkers can't."""

PerBand: TypeAlias = Mapping[str, QuantityLike] | Sequence[QuantityLike] | QuantityLike
"""One value, or array of values, for each band."""
