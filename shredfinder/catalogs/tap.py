"""Table access services (TAP), asked with pyvo."""

import contextlib
import re
import time
import warnings

import numpy as np

from shredfinder._net.session import make_session
from shredfinder.catalogs.answers import Answer, normalize
from shredfinder.exceptions import CatalogServiceError

__all__ = ["TapService", "sort_columns"]

_FINISHED = ("COMPLETED", "ERROR", "ABORTED")


class TapService:
    """One TAP service.

    Parameters
    ----------
    endpoint : str
        Its base URL.
    timeout : float
        Seconds that one request, or an asynchronous job, may take.
    mode : str
        ``"auto"``, ``"sync"`` or ``"async"``: whether queries for many rows become jobs, none
        does, or all do.
    async_rows : int
        From how many rows on ``"auto"`` makes a job.
    """

    language = "ADQL"

    def __init__(self, endpoint, *, timeout, mode="auto", async_rows=20_000):
        if mode not in ("auto", "sync", "async"):
            raise ValueError(f"mode must be 'auto', 'sync' or 'async': got {mode!r}")
        self.endpoint = endpoint.rstrip("/")
        self.timeout = timeout
        self.mode = mode
        self.async_rows = async_rows
        self.jobs_refused = False
        self.session = make_session(timeout)

    def limit(self, max_rows):
        """Tell how many rows to ask for at a time.

        Parameters
        ----------
        max_rows : int
            What the user allows.

        Returns
        -------
        limit : int
            Less where the service refuses jobs: requests are then kept short.
        """
        if self.jobs_refused and self.mode != "sync":
            return min(max_rows, self.async_rows)
        return max_rows

    def ask(self, text, *, max_rows, n_rows=None, short=False):
        """Send a query.

        Parameters
        ----------
        text : str
            The query.
        max_rows : int
            The most rows to be sent.
        n_rows : int, optional
            How many there are, where that is known.
        short : bool, optional
            Whether the answer is known to be short: no job then, whatever the mode.

        Returns
        -------
        answer : Answer
            The rows, and whether they are all.

        Raises
        ------
        CatalogServiceError
            If there is no usable answer.
        """
        from pyvo.dal import DALAccessError, DALOverflowWarning

        large = self.mode == "async" or (self.mode == "auto" and (n_rows or 0) >= self.async_rows)
        large = large and not short and not self.jobs_refused
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                result = None
                if large:
                    result = self._job(text, max_rows)
                if result is None:
                    result = self._sync(text, max_rows)
                table = result.to_table()
                status = (result.query_status or "").upper()
            except DALAccessError as error:
                raise self._explain(error, text) from error
        overflow = status == "OVERFLOW" or any(
            issubclass(w.category, DALOverflowWarning) for w in caught
        )
        return Answer(normalize(table), not overflow)

    def _sync(self, text, max_rows):
        from pyvo.dal import TAPQuery

        query = TAPQuery(self.endpoint, text, maxrec=max_rows, session=self.session)
        return query.execute()

    def _job(self, text, max_rows):
        """Run a job; None if the service takes none."""
        from pyvo.dal import AsyncTAPJob, DALServiceError

        try:
            job = AsyncTAPJob.create(self.endpoint, text, maxrec=max_rows, session=self.session)
        except DALServiceError as error:
            # Some services answer any job with 400, others have no such address.
            if error.code in (400, 403, 404, 405, 501):
                self.jobs_refused = True
                return None
            raise
        try:
            job.run()
            end = time.monotonic() + self.timeout
            pause = 0.1
            while (phase := job.phase) not in _FINISHED:
                if time.monotonic() + pause > end:
                    raise CatalogServiceError(
                        f"the job {job.url} is still {phase.lower()} after {self.timeout:g} s: "
                        "give a longer timeout, or a smaller max_rows for shorter jobs"
                    )
                time.sleep(pause)
                pause = min(1.5 * pause, 10.0)
            job.raise_if_error()
            return job.fetch_result()
        finally:
            # Where that fails, the service deletes it in time.
            with contextlib.suppress(DALServiceError):
                job.delete()

    def _explain(self, error, text):
        reason = str(getattr(error, "reason", None) or error)
        if "<html" in reason.lower() or "<!doctype" in reason.lower():
            reason = "a web page"
        kind = type(error).__name__
        transient = getattr(error, "code", None) in (429, 500, 502, 503, 504)
        cause = error.cause if hasattr(error, "cause") else None
        timed_out = "Timeout" in type(cause).__name__ or "took longer" in reason
        if timed_out:
            reason = f"no answer within {self.timeout:g} s; give a longer timeout"
        return CatalogServiceError(
            f"{self.endpoint} did not answer the query ({kind}): {reason[:500]}. The query was: "
            f"{text[:300]}",
            transient=transient and not timed_out,
        )

    def schema_query(self, tables):
        """Write a query for what TAP_SCHEMA says of tables.

        Parameters
        ----------
        tables : sequence of str
            Their names, with schema.

        Returns
        -------
        text : str
            The query, whose answer `sort_columns` takes.
        """
        # Services differ in whether they put the schema's name before that of the table.
        names = [name for table in tables for name in (table, table.rpartition(".")[2])]
        quoted = ", ".join(f"'{name}'" for name in dict.fromkeys(names))
        return (
            "SELECT table_name, column_name, ucd, description FROM TAP_SCHEMA.columns "
            f"WHERE table_name IN ({quoted})"
        )


def sort_columns(answer, tables):
    """Sort what TAP_SCHEMA says by table and column.

    Parameters
    ----------
    answer : `~astropy.table.Table`
        The answer to `TapService.schema_query`.
    tables : sequence of str
        The tables' names, with schema.

    Returns
    -------
    columns : dict
        From each table's name to a dict from each column's name, in lower case, to its UCD and
        description. It is empty where the service does not have the table.
    """
    columns = {table: {} for table in tables}
    plain = {table.rpartition(".")[2].lower(): table for table in tables}
    fields = {name.lower(): name for name in answer.colnames}
    values = [
        np.ma.filled(np.ma.asarray(answer[fields[name]]), "").astype(str).tolist()
        for name in ("table_name", "column_name", "ucd", "description")
    ]
    for table, column, ucd, description in zip(*values, strict=True):
        home = plain.get(table.strip().rpartition(".")[2].lower())
        if home is not None:
            words = re.sub(r"\s+", " ", description).strip()
            columns[home][column.strip(' "').lower()] = (ucd.strip(), words)
    return columns
