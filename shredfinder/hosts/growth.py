"""Curves of growth: the total flux and half-light radius of a galaxy in an image."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u

from shredfinder._utils.runtime import import_optional
from shredfinder.hosts.masks import find_light

if TYPE_CHECKING:
    from types import ModuleType

    from astropy.units import Quantity

    from shredfinder.hosts.masks import ImageRows

__all__ = ["GalaxyLight", "measure_light"]

# The isophote's radius is at most this number of standard deviations of the light along the major
# axis: 5 scale lengths of an exponential disc.
_MAX_SIGMA = 3.0
# Thinnest ellipse: thinner ones would miss the light that the seeing spreads.
_MIN_AXIS_RATIO = 0.15
# Sky starts at this multiple of the isophote's radius, and the curve ends at that one.
_SKY_START, _CURVE_END = 1.2, 2.2
_N_RADII = 36
# The curve is flat where two rings in succession have less signal than this over their noise, or
# add less than this fraction of the flux.
_FLAT, _SLOPE = 1.0, 0.003
# Uncertainty of the light that is interpolated in masked pixels.
_FILL_ERROR = 0.3
# Uncertainties that the pulls of simulated galaxies show beside the noise: this fraction of the
# masked neighbours' light leaks out of the masks, from as far as this multiple of the aperture's
# radius, and this fraction of the flux is lost or gained with the shape of the apertures.
_LEAK, _LEAK_REACH, _SHAPE_ERROR = 0.1, 1.3, 0.01
# The curve is not looked at for flatness inside this fraction of the isophote's radius.
_BODY = 0.9
# Pixels of sky that are enough to measure it, and sectors that show how it varies.
_MIN_SKY, _N_SECTORS = 500, 8
# The image has to extend to this multiple of the isophote's radius.
_ROOM = 1.6
# Flags: fractions of the aperture that are outside the image, or masked.
_MAX_OUTSIDE, _MAX_MASKED = 0.02, 0.3
# Flag: light of masked neighbours over that of the galaxy.
_MAX_NEIGHBOUR = 0.5


@dataclass(frozen=True)
class GalaxyLight:
    """The light of one galaxy in an image, and its curve of growth.

    Attributes
    ----------
    name : str
        Identifier of the galaxy's row.
    row : int
        Number of that row in the catalogue.
    bands : tuple of str
        The ``n_bands`` bands of the image.
    reference : str
        Band of the half-light radius and of the magnitudes in figures.
    images : `~numpy.ndarray` of shape (n_bands, height, width)
        Fluxes in nanomaggies per pixel without the sky, north up: the first row is the
        northernmost.
    mask : `~numpy.ndarray` of bool, of shape (height, width)
        Pixels of stars and other galaxies, and those without a value.
    pixel_scale : float
        Pixel scale in arcsec per pixel.
    rows : ImageRows
        Catalogue entries in the image.
    center : tuple of float
        Centre of the apertures, x and y in pixels.
    axis_ratio, angle : float
        Minor over major axis, and the angle of the major axis from x towards y in radians.
    radii : `~numpy.ndarray` of shape (n_radii,)
        Semi-major axes of the apertures in arcsec.
    growth, growth_error : `~numpy.ndarray` of shape (n_bands, n_radii)
        Fluxes within them and their uncertainties in nanomaggies. Masked pixels count with the
        mean of the ring that they are in.
    radius : float
        Semi-major axis in arcsec of the aperture in which the flux is measured, where the curve
        of growth has become flat.
    flux, error : `~numpy.ndarray` of shape (n_bands,)
        Fluxes and their uncertainties in nanomaggies, not corrected for extinction.
    half_light_radius : float
        Semi-major axis in arcsec that contains half of the flux in the reference band, with the
        seeing.
    fits : bool
        Whether the image is large enough for the aperture and the sky around it.
    flags : tuple of str
        ``edge`` (of the image), ``bright neighbour``, ``no convergence``.
    before, summed : float
        Magnitudes of the galaxy's entry and of the sum of all its entries in the reference band;
        NaN if unknown.

    Examples
    --------
    See `measure_galaxies`.
    """

    bands: tuple[str, ...]
    reference: str
    images: np.ndarray = field(repr=False)
    mask: np.ndarray = field(repr=False)
    pixel_scale: float
    rows: ImageRows = field(repr=False)
    center: tuple[float, float]
    axis_ratio: float
    angle: float
    radii: np.ndarray = field(repr=False)
    growth: np.ndarray = field(repr=False)
    growth_error: np.ndarray = field(repr=False)
    radius: float
    flux: np.ndarray
    error: np.ndarray
    half_light_radius: float
    fits: bool
    flags: tuple[str, ...]
    name: str = ""
    row: int = -1
    before: float = np.nan
    summed: float = np.nan

    @property
    def mags(self) -> np.ndarray:
        """`~numpy.ndarray` of shape (n_bands,): AB magnitudes; NaN for negative fluxes."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.flux > 0, 22.5 - 2.5 * np.log10(self.flux), np.nan)

    @property
    def mag(self) -> float:
        """`float`: magnitude in the reference band."""
        return float(self.mags[self.bands.index(self.reference)])

    @property
    def position_angle(self) -> Quantity:
        """`~astropy.units.Quantity`: angle of the major axis from north to east, 0 to 180 deg."""
        # x grows to the west and y to the south.
        return (np.degrees(np.pi / 2 - self.angle) % 180) * u.deg


