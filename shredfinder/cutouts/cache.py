"""Cutouts on disk: one file each, in readable folders."""

from __future__ import annotations

import contextlib
import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shredfinder._utils.files import atomic_write
from shredfinder._utils.leftovers import is_leftover
from shredfinder.config import conf, get_cache_folder
from shredfinder.cutouts.decoding import decode_color, decode_fits
from shredfinder.exceptions import ServiceError
from shredfinder.imaging.checks import CutoutFlag, check_images

if TYPE_CHECKING:
    from collections.abc import Iterator

    from astropy.table import Table
    from astropy.units import Quantity

    from shredfinder._utils.validation import PathLike
    from shredfinder.cutouts.services.base import CutoutRequest, CutoutService

__all__ = ["EMPTY", "Cache"]

#: Suffix of the files that remember that a service has no image of a position.
EMPTY = ".none"
# Suffix of those that wait for a second response, of a later run, that there is none.
_UNCONFIRMED = ".once"
_IMAGES = (".jpg", ".png", ".fits")
_DAY = 86400.0


class Cache:
    """Folder of cutouts that were fetched before.

    Each cutout is one file, ``{service}/{layer}/{size}px-{scale}/{RA}/{Dec}/{position}.jpg``,
    where the folders ``{RA}`` and ``{Dec}`` hold one square degree: for example
    ``legacy/ls-dr9-jpeg/128px-0.46875/150/+02/150.1000000+02.2000000.jpg``. Cutouts from another
    base URL than the service's default are in ``legacy@{host and path}``. Files are written
    atomically, so that several processes can share a cache.

    Only validated images are stored. If a service has no image (status 404 or a blank image), a
    file ``{position}.once`` with a line of text says so. If the service has none in a later run
    either, the file becomes ``{position}.none``, and the position is not requested again for
    ``shredfinder.conf.empty_cutout_days``. A failure is never stored.

    Parameters
    ----------
    path : path-like, optional
        The folder; by default ``cutouts`` in ``shredfinder.conf.cache_dir``, or else
        ``shredfinder/cutouts`` in astropy's cache.

    Examples
    --------
    >>> import tempfile
    >>> from shredfinder.cutouts import Cache
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     cache = Cache(folder)
    ...     len(cache.report()), cache.prune()
    (0, 0)
    """

    def __init__(self, path: PathLike | None = None) -> None:
        self.path = get_cache_folder("cutouts", path)

    def __repr__(self) -> str:
        return f"Cache({str(self.path)!r})"

    def stem(self, service: CutoutService, request: CutoutRequest) -> str:
        """Return the path of a cutout without its suffix.

        Parameters
        ----------
        service : CutoutService
            The service.
        request : CutoutRequest
            Position and size.

        Returns
        -------
        stem : str
            Path in the cache's folder.
        """
        # Each part becomes one folder: further slashes, as in HiPS identifiers, are replaced, as is
        # what troubles a file system. ".." would lead out of the cache, and leading dots mark
        # temporary files.
        kind, _, layer = service.cache_folder().partition("/")
        folders = [re.sub(r"[^\w@+,=.-]", "_", part) for part in (kind, layer)]
        size = f"{request.width}"
        if request.height != request.width:
            size += f"x{request.height}"
        return os.path.join(
            self.path,
            *(re.sub(r"^\.+", "_", folder) or "all" for folder in folders),
            f"{size}px-{request.pixel_scale:g}",
            f"{int(request.ra):03d}",
            # floor, not int: otherwise -0.5° and +0.5° would share a folder.
            f"{int(np.floor(request.dec)):+03d}",
            f"{request.ra:011.7f}{request.dec:+011.7f}",
        )

    def find(self, service: CutoutService, request: CutoutRequest) -> str | None:
        """Find the file of a cutout, or a recent one that says that there is none.

        Parameters
        ----------
        service : CutoutService
            The service.
        request : CutoutRequest
            Position and size.

        Returns
        -------
        path : str or None
            Path of the file; None if the cache has none.
        """
        stem = self.stem(service, request)
        # An image counts more than an older record that there is none.
        for suffix in (*_IMAGES, EMPTY):
            path = stem + suffix
            try:
                written = os.stat(path).st_mtime
            except OSError:
                continue
            if suffix == EMPTY and time.time() - written >= conf.empty_cutout_days * _DAY:
                return None
            return path
        return None

    def read(
        self, service: CutoutService, request: CutoutRequest
    ) -> tuple[np.ndarray | None, CutoutFlag | None]:
        """Read and validate a cutout.

        Parameters
        ----------
        service : CutoutService
            The service.
        request : CutoutRequest
            Position and size.

        Returns
        -------
        image : `~numpy.ndarray` or None
            Image of shape ``(height, width, bands)``; None if there is none.
        flag : CutoutFlag or None
            Why there is none; None if the cache does not know. A broken file is removed.

        Raises
        ------
        OSError
            If the file exists but cannot be read.
        """
        path = self.find(service, request)
        if path is None:
            return None, None
        try:
            content = Path(path).read_bytes()
        except FileNotFoundError:  # another process pruned it
            return None, None
        try:
            if path.endswith(EMPTY):
                return None, CutoutFlag(content.decode().partition(":")[0])
            if path.endswith(".fits"):
                image = decode_fits(content, request, service.bands)
            else:
                image, _ = decode_color(content, request)
        except (ServiceError, ValueError):
            # On a disk that cannot be written the file stays, and is replaced by no other.
            with contextlib.suppress(OSError):
                Path(path).unlink()
            return None, None
        if image.dtype == np.uint8:
            # Someone else may have put the file here.
            flag = CutoutFlag(check_images(image[np.newaxis])[0])
            if flag != CutoutFlag.GOOD:
                return None, flag
        return image, CutoutFlag.GOOD

    def write(
        self, service: CutoutService, request: CutoutRequest, content: bytes, suffix: str
    ) -> None:
        """Store a file.

        Parameters
        ----------
        service : CutoutService
            The service.
        request : CutoutRequest
            Position and size.
        content : bytes
            A validated image file.
        suffix : str
            Its suffix.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        stem = self.stem(service, request)
        with atomic_write(stem + suffix, parents=True) as temporary:
            temporary.write_bytes(content)
        for record in (EMPTY, _UNCONFIRMED):
            Path(stem + record).unlink(missing_ok=True)

    def write_empty(
        self,
        service: CutoutService,
        request: CutoutRequest,
        flag: CutoutFlag,
        reason: str,
        *,
        started: float,
    ) -> None:
        """Record that a service has no image; the second run that finds so confirms it.

        Parameters
        ----------
        service : CutoutService
            The service.
        request : CutoutRequest
            Position and size.
        flag : CutoutFlag
            Flag of the rows.
        reason : str
            What the service responded.
        started : float
            Time of `time.time` at which the run started: older records are another run's.

        Raises
        ------
        OSError
            If the record cannot be written.
        """
        stem = self.stem(service, request)
        suffix = _UNCONFIRMED
        for record in (EMPTY, _UNCONFIRMED):
            with contextlib.suppress(OSError):
                if os.stat(stem + record).st_mtime < started:
                    suffix = EMPTY
        with atomic_write(stem + suffix, parents=True) as temporary:
            temporary.write_text(f"{flag}: {reason}\n")
        if suffix == EMPTY:
            Path(stem + _UNCONFIRMED).unlink(missing_ok=True)

    def report(self) -> Table:
        """Summarise the contents of the cache.

        Returns
        -------
        report : `~astropy.table.Table`
            One row per service, layer, size and pixel scale: number of cutouts, number of
            positions without one, bytes, and the dates (UTC) of the oldest and the newest file.
        """
        from astropy import units as u
        from astropy.table import Table

        groups: dict[tuple[str, ...], list[Any]] = {}
        for path, stat in self._walk():
            folder = os.path.relpath(path, self.path).split(os.sep)
            # Service, layer, size, RA, Dec and file name.
            key = (folder[0], *folder[1:3]) if len(folder) == 6 else ("?", "?", "?")
            group = groups.setdefault(key, [0, 0, 0, np.inf, -np.inf])
            group[int(not path.endswith(_IMAGES))] += 1
            group[2] += stat.st_size
            group[3], group[4] = min(group[3], stat.st_mtime), max(group[4], stat.st_mtime)
        rows = [
            (*key, *group[:3], _date(group[3]), _date(group[4]))
            for key, group in sorted(groups.items())
        ]
        names = ("service", "layer", "kind", "n_cutouts", "n_empty", "bytes", "oldest", "newest")
        dtypes = ("U64", "U64", "U32", int, int, int, "U10", "U10")
        # Table refuses an empty list of rows, but makes columns of None.
        table = Table(rows=rows or None, names=names, dtype=dtypes)
        table["bytes"].unit = u.byte
        return table

    def prune(
        self,
        *,
        service: str | None = None,
        layer: str | None = None,
        older_than: Quantity | None = None,
        empty: bool = False,
        dry_run: bool = False,
    ) -> int:
        """Remove cutouts; without arguments only the leftovers of killed processes.

        Parameters
        ----------
        service, layer : str, optional
            Remove those of this service or layer, as named in `report`.
        older_than : `~astropy.units.Quantity`, optional
            Remove those written longer ago than this time.
        empty : bool, optional
            Remove only the records of positions without an image.
        dry_run : bool, optional
            Only count the files.

        Returns
        -------
        n_removed : int
            Number of files removed, or to be removed with ``dry_run``.
        """
        chosen = not (service is None and layer is None and older_than is None and not empty)
        before = np.inf if older_than is None else time.time() - older_than.to_value("s")
        n_removed = 0
        for path, stat in self._walk(temporary=True):
            folder = os.path.relpath(path, self.path).split(os.sep)
            # Unfinished files have names with a leading dot.
            if os.path.basename(path).startswith("."):
                remove = is_leftover(path)
            else:
                remove = (
                    chosen
                    and service in (None, folder[0])
                    and layer in (None, folder[1])
                    and stat.st_mtime < before
                    and (not empty or not path.endswith(_IMAGES))
                )
            if remove:
                n_removed += 1
                if not dry_run:
                    Path(path).unlink(missing_ok=True)
        return n_removed

    def _walk(self, temporary: bool = False) -> Iterator[tuple[str, os.stat_result]]:
        """Yield the path and `os.stat` of each of the cache's files, ignoring all others."""
        for folder, _, files in os.walk(self.path):
            for name in files:
                ours = name.endswith((*_IMAGES, EMPTY, _UNCONFIRMED)) and (
                    temporary or not name.startswith(".")
                )
                # Cutouts are five folders deep. Any other file in the folder is left alone.
                if ours and len(os.path.relpath(folder, self.path).split(os.sep)) == 5:
                    path = os.path.join(folder, name)
                    try:
                        yield path, os.stat(path)
                    except FileNotFoundError:  # another process removed it
                        continue


def _date(seconds: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))
