"""A real TAP server on loopback, DaCHS (Debian's python3-gavo), with a simulated catalogue."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

__all__ = ["missing_parts", "running_dachs"]

_HERE = Path(__file__).parent


def missing_parts():
    """Say what lacks to run DaCHS here; an empty list if nothing does."""
    missing = [name for name in ("dachs", "curl") if shutil.which(name) is None]
    servers = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not servers:
        missing.append("postgresql")
    elif not list(Path("/usr/share/postgresql").glob("*/extension/q3c.control")):
        missing.append("postgresql's q3c")
    if os.getuid() == 0 and shutil.which("su") is None:
        missing.append("su")
    return missing


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def running_dachs(table):
    """Serve a table as ls_dr9.tractor; gives the URL of the TAP service."""
    # Paths of sockets are short, so not in pytest's folder.
    folder = Path(tempfile.mkdtemp(prefix="sf-dachs-"))
    try:
        (folder / "source" / "data").mkdir(parents=True)
        shutil.copy(_HERE / "q.rd", folder / "source")
        shutil.copy(_HERE / "start.sh", folder)
        # Missing values are empty entries.
        table.filled("").write(folder / "source" / "data" / "tractor.csv", format="ascii.csv")
        command = ["/bin/bash", f"{folder}/start.sh", str(folder), str(_free_port())]
        command.append(str(_free_port()))
        if os.getuid() == 0:
            for path in (folder, *folder.rglob("*")):
                shutil.chown(path, "postgres", "postgres")
            command = ["su", "postgres", "-s", "/bin/bash", "-c", " ".join(command)]
        with open(folder / "start.log", "w") as log:
            done = subprocess.run(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, timeout=120, check=False
            )
        if done.returncode:
            logs = "\n".join(
                f"{p.name}: {p.read_text()[-1500:]}" for p in sorted(folder.glob("*.log"))
            )
            raise RuntimeError(f"DaCHS did not start: {logs}")
        port = next(
            line.split(":")[1].strip()
            for line in (folder / "gavo.rc").read_text().splitlines()
            if line.startswith("serverPort")
        )
        yield f"http://127.0.0.1:{port}/tap"
    finally:
        _stop(folder / "dachs.pid", signal.SIGTERM)
        _stop(folder / "pg" / "postmaster.pid", signal.SIGINT)
        shutil.rmtree(folder, ignore_errors=True)


def _stop(pid_file, how):
    if not pid_file.exists():
        return
    pid = int(pid_file.read_text().split()[0])
    for attempt in (how, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, attempt)
        for _ in range(50):
            if not Path(f"/proc/{pid}").exists():
                return
            time.sleep(0.1)