def measure_light(
    images: np.ndarray,
    bands: tuple[str, ...],
    reference: str,
    rows: ImageRows,
    pixel_scale: float,
) -> GalaxyLight | None:
    """Measure a galaxy in an image, with its pieces and without its neighbours.

    Parameters
    ----------
    images : `~numpy.ndarray` of shape (n_bands, height, width)
        Fluxes in nanomaggies per pixel; NaN where there is no value.
    bands : tuple of str
        The bands.
    reference : str
        Band of the half-light radius.
    rows : ImageRows
        Catalogue entries in the image and beside it.
    pixel_scale : float
        Pixel scale in arcsec per pixel.

    Returns
    -------
    light : GalaxyLight or None
        The measurement; None if no light is found at the galaxy's entries.

    Raises
    ------
    MissingDependencyError
        If photutils or scikit-image is not installed.
    """
    background = import_optional("photutils.background", "photometry in images")
    missing = ~np.isfinite(images).all(axis=0)
    if missing.all():
        return None
    images = np.where(missing, 0.0, images).astype(float)
    inside = rows.within(missing.shape)
    sky, noise = _measure_sky(background, images, ~missing)
    if not inside.own.any() or not (noise > 0).all():
        return None
    # The sum over bands with the best signal for a source of their mean colour.
    weights = 1 / noise**2
    detection = np.tensordot(weights, images - sky[:, None, None], 1)
    noise_level = float(np.sqrt(np.sum(weights)))
    light, mask, source = find_light(detection, noise_level, missing, inside, pixel_scale)
    if not light.any():
        return None
    center, axis_ratio, angle, extent = _fit_ellipse(detection, light)
    radius = _elliptical_radius(missing.shape, center, axis_ratio, angle)
    extent = min(extent, float(np.percentile(radius[light], 99)))
    outside = ~missing & ~mask & ~source & (radius > _SKY_START * extent)
    sky_error = noise / max(float(np.count_nonzero(~missing)), 1.0) ** 0.5
    if np.count_nonzero(outside) >= _MIN_SKY:
        sky, noise = _measure_sky(background, images, outside)
        sky_error = _sky_error(images, sky, outside, center)
    images = images - sky[:, None, None]
    mask = mask | missing
    largest = max(_CURVE_END * extent, 8.0)
    radii = np.geomspace(1.0, largest, _N_RADII)
    rings, ring_errors, filled = _measure_rings(
        images, noise, mask, center, axis_ratio, angle, radii
    )
    growth = np.cumsum(rings, axis=1)
    area = np.pi * radii**2 * axis_ratio
    variance = np.cumsum(ring_errors**2, axis=1) + (sky_error[:, np.newaxis] * area) ** 2
    neighbours = _neighbour_light(images, mask & ~missing, radius, radii, rings, area)
    systematic = [
        _FILL_ERROR * np.cumsum(filled, axis=1),
        _LEAK * neighbours,
        _SHAPE_ERROR * growth,
    ]
    errors = np.sqrt(variance + np.sum(np.square(systematic), axis=0))
    # Rings without noise, such as those of few pixels, are never flat.
    with np.errstate(divide="ignore", invalid="ignore"):
        signal = weights @ rings / np.sqrt(weights**2 @ ring_errors**2)
    slope = weights @ rings / np.maximum(weights @ growth, 1e-30)
    flat = (signal < _FLAT) | (slope < _SLOPE)
    end, converged = _find_end(flat & (radii > _BODY * extent))
    aperture = radius <= radii[end]
    fits = _has_room(missing.shape, center, axis_ratio, angle, max(_ROOM * extent, radii[end]))
    flags = []
    if not fits or np.mean(missing[aperture]) > _MAX_OUTSIDE:
        flags.append("edge")
    crowded = weights @ neighbours[:, end] > _MAX_NEIGHBOUR * (weights @ growth[:, end])
    if np.mean(mask[aperture]) > _MAX_MASKED or crowded:
        flags.append("bright neighbour")
    if not converged:
        flags.append("no convergence")
    main = bands.index(reference)
    half = np.interp(
        growth[main, end] / 2, np.maximum.accumulate(np.r_[0, growth[main]]), np.r_[0, radii]
    )
    return GalaxyLight(
        bands=bands,
        reference=reference,
        images=images.astype(np.float32),
        mask=mask,
        pixel_scale=pixel_scale,
        rows=rows,
        center=center,
        axis_ratio=axis_ratio,
        angle=angle,
        radii=radii * pixel_scale,
        growth=growth,
        growth_error=errors,
        radius=float(radii[end] * pixel_scale),
        flux=growth[:, end],
        error=errors[:, end],
        half_light_radius=float(half * pixel_scale) if growth[main, end] > 0 else np.nan,
        fits=fits,
        flags=tuple(flags),
    )


