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
classify_catalogue(sys.argv[1], sys.argv[2], cutouts=sys.argv[3], progress=False)
# Not resource.getrusage, whose maximum includes the process that started this one.
print(int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024)
"""


def measure(folder, ending, n_rows):
    """Return the peak memory in MB of a run over n rows of 51 columns."""
    rng = np.random.default_rng(0)
    table = Table({f"mag_{k}": rng.normal(20, 1, n_rows) for k in range(50)})
    table.add_column(np.arange(n_rows), name="objID", index=0)
    path = folder / f"{n_rows}.{ending}"
    table.write(path)
    output = folder / f"{n_rows}-scored.{ending}"
    command = [sys.executable, "-c", _RUN, path, output, folder]
    found = subprocess.run(
        command,
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | _POOLS,
    )
    return float(found.stdout)


@pytest.mark.slow
@pytest.mark.skipif(not _STATUS.exists(), reason="the peak memory is read as on Linux")
@pytest.mark.parametrize("ending", ["fits", "parquet"])
def test_memory_hardly_grows_with_the_rows(ending, tmp_path):
    need_format(ending)
    few, many = (measure(tmp_path, ending, n) for n in (200_000, 500_000))
    # The catalogue itself grows by 122 MB. The documented growth is about ten bytes per row, but
    # the buffers for the columns of a Parquet file fill up slowly: 30 MB were measured.
    assert many - few < 75, (few, many)
