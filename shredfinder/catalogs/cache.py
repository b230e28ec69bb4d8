"""Answers of catalogue services on disk."""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from astropy.table import Table

from shredfinder._utils.files import atomic_write
from shredfinder.config import get_cache_folder

if TYPE_CHECKING:
    from shredfinder._utils.types import PathLike

__all__ = ["QueryCache"]


class QueryCache:
    """Folder of answers to queries, complete ones only.

    Each answer is one FITS table, named by survey, service and query. Files are written under
    another name and then renamed, so that none is ever half there. Data releases do not change:
    answers do not grow old, and `clear` removes them.

    Parameters
    ----------
    path : path-like, optional
        The folder, which is made when it is needed; by default ``catalogs`` in
        ``shredfinder.conf.cache_dir``, or else ``shredfinder/catalogs`` in astropy's cache.

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
        self.path = Path(path or get_cache_folder("catalogs")).expanduser()

    def __repr__(self):
        return f"QueryCache({str(self.path)!r})"

    def read(self, key: tuple[str, ...]) -> Table | None:
        """Look an answer up.

        Parameters
        ----------
        key : tuple of str
            The survey, and what else tells queries apart: service, text.

        Returns
        -------
        table : `~astropy.table.Table` or None
            The answer; None if it is not there. A file that can't be read is removed.
        """
        path = self._file(key)
        if not path.exists():
            return None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return Table.read(path, format="fits", hdu=1, character_as_bytes=False)
        except Exception:
            # Whatever is wrong with the file, the service still has the answer.
            path.unlink(missing_ok=True)
            return None

    def write(self, key: tuple[str, ...], table: Table) -> None:
        """Store a complete answer.

        Parameters
        ----------
        key : tuple of str
            As for `read`.
        table : `~astropy.table.Table`
            The answer.
        """
        path = self._file(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as temporary, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            table.write(temporary, format="fits")

    def clear(self) -> int:
        """Remove all answers.

        Returns
        -------
        n_removed : int
            Their number.
        """
        files = list(self.path.glob("*/*.fits"))
        for path in files:
            path.unlink(missing_ok=True)
        return len(files)

    def _file(self, key):
        digest = hashlib.sha256("\0".join(key).encode()).hexdigest()
        folder = "".join(c if c.isalnum() or c in "-_" else "_" for c in key[0])
        return self.path / folder / f"{digest}.fits"
