"""Neighbouring sources share one larger image, which is then sliced."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from shredfinder._utils.positions import get_degrees
from shredfinder.cutouts.services.base import CutoutRequest, CutoutService

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord
    from astropy.table import Table
    from numpy.typing import ArrayLike

__all__ = ["Group", "deproject", "group_sources", "project", "single_group", "sky_order"]

# A shared image may have this many times the pixels of its sources' own cutouts: a little more
# to transfer saves many requests, but mostly empty sky is not worth it.
_MAX_AREA_RATIO = 4.0
# Tolerated rotation, as the displacement of a slice's corner in pixels: north at the centre of the
# shared image is not quite north at the source. It adds to half a pixel of rounding.
_MAX_TURN = 0.25
# Sources farther apart than this, in degrees, are split before any projection.
_MAX_EXTENT = 1.0


@dataclass(frozen=True)
class Group:
    """Sources whose cutouts are slices of one image.

    Attributes
    ----------
    rows : `~numpy.ndarray` of int
        Indices of the sources.
    request : CutoutRequest
        The image that holds them.
    left, top : `~numpy.ndarray` of int
        First column and row of each source's slice; rows count from the north.
    """

    rows: np.ndarray
    request: CutoutRequest
    left: np.ndarray
    top: np.ndarray

    def select(self, wanted: np.ndarray) -> Group:
        """Return the group of the same image with only those sources that a mask selects."""
        chosen = wanted[self.rows]
        return Group(self.rows[chosen], self.request, self.left[chosen], self.top[chosen])


def group_sources(
    ra: np.ndarray, dec: np.ndarray, *, size: int, pixel_scale: float, max_size: int | None
) -> list[Group]:
    """Group neighbouring sources so that each group fits into one image.

    Sources are split at the widest gaps until the image of each group is small enough, mostly
    filled with cutouts, and not visibly rotated against any of them.

    Parameters
    ----------
    ra, dec : `~numpy.ndarray`
        Positions in degrees, of shape ``(n,)``.
    size : int
        Width and height of the cutouts in pixels.
    pixel_scale : float
        Pixel scale in arcsec per pixel.
    max_size : int or None
        Largest width and height of an image in pixels.

    Returns
    -------
    groups : list of Group
        Groups that hold each source once. A slice is centred on its source to half a pixel
        in each direction, and exactly for a single source.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder.cutouts.grouping import group_sources
    >>> ra, dec = np.array([150.0, 150.01, 10.0]), np.array([2.2, 2.2, -30.0])
    >>> groups = group_sources(ra, dec, size=128, pixel_scale=0.46875, max_size=3000)
    >>> sorted((len(group.rows), group.request.width) for group in groups)
    [(1, 128), (2, 206)]
    """
    ra, dec = np.asarray(ra, float), np.asarray(dec, float)
    # Unit vectors have no seam at RA 0° and no singularity at the poles, unlike RA and Dec.
    vectors = np.stack(
        [
            np.cos(np.radians(dec)) * np.cos(np.radians(ra)),
            np.cos(np.radians(dec)) * np.sin(np.radians(ra)),
            np.sin(np.radians(dec)),
        ],
        axis=1,
    )
    groups, waiting = [], [np.arange(len(ra))] if len(ra) else []
    while waiting:
        rows = waiting.pop()
        found = _try_group(rows, ra, dec, vectors, size, pixel_scale, max_size or np.inf)
        if isinstance(found, Group):
            groups.append(found)
        else:
            # A failed attempt returns the coordinates along which to split.
            waiting.extend(_split(rows, found))
    return groups


def single_group(row: int, ra: float, dec: float, *, size: int, pixel_scale: float) -> Group:
    """Return the group of a single source, whose cutout is the whole image."""
    request = CutoutRequest(float(ra), float(dec), size, size, pixel_scale)
    zero = np.zeros(1, int)
    return Group(np.array([row]), request, zero, zero)


def _try_group(
    rows: np.ndarray,
    ra: np.ndarray,
    dec: np.ndarray,
    vectors: np.ndarray,
    size: int,
    pixel_scale: float,
    max_size: float,
) -> Group | np.ndarray:
    """Return the group of the rows, or the coordinates along which to split them."""
    if len(rows) == 1:
        row = rows[0]
        return single_group(row, ra[row], dec[row], size=size, pixel_scale=pixel_scale)
    chosen = vectors[rows]
    extent = np.ptp(chosen, axis=0)
    if extent.max() > np.radians(_MAX_EXTENT):
        return chosen
    # The direction of the mean vector is the middle of the sources.
    center = chosen.mean(axis=0)
    ra_mean = np.degrees(np.arctan2(center[1], center[0]))
    dec_mean = np.degrees(np.arcsin(np.clip(center[2] / np.linalg.norm(center), -1, 1)))
    axes = np.stack(project(ra[rows], dec[rows], ra_mean, dec_mean), axis=1)
    # The slice of the source nearest to the middle is exact: the image's centre is a whole number
    # of pixels away from it.
    middle = (axes.min(axis=0) + axes.max(axis=0)) / 2
    central = rows[np.argmin(((axes - middle) ** 2).sum(axis=1))]
    # Offsets to the right and downward, in pixels; east and north are to the left and upward.
    offsets = -np.stack(project(ra[rows], dec[rows], ra[central], dec[central]), axis=1)
    offsets /= pixel_scale
    # Whole pixels, so that the central source's slice needs no rounding.
    shift = np.rint((offsets.min(axis=0) + offsets.max(axis=0)) / 2)
    east, north = -shift * pixel_scale
    ra_image, dec_image = deproject(east, north, ra[central], dec[central])
    request = CutoutRequest(float(ra_image), float(dec_image), size, size, pixel_scale)
    offsets = -np.stack(project(ra[rows], dec[rows], request.ra, request.dec), axis=1)
    offsets = np.rint(offsets / pixel_scale).astype(int)
    # As many pixels on either side of the centre as the farthest source needs.
    margins = np.abs(offsets).max(axis=0)
    width, height = (size + 2 * margins).tolist()
    # Convergence of meridians: north turns by ΔRA · sin(Dec). The modulo brings ΔRA to ±180°.
    turn = np.radians(np.abs((ra[rows] - request.ra + 180) % 360 - 180)) * np.abs(
        np.sin(np.radians(dec[rows]))
    )
    fits = (
        max(width, height) <= max_size
        and width * height <= _MAX_AREA_RATIO * len(rows) * size**2
        # A corner of the slice is size / √2 pixels from its centre.
        and turn.max() * size / np.sqrt(2) <= _MAX_TURN
    )
    if not fits:
        return axes
    request = replace(request, width=width, height=height)
    left, top = (margins + offsets).T
    return Group(rows, request, left, top)


def _split(rows: np.ndarray, axes: np.ndarray) -> list[np.ndarray]:
    """Split rows at the widest gap within the middle half of the axis of largest extent."""
    along = axes[:, np.argmax(np.ptp(axes, axis=0))]
    order = np.argsort(along, kind="stable")
    n = len(rows)
    # Gaps near the ends would separate one source at a time.
    # There are n - 1 gaps; at least one of them remains to choose from.
    first, last = (n - 1) // 4, max((3 * (n - 1) + 3) // 4, (n - 1) // 4 + 1)
    gaps = np.diff(along[order])[first:last]
    cut = first + int(np.argmax(gaps)) + 1
    return [rows[order[:cut]], rows[order[cut:]]]


def project(
    ra: ArrayLike, dec: ArrayLike, ra_center: float, dec_center: float
) -> tuple[np.ndarray, np.ndarray]:
    """Project positions onto a tangent plane (gnomonic; Calabretta & Greisen 2002, A&A 395, 1077).

    Parameters
    ----------
    ra, dec : array_like
        Positions in degrees, within 90° of the centre.
    ra_center, dec_center : float
        Tangent point in degrees.

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


