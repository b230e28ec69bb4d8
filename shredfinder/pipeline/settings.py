"""What a search was asked for, in words and plain values, for the record and the report."""

import hashlib

from astropy.table import Table

from shredfinder.config import conf

__all__ = ["describe_settings", "digest_table", "name_hosts", "name_images", "to_plain"]


def digest_table(table):
    """Make a short text that differs where tables differ; None for no table."""
    if table is None:
        return None
    text = "\n".join(table.pformat(max_lines=-1, max_width=-1))
    return hashlib.sha256(text.encode()).hexdigest()


def name_hosts(hosts):
    """Say where the hosts came from."""
    if hosts is None:
        return "none"
    if isinstance(hosts, Table):
        return hosts.meta.get("catalog", f"a table of {len(hosts)} rows")
    return "NASA-Sloan Atlas v1.0.1" if str(hosts) == "nsa" else str(hosts)


def name_images(images):
    """Say where the cutouts came from."""
    if "cutouts" in images:
        return f"{images['cutouts']}, {images['pattern']}"
    fetch = images["fetch"]
    service = fetch.get("service") or conf.service
    address = fetch.get("base_url") or (conf.legacy_viewer_url if service == "legacy" else "")
    return f"{service} {address}".strip()


def to_plain(value):
    """Make of a setting what JSON can hold: text, where it is nothing simpler."""
    if isinstance(value, dict):
        # Where answers are kept, and how fast they come, changes nothing in them.
        return {key: to_plain(item) for key, item in value.items() if key not in ("cache", "rate")}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    if callable(value):
        return getattr(value, "__qualname__", None) or type(value).__name__
    return str(value)


def describe_settings(settings):
    """Put the settings of a search into words, for people to read."""
    described = {}
    for key, value in settings.items():
        if isinstance(value, dict):
            value = ", ".join(f"{name} {item}" for name, item in value.items() if item is not None)
        if value is None:
            value = "none: p_cnn at the training mix" if key == "prior" else "none"
        described[key] = str(value)
    return described
