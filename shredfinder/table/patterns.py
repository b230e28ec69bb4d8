"""Image file names that are formatted from the columns of a table."""

from __future__ import annotations

import difflib
import string
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shredfinder._utils.columns import as_table, get_mask, get_plain_values, is_scalar_column
from shredfinder._utils.files import check_no_address
from shredfinder._utils.identifiers import check_digits
from shredfinder.exceptions import ShredfinderWarning

if TYPE_CHECKING:
    from collections.abc import Iterable

    from astropy.table import Table

    from shredfinder._utils.validation import PathLike

__all__ = ["PatternFiles", "find_image_files", "list_exact_names", "warn_of_names"]

# Values with one of these could leave the folder, or are not file names.
_SEPARATORS = ("/", "\\", "\0")
_LISTED_COLUMNS = 20
# As of the commands, which have it in cli/cutout_arguments.py without importing this module.
DEFAULT_PATTERN = "{objID}.png"


class PatternFiles(Sequence):
    """Paths of the image files of rows, formatted on demand.

    Nothing is stored per row, so that memory does not grow with the table.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table.
    folder : path-like
        Folder of the files.
    pattern : str or None, optional
        Name of each row's file within the folder, with columns in braces, by default
        ``"{objID}.png"``. Case is ignored in names of columns, unless several differ in nothing
        else. A colon precedes a format specification: ``"{objID:020d}.png"``. The name may contain
        subfolders.

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        If the folder does not exist.
    ValueError
        If the pattern names no column or an unknown one, leaves the folder, or has a format that
        does not fit a column's values.

    Attributes
    ----------
    names : tuple of str
        Columns in the pattern.

    Notes
    -----
    An item is a `str`, or None if a value of the row is masked, empty, not finite, or would leave
    the folder.
    """

    def __init__(self, table, folder, pattern=None):
        self.folder = _check_folder(folder)
        self.pattern = DEFAULT_PATTERN if pattern is None else pattern
        self._parts = _parse_pattern(self.pattern, table.colnames)
        # Number of folders and file name that a valid name has; see _make_name.
        self._n_levels = len(Path(_make_example(self._parts)).parts)
        found = dict.fromkeys(name for _, name, _ in self._parts if name is not None)
        self.names = tuple(found)
        self._columns = {name: _open_column(table, name) for name in self.names}
        self._n_rows = len(table)
        if self._n_rows:
            self._check_formats()

    def __len__(self):
        return self._n_rows

    def __getitem__(self, item):
        # A range handles negative indices, slices and bounds as a list does.
        rows = range(self._n_rows)[item]
        if isinstance(rows, range):
            return [self._make_path(row) for row in rows]
        return self._make_path(rows)

    def _check_formats(self):
        # A format that does not fit a column's type fails in every row, so it is tried once.
        for _, name, spec in self._parts:
            if not spec:
                continue
            values, mask = self._columns[name]
            for row in np.flatnonzero(~mask)[:1]:
                _format_value(_to_python(values[row]), name, spec)

    def _make_path(self, row):
        name = self._make_name(row)
        return None if name is None else str(self.folder / name)

    def _make_name(self, row):
        pieces = []
        for literal, column, spec in self._parts:
            pieces.append(literal)
            if column is None:
                continue
            values, mask = self._columns[column]
            value = None if mask[row] else _to_python(values[row])
            if value is None:
                return None
            try:
                text = _format_value(value, column, spec)
            except ValueError:  # an odd value affects only its own row
                return None
            if not text or any(separator in text for separator in _SEPARATORS):
                return None
            pieces.append(text)
        name = "".join(pieces)
        # A value of "." would vanish from the path, and the row would get the file of another.
        is_whole = len(Path(name).parts) == self._n_levels
        return name if is_whole and _stays_inside(name) else None


def find_image_files(
    table: Table, folder: PathLike, pattern: str | None = None
) -> list[str | None]:
    """Return the path of each row's image file.

    Parameters
    ----------
    table : `~astropy.table.Table`, `pandas.DataFrame` or structured array
        Table of ``n`` rows.
    folder : path-like
        Folder of the files.
    pattern : str, optional
        Name of each row's file within the folder, with columns in braces, by default
        ``"{objID}.png"``. Case is ignored in names of columns, unless several differ in nothing
        else.

    Returns
    -------
    paths : list of str or None
        One path per row, whether or not the file exists; None if the row's values give no valid
        file name.

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        If the folder does not exist.
    ValueError
        If the pattern names no column or an unknown one, leaves the folder, or has a format that
        does not fit a column's values.

    Examples
    --------
    >>> from pathlib import Path
    >>> from astropy.table import Table
    >>> from shredfinder.table import find_image_files
    >>> table = Table({"objID": [1237646587169407341, 7], "field": ["a", "../b"]})
    >>> paths = find_image_files(table, ".", "{objID}.png")
    >>> [Path(path).name for path in paths]
    ['1237646587169407341.png', '7.png']
    >>> find_image_files(table, ".", "{field}.png")
    ['a.png', None]
    """
    return PatternFiles(as_table(table), folder, pattern)[:]


def list_exact_names(pattern: str | None) -> list[str]:
    """Return the columns whose text, and not their number, names the files.

    Parameters
    ----------
    pattern : str or None
        The pattern; an invalid one is refused later.

    Returns
    -------
    names : list of str
        Columns without a format specification.
    """
    try:
        parsed = list(string.Formatter().parse(pattern or ""))
    except (ValueError, TypeError):
        return []
    formatted = {name for _, name, spec, _ in parsed if spec}
    return [name for _, name, _, _ in parsed if name and name not in formatted]


