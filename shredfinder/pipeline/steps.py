"""Tables of the finished steps of a search, kept in a folder so that the search can resume."""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astropy.table import Table

from shredfinder._utils.files import atomic_write
from shredfinder._utils.leftovers import lock_folder
from shredfinder.table import read_catalogue, write_catalogue

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Self

    from shredfinder._utils.validation import PathLike
    from shredfinder.table.tables import ShredTable

__all__ = ["StepFolder", "digest_table", "name_hosts", "name_images", "to_plain"]

_RECORD = "steps.json"
# Options of queries and downloads that do not change the result.
_IRRELEVANT = ("cache", "rate", "timeout", "time_limit")


class StepFolder:
    """A folder with one table per step, and a record of the settings behind each.

    A step's table is reused if its settings and those of all earlier steps are unchanged, and the
    file is the one that was written with them. Tables are written atomically.

    As a context manager the folder is reserved: another process is refused.

    Parameters
    ----------
    path : path-like or None
        The folder, created if it does not exist. None keeps nothing.
    resume : bool, optional
        Whether to reuse tables in the folder; otherwise every step is rerun.

    Examples
    --------
    >>> import tempfile
    >>> from astropy.table import Table
    >>> from shredfinder.pipeline import StepFolder
    >>> def make():
    ...     print("making")
    ...     return Table({"objid": [1, 2]})
    >>> with tempfile.TemporaryDirectory() as path:
    ...     first = StepFolder(path).run("query", make, {"radius": 0.5})
    ...     again = StepFolder(path).run("query", make, {"radius": 0.5})
    ...     other = StepFolder(path).run("query", make, {"radius": 0.6})
    making
    making
    >>> again["objid"].tolist()
    [1, 2]
    """

    def __init__(self, path: PathLike | None, *, resume: bool = True) -> None:
        self.path = None if path is None else Path(path)
        self.reused: list[str] = []
        self._digests: dict[str, str] = {}
        self._record: dict[str, Any] = {}
        self._resume = resume
        self._lock = contextlib.ExitStack()
        if self.path is not None:
            self.path.mkdir(parents=True, exist_ok=True)
            self._read()

    def __enter__(self) -> Self:
        if self.path is not None:
            self._lock.enter_context(lock_folder(self.path))
            # Another process may have written since the first reading.
            self._read()
        return self

    def __exit__(self, *exception: object) -> None:
        self._lock.close()

    def _read(self) -> None:
        if self.path is not None and self._resume:
            self._record = _read_record(self.path / _RECORD)

    def run(
        self,
        name: str,
        make: Callable[..., Any],
        settings: dict[str, Any],
        *,
        after: Sequence[str] = (),
        accept: Callable[..., Any] | None = None,
    ) -> ShredTable:
        """Return a step's table: the one in the folder if it is current, else a new one.

        Parameters
        ----------
        name : str
            Name of the step and of its file.
        make : callable
            Makes the table; called without arguments, and only if it is needed.
        settings : dict
            JSON-serialisable settings that the table depends on.
        after : sequence of str, optional
            Earlier steps that it depends on.
        accept : callable, optional
            Called with a table from the folder; if it returns False the step is rerun, as for a
            table with rows that can be retried.

        Returns
        -------
        table : `~shredfinder.ShredTable`
            The table.
        """
        # Digests are chained: a changed setting invalidates all later steps too.
        chain = [settings, [self._digests[step] for step in after]]
        text = json.dumps(chain, sort_keys=True, default=str)
        digest = hashlib.sha256(text.encode()).hexdigest()
        self._digests[name] = digest
        if self.path is None:
            return make()
        file = self.path / f"{name}.ecsv"
        known = self._record.get(name, {})
        # The content is compared, since a kill may have left a new table with an old record.
        if known.get("digest") == digest and known.get("sha256") == _digest_file(file):
            try:
                table = read_catalogue(file)
            except ValueError:
                table = None  # a damaged file counts as missing
            if table is not None and (accept is None or accept(table)):
                self.reused.append(name)
                return table
        table = make()
        write_catalogue(table, file)
        self._record[name] = {
            "digest": digest,
            "sha256": _digest_file(file),
            "settings": json.loads(json.dumps(settings, default=str)),
            "rows": len(table),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        # After the table: a record never describes a table that is not there yet.
        with atomic_write(self.path / _RECORD) as temporary:
            temporary.write_text(json.dumps(self._record, indent=1))
        return table


def _digest_file(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _read_record(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def digest_table(table: Table | None) -> str | None:
    """Compute a hash of a table's content; None for no table."""
    if table is None:
        return None
    # As text, which is the same for a table read from a file and one in memory.
    text = "\n".join(table.pformat(max_lines=-1, max_width=-1))
    return hashlib.sha256(text.encode()).hexdigest()


def name_hosts(hosts: PathLike | Table | None) -> str:
    """Name the source of the hosts, for the record."""
    if hosts is None:
        return "none"
    if isinstance(hosts, Table):
        return hosts.meta.get("catalog", f"a table of {len(hosts)} rows")
    return "NASA-Sloan Atlas v1.0.1" if str(hosts) == "nsa" else str(hosts)


def name_images(images: dict[str, Any]) -> str:
    """Name the source of the cutouts, for the record."""
    if "cutouts" in images:
        return f"{images['cutouts']}, {images['pattern']}"
    service = images["service"].cutout_service
    return f"{service.name} {getattr(service, 'base_url', '')}".strip()


def to_plain(value: Any) -> Any:
    """Convert a setting to JSON-serialisable values, by text where nothing simpler fits."""
    if is_dataclass(value) and not isinstance(value, type):
        value = {entry.name: getattr(value, entry.name) for entry in fields(value)}
    if isinstance(value, dict):
        return {key: to_plain(item) for key, item in value.items() if key not in _IRRELEVANT}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    if callable(value):
        return getattr(value, "__qualname__", None) or type(value).__name__
    return str(value)
