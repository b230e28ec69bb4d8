"""What each step of a search put out, in a folder, so that a search can go on where it stopped."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shredfinder._utils.files import atomic_write
from shredfinder.table import read_catalogue, write_catalogue

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shredfinder._utils.types import PathLike
    from shredfinder.table.tables import ShredTable

__all__ = ["StepFolder"]

_RECORD = "steps.json"


class StepFolder:
    """A folder with one table for each step, and a record of what each was made from.

    A step's table is used again if the step's settings, and those of the steps before it, are what
    they were. Tables are written whole or not at all.

    Parameters
    ----------
    path : path-like or None
        The folder, made if it is not there. None keeps nothing.
    resume : bool, optional
        Whether to use tables that are there; otherwise all are made anew.

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
        self._record = {}
        if self.path is not None:
            self.path.mkdir(parents=True, exist_ok=True)
            if resume:
                self._record = self._read_record()

    def run(
        self,
        name: str,
        make: Callable[..., Any],
        settings: dict[str, Any],
        *,
        after: Sequence[str] = (),
        accept: Callable[..., Any] | None = None,
    ) -> ShredTable:
        """Give a step's table: the one in the folder, or else a new one.

        Parameters
        ----------
        name : str
            Name of the step, and of its file.
        make : callable
            Makes the table, if it is needed.
        settings : dict
            What the table depends on: plain values that JSON can hold.
        after : sequence of str, optional
            Steps that it depends on, which ran before.
        accept : callable, optional
            Called with a table from the folder; if it returns False the table is made anew, as
            for one with rows that another try may mend.

        Returns
        -------
        table : `~shredfinder.ShredTable`
            The table.
        """
        chain = [settings, [self._digests[step] for step in after]]
        text = json.dumps(chain, sort_keys=True, default=str)
        digest = hashlib.sha256(text.encode()).hexdigest()
        self._digests[name] = digest
        if self.path is None:
            return make()
        file = self.path / f"{name}.ecsv"
        if self._record.get(name, {}).get("digest") == digest and file.exists():
            try:
                table = read_catalogue(file)
            except ValueError:
                table = None  # a damaged file is as good as none
            if table is not None and (accept is None or accept(table)):
                self.reused.append(name)
                return table
        table = make()
        write_catalogue(table, file)
        self._record[name] = {
            "digest": digest,
            "settings": json.loads(json.dumps(settings, default=str)),
            "rows": len(table),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        with atomic_write(self.path / _RECORD) as temporary:
            temporary.write_text(json.dumps(self._record, indent=1))
        return table

    def _read_record(self):
        try:
            record = json.loads((self.path / _RECORD).read_text())
        except (OSError, ValueError):
            return {}
        return record if isinstance(record, dict) else {}
