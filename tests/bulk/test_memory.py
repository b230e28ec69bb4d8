"""The memory of a catalogue run does not grow with the catalogue's columns."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

from tests.conftest import need_format

# One pool of memory, so that what threads keep for later does not blur the measurement.
_POOLS = {"MALLOC_ARENA_MAX": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"}
_STATUS = Path("/proc/self/status")
_RUN = """
import re, sys, warnings
from pathlib import Path
from shredfinder.bulk import classify_catalogue

warnings.simplefilter("ignore")
folder = Path(sys.argv[1])
for path in sys.argv[2:]:
    classify_catalogue(path, folder / f"scored-{Path(path).name}", cutouts=folder, progress=False)
    # Not resource.getrusage, whose maximum includes the process that started this one.
    status = Path("/proc/self/status").read_text()
    print(int(re.search(r"VmHWM:\\s+(\\d+)", status)[1]) / 1024)
"""


def measure(folder, ending, sizes):
    """Return the peak memory in MB after runs over more and more rows of 14 columns."""
    rng = np.random.default_rng(0)
    paths = []
    for n_rows in sizes:
        table = Table({f"mag_{k}": rng.normal(20, 1, n_rows) for k in range(13)})
        table.add_column(np.arange(n_rows), name="objID", index=0)
        paths.append(folder / f"{n_rows}.{ending}")
        table.write(paths[-1])
    # One process: a peak includes all runs so far.
    found = subprocess.run(
        [sys.executable, "-c", _RUN, folder, *paths],
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | _POOLS,
    )
    return [float(line) for line in found.stdout.split()]


@pytest.mark.slow
@pytest.mark.skipif(not _STATUS.exists(), reason="the peak memory is read as on Linux")
@pytest.mark.parametrize("ending", ["fits", "parquet"])
def test_memory_hardly_grows_with_the_rows(ending, tmp_path):
    need_format(ending)
    few, many = measure(tmp_path, ending, (50_000, 250_000))
    print(f"FIGURE {ending}: {few:.0f} MB, {many:.0f} MB")
    # The catalogue itself grows by 22 MB. The documented growth is about ten bytes per row.
    assert many - few < 13, (few, many)
