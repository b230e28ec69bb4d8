"""Catalogues scored with cutouts from bricks that several processes cut."""

import signal
import subprocess
import sys

import numpy as np
import pytest
from astropy.table import Table

from shredfinder.cli import main
from shredfinder.cutouts.services import local
from tests.conftest import needs
from tests.cutouts.test_bricks import CENTERS, make_positions, write_brick

# The second chunk is not written: the process, or all those that cut images, are killed before.
KILLED = """
import multiprocessing, os, signal, sys
from shredfinder.bulk.state import RunState
from shredfinder.cli import main
from shredfinder.cutouts.services import local

write = RunState.write


def write_and_kill(self, index, *scores):
    if index == 1:
        children = multiprocessing.active_children()
        assert len(children) == 2
        if {itself}:
            os.kill(os.getpid(), signal.SIGKILL)
        for child in children:
            child.kill()
    write(self, index, *scores)


if __name__ == "__main__":
    RunState.write = write_and_kill
    local._FEW_REQUESTS = 10
    sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no SIGKILL")
@pytest.mark.parametrize("itself", [True, False])
@needs("pyarrow")
def test_killed_runs_resume(tmp_path, monkeypatch, itself):
    for ra, dec in CENTERS:
        write_brick(tmp_path / "bricks", ra, dec)
    path, output, whole = (tmp_path / f"{name}.parquet" for name in ("in", "out", "whole"))
    ra, dec = make_positions(600).T
    Table({"objID": np.arange(len(ra)), "ra": ra, "dec": dec}).write(path)
    script = tmp_path / "killed.py"
    script.write_text(KILLED.format(itself=itself))
    options = ["--service", "local", "--base-url", str(tmp_path / "bricks"), "--chunk-size", "100"]
    command = ["classify", str(path), *options, "-o", str(output), "--workers", "2"]
    done = subprocess.run(
        [sys.executable, str(script), *command],
        check=False,
        timeout=600,
        capture_output=True,
        text=True,
    )
    if itself:
        assert done.returncode == -signal.SIGKILL
    else:
        assert done.returncode == 1
        assert "ended abruptly" in done.stderr
    assert not output.exists()
    monkeypatch.setattr(local, "_FEW_REQUESTS", 10)
    assert main([*command, "--resume"]) == 0
    assert main(["classify", str(path), *options, "-o", str(whole), "--workers", "1"]) == 0
    assert output.read_bytes() == whole.read_bytes()
