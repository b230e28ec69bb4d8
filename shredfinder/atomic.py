"""Files that appear whole or not at all."""

import contextlib
import os
import threading
from pathlib import Path

__all__ = ["replacing"]


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
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"{str(path)!r} can't be written: there is no folder {str(path.parent)!r}"
        )
    temporary = path.with_name(f".{path.stem}-{os.getpid()}-{threading.get_ident()}{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
