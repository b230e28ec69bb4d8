"""Cache of query results on disk."""

from __future__ import annotations

import contextlib
import hashlib
import io
import warnings
from typing import TYPE_CHECKING

from astropy.table import Table

from shredfinder._utils.files import atomic_write, describe_cache_error
from shredfinder.config import get_cache_folder
from shredfinder.exceptions import ShredfinderWarning

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from shredfinder._utils.validation import PathLike

__all__ = ["QueryCache", "open_cache"]


class QueryCache:
    """Folder of complete query results and dust maps.

    Each result is a FITS table, named after survey, service and query; each map is a FITS image.
    Files are written atomically. Results never expire, since data releases do not change; `clear`
    removes them.

    Parameters
    ----------
    path : path-like, optional
        The folder, created when needed. By default ``catalogs`` in
        ``shredfinder.conf.cache_dir``, or ``shredfinder/catalogs`` in astropy's cache.

    Examples
    --------
    >>> import tempfile
    >>> from astropy.table import Table
    >>> from shredfinder.catalogs import QueryCache
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     cache = QueryCache(folder)
    ...     cache.write(("legacy-dr9", "https://example.org/tap", "SELECT 1"), Table({"n": [1]}))
    ...     found = cache.read(("legacy-dr9", "https://example.org/tap", "SELECT 1"))
    ...     cache.read(("legacy-dr9", "https://example.org/tap", "SELECT 2")) is None
    True
    >>> found["n"].tolist()
    [1]
    """

    def __init__(self, path: PathLike | None = None) -> None:
        self.path = get_cache_folder("catalogs", path)
        self._has_warned = False

    def __repr__(self) -> str:
        return f"QueryCache({str(self.path)!r})"

    def read(self, key: tuple[str, ...]) -> Table | None:
        """Read a result.

        Parameters
        ----------
        key : tuple of str
            Survey, service URL and query text.

        Returns
        -------
        table : `~astropy.table.Table` or None
            The result; None if it is not cached. A damaged file is removed.

        Warns
        -----
        shredfinder.exceptions.ShredfinderWarning
            Once, if the system cannot read the folder or the file.
        """
        content = self.read_file(key)
        if content is None:
            return None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                file = io.BytesIO(content)
                return Table.read(file, format="fits", hdu=1, character_as_bytes=False)
        except Exception:
            # Whatever is wrong with the file, the service can be queried again.
            with self._warned_errors():
                self._file(key).unlink(missing_ok=True)
            return None

    def write(self, key: tuple[str, ...], table: Table) -> None:
        """Store a complete result.

        Parameters
        ----------
        key : tuple of str
            Survey, service URL and query text.
        table : `~astropy.table.Table`
            The result.

        Warns
        -----
        shredfinder.exceptions.ShredfinderWarning
            Once, if the folder cannot be written.
        """
        with (
            self._warned_errors(),
            atomic_write(self._file(key), parents=True) as temporary,
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            table.write(temporary, format="fits")

    def read_file(self, key: tuple[str, ...]) -> bytes | None:
        """Read a stored file.

        Parameters
        ----------
        key : tuple of str
            As for `write_file`.

        Returns
        -------
        content : bytes or None
            Its content; None if it is not cached.
        """
        with self._warned_errors(), contextlib.suppress(FileNotFoundError):
            return self._file(key).read_bytes()
        return None

    def write_file(self, key: tuple[str, ...], content: bytes) -> None:
        """Store a file as it was received.

        Parameters
        ----------
        key : tuple of str
            Kind of file, service URL and what was asked for.
        content : bytes
            A FITS file, already validated.
        """
        with self._warned_errors(), atomic_write(self._file(key), parents=True) as temporary:
            temporary.write_bytes(content)

    def clear(self) -> int:
        """Remove all results.

        Returns
        -------
        n_removed : int
            Number of results removed.
        """
        files = list(self.path.glob("*/*.fits"))
        for path in files:
            path.unlink(missing_ok=True)
        return len(files)

    @contextlib.contextmanager
    def _warned_errors(self) -> Iterator[None]:
        """Convert the first error of the system to a warning, and drop all later ones."""
        try:
            yield
        except OSError as error:
            if not self._has_warned:
                self._has_warned = True
                warnings.warn(describe_cache_error(self.path, error), ShredfinderWarning)

    def _file(self, key: tuple[str, ...]) -> Path:
        # A separator that no part contains, so that different keys cannot give the same text.
        digest = hashlib.sha256("\0".join(key).encode()).hexdigest()
        folder = "".join(c if c.isalnum() or c in "-_" else "_" for c in key[0])
        return self.path / folder / f"{digest}.fits"


def open_cache(cache: bool | PathLike | QueryCache | None) -> QueryCache | None:
    """Convert a ``cache`` argument to a cache, or to None for no cache and where none can be."""
    if cache is True:
        try:
            return QueryCache()
        except OSError as error:
            warnings.warn(describe_cache_error(None, error), ShredfinderWarning)
            return None
    if cache is False or cache is None:
        return None
    return cache if isinstance(cache, QueryCache) else QueryCache(cache)
