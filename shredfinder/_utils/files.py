"""Files that appear whole or not at all."""

import contextlib
import os
import threading
from pathlib import Path

__all__ = ["check_extensions", "list_extensions", "naming", "passing", "replacing"]


@contextlib.contextmanager
def replacing(path):
    """Give a temporary path whose file takes its place at the end, if all went well.

    Parameters
    ----------
    path : path-like
        The file to be written.

    Yields
    ------
    temporary : `~pathlib.Path`
        A path in the same folder and with the same suffix, hidden, for this thread alone.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist.
    IsADirectoryError
        If the path itself is a folder.
    """
    with passing(path) as temporary:
        yield temporary
        os.replace(temporary, path)


@contextlib.contextmanager
def passing(path):
    """Give a temporary path beside another, whose file does not outlast the block.

    Parameters
    ----------
    path : path-like
        The other file, which is not touched.

    Yields
    ------
    temporary : `~pathlib.Path`
        As of `replacing`.

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        As of `replacing`.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"{str(path)!r} can't be written: there is no folder {str(path.parent)!r}"
        )
    if path.is_dir():
        raise IsADirectoryError(f"{str(path)!r} can't be written: it is a folder")
    temporary = path.with_name(f".{path.stem}-{os.getpid()}-{threading.get_ident()}{path.suffix}")
    try:
        yield temporary
    finally:
        # What went wrong before matters more than a file that can't be removed.
        with contextlib.suppress(OSError):
            temporary.unlink()


_MISSING = (FileNotFoundError, IsADirectoryError, NotADirectoryError)


@contextlib.contextmanager
def naming(path, what="the file", *, has_columns=False):
    """Have each error on reading a file name it, and be of a kind that the reader promises.

    Parameters
    ----------
    path : path-like
        The file.
    what : str, optional
        What it is called in the message.
    has_columns : bool, optional
        Whether a KeyError tells that a column is missing, and stays one; elsewhere it is but the
        sign of a damaged header.

    Raises
    ------
    OSError
        Where the operating system can't read it: no such file, no permission.
    KeyError
        If a column is missing, with ``has_columns``.
    ValueError
        If it is damaged, whatever the format's reader makes of that.

    Examples
    --------
    >>> from shredfinder._utils.files import naming
    >>> with naming("a.fits", "the catalogue"):
    ...     raise IndexError("out of range")
    Traceback (most recent call last):
        ...
    ValueError: the catalogue 'a.fits' can't be read: out of range
    """
    try:
        yield
    except (ImportError, MemoryError):
        raise
    except Exception as error:  # decoders and readers raise all sorts of things on broken files
        # The formats' own readers raise OSError too, but without the system's number.
        if isinstance(error, _MISSING) or getattr(error, "errno", None) is not None:
            raise
        text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
        named = str(path) in text or getattr(path, "name", str(path)) in text
        kind = KeyError if has_columns and type(error) is KeyError else ValueError
        if named and isinstance(error, kind):
            raise
        reason = text or type(error).__name__
        raise kind(f"{what} {str(path)!r} can't be read: {reason}") from error


def list_extensions(hdus):
    """List the parts of a FITS file, and refuse one whose headers lead in a circle.

    A header may claim data of a negative size. Astropy then looks for the next header before
    that one, finds this one again, and never comes to the end of its list.

    Parameters
    ----------
    hdus : `~astropy.io.fits.HDUList`
        The file, as it was opened.

    Returns
    -------
    parts : list
        The primary HDU and the extensions, all of which have been found.

    Raises
    ------
    ValueError
        If a header does not lie behind the one before it.

    Examples
    --------
    >>> import io
    >>> from astropy.io import fits
    >>> from shredfinder._utils.files import list_extensions
    >>> file = io.BytesIO(fits.PrimaryHDU().header.tostring().encode())
    >>> with fits.open(file) as hdus:
    ...     [type(part).__name__ for part in list_extensions(hdus)]
    ['PrimaryHDU']
    """
    parts, last = [], -1
    for hdu in hdus:
        place = hdu.fileinfo()["hdrLoc"]
        if place <= last:
            raise ValueError(
                f"it is damaged: after the header at byte {last} comes that at {place}"
            )
        parts.append(hdu)
        last = place
    return parts


def check_extensions(path):
    """Make sure that a file, if it is a FITS file, can be read to its end.

    Parameters
    ----------
    path : path-like
        A file of any type.

    Raises
    ------
    ValueError
        If its headers lead in a circle; see `list_extensions`.

    Examples
    --------
    >>> from shredfinder._utils.files import check_extensions
    >>> check_extensions("table.csv")  # FITS files are told by their name
    """
    from astropy.io import fits

    if any(part in str(path).lower() for part in (".fit", ".fts")):
        with contextlib.suppress(OSError), fits.open(path, memmap=True) as hdus:
            list_extensions(hdus)
