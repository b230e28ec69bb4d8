"""All rows of a region, from services that send no more than so many at a time."""

import time

import numpy as np
from astropy.table import vstack

from shredfinder.exceptions import CatalogServiceError

__all__ = ["CachedService", "fetch_region"]

# Tries of a request that fails by the server's fault, and the pause before the second, in seconds.
_ATTEMPTS = 3
_PAUSE = 2.0


class CachedService:
    """A service whose complete answers are kept, and which is asked again when it stumbles.

    Parameters
    ----------
    service : TapService or SkyServer
        The service.
    survey : str
        The survey's name, for the cache.
    cache : QueryCache or None
        Where answers are kept.
    """

    def __init__(self, service, survey, cache):
        self.service = service
        self.survey = survey
        self.cache = cache
        self.n_requests = 0

    def ask(self, text, *, max_rows, **hints):
        """Look a query up, or else send it.

        Parameters
        ----------
        text, max_rows, **hints
            As the service's ``ask`` takes them.

        Returns
        -------
        table : `~astropy.table.Table`
            The rows.
        complete : bool
            Whether they are all, as far as the service says.
        """
        key = (self.survey, self.service.endpoint, text)
        table = self.cache.read(key) if self.cache is not None else None
        if table is not None:
            return table, True
        for attempt in range(1, _ATTEMPTS + 1):
            self.n_requests += 1
            try:
                answer = self.service.ask(text, max_rows=max_rows, **hints)
                break
            except CatalogServiceError as error:
                if not error.transient or attempt == _ATTEMPTS:
                    raise
                time.sleep(_PAUSE * attempt)
        return answer.table, answer.complete

    def keep(self, text, table):
        """Store an answer that proved to be complete.

        Parameters
        ----------
        text : str
            The query.
        table : `~astropy.table.Table`
            Its answer.
        """
        if self.cache is not None:
            self.cache.write((self.survey, self.service.endpoint, text), table)

    def count(self, text):
        """Send a query for a count.

        Parameters
        ----------
        text : str
            The query, whose answer is one number.

        Returns
        -------
        n_rows : int
            The number.
        """
        table, _ = self.ask(text, max_rows=1, short=True)
        if len(table) != 1 or len(table.colnames) != 1:
            raise CatalogServiceError(
                f"{self.service.endpoint} sent {len(table)} rows of {len(table.colnames)} columns "
                f"where one number was asked for: {text[:300]}"
            )
        try:
            n_rows = int(table[table.colnames[0]][0])
        except (TypeError, ValueError):
            n_rows = -1
        if n_rows < 0:
            raise CatalogServiceError(
                f"{self.service.endpoint} sent {table[table.colnames[0]][0]} for a number of rows"
            )
        self.keep(text, table)
        return n_rows


def fetch_region(service, query, circle, *, position, max_rows, verify, bar):
    """Fetch all rows of a region, in as many requests as it takes.

    The region is cut into boxes until each holds few enough rows. A box whose answer is cut off,
    by the service's own word or because it holds fewer rows than the service counted, is cut
    further.

    Parameters
    ----------
    service : CachedService
        The service.
    query : callable
        From a box and whether to count the text of a query.
    circle : Circle
        The region.
    position : tuple of str
        Names of the columns of right ascension and declination.
    max_rows : int
        The most rows of one request.
    verify : bool
        Whether to have the service count the rows first.
    bar : `tqdm.tqdm`
        Is told of rows as they come.

    Returns
    -------
    table : `~astropy.table.Table` or None
        The rows within the circle, each once; None if the service has none.
    n_boxes : int
        Number of boxes that were fetched.

    Raises
    ------
    CatalogServiceError
        If the service fails, or a box can't be cut further.
    """
    waiting = list(reversed(circle.boxes()))
    parts = []
    most = max_rows
    n_boxes = 0
    while waiting:
        box = waiting.pop()
        most = min(most, service.service.limit(max_rows))
        n_rows = None
        if verify:
            n_rows = service.count(query(box, True))
            if n_rows == 0:
                continue
        table, complete = None, False
        if n_rows is None or n_rows <= most:
            text = query(box, False)
            table, complete = service.ask(text, max_rows=most, n_rows=n_rows)
            # A service that cuts answers off without a word still counts rightly.
            complete = complete and (len(table) >= n_rows if verify else len(table) < most)
        if not complete:
            if table is not None:
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


def _split(box, service, most, n_rows):
    boxes = box.split()
    if not boxes:
        counted = f"counts {n_rows} rows" if n_rows is not None else "has more rows"
        raise CatalogServiceError(
            f"{service.service.endpoint} {counted} within an arcsec of RA {box.ra_min:.6f}, "
            f"Dec {box.dec_min:+.6f} but sends no more than {most}: give a larger max_rows if it "
            "is your limit, or try another service"
        )
    return boxes


def _locate(table, names, box, circle):
    """Tell which rows belong to a box: neighbours are asked for a little more than they hold."""
    found = {name.lower(): name for name in table.colnames}
    ra, dec = (np.ma.filled(table[found[name.lower()]], np.nan).astype(float) for name in names)
    ra = np.where(ra >= 360.0, ra - 360.0, ra)
    return box.contains(ra, dec) & circle.contains(ra, dec)
