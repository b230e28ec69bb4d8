"""Atomic writing, clear errors of reading and writing, and a guard against endless FITS files."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from typing import TYPE_CHECKING

from shredfinder._utils.leftovers import temporary_beside

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

    from astropy.io import fits

    from shredfinder._utils.validation import PathLike

__all__ = [
    "atomic_write",
    "check_no_address",
    "describe_cache_error",
    "describe_full_disk",
    "has_external_stream",
    "list_extensions",
    "reading_errors",
    "writing_errors",
]


# Two letters at least: one is a drive of Windows.
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+:/", re.IGNORECASE)


@contextlib.contextmanager
def atomic_write(path: PathLike, *, parents: bool = False) -> Iterator[Path]:
    """Yield a temporary path that replaces `path` on success.

    Parameters
    ----------
    path : path-like
        The file to write. If it is a symbolic link, its target is replaced.
    parents : bool, optional
        Create missing folders.

    Yields
    ------
    temporary : `~pathlib.Path`
        A hidden path in the same folder, with the same suffix, unique on every machine. If the
        process is killed, the next one that writes to the folder removes the file.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist.
    IsADirectoryError
        If `path` is a folder.
    OSError
        If the disk is full, or the file too large; see `writing_errors`.
    """
    # A symbolic link stays; the file that it points to is replaced.
    target = os.path.realpath(path)
    if parents:
        os.makedirs(os.path.dirname(target), exist_ok=True)
    with temporary_beside(target) as temporary, writing_errors(path):
        yield temporary
        os.replace(temporary, target)


# Errors of NumPy, Pillow and astropy on a short write, which lack the system's number.
_SHORT = re.compile(r"requested and \d+ written|encoder error|Not enough space on disk")
# HDF5 has the number in its message only.
_NUMBER = re.compile(r"\berrno = (\d+)")


@contextlib.contextmanager
def writing_errors(path: PathLike) -> Iterator[None]:
    """Name the file and what to do if the disk is full or a limit on file sizes is reached.

    Parameters
    ----------
    path : path-like
        The file, or the folder of several files.

    Raises
    ------
    OSError
        In place of any error that a full disk or a limit caused, with its ``errno``. All other
        errors pass.

    Examples
    --------
    >>> import errno
    >>> from shredfinder._utils.files import writing_errors
    >>> with writing_errors("a.fits"):
    ...     raise OSError(errno.EDQUOT, "Disk quota exceeded")
    Traceback (most recent call last):
        ...
    OSError: cannot write 'a.fits': your disk quota is used up: free some space, or choose ...
    """
    try:
        yield
    except Exception as error:  # the formats' writers convert errors to many types
        number = _find_limit(error)
        # Without the system's text, an error has been described already, in an inner block.
        described = isinstance(error, OSError) and error.errno and error.strerror is None
        if number is None or described:
            raise
        full = OSError(f"cannot write {str(path)!r}: {describe_full_disk(number)}")
        full.errno = number
        raise full from error


def describe_full_disk(number: int | None) -> str:
    """Return what a full disk or a limit means and what to do about it.

    Parameters
    ----------
    number : int or None
        The system's number of the error.

    Returns
    -------
    message : str
        Empty for any other error.
    """
    advice = "free some space, or choose a folder on another disk"
    if number == errno.ENOSPC:
        return f"no space is left on the disk: {advice}"
    if number == errno.EDQUOT:
        return f"your disk quota is used up: {advice}"
    if number == errno.EFBIG:
        return (
            "the file is larger than this process or disk allows: raise the limit (ulimit -f), "
            "choose a folder on another disk, or write fewer rows at a time"
        )
    return ""


def _find_limit(error: BaseException | None) -> int | None:
    """Return the number of a full disk or a limit that caused an error; None if none did."""
    while error is not None:
        text = str(error)
        match = _NUMBER.search(text)
        number = int(match[1]) if match else getattr(error, "errno", None)
        if describe_full_disk(number):
            return number
        if number is None and isinstance(error, OSError) and _SHORT.search(text):
            return errno.EFBIG if _is_limited() else errno.ENOSPC
        error = error.__cause__ or error.__context__
    return None


def _is_limited():
    """Return whether this process may not write files of any size."""
    try:
        import resource
    except ImportError:  # Windows
        return False
    return resource.getrlimit(resource.RLIMIT_FSIZE)[0] != resource.RLIM_INFINITY


_MISSING = (FileNotFoundError, IsADirectoryError, NotADirectoryError)


def check_no_address(path: PathLike, name: str) -> None:
    """Raise ValueError if a file name is the address of a web page.

    Parameters
    ----------
    path : path-like
        The file name. A `~pathlib.Path` of an address has lost one of its slashes.
    name : str
        What it is, for the message, such as ``"the catalogue"``.
    """
    text = os.fsdecode(path)
    if _ADDRESS.match(text):
        text = re.sub(r":/(?!/)", "://", text, count=1)
        advice = "download it, and give the file"
        if name == "cutouts":
            advice += (
                "s; or leave out cutouts=, and choose where images are fetched from by service= "
                "and base_url="
            )
        raise ValueError(f"{name} must be on this computer, got the address {text!r}: {advice}")


def describe_cache_error(folder: PathLike | None, error: OSError) -> str:
    """Return the warning of a cache that the system cannot create, read or write.

    Parameters
    ----------
    folder : path-like or None
        The cache; None if the error says which.
    error : OSError
        The system's error.

    Returns
    -------
    message : str
        What is wrong, what follows, and what to do.
    """
    if folder is None:
        return f"{error}; until then, nothing is stored"
    cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
    reason = cause.strerror or str(cause)
    return (
        f"the cache {str(folder)!r} cannot be used ({reason}), so nothing is stored: "
        "free some space or make the folder writable, or choose another folder with cache= or "
        "shredfinder.conf.cache_dir"
    )


@contextlib.contextmanager
def reading_errors(
    path: PathLike, what: str = "the file", *, has_columns: bool = False
) -> Iterator[None]:
    """Convert any error on reading a file to a documented type with the file's name in it.

    Parameters
    ----------
    path : path-like
        The file.
    what : str, optional
        What the message calls it.
    has_columns : bool, optional
        Whether a KeyError means a missing column, and stays a KeyError. Elsewhere it is a sign
        of a damaged header.

    Raises
    ------
    OSError
        If the operating system cannot open it: it does not exist, or permission is denied.
    KeyError
        If a column is missing, with ``has_columns``.
    ValueError
        If it is damaged, whatever the format's reader raised.

    Examples
    --------
    >>> from shredfinder._utils.files import reading_errors
    >>> with reading_errors("a.fits", "the catalogue"):
    ...     raise IndexError("out of range")
    Traceback (most recent call last):
        ...
    ValueError: cannot read the catalogue 'a.fits': out of range
    """
    try:
        yield
    except (ImportError, MemoryError):
        raise
    except Exception as error:  # decoders and readers raise many types of errors on broken files
        # The formats' own readers raise OSError too, but without the system's number.
        if isinstance(error, _MISSING) or getattr(error, "errno", None) is not None:
            raise
        text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
        named = str(path) in text or getattr(path, "name", str(path)) in text
        kind = KeyError if has_columns and type(error) is KeyError else ValueError
        if named and isinstance(error, kind):
            raise
        reason = text or type(error).__name__
        raise kind(f"cannot read {what} {str(path)!r}: {reason}") from error


def list_extensions(hdus: fits.HDUList) -> list:
    """List the HDUs of a FITS file, and refuse a file whose headers form a loop.

    A header may claim data of a negative size. Astropy then looks for the next header before
    that one, finds the same one again, and never reaches the end of its list.

    Parameters
    ----------
    hdus : `~astropy.io.fits.HDUList`
        The opened file.

    Returns
    -------
    hdus : list
        The primary HDU and all extensions.

    Raises
    ------
    ValueError
        If a header does not follow the one before it.

    Examples
    --------
    >>> import io
    >>> from astropy.io import fits
    >>> from shredfinder._utils.files import list_extensions
    >>> file = io.BytesIO(fits.PrimaryHDU().header.tostring().encode())
    >>> with fits.open(file) as hdus:
    ...     [type(hdu).__name__ for hdu in list_extensions(hdus)]
    ['PrimaryHDU']
    """
    found, last = [], -1
    for hdu in hdus:
        offset = hdu.fileinfo()["hdrLoc"]
        if offset <= last:
            raise ValueError(
                f"the file is damaged: the header after byte {last} starts at byte {offset}"
            )
        found.append(hdu)
        last = offset
    return found


def has_external_stream(file: BinaryIO) -> bool:
    """Return whether a VOTable refers to data outside of itself.

    A ``STREAM`` with an ``href`` makes a reader open any local file or address that the table
    names. The whole file is parsed, since text searches miss other encodings.

    Parameters
    ----------
    file : file object
        The VOTable, opened in binary mode.

    Returns
    -------
    found : bool
        False also if the file is not XML, which its reader explains.
    """
    from astropy.utils.xml.iterparser import get_xml_iterator

    try:
        with get_xml_iterator(file) as elements:
            return any(
                starts and tag.rpartition(":")[2].upper() == "STREAM" and "href" in attributes
                for starts, tag, attributes, _ in elements
            )
    except Exception:  # expat's errors, and those of decompression
        return False
