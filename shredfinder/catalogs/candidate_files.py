"""Candidates from a survey's catalogue files."""

from __future__ import annotations

import itertools
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from astropy.io import fits, registry
from astropy.table import MaskedColumn, Table, vstack

from shredfinder._utils.columns import find_column
from shredfinder._utils.csv_files import open_text, split_header
from shredfinder._utils.files import reading_errors
from shredfinder._utils.runtime import progress_bar
from shredfinder._utils.table_files import (
    check_input,
    find_fits_table,
    identify_file,
    read_table,
)
from shredfinder._utils.units import to_bools
from shredfinder.catalogs.paging import normalize
from shredfinder.catalogs.skyserver import read_csv_lines
from shredfinder.catalogs.standard import raw_columns, standardize
from shredfinder.cuts import get_preset
from shredfinder.exceptions import ShredfinderWarning
from shredfinder.surveys import DEFAULT_SURVEY, CatalogPreset, get_catalog_preset

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shredfinder._utils.validation import PathLike
    from shredfinder.catalogs.standard import Reddening
    from shredfinder.cuts import CutPreset
    from shredfinder.table import ShredTable

__all__ = ["iter_rows", "read_candidates"]


def read_candidates(
    path: PathLike | Sequence[PathLike],
    survey: str | CatalogPreset = DEFAULT_SURVEY,
    *,
    cuts: str | CutPreset | None = "paper",
    columns: Sequence[str] | Literal["all"] | None = None,
    ebv: Reddening | None = None,
    table: int | str | None = None,
    chunk_rows: int = 50_000,
    progress: bool | Literal["auto"] = "auto",
) -> ShredTable:
    r"""Read the candidates in a survey's catalogue files, in chunks.

    Parameters
    ----------
    path : str, path-like or sequence of these
        One or more files: FITS tables, such as Legacy sweep or Tractor files, CSV files as
        written by SkyServer, CasJobs and MAST, or any other format of
        `~shredfinder.table.read_catalogue`.
    survey : str or `~shredfinder.surveys.CatalogPreset`, optional
        Name or alias of the survey, such as ``"sdss"``, or a catalogue with other column names.
    cuts : str, CutPreset or None, optional
        The cuts, one of `shredfinder.cuts.CUT_PRESETS`. None keeps all rows.
    columns : sequence of str or "all", optional
        The survey's columns to keep; ``"all"`` keeps those that the cuts read. A column with the
        name of a standard column gets the prefix ``raw_``.
    ebv : float, `~astropy.units.Quantity` or callable, optional
        For PS1, whose tables have no extinction: E(B-V) of Schlegel, Finkbeiner & Davis (1998) in
        mag, as one value or as a function of a `~astropy.coordinates.SkyCoord`, such as a map of
        the package dustmaps. By default the file's column ``ebv`` is used.
    table : int or str, optional
        Table to read from files that hold several, as for `~shredfinder.table.read_catalogue`.
    chunk_rows : int, optional
        Number of rows to read at a time, from FITS and CSV files.
    progress : bool or "auto", optional
        Whether to show a progress bar; ``"auto"`` shows it on a terminal and in a notebook.

    Returns
    -------
    candidates : `~shredfinder.ShredTable`
        One row per candidate, in the files' order, with the columns of `query_candidates`.

    Raises
    ------
    FileNotFoundError
        If a file does not exist.
    ValueError
        If the survey or the cuts are unknown, or a file has another format or no table.
    KeyError
        If a file lacks a required column.

    Notes
    -----
    Rows of Tractor files with ``brick_primary`` = 0, second entries of sources in brick overlaps,
    are left out. Column names are the survey's, in upper or lower case. FITS files are
    memory-mapped; those compressed with gzip are decompressed into memory. Sweep and Tractor files
    have no ``ls_id``: ``objid`` is computed as Data Lab does, release · 2⁴⁰ + brickid · 2¹⁶ +
    objid.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from shredfinder.catalogs import read_candidates
    >>> text = '''objID,ra,dec,type,flags_r,petroR50_r,petroR50Err_r,dered_g,dered_r,dered_i,\
    ... modelMagErr_g,modelMagErr_r,modelMagErr_i
    ... 1237661068180127885,143.1,21.5,3,268435456,2.5,0.1,20.4,20.0,19.8,0.02,0.02,0.02
    ... 1237661068180127886,143.2,21.5,6,268435456,1.2,0.1,20.4,20.0,19.8,0.02,0.02,0.02
    ... '''
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "sdss.csv"
    ...     _ = path.write_text(text)
    ...     table = read_candidates(path, "sdss-dr17")
    >>> table.colnames[:6], len(table)
    (['objid', 'ra', 'dec', 'g', 'r', 'i'], 1)
    """
    preset = get_catalog_preset(survey)
    cuts = get_preset(cuts) if cuts is not None else None
    if chunk_rows < 1:
        raise ValueError(f"chunk_rows must be at least 1: got {chunk_rows}")
    paths = [path] if isinstance(path, str | Path) or hasattr(path, "__fspath__") else list(path)
    if not paths:
        raise ValueError("path is an empty list: pass at least one file")
    parts, n_rows = [], 0
    with progress_bar(total=None, progress=progress, desc=preset.survey, unit="row") as bar:
        for file in map(Path, paths):
            wanted = None
            with reading_errors(file, "the catalogue", has_columns=True):
                # Only candidates stay in memory: a chunk is cut before the next one is read.
                for chunk in _open(file, chunk_rows, _useful_columns(preset, columns), table):
                    chunk = _drop_duplicates(chunk, preset)
                    if wanted is None:
                        wanted = _check(chunk, file, preset, columns, ebv)
                    parts.append(standardize(chunk, preset, cuts=cuts, columns=wanted, ebv=ebv))
                    n_rows += len(chunk)
                    bar.update(len(chunk))
                    # Keep the first part for its columns, but no other empty one: there are many.
                    if len(parts) > 1 and not len(parts[-1]):
                        parts.pop()
    # Imported here because it brings the classifier along.
    from shredfinder.table import ShredTable

    # With no candidates at all, an empty part still has the columns.
    filled = [part for part in parts if len(part)] or parts[:1]
    whole = filled[0] if len(filled) == 1 else vstack(filled, metadata_conflicts="silent")
    candidates = ShredTable(whole, copy=False)
    _warn_of_identifiers(candidates["objid"], n_rows, paths)
    candidates.meta.update(
        {
            "survey": preset.survey,
            "files": [file.name for file in map(Path, paths)],
            "cuts": cuts.name if cuts is not None else "none",
            "nread": n_rows,
        }
    )
    return candidates


