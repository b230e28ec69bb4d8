"""Columns in types that a file format can hold, or an error that names the column.

astropy's writers fail late on some types, and change others silently: a masked boolean becomes True
in FITS, a signed byte a boolean, the number 999999 beside masked integers a missing value, and a
list in a VOTable the text of a list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.table import Column, MaskedColumn, Table

from shredfinder._utils.arrow import unused_integer

if TYPE_CHECKING:
    from shredfinder._utils.validation import PathLike

__all__ = ["make_writable"]

_TITLES = {"fits": "FITS", "votable": "VOTable", "hdf5": "HDF5", "parquet": "Parquet"}
# Types that a format lacks, and the smallest that holds all their values.
_WIDER = {
    "fits": {"int8": "int16", "float16": "float32"},
    "votable": {"int8": "int16", "uint16": "int32", "uint32": "int64", "float16": "float32"},
}
# Formats that hold arrays of any length in a row.
_WITH_ARRAYS = ("fits", "votable", "parquet")
_FLAT_ONLY = ("ascii.csv", "csv", "ascii.tab")
_ATTRIBUTES = ("unit", "description", "meta")


def make_writable(table: Table, kind: str, path: PathLike) -> Table:
    """Convert the columns whose type a format cannot hold.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table, which is not changed.
    kind : str
        Name of the format in astropy's registry.
    path : path-like
        The output file, for the error message.

    Returns
    -------
    table : `~astropy.table.Table`
        The table itself, or one with the other columns converted. No value changes: missing
        booleans become missing integers, and dates text.

    Raises
    ------
    ValueError
        If the format cannot hold a column.
    """
    changed = {}
    for name in table.colnames:
        column = table[name]
        # Times and coordinates have their own conversions.
        if not isinstance(column, Column) or column.dtype.names is not None:
            continue
        try:
            new = _convert(column, kind)
        except ValueError as error:
            title = _TITLES.get(kind, kind.removeprefix("ascii.").upper())
            raise ValueError(
                f"cannot write the table to {str(path)!r}: the column {name!r} holds {error}, "
                f"which {title} cannot hold: use the extension of the catalogue, or remove the "
                "column"
            ) from None
        if new is not column:
            for attribute in _ATTRIBUTES:
                setattr(new, attribute, getattr(column, attribute))
            changed[name] = new
    if not changed:
        return table
    table = table.copy(copy_data=False)
    for name, column in changed.items():
        Table.replace_column(table, name, column)
    return table


def _convert(column: Column, kind: str) -> Column:
    values, mask = np.ma.getdata(column), np.ma.getmaskarray(column)
    if values.dtype.kind == "O":
        return _convert_objects(column, kind)
    if values.dtype.kind in "mM":
        mask = mask | np.isnat(values)
        return _make(np.where(mask, "", values.astype(str)), mask)
    if values.ndim > 1 and kind in _FLAT_ONLY:
        raise ValueError(f"arrays of shape {values.shape[1:]}")
    wider = _WIDER.get(kind, {}).get(values.dtype.name)
    if wider is not None:
        values = values.astype(wider)
    elif kind == "votable" and values.dtype.name == "uint64":
        if values.size and values.max() > np.iinfo(np.int64).max:
            raise ValueError(f"integers such as {values.max()}")
        values = values.astype(np.int64)
    elif kind == "fits" and values.dtype.kind == "b" and mask.any():
        # astropy writes no null for booleans.
        values = values.astype(np.int16)
    elif not (kind == "fits" and mask.any() and values.dtype.kind in "iu"):
        return column
    return _make(values, mask)


def _convert_objects(column, kind):
    items = [
        None if missing or _is_missing(item) else item
        for item, missing in zip(np.ma.getdata(column), np.ma.getmaskarray(column), strict=True)
    ]
    given = [item for item in items if item is not None]
    mask = np.array([item is None for item in items], dtype=bool)
    if all(isinstance(item, str) for item in given):
        return _make(np.array(["" if item is None else item for item in items], dtype=str), mask)
    for kinds, dtype in ((bool, bool), (int, np.int64), (float, float)):
        if all(type(item) is kinds for item in given):
            blank = np.nan if dtype is float else 0
            try:
                numbers = np.array([blank if item is None else item for item in items], dtype=dtype)
            except OverflowError:
                raise ValueError("integers of more than 64 bits") from None
            return _convert(_make(numbers, mask), kind)
    first = given[0]
    # ECSV holds them as JSON.
    if kind == "ascii.ecsv" and not any(isinstance(item, bytes) for item in given):
        return column
    if kind in _WITH_ARRAYS and all(isinstance(item, np.ndarray) for item in given):
        return column
    raise ValueError(f"values of the type {type(first).__name__}")


def _is_missing(item):
    return item is None or item is np.ma.masked or type(item).__name__ in ("NAType", "NaTType")


def _make(values: Any, mask: np.ndarray) -> Column:
    if not mask.any():
        return Column(values)
    column = MaskedColumn(values, mask=mask)
    if values.dtype.kind in "iu":
        # The number that stands for a missing value must not be another row's.
        column.fill_value = unused_integer(values[~mask])
    return column