def warn_of_names(parts: Iterable[PatternFiles], names: Sequence[str]) -> None:
    """Warn of rows whose identifiers name no file, or the same file as another row.

    Parameters
    ----------
    parts : iterable of PatternFiles
        The files of consecutive rows.
    names : sequence of str
        The columns in the pattern.

    Warns
    -----
    shredfinder.exceptions.ShredfinderWarning
        If there are such rows.
    """
    # Hashes take eight bytes per row; equal ones of different names are very unlikely.
    hashes, n_rows, n_missing = [], 0, 0
    for files in parts:
        paths = files[:]
        n_rows += len(paths)
        given = [hash(path) for path in paths if path is not None]
        n_missing += len(paths) - len(given)
        hashes.append(np.array(given, dtype=np.int64))
    columns = (
        f"column {names[0]!r}" if len(names) == 1 else f"columns {', '.join(map(repr, names))}"
    )
    if n_missing:
        warnings.warn(
            f"{n_missing} of {n_rows} rows have no usable value in the {columns}, and so no image",
            ShredfinderWarning,
            stacklevel=3,
        )
    found = np.concatenate(hashes) if hashes else np.zeros(0, np.int64)
    n_repeated = len(found) - len(np.unique(found))
    if n_repeated:
        warnings.warn(
            f"{n_repeated} of {n_rows} rows repeat the {columns} of an earlier row, and are scored "
            "by the same image file",
            ShredfinderWarning,
            stacklevel=3,
        )


def _check_folder(folder):
    folder = Path(folder)
    if not folder.exists():
        check_no_address(folder, "cutouts")
        raise FileNotFoundError(f"the folder of cutouts {str(folder)!r} does not exist")
    if not folder.is_dir():
        raise NotADirectoryError(
            f"cutouts must be a folder, got the file {str(folder)!r}: give a list of paths for "
            "single files"
        )
    return folder


def _parse_pattern(pattern, colnames):
    if not isinstance(pattern, str):
        raise ValueError(
            f"pattern must be a name of files such as '{{objID}}.png', not {pattern!r}"
        )
    try:
        parsed = list(string.Formatter().parse(pattern))
    except ValueError as error:
        raise ValueError(f"invalid pattern {pattern!r}: {error}") from None
    parts = []
    for literal, name, spec, conversion in parsed:
        if name is not None:
            name = _find_name(pattern, name, colnames)
        # A nested field would let a row's value act as the format specification.
        if conversion or "{" in (spec or ""):
            raise ValueError(
                f"the pattern {pattern!r} contains a conversion or a nested field: use only column "
                "names, optionally with a format after a colon"
            )
        parts.append((literal, name, spec))
    if all(name is None for _, name, _ in parts):
        raise ValueError(
            f"the pattern {pattern!r} names no column, so all rows would have the same file: put a "
            "column name in braces, as in '{objID}.png'"
        )
    if not _stays_inside(_make_example(parts)):
        raise ValueError(
            f"the pattern {pattern!r} leaves the folder: use a relative name without '..'"
        )
    return parts


def _find_name(pattern, name, colnames):
    """Return the table's spelling of a column's name."""
    # Only whole column names are accepted: no attributes or items of values.
    if name in colnames:
        return name
    matches = [known for known in colnames if known.lower() == name.lower()]
    if len(matches) > 1:
        raise ValueError(
            f"the pattern {pattern!r} names the column {name!r}, and the table has "
            f"{' and '.join(map(repr, matches))}: use the spelling of one of them"
        )
    if not matches:
        raise ValueError(_explain_unknown(pattern, name, colnames))
    return matches[0]


def _make_example(parts):
    """Return an example name, with a harmless value for each field."""
    return "".join(literal + ("x" if name is not None else "") for literal, name, _ in parts)


def _explain_unknown(pattern, name, colnames):
    listed = ", ".join(map(repr, colnames[:_LISTED_COLUMNS]))
    if len(colnames) > _LISTED_COLUMNS:
        listed += f" and {len(colnames) - _LISTED_COLUMNS} more"
    # Case is ignored, since the usual mistake is objid for objID.
    lowered = {known.lower(): known for known in colnames}
    close = difflib.get_close_matches(name.lower(), lowered, 1)
    hint = f" (did you mean {lowered[close[0]]!r}?)" if close else ""
    return (
        f"the pattern {pattern!r} names the column {name!r}, which the table does not have{hint}; "
        f"its columns are {listed or 'none'}"
    )


def _open_column(table, name):
    column = table[name]
    if not is_scalar_column(column) or column.dtype.kind not in "biufSUO":
        raise ValueError(
            f"the column {name!r} has {type(column).__name__} values of shape {column.shape[1:]}: "
            "a file name needs one number or string per row"
        )
    values = get_plain_values(column)
    check_digits(np.ma.masked_array(values, get_mask(column)), name)
    return values, get_mask(column)


def _to_python(value):
    """Convert to an exact Python value, or None if there is none."""
    # Python's integers keep all digits of a 64-bit objID, and format as users expect.
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bytes):
        try:
            value = value.decode()
        except UnicodeDecodeError:
            return None
    if not isinstance(value, (str, int, float)):
        return None
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def _format_value(value, column, spec):
    try:
        # Wide formats can exhaust the memory: {objID:99999999999d}.
        return format(value, spec)
    except (ValueError, OverflowError, MemoryError) as error:
        raise ValueError(
            f"the format {spec!r} does not fit the column {column!r} with values such as "
            f"{value!r}: {str(error) or type(error).__name__}"
        ) from None


def _stays_inside(name):
    path = Path(name)
    return "\0" not in name and not path.anchor and ".." not in path.parts
