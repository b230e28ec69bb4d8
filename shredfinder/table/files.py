"""Catalogue files, by their extension."""

from pathlib import Path

from astropy.io import registry

from shredfinder.atomic import replacing
from shredfinder.table.tables import ShredTable

__all__ = ["identify_format", "read_catalogue", "write_catalogue"]

# Extensions that astropy recognises by a file's content only, which is no help before writing.
_EXTENSIONS = {".vot": "votable", ".votable": "votable", ".xml": "votable"}
# Without this, HDF5 files would lose units, descriptions and the model's provenance.
_OPTIONS = {"hdf5": {"serialize_meta": True, "path": "table"}}


def identify_format(path):
    """Find the format that a catalogue will be written in.

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
        If the extension is that of no format, or of several.

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
            f"no table format is known by the extension {path.suffix!r} of {str(path)!r}: use "
            ".fits, .ecsv, .vot, .parquet, .hdf5 or .csv"
        )
    return formats[0]


def read_catalogue(path):
    """Read a catalogue of any format that astropy recognises.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    table : ShredTable
        Its rows.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not a table of a known format.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no catalogue {str(path)!r}")
    try:
        return ShredTable.read(path)
    except registry.IORegistryError as error:
        raise ValueError(
            f"the catalogue {str(path)!r} is of no table format that astropy recognises: use "
            "FITS, ECSV, VOTable, Parquet, HDF5 or CSV, with the usual extension"
        ) from error
    except Exception as error:  # the readers raise all sorts of things on broken files
        raise ValueError(f"the catalogue {str(path)!r} can't be read: {error}") from error


def write_catalogue(table, path):
    """Write a catalogue in the format of its extension, whole or not at all.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The rows.
    path : path-like
        The file; it is replaced if it exists.

    Raises
    ------
    ValueError
        If the extension is that of no format.
    """
    kind = identify_format(path)
    with replacing(path) as temporary:
        table.write(temporary, format=kind, **_OPTIONS.get(kind, {}))
