"""Files of separated values as people write them: comments, byte-order marks, delimiters."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from astropy.utils.data import get_readable_fileobj

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import TextIO

    from astropy.table import Table

__all__ = [
    "CSV_FORMATS",
    "describe_csv",
    "open_text",
    "rename_first",
    "split_header",
]

CSV_FORMATS = ("ascii.csv", "ascii.tab")
_DELIMITERS = {"ascii.csv": ",", "ascii.tab": "\t"}


def open_text(path: Path) -> AbstractContextManager[TextIO]:
    """Open a text file, compressed or not, in UTF-8 or UTF-16, without its byte-order mark."""
    return get_readable_fileobj(path, encoding=_find_encoding(path))


def _find_encoding(path):
    with get_readable_fileobj(path, encoding="binary") as file:
        head = file.read(2)
    # Excel begins CSV files with a byte-order mark, and writes "Unicode text" as UTF-16.
    return "utf-16" if head in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"


def split_header(
    lines: Iterable[str], delimiter: str | None = None
) -> tuple[int, str, str, Iterator[str]]:
    """Find the line of column names in separated values, after comments.

    SkyServer writes ``#Table1`` before the names. NumPy writes ``#`` before the names themselves,
    which are recognised by numbers in as many fields on the next line. Later lines that begin
    with ``#`` are rows.

    Parameters
    ----------
    lines : iterable of str
        Lines of text.
    delimiter : str, optional
        Character between the fields, by default found in the line of names.

    Returns
    -------
    n_comments : int
        Number of lines before the names, without blank ones.
    delimiter : str
        The delimiter.
    header : str
        The names; empty if there are only comments.
    rows : iterator of str
        The lines after it, without blank ones.
    """
    lines = (line for line in lines if line.strip())
    n_comments, comment = 0, ""
    for line in lines:
        if not line.lstrip().startswith("#"):
            break
        n_comments, comment = n_comments + 1, line
    else:
        return n_comments, delimiter or ",", "", iter(())
    found = delimiter or _find_delimiter(line)
    fields = line.split(found)
    names = comment.lstrip("# ").split(found)
    if 1 < len(fields) == len(names) and any(map(_is_number, fields)):
        return n_comments - 1, found, comment.lstrip("# "), itertools.chain([line], lines)
    return n_comments, found, line, lines


def _find_delimiter(line):
    # Spreadsheets write semicolons in countries with a decimal comma.
    return max(",;\t", key=line.count) if not line.count(",") else ","


def _is_number(text):
    try:
        float(text.strip().strip('"'))
    except ValueError:
        return False
    return True


def describe_csv(path: Path, kind: str) -> dict[str, Any]:
    """Return the options with which astropy reads a file of separated values."""
    with open_text(path) as file:
        n_comments, delimiter, header, _ = split_header(file, "\t" if kind == "ascii.tab" else None)
        if not header:
            raise ValueError("it is empty: the first line must contain the column names")
    options = {
        "encoding": _find_encoding(path),
        "header_start": n_comments,
        "data_start": n_comments + 1,
    }
    if delimiter != _DELIMITERS[kind]:
        options["delimiter"] = delimiter
    return options


def rename_first(rows: Table) -> None:
    """Remove the sign of a comment from the name of the first column."""
    old = rows.colnames[0]
    new = old.lstrip("# ")
    if new and new != old and new not in rows.colnames:
        rows.rename_column(old, new)
