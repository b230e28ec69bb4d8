"""All rows of a region, from services that limit the rows of one response."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from astropy.table import Column, MaskedColumn, Table, vstack

from shredfinder._utils.units import to_strings
from shredfinder.exceptions import BadResponseError, TransientServiceError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from tqdm import tqdm

    from shredfinder._net.client import HttpClient
    from shredfinder.catalogs.query_cache import QueryCache
    from shredfinder.catalogs.regions import Box, Circle

    class QueryService(Protocol):
        """What `TapService` and `SkyServer` have in common."""

        endpoint: str

        def limit(self, max_rows: int) -> int: ...

        def ask(
            self, text: str, *, max_rows: int, n_rows: int | None = None, short: bool = False
        ) -> tuple[Table, bool]: ...


__all__ = ["CachedService", "fetch_region", "make_client", "normalize"]

# Pause in seconds before the first retry of a failed query.
_PAUSE = 2.0
# How often a region is split in a row because its queries fail, before the service counts as down.
_FAILED_SPLITS = 3


def make_client(timeout: float, *, rate: float | None = None) -> HttpClient:
    """Create the HTTP client of a catalogue service.

    Queries are slow: a failed one is retried once, but not after ``timeout``. What failed twice
    is too much for the service: the callers send smaller queries, or a job.

    Parameters
    ----------
    timeout : float
        Seconds that one request may take.
    rate : float, optional
        Requests per second; None for no limit, since requests are sent one at a time.

    Returns
    -------
    client : HttpClient
        The client.
    """
    # Imported here, since requests takes a while to import.
    from shredfinder._net.client import HttpClient
    from shredfinder._net.retries import RetryPolicy

    retry = RetryPolicy(attempts=2, pause=_PAUSE, total=timeout)
    return HttpClient(timeout=timeout, rate=rate, retry=retry)


def normalize(table: Table) -> Table:
    """Convert columns to plain types: str for objects, NaN for masked floats, known units.

    Parameters
    ----------
    table : `~astropy.table.Table`
        A table as pyvo or astropy reads it.

    Returns
    -------
    table : `~astropy.table.Table`
        Another table, with the columns' UCDs and descriptions.
    """
    plain = Table()
    for name in table.colnames:
        column = table[name]
        values = column.data
        if values.dtype.kind in "OS":
            values = to_strings(values, name)
        elif values.dtype.kind == "f":
            values = np.ma.filled(values, np.nan)
        values = values.astype(values.dtype.newbyteorder("="), copy=False)
        # A unit that astropy does not know adds nothing to the survey's documentation.
        unit = None if isinstance(column.unit, u.UnrecognizedUnit) else column.unit
        meta = {"ucd": column.meta["ucd"]} if column.meta.get("ucd") else {}
        # Integers have no NaN, so missing ones stay masked.
        kind = MaskedColumn if np.ma.is_masked(values) else Column
        if kind is Column:
            values = np.ma.getdata(values)
        plain[name] = kind(values, unit=unit, description=column.description, meta=meta)
    return plain


class CachedService:
    """A catalogue service whose complete results are cached.

    Parameters
    ----------
    service : TapService or SkyServer
        The service.
    survey : str
        The survey's name, for the cache.
    cache : QueryCache or None
        Where results are stored.
    """

    def __init__(self, service: QueryService, survey: str, cache: QueryCache | None) -> None:
        self.service = service
        self.survey = survey
        self.cache = cache

    def ask(self, text: str, *, max_rows: int, **hints: Any) -> tuple[Table, bool]:
        """Return the result of a query, from the cache or the service.

        Parameters
        ----------
        text, max_rows, **hints
            As for the service's ``ask``.

        Returns
        -------
        table : `~astropy.table.Table`
            The rows.
        complete : bool
            Whether these are all rows, as far as the service reports.
        """
        table = self.cache.read(self._key(text)) if self.cache is not None else None
        if table is not None:
            return table, True
        return self.service.ask(text, max_rows=max_rows, **hints)

    def keep(self, text: str, table: Table) -> None:
        """Cache a result that proved complete.

        Parameters
        ----------
        text : str
            The query.
        table : `~astropy.table.Table`
            Its result.
        """
        if self.cache is not None:
            self.cache.write(self._key(text), table)

    def _key(self, text: str) -> tuple[str, str, str]:
        return self.survey, self.service.endpoint, text

    def count(self, text: str) -> int:
        """Send a query for a count.

        Parameters
        ----------
        text : str
            The query, whose result is one number.

        Returns
        -------
        n_rows : int
            The number.
        """
        table, _ = self.ask(text, max_rows=1, short=True)
        if len(table) != 1 or len(table.colnames) != 1:
            raise BadResponseError(
                f"{self.service.endpoint} sent {len(table)} rows of {len(table.colnames)} columns "
                f"in place of one number: {text[:300]}"
            )
        value = table[table.colnames[0]][0]
        try:
            n_rows = int(value)
        except (TypeError, ValueError):
            n_rows = -1
        if n_rows < 0:
            raise BadResponseError(f"{self.service.endpoint} sent {value} as the number of rows")
        self.keep(text, table)
        return n_rows


def fetch_region(
    service: CachedService,
    query: Callable[[Box, bool], str],
    circle: Circle,
    *,
    position: tuple[str, str],
    max_rows: int,
    max_radius: float | None = None,
    verify: bool,
    bar: tqdm,
) -> tuple[Table | None, int]:
    """Fetch all rows of a region in the necessary number of requests.

    The region is divided into boxes until each holds few enough rows. A box whose result is
    truncated, as the service reports or as the service's own count shows, is divided further, as
    is one whose queries time out or break off.

    Parameters
    ----------
    service : CachedService
        The service.
    query : callable
        Returns the text of the query of a box, for its rows or for their number.
    circle : Circle
        The region.
    position : tuple of str
        Names of the columns of right ascension and declination.
    max_rows : int
        Largest number of rows per request.
    max_radius : float, optional
        Radius in degrees above which the circle is divided first.
    verify : bool
        Whether the service counts the rows first.
    bar : `tqdm.tqdm`
        Progress bar, updated by the number of rows.

    Returns
    -------
    table : `~astropy.table.Table` or None
        The rows within the circle, each once; None if the service has none.
    n_boxes : int
        Number of boxes that were fetched.

    Raises
    ------
    shredfinder.exceptions.ServiceError
        If the service fails, or a box cannot be divided further.
    """
    # A stack: reversed, so that boxes are fetched in their order.
    waiting = list(reversed(circle.boxes(max_radius)))
    parts = []
    most = max_rows
    n_boxes = n_failed = 0
    while waiting:
        box = waiting.pop()
        most = min(most, service.service.limit(max_rows))
        n_rows = None
        table, complete = None, False
        text = query(box, False)
        try:
            if verify:
                n_rows = service.count(query(box, True))
                # The server counts within a slightly larger box, so zero is certain.
                if n_rows == 0:
                    continue
            if n_rows is None or n_rows <= most:
                table, complete = service.ask(text, max_rows=most, n_rows=n_rows)
            n_failed = 0
        except TransientServiceError:
            # The query may be too slow for the service: smaller ones are not. A service that
            # fails for small regions as well is down.
            n_failed += 1
            smaller = box.split()
            if n_failed > _FAILED_SPLITS or not smaller:
                raise
            waiting.extend(reversed(smaller))
            continue
        if table is not None:
            # Even a service that truncates results silently counts correctly.
            enough = len(table) < most if n_rows is None else len(table) >= n_rows
            complete = complete and enough
        if table is None or not complete:
            if table is not None:
                # The number of rows of a truncated result is the service's limit.
                most = max(1, min(most, len(table)))
            waiting.extend(reversed(_split(box, service, most, n_rows)))
            continue
        service.keep(text, table)
        n_boxes += 1
        inside = _locate(table, position, box, circle)
        bar.update(int(np.count_nonzero(inside)))
        parts.append(table[inside])
    if not parts:
        return None, n_boxes
    return (parts[0] if len(parts) == 1 else vstack(parts, metadata_conflicts="silent")), n_boxes


def _split(box: Box, service: CachedService, most: int, n_rows: int | None) -> list[Box]:
    boxes = box.split()
    if not boxes:
        counted = f"counts {n_rows} rows" if n_rows is not None else "has more rows"
        raise BadResponseError(
            f"{service.service.endpoint} {counted} within an arcsec of RA {box.ra_min:.6f}, "
            f"Dec {box.dec_min:+.6f} but sends at most {most}: increase max_rows if it is "
            "your limit, or use another service"
        )
    return boxes


def _locate(table: Table, names: tuple[str, str], box: Box, circle: Circle) -> np.ndarray:
    """Return a mask of the rows within a box; queries cover a little more than their box."""
    found = {name.lower(): name for name in table.colnames}
    ra, dec = (np.ma.filled(table[found[name.lower()]], np.nan).astype(float) for name in names)
    # Some services give 360° for 0°.
    ra = np.where(ra >= 360.0, ra - 360.0, ra)
    return box.contains(ra, dec) & circle.contains(ra, dec)
