"""E(B-V) at positions, for surveys whose catalogues do not list it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING
from urllib.parse import urljoin

import numpy as np

from shredfinder._utils.units import to_floats
from shredfinder.catalogs.paging import make_client
from shredfinder.catalogs.query_cache import QueryCache, open_cache
from shredfinder.exceptions import BadResponseError, ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from astropy.coordinates import SkyCoord
    from astropy.units import Quantity
    from astropy.wcs import WCS

    from shredfinder._utils.validation import PathLike

__all__ = ["DustMap", "fetch_dust_map"]

# Smallest and largest side of the service's square images, in degrees.
_SIZES = (2.0, 37.5)
# The largest image has 2250 × 2250 px of four or eight bytes.
_MAX_BYTES = 64 * 2**20
# Statuses of a temporary file that was removed.
_GONE = (404, 410)


class DustMap:
    """An image of E(B-V), interpolated between its pixels.

    Parameters
    ----------
    values : `~numpy.ndarray`
        E(B-V) in mag, of shape ``(ny, nx)``.
    wcs : `~astropy.wcs.WCS`
        The image's coordinates.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.coordinates import SkyCoord
    >>> from astropy.wcs import WCS
    >>> from shredfinder.catalogs import DustMap
    >>> wcs = WCS(naxis=2)
    >>> wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = ["RA---TAN", "DEC--TAN"], [143, 21], [2, 2]
    >>> wcs.wcs.cdelt = -0.1, 0.1
    >>> dust = DustMap(np.full((3, 3), 0.03), wcs)
    >>> dust(SkyCoord([143.05, 150.0], [21.02, 21.0], unit="deg")).round(3).tolist()
    [0.03, nan]
    """

    def __init__(self, values: np.ndarray, wcs: WCS) -> None:
        self.values = np.asarray(values, dtype=float)
        self.wcs = wcs

    @property
    def maximum(self) -> float:
        """float: Largest E(B-V) of the image, in mag."""
        return float(np.nanmax(self.values))

    def __call__(self, coords: SkyCoord) -> np.ndarray:
        """Interpolate E(B-V) linearly at positions.

        Parameters
        ----------
        coords : `~astropy.coordinates.SkyCoord`
            Positions, of shape ``(n,)``.

        Returns
        -------
        ebv : `~numpy.ndarray`
            E(B-V) in mag, of shape ``(n,)``; NaN outside the image.
        """
        x, y = self.wcs.world_to_pixel(coords)
        height, width = self.values.shape
        with np.errstate(invalid="ignore"):
            inside = (x >= 0) & (y >= 0) & (x <= width - 1) & (y <= height - 1)
        # Positions outside get any valid pixel; the result there is set to NaN at the end.
        x, y = np.where(inside, x, 0.0), np.where(inside, y, 0.0)
        # width - 2, so that the right neighbour of the last column exists.
        left = np.minimum(x.astype(int), width - 2)
        low = np.minimum(y.astype(int), height - 2)
        right_part, high_part = x - left, y - low
        below = self.values[low, left] * (1 - right_part) + self.values[low, left + 1] * right_part
        above = (
            self.values[low + 1, left] * (1 - right_part)
            + self.values[low + 1, left + 1] * right_part
        )
        return np.where(inside, below * (1 - high_part) + above * high_part, np.nan)


def fetch_dust_map(
    center: SkyCoord,
    radius: float,
    *,
    url: str,
    timeout: float = 60.0,
    cache: bool | PathLike | QueryCache | None = True,
) -> DustMap:
    """Fetch the map of Schlegel, Finkbeiner & Davis (1998) from IRSA's dust service.

    Parameters
    ----------
    center : `~astropy.coordinates.SkyCoord`
        Centre of the region.
    radius : float
        Its radius in degrees, at most 17.
    url : str
        Address of the service.
    timeout : float, optional
        Seconds that each request may take.
    cache : bool, str, path-like or QueryCache, optional
        Whether to cache maps on disk, or the folder to cache them in. See `QueryCache`.

    Returns
    -------
    dust : DustMap
        The map of the region. Its E(B-V) is not rescaled, as `shredfinder.cuts.extinction`
        expects.

    Raises
    ------
    shredfinder.exceptions.ServiceError
        If there is no valid response.
    ValueError
        If the region is larger than the service's images.

    Notes
    -----
    The service responds with links to temporary files. Therefore astroquery's own cache, which
    would keep these links and error pages for a week, is not used. Only validated maps are cached.

    Examples
    --------
    >>> from astropy.coordinates import SkyCoord
    >>> from shredfinder import conf
    >>> from shredfinder.catalogs import fetch_dust_map
    >>> ngc2903 = SkyCoord(143.0421, 21.5008, unit="deg")
    >>> dust = fetch_dust_map(ngc2903, 0.5, url=conf.dust_url)
    >>> 0 < dust.maximum < 1
    True
    """
    # 10 % more than the diameter, for interpolation at the rim.
    size = max(_SIZES[0], 2.2 * radius)
    if size > _SIZES[1]:
        raise ValueError(
            f"IRSA's dust images cover {_SIZES[1]} degrees, too little for a radius of {radius:g} "
            "degrees: give ebv= as a function of positions, or query parts of the region"
        )
    store = open_cache(cache)
    position = center.icrs
    key = ("dust", url, f"{position.ra.deg:.6f} {position.dec.deg:.6f} {size:g}")
    content = store.read_file(key) if store is not None else None
    if content is not None:
        # A damaged file in the cache is replaced.
        with contextlib.suppress(BadResponseError):
            return _read_map(content, url)
    try:
        content = _download_map(position, size, url, timeout)
    except ServiceError as error:
        raise type(error)(
            f"{url} sent no map of E(B-V): {error}; give ebv= instead", status=error.status
        ) from error
    dust = _read_map(content, url)
    if store is not None:
        store.write_file(key, content)
    return dust


def _download_map(center: SkyCoord, size: float, url: str, timeout: float) -> bytes:
    """Download the image of E(B-V) of a square region, a FITS file."""
    from astroquery import cache_conf
    from astroquery.ipac.irsa.irsa_dust import IrsaDustClass

    from shredfinder._net.sessions import ClientSession

    service = IrsaDustClass()
    service.DUST_SERVICE_URL = url
    service._session = ClientSession(make_client(timeout), max_bytes=_MAX_BYTES)
    for attempt in (1, 2):
        try:
            with cache_conf.set_temp("cache_active", False):
                images = service.get_image_list(center, radius=f"{size} deg", image_type="ebv")
        except ServiceError:
            raise
        except Exception as error:  # astroquery may raise anything on an unexpected page
            raise BadResponseError(
                f"not a list of images ({type(error).__name__}: {error})"
            ) from error
        if not images:
            raise BadResponseError("the list of images is empty")
        try:
            # The service's links may be relative.
            return service._session.get(urljoin(url, images[0])).content
        except ServiceError as error:
            # The linked file is temporary: one that has gone is replaced by a new request.
            if attempt == 2 or error.status not in _GONE:
                raise
    raise AssertionError("unreachable")


def _read_map(content: bytes, url: str) -> DustMap:
    from astropy.io import fits
    from astropy.wcs import WCS

    from shredfinder._net.client import find_text

    try:
        with fits.HDUList.fromstring(content) as hdus:
            values, wcs = np.array(hdus[0].data, dtype=float), WCS(hdus[0].header)
    except Exception as error:  # a damaged file may raise anything
        raise BadResponseError(
            f"{url} sent no map of E(B-V) but {find_text(content) or 'a damaged file'} "
            f"({type(error).__name__}: {error}); give ebv= instead"
        ) from error
    if values.ndim != 2 or min(values.shape) < 2 or not np.isfinite(values).any():
        raise BadResponseError(f"{url} sent a map of E(B-V) without numbers; give ebv= instead")
    return DustMap(values, wcs)


def evaluate(
    ebv: float | Quantity | Callable[[SkyCoord], np.ndarray], ra: np.ndarray, dec: np.ndarray
) -> np.ndarray:
    """Return E(B-V) for each row.

    Parameters
    ----------
    ebv : float, `~astropy.units.Quantity` or callable
        One value in mag, or a function from a `~astropy.coordinates.SkyCoord` to values.
    ra, dec : `~numpy.ndarray`
        Coordinates in degrees, of shape ``(n,)``.

    Returns
    -------
    values : `~numpy.ndarray`
        E(B-V) in mag, of shape ``(n,)``.
    """
    from astropy import units as u
    from astropy.coordinates import SkyCoord

    if callable(ebv):
        # SkyCoord does not accept NaN as declination.
        good = np.isfinite(ra) & np.isfinite(dec)
        found = np.full(np.shape(ra), np.nan)
        if good.any():
            found[good] = to_floats(ebv(SkyCoord(ra[good], dec[good], unit="deg")), "ebv", u.mag)
        return found
    return np.broadcast_to(to_floats(ebv, "ebv", u.mag), np.shape(ra)).copy()
