"""Reading and writing of catalogue files in any format."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from astropy.io import registry
from astropy.table import serialize

from shredfinder._utils.files import atomic_write, writing_errors
from shredfinder._utils.leftovers import temporary_beside
from shredfinder._utils.table_files import import_packages, read_table
from shredfinder.table.columns import FLAG_NAME, P_NAME, drop_formats
from shredfinder.table.portable import make_writable
from shredfinder.table.tables import ShredTable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from astropy.table import Table

    from shredfinder._utils.validation import PathLike

__all__ = ["check_writing", "identify_format", "read_catalogue", "write_catalogue"]

# Extensions that astropy recognises by content only or in lower case only.
_EXTENSIONS = {
    **dict.fromkeys((".vot", ".votable", ".xml"), "votable"),
    **dict.fromkeys((".tsv", ".tab"), "ascii.tab"),
    **dict.fromkeys((".fits", ".fit", ".fts"), "fits"),
    **dict.fromkeys((".parquet", ".parq", ".pq"), "parquet"),
    **dict.fromkeys((".hdf5", ".h5"), "hdf5"),
    ".csv": "ascii.csv",
    ".ecsv": "ascii.ecsv",
}
# Text formats that round numbers to their format for display, such as TDISPn of a FITS file.
_ROUNDED = ("ascii.csv", "ascii.tab", "ascii.rdb")
# Without these, HDF5 files would lose units, descriptions and the model's provenance.
_OPTIONS = {"hdf5": {"serialize_meta": True, "path": "table"}}
# TFIELDS of the FITS standard 4.0, section 7.2.1
_MAX_FITS_COLUMNS = 999


def identify_format(path: PathLike) -> str:
    """Return the format in which a catalogue will be written.

    Parameters
    ----------
    path : path-like
        The file to be written.

    Returns
    -------
    format : str
        Name of the format in astropy's registry.

    Raises
    ------
    ValueError
        If the extension belongs to no format or to several.

    Examples
    --------
    >>> from shredfinder.table import identify_format
    >>> identify_format("scored.ecsv")
    'ascii.ecsv'
    """
    path = Path(path)
    if path.suffix.lower() in _EXTENSIONS:
        return _EXTENSIONS[path.suffix.lower()]
    formats = registry.identify_format("write", ShredTable, str(path), None, [ShredTable], {})
    if len(formats) != 1:
        raise ValueError(
            f"no table format has the extension {path.suffix!r} of {str(path)!r}: use .fits, "
            ".ecsv, .vot, .parquet, .hdf5 or .csv"
        )
    return formats[0]


def read_catalogue(
    path: PathLike, table: int | str | None = None, *, exact: Iterable[str] = ()
) -> ShredTable:
    """Read a catalogue of any format and compression that astropy recognises.

    Parameters
    ----------
    path : path-like
        The file.
    table : int or str, optional
        Table to read, if the file holds several: number or name of a FITS extension, number
        (starting at 0) or ID in a VOTable, path in an HDF5 file. By default the first table of a
        FITS or HDF5 file, with a warning if there are more.
    exact : iterable of str, optional
        Columns of a CSV file that name image files: they are read as text if any number would
        print differently, such as 1.10.

    Returns
    -------
    catalogue : ShredTable
        The table.

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        If there is no such file.
    shredfinder.exceptions.MissingDependencyError
        If the format needs a package that is not installed.
    ValueError
        If the file is not a table of a known format, or is damaged.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from astropy.table import Table
    >>> from shredfinder.table import read_catalogue
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "candidates.fits"
    ...     Table({"objID": [11, 12]}).write(path)
    ...     catalogue = read_catalogue(path)
    >>> type(catalogue).__name__, len(catalogue)
    ('ShredTable', 2)
    """
    catalogue = read_table(path, table, table_class=ShredTable, exact=exact)
    if not catalogue.colnames:
        raise ValueError(f"the catalogue {str(path)!r} has no columns")
    return catalogue


def check_writing(table: Table, path: PathLike, added: Iterable[str] = (P_NAME, FLAG_NAME)) -> None:
    """Check that a table can be written, before it is scored.

    The first row is written to a temporary file in the same folder.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table, with or without scores.
    path : path-like
        The output file; it is not changed.
    added : iterable of str, optional
        Columns that the table will have besides its own, or in their place.

    Raises
    ------
    OSError
        If the file cannot be written.
    shredfinder.exceptions.MissingDependencyError
        If the format needs a package that is not installed.
    ValueError
        If the format cannot hold the table.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from shredfinder.table import check_writing
    >>> check_writing(Table({"name": ["Małgorzata"]}), "scored.fits")
    Traceback (most recent call last):
        ...
    ValueError: cannot write the table to 'scored.fits': the column 'name' holds ...
    """
    path, kind = Path(path), identify_format(path)
    import_packages(kind, "writing")
    # From all rows, since the first may be a missing value.
    table = make_writable(table, kind, path)
    if kind == "fits":
        _check_fits(table, path, added)
    if kind == "ascii.ecsv":
        _check_ecsv(table, path)
    # Writing the whole table warns later.
    with warnings.catch_warnings(), temporary_beside(path) as temporary, writing_errors(path):
        warnings.simplefilter("ignore")
        _write(table[:1], temporary, kind, path)


def write_catalogue(table: Table, path: PathLike) -> None:
    """Write a catalogue atomically, in the format of its extension.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table.
    path : path-like
        The file. An existing file is replaced.

    Raises
    ------
    OSError
        If the file cannot be written.
    ValueError
        If no format has the extension, or the format cannot hold the table.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from astropy.table import Table
    >>> from shredfinder.table import read_catalogue, write_catalogue
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_catalogue(Table({"objID": [11, 12]}), Path(folder) / "scored.ecsv")
    ...     len(read_catalogue(Path(folder) / "scored.ecsv"))
    2
    """
    kind = identify_format(path)
    with atomic_write(path) as temporary:
        _write(table, temporary, kind, path)


def _write(table, temporary, kind, path):
    table = make_writable(table, kind, path)
    if kind in _ROUNDED:
        kinds = {name: getattr(table[name], "dtype", np.dtype("O")).kind for name in table.colnames}
        table = drop_formats(table, [name for name, letter in kinds.items() if letter in "fc"])
    try:
        table.write(temporary, format=kind, **_OPTIONS.get(kind, {}))
    except OSError as error:
        reason = error.strerror or error
        raise OSError(f"cannot write the output {str(path)!r}: {reason}") from error
    except Exception as error:  # each format refuses columns with its own errors
        raise ValueError(
            f"cannot write the table to {str(path)!r} in the format {kind}: {error}; use another "
            "extension, such as .ecsv"
        ) from error


def _check_ecsv(table, path):
    """Find rows that would be lost: ECSV reads lines that begin with "#" as comments."""
    first = np.ma.getdata(table.columns[0]) if table.columns else ()
    for value in first if getattr(first, "dtype", np.dtype(float)).kind in "UO" else ():
        if str(value).lstrip().startswith("#"):
            raise ValueError(
                f"cannot write the table to {str(path)!r}: its first column {table.colnames[0]!r} "
                f"holds {str(value)!r}, and ECSV reads lines that begin with '#' as comments: put "
                "another column first, or use another extension, such as .fits or .vot"
            )


def _check_fits(table, path, added):
    """Find columns that FITS cannot hold and that astropy detects late or not at all."""
    advice = "use another extension, such as .ecsv"
    # Coordinates and times become several columns.
    plain = serialize.represent_mixins_as_columns(table[:0])
    n_columns = len({*plain.colnames, *added})
    if n_columns > _MAX_FITS_COLUMNS:
        raise ValueError(
            f"cannot write the table to {str(path)!r}: FITS holds at most {_MAX_FITS_COLUMNS} "
            f"columns, got {n_columns} with the scores: use another extension, such as .parquet"
        )
    new = {name.lower(): name for name in added}
    for name in table.colnames:
        # P_CNN beside p_cnn, for example: the standard ignores case in column names.
        if new.get(name.lower(), name) != name:
            raise ValueError(
                f"cannot write the table to {str(path)!r}: FITS does not distinguish the column "
                f"names {name!r} and {name.lower()!r}: rename the column, or {advice}"
            )
        values = np.ma.getdata(table[name])
        if not isinstance(values, np.ndarray) or values.dtype.kind != "U":
            continue
        try:
            # Encodes as ASCII and fails on any other character.
            values.astype("S")
        except UnicodeEncodeError as error:
            raise ValueError(
                f"cannot write the table to {str(path)!r}: the column {name!r} holds "
                f"{str(error.object)!r}, and FITS holds only ASCII characters: {advice}"
            ) from error
