"""Reading of Parquet files into tables, for `ShredTable.read` and for catalogue files.

astropy's reader fails on null strings and rounds integers beside nulls. It also passes an open file
to Arrow, whose threads may still hold the file when Python exits. They then need Python's lock,
which ends the process with ``terminate called without an active exception`` and status 134. Here
Arrow opens the path itself, or reads a copy in its own memory: no thread holds a Python object.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.table import Column, MaskedColumn, Table, meta, serialize

from shredfinder._utils.arrow import column_from_arrow
from shredfinder._utils.runtime import import_optional

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from shredfinder._utils.validation import PathLike

__all__ = ["check_names", "describe_columns", "read_parquet", "table_from_arrow"]

_MAGIC = b"PAR1"
# Key of astropy's units, descriptions and metadata in a file's schema
_YAML_KEY = b"table_meta_yaml"
# Key of the columns that make up one of astropy's objects
_OBJECTS_KEY = "__serialized_columns__"
_ATTRIBUTES = ("unit", "format", "description", "meta")


def read_parquet(
    source: PathLike | Any,
    include_names: Sequence[str] | None = None,
    exclude_names: Sequence[str] | None = None,
    schema_only: bool = False,
    filters: Any = None,
) -> Table:
    """Read a Parquet file; the reader of ``ShredTable.read``.

    Parameters
    ----------
    source : path-like or file object
        The file.
    include_names, exclude_names : sequence of str, optional
        Columns to read, by default all, and those to leave out.
    schema_only : bool, optional
        Read no rows.
    filters : list, optional
        Conditions on rows, as for `pyarrow.parquet.read_table`.

    Returns
    -------
    table : `~astropy.table.Table`
        The rows; see `table_from_arrow`.

    Raises
    ------
    shredfinder.exceptions.MissingDependencyError
        If pyarrow is not installed.
    ValueError
        If two columns have the same name.
    """
    parquet = import_optional("pyarrow.parquet", "reading Parquet")
    file = _open_source(source)
    schema = parquet.read_schema(file)
    names = _choose_columns(schema, include_names, exclude_names)
    check_names(names)
    if schema_only:
        return table_from_arrow(schema.empty_table().select(names))
    if filters is None:
        opened = parquet.ParquetFile(file)
        # Older versions of pyarrow fail on a selection of columns without rows.
        rows = opened.read(columns=names) if opened.num_row_groups else schema.empty_table()
    else:
        # A folder named field=3 is not a column.
        rows = parquet.read_table(file, columns=names, filters=filters, partitioning=None)
    return table_from_arrow(rows.select(names))


def _open_source(source):
    """Return what Arrow reads without calling Python: a path, or a copy in Arrow's memory."""
    path = source
    if not isinstance(source, (str, os.PathLike)):
        path = getattr(source, "name", None)
        # A file object may decompress its file, or be at the end of it.
        if not isinstance(path, (str, bytes)) or not _is_parquet(path):
            pa = import_optional("pyarrow", "reading Parquet")
            source.seek(0)
            copy = pa.BufferOutputStream()
            copy.write(source.read())
            return pa.BufferReader(copy.getvalue())
    return os.fsdecode(path)


def _is_parquet(path):
    if not os.path.isfile(path):
        return False
    with open(path, "rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def check_names(names: Sequence[str]) -> None:
    """Raise ValueError if two columns have the same name, which Parquet allows."""
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"it has several columns {name!r}: rename all but one")


def _choose_columns(schema, include_names, exclude_names):
    serialized = (_read_header(schema).get("meta") or {}).get(_OBJECTS_KEY, {})
    # astropy stores times and coordinates as several columns, and lists them under one name.
    owners = {part: name for name, value in serialized.items() for part in _part_names(value)}
    included = None if include_names is None else set(include_names)
    excluded = set(exclude_names or ())
    return [
        name
        for name in schema.names
        if (included is None or owners.get(name, name) in included)
        and owners.get(name, name) not in excluded
    ]


def _part_names(value):
    """Return the names of the columns that make up one of astropy's objects."""
    if isinstance(value, dict):
        own = [value["name"]] if isinstance(value.get("name"), str) else []
        return own + [name for part in value.values() for name in _part_names(part)]
    return []


def table_from_arrow(rows: pa.Table, *, mixins: bool = True) -> Table:
    """Convert an Arrow table, with the units and metadata that astropy stored in its schema.

    Parameters
    ----------
    rows : pyarrow.Table
        ``n`` rows.
    mixins : bool, optional
        Construct times, coordinates and other objects that astropy stored as several columns.

    Returns
    -------
    table : `~astropy.table.Table`
        The rows. Columns with nulls are masked; see `column_from_arrow`.
    """
    check_names(rows.column_names)
    header = _read_header(rows.schema)
    table = Table(meta=header.get("meta"))
    stored = table.meta.get(_OBJECTS_KEY, {})
    # Objects of which not all columns were chosen
    for name in [n for n in stored if not set(_part_names(stored[n])) <= set(rows.column_names)]:
        del stored[name]
    attributes = {entry["name"]: entry for entry in header.get("datatype", [])}
    for name in rows.column_names:
        column = _as_strings(column_from_arrow(rows[name]))
        for key in _ATTRIBUTES:
            if key in attributes.get(name, {}):
                setattr(column, key, attributes[name][key])
        table.add_column(column, name=name, copy=False)
    return serialize._construct_mixins_from_columns(table) if mixins else table


def _read_header(schema):
    text = (schema.metadata or {}).get(_YAML_KEY)
    return {} if text is None else meta.get_header_from_yaml(text.decode().split("\n"))


def _as_strings(column):
    """Return text in NumPy's own type, which all formats can write."""
    values = np.ma.getdata(column)
    if values.dtype != object or not all(isinstance(value, str) for value in values):
        return column
    texts = values.astype(str)
    if isinstance(column, MaskedColumn):
        return MaskedColumn(texts, mask=column.mask)
    return Column(texts)


def describe_columns(schema: pa.Schema, scored: Table) -> bytes:
    """Return the metadata with which astropy's Parquet reader describes the columns of a file.

    Parameters
    ----------
    schema : pyarrow.Schema
        The schema, with all columns of the output.
    scored : `~astropy.table.Table`
        A table with the columns that have units, descriptions or metadata.

    Returns
    -------
    text : bytes
        The value of the schema's key ``table_meta_yaml``.
    """
    table = table_from_arrow(schema.empty_table(), mixins=False)
    for name in set(scored.colnames) & set(table.colnames):
        for key in _ATTRIBUTES:
            value = getattr(scored[name].info, key)
            setattr(table[name].info, key, value)
    return "\n".join(meta.get_yaml_from_table(table)).encode()
