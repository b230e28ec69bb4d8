"""The one gate through which values with units, masks and missing entries become plain arrays.

Functions of the package take numbers, arrays, table columns, masked arrays and quantities. Each
argument passes here once: its unit is checked and converted, and what is masked becomes NaN.
"""

import numpy as np
from astropy import units as u
from astropy.utils.masked import Masked

__all__ = [
    "has_unit",
    "to_bands",
    "to_bits",
    "to_floats",
    "to_strings",
    "to_value",
    "verdict",
    "with_unit",
]

# Integers above this are not all representable as floats.
_EXACT_FLOAT = 2**53
_PURE = (u.dimensionless_unscaled,)


def _split(value):
    """Separate a value's data from its mask: an array (or scalar) and a mask or None."""
    if isinstance(value, Masked):
        return value.unmasked, np.asarray(value.mask)
    if isinstance(value, np.ma.MaskedArray):
        return np.ma.getdata(value), np.ma.getmaskarray(value)
    return value, None


def _unit_names(units):
    return " or ".join(unit.to_string() or "no unit" for unit in units)


def _factor(value, name, units):
    """Return what to multiply the numbers of `value` with so that they are in ``units[0]``."""
    unit = getattr(value, "unit", None)
    if unit is None:
        return 1.0
    if isinstance(unit, str):
        unit = u.Unit(unit, parse_strict="silent")
    # A column without a unit may say so by an empty one; a bare Quantity says it is a pure number.
    if unit == u.dimensionless_unscaled and not isinstance(value, u.Quantity):
        return 1.0
    if isinstance(unit, u.MagUnit):  # such as mag(AB)
        unit = unit.function_unit
    for wanted in units:
        if unit == wanted:
            return 1.0
        if not isinstance(unit, u.UnrecognizedUnit) and unit.is_equivalent(wanted):
            return unit.to(wanted)
    raise u.UnitsError(
        f"{name} must be in {_unit_names(units)}, or in a unit that converts to it: "
        f"got {unit.to_string() or 'a dimensionless quantity'!r}"
    )


def has_unit(*values):
    """Tell whether any of the values is a Quantity."""
    return any(isinstance(value, u.Quantity) for value in values)


def with_unit(result, unit, *inputs):
    """Put a unit back on a result if any of the inputs carried one; make 0-d arrays scalars."""
    if has_unit(*inputs):
        return u.Quantity(result, unit)
    return result if np.ndim(result) else float(result)


def verdict(mask):
    """Return a boolean array as it is, and a 0-d one as a plain bool."""
    return mask if np.ndim(mask) else bool(mask)


def to_floats(value, name, *units):
    """Turn an argument into an array of floats in a given unit.

    Parameters
    ----------
    value : float, array_like, `~astropy.table.Column`, `~numpy.ma.MaskedArray` or Quantity
        Numbers of any shape. What has no unit is taken to be in the first of `units`.
    name : str
        The argument's name, for error messages.
    *units : `~astropy.units.Unit`
        The unit that numbers are returned in, then others that are as good without conversion.
        None at all stands for pure numbers.

    Returns
    -------
    array : `~numpy.ndarray`
        Floats (float64) of the same shape, with NaN where `value` is masked.

    Raises
    ------
    TypeError
        If `value` does not hold real numbers.
    astropy.units.UnitsError
        If `value` has a unit of another kind.
    """
    data, mask = _split(value)
    factor = _factor(value, name, units or _PURE)
    raw = data.value if isinstance(data, u.Quantity) else data
    try:
        raw = np.asarray(raw)
        if raw.dtype.kind not in "biufO" or value is None:
            raise TypeError
        array = np.array(raw, dtype=float)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be real numbers: got {_describe(value)}") from None
    if factor != 1.0:
        array *= factor
    if mask is not None:
        array[mask] = np.nan
    return array


def _describe(value):
    dtype = getattr(value, "dtype", None)
    return f"an array of {dtype}" if dtype is not None else repr(value)[:60]


