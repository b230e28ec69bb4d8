"""E(B-V) of positions, for surveys whose catalogues do not have it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shredfinder._net.session import make_session
from shredfinder._utils.units import to_floats
from shredfinder.exceptions import CatalogServiceError

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord
    from astropy.wcs import WCS

__all__ = ["DustMap", "fetch_dust_map"]

# The service's images are squares of 2 to 37.5 degrees.
_SIZES = (2.0, 37.5)


class DustMap:
    """An image of E(B-V), read between its pixels.

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
        """float: The largest E(B-V) of the image, in mag."""
        return float(np.nanmax(self.values))

    def __call__(self, coords: SkyCoord) -> np.ndarray:
        """Interpolate linearly between the pixels' centres.

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
        x, y = np.where(inside, x, 0.0), np.where(inside, y, 0.0)
        left = np.minimum(x.astype(int), width - 2)
        low = np.minimum(y.astype(int), height - 2)
        right_part, high_part = x - left, y - low
        below = self.values[low, left] * (1 - right_part) + self.values[low, left + 1] * right_part
        above = (
            self.values[low + 1, left] * (1 - right_part)
            + self.values[low + 1, left + 1] * right_part
        )
        return np.where(inside, below * (1 - high_part) + above * high_part, np.nan)


def fetch_dust_map(center: SkyCoord, radius: float, *, url: str, timeout: float = 60.0) -> DustMap:
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

    Returns
    -------
    dust : DustMap
        The map of the region. Its E(B-V) is not rescaled, as `shredfinder.cuts.extinction` wants.

    Raises
    ------
    CatalogServiceError
        If there is no usable answer.
    ValueError
        If the region is larger than the service's images.

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
    from urllib.parse import urljoin

    import requests
    from astropy.io import fits
    from astropy.wcs import WCS
    from astroquery.ipac.irsa.irsa_dust import IrsaDustClass

    size = max(_SIZES[0], 2.2 * radius)
    if size > _SIZES[1]:
        raise ValueError(
            f"IRSA's dust images cover {_SIZES[1]} degrees, and a radius of {radius:g} degrees "
            "needs more: give ebv= as a function of positions, or query parts of the region"
        )
    client = IrsaDustClass()
    client.DUST_SERVICE_URL = url
    client._session = make_session(timeout)
    try:
        images = client.get_image_list(
            center.icrs, radius=f"{size} deg", image_type="ebv", timeout=timeout
        )
        response = client._session.get(urljoin(url, images[0]))
        response.raise_for_status()
        with fits.HDUList.fromstring(response.content) as hdus:
            values, wcs = np.array(hdus[0].data, dtype=float), WCS(hdus[0].header)
    except requests.RequestException as error:
        raise CatalogServiceError(f"{url} did not answer: {error}") from error
    except Exception as error:
        # astroquery raises whatever parsing a page that is no answer leads to.
        raise CatalogServiceError(
            f"{url} sent no map of E(B-V) ({type(error).__name__}: {error}): give ebv= instead"
        ) from error
    if values.ndim != 2 or min(values.shape) < 2 or not np.isfinite(values).any():
        raise CatalogServiceError(f"{url} sent a map of E(B-V) that holds no numbers")
    return DustMap(values, wcs)


def evaluate(ebv, ra, dec):
    """Give each row its E(B-V).

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
        # SkyCoord takes no NaN in declination.
        good = np.isfinite(ra) & np.isfinite(dec)
        found = np.full(np.shape(ra), np.nan)
        if good.any():
            found[good] = to_floats(ebv(SkyCoord(ra[good], dec[good], unit="deg")), "ebv", u.mag)
        return found
    return np.broadcast_to(to_floats(ebv, "ebv", u.mag), np.shape(ra)).copy()
