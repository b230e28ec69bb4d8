"""Reading and writing of catalogue files in any format."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from astropy.io import registry
from astropy.table import Table
from astropy.utils.data import get_readable_fileobj

from shredfinder._utils.files import (
    atomic_write,
    check_extensions,
    check_no_address,
    has_external_stream,
)
from shredfinder._utils.leftovers import temporary_beside
from shredfinder._utils.runtime import import_optional
from shredfinder.exceptions import ShredfinderWarning
from shredfinder.table.columns import FLAG_NAME, P_NAME
from shredfinder.table.portable import make_writable
from shredfinder.table.tables import ShredTable

if TYPE_CHECKING:
    from shredfinder._utils.validation import PathLike

__all__ = ["check_writing", "identify_format", "read_catalogue", "write_catalogue"]

# Extensions that astropy recognises by content only, which fails for a file not yet written.
_EXTENSIONS = {".vot": "votable", ".votable": "votable", ".xml": "votable"}
# Without these, HDF5 files would lose units, descriptions and the model's provenance.
_OPTIONS = {"hdf5": {"serialize_meta": True, "path": "table"}}
# Argument that selects a table, and package that reads the format.
_TABLE_OPTIONS = {"fits": "hdu", "hdf5": "path", "votable": "table_id"}
_PACKAGES = {"hdf5": "h5py", "parquet": "pyarrow"}
# Clearer messages for some errors of astropy and NumPy, by a part of the original message.
_EXPLANATIONS = {
    "name already used as a name": "two columns have the same name: rename one",
    "Multiple tables found": "it holds several tables: select one with table=, starting at 0",
}
_SEVERAL_TABLES = "multiple tables are present"
_CSV_FORMATS = ("ascii.csv", "ascii.tab", "csv")
# Integers of so many digits are exact as floats.
_FLOAT_DIGITS = 15
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


def read_catalogue(path: PathLike, table: int | str | None = None) -> ShredTable:
    """Read a catalogue of any format that astropy recognises.

    Parameters
    ----------
    path : path-like
        The file.
    table : int or str, optional
        Table to read, if the file holds several: number or name of a FITS extension, number
        (starting at 0) or ID in a VOTable, path in an HDF5 file. By default the first table of a
        FITS or HDF5 file, with a warning if there are more.

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
    path = Path(path)
    if not path.exists():
        check_no_address(path, "the catalogue")
        raise FileNotFoundError(f"the catalogue {str(path)!r} does not exist")
    if path.is_dir():
        raise IsADirectoryError(f"the catalogue {str(path)!r} is a folder: give a file")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            kind = _identify_file(path)
            if kind == "fits":
                check_extensions(path)
            if kind == "votable":
                _check_streams(path)
            options = _choose_table(path, kind, table)
            if kind in _CSV_FORMATS:
                # Excel begins CSV files with a byte-order mark.
                options["encoding"] = "utf-8-sig"
            catalogue = ShredTable.read(path, format=kind, **options)
            if kind in _CSV_FORMATS:
                _keep_identifiers(catalogue, path, kind, options)
        except registry.IORegistryError as error:
            raise ValueError(
                f"astropy does not recognise the table format of the catalogue {str(path)!r}: "
                "use FITS, ECSV, VOTable, Parquet, HDF5 or CSV, with the usual extension"
            ) from error
        # A missing package is not a broken file: the error keeps its advice on what to install.
        except ImportError:
            raise
        except Exception as error:  # readers raise many kinds of errors on broken files
            raise ValueError(
                f"cannot read the catalogue {str(path)!r}: {_explain(error, caught)}"
            ) from error
    _pass_on(caught, path)
    if not catalogue.colnames:
        raise ValueError(f"the catalogue {str(path)!r} has no columns")
    return catalogue


