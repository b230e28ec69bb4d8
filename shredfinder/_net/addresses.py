"""Base URLs, and their names and those of layers in the cache's folders."""

import re
from urllib.parse import urlsplit

__all__ = ["complete_address", "name_folder", "name_host"]


def complete_address(url, default):
    """Give an address that names no more than a server the path of the service's own.

    Parameters
    ----------
    url, default : str
        The base URL that was given, and the service's own.

    Returns
    -------
    url : str
        The base URL, without a slash at its end: of ``"http://127.0.0.1:8000"`` the viewer's is
        ``"http://127.0.0.1:8000/viewer"``.
    """
    url = url.rstrip("/")
    parts = urlsplit(url)
    return url if parts.path or not parts.netloc else url + urlsplit(default).path


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
