"""Base URLs and layers in the names of cache folders."""

import re
from urllib.parse import urlsplit

__all__ = ["name_folder", "name_host"]


def name_host(url, default=""):
    """Distinguish the images of another server than the usual one.

    Parameters
    ----------
    url, default : str
        The base URL in use, and the service's own.

    Returns
    -------
    host : str
        Empty for the usual server, else ``"@"`` with host and path, fit for a folder.
    """
    if url.rstrip("/") == default.rstrip("/"):
        return ""
    parts = urlsplit(url.rstrip("/"))
    return name_folder("@" + (f"{parts.netloc}{parts.path}" or url))


def name_folder(text):
    """Make the name of one folder of any text, such as a layer's name.

    Parameters
    ----------
    text : str
        The text.

    Returns
    -------
    name : str
        The text with everything that could lead out of the folder, or trouble a file system,
        replaced by underscores; never empty.
    """
    name = re.sub(r"[^\w@+,=.-]", "_", text)
    return re.sub(r"^\.+", "_", name) or "all"
