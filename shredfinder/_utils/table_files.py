"""Reading of tables from files of any format: the only reader of catalogues in the package."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from astropy.io import registry
from astropy.table import Table
from astropy.utils.data import get_readable_fileobj

from shredfinder._utils.csv_files import (
    CSV_FORMATS,
    describe_csv,
    rename_first,
)
from shredfinder._utils.files import check_no_address, has_external_stream, list_extensions
from shredfinder._utils.identifiers import keep_texts
from shredfinder._utils.parquet import read_parquet
from shredfinder._utils.runtime import import_optional
from shredfinder.exceptions import ShredfinderWarning

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import BinaryIO

    from astropy.io import fits

    from shredfinder._utils.validation import PathLike

__all__ = [
    "check_input",
    "check_streams",
    "find_fits_table",
    "identify_file",
    "import_packages",
    "read_table",
    "warn_of_lost_parts",
]

_TableType = TypeVar("_TableType", bound=Table)

# First bytes of formats, which decide whatever the file is called
_SIGNATURES = {
    b"SIMPLE  =": "fits",
    b"PAR1": "parquet",
    b"\x89HDF\r\n\x1a\n": "hdf5",
    b"# %ECSV": "ascii.ecsv",
}
# Formats of text by extension, in lower case; "ascii" lets astropy guess the layout.
_EXTENSIONS = {
    ".csv": "ascii.csv",
    ".tsv": "ascii.tab",
    ".tab": "ascii.tab",
    ".ecsv": "ascii.ecsv",
    ".tbl": "ascii.ipac",
    ".mrt": "ascii.mrt",
    **dict.fromkeys((".txt", ".dat", ".ascii", ".asc", ".cat"), "ascii"),
    **dict.fromkeys((".vot", ".votable", ".xml"), "votable"),
}
_COMPRESSED = (".gz", ".bz2", ".xz")
# Bytes in which a VOTable's first element is found
_HEAD = 4096
# Argument that selects a table, and package that reads the format.
_TABLE_OPTIONS = {"fits": "hdu", "hdf5": "path", "votable": "table_id"}
_PACKAGES = {"hdf5": "h5py", "parquet": "pyarrow"}
# Clearer messages for some errors of astropy and NumPy, by a part of the original message.
_EXPLANATIONS = {
    "name already used as a name": "two columns have the same name: rename one",
    "Multiple tables found": "it holds several tables: select one with table=, starting at 0",
}
_SEVERAL_TABLES = "multiple tables are present"
# Keywords of an empty primary header
_STRUCTURE = (
    "SIMPLE", "BITPIX", "NAXIS", "EXTEND", "COMMENT", "HISTORY", "CHECKSUM", "DATASUM", "",
)  # fmt: skip


def check_input(path: PathLike, what: str = "the catalogue") -> Path:
    """Check that a path is a file that can be read more than once.

    Parameters
    ----------
    path : path-like
        The path.
    what : str, optional
        What error messages call it.

    Returns
    -------
    path : `~pathlib.Path`
        The path.

    Raises
    ------
    FileNotFoundError
        If it does not exist.
    IsADirectoryError
        If it is a folder.
    ValueError
        If it is the standard input, a pipe, a device or an address.
    """
    path = Path(path)
    if str(path) == "-" or (path.exists() and not path.is_file() and not path.is_dir()):
        raise ValueError(
            f"{what} must be a file, got "
            f"{'the standard input' if str(path) == '-' else f'the pipe or device {str(path)!r}'}: "
            "save the table to a file, whose extension names the format"
        )
    if not path.exists():
        check_no_address(path, what)
        raise FileNotFoundError(f"{what} {str(path)!r} does not exist")
    if path.is_dir():
        raise IsADirectoryError(f"{what} {str(path)!r} is a folder: give a file")
    return path


def read_table(
    path: PathLike,
    table: int | str | None = None,
    *,
    table_class: type[_TableType] = Table,
    what: str = "the catalogue",
    exact: Iterable[str] = (),
    file_format: str | None = None,
) -> _TableType:
    """Read a table from a file, whatever its format and compression.

    Parameters
    ----------
    path : path-like
        The file.
    table : int or str, optional
        Table to read, if the file holds several: number or name of a FITS extension, number
        (starting at 0) or ID in a VOTable, path in an HDF5 file. By default the first table of a
        FITS or HDF5 file, with a warning if there are more.
    table_class : type, optional
        Class of the table.
    what : str, optional
        What messages call the file.
    exact : iterable of str, optional
        Columns of separated values that are read as text if any number would print differently.
    file_format : str, optional
        Name of the format in astropy's registry, by default recognised by content or extension.

    Returns
    -------
    rows : `~astropy.table.Table`
        The table.

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        If there is no such file.
    shredfinder.exceptions.MissingDependencyError
        If the format needs a package that is not installed.
    ValueError
        If the file is not a table of a known format, or is damaged.
    """
    path = check_input(path, what)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            kind = identify_file(path) if file_format is None else file_format
            options = _choose_table(path, kind, table, what)
            # Also of votable.parquet, which names its data in another file.
            if "votable" in kind:
                check_streams(path)
            if kind in CSV_FORMATS:
                options |= describe_csv(path, kind)
            if kind == "parquet":
                rows = read_parquet(path)
            else:
                rows = Table.read(path, format=kind, **options)
            if kind in CSV_FORMATS:
                keep_texts(
                    rows,
                    lambda names, converters: Table.read(
                        path, format=kind, include_names=names, converters=converters, **options
                    ),
                    exact,
                )
                rename_first(rows)
        except registry.IORegistryError as error:
            problem = "astropy does not recognise its table format"
            if file_format is not None:
                problem = f"astropy does not know the format {file_format!r}"
            raise ValueError(
                f"cannot read {what} {str(path)!r}: {problem}: use FITS, ECSV, VOTable, Parquet, "
                "HDF5 or CSV, with the usual extension"
            ) from error
        # A missing package is not a broken file: the error keeps its advice on what to install.
        except (ImportError, PermissionError):
            raise
        except Exception as error:  # readers raise many kinds of errors on broken files
            raise ValueError(
                f"cannot read {what} {str(path)!r}: {_explain(error, caught)}"
            ) from error
    _pass_on(caught, path, what)
    return rows if type(rows) is table_class else table_class(rows, copy=False)


def identify_file(path: Path) -> str:
    """Return the format of a file, by its content or else its extension.

    Parameters
    ----------
    path : `~pathlib.Path`
        The file, compressed or not.

    Returns
    -------
    format : str
        Name of the format in astropy's registry.

    Raises
    ------
    astropy.io.registry.IORegistryError
        If neither is known.
    shredfinder.exceptions.MissingDependencyError
        If the format needs a package that is not installed.
    """
    with get_readable_fileobj(path, encoding="binary") as file:
        head = file.read(_HEAD)
        found = [kind for signature, kind in _SIGNATURES.items() if head.startswith(signature)]
        if not found and b"VOTABLE" in head and head.lstrip().startswith(b"<"):
            found = ["votable"]
        if not found and (suffix := _get_suffix(path)) in _EXTENSIONS:
            found = [_EXTENSIONS[suffix]]
        if not found:
            file.seek(0)
            found = registry.identify_format("read", Table, str(path), file, [path], {})
    if len(found) != 1:
        raise registry.IORegistryError
    import_packages(found[0], "reading")
    return found[0]


def import_packages(kind: str, verb: str) -> None:
    """Import the package that a format needs, or raise MissingDependencyError."""
    if kind in _PACKAGES:
        import_optional(_PACKAGES[kind], f"{verb} {kind} files")


def _get_suffix(path):
    """Return the extension in lower case, without that of the compression."""
    stem = path.name.lower()
    for compressed in _COMPRESSED:
        stem = stem.removesuffix(compressed)
    return Path(stem).suffix


# FITS


def find_fits_table(
    hdus: fits.HDUList, path: Path, table: int | str | None, what: str = "the catalogue"
) -> int:
    """Return the number of the FITS extension with the table.

    Parameters
    ----------
    hdus : `~astropy.io.fits.HDUList`
        The opened file.
    path : `~pathlib.Path`
        Its path, for messages.
    table : int, str or None
        Number or name of the extension; None for the first table.
    what : str, optional
        What messages call the file.

    Returns
    -------
    number : int
        Index in ``hdus``.

    Raises
    ------
    ValueError
        If there is no such table, or it is compressed.

    Warns
    -----
    ShredfinderWarning
        If there are several tables, and none was chosen.
    """
    from astropy.io import fits

    numbers = [
        n
        for n, hdu in enumerate(list_extensions(hdus))
        if isinstance(hdu, (fits.BinTableHDU, fits.TableHDU))
        and not isinstance(hdu, fits.CompImageHDU)
    ]
    listed = ", ".join(f"{n} ({hdus[n].name})" if hdus[n].name else str(n) for n in numbers)
    if not numbers:
        raise ValueError("it holds no table: a catalogue must be a table of a FITS file")
    number = numbers[0]
    if table is not None:
        # Numbers arrive as text from the command line; names of extensions ignore case.
        wanted = int(table) if str(table).isdecimal() else None
        matches = [n for n in numbers if n == wanted or hdus[n].name.lower() == str(table).lower()]
        if not matches:
            raise ValueError(f"it has no table {table!r}: its tables are {listed}")
        number = matches[0]
    elif len(numbers) > 1:
        _warn_of_several(path, what, f": it has {listed}")
    if hdus[number].header.get("ZTABLE"):
        raise ValueError("its table is compressed by fpack: decompress it with funpack")
    return number


def warn_of_lost_parts(path: PathLike, table: int | str | None = None) -> None:
    """Name the parts of a FITS file that are not in its table and will not be written.

    Parameters
    ----------
    path : path-like
        A catalogue of any format, which was read.
    table : int or str, optional
        The table that was read.

    Warns
    -----
    ShredfinderWarning
        If the primary header has keywords of its own, or there are other extensions.
    """
    from astropy.io import fits

    if identify_file(Path(path)) != "fits":
        return
    with warnings.catch_warnings(), fits.open(path, memmap=True) as hdus:
        # The reader has warned already.
        warnings.simplefilter("ignore")
        number = find_fits_table(hdus, Path(path), table)
        others = [hdu.name or str(n) for n, hdu in enumerate(hdus) if n not in (0, number)]
        keys = [key for key in hdus[0].header if key not in _STRUCTURE]
        has_image = hdus[0].data is not None
    lost = [f"the primary header ({', '.join(dict.fromkeys(keys))})"] if keys else []
    lost += ["the primary image"] if has_image else []
    lost += [f"the extensions {', '.join(others)}"] if others else []
    if lost:
        warnings.warn(
            f"the output will not contain these parts of {str(path)!r}: {' and '.join(lost)}",
            ShredfinderWarning,
            stacklevel=3,
        )


# Other formats, and messages


def check_streams(path: PathLike | BinaryIO) -> None:
    """Raise ValueError if a VOTable, a path or an open file, refers to data in another file."""
    with get_readable_fileobj(path, encoding="binary") as file:
        if has_external_stream(file):
            raise ValueError(
                "it refers to data in another file (STREAM with href), which is not read: save "
                "the table with its data in one file"
            )


def _choose_table(path, kind, table, what) -> dict[str, Any]:
    if kind == "fits":
        from astropy.io import fits

        with fits.open(path, memmap=True) as hdus:
            return {"hdu": find_fits_table(hdus, path, table, what)}
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


def _warn_of_several(path, what, details=""):
    # Only a catalogue can be given together with the number of its table.
    advice = "with table=" if what == "the catalogue" else "by saving it to a file of its own"
    warnings.warn(
        f"{what} {str(path)!r} holds several tables, and only the first is read: select another "
        f"{advice}{details}",
        ShredfinderWarning,
        stacklevel=4,
    )


def _pass_on(caught, path, what):
    # astropy repeats warnings.
    for text, warning in {str(warning.message): warning for warning in caught}.items():
        if _SEVERAL_TABLES in text:
            _warn_of_several(path, what)
        else:
            warnings.warn(warning.message, stacklevel=4)
