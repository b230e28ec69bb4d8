"""Conversion of arguments with units and masks to plain arrays.

Functions of the package accept numbers, arrays, table columns, masked arrays and quantities. They
convert each argument once, here: units are checked and converted, and masked values become NaN.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from astropy.utils.masked import Masked

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shredfinder._utils.validation import ScalarOrArray

__all__ = [
    "has_unit",
    "parse_unit",
    "split_mask",
    "to_bands",
    "to_bits",
    "to_bools",
    "to_floats",
    "to_strings",
    "to_value",
    "verdict",
    "with_unit",
]

# Integers above this are not all representable as floats.
_EXACT_FLOAT = 2**53
_PURE = (u.dimensionless_unscaled,)


# Usual spellings of units that astropy does not recognise, in lower case
_SPELLINGS = {
    spelling: unit
    for unit, spellings in (
        (u.deg, "deg degs degree degrees degr ° deg_j2000 degrees_j2000 decimal_degrees "
                "decimal_degree degrees_east degrees_north degree_east degree_north"),
        (u.rad, "rad rads radian radians"),
        (u.hourangle, "hourangle hourangles hour_angle"),
        (u.hour, "h hr hrs hour hours"),
        (u.arcsec, 'arcsec arcsecs arcsecond arcseconds arc-sec arc_sec asec "'),
        (u.arcmin, "arcmin arcmins arcminute arcminutes arc-min arc_min amin '"),
        (u.mas, "mas milliarcsec milliarcsecond milliarcseconds"),
        (u.mag, "mag mags magnitude magnitudes abmag ab_mag mag_ab mag(ab"),
        (u.Mpc, "mpc megaparsec megaparsecs"),
        (u.kpc, "kpc kiloparsec kiloparsecs"),
        (u.Unit("nanomaggy"), "nanomaggy nanomaggies nanomaggie nmgy"),
    )
    for spelling in spellings.split()
}  # fmt: skip


def parse_unit(unit: Any) -> Any:
    """Return the unit that a usual spelling means, such as ``[deg]``, ``DEGREES`` or ``RADIANS``.

    Parameters
    ----------
    unit : `~astropy.units.Unit` or str
        A unit of a column, which astropy need not recognise.

    Returns
    -------
    unit : `~astropy.units.Unit`
        A unit that can be converted, or the given one if its spelling is unknown.

    Examples
    --------
    >>> from shredfinder._utils.units import parse_unit
    >>> parse_unit("[DEGREES]")
    Unit("deg")
    """
    if isinstance(unit, str):
        unit = u.Unit(unit, parse_strict="silent")
    if not isinstance(unit, u.UnrecognizedUnit):
        return unit
    spelling = str(unit).strip(" []()<>.,;").lower()
    spelling = "_".join(spelling.replace("(", " ").split())
    return _SPELLINGS.get(spelling, unit)


def split_mask(value: Any) -> tuple[Any, np.ndarray | None]:
    """Split a value into its data and its mask (None if there is none).

    Parameters
    ----------
    value : array_like
        Such as a masked array of NumPy, a masked column, or astropy's ``Masked``.

    Returns
    -------
    data : array_like
        The value itself if it has no mask.
    mask : `~numpy.ndarray` of bool or None
        True where masked.
    """
    if isinstance(value, Masked):
        return value.unmasked, np.asarray(value.mask)
    if isinstance(value, np.ma.MaskedArray):
        return np.ma.getdata(value), np.ma.getmaskarray(value)
    return value, None


def _unit_names(units):
    return " or ".join(unit.to_string() or "no unit" for unit in units)


def _factor(value: Any, name: str, units: Sequence[u.UnitBase]) -> float:
    """Return the factor that converts the numbers of `value` to ``units[0]``."""
    unit = getattr(value, "unit", None)
    if unit is None:
        return 1.0
    unit = parse_unit(unit)
    # An empty unit means "no unit" for a column, but "dimensionless" for a Quantity.
    if unit == u.dimensionless_unscaled and not isinstance(value, u.Quantity):
        return 1.0
    if isinstance(unit, u.MagUnit):  # such as mag(AB)
        unit = unit.function_unit
    # Units that astropy does not recognise can be equal, but not converted.
    for wanted in units:
        if unit == wanted:
            return 1.0
        if not isinstance(unit, u.UnrecognizedUnit) and unit.is_equivalent(wanted):
            # A factor suffices, since only linear units are accepted.
            return unit.to(wanted)
    raise u.UnitsError(
        f"{name} must be in {_unit_names(units)}, or in a convertible unit: "
        f"got {unit.to_string() or 'a dimensionless quantity'!r}"
    )


def has_unit(*values: Any) -> bool:
    """Return whether any of the values is a Quantity."""
    return any(isinstance(value, u.Quantity) for value in values)


def with_unit(result: np.ndarray, unit: u.UnitBase, *inputs: Any) -> ScalarOrArray:
    """Attach a unit to a result if any input is a Quantity; convert 0-d arrays to floats."""
    if has_unit(*inputs):
        return u.Quantity(result, unit)
    return result if np.ndim(result) else float(result)


def verdict(mask: np.ndarray) -> ScalarOrArray:
    """Convert a 0-d boolean array to a bool; return other arrays unchanged."""
    return mask if np.ndim(mask) else bool(mask)


def to_floats(value: Any, name: str, *units: u.UnitBase) -> np.ndarray:
    """Convert an argument to an array of floats in a given unit.

    Parameters
    ----------
    value : float, array_like, `~astropy.table.Column`, `~numpy.ma.MaskedArray` or Quantity
        Numbers of any shape. Numbers without a unit are in the first of `units`.
    name : str
        The argument's name, for error messages.
    *units : `~astropy.units.Unit`
        The unit of the result, then units that are accepted without conversion. By default the
        result is dimensionless.

    Returns
    -------
    array : `~numpy.ndarray`
        Floats (float64) of the same shape, with NaN where `value` is masked.

    Raises
    ------
    TypeError
        If `value` is not numeric.
    astropy.units.UnitsError
        If `value` has a unit that cannot be converted.
    """
    data, mask = split_mask(value)
    factor = _factor(value, name, units or _PURE)
    # The numbers in the value's own unit; `factor` converts them.
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
    # `array` is always a copy, so that the caller's data stay unchanged.
    if mask is not None:
        array[mask] = np.nan
    return array


def _describe(value):
    dtype = getattr(value, "dtype", None)
    return f"an array of {dtype}" if dtype is not None else repr(value)[:60]


def to_bits(value: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Convert bit flags to integers, and return which are valid.

    Parameters
    ----------
    value : int, array_like or masked array
        Flags. Whole numbers stored as floats are accepted, because some readers convert integer
        columns with missing entries to floats.
    name : str
        The argument's name, for error messages.

    Returns
    -------
    bits : `~numpy.ndarray`
        The flags as int64; 0 where invalid.
    known : `~numpy.ndarray`
        False where the flag is masked or not finite.

    Raises
    ------
    TypeError
        If `value` has numbers that are not whole.
    """
    data, mask = split_mask(value)
    array = np.asarray(data)
    if array.dtype.kind in "bi":
        known = np.ones(array.shape, dtype=bool)
        bits = array.astype(np.int64)
    elif array.dtype.kind == "u":
        known = np.ones(array.shape, dtype=bool)
        # The view keeps all 64 bits; the highest becomes the sign.
        bits = array.astype(np.uint64).view(np.int64)
    else:
        floats = to_floats(value, name)
        known = np.isfinite(floats)
        whole = np.where(known, floats, 0.0)
        if np.any(whole != np.rint(whole)) or np.any(np.abs(whole) > _EXACT_FLOAT):
            raise TypeError(
                f"{name} must be bit flags, that is whole numbers: got {_describe(value)} with "
                "fractions or with numbers too large for exact floats; read them as 64-bit integers"
            )
        bits = whole.astype(np.int64)
    if mask is not None:
        known &= ~mask
    return np.where(known, bits, 0), known


