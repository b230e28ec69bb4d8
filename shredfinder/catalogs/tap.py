"""Table access services (TAP), queried with pyvo."""

from __future__ import annotations

import contextlib
import re
import time
import warnings
from typing import TYPE_CHECKING

from shredfinder.catalogs.paging import make_client, normalize
from shredfinder.exceptions import (
    BadResponseError,
    ServiceError,
    TransientServiceError,
    UnreachableServiceError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from astropy.table import Table
    from pyvo.dal import TAPResults

__all__ = ["TapService"]

_FINISHED = ("COMPLETED", "ERROR", "ABORTED")
# Statuses of services that do not accept asynchronous jobs.
_NO_JOBS = (400, 403, 404, 405, 501)
# Words of services that ended a query because it took too long.
_TOO_SLOW = re.compile(r"time.?out|timed out|time limit|canceling statement", re.IGNORECASE)


class TapService:
    """A TAP service.

    A synchronous query that fails twice, because it is slow or breaks off, runs as a job; if that
    fails too, the error is transient, and the caller may send smaller queries.

    Parameters
    ----------
    endpoint : str
        Base URL.
    timeout : float
        Seconds that one request, or an asynchronous job, may take.
    mode : {"auto", "sync", "async"}, optional
        Whether queries for many rows, none or all run as asynchronous jobs.
    async_rows : int, optional
        Number of rows from which ``"auto"`` runs a job.
    """

    language = "ADQL"

    def __init__(
        self, endpoint: str, *, timeout: float, mode: str = "auto", async_rows: int = 20_000
    ) -> None:
        from shredfinder._net.sessions import ClientSession

        if mode not in ("auto", "sync", "async"):
            raise ValueError(f"mode must be 'auto', 'sync' or 'async', not {mode!r}")
        self.endpoint = endpoint.rstrip("/")
        self.timeout = timeout
        self.mode = mode
        self.async_rows = async_rows
        self.jobs_refused = False
        self._client = make_client(timeout)
        self.session = ClientSession(self._client, _check_body)

    def limit(self, max_rows: int) -> int:
        """Return the largest number of rows to request at a time.

        Parameters
        ----------
        max_rows : int
            The user's limit.

        Returns
        -------
        limit : int
            A smaller number if the service refuses jobs: synchronous requests are kept short.
        """
        if self.jobs_refused and self.mode != "sync":
            return min(max_rows, self.async_rows)
        return max_rows

    def ask(
        self, text: str, *, max_rows: int, n_rows: int | None = None, short: bool = False
    ) -> tuple[Table, bool]:
        """Send a query.

        Parameters
        ----------
        text : str
            The query.
        max_rows : int
            Largest number of rows to be sent.
        n_rows : int, optional
            Number of rows of the result, if it is known.
        short : bool, optional
            Whether the result is known to be short: it needs no job then, whatever the mode.

        Returns
        -------
        table : `~astropy.table.Table`
            The rows.
        complete : bool
            Whether these are all rows, as far as the service reports.

        Raises
        ------
        shredfinder.exceptions.TransientServiceError
            If the service failed or took too long, with the query and as a job.
        shredfinder.exceptions.ServiceError
            If there is no valid response.
        """
        from pyvo.dal import DALOverflowWarning

        large = self.mode == "async" or (self.mode == "auto" and (n_rows or 0) >= self.async_rows)
        large = large and not short and not self.jobs_refused
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                result = self._run(text, max_rows, large)
                table = result.to_table()
            except UnreachableServiceError:
                # The query does not matter.
                raise
            except ServiceError as error:
                # The same kind of error, with the service and the query in its message.
                raise type(error)(
                    f"{self.endpoint} failed to run the query: {error}. The query: {text[:300]}",
                    status=error.status,
                ) from error
        # A truncated result is marked by its status, or noticed by pyvo.
        overflow = (result.query_status or "").upper() == "OVERFLOW" or any(
            issubclass(w.category, DALOverflowWarning) for w in caught
        )
        return normalize(table), not overflow

    def _run(self, text: str, max_rows: int, large: bool) -> TAPResults:
        """Run a query as a job if it is large, else synchronously; the other way if that fails."""
        if large:
            result = None
            try:
                result = self._run_job(text, max_rows)
            except _SlowJobError:
                raise
            except (TransientServiceError, BadResponseError):
                pass  # a job may fail, even with status 400, although the query is valid
            return self._run_sync(text, max_rows) if result is None else result
        try:
            return self._run_sync(text, max_rows)
        except TransientServiceError:
            if self.mode == "sync" or self.jobs_refused:
                raise
            result = None
            with contextlib.suppress(BadResponseError):
                result = self._run_job(text, max_rows)
            if result is None:
                raise
            return result

    def _run_sync(self, text: str, max_rows: int) -> TAPResults:
        from pyvo.dal import TAPQuery

        with _tap_errors():
            query = TAPQuery(self.endpoint, text, maxrec=max_rows, session=self.session)
            return query.execute()

    def _run_job(self, text: str, max_rows: int) -> TAPResults | None:
        """Run an asynchronous job; None if the service does not accept jobs."""
        with _tap_errors():
            return self._wait_for_job(text, max_rows)

    def _wait_for_job(self, text: str, max_rows: int) -> TAPResults | None:
        from pyvo.dal import AsyncTAPJob, DALServiceError

        try:
            job = AsyncTAPJob.create(self.endpoint, text, maxrec=max_rows, session=self.session)
        except ServiceError as error:
            if error.status in _NO_JOBS:
                self.jobs_refused = True
                return None
            raise
        try:
            job.run()
            end = time.monotonic() + self.timeout
            pause = 0.1
            while (phase := job.phase) not in _FINISHED:
                if time.monotonic() + pause > end:
                    raise _SlowJobError(
                        f"the job {job.url} is still {phase.lower()} after {self.timeout:g} s: "
                        "increase timeout, or decrease max_rows for shorter jobs"
                    )
                self._client.pause(pause)
                pause = min(1.5 * pause, 10.0)
            job.raise_if_error()
            return job.fetch_result()
        finally:
            # If that fails, the service deletes the job in time.
            with contextlib.suppress(DALServiceError, ServiceError):
                job.delete()


class _SlowJobError(TransientServiceError):
    """A job took too long: the same query without a job would too."""


@contextlib.contextmanager
def _tap_errors() -> Iterator[None]:
    """Raise `ServiceError` in place of pyvo's errors; a transient one where the query was slow."""
    from shredfinder._net.sessions import pyvo_errors

    try:
        with pyvo_errors():
            yield
    except BadResponseError as error:
        if _TOO_SLOW.search(str(error)):
            raise TransientServiceError(str(error), status=error.status) from error
        raise


def _check_body(content: bytes) -> None:
    """Raise if a response is a web page, or a table that breaks off; job documents pass."""
    from shredfinder._net.client import find_text

    start = content[:2000].lstrip(b"\xef\xbb\xbf \r\n\t")
    if re.match(rb"<!doctype html|<html", start, re.IGNORECASE):
        raise TransientServiceError(f"a web page came in place of a table: {find_text(content)}")
    if re.search(rb"<(\w+:)?VOTABLE", start) and not content.rstrip().endswith(b"VOTABLE>"):
        raise TransientServiceError("the table is truncated")
