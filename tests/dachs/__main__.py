"""Run DaCHS: ``python -m tests.dachs``, as root or as any user.

Prints the addresses of its image services, and stops when its standard input ends (Ctrl-D).
"""

import sys

from tests.dachs.images import IMAGE_SERVICES, fill_images
from tests.dachs.running import running_dachs

with running_dachs(fill_images) as url:
    for path in IMAGE_SERVICES:
        print(url + path, flush=True)
    sys.stdin.read()
