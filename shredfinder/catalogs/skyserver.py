"""SDSS's SkyServer, queried in its own SQL with astroquery."""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

from shredfinder._utils.csv_files import split_header
from shredfinder._utils.identifiers import keep_texts
from shredfinder.catalogs.paging import make_client, normalize
from shredfinder.exceptions import (
    BadResponseError,
    ServiceError,
    TransientServiceError,
    UnreachableServiceError,
)

if TYPE_CHECKING:
    from astropy.table import Table

__all__ = ["SkyServer", "read_csv_lines"]

# SkyServer accepts 60 queries per minute.
_RATE: float | None = 1.0
# Longest query in characters of a URL: it is sent by GET.
_MAX_LENGTH = 2048


class SkyServer:
    """SkyServer's SQL search.

    Parameters
    ----------
    endpoint : str
        Base URL, without the data release.
    timeout : float
        Seconds that one request may take.
    release : int, optional
        Data release.
    """

    language = "SQL"

    def __init__(self, endpoint: str, *, timeout: float, release: int = 17) -> None:
        from shredfinder._net.sessions import ClientSession

        self.endpoint = endpoint.rstrip("/")
        self.release = release
        self.session = ClientSession(make_client(timeout, rate=_RATE), _check_table)

    def limit(self, max_rows: int) -> int:
        """Return the largest number of rows to request at a time: the user's limit."""
        return max_rows

    def ask(
        self, text: str, *, max_rows: int, n_rows: int | None = None, short: bool = False
    ) -> tuple[Table, bool]:
        """Send a query.

        Parameters
        ----------
        text : str
            The query, which begins with SELECT.
        max_rows : int
            Largest number of rows to be sent.
        n_rows, short : optional
            Not used: SkyServer has no asynchronous jobs.

        Returns
        -------
        table : `~astropy.table.Table`
            The rows.
        complete : bool
            Whether these are all rows.

        Raises
        ------
        shredfinder.exceptions.ServiceError
            If there is no valid response.
        ValueError
            If the query is longer than SkyServer accepts.
        """
        from astroquery.sdss import SDSSClass
        from astroquery.sdss import conf as sdss_conf

        # One more than needed, to recognise a truncated result.
        limited = re.sub(r"^SELECT ", f"SELECT TOP {max_rows + 1} ", text)
        n_characters = len(quote_plus(limited))
        # To a longer query SkyServer responds with a web page that does not say why.
        if n_characters > _MAX_LENGTH:
            raise ValueError(
                f"the query has {n_characters} characters in a URL, but SkyServer accepts about "
                f"{_MAX_LENGTH}: request fewer columns or cuts. The query: {limited[:300]}"
            )
        try:
            with sdss_conf.set_temp("skyserver_baseurl", self.endpoint):
                service = SDSSClass()
                service._session = self.session
                response = service.query_sql_async(limited, data_release=self.release, cache=False)
            table = read_csv_lines(_get_body(response.content).splitlines())
        except UnreachableServiceError:
            # The query does not matter.
            raise
        except ServiceError as error:
            # The same kind of error, with the service and the query in its message. SkyServer
            # sends status 500 for invalid SQL, where neither a retry nor a smaller region helps.
            invalid = "error_message" in str(error) and "time" not in str(error).lower()
            raise (BadResponseError if invalid else type(error))(
                f"{self.endpoint} failed to run the query: {error}. The query: {limited[:300]}",
                status=error.status,
            ) from error
        except Exception as error:  # a CSV reader may raise anything on other text
            raise BadResponseError(
                f"{self.endpoint} sent text that is not CSV: {response.text[:200]!r} ({error})"
            ) from error
        return table[:max_rows], len(table) <= max_rows


def _get_body(content: bytes) -> str:
    return content.decode("utf-8", "replace").lstrip("\ufeff \r\n")


def _check_table(content: bytes) -> None:
    """Raise if a web page or an error message came in place of CSV."""
    from shredfinder._net.client import find_text

    body = _get_body(content)
    if body[:1] in ("", "<"):
        # A page of maintenance, or of an overloaded server.
        text = find_text(content) or "an empty response"
        raise TransientServiceError(f"no table came but: {text}")
    if body[:1] in "{[" or "error_message" in body[:2000]:
        raise BadResponseError(f"no table came but: {find_text(content)}")


def read_csv_lines(lines: list[str], delimiter: str = ",") -> Table:
    """Read lines of CSV that begin with the columns' names.

    Parameters
    ----------
    lines : list of str
        The lines. Those before the names that begin with # are ignored.
    delimiter : str, optional
        Character between the fields.

    Returns
    -------
    table : `~astropy.table.Table`
        The rows, with NaN or masks for empty and null entries.
    """
    from astropy.table import Table

    _, delimiter, header, rows = split_header(lines, delimiter)
    if not header:
        raise ValueError("the text has no column names")
    lines = [header, *rows]
    # astropy's CSV reader refuses a table without rows.
    if len(lines) == 1:
        return Table(names=[name.strip().strip('"') for name in lines[0].split(delimiter)])
    with warnings.catch_warnings():
        # An integer beyond 64 bits becomes text, which the cuts refuse by the column's name.
        warnings.simplefilter("ignore")

        def read(**options: Any) -> Table:
            return Table.read(
                lines,
                format="ascii.csv",
                guess=False,
                delimiter=delimiter,
                fill_values=[("", "0"), ("null", "0"), ("NULL", "0")],
                **options,
            )

        table = read()
        keep_texts(table, lambda names, kinds: read(include_names=names, converters=kinds))
    return normalize(table)
