"""Catalogue files that are read and written in parts.

The rows of FITS and Parquet files are copied into the output unchanged, with the new columns, so
that memory does not grow with the catalogue. Files of other formats are read into memory.
"""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shredfinder._utils.files import atomic_write, list_extensions
from shredfinder._utils.table_files import warn_of_lost_parts
from shredfinder.bulk.parquet_store import ParquetStore
from shredfinder.table.columns import (
    FLAG_NAME,
    FLAG_WIDTH,
    OPTIONAL_NAMES,
    P_NAME,
    score_template,
    write_columns,
)
from shredfinder.table.files import (
    check_writing,
    identify_format,
    read_catalogue,
    write_catalogue,
)
from shredfinder.table.tables import ShredTable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from astropy.table import Table

    from shredfinder._utils.validation import PathLike

    GetColumns = Callable[[int, int], dict[str, np.ndarray]]

__all__ = ["FitsStore", "ParquetStore", "TableStore", "open_store"]

# FITS headers and data are padded to multiples of this many bytes.
_FITS_BLOCK = 2880
_OWN_NAMES = {P_NAME, FLAG_NAME, *OPTIONAL_NAMES}
_COPY_BLOCK = 2**20
# astropy's markers of column metadata in the comments of a FITS header
_YAML_BEGIN = "--BEGIN-ASTROPY-SERIALIZED-COLUMNS--"
_YAML_END = "--END-ASTROPY-SERIALIZED-COLUMNS--"


def open_store(
    path: PathLike,
    output: PathLike,
    table: int | str | None = None,
    optional: Sequence[str] = (),
    exact: Sequence[str] = (),
) -> FitsStore | ParquetStore | TableStore:
    """Open a catalogue with as little memory as possible, and check that it can be written.

    Parameters
    ----------
    path : path-like
        The catalogue.
    output : path-like
        The output file, which is not changed. Rows are copied in parts if both files are FITS,
        or both are Parquet.
    table : int or str, optional
        Table to read, as for `~shredfinder.table.read_catalogue`; it is read into memory.
    optional : sequence of str, optional
        Optional columns that will be written.
    exact : sequence of str, optional
        Columns that name image files, as for `~shredfinder.table.read_catalogue`.

    Returns
    -------
    store : FitsStore, ParquetStore or TableStore
        The catalogue.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If the file is not a table of a known format, or the output's format cannot hold it.
    OSError
        If the output cannot be written.
    """
    path, output = Path(path), Path(output)
    kind = identify_format(output)
    store_class = _choose_store(path, output, kind) if table is None else None
    store = TableStore(path, table, exact) if store_class is None else store_class(path)
    store.check(output, (P_NAME, FLAG_NAME, *optional))
    return store


def _choose_store(path, output, kind):
    # astropy writes compressed files.
    if not path.is_file() or output.suffix.lower() in (".gz", ".bz2", ".xz"):
        return None
    fitting = [cls for cls in (FitsStore, ParquetStore) if cls.format == kind and cls.suits(path)]
    return fitting[0] if fitting else None


class TableStore:
    """A catalogue of any format, in memory.

    Parameters
    ----------
    path : path-like
        The catalogue.
    table : int or str, optional
        Table to read, if the file holds several.
    exact : sequence of str, optional
        Columns that name image files.

    Attributes
    ----------
    table : ShredTable
        All rows.
    n_rows : int
        Number of rows.
    template : ShredTable
        At most one row, for names, units and metadata.
    """

    def __init__(
        self, path: PathLike, table: int | str | None = None, exact: Sequence[str] = ()
    ) -> None:
        self.table = read_catalogue(path, table, exact=exact)
        warn_of_lost_parts(path, table)
        self.n_rows = len(self.table)
        self.template = self.table[:1]

    def check(self, output: PathLike, added: Sequence[str]) -> None:
        """Check that the output can be written, before rows are scored.

        Parameters
        ----------
        output : path-like
            The output file, which is not changed.
        added : sequence of str
            Columns that will be added.

        Raises
        ------
        OSError, ValueError
            As for `~shredfinder.table.check_writing`.
        """
        check_writing(self.table, output, added)

    def read(self, start: int, stop: int, names: Sequence[str] | None = None) -> Table:
        """Read rows.

        Parameters
        ----------
        start, stop : int
            First row, and the row after the last.
        names : sequence of str, optional
            Columns to read, by default all.

        Returns
        -------
        table : `~astropy.table.Table`
            The rows.
        """
        table = self.table if names is None else self.table[list(names)]
        return table[start:stop]

    def write(
        self,
        output: PathLike,
        columns: GetColumns,
        provenance: dict[str, str],
        prior: float | None,
        optional: Sequence[str] = (),
    ) -> None:
        """Write all rows with their scores atomically.

        Parameters
        ----------
        output : path-like
            The file.
        columns : callable
            Returns the score columns by name, given the first row and the row after the last.
        provenance, prior
            As for `~shredfinder.table.columns.write_columns`.
        optional : sequence of str, optional
            Names of the optional columns.
        """
        write_columns(self.table, columns(0, self.n_rows), provenance, prior)
        write_catalogue(self.table, output)


