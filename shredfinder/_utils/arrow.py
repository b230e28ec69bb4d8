"""Arrow values as columns of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.table import Column, MaskedColumn

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["column_from_arrow", "unused_integer"]

# Decimal digits that every double keeps.
_FLOAT_DIGITS = 15


def column_from_arrow(values: pa.Array | pa.ChunkedArray) -> Column:
    """Convert Arrow values to a column, without changing any value.

    Parameters
    ----------
    values : pyarrow.Array or pyarrow.ChunkedArray
        Values of shape ``(n,)``.

    Returns
    -------
    column : `~astropy.table.Column`
        A `~astropy.table.MaskedColumn` if there are nulls.

    Notes
    -----
    Integers stay exact beside nulls. Half precision becomes single precision, categories their
    values, durations integers with a unit, and dates and times ISO 8601 text (UTC with a ``Z``
    where there is a time zone). Decimals become integers if they have no fraction, otherwise
    floats, and text where a number of 64 bits would lose digits. Text and bytes of UTF-8 become
    `str`. Lists of one length become rows of numbers, and other nested types Python objects.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from shredfinder._utils.arrow import column_from_arrow
    >>> column_from_arrow(pa.array([None, 1237661068180127885])).tolist()
    [None, 1237661068180127885]
    """
    import pyarrow as pa

    values = _decode(values)
    kind, types = values.type, pa.types
    # Nulls within a dictionary appear only after decoding.
    mask = values.is_null().to_numpy(zero_copy_only=False)
    unit = None
    if types.is_duration(kind):
        unit, values = kind.unit, values.cast(pa.int64())
        kind = values.type
    if types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind):
        data = _numbers(values)
    elif types.is_decimal(kind):
        data = _decimals(values, mask)
    elif types.is_fixed_size_list(kind) and types.is_primitive(kind.value_type):
        data, mask = _rows(values, mask)
    elif types.is_temporal(kind):
        data = _fill(_times(values), "")
    elif _is_bytes(kind):
        data = _texts_of_bytes(values.to_pylist())
    else:
        # Text has no NumPy type whose size does not depend on the longest value.
        data = _fill(values.to_pylist(), None if types.is_nested(kind) else "")
    if not mask.any():
        return Column(data, unit=unit)
    column = MaskedColumn(data, mask=mask, unit=unit)
    if data.dtype.kind in "iu":
        column.fill_value = unused_integer(data[~mask])
    return column


def _decode(values: Any) -> Any:
    """Return plain values of dictionaries, of extension types, and of half precision."""
    import pyarrow as pa

    while True:
        kind = values.type
        if isinstance(kind, pa.BaseExtensionType):
            if getattr(kind, "extension_name", "") == "arrow.uuid":
                texts = [None if item is None else str(item) for item in values.to_pylist()]
                return pa.array(texts, pa.string())
            chunks = getattr(values, "chunks", None)
            stored = [part.storage for part in ([values] if chunks is None else chunks)]
            values = pa.chunked_array(stored, type=kind.storage_type)
        elif pa.types.is_dictionary(kind):
            values = values.cast(kind.value_type)
        elif pa.types.is_float16(kind):
            # FITS and VOTable have no half precision.
            return values.cast(pa.float32())
        else:
            return values


def _numbers(values):
    # pyarrow converts integers beside nulls to floats, so the nulls are filled first.
    filled = values.fill_null(_blank(values.type))
    return filled.to_numpy(zero_copy_only=False)


def _blank(kind):
    import pyarrow as pa

    if pa.types.is_boolean(kind):
        return False
    return float("nan") if pa.types.is_floating(kind) else 0


def _decimals(values, mask):
    """Return decimals as the numbers, or else the text, that keep all their digits."""
    kind = values.type
    items = values.to_pylist()
    # Identifiers of databases are often decimals without a fraction.
    if kind.scale <= 0:
        whole = [0 if item is None else int(item) for item in items]
        for dtype in (np.int64, np.uint64):
            limits = np.iinfo(dtype)
            if all(limits.min <= item <= limits.max for item in whole):
                return np.array(whole, dtype=dtype)
    elif kind.precision <= _FLOAT_DIGITS:
        return np.array([np.nan if item is None else float(item) for item in items])
    return _fill([None if item is None else format(item, "f") for item in items], "")


def _times(values):
    import pyarrow as pa

    kind = values.type
    zone = getattr(kind, "tz", None)
    if zone is not None:
        # Arrow stores UTC beside the name of the zone.
        values = values.cast(pa.timestamp(kind.unit))
    texts = values.cast(pa.string()).to_pylist()
    end = "" if zone is None else "Z"
    return [None if text is None else text.replace(" ", "T") + end for text in texts]


def _rows(values, mask):
    """Return lists of one length as an array of shape ``(n, length)``, and its mask."""
    import pyarrow as pa

    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    kind = values.type
    flat = _decode(values.flatten())  # without the lists that are null
    data = np.zeros((len(values), kind.list_size), dtype=_numbers(flat[:0]).dtype)
    nulls = np.repeat(mask[:, np.newaxis], kind.list_size, axis=1)
    data[~mask] = _numbers(flat).reshape(-1, kind.list_size)
    nulls[~mask] = flat.is_null().to_numpy(zero_copy_only=False).reshape(-1, kind.list_size)
    return data, nulls


def _is_bytes(kind):
    # By name, since older versions of pyarrow do not know views.
    name = str(kind).partition("[")[0]
    return name in ("binary", "large_binary", "binary_view", "fixed_size_binary")


def _texts_of_bytes(items):
    try:
        texts = [None if item is None else item.decode("utf-8") for item in items]
    except UnicodeDecodeError:
        return _fill(items, b"")
    # NumPy drops zeros at the end.
    if any(text is not None and "\0" in text for text in texts):
        return _fill(items, b"")
    return _fill(texts, "")


def _fill(items, blank):
    data = np.empty(len(items), dtype=object)
    # Assigning a list to `data[:]` keeps the array one-dimensional, except for lists of one length.
    for row, item in enumerate(items):
        data[row] = blank if item is None else item
    return data


def unused_integer(values: np.ndarray) -> int:
    """Return an integer that no row has: FITS and VOTable mark nulls by a number.

    Parameters
    ----------
    values : `~numpy.ndarray`
        Integers of any shape.

    Returns
    -------
    unused : int
        A value of their type.
    """
    limits = np.iinfo(values.dtype)
    # FITS stores unsigned integers as signed ones, where the largest is not read back.
    candidates = (limits.min, limits.max if limits.min else limits.max // 2)
    for value in candidates:
        if not (values == value).any():
            return int(value)
    # The smallest gap between used values; small types may have none.
    used = np.unique(values)
    gaps = np.flatnonzero(np.diff(used.astype(float)) > 1)
    return int(used[gaps[0]]) + 1 if len(gaps) else int(limits.min)
