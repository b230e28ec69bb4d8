"""Run the server: ``python -m tests.cutouts.loopback [LATENCY]``.

It prints its base URL, and stops when its standard input ends.
"""

import sys

from tests.cutouts.loopback.server import LoopbackServer

with LoopbackServer(latency=float(sys.argv[1]) if len(sys.argv) > 1 else 0.0) as server:
    print(server.url, flush=True)
    for line in sys.stdin:
        if line.strip() == "count":
            print(len(server.requests), flush=True)