def _warn_of_identifiers(objid, n_rows, paths):
    """Warn if there are no rows, or rows without an identifier of their own."""
    files = ", ".join(repr(str(path)) for path in paths)
    if not n_rows:
        warnings.warn(f"{files}: no rows", ShredfinderWarning, stacklevel=3)
    mask = np.ma.getmaskarray(np.ma.asarray(objid))
    given = np.ma.getdata(objid)[~mask]
    n_repeated = len(given) - len(np.unique(given))
    for n, what in ((mask.sum(), "have no objid"), (n_repeated, "repeat the objid of another")):
        if n:
            warnings.warn(
                f"{n} of {len(objid)} candidates of {files} {what}",
                ShredfinderWarning,
                stacklevel=3,
            )


def iter_rows(
    path: PathLike,
    survey: str | CatalogPreset = DEFAULT_SURVEY,
    *,
    columns: Sequence[str] | None = None,
    chunk_rows: int = 50_000,
    table: int | str | None = None,
) -> Iterator[Table]:
    r"""Iterate over the rows of a survey's catalogue file, with the survey's columns.

    Parameters
    ----------
    path : str or path-like
        A file of any format of `~shredfinder.table.read_catalogue`.
    survey : str or `~shredfinder.surveys.CatalogPreset`, optional
        Name or alias of the survey, or a catalogue with other column names.
    columns : sequence of str, optional
        Columns to read in addition to those that the cuts read.
    chunk_rows : int, optional
        Number of rows to read at a time, from FITS and CSV files.
    table : int or str, optional
        As for `read_candidates`.

    Yields
    ------
    rows : `~astropy.table.Table`
        The next rows of the file, without any cut. Second entries of sources in brick overlaps
        are left out. A file without rows yields one empty table.

    Raises
    ------
    FileNotFoundError, ValueError
        As for `read_candidates`.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from shredfinder.catalogs import iter_rows
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "sdss.csv"
    ...     _ = path.write_text("objID,ra,dec,note\n1,143.1,21.5,a\n2,143.2,21.5,b\n")
    ...     [rows["objID"].tolist() for rows in iter_rows(path, "sdss-dr17", chunk_rows=1)]
    [[1], [2]]
    """
    preset = get_catalog_preset(survey)
    rows = _open(Path(path), chunk_rows, _useful_columns(preset, columns), table)
    while True:
        # Only reading may blame the file: the caller's own errors pass through unchanged.
        with reading_errors(Path(path), "the catalogue", has_columns=True):
            chunk = next(rows, None)
        if chunk is None:
            return
        yield _drop_duplicates(chunk, preset)


