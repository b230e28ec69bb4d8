"""The gnomonic projection, in which cutouts show the sky."""

import numpy as np

__all__ = ["deproject", "project"]


def project(ra, dec, ra_center, dec_center):
    """Project positions onto a tangent plane (gnomonic).

    Parameters
    ----------
    ra, dec : array_like
        Positions in degrees, within 90° of the centre.
    ra_center, dec_center : float
        The plane's centre in degrees.

    Returns
    -------
    east, north : `~numpy.ndarray`
        Offsets in arcsec.
    """
    ra, dec = np.radians(ra), np.radians(dec)
    ra_center, dec_center = np.radians(ra_center), np.radians(dec_center)
    cos_delta = np.cos(ra - ra_center)
    depth = np.sin(dec_center) * np.sin(dec) + np.cos(dec_center) * np.cos(dec) * cos_delta
    east = np.cos(dec) * np.sin(ra - ra_center) / depth
    north = np.cos(dec_center) * np.sin(dec) - np.sin(dec_center) * np.cos(dec) * cos_delta
    arcsec = np.degrees(1) * 3600
    return east * arcsec, north / depth * arcsec


def deproject(east, north, ra_center, dec_center):
    """Turn offsets on a tangent plane back into positions; the inverse of `project`.

    Parameters
    ----------
    east, north : array_like
        Offsets in arcsec.
    ra_center, dec_center : float
        The plane's centre in degrees.

    Returns
    -------
    ra, dec : `~numpy.ndarray`
        Positions in degrees, right ascension in 0–360.
    """
    east, north = np.radians(np.divide(east, 3600)), np.radians(np.divide(north, 3600))
    dec_center = np.radians(dec_center)
    depth = np.cos(dec_center) - north * np.sin(dec_center)
    ra = ra_center + np.degrees(np.arctan2(east, depth))
    height = np.sin(dec_center) + north * np.cos(dec_center)
    return ra % 360, np.degrees(np.arctan2(height, np.hypot(east, depth)))