def to_bits(value, name):
    """Turn bit flags into integers, and say which are there.

    Parameters
    ----------
    value : int, array_like or masked array
        Flags. Floats are accepted where they hold whole numbers, as files read with missing
        entries do.
    name : str
        The argument's name, for error messages.

    Returns
    -------
    bits : `~numpy.ndarray`
        The flags as int64, 0 where there are none.
    known : `~numpy.ndarray`
        False where the flag is masked or not finite.

    Raises
    ------
    TypeError
        If `value` does not hold whole numbers.
    """
    data, mask = _split(value)
    array = np.asarray(data)
    if array.dtype.kind in "bi":
        known = np.ones(array.shape, dtype=bool)
        bits = array.astype(np.int64)
    elif array.dtype.kind == "u":
        known = np.ones(array.shape, dtype=bool)
        # Keeps all 64 bits; the highest becomes the sign.
        bits = array.astype(np.uint64).view(np.int64)
    else:
        floats = to_floats(value, name)
        known = np.isfinite(floats)
        whole = np.where(known, floats, 0.0)
        if np.any(whole != np.rint(whole)) or np.any(np.abs(whole) > _EXACT_FLOAT):
            raise TypeError(
                f"{name} must be whole numbers, as bit flags are: got {_describe(value)} with "
                "fractions, or too large to be exact as floats; read them as 64-bit integers"
            )
        bits = whole.astype(np.int64)
    if mask is not None:
        known &= ~mask
    return np.where(known, bits, 0), known


def to_strings(value, name):
    """Turn strings or bytes into stripped strings, empty where masked.

    Parameters
    ----------
    value : str, bytes, array_like or masked array
        Text of any shape, padded with blanks or not.
    name : str
        The argument's name, for error messages.

    Returns
    -------
    strings : `~numpy.ndarray`
        Strings of the same shape.

    Raises
    ------
    TypeError
        If `value` does not hold text.
    """
    data, mask = _split(value)
    array = np.asarray(data)
    if array.dtype.kind == "O":
        flat = ["" if item is None else _text(item, name) for item in array.ravel()]
        array = np.array(flat, dtype=str).reshape(array.shape)
    elif array.dtype.kind == "S":
        array = np.char.decode(array, "ascii", "replace")
    elif array.dtype.kind == "U":
        array = np.asarray(array)
    elif array.size == 0:
        array = array.astype(str)
    else:
        raise TypeError(f"{name} must be text: got {_describe(value)}")
    array = np.asarray(np.char.strip(array))
    if mask is not None:
        array = np.where(mask, "", array)
    return array


def _text(item, name):
    if isinstance(item, bytes):
        return item.decode("ascii", "replace")
    if isinstance(item, str):
        return item
    if isinstance(item, float) and np.isnan(item):
        return ""
    if item is np.ma.masked:
        return ""
    raise TypeError(f"{name} must be text: got {item!r}")


def to_bands(value, name, bands, convert, *args):
    """Turn a per-band argument into one array whose last axis runs over the bands.

    Parameters
    ----------
    value : dict or array_like of shape (..., n_bands)
        A mapping from band to values of any shape, or one array in the order of ``bands``.
    name : str
        The argument's name, for error messages.
    bands : sequence of str
        The bands, in order.
    convert : callable
        `to_floats`, which is called with the values, the argument's name and `args`.
    *args
        Further arguments of `convert`.

    Returns
    -------
    array : `~numpy.ndarray` of shape (..., n_bands)
        The values.

    Raises
    ------
    TypeError
        If a band is missing from the mapping.
    ValueError
        If the array's last axis is not as long as ``bands``.
    """
    if hasattr(value, "keys"):
        missing = [band for band in bands if band not in value]
        if missing:
            raise TypeError(
                f"{name} lacks band {', '.join(missing)}: it has {', '.join(map(str, value))}, "
                f"and {', '.join(bands)} are needed"
            )
        columns = [convert(value[band], f"{name}[{band!r}]", *args) for band in bands]
        return np.stack(np.broadcast_arrays(*columns), axis=-1)
    array = convert(value, name, *args)
    if array.ndim == 0 or array.shape[-1] != len(bands):
        raise ValueError(
            f"{name} must have {len(bands)} values, one for each of {', '.join(bands)}, on its "
            f"last axis: got shape {array.shape}; a mapping from band to values will do too"
        )
    return array


def to_value(value, name, unit):
    """Turn a Quantity or a plain number into one float in a given unit.

    Parameters
    ----------
    value : float or `~astropy.units.Quantity`
        One number; plain ones are taken to be in `unit`.
    name : str
        The argument's name, for error messages.
    unit : `~astropy.units.Unit`
        The unit of the result.

    Returns
    -------
    number : float
        The value in that unit.

    Raises
    ------
    TypeError, astropy.units.UnitsError
        As `to_floats`, and if `value` is not a scalar.
    """
    array = to_floats(value, name, unit)
    if array.ndim:
        raise TypeError(f"{name} must be a single value: got shape {array.shape}")
    return array.item()
