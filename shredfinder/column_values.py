"""Plain values out of any kind of table column."""

import numpy as np

__all__ = ["get_mask", "get_plain_values", "is_scalar_column"]


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
