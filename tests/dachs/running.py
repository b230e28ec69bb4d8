"""A DaCHS server for the duration of a test."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

__all__ = ["needs_dachs", "running_dachs"]

_HERE = Path(__file__).parent
_IS_INSTALLED = shutil.which("dachs") is not None and any(
    Path("/usr/share/postgresql").glob("*/extension/pg_sphere.control")
)

needs_dachs = [
    pytest.mark.dachs,
    pytest.mark.skipif(
        not _IS_INSTALLED, reason="DaCHS is not installed: tests/dachs/install.sh does it"
    ),
]


def _free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _stop(path, sign):
    """Send a signal to the process named in a file, if there is one, and wait for its end."""
    try:
        pid = int(path.read_text().split()[0])
        os.kill(pid, sign)
    except (OSError, ValueError, IndexError):
        return
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists():
            return
        time.sleep(0.1)


@contextlib.contextmanager
def running_dachs(fill, *, name="tst", max_rows=None):
    """Yield the base URL of a new server; PostgreSQL refuses to run as root.

    ``fill`` is called with a folder, in which it writes q.rd and its data; ``name`` is the schema
    of q.rd, and ``max_rows`` the most rows that the server sends.
    """
    folder = Path(tempfile.mkdtemp(prefix="shredfinder-dachs-"))
    source, state = folder / "source", folder / "state"
    source.mkdir()
    state.mkdir()
    log = folder / "start.log"
    try:
        fill(source)
        shutil.copy(_HERE / "start.sh", folder)
        port = _free_port()
        command = f"SRC={source} NAME={name} MAXREC={max_rows or ''} "
        command += f"bash {folder / 'start.sh'} {state} {port} {_free_port()}"
        arguments = ["bash", "-c", command]
        if os.geteuid() == 0:
            for path in (folder, source, source / "data"):
                path.chmod(0o755)
            shutil.chown(state, "postgres", "postgres")
            arguments = ["su", "postgres", "-s", "/bin/bash", "-c", command]
        with log.open("wb") as output:
            started = subprocess.run(
                arguments, stdout=output, stderr=subprocess.STDOUT, timeout=180, check=False
            )
        if started.returncode:
            raise RuntimeError(f"DaCHS did not start:\n{log.read_text()[-3000:]}")
        yield f"http://127.0.0.1:{port}"
    finally:
        _stop(state / "dachs.pid", signal.SIGTERM)
        _stop(state / "pg" / "postmaster.pid", signal.SIGINT)
        shutil.rmtree(folder, ignore_errors=True)
