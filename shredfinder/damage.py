"""Files that can't be read: what the readers of all formats raise, in words that name the file."""

import contextlib

__all__ = ["naming"]


@contextlib.contextmanager
def naming(path, what="the file"):
    """Have each error on reading a file name it, and be of a kind that the reader promises.

    Parameters
    ----------
    path : path-like
        The file.
    what : str, optional
        What it is called in the message.

    Raises
    ------
    OSError
        Where the operating system can't read it: no such file, no permission.
    KeyError
        If a column is missing.
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
        if isinstance(error, OSError) and error.errno is not None:
            raise
        text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
        named = str(path) in text or getattr(path, "name", str(path)) in text
        if named and isinstance(error, ValueError | KeyError):
            raise
        kind = KeyError if type(error) is KeyError else ValueError
        reason = text or type(error).__name__
        raise kind(f"{what} {str(path)!r} can't be read: {reason}") from error
