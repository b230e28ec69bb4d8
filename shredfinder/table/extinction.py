"""E(B−V) of the rows of a table, by which their images are corrected for extinction."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u

from shredfinder._utils.columns import find_column
from shredfinder._utils.units import to_floats, to_value
from shredfinder.exceptions import ShredfinderWarning
from shredfinder.models.dust import can_correct

if TYPE_CHECKING:
    from collections.abc import Iterable

    from astropy.table import Table
    from numpy.typing import ArrayLike

    from shredfinder.models.description import ModelDescription

__all__ = ["check_one_ebv", "describe_ebv", "find_ebv", "read_ebv"]

# Tables of the Legacy Surveys, and those of `query_candidates`, have this column.
_NAME = "ebv"


def check_one_ebv(ebv: Any) -> None:
    """Validate an E(B−V) for rows that are scored in parts: a column, one value or None.

    Raises
    ------
    ValueError
        If several values are given.
    """
    if ebv is not None and not isinstance(ebv, str) and np.ndim(ebv):
        raise ValueError(
            "ebv must be the name of a column or one value, got an array: write the values to a "
            "column of the catalogue"
        )


def find_ebv(
    columns: Any, ebv: str | ArrayLike | None, description: ModelDescription
) -> str | ArrayLike | None:
    """Find where E(B−V) comes from.

    Parameters
    ----------
    columns : `~astropy.table.Table` or mapping
        The table, or anything with its column names.
    ebv : str, float, array_like or None
        Name of a column, or values; None for the column ``ebv``, if there is one.
    description : ModelDescription
        The model.

    Returns
    -------
    found : str, float, array_like or None
        The column's name as the table spells it, or the values; None if there is none, or if the
        model's images cannot be corrected and nobody asked for it.

    Raises
    ------
    KeyError
        If there is no column of the given name.
    """
    if isinstance(ebv, str):
        return find_column(columns, ebv)
    if ebv is not None:
        return ebv
    name = find_column(columns, _NAME, required=False)
    return name if name is not None and can_correct(description) else None


def read_ebv(parts: Iterable[Table], ebv: str | ArrayLike | None, n: int) -> np.ndarray | None:
    """Read E(B−V) of all rows.

    Parameters
    ----------
    parts : iterable of `~astropy.table.Table`
        Tables with the rows, in order; not used for given values.
    ebv : str, float, array_like or None
        Name of the column, or values in mag: one, or of shape ``(n,)``.
    n : int
        Number of rows.

    Returns
    -------
    values : `~numpy.ndarray` of float32 or None
        E(B−V) in mag, of shape ``(n,)``; 0 where it is missing or negative. None without E(B−V).

    Raises
    ------
    TypeError
        If the values are no numbers.
    ValueError
        If the number of values is neither 1 nor ``n``.

    Warns
    -----
    shredfinder.exceptions.ShredfinderWarning
        If values are missing or negative.
    """
    if ebv is None:
        return None
    if isinstance(ebv, str):
        read = [to_floats(part[ebv], ebv, u.mag).astype(np.float32) for part in parts]
        values = np.concatenate(read) if read else np.empty(0, np.float32)
    else:
        values = to_floats(ebv, "ebv", u.mag).astype(np.float32)
        if values.ndim and values.shape != (n,):
            raise ValueError(
                f"ebv has the shape {values.shape}, but the table has {n} rows: give the name of "
                "a column, one value, or one value per row"
            )
        values = np.broadcast_to(values, n).copy()
    unknown = ~(np.isfinite(values) & (values >= 0))
    if unknown.any():
        warnings.warn(
            f"E(B−V) is missing or negative in {np.count_nonzero(unknown)} of {n} rows: their "
            "images are not corrected for extinction",
            ShredfinderWarning,
            stacklevel=4,
        )
        values[unknown] = 0
    return values


def describe_ebv(ebv: str | ArrayLike | None) -> dict[str, str]:
    """Return what the metadata of scores say of the correction; nothing without one.

    Parameters
    ----------
    ebv : str, float, array_like or None
        From `find_ebv`.

    Returns
    -------
    facts : dict of str
        ``ebv``: ``"column NAME"``, the value, or ``"given"``.
    """
    if ebv is None:
        return {}
    if isinstance(ebv, str):
        return {"ebv": f"column {ebv}"}
    return {"ebv": "given" if np.ndim(ebv) else f"{to_value(ebv, 'ebv', u.mag):g}"}