def _useful_columns(
    preset: CatalogPreset, columns: Sequence[str] | Literal["all"] | None
) -> set[str]:
    """Return all columns that may be needed, in lower case: files have many more."""
    names = [preset.objid, preset.ra, preset.dec, *preset.composite_names]
    names += [name for role in preset.names for name in preset.names_of(role)]
    names += raw_columns(preset, columns)
    names += [preset.primary] if preset.primary else []
    return {name.lower() for name in names}


def _drop_duplicates(rows: Table, preset: CatalogPreset) -> Table:
    """Select one entry of each source in brick overlaps, where the file marks them."""
    column = find_column(rows, preset.primary, required=False) if preset.primary else None
    if column is None or not len(rows):
        return rows
    return rows[to_bools(rows[column], column)]


def _open(
    path: Path, chunk_rows: int, names: set[str], table: int | str | None = None
) -> Iterator[Table]:
    check_input(path)
    try:
        kind = identify_file(path)
    except registry.IORegistryError:
        raise ValueError(
            f"unknown format of catalogue {path.name}: use FITS, CSV, VOTable, Parquet, HDF5 or "
            "ECSV, with the usual extension; rename or convert the file"
        ) from None
    if kind == "ascii.csv" and table is None:
        return _csv_chunks(path, chunk_rows)
    if kind == "fits":
        return _fits_chunks(path, chunk_rows, names, table)
    return _table_chunks(path, chunk_rows, table)


def _table_chunks(path: Path, chunk_rows: int, table: int | str | None) -> Iterator[Table]:
    """Iterate over a file of a format that is read whole."""
    rows = normalize(read_table(path, table))
    for start in range(0, max(len(rows), 1), chunk_rows):
        yield rows[start : start + chunk_rows]


def _fits_chunks(
    path: Path, chunk_rows: int, names: set[str], table: int | str | None
) -> Iterator[Table]:
    with fits.open(path, memmap=True) as hdus:
        number = find_fits_table(hdus, path, table)
        n_rows = hdus[number].header["NAXIS2"]
    for start in range(0, max(n_rows, 1), chunk_rows):
        # Reopened for each chunk, so that no chunk's pages and converted columns stay in memory.
        with fits.open(path, memmap=True) as hdus:
            data = hdus[number].data
            rows = data[start : start + chunk_rows]
            kept = [name for name in data.names if name.lower() in names]
            chunk = Table({name: _mask_null(data, rows, name) for name in kept}, copy=False)
            # Views of the memory map would keep the file open.
            del data, rows
        yield normalize(chunk)


def _mask_null(data, rows, name):
    """Return a column's values, masked where they are the column's null value (TNULL)."""
    values, null = np.array(rows[name]), data.columns[name].null
    if values.dtype.kind not in "iu" or not isinstance(null, (int, np.integer)):
        return values
    # Unsigned integers are stored as signed ones.
    mask = values == null + int(data.columns[name].bzero or 0)
    return MaskedColumn(values, mask=mask) if mask.any() else values


def _csv_chunks(path: Path, chunk_rows: int) -> Iterator[Table]:
    with open_text(path) as file:
        _, delimiter, header, lines = split_header(file)
        if not header:
            raise ValueError(f"{path.name} is empty: the first line must contain the column names")
        # A file with only a header yields one chunk, for its columns.
        first = True
        while (rows := list(itertools.islice(lines, chunk_rows))) or first:
            first = False
            yield read_csv_lines([header, *rows], delimiter)


def _check(
    chunk: Table,
    path: Path,
    preset: CatalogPreset,
    columns: Sequence[str] | Literal["all"] | None,
    ebv: Reddening | None,
) -> list[str]:
    """Check that a file has all required columns, and list the survey's columns to keep."""
    has = {name.lower() for name in chunk.colnames}
    needed = [preset.ra, preset.dec]
    # Files of some surveys identify a source by several columns instead.
    if preset.objid.lower() not in has:
        needed += preset.composite_names or [preset.objid]
    # Files need not have every column of the database, unless the user names it.
    if columns == "all":
        wanted = [name for name in raw_columns(preset, "all") if name.lower() in has]
    else:
        wanted = raw_columns(preset, columns)
    missing = [name for name in [*needed, *wanted] if name.lower() not in has]
    if missing:
        raise KeyError(
            f"{path.name} lacks columns of {preset.survey}: {', '.join(missing)}. Columns of "
            f"{preset.survey} that it has: {', '.join(chunk.colnames) or 'none'}"
        )
    if preset.needs_ebv and ebv is None and "ebv" not in has:
        raise KeyError(
            f"{path.name} has no column ebv, and {preset.survey} has no extinction: pass ebv= as a "
            "value in mag or as a function of positions"
        )
    return wanted
