"""What a killed process leaves behind: names of temporary files, their removal, and locks."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import os
import platform
import re
import shutil
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from shredfinder.exceptions import ShredfinderWarning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from filelock import FileLock

    from shredfinder._utils.validation import PathLike

__all__ = [
    "LOCK_NAME",
    "acquire_lock",
    "is_leftover",
    "lock_folder",
    "release_lock",
    "remove_leftovers",
    "remove_temporaries",
    "temporary_beside",
]

#: Name of the file in an output folder that is locked while a process writes there.
LOCK_NAME = ".shredfinder-lock"
# Machine, process and number of a temporary file.
_NAME = re.compile(r"\..*-shredfinder-([0-9a-f]{8})-(\d+)-\d+(\.[^.]*)?")
# Age in seconds of a file that nobody writes any more, on whichever machine.
_OLD = 86_400.0
# Errors of file systems that cannot lock.
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)

_numbers = itertools.count()
# Temporary files of this process, and folders in which it has looked for those of dead ones.
_own: set[str] = set()
_searched: set[str] = set()


def _name_machine() -> str:
    """Return a short name of the machine, or of the container, that process numbers belong to."""
    try:
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:  # systems other than Linux
        namespace = ""
    return hashlib.sha256(f"{platform.node()} {namespace}".encode()).hexdigest()[:8]


_MACHINE = _name_machine()


@contextlib.contextmanager
def temporary_beside(path: PathLike) -> Iterator[Path]:
    """Yield a temporary path beside another, and delete its file or folder at the end.

    The first one in a folder removes those of dead processes there.

    Parameters
    ----------
    path : path-like
        The other file, which is not touched.

    Yields
    ------
    temporary : `~pathlib.Path`
        A hidden path with the same suffix, by which writers choose the format. No other thread,
        process or machine uses it.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist.
    IsADirectoryError
        If `path` is a folder.
    """
    path = Path(path)
    folder = str(path.parent)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"cannot write {str(path)!r}: the folder {folder!r} does not exist")
    if path.is_dir():
        raise IsADirectoryError(f"cannot write {str(path)!r}: it is a folder")
    # Once per folder: listing a large one takes longer than writing a file.
    if folder not in _searched:
        _searched.add(folder)
        remove_leftovers(folder)
    # Names have at most 255 bytes.
    stem = path.stem.encode()[:128].decode(errors="ignore")
    owner = f"{_MACHINE}-{os.getpid()}-{next(_numbers)}"
    temporary = path.with_name(f".{stem}-shredfinder-{owner}{path.suffix}")
    _own.add(str(temporary))
    try:
        yield temporary
    finally:
        # A failure to delete must not hide an earlier error. After a replacement it is gone.
        with contextlib.suppress(OSError):
            temporary.unlink()
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        _own.discard(str(temporary))


def remove_temporaries() -> None:
    """Delete all temporary files of this process, which is about to end."""
    for path in list(_own):
        with contextlib.suppress(OSError):
            os.unlink(path)


def is_leftover(path: PathLike) -> bool:
    """Return whether a file or folder is a temporary one of a process that has ended.

    Parameters
    ----------
    path : path-like
        The file or folder.

    Returns
    -------
    leftover : bool
        False for any other name, and while the process may run. Processes of other machines are
        taken to have ended a day after the last change of the file.

    Examples
    --------
    >>> from shredfinder._utils.leftovers import is_leftover
    >>> is_leftover("scored.fits")
    False
    """
    path = os.fspath(path)
    match = _NAME.fullmatch(os.path.basename(path))
    if match is None:
        return False
    machine, process = match[1], int(match[2])
    if machine == _MACHINE:
        if process == os.getpid():
            # In a restarted container a process may have the number of the killed one.
            return path not in _own
        if not _is_running(process):
            return True
    try:
        return os.stat(path).st_mtime < time.time() - _OLD
    except OSError:
        return False


def _is_running(process: int) -> bool:
    if os.name != "posix":  # elsewhere, signal 0 is not harmless
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        return True
    return True


def remove_leftovers(folder: PathLike) -> None:
    """Remove the temporary files and folders in a folder that dead processes left.

    Parameters
    ----------
    folder : path-like
        The folder; folders within it are not searched.
    """
    # Whatever cannot be listed or removed is in nobody's way.
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") and is_leftover(entry.path):
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path, ignore_errors=True)
                    continue
                # One that another user owns must not keep the others.
                with contextlib.suppress(OSError):
                    os.unlink(entry.path)


def acquire_lock(folder: Path, output: PathLike) -> FileLock | None:
    """Reserve a folder for this process.

    The operating system drops the lock with its process, so that a killed run blocks no other.

    Parameters
    ----------
    folder : `~pathlib.Path`
        The folder, which exists.
    output : path-like
        What is written, for the message.

    Returns
    -------
    lock : `filelock.FileLock` or None
        To be passed to `release_lock`; None if the file system cannot lock.

    Raises
    ------
    FileExistsError
        If another process has reserved it.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(folder / LOCK_NAME)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise FileExistsError(
            f"another process is writing {str(output)!r}: wait for it to end, or choose another "
            "output"
        ) from None
    except (NotImplementedError, OSError) as error:
        if isinstance(error, OSError) and error.errno not in _NO_LOCKS:
            raise
        warnings.warn(
            f"the file system of {str(folder)!r} cannot lock files: make sure that no other "
            "process writes the same output",
            ShredfinderWarning,
        )
        return None
    return lock


def release_lock(lock: FileLock | None) -> None:
    """Delete and release the lock of `acquire_lock`."""
    if lock is None:
        return
    # While it is held, so that no other process can have reserved the file that is deleted. An
    # open file cannot be deleted on Windows.
    with contextlib.suppress(OSError):
        os.unlink(lock.lock_file)
    lock.release()


@contextlib.contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Reserve a folder, which is created if missing, for the duration of a block.

    Parameters
    ----------
    folder : `~pathlib.Path`
        The folder.

    Raises
    ------
    FileExistsError
        If another process has reserved it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = acquire_lock(folder, folder)
    try:
        remove_leftovers(folder)
        yield
    finally:
        release_lock(lock)
