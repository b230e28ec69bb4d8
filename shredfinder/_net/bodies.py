"""Bodies of HTTP answers, read whole and within limits of time and size."""

import io
import time

__all__ = ["ReadBody", "TooLargeError", "find_suffix", "find_text", "read_body"]

_CHUNK = 256 * 1024
_SIGNATURES = {b"\xff\xd8\xff": ".jpg", b"\x89PNG\r\n\x1a\n": ".png", b"SIMPLE  =": ".fits"}


class TooLargeError(Exception):
    """An answer is larger than anything that was asked for."""


def read_body(response, *, deadline, max_bytes, stop=None):
    """Read the body of a response that was asked for with ``stream=True``.

    The time limit of `requests` counts from one piece of an answer to the next: a server that
    sends a byte now and then holds a program up for ever.

    Parameters
    ----------
    response : `requests.Response`
        The response, unread.
    deadline : float
        When to give up, by the clock of `time.monotonic`.
    max_bytes : int
        Bytes beyond which is not read on.
    stop : `threading.Event`, optional
        Ends the reading when it is set.

    Returns
    -------
    content : bytes or None
        The whole body; None if it was stopped.

    Raises
    ------
    TooLargeError
        If it has more bytes than allowed.
    requests.Timeout
        If the deadline passed.
    urllib3.exceptions.HTTPError
        If the connection was cut.
    """
    import requests

    parts, n_bytes = [], 0
    # read1 gives what has arrived: a slow trickle can't hide behind a chunk that is not full.
    while part := response.raw.read1(_CHUNK, decode_content=True):
        parts.append(part)
        n_bytes += len(part)
        if n_bytes > max_bytes:
            raise TooLargeError(f"more than {max_bytes} bytes from {response.url}")
        if time.monotonic() > deadline:
            raise requests.Timeout(f"the answer from {response.url} took too long")
        if stop is not None and stop.is_set():
            return None
    return b"".join(parts)


class ReadBody(io.BytesIO):
    """A body that was read, in place of a response's raw stream, as pyvo reads it."""

    def read(self, size=-1, decode_content=None):
        """Read like a file; what `urllib3` would decode is decoded already."""
        return super().read(-1 if size is None else size)


def find_text(content):
    """Read the text that came in place of an image.

    Parameters
    ----------
    content : bytes
        Body of an answer.

    Returns
    -------
    text : str
        Its beginning, for messages; empty if the body is not text.
    """
    start = content[:400]
    if find_suffix(content) or b"\x00" in start:
        return ""
    return " ".join(start.decode("utf-8", "replace").split())[:200]


def find_suffix(content):
    """Tell a file's type from its first bytes; None if it is no image."""
    return next((s for start, s in _SIGNATURES.items() if content.startswith(start)), None)
