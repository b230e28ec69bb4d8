"""A process that dies or hangs, as a broken reader would."""

import os
import time


def misbehave(pipe, folder):
    """Stand in for what reads files: the kind says how."""
    pipe.send("ready")
    kind, _ = pipe.recv()
    if kind == "crash":
        os._exit(9)
    if kind == "hang":
        time.sleep(60)
    pipe.send("read")
