"""Circles on the sky, cut into boxes that share no source and leave none out."""

import itertools
from dataclasses import dataclass

import numpy as np

from shredfinder._utils.units import to_value

__all__ = ["Box", "Circle"]

# Servers compare numbers in their own way: what they are asked for is wider by this, in degrees,
# and the exact limits are applied here.
_PAD = 1e-6
# A box below this size, in degrees, is not split further.
_SMALLEST = 1.0 / 3600.0


@dataclass(frozen=True)
class Box:
    """A box in right ascension and declination, without its upper edges.

    Attributes
    ----------
    ra_min, ra_max, dec_min, dec_max : float
        Edges in degrees; 0 <= ra_min < ra_max <= 360. A lower edge belongs to the box and an
        upper one does not, but for the pole.
    """

    ra_min: float
    ra_max: float
    dec_min: float
    dec_max: float

    def contains(self, ra, dec):
        """Tell which positions are in the box.

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

    def condition(self, ra, dec):
        """Write the box as SQL, a little too wide.

        Parameters
        ----------
        ra, dec : str
            Names of the columns.

        Returns
        -------
        conditions : list of str
            To be joined by AND.
        """
        return [
            # No exponents: not every parser of ADQL takes them.
            f"{dec} >= {self.dec_min - _PAD:.9f}",
            f"{dec} <= {self.dec_max + _PAD:.9f}",
            f"{ra} >= {self.ra_min - _PAD:.9f}",
            f"{ra} <= {self.ra_max + _PAD:.9f}",
        ]

    def split(self):
        """Cut the box into smaller ones.

        Returns
        -------
        boxes : list of Box
            Four, or two where the box is much longer than wide; none if it is as small as a
            source.
        """
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

    def cover(self):
        """Find a circle around the box.

        Returns
        -------
        ra, dec, radius : float or None
            In degrees; None for a box that is wider than a quarter of the sky.
        """
        if self.ra_max - self.ra_min > 90.0:
            return None
        ra, dec = (self.ra_min + self.ra_max) / 2, (self.dec_min + self.dec_max) / 2
        # The farthest points are on the edges of constant right ascension.
        edge = np.linspace(self.dec_min, self.dec_max, 65)
        farthest = separation(ra, dec, self.ra_min, edge).max()
        return ra, dec, float(1.01 * farthest) + 2 * _PAD


@dataclass(frozen=True)
class Circle:
    """The sources within a radius of a position.

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
    def of(cls, center, radius):
        """Make a circle of a position and an angle.

        Parameters
        ----------
        center : `~astropy.coordinates.SkyCoord`
            One position, in any frame.
        radius : `~astropy.units.Quantity` or float
            Radius; a plain number is in degrees.

        Returns
        -------
        circle : Circle
            The circle.

        Raises
        ------
        TypeError
            If the centre is no position, or not a single one.
        ValueError
            If the radius is not positive, not finite or above 90 degrees.
        """
        from astropy import units as u
        from astropy.coordinates import SkyCoord

        if not isinstance(center, SkyCoord) or not center.isscalar:
            raise TypeError(
                f"center must be a SkyCoord of one position: got {center!r}; for a name, give "
                "SkyCoord.from_name(name)"
            )
        degrees = to_value(radius, "radius", u.deg)
        if not 0 < degrees <= 90:
            raise ValueError(f"radius must be above 0 and at most 90 degrees: got {radius}")
        icrs = center.icrs
        return cls(float(icrs.ra.deg), float(icrs.dec.deg), degrees)

    @property
    def padded_radius(self):
        """float: Radius in degrees to ask a server for, a little too wide."""
        return self.radius + _PAD

    def contains(self, ra, dec):
        """Tell which positions are in the circle.

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

    def boxes(self):
        """Find boxes that hold the circle: one, or two where it crosses RA 0.

        Returns
        -------
        boxes : list of Box
            Boxes that do not overlap.
        """
        margin = self.radius + 2 * _PAD
        south, north = self.dec - margin, self.dec + margin
        if south <= -90 or north >= 90:
            return [Box(0.0, 360.0, max(south, -90.0), min(north, 90.0))]
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


def separation(ra1, dec1, ra2, dec2):
    """Angle between positions, all in degrees; exact for small and large ones alike."""
    ra1, dec1, ra2, dec2 = map(np.radians, (ra1, dec1, ra2, dec2))
    with np.errstate(invalid="ignore"):
        haversine = (
            np.sin((dec2 - dec1) / 2) ** 2
            + np.cos(dec1) * np.cos(dec2) * np.sin((ra2 - ra1) / 2) ** 2
        )
        return np.degrees(2 * np.arcsin(np.sqrt(np.clip(haversine, 0, 1))))