def to_bools(value: Any, name: str) -> np.ndarray:
    """Convert booleans in any spelling to an array, False where masked.

    Parameters
    ----------
    value : bool, array_like or masked array
        Booleans of any shape; the numbers 0 and 1; or text in any case, ``true``, ``t`` or ``1``
        and ``false``, ``f`` or ``0``, as CSV files contain it.
    name : str
        The argument's name, for error messages.

    Returns
    -------
    bools : `~numpy.ndarray` of bool
        Booleans of the same shape.

    Raises
    ------
    TypeError
        If `value` contains anything else.
    """
    data, mask = split_mask(value)
    array = np.asarray(data)
    known = np.ones(array.shape, bool) if mask is None else ~mask
    if array.dtype.kind == "b":
        return array & known
    if array.dtype.kind in "iuf":
        known = known & ~np.isnan(array)
        true, false = array == 1, array == 0
    else:
        # An object column mixes booleans, text and None.
        items = [item if isinstance(item, bytes) else str(item) for item in array.ravel().tolist()]
        text = np.char.lower(to_strings(np.array(items, dtype=object), name)).reshape(array.shape)
        known = known & ~np.isin(text, ("", "none", "nan"))
        true, false = np.isin(text, ("true", "t", "1")), np.isin(text, ("false", "f", "0"))
    wrong = known & ~true & ~false
    if np.any(wrong):
        raise TypeError(f"{name} must be true or false: got {array[wrong].tolist()[0]!r}")
    return true & known


