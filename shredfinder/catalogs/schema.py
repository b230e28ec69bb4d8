"""The columns of a TAP service: which it has, in which table, and with which description."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from astropy.table import Table

    from shredfinder.catalogs.paging import CachedService
    from shredfinder.surveys import CatalogPreset

__all__ = [
    "Described",
    "check_columns",
    "find_alias",
    "primary_condition",
    "schema_query",
    "sort_columns",
]

#: UCD and description of each column, by table and lower-case name.
Described: TypeAlias = dict[str, dict[str, tuple[str, str]]]


def check_columns(
    service: CachedService, preset: CatalogPreset, wanted: list[str]
) -> tuple[CatalogPreset, Described, tuple[str, ...]]:
    """Query the service for its columns, and check that none is missing.

    Parameters
    ----------
    service : CachedService
        A TAP service.
    preset : CatalogPreset
        The catalogue.
    wanted : list of str
        Further columns that the user asks for.

    Returns
    -------
    preset : CatalogPreset
        The catalogue, with the tables of this service where they are found at run time.
    described : dict
        UCD and description of each column, by table and lower-case name.
    lacking : tuple of str
        Optional columns that the service lacks.
    """
    text = schema_query(list(preset.tables))
    schema, _ = service.ask(text, max_rows=100_000, short=True)
    described = sort_columns(schema, list(preset.tables))
    # TAP_SCHEMA lists no columns for a table that the service does not have.
    absent = [table for table, columns in described.items() if not columns]
    if preset.join:
        # The first table is necessary; the others only for columns that it lacks.
        absent = [table for table in absent if table == next(iter(preset.tables))]
    if absent:
        raise KeyError(
            f"{service.service.endpoint} has no table {', '.join(absent)} in its TAP_SCHEMA: pass "
            "the endpoint of a service that has it, or a CatalogPreset with the table's name there"
        )
    service.keep(text, schema)
    if preset.join:
        preset = _join_tables(preset, described, wanted)
    tables = {alias: table for table, alias in preset.tables.items()}
    optional = {name for role in preset.optional for name in preset.names_of(role)}
    missing: list[tuple[str, str]] = []
    lacking: list[tuple[str, str]] = []
    for name, alias in preset.columns.items():
        if name.lower() not in described[tables[alias]]:
            (lacking if name in optional else missing).append((tables[alias], name))
    known = {name for columns in described.values() for name in columns}
    # A column that the user asks for may be in any of the tables.
    missing += [("every table", name) for name in wanted if name.lower() not in known]
    if missing:
        names = ", ".join(f"{name} ({table})" for table, name in missing)
        raise KeyError(
            f"{service.service.endpoint} lacks columns of {preset.survey}: {names}; pass the "
            "endpoint of a service that has them, or a CatalogPreset with their names there"
        )
    return preset, described, tuple(name for _, name in lacking)


def _join_tables(preset: CatalogPreset, described: Described, wanted: list[str]) -> CatalogPreset:
    """Return the catalogue with each column's table, and the joined tables as its source."""
    (base, first), *others = preset.tables.items()
    on: dict[str, list[str]] = {first: []}
    for table, alias in others:
        shared = [c for c in preset.join if c in described[base] and c in described[table]]
        if shared:
            on[alias] = [f"{alias}.{name} = {first}.{name}" for name in shared]
    usable = {table: alias for table, alias in preset.tables.items() if alias in on}

    def find(names: Sequence[str]) -> str:
        for table, alias in usable.items():
            if all(name.lower() in described[table] for name in names):
                return alias
        return first  # reported as missing there

    aliases = {role: find(preset.names_of(role)) for role in preset.aliases}
    needed = {first, *aliases.values(), *(find([name]) for name in wanted)}
    tables = {table: alias for table, alias in usable.items() if alias in needed}
    source = f"{base} AS {first}"
    for table, alias in list(tables.items())[1:]:
        source += f" JOIN {table} AS {alias} ON {' AND '.join(on[alias])}"
    return replace(preset, aliases=aliases, tables=tables, source=source)


def primary_condition(preset: CatalogPreset, described: Described) -> list[str]:
    """Return the condition that leaves one entry of each source, if the table has the column."""
    if preset.primary is None:
        return []
    known = {name for columns in described.values() for name in columns}
    return [f"{preset.primary} = 1"] if preset.primary.lower() in known else []


def find_alias(name: str, preset: CatalogPreset, described: Described) -> str:
    """Return the alias of the table that has a column."""
    for table, alias in preset.tables.items():
        if not described or name.lower() in described[table]:
            return alias
    return ""


def schema_query(tables: Sequence[str]) -> str:
    """Write a query for the descriptions of tables in TAP_SCHEMA.

    Parameters
    ----------
    tables : sequence of str
        Names of the tables, with schema.

    Returns
    -------
    text : str
        The query, whose result `sort_columns` reads.
    """
    # Some services list tables with their schema, and some without it.
    names = [name for table in tables for name in (table, table.rpartition(".")[2])]
    # Text is compared with case, and not every service has LOWER.
    names += [name.lower() for name in names] + [name.upper() for name in names]
    quoted = ", ".join(f"'{name}'" for name in dict.fromkeys(names))
    return (
        "SELECT table_name, column_name, ucd, description FROM TAP_SCHEMA.columns "
        f"WHERE table_name IN ({quoted})"
    )


def sort_columns(result: Table, tables: Sequence[str]) -> Described:
    """Sort the descriptions in TAP_SCHEMA by table and column.

    Parameters
    ----------
    result : `~astropy.table.Table`
        Result of `schema_query`.
    tables : sequence of str
        Names of the tables, with schema.

    Returns
    -------
    columns : dict
        For each table a dict from column name, in lower case, to UCD and description; empty if
        the service does not have the table.
    """
    columns: Described = {table: {} for table in tables}
    plain = {table.rpartition(".")[2].lower(): table for table in tables}
    fields = {name.lower(): name for name in result.colnames}
    values = [
        np.ma.filled(np.ma.asarray(result[fields[name]]), "").astype(str).tolist()
        for name in ("table_name", "column_name", "ucd", "description")
    ]
    for table, column, ucd, description in zip(*values, strict=True):
        home = plain.get(table.strip().rpartition(".")[2].lower())
        if home is not None:
            words = re.sub(r"\s+", " ", description).strip()
            columns[home][column.strip(' "').lower()] = (ucd.strip(), words)
    return columns
