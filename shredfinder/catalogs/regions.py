"""Regions on the sky: positions by name, and circles divided into boxes.

Each source of a circle is in exactly one of its boxes.
"""

from __future__ import annotations

import itertools
import re
import threading
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u

from shredfinder._utils.units import to_value
from shredfinder.config import conf
from shredfinder.exceptions import TransientServiceError

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord
    from astropy.units import Quantity

__all__ = ["Box", "Circle", "resolve_name"]

# Margin in degrees of the regions that servers are asked for, since they may round. The exact
# limits are applied to the rows that they send.
_PAD = 1e-6
# Size in degrees below which a box is not split.
_SMALLEST = 1.0 / 3600.0


@dataclass(frozen=True)
class Box:
    """A box in right ascension and declination.

    Attributes
    ----------
    ra_min, ra_max, dec_min, dec_max : float
        Edges in degrees; 0 <= ra_min < ra_max <= 360. Lower edges belong to the box; upper edges
        do not, except the north pole.
    """

    ra_min: float
    ra_max: float
    dec_min: float
    dec_max: float

    def contains(self, ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
        """Select the positions in the box.

        Parameters
        ----------
        ra, dec : `~numpy.ndarray`
            Coordinates in degrees, of one shape; 0 <= ra < 360.

        Returns
        -------
        inside : `~numpy.ndarray` of bool
            Of the same shape.
        """
        below = dec <= 90.0 if self.dec_max >= 90.0 else dec < self.dec_max
        return (ra >= self.ra_min) & (ra < self.ra_max) & (dec >= self.dec_min) & below

    def condition(self, ra: str, dec: str) -> list[str]:
        """Write the box as SQL, with a margin.

        Parameters
        ----------
        ra, dec : str
            Names of the columns.

        Returns
        -------
        conditions : list of str
            Conditions to be joined by AND.
        """
        return [
            # No exponents: not every ADQL parser accepts them.
            f"{dec} >= {self.dec_min - _PAD:.9f}",
            f"{dec} <= {self.dec_max + _PAD:.9f}",
            f"{ra} >= {self.ra_min - _PAD:.9f}",
            f"{ra} <= {self.ra_max + _PAD:.9f}",
        ]

    def split(self) -> list[Box]:
        """Split the box into smaller ones.

        Returns
        -------
        boxes : list of Box
            Four boxes, or two if the box is much longer than wide; none if it is smaller than an
            arcsec.
        """
        # A box is widest at the declination nearest to the equator.
        widest = min(abs(self.dec_min), abs(self.dec_max))
        if self.dec_min < 0 < self.dec_max:
            widest = 0.0
        width = (self.ra_max - self.ra_min) * np.cos(np.radians(widest))
        height = self.dec_max - self.dec_min
        if max(width, height) < _SMALLEST:
            return []
        ras, decs = [self.ra_min, self.ra_max], [self.dec_min, self.dec_max]
        if width > height / 2:
            ras.insert(1, (self.ra_min + self.ra_max) / 2)
        if height > width / 2:
            decs.insert(1, (self.dec_min + self.dec_max) / 2)
        return [
            Box(*ra, *dec) for dec in itertools.pairwise(decs) for ra in itertools.pairwise(ras)
        ]

    def cover(self) -> tuple[float, float, float] | None:
        """Compute a circle that encloses the box.

        Returns
        -------
        circle : tuple of float or None
            Right ascension, declination and radius in degrees; None if the box spans more than
            90 degrees in right ascension.
        """
        if self.ra_max - self.ra_min > 90.0:
            return None
        ra, dec = (self.ra_min + self.ra_max) / 2, (self.dec_min + self.dec_max) / 2
        # The points farthest from the centre are on the edges of constant right ascension.
        # 65 points on the edge, and a margin of 1 % for those between them.
        edge = np.linspace(self.dec_min, self.dec_max, 65)
        farthest = separation(ra, dec, self.ra_min, edge).max()
        return ra, dec, float(1.01 * farthest) + 2 * _PAD


@dataclass(frozen=True)
class Circle:
    """A circle on the sky.

    Attributes
    ----------
    ra, dec : float
        ICRS coordinates of the centre in degrees.
    radius : float
        Radius in degrees, above 0 and at most 90.
    """

    ra: float
    dec: float
    radius: float

    @classmethod
    def of(cls, center: SkyCoord, radius: float | Quantity) -> Circle:
        """Create a circle from a position and an angle.

        Parameters
        ----------
        center : `~astropy.coordinates.SkyCoord`
            A single position, in any frame.
        radius : float or `~astropy.units.Quantity`
            Radius in degrees, or an angle.

        Returns
        -------
        circle : Circle
            The circle.

        Raises
        ------
        TypeError
            If the centre is not a single position.
        ValueError
            If the radius is not positive, not finite or above 90 degrees.
        """
        from astropy.coordinates import SkyCoord

        if not isinstance(center, SkyCoord) or not center.isscalar:
            raise TypeError(
                f"center must be a SkyCoord of one position: got {center!r}; for a name, use "
                "shredfinder.catalogs.resolve_name(name)"
            )
        degrees = to_value(radius, "radius", u.deg)
        if not 0 < degrees <= 90:
            raise ValueError(f"radius must be above 0 and at most 90 degrees: got {radius}")
        icrs = center.icrs
        return cls(float(icrs.ra.deg), float(icrs.dec.deg), degrees)

    @property
    def padded_radius(self) -> float:
        """float: Radius in degrees to ask a server for, with a margin."""
        return self.radius + _PAD

    def contains(self, ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
        """Select the positions in the circle.

        Parameters
        ----------
        ra, dec : `~numpy.ndarray`
            Coordinates in degrees, of one shape.

        Returns
        -------
        inside : `~numpy.ndarray` of bool
            Of the same shape; False where a coordinate is not finite.
        """
        return separation(self.ra, self.dec, ra, dec) <= self.radius

    def boxes(self, max_radius: float | None = None) -> list[Box]:
        """Return boxes that enclose the circle.

        Parameters
        ----------
        max_radius : float, optional
            If the circle is larger, in degrees, it is divided into boxes whose `Box.cover` is
            not.

        Returns
        -------
        boxes : list of Box
            Boxes that do not overlap: one, or two if the circle crosses RA 0, unless it is
            divided.
        """
        boxes = self._enclosing_boxes()
        if max_radius is None or self.padded_radius <= max_radius:
            return boxes
        waiting, small = boxes[::-1], []
        while waiting:
            box = waiting.pop()
            cover = box.cover()
            if cover is None or cover[2] > max_radius:
                waiting.extend(reversed(box.split()))
            elif separation(self.ra, self.dec, *cover[:2]) <= self.padded_radius + cover[2]:
                small.append(box)
        return small

    def condition(self, ra: str, dec: str) -> str:
        """Write the circle as arithmetic, for services that reject large circles.

        Parameters
        ----------
        ra, dec : str
            Names of the columns.

        Returns
        -------
        condition : str
            A condition in ADQL, with a margin.
        """
        sine, cosine = np.sin(np.radians(self.dec)), np.cos(np.radians(self.dec))
        # 16 decimals keep the angle exact to 1e-9 degrees at a radius of 0.1 degrees.
        return (
            f"{sine:.16f} * SIN(RADIANS({dec})) + {cosine:.16f} * COS(RADIANS({dec})) * "
            f"COS(RADIANS({ra} - {self.ra:.9f})) >= {np.cos(np.radians(self.padded_radius)):.16f}"
        )

    def _enclosing_boxes(self) -> list[Box]:
        margin = self.radius + 2 * _PAD
        south, north = self.dec - margin, self.dec + margin
        # A circle around a pole contains all right ascensions.
        if south <= -90 or north >= 90:
            return [Box(0.0, 360.0, max(south, -90.0), min(north, 90.0))]
        # Half-width in right ascension of a circle on the sphere.
        ratio = np.sin(np.radians(margin)) / np.cos(np.radians(self.dec))
        half = float(np.degrees(np.arcsin(ratio))) + _PAD if ratio < 1 else 180.0
        if half >= 180:
            return [Box(0.0, 360.0, south, north)]
        west, east = self.ra - half, self.ra + half
        if west < 0:
            return [Box(west + 360, 360.0, south, north), Box(0.0, east, south, north)]
        if east > 360:
            return [Box(west, 360.0, south, north), Box(0.0, east - 360, south, north)]
        return [Box(west, east, south, north)]


def separation(
    ra1: float | np.ndarray,
    dec1: float | np.ndarray,
    ra2: float | np.ndarray,
    dec2: float | np.ndarray,
) -> np.ndarray:
    """Compute the angle between positions, all in degrees."""
    # The haversine formula is accurate for small angles as well.
    ra1, dec1, ra2, dec2 = map(np.radians, (ra1, dec1, ra2, dec2))
    with np.errstate(invalid="ignore"):
        haversine = (
            np.sin((dec2 - dec1) / 2) ** 2
            + np.cos(dec1) * np.cos(dec2) * np.sin((ra2 - ra1) / 2) ** 2
        )
        return np.degrees(2 * np.arcsin(np.sqrt(np.clip(haversine, 0, 1))))


def resolve_name(
    name: str, *, url: str | None = None, timeout: float = 10.0, cache: bool = True
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
        Seconds that each of the services may take.
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
    from astropy.utils.data import clear_download_cache
    from astropy.utils.data import conf as data_conf

    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"the name of an object must be non-empty text, not {name!r}")
    from shredfinder._net.exchanges import END, call_until

    url = url or conf.resolver_url
    addresses = [url] if url else name_resolve.sesame_url.get()
    try:
        with (
            name_resolve.sesame_url.set(addresses),
            data_conf.set_temp("remote_timeout", float(timeout)),
        ):
            # Astropy's own timeout starts again with each byte.
            end = min(time.monotonic() + timeout * len(addresses), END.get())
            look_up = partial(SkyCoord.from_name, name.strip(), cache=cache)
            return call_until(look_up, end, threading.Event())
    except TimeoutError as error:
        raise TransientServiceError(
            f"the name {name!r} cannot be looked up: no complete response from "
            f"{', '.join(addresses)} in time; check the network connection, or give a position "
            "instead"
        ) from error
    # Astropy passes on errors that occur after the connection.
    except (name_resolve.NameResolveError, OSError) as error:
        if "Unable to find" in str(error):
            # It keeps the response for ever, which may be an error page.
            clear_download_cache(str(error).rpartition("using ")[2])
            raise ValueError(
                f"the resolver at {', '.join(addresses)} knows no object named {name!r}: check "
                "the name, or give a position"
            ) from error
        # Astropy lists the addresses, each on a line with what failed, after an introduction.
        line = re.compile(r"^\s*\w+://([^/\s]+)\S*: *(?:\[Errno -?\d+\] )?(.+)$", re.MULTILINE)
        failures = line.findall(str(error))
        reasons = "; ".join(f"{host}: {reason.strip()}" for host, reason in failures)
        raise TransientServiceError(
            f"the name {name!r} cannot be looked up ({reasons or ' '.join(str(error).split())}): "
            "check the address and the network connection, or give a position instead"
        ) from error
