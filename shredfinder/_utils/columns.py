"""Plain values out of any kind of table column."""

import numpy as np
from astropy.table import MaskedColumn

__all__ = ["column_from_arrow", "get_mask", "get_plain_values", "is_scalar_column"]


def is_scalar_column(column):
    """Tell whether a column holds one number or string a row, with or without a unit.

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


def get_mask(column):
    """Get the rows of a column that are masked.

    Parameters
    ----------
    column : column-like
        A column of a table, of shape ``(n,)``.

    Returns
    -------
    mask : `~numpy.ndarray` of bool
        True where masked, of shape ``(n,)``.
    """
    return np.broadcast_to(np.asarray(getattr(column, "mask", False), dtype=bool), column.shape)


def get_plain_values(column):
    """Strip a scalar column of mask and unit, without copying.

    Parameters
    ----------
    column : column-like
        A column for which `is_scalar_column` holds.

    Returns
    -------
    values : `~numpy.ndarray`
        Its values, of shape ``(n,)``; meaningless where masked.
    """
    # Masked quantities keep their data in `unmasked`, masked columns in `data`.
    column = getattr(column, "unmasked", column)
    return np.asarray(np.ma.getdata(column)).view(np.ndarray)


def column_from_arrow(values):
    """Make a column of Arrow's values, exact numbers in rows beside nulls included.

    Parameters
    ----------
    values : pyarrow.Array or pyarrow.ChunkedArray
        Values of shape ``(n,)``.

    Returns
    -------
    column : `~astropy.table.MaskedColumn`
        Numbers and booleans of their own type; all else as Python objects, text as `str`. Nulls
        are masked.
    """
    import pyarrow as pa

    mask = values.is_null().to_numpy(zero_copy_only=False)
    kind = values.type
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    if not is_number:
        data = np.empty(len(values), dtype=object)
        data[:] = ["" if value is None else value for value in values.to_pylist()]
    else:
        data = (values.fill_null(False if pa.types.is_boolean(kind) else 0)).to_numpy(
            zero_copy_only=False
        )
    return MaskedColumn(data, mask=mask)
