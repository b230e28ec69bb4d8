"""Time cutouts from a local server: grouped, one by one, and with a plain loop.

Run ``python benchmarks/cutout_services.py`` in the repository root. The server runs in a separate
process, waits before each response, and returns images of a simulated sky.
"""

import argparse
import io
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import requests
from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from shredfinder.cutouts import fetch_cutouts  # noqa: E402
from tests.cutouts.conftest import differences, host_centred  # noqa: E402


class Server:
    """Context manager for the local server in a separate process."""

    def __init__(self, latency):
        self._command = [sys.executable, "-m", "tests.cutouts.loopback", str(latency)]

    def __enter__(self):
        self._process = subprocess.Popen(
            self._command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.url = self._process.stdout.readline().strip() + "/viewer"
        return self

    def __exit__(self, *exception):
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()

    def count(self):
        """Return the number of requests so far."""
        self._process.stdin.write("count\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


def plain_loop(coords, url):
    """Request one cutout after the other, as notebooks do."""
    images = []
    for coord in coords:
        params = {
            "ra": coord.ra.deg,
            "dec": coord.dec.deg,
            "layer": "ls-dr9",
            "size": 128,
            "pixscale": 0.46875,
        }
        body = requests.get(f"{url}/jpeg-cutout", params=params, timeout=60).content
        images.append(np.asarray(Image.open(io.BytesIO(body))))
    return images


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hosts", type=int, default=50)
    parser.add_argument("--sources", type=int, default=20, help="sources per host")
    parser.add_argument("--latency", type=float, default=0.05, help="seconds before each response")
    parser.add_argument("--workers", type=int, default=16)
    options = parser.parse_args()
    coords = host_centred(options.hosts, options.sources)
    n = len(coords)

    def fetch(group):
        cutouts = fetch_cutouts(
            coords,
            service="legacy",
            base_url=server.url,
            cache=False,
            rate=None,
            group=group,
            max_workers=options.workers,
            progress=False,
        )
        if not cutouts.good.all() or differences(cutouts[:50], coords[:50]).max() > 5:
            raise RuntimeError("wrong cutouts")

    print(
        f"{n} sources around {options.hosts} hosts, {options.latency * 1e3:g} ms latency, "
        f"{options.workers} connections, no rate limit\n"
    )
    print(f"{'':24}{'sources/s':>10}{'requests/source':>17}{'seconds':>9}{'faster':>8}")
    with Server(options.latency) as server:
        base = None
        for name, run in (
            ("plain requests loop", lambda: plain_loop(coords, server.url)),
            ("shredfinder, one by one", lambda: fetch(False)),
            ("shredfinder, grouped", lambda: fetch(True)),
        ):
            before, start = server.count(), time.perf_counter()
            run()
            seconds = time.perf_counter() - start
            base = base or seconds
            per_source = (server.count() - before) / n
            print(
                f"{name:24}{n / seconds:10.1f}{per_source:17.3f}{seconds:9.2f}"
                f"{base / seconds:7.1f}×"
            )


if __name__ == "__main__":
    main()
