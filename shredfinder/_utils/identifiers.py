"""Identifiers that stay exact: text that numbers would change, and numbers that lost digits."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.table import MaskedColumn, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["check_digits", "keep_texts", "read_csv", "to_identifiers"]

# Digits that every double keeps
_FLOAT_DIGITS = 15
# Programs write exponents with a sign or a decimal point, identifiers such as 12E4 without.
_EXPONENT = re.compile(r"\d+[eE]\d+")

# What Excel makes of identifiers of many digits
_LOST = re.compile(r"\d(\.\d*)?[eE]\+(1[5-9]|[2-9]\d)")


def read_csv(source: Any, **options: Any) -> Table:
    """Read a CSV file with astropy, and keep identifiers as text; the reader of `ShredTable.read`.

    Parameters
    ----------
    source : path-like, file object, str or list of str
        As for astropy's reader.
    **options
        Arguments of astropy's reader, such as ``format``.

    Returns
    -------
    table : `~astropy.table.Table`
        The rows; see `keep_texts`.
    """
    kind = options.pop("format", "ascii.csv")
    if hasattr(source, "read"):
        content = source.read()
        # Excel begins CSV files with a byte-order mark.
        content = content.decode("utf-8-sig") if isinstance(content, bytes) else content
        # astropy takes text without a line break for a file name.
        source = content.splitlines(keepends=True)

    def read(**more):
        return Table.read(source, format=kind, **(options | more))

    table = read()
    keep_texts(table, lambda names, converters: read(include_names=names, converters=converters))
    return table


def keep_texts(
    table: Table,
    read_texts: Callable[[list[str], dict[str, Any]], Table],
    exact: Iterable[str] = (),
) -> None:
    """Turn columns of numbers that would not print their identifiers exactly back into text.

    These are integers with leading zeros, signs or spaces, whole numbers of more digits than a
    float keeps, hexadecimal numbers, and digits with an exponent, such as ``12E4``. As numbers,
    they would change, and a row might get the image of another.

    Parameters
    ----------
    table : `~astropy.table.Table`
        A table as read from text, changed in place.
    read_texts : callable
        Reads columns again, given their names and the converters that keep them as text.
    exact : iterable of str, optional
        Columns, in any case, that name files: they stay text if any number prints differently.
    """
    from astropy.io import ascii as astropy_ascii

    numeric = [name for name in table.colnames if table[name].dtype.kind in "iuf"]
    if not numeric or not len(table):
        return
    converters = {name: [astropy_ascii.convert_numpy(str)] for name in numeric}
    texts = read_texts(numeric, converters)
    exact = {name.lower() for name in exact}
    for name in numeric:
        text = np.char.strip(np.ma.filled(texts[name].astype(str), ""))
        # A masked value has no text.
        shown = np.ma.getmaskarray(np.ma.asarray(texts[name])) | (text == "")
        if _is_changed(table[name], text[~shown], ~shown, name.lower() in exact):
            Table.replace_column(table, name, texts[name])


def _is_changed(column, text, given, exact):
    """Return whether any number is not what its text identifies."""
    numbers = np.ma.getdata(column)[given]
    if exact and any(map(_LOST.fullmatch, text)):
        # They stay numbers, which check_digits refuses as names of files.
        return False
    if numbers.dtype.kind != "f" or exact:
        return bool((text != numbers.astype(str)).any())
    bare = np.char.lstrip(text, "+-")
    digits = np.char.isdigit(bare)
    n_digits = np.char.str_len(bare)
    zeros = np.char.startswith(bare, "0") & (n_digits > 1)
    if (digits & ((n_digits > _FLOAT_DIGITS) | zeros)).any():
        return True
    lowered = np.char.lower(bare)
    if (np.char.find(lowered, "x") >= 0).any():
        return True
    # A number too large for a float is infinite.
    if (np.isinf(numbers) & ~np.char.startswith(lowered, "inf")).any():
        return True
    if digits.all() or not (np.char.find(lowered, "e") > 0).any():
        return False
    return all(
        is_digits or _EXPONENT.fullmatch(value)
        for value, is_digits in zip(text, digits, strict=True)
    )


def check_digits(values: Any, name: str) -> None:
    """Raise ValueError if identifiers are floats too large for all their digits.

    Parameters
    ----------
    values : array_like
        Values of a column, of shape ``(n,)``.
    name : str
        The column's name.
    """
    data = np.ma.getdata(values)
    if data.dtype.kind != "f":
        return
    # Integers up to 2**53 are exact in double precision.
    limit = 2.0 ** (np.finfo(data.dtype).nmant + 1)
    found = np.ma.filled(np.ma.masked_array(values), np.nan)
    with np.errstate(invalid="ignore"):
        lost = found[np.isfinite(found) & (np.abs(found) > limit)]
    if len(lost):
        raise ValueError(
            f"the column {name!r} holds floats such as {lost[0]!s}, which have lost digits of the "
            "identifiers, so that a source could get another's image: read or write them as "
            "integers or text"
        )


def to_identifiers(values: Any, name: str) -> Any:
    """Convert the identifiers of a survey to integers, or else leave them as text.

    Parameters
    ----------
    values : column-like
        A column of shape ``(n,)``.
    name : str
        Its name, for error messages.

    Returns
    -------
    identifiers : `~numpy.ndarray` or `~astropy.table.MaskedColumn`
        64-bit integers, masked where they are missing, also if there are no rows; text if any
        value is not a plain integer.

    Raises
    ------
    ValueError
        If they are floats that have lost digits.
    """
    if not len(values):
        return np.zeros(0, dtype=np.int64)
    data = np.ma.getdata(values)
    mask = np.array(np.ma.getmaskarray(np.ma.asarray(values)))
    if data.dtype.kind == "f":
        check_digits(values, name)
        mask |= ~np.isfinite(data)
        whole = np.where(mask, 0, data)
        if (whole != np.rint(whole)).any():
            return values
        data = whole
    elif data.dtype.kind in "SUO":
        texts = [_to_text(value) for value in data]
        mask |= np.array([text == "" for text in texts])
        given = [text for text, is_missing in zip(texts, mask, strict=True) if not is_missing]
        if not given or not all(_is_integer(text) for text in given):
            return values
        data = np.array([0 if no else int(text) for text, no in zip(texts, mask, strict=True)])
    elif data.dtype.kind == "u" and (data > np.iinfo(np.int64).max).any():
        return values
    numbers = np.asarray(data).astype(np.int64)
    return MaskedColumn(numbers, mask=mask) if mask.any() else numbers


def _to_text(value):
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    return "" if value is None else str(value).strip()


def _is_integer(text: str) -> bool:
    """Return whether text is a 64-bit integer as Python prints it."""
    if not text.lstrip("-").isdecimal():
        return False
    number = int(text)
    return str(number) == text and abs(number) <= np.iinfo(np.int64).max
