"""Parquet catalogues, whose rows Arrow copies to the output as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from shredfinder._utils.arrow import column_from_arrow
from shredfinder._utils.files import atomic_write, temporary_beside, writing_errors
from shredfinder._utils.parquet import check_names, describe_columns, table_from_arrow
from shredfinder._utils.runtime import import_optional
from shredfinder.table.columns import (
    FLAG_NAME,
    FLAG_WIDTH,
    OPTIONAL_NAMES,
    P_NAME,
    score_template,
    to_arrow,
)
from shredfinder.table.tables import ShredTable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from astropy.table import Table

    from shredfinder._utils.validation import PathLike

__all__ = ["ParquetStore"]

_OWN_NAMES = (P_NAME, FLAG_NAME, *OPTIONAL_NAMES)
# Bytes of a column that are read at a time
_BUFFER = 2**18


class ParquetStore:
    """A Parquet file, read in parts; see `TableStore`.

    astropy sees only the columns from which images are found. Columns of any type are copied.

    Parameters
    ----------
    path : path-like
        The catalogue.
    part : int, optional
        Rows that are copied at a time.
    """

    format = "parquet"

    def __init__(self, path: PathLike, *, part: int = 16_384) -> None:
        parquet = import_optional("pyarrow.parquet", "reading Parquet")
        self._part = part
        # Buffered, so that a file with a single large row group is not read at once. Arrow opens
        # the path itself: its threads may outlive an open file of Python's.
        self._file = parquet.ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False)
        self._schema = self._file.schema_arrow
        groups = [
            self._file.metadata.row_group(i).num_rows for i in range(self._file.num_row_groups)
        ]
        # First row of each row group, and the number of rows at the end.
        self._starts = np.concatenate([[0], np.cumsum(groups, dtype=int)])
        self.n_rows = int(self._starts[-1])
        self._flat = [f.name for f in self._schema if _is_flat(f.type) or f.name in _OWN_NAMES]
        self.template = self._to_table(self._read_first())

    @classmethod
    def suits(cls, path: Path) -> bool:
        """Return whether this class copies the file exactly."""
        try:
            parquet = import_optional("pyarrow.parquet", "reading Parquet")
            with parquet.ParquetFile(path) as file:
                names = file.schema_arrow.names
                check_names(names)
        except Exception:  # read_catalogue then reads the file and explains the error
            return False
        # astropy stores a masked p_cnn as two columns, which cannot be replaced by one.
        return not {f"{name}.mask" for name in _OWN_NAMES} & set(names)

    def check(self, output: PathLike, added: Sequence[str]) -> None:
        """Check that the output can be written; see `TableStore.check`."""
        parquet = import_optional("pyarrow.parquet", "writing Parquet")
        with temporary_beside(output) as temporary, writing_errors(output):
            parquet.ParquetWriter(temporary, self._schema).close()

    def read(self, start: int, stop: int, names: Sequence[str] | None = None) -> Table:
        """Read rows; see `TableStore.read`. Nested columns are read only if they are named."""
        if names is not None and set(names) <= set(self._schema.names):
            rows = self._read_arrow(start, stop, names)
            table = ShredTable({name: column_from_arrow(rows[name]) for name in names})
            # astropy keeps the units in the metadata of the file.
            for name in set(names) & set(self.template.colnames):
                table[name].unit = self.template[name].info.unit
            return table
        table = self._to_table(self._read_arrow(start, stop, self._flat))
        return table if names is None else table[list(names)]

    def _read_arrow(self, start, stop, names):
        # Row groups that overlap [start, stop): only whole groups can be read.
        first = int(np.searchsorted(self._starts, start, side="right")) - 1
        end = int(np.searchsorted(self._starts, stop, side="left"))
        if first >= end:
            return self._schema.empty_table().select(list(names))
        rows = self._file.read_row_groups(list(range(first, end)), columns=list(names))
        return rows.slice(start - self._starts[first], stop - start)

    def _read_first(self):
        pa = import_optional("pyarrow", "reading Parquet")
        if not self.n_rows:
            return self._schema.empty_table().select(self._flat)
        first = next(self._file.iter_batches(1, columns=self._flat))
        return pa.Table.from_batches([first]).select(self._flat)

    def _to_table(self, rows):
        return ShredTable(table_from_arrow(rows), copy=False)

    def write(
        self,
        output: PathLike,
        columns: Callable[[int, int], dict[str, np.ndarray]],
        provenance: dict[str, str],
        prior: float | None,
        optional: Sequence[str] = (),
    ) -> None:
        """Write all rows with their scores; see `TableStore.write`."""
        pa = import_optional("pyarrow", "writing Parquet")
        parquet = import_optional("pyarrow.parquet", "writing Parquet")
        schema = self._make_schema(provenance, prior, optional)
        start = 0
        with (
            atomic_write(output) as temporary,
            parquet.ParquetWriter(temporary, schema, compression=self._compression) as writer,
        ):
            # Batches may be shorter than _part, hence the running count.
            for batch in self._file.iter_batches(self._part):
                scores = columns(start, start + len(batch))
                made = dict(zip(scores, to_arrow(*scores.values()), strict=True))
                start += len(batch)
                arrays = [made[n] if n in made else batch.column(n) for n in schema.names]
                writer.write_table(pa.Table.from_arrays(arrays, schema=schema))

    @property
    def _compression(self):
        if not self._file.num_row_groups or not len(self._schema):
            return "snappy"
        codec = self._file.metadata.row_group(0).column(0).compression
        return "none" if codec == "UNCOMPRESSED" else codec

    def _make_schema(self, provenance: Any, prior: Any, optional: Sequence[str]) -> Any:
        """Return the old schema with the score columns, in place of earlier ones or at the end."""
        pa = import_optional("pyarrow", "writing Parquet")
        scored = score_template(self.template, provenance, prior, optional)
        kinds = {P_NAME: pa.float32(), FLAG_NAME: pa.string()}
        kinds |= dict.fromkeys(optional, pa.float32())
        # Optional columns of an earlier run do not belong to these scores.
        stale = set(_OWN_NAMES) - set(scored.colnames)
        fields = [
            pa.field(field.name, kinds.pop(field.name)) if field.name in kinds else field
            for field in self._schema
            if field.name not in stale
        ]
        fields += [pa.field(name, kind) for name, kind in kinds.items()]
        kept = dict(self._schema.metadata or {})
        schema = pa.schema(fields, metadata=kept)
        new = scored[[P_NAME, FLAG_NAME, *optional]]
        kept[b"table_meta_yaml"] = describe_columns(schema, new)
        # astropy reads strings faster, and without a warning, if it knows their width.
        kept[f"table::len::{FLAG_NAME}".encode()] = str(FLAG_WIDTH).encode()
        return schema.with_metadata(kept)


def _is_flat(kind):
    import pyarrow as pa

    return pa.types.is_fixed_size_list(kind) or not pa.types.is_nested(kind)
