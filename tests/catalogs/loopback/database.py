"""Tables in SQLite, which understands ADQL and SkyServer's SQL after a few replacements."""

import math
import re
import sqlite3

import numpy as np
from astropy.table import Table

_FLAGS = {"SATURATED": 0x40000, "BINNED1": 0x10000000, "BAD_COUNTS_ERROR": 0x10000000000}
_UCDS = {"ra": "pos.eq.ra;meta.main", "dec": "pos.eq.dec;meta.main", "flux_r": "phot.flux;em.opt.R"}
_UNITS = {"ra": "deg", "dec": "deg", "shape_r": "arcsec", "flux_r": "nanomaggy"}


def contains(ra, dec, ra0, dec0, radius):
    a, d, a0, d0 = map(math.radians, (ra, dec, ra0, dec0))
    cosine = math.sin(d) * math.sin(d0) + math.cos(d) * math.cos(d0) * math.cos(a - a0)
    return int(math.degrees(math.acos(min(1.0, cosine))) <= radius)


class SkyDatabase:
    """Tables by name; ``schema.table`` with a schema."""

    def __init__(self, tables, *, hidden=()):
        self._connection = sqlite3.connect(":memory:", check_same_thread=False)
        self._connection.create_function("CONTAINS5", 5, contains, deterministic=True)
        for name, function in (("SIN", math.sin), ("COS", math.cos), ("RADIANS", math.radians)):
            self._connection.create_function(name, 1, function, deterministic=True)
        self._connection.create_function("SQRT", 1, lambda x: None if x is None else x**0.5)
        self._kinds = {}
        schemas = {name.partition(".")[0] for name in tables if "." in name} | {"TAP_SCHEMA"}
        for schema in schemas:
            self._connection.execute(f"ATTACH DATABASE ':memory:' AS {schema}")
        known = []
        for name, table in tables.items():
            self._store(name, table)
            known += [
                (name, c, _UNITS.get(c, ""), _UCDS.get(c, ""), f"The {c} of a source")
                for c in table.colnames
                if c not in hidden
            ]
        names = ("table_name", "column_name", "unit", "ucd", "description")
        self._store("TAP_SCHEMA.columns", Table(rows=known, names=names))

    def _store(self, name, table):
        columns = ", ".join(f'"{column}"' for column in table.colnames)
        self._connection.execute(f"CREATE TABLE {name} ({columns})")
        marks = ", ".join("?" * len(table.colnames))
        rows = zip(*(_plain(table[column]) for column in table.colnames), strict=True)
        self._connection.executemany(f"INSERT INTO {name} VALUES ({marks})", rows)
        self._kinds[name] = {column: table[column].dtype for column in table.colnames}

    def kinds(self, text):
        """Return the types of the columns of a query."""
        tables = [kinds for name, kinds in self._kinds.items() if name in text]
        return {column: kind for kinds in tables for column, kind in kinds.items()}

    def run(self, text):
        """Run a query; raises sqlite3.Error if it is invalid."""
        cursor = self._connection.execute(_translate(text))
        names = [column[0] for column in cursor.description]
        return names, cursor.fetchall()


def _plain(column):
    # SQLite has no NaN, and reads NumPy integers as bytes.
    values = column.tolist()
    return [None if isinstance(v, float) and not np.isfinite(v) else v for v in values]


def _translate(text):
    number = r"([-+0-9.e]+)"
    text = re.sub(
        rf"1 = CONTAINS\(POINT\('ICRS', (\S+), (\S+)\), "
        rf"CIRCLE\('ICRS', {number}, {number}, {number}\)\)",
        r"1 = CONTAINS5(\1, \2, \3, \4, \5)",
        text,
    )
    found = re.search(rf"dbo\.fGetNearbyObjEq\({number}, {number}, {number}\)", text)
    if found:
        ra, dec, arcmin = found.groups()
        rows = (
            f"(SELECT objID FROM PhotoPrimary WHERE CONTAINS5(ra, dec, {ra}, {dec}, {arcmin}/60.))"
        )
        text = text.replace(found.group(0), rows)
    text = re.sub(r"dbo\.fPhotoFlags\('(\w+)'\)", lambda m: str(_FLAGS[m.group(1)]), text)
    top = re.match(r"\s*SELECT TOP (\d+) ", text)
    if top:
        text = text.replace(top.group(0), "SELECT ", 1) + f" LIMIT {top.group(1)}"
    return text
