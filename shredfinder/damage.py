"""Files that can't be read: what the readers of all formats raise, in words that name the file."""

import contextlib

__all__ = ["naming"]

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
    >>> from shredfinder.damage import naming
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
