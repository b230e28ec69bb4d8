"""A process that crashes or hangs, like a faulty reader."""

import os
import time


def misbehave(pipe, folder):
    """Replace the reader of files: the kind selects the fault."""
    pipe.send("ready")
    kind, _ = pipe.recv()
    if kind == "crash":
        os._exit(9)
    if kind == "hang":
        time.sleep(60)
    pipe.send("read")
