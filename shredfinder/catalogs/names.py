"""Positions of named objects, from astropy's name resolver."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shredfinder.config import conf
from shredfinder.exceptions import TransientServiceError

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord

__all__ = ["resolve_name"]


def resolve_name(
    name: str, *, url: str | None = None, timeout: float = 30.0, cache: bool = True
) -> SkyCoord:
    """Look up the position of an object by its name.

    Parameters
    ----------
    name : str
        A name that Simbad, NED or VizieR know, such as ``"NGC 2903"``.
    url : str, optional
        URL of a Sesame service, up to the path before the question mark; by default
        ``shredfinder.conf.resolver_url``, and if that is empty astropy's own list
        (``astropy.coordinates.name_resolve.sesame_url``).
    timeout : float, optional
        Seconds that a request may take.
    cache : bool, optional
        Whether to use astropy's cache.

    Returns
    -------
    coords : `~astropy.coordinates.SkyCoord`
        ICRS position of the object.

    Raises
    ------
    ValueError
        If the name is empty or unknown.
    shredfinder.exceptions.TransientServiceError
        If no service responds.

    Notes
    -----
    Sesame (CDS) queries Simbad, NED and VizieR in this order. The request is made by
    `astropy.coordinates.SkyCoord.from_name`.

    Examples
    --------
    >>> from shredfinder.catalogs import resolve_name
    >>> ngc2903 = resolve_name("NGC 2903")
    >>> ngc2903.to_string("hmsdms", precision=0)  # doctest: +IGNORE_OUTPUT
    '09h32m10s +21d30m03s'
    """
    from astropy.coordinates import SkyCoord, name_resolve
    from astropy.utils.data import conf as data_conf

    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"the name of an object must be non-empty text, not {name!r}")
    url = url or conf.resolver_url
    addresses = [url] if url else name_resolve.sesame_url.get()
    try:
        with (
            name_resolve.sesame_url.set(addresses),
            data_conf.set_temp("remote_timeout", float(timeout)),
        ):
            return SkyCoord.from_name(name.strip(), cache=cache)
    except name_resolve.NameResolveError as error:
        if "Unable to find" in str(error):
            raise ValueError(
                f"the resolver at {', '.join(addresses)} knows no object named {name!r}: check "
                "the name, or give a position"
            ) from error
        raise TransientServiceError(
            f"the name {name!r} cannot be looked up: {' '.join(str(error).split())}; give a "
            "position instead"
        ) from error
