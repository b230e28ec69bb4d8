"""Ctrl-C and SIGTERM end every command soon, whatever it is doing, and leave nothing half."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from astropy.table import Table
from PIL import Image

from shredfinder.table import read_catalogue
from tests._net.test_deadlines import BadServer
from tests.conftest import HAS_BACKEND

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix", reason="Windows has no such signals"),
]
N_ROWS = 400
# Seconds that a command may take to end: two, and what a busy machine needs.
LONGEST = 4
STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with a catalogue of labelled sources and their cutouts."""
    folder = tmp_path_factory.mktemp("sources")
    rng = np.random.default_rng(1)
    images = rng.integers(0, 255, (16, 128, 128, 3), dtype=np.uint8)
    (folder / "cutouts").mkdir()
    for i in range(N_ROWS):
        Image.fromarray(images[i % 16]).save(folder / "cutouts" / f"{i}.png", compress_level=0)
    table = Table({"objID": np.arange(N_ROWS), "ra": rng.uniform(10, 11, N_ROWS)})
    table["dec"] = rng.uniform(-1, 1, N_ROWS)
    table.write(folder / "unlabelled.fits")
    table["label"] = np.where(np.arange(N_ROWS) % 2, "shred", "galaxy")
    table.write(folder / "sources.fits")
    Table({"ra": [10.5], "dec": [0.0], "z": [0.001]}).write(folder / "hosts.ecsv")
    return folder


@pytest.fixture(scope="module")
def silent():
    with BadServer("headers") as server:
        yield server.url


def make_command(name, folder, output, url):
    """Return the arguments of a command that runs for longer than a test waits."""
    sources, cutouts = str(folder / "sources.fits"), ["--cutouts", str(folder / "cutouts")]
    fetched = ["--base-url", url, "--cache", str(output / "cache")]
    out, hosts = ["-o", str(output / "out.ecsv")], str(folder / "hosts.ecsv")
    return {
        "classify": ["classify", sources, *cutouts, "--chunk-size", "50", "--std", *out],
        "classify from a server": ["classify", sources, *fetched, *out],
        "fetch": ["fetch", sources, *fetched, "-o", str(output / "images")],
        "run": ["run", "--center", "10 0", "--radius", "0.1", "--hosts", hosts, *fetched,
                "--legacy-tap-url", url, "--save", str(output / "steps"), *out],
        "run with a name": ["run", "--host", "NGC 1", "--resolver-url", url, *fetched, *out],
        "pool": ["pool", str(folder / "unlabelled.fits"), "--hosts", hosts,
                 "--host-radius", "100000", *fetched, *out],
        "train": ["train", sources, *cutouts, "--architecture", "published", "--epochs", "50",
                  "--checkpoint", str(output / "state"), "-o", str(output / "out.shredmodel")],
        "evaluate": ["evaluate", sources, *cutouts, "--cross-validate", "4", "--epochs", "50",
                     *out],
        "label": ["label", sources, *cutouts, *out],
        "demo": ["demo", "-o", str(output / "out.png")],
    }[name]  # fmt: skip


COMMANDS = [
    "classify",
    "classify from a server",
    "fetch",
    "run",
    "run with a name",
    "pool",
    "train",
    "evaluate",
    "label",
    "demo",
]


@pytest.fixture(autouse=True)
def restore_interrupts():
    """Let commands be interrupted as in a terminal: in the background, Ctrl-C is ignored."""
    # Of the parent, since JAX warns of functions that are called between fork and exec.
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, previous)


def interrupt(arguments, delay, number, folder):
    """Start a command, send a signal after a while, and return the status and the seconds."""
    process = subprocess.Popen(
        [sys.executable, "-m", "shredfinder", *arguments],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=folder,
        env=os.environ | {"PYTHONPATH": os.getcwd()},
    )  # fmt: skip
    with process:
        try:
            time.sleep(delay)
            start = time.monotonic()
            process.send_signal(number)
            _, error = process.communicate(timeout=60)
        finally:
            process.kill()
    return process.returncode, time.monotonic() - start, error


def list_half(output):
    """List files that are neither whole nor absent, and temporary ones."""
    return [
        str(path.relative_to(output))
        for path in output.rglob("*")
        if "-shredfinder-" in path.name or path.name in ("out.ecsv", "out.shredmodel", "out.png")
    ]


# In imports, while the command prepares its work, and while it works. Most of the time is waiting:
# the first imports are the same for all commands, and only training begins late.
CASES = [(name, 1.0, signal.SIGINT) for name in COMMANDS]
CASES += [
    (name, 3.0, signal.SIGINT if i % 2 else signal.SIGTERM) for i, name in enumerate(COMMANDS)
]
CASES += [(name, 0.3, signal.SIGTERM) for name in ("classify", "train")]
CASES += [(name, 6.0, signal.SIGINT) for name in ("train", "evaluate")]


@pytest.mark.parametrize(("name", "delay", "number"), CASES)
def test_a_signal_ends_a_command(folder, silent, tmp_path, name, delay, number):
    if name in ("train", "evaluate") and not HAS_BACKEND:
        pytest.skip("training needs a backend")
    arguments = make_command(name, folder, tmp_path, silent)
    status, seconds, error = interrupt(arguments, delay, number, tmp_path)
    print(f"FIGURE {name:24} {delay:4} s  {number.name:8} {status} after {seconds:.2f} s")
    if status in (0, -number):
        # It was done before; the shell shows a process that a signal ended with the same status.
        assert name in ("demo", "classify")
        assert (tmp_path / "out.png").exists() or (tmp_path / "out.ecsv").exists()
        return
    assert status == STATUS[number], error
    assert seconds < LONGEST
    assert "interrupted" in error or name == "label"
    assert "Traceback" not in error
    if (tmp_path / "out.ecsv").exists():
        assert len(read_catalogue(tmp_path / "out.ecsv")) == N_ROWS
    else:
        assert list_half(tmp_path) == []
