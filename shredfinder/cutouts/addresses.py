"""Base URLs in the names of cache folders."""

from urllib.parse import urlsplit

__all__ = ["name_host"]


def name_host(url, default):
    """Distinguish the images of another server than the usual one.

    Parameters
    ----------
    url, default : str
        The base URL in use, and the service's own.

    Returns
    -------
    host : str
        Empty for the usual server, else ``"@"`` and the host's name, fit for a folder.
    """
    if url.rstrip("/") == default.rstrip("/"):
        return ""
    return "@" + (urlsplit(url).netloc or url).replace(":", "_").replace("/", "_")
