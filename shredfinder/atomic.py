"""Files that appear whole or not at all."""

import contextlib
import os
import threading
from pathlib import Path

__all__ = ["passing", "replacing"]


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