def to_strings(value: Any, name: str) -> np.ndarray:
    """Convert strings or bytes to stripped strings, empty where masked.

    Parameters
    ----------
    value : str, bytes, array_like or masked array
        Text of any shape, padded with blanks or not. Numbers that are all masked or NaN count as
        empty text.
    name : str
        The argument's name, for error messages.

    Returns
    -------
    strings : `~numpy.ndarray`
        Strings of the same shape.

    Raises
    ------
    TypeError
        If `value` is not text.
    """
    data, mask = split_mask(value)
    array = np.asarray(data)
    if array.dtype.kind == "O":
        flat = ["" if item is None else _text(item, name) for item in array.ravel()]
        array = np.array(flat, dtype=str).reshape(array.shape)
    elif array.dtype.kind == "S":
        # FITS strings are bytes.
        array = np.char.decode(array, "ascii", "replace")
    elif array.dtype.kind != "U":
        # Readers of CSV files take an empty column for numbers, all masked or NaN.
        known = np.ones(array.shape, bool) if mask is None else ~mask
        if array.dtype.kind == "f":
            known &= ~np.isnan(array)
        if known.any():
            raise TypeError(f"{name} must be text: got {_describe(value)}")
        array = np.full(array.shape, "")
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


def to_bands(
    value: Any, name: str, bands: Sequence[str], convert: Callable[..., np.ndarray], *args: Any
) -> np.ndarray:
    """Convert a per-band argument to an array whose last axis runs over the bands.

    Parameters
    ----------
    value : dict or array_like of shape (..., n_bands)
        A mapping from band to values of any shape, or one array in the order of ``bands``.
    name : str
        The argument's name, for error messages.
    bands : sequence of str
        The bands, in order.
    convert : callable
        A function such as `to_floats`, called with the values, the argument's name and `args`.
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
        If the length of the array's last axis is not that of ``bands``.
    """
    if hasattr(value, "keys"):
        missing = [band for band in bands if band not in value]
        if missing:
            raise TypeError(
                f"{name} lacks band {', '.join(missing)}: it has {', '.join(map(str, value))}, "
                f"but needs {', '.join(bands)}"
            )
        columns = [convert(value[band], f"{name}[{band!r}]", *args) for band in bands]
        return np.stack(np.broadcast_arrays(*columns), axis=-1)
    array = convert(value, name, *args)
    if array.ndim == 0 or array.shape[-1] != len(bands):
        raise ValueError(
            f"{name} must have {len(bands)} values, one for each of {', '.join(bands)}, on its "
            f"last axis: got shape {array.shape}; or pass a mapping from band to values"
        )
    return array


def to_value(value: Any, name: str, unit: u.UnitBase) -> float:
    """Convert a Quantity or a number to a float in a given unit.

    Parameters
    ----------
    value : float or `~astropy.units.Quantity`
        A single number; plain numbers are in `unit`.
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
        As for `to_floats`, and if `value` is not a scalar.
    """
    array = to_floats(value, name, unit)
    if array.ndim:
        raise TypeError(f"{name} must be a single value: got shape {array.shape}")
    return array.item()