def _keep_identifiers(catalogue, path, kind, options):
    """Turn columns of digits that a number would not print exactly back into text.

    Identifiers such as ``007`` or those of more than 18 digits would change as numbers, and a
    row would get the image of another.
    """
    from astropy.io import ascii as astropy_ascii

    numeric = [name for name in catalogue.colnames if catalogue[name].dtype.kind in "iuf"]
    if not numeric:
        return
    as_text = {name: [astropy_ascii.convert_numpy(str)] for name in numeric}
    texts = Table.read(path, format=kind, converters=as_text, include_names=numeric, **options)
    for name in numeric:
        text = np.char.strip(np.ma.filled(texts[name].astype(str), ""))
        is_digits = np.char.isdigit(np.char.lstrip(text, "+-"))
        if catalogue[name].dtype.kind == "f":
            # Only integers that are too long for a float are identifiers.
            changed = is_digits & (np.char.str_len(text) > _FLOAT_DIGITS)
        else:
            changed = is_digits & (text != np.ma.getdata(catalogue[name]).astype(str))
        if changed.any():
            Table.replace_column(catalogue, name, texts[name])


def _check_streams(path):
    with get_readable_fileobj(path, encoding="binary") as file:
        if has_external_stream(file):
            raise ValueError(
                "it refers to data in another file (STREAM with href), which is not read: save "
                "the table with its data in one file"
            )


def _identify_file(path):
    # astropy recognises a format by its first bytes, also in compressed files.
    with get_readable_fileobj(path, encoding="binary") as file:
        formats = registry.identify_format("read", ShredTable, str(path), file, [path], {})
    if len(formats) != 1:
        raise registry.IORegistryError
    _import_packages(formats[0], "reading")
    return formats[0]


def _import_packages(kind, verb):
    if kind in _PACKAGES:
        import_optional(_PACKAGES[kind], f"{verb} {kind} files")


def _choose_table(path, kind, table):
    if table is None:
        return {}
    if kind not in _TABLE_OPTIONS:
        raise ValueError(
            f"table={table!r} selects a table, but a file of the format {kind} holds only one"
        )
    # Numbers arrive as text from the command line. In HDF5 even a number is a path.
    if kind != "hdf5" and str(table).isdecimal():
        table = int(table)
    return {_TABLE_OPTIONS[kind]: table}


def _explain(error, caught):
    text = str(error) or type(error).__name__
    for piece, explanation in _EXPLANATIONS.items():
        if piece in text:
            return explanation
    # The cause is often in astropy's warnings, for example a truncated file.
    reasons = dict.fromkeys(str(warning.message) for warning in caught)
    return " ".join([text, *(f"({reason})" for reason in reasons)])


def _pass_on(caught, path):
    # astropy repeats warnings.
    for text, warning in {str(warning.message): warning for warning in caught}.items():
        if _SEVERAL_TABLES in text:
            warnings.warn(
                f"the catalogue {str(path)!r} holds several tables, and only the first is read: "
                "select another with table=",
                ShredfinderWarning,
                stacklevel=3,
            )
        else:
            warnings.warn(warning.message, stacklevel=3)


def check_writing(table: Table, path: PathLike) -> None:
    """Check that a table can be written, before it is scored.

    The first row is written to a temporary file in the same folder.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table, with or without scores.
    path : path-like
        The output file; it is not changed.

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
    _import_packages(kind, "writing")
    # From all rows, since the first may be a missing value.
    table = make_writable(table, kind, path)
    if kind == "fits":
        _check_fits(table, path)
    if kind == "ascii.ecsv":
        _check_ecsv(table, path)
    # Writing the whole table warns later.
    with warnings.catch_warnings(), temporary_beside(path) as temporary:
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


def _check_fits(table, path):
    """Find columns that FITS cannot hold and that astropy detects late or not at all."""
    n_columns = len({*table.colnames, P_NAME, FLAG_NAME})
    if n_columns > _MAX_FITS_COLUMNS:
        raise ValueError(
            f"cannot write the table to {str(path)!r}: FITS holds at most {_MAX_FITS_COLUMNS} "
            f"columns, got {n_columns} with the scores: use another extension, such as .parquet"
        )
    advice = "use another extension, such as .ecsv"
    for name in table.colnames:
        # P_CNN beside p_cnn, for example: the standard ignores case in column names.
        if name.lower() in (P_NAME, FLAG_NAME) and name not in (P_NAME, FLAG_NAME):
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
