"""Tables and their columns: find a column, and read plain values from any kind of column."""

from __future__ import annotations

import sys
from typing import Any, Literal, overload

import numpy as np
from astropy.table import Table

__all__ = [
    "as_table",
    "find_column",
    "get_mask",
    "get_plain_values",
    "is_scalar_column",
]


def as_table(catalog: Any, name: str = "the table", also: str = "") -> Table:
    """Convert a catalogue to an astropy table, without copying a table or an array.

    Parameters
    ----------
    catalog : `~astropy.table.Table`, `pandas.DataFrame` or structured array
        The catalogue.
    name : str, optional
        What the error message calls it.
    also : str, optional
        What else the caller accepts, such as ``"a SkyCoord, "``, for the error message.

    Returns
    -------
    table : `~astropy.table.Table`
        The catalogue itself if it is a table.

    Raises
    ------
    TypeError
        If it is of another type.
    """
    if isinstance(catalog, Table):
        return catalog
    pandas = sys.modules.get("pandas")  # a DataFrame exists only where pandas is imported
    if pandas is not None and isinstance(catalog, pandas.DataFrame):
        return Table.from_pandas(catalog)
    if isinstance(catalog, np.ndarray) and catalog.dtype.names:
        return Table(catalog, copy=False)
    raise TypeError(
        f"{name} must be {also}a Table, a DataFrame or a structured array: "
        f"got {type(catalog).__name__}"
    )


@overload
def find_column(table: Any, name: str, *, required: Literal[True] = True) -> str: ...


@overload
def find_column(table: Any, name: str, *, required: Literal[False]) -> str | None: ...


def find_column(table: Any, name: str, *, required: bool = True) -> str | None:
    """Find a table's column by name, ignoring case.

    Parameters
    ----------
    table : `~astropy.table.Table`, structured array or mapping
        Anything with ``colnames``, ``dtype.names`` or ``keys``.
    name : str
        The name to look for. A column in exactly that case takes precedence.
    required : bool, optional
        Whether a missing column is an error.

    Returns
    -------
    found : str or None
        The name as the table spells it; None if the column is missing and not required.

    Raises
    ------
    KeyError
        If the column is required and missing, or if several match in another case.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from shredfinder._utils.columns import find_column
    >>> find_column(Table({"SHAPE_R": [1.0]}), "shape_r")
    'SHAPE_R'
    """
    names = _names(table)
    if name in names:
        return name
    matches = [other for other in names if other.lower() == name.lower()]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise KeyError(
            f"several columns of the table match {name!r}: {', '.join(matches)}; rename all but one"
        )
    if not required:
        return None
    remedy = (
        "score it with add_p_cnn or shredfinder classify"
        if name == "p_cnn"
        else "add or rename one"
    )
    raise KeyError(
        f"the table has no column {name!r} (case is ignored): its columns are "
        f"{', '.join(names) or '(none)'}; {remedy}"
    )


def _names(table):
    if hasattr(table, "colnames"):
        return list(table.colnames)
    if getattr(getattr(table, "dtype", None), "names", None):
        return list(table.dtype.names)
    return [str(name) for name in table]


def is_scalar_column(column: Any) -> bool:
    """Return whether a column holds one number or string per row, with or without a unit.

    Parameters
    ----------
    column : column-like
        A column of a table.

    Returns
    -------
    is_scalar : bool
        False for mixins such as times and coordinates, and for columns of arrays.
    """
    return isinstance(column, np.ndarray) and column.ndim == 1 and column.dtype.names is None


def get_mask(column: Any) -> np.ndarray:
    """Return the mask of a column.

    Parameters
    ----------
    column : column-like
        A column of a table, of shape ``(n,)``.

    Returns
    -------
    mask : `~numpy.ndarray` of bool
        True where masked, of shape ``(n,)``.
    """
    # A column without a mask gets one of False, as a view without memory of its own.
    return np.broadcast_to(np.asarray(getattr(column, "mask", False), dtype=bool), column.shape)


def get_plain_values(column: Any) -> np.ndarray:
    """Return the values of a scalar column without mask and unit, without copying.

    Parameters
    ----------
    column : column-like
        A column for which `is_scalar_column` is true.

    Returns
    -------
    values : `~numpy.ndarray`
        Its values, of shape ``(n,)``; meaningless where masked.
    """
    # Masked quantities keep their data in `unmasked`, masked columns in `data`.
    column = getattr(column, "unmasked", column)
    return np.asarray(np.ma.getdata(column)).view(np.ndarray)