def deproject(
    east: ArrayLike, north: ArrayLike, ra_center: float, dec_center: float
) -> tuple[np.ndarray, np.ndarray]:
    """Convert offsets on a tangent plane to positions; the inverse of `project`.

    Parameters
    ----------
    east, north : array_like
        Offsets in arcsec.
    ra_center, dec_center : float
        Tangent point in degrees.

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


def sky_order(coords: SkyCoord | Table) -> np.ndarray:
    """Return an order of positions in which neighbours on the sky follow one another.

    In a catalogue in random order, neighbours are rarely in the same chunk of a `CutoutStream`,
    and so cannot share an image.

    Parameters
    ----------
    coords : `~astropy.coordinates.SkyCoord` or `~astropy.table.Table`
        Positions, as for `fetch_cutouts`.

    Returns
    -------
    order : `~numpy.ndarray` of int
        Indices that sort the positions by bands of declination, and by right ascension within
        each. Rows without a position are last.

    Examples
    --------
    >>> from astropy.coordinates import SkyCoord
    >>> from shredfinder.cutouts import sky_order
    >>> sky_order(SkyCoord([150.0, 10.0, 150.01], [2.0, 2.0, 2.01], unit="deg")).tolist()
    [1, 0, 2]
    """
    ra, dec = get_degrees(coords, name="coords")
    return CutoutService().order(ra, dec)