def _has_room(shape, center, axis_ratio, angle, radius):
    """Return whether an ellipse is within an image."""
    half_width = radius * np.hypot(np.cos(angle), axis_ratio * np.sin(angle))
    half_height = radius * np.hypot(np.sin(angle), axis_ratio * np.cos(angle))
    height, width = shape
    return bool(
        half_width <= min(center[0], width - 1 - center[0])
        and half_height <= min(center[1], height - 1 - center[1])
    )


def _measure_sky(background: ModuleType, images, where):
    """Return the mode of the sky and the noise per pixel of each band."""
    from astropy.stats import SigmaClip

    clip = SigmaClip(3.0, maxiters=10)
    sky, noise = (
        kind(sigma_clip=clip)
        for kind in (background.SExtractorBackground, background.MADStdBackgroundRMS)
    )
    values = [image[where] for image in images]
    return np.array([sky(v) for v in values]), np.array([noise(v) for v in values])


def _sky_error(images, sky, where, center):
    """Return the uncertainty of the sky from its variation between sectors around the galaxy."""
    rows, columns = np.nonzero(where)
    angle = np.arctan2(rows - center[1], columns - center[0])
    sector = ((angle / (2 * np.pi) + 0.5) * _N_SECTORS).astype(int) % _N_SECTORS
    n = np.bincount(sector, minlength=_N_SECTORS)
    used = n >= _MIN_SKY / _N_SECTORS
    errors = []
    for image, level in zip(images, sky, strict=True):
        # Clipped, as the sky itself: faint sources are no error of its level.
        values = image[where] - level
        limit = 3 * np.median(np.abs(values)) * 1.4826
        mean = np.bincount(sector, np.clip(values, -limit, limit), _N_SECTORS)[used] / n[used]
        errors.append(np.std(mean) / np.sqrt(max(mean.size - 1, 1)))
    return np.array(errors)


def _fit_ellipse(detection, light):
    """Return centre, axis ratio, angle and extent (pixels) of the light, from its moments."""
    segmentation = import_optional("photutils.segmentation", "photometry in images")
    segment = segmentation.SegmentationImage(light.astype(np.int32))
    catalog = segmentation.SourceCatalog(detection, segment)
    x, y = (float(np.ravel(values)[0]) for values in (catalog.x_centroid, catalog.y_centroid))
    ratio = 1.0 / float(np.ravel(catalog.elongation)[0])
    angle = float(np.ravel(catalog.orientation)[0].to_value(u.rad))
    sigma = float(np.ravel(catalog.semimajor_axis)[0].to_value(u.pix))
    return (x, y), max(ratio, _MIN_AXIS_RATIO), angle, max(_MAX_SIGMA * sigma, 3.0)


def _elliptical_radius(shape, center, axis_ratio, angle):
    y, x = np.indices(shape)
    dx, dy = x - center[0], y - center[1]
    along = dx * np.cos(angle) + dy * np.sin(angle)
    across = dy * np.cos(angle) - dx * np.sin(angle)
    return np.hypot(along, across / axis_ratio)


def _measure_rings(images, noise, mask, center, axis_ratio, angle, radii):
    """Return the flux of each ring, its noise, and the part that is interpolated.

    Masked pixels count with the mean of the other pixels of their ring.
    """
    profiles = import_optional("photutils.profiles", "photometry in images")
    full = np.diff(np.pi * radii**2 * axis_ratio, prepend=0)
    rings, errors, filled = [], [], []
    for image, sigma in zip(images, noise, strict=True):
        curve = profiles.EllipticalCurveOfGrowth(
            image, center, radii, axis_ratio, theta=angle, mask=mask
        )
        area = np.diff(np.nan_to_num(np.asarray(curve.area)), prepend=0)
        flux = np.diff(np.nan_to_num(np.asarray(curve.profile)), prepend=0)
        # A ring that is wholly masked or outside contributes nothing.
        seen = area > 0.01 * full
        with np.errstate(divide="ignore", invalid="ignore"):
            rings.append(np.where(seen, flux / area * full, 0.0))
            errors.append(np.where(seen, sigma * full / np.sqrt(area), sigma * np.sqrt(full)))
        filled.append(rings[-1] - flux)
    return np.array(rings), np.array(errors), np.array(filled)


def _neighbour_light(images, mask, radius, radii, rings, area):
    """Return the light in masked pixels within and near each aperture, beyond the galaxy's own."""
    means = rings / np.diff(area, prepend=0)
    ring = np.searchsorted(radii, radius[mask])
    place = np.searchsorted(_LEAK_REACH * radii, radius[mask])
    found = []
    for image, mean in zip(images, means, strict=True):
        own = np.r_[mean, 0.0][ring]
        light = np.bincount(place, np.maximum(image[mask] - own, 0), radii.size + 1)
        found.append(np.cumsum(light)[: radii.size])
    return np.array(found)


def _find_end(flat):
    """Return the number of the radius at which the curve is flat, and whether it becomes so."""
    twice = np.flatnonzero(flat[:-1] & flat[1:])
    if twice.size:
        return max(int(twice[0]) - 1, 0), True
    return flat.size - 1, False