class FitsStore:
    """A FITS file with one table of fixed row length, read in parts; see `TableStore`.

    Parameters
    ----------
    path : path-like
        The catalogue.
    part : int, optional
        Rows that are copied at a time.
    """

    format = "fits"

    def __init__(self, path: PathLike, *, part: int = 16_384) -> None:
        from astropy.io import fits

        self._path, self._part = Path(path), part
        with fits.open(path, memmap=True) as hdus:
            # `suits` has checked that there is exactly one.
            hdu = next(h for h in hdus if isinstance(h, fits.BinTableHDU))
            self._header = hdu.header.copy()
            place = hdu.fileinfo()
        self._offset = place["datLoc"]
        # The primary header and all other extensions are copied as they are.
        self._start, self._end = place["hdrLoc"], place["datLoc"] + place["datSpan"]
        self.n_rows, self._width = self._header["NAXIS2"], self._header["NAXIS1"]
        self.template = self.read(0, min(1, self.n_rows))

    @classmethod
    def suits(cls, path: Path) -> bool:
        """Return whether this class copies the file exactly."""
        from astropy.io import fits

        with path.open("rb") as file:
            if not file.read(10).startswith(b"SIMPLE  ="):  # for example a compressed file
                return False
        try:
            with warnings.catch_warnings(), fits.open(path, memmap=True) as hdus:
                # A file that astropy must repair is not copied byte by byte.
                warnings.simplefilter("error")
                tables = [
                    h
                    for h in list_extensions(hdus)
                    if isinstance(h, (fits.BinTableHDU, fits.TableHDU))
                ]
                if len(tables) != 1 or type(tables[0]) is not fits.BinTableHDU:
                    return False
                header = tables[0].header
                names = tables[0].columns.names
                end = tables[0].fileinfo()["datLoc"] + header["NAXIS1"] * header["NAXIS2"]
        except Exception:  # read_catalogue then reads the file and explains the error
            return False
        # Arrays of variable length are stored outside the rows. Score columns are replaced.
        is_plain = header["PCOUNT"] == 0 and not _OWN_NAMES & set(names)
        return is_plain and header["NAXIS2"] > 0 and end <= path.stat().st_size

    def check(self, output: PathLike, added: Sequence[str]) -> None:
        """Check that the output can be written; see `TableStore.check`."""
        check_writing(self.template, output, added)

    def read(self, start: int, stop: int, names: Sequence[str] | None = None) -> Table:
        """Read rows; see `TableStore.read`."""
        from astropy.io import fits

        header = self._header.copy()
        header["NAXIS2"] = stop - start
        with self._path.open("rb") as file:
            rows = self._read_rows(file, start, stop)
        # astropy reads the rows as a file, with units and null values.
        content = header.tostring().encode("ascii") + _pad(rows)
        table = ShredTable.read(fits.BinTableHDU.fromstring(content))
        return table if names is None else table[list(names)]

    def _read_rows(self, file, start, stop):
        file.seek(self._offset + start * self._width)
        rows = file.read((stop - start) * self._width)
        if len(rows) != (stop - start) * self._width:
            raise ValueError(f"the catalogue {str(self._path)!r} became shorter while it was read")
        return rows

    def write(
        self,
        output: PathLike,
        columns: GetColumns,
        provenance: dict[str, str],
        prior: float | None,
        optional: Sequence[str] = (),
    ) -> None:
        """Write all rows with their scores; see `TableStore.write`."""
        header = self._make_header(provenance, prior, optional)
        with (
            atomic_write(output) as temporary,
            temporary.open("wb") as file,
            self._path.open("rb") as source,
        ):
            _copy_bytes(source, file, 0, self._start)
            file.write(header.tostring().encode("ascii"))
            for start in range(0, self.n_rows, self._part):
                stop = min(start + self._part, self.n_rows)
                # A row of a FITS table is the bytes of its columns one after another, numbers
                # big-endian:
                # the new columns are appended to the old rows as bytes.
                p_cnn, flags, *more = columns(start, stop).values()
                parts = [
                    np.frombuffer(self._read_rows(source, start, stop), np.uint8),
                    np.asarray(p_cnn, dtype=">f4").view(np.uint8),
                    np.asarray(flags, dtype=f"S{FLAG_WIDTH}").view(np.uint8),
                    *(np.asarray(values, dtype=">f4").view(np.uint8) for values in more),
                ]
                rows = np.concatenate([part.reshape(stop - start, -1) for part in parts], axis=1)
                file.write(rows.tobytes())
            # -n % block is the number of bytes missing to a whole block.
            file.write(b"\0" * (-header["NAXIS1"] * self.n_rows % _FITS_BLOCK))
            _copy_bytes(source, file, self._end, os.path.getsize(self._path))

    def _make_header(self, provenance, prior, optional):
        """Return the old header with the new columns and their metadata."""
        from astropy.io import fits

        scored = score_template(self.template, provenance, prior, optional)
        # astropy writes a scored row to a file in memory, whose header is then the model for ours.
        example = io.BytesIO()
        scored.write(example, format="fits")
        example.seek(0)
        model = fits.getheader(example, 1)
        header = self._header.copy()
        n = header["TFIELDS"]
        header["TFIELDS"] = n + 2 + len(optional)
        header["NAXIS1"] = self._width + 4 + FLAG_WIDTH + 4 * len(optional)
        # New TTYPEn and TFORMn go after the last keyword of the last column, such as TUNIT12.
        last = [key for key in header if key.endswith(str(n)) and key[0] == "T"][-1]
        new = [("TTYPE", P_NAME), ("TFORM", "E"), ("TTYPE", FLAG_NAME)]
        new.append(("TFORM", f"{FLAG_WIDTH}A"))
        for name in optional:
            new += [("TTYPE", name), ("TFORM", "E")]
        for i, (key, value) in enumerate(new):
            # Two keywords per column, so i // 2 counts the columns.
            header.insert(last, (f"{key}{n + 1 + i // 2}", value), after=True)
            last = f"{key}{n + 1 + i // 2}"
        # Units, descriptions and meta of columns stand as YAML in the COMMENT cards. The old block
        # is
        # replaced by the example's, which describes old and new columns; other comments stay.
        comments = [str(line) for line in header.get("COMMENT", [])]
        if _YAML_BEGIN in comments:
            first, end = comments.index(_YAML_BEGIN), comments.index(_YAML_END)
            del comments[first : end + 1]
        made = [str(line) for line in model["COMMENT"]]
        made = made[made.index(_YAML_BEGIN) : made.index(_YAML_END) + 1]
        header.remove("COMMENT", ignore_missing=True, remove_all=True)
        for line in [*comments, *made]:
            header.add_comment(line)
        # The checksums of the old table are invalid for the new one.
        for key in ("CHECKSUM", "DATASUM"):
            header.remove(key, ignore_missing=True)
        return header


def _copy_bytes(source, target, start, stop):
    """Copy a part of one file to the end of another, block by block."""
    source.seek(start)
    while start < stop:
        block = source.read(min(_COPY_BLOCK, stop - start))
        if not block:
            return
        target.write(block)
        start += len(block)


def _pad(data):
    return data + b"\0" * (-len(data) % _FITS_BLOCK)
