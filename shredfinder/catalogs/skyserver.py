"""SDSS's SkyServer, asked in its own SQL with astroquery."""

import re
import time
import warnings

from shredfinder._net.session import make_session
from shredfinder.catalogs.answers import Answer, normalize
from shredfinder.exceptions import CatalogServiceError

__all__ = ["SkyServer", "read_csv_lines"]

# SkyServer lets a client send 60 queries a minute.
_PAUSE = 1.0


class SkyServer:
    """SkyServer's SQL search.

    Parameters
    ----------
    endpoint : str
        Its base URL, without the data release.
    timeout : float
        Seconds that one request may take.
    release : int, optional
        The data release.
    """

    language = "SQL"

    def __init__(self, endpoint, *, timeout, release=17):
        self.endpoint = endpoint.rstrip("/")
        self.timeout = timeout
        self.release = release
        self._next = 0.0

    def limit(self, max_rows):
        """Tell how many rows to ask for at a time.

        Parameters
        ----------
        max_rows : int
            What the user allows.

        Returns
        -------
        limit : int
            The same.
        """
        return max_rows

    def ask(self, text, *, max_rows, n_rows=None, short=False):
        """Send a query.

        Parameters
        ----------
        text : str
            The query, which begins with SELECT.
        max_rows : int
            The most rows to be sent.
        n_rows, short : optional
            Not used here: there are no jobs.

        Returns
        -------
        answer : Answer
            The rows, and whether they are all.

        Raises
        ------
        CatalogServiceError
            If there is no usable answer.
        """
        import requests
        from astroquery.exceptions import RemoteServiceError
        from astroquery.exceptions import TimeoutError as AstroqueryTimeoutError
        from astroquery.sdss import SDSSClass
        from astroquery.sdss import conf as sdss_conf

        # One more than wanted tells a full answer from a cut one.
        limited = re.sub(r"^SELECT ", f"SELECT TOP {max_rows + 1} ", text)
        time.sleep(max(0.0, self._next - time.monotonic()))
        try:
            with sdss_conf.set_temp("skyserver_baseurl", self.endpoint):
                client = SDSSClass()
                client._session = make_session(self.timeout)
                response = client.query_sql_async(
                    limited, timeout=self.timeout, data_release=self.release, cache=False
                )
        except (requests.Timeout, AstroqueryTimeoutError) as error:
            raise CatalogServiceError(
                f"{self.endpoint} sent no answer within {self.timeout:g} s: give a longer timeout"
            ) from error
        except (requests.RequestException, RemoteServiceError) as error:
            status = getattr(getattr(error, "response", None), "status_code", None)
            raise CatalogServiceError(
                f"{self.endpoint} did not answer the query: {error}",
                transient=status in (None, 429, 500, 502, 503, 504),
            ) from error
        finally:
            self._next = time.monotonic() + _PAUSE
        table = self._parse(response, limited)
        complete = len(table) <= max_rows
        return Answer(table[:max_rows], complete)

    def _parse(self, response, text):
        body = response.text.lstrip("\ufeff \r\n")
        if response.status_code != 200 or body[:1] in "<{[" or "error_message" in body[:2000]:
            words = re.sub(r"<[^>]*>|\s+", " ", body)
            words = re.sub(r"\s+", " ", words).strip()
            raise CatalogServiceError(
                f"{self.endpoint} sent no table (status {response.status_code}): "
                f"{words[:400] or 'an empty answer'}. The query was: {text[:300]}",
                # A message in place of a table is about the query.
                transient=response.status_code in (429, 500, 502, 503, 504)
                and "error_message" not in body,
            )
        try:
            return read_csv_lines(body.splitlines())
        except Exception as error:
            raise CatalogServiceError(
                f"{self.endpoint} sent what is no CSV: {body[:200]!r} ({error})"
            ) from error


def read_csv_lines(lines):
    """Read a piece of CSV that begins with the columns' names.

    Parameters
    ----------
    lines : list of str
        The lines. Those that begin with # are left out.

    Returns
    -------
    table : `~astropy.table.Table`
        The rows, with NaN or masks for empty and null entries.
    """
    from astropy.table import Table

    lines = [line for line in lines if line.strip() and not line.startswith("#")]
    if not lines:
        raise ValueError("there are no column names")
    if len(lines) == 1:
        return Table(names=[name.strip().strip('"') for name in lines[0].split(",")])
    with warnings.catch_warnings():
        # An integer beyond 64 bits becomes text, which the cuts then refuse by name.
        warnings.simplefilter("ignore")
        table = Table.read(
            lines,
            format="ascii.csv",
            guess=False,
            fill_values=[("", "0"), ("null", "0"), ("NULL", "0")],
        )
    return normalize(table)
