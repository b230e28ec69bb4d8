"""A simulated deblender: divides the light of a galaxy among the entries of a catalogue."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shredfinder.datasets.observing import BANDS, NOISE
from shredfinder.datasets.profiles import rotate

__all__ = ["Template", "add_flux_noise", "deblend"]


@dataclass(frozen=True)
class Template:
    """The exponential profile that a deblender fits to a catalogue entry.

    Attributes
    ----------
    x, y : float
        Position in pixels.
    radius : float
        Half-light radius along the major axis in pixels.
    axis_ratio : float
        Minor over major axis.
    position_angle : float
        Angle of the major axis in radians, from north to east.
    """

    x: float
    y: float
    radius: float
    axis_ratio: float = 1.0
    position_angle: float = 0.0


def deblend(stamp, templates):
    """Divide the light of a galaxy among its catalogue entries.

    In each pixel, an entry gets the fraction of the light that its template has in the sum of all
    templates, as in the SDSS pipeline, so that the fluxes add up to the galaxy's. A template's
    height is the galaxy's brightness at its centre.

    Parameters
    ----------
    stamp : Stamp
        Image of the galaxy in g, r and z in nanomaggies per pixel, of shape
        ``(3, height, width)``.
    templates : list of Template
        One template per entry.

    Returns
    -------
    flux : `~numpy.ndarray` of shape (n, 3)
        Flux of each entry in g, r and z in nanomaggies.
    radius : `~numpy.ndarray` of shape (n,)
        Radius that contains half of each entry's light in r, in pixels.
    """
    image = stamp.image
    # Logarithms of the templates: far from all entries, the templates themselves are zero.
    logs = [_evaluate(template, stamp) for template in templates]
    highest = np.maximum.reduce(logs)
    total = np.sum([np.exp(values - highest) for values in logs], axis=0)
    flux, radius = np.zeros((len(templates), 3)), np.zeros(len(templates))
    for i, (values, template) in enumerate(zip(logs, templates, strict=True)):
        own = image * (np.exp(values - highest) / total)
        flux[i] = own.sum(axis=(1, 2), dtype=float)
        # Index 1 is r.
        radius[i] = _half_light_radius(own[1], np.hypot(*_offsets(template, stamp)))
    return flux, radius


def add_flux_noise(flux, radius, scale_area, rng):
    """Add the noise of the sky to fluxes that were fitted with profiles of known shape.

    Parameters
    ----------
    flux : `~numpy.ndarray` of shape (n, 3)
        Fluxes in g, r and z in nanomaggies.
    radius : `~numpy.ndarray` of shape (n,)
        Half-light radii in pixels.
    scale_area : float
        Native pixels per pixel.
    rng : `~numpy.random.Generator`
        Random generator.

    Returns
    -------
    flux, error : `~numpy.ndarray` of shape (n, 3)
        Fluxes with noise, and their errors. Fluxes of faint entries can be negative.
    """
    # The number of pixels whose noise enters, (∑ t)² / ∑ t² of an exponential profile t.
    n_pixels = 8 * np.pi * (radius / 1.678) ** 2
    sigma = np.array([NOISE[band] for band in BANDS]) * scale_area
    error = np.sqrt(n_pixels)[:, np.newaxis] * sigma
    return flux + error * rng.standard_normal(flux.shape), error


def _offsets(template, stamp):
    height, width = stamp.image.shape[1:]
    dx = np.arange(width, dtype=np.float32)[np.newaxis] + np.float32(stamp.left - template.x)
    dy = np.arange(height, dtype=np.float32)[:, np.newaxis] + np.float32(stamp.bottom - template.y)
    return dx, dy


def _evaluate(template, stamp):
    """Return the logarithm of a template in the pixels of a stamp."""
    dx, dy = _offsets(template, stamp)
    along, across = rotate(dx, dy, template.position_angle)
    row, column = round(template.y) - stamp.bottom, round(template.x) - stamp.left
    # 3 × 3 pixels are about as wide as the seeing.
    near = stamp.image[1, max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
    peak = max(float(near.mean()) if near.size else 0.0, 1e-12)
    distance = np.hypot(along, across / np.float32(template.axis_ratio))
    return np.float32(np.log(peak)) - np.float32(1.678 / template.radius) * distance


def _half_light_radius(light, distance):
    order = np.argsort(distance, axis=None)
    growth = np.cumsum(light.ravel()[order], dtype=float)
    half = np.searchsorted(growth, growth[-1] / 2)
    return max(float(distance.ravel()[order[min(half, order.size - 1)]]), 0.5)
