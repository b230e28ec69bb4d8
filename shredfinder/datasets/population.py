"""Random sizes, magnitudes and colours of simulated galaxies and stars.

The numbers are tuned so that simulated and real cutouts have the same distributions;
``benchmarks/simulation_realism.py`` compares them.
"""

import numpy as np

from shredfinder.datasets.discs import Disc, mags_to_fluxes
from shredfinder.datasets.profiles import sersic_stamp

__all__ = ["draw_colors", "draw_early", "draw_field_galaxy", "draw_host", "draw_stars"]


def draw_colors(kind, rng):
    """Draw random colours g - r and r - z of an ``"early"`` or ``"late"`` galaxy."""
    if kind == "early":
        g_r = rng.normal(0.76, 0.07)
        return g_r, 0.62 * g_r + rng.normal(0.02, 0.035)
    g_r = np.clip(rng.normal(0.44, 0.15), 0.1, 0.85)
    return g_r, 0.72 * g_r + rng.normal(-0.04, 0.07)


def draw_host(x, y, pixel_scale, rng, *, r_mag=None, arcsec=None):
    """Draw random parameters of a disc galaxy.

    Parameters
    ----------
    x, y : float
        Centre in pixels.
    pixel_scale : float
        Pixel scale in arcsec.
    rng : `~numpy.random.Generator`
        Random generator.
    r_mag : float, optional
        Magnitude in r without knots, from which the size is computed. By default a size is drawn,
        large enough for a host, and the magnitude is computed from it.
    arcsec : float, optional
        Scale length in arcsec, if no magnitude is given.

    Returns
    -------
    disc : Disc
        The galaxy.
    """
    style = rng.choice(["spiral", "flocculent", "edge-on"], p=[0.53, 0.30, 0.17])
    # Central surface brightness of the disc face-on (Freeman 1970, ApJ 160, 811, has 21.65 in B).
    mu = rng.normal(20.25, 0.55) + {"spiral": 0, "flocculent": 0.5, "edge-on": 0.4}[style]
    ratio = rng.uniform(0.10, 0.20) if style == "edge-on" else rng.uniform(0.3, 0.98)
    area = 2 * np.pi * max(ratio, 0.3)
    if r_mag is None:
        if arcsec is None:
            arcsec = np.clip(rng.lognormal(np.log(5.9), 0.5), 2.4, 17)
        r_mag = mu - 2.5 * np.log10(area * arcsec**2)
    else:
        # Inverted: the scale length that gives this magnitude at the drawn surface brightness.
        arcsec = np.clip(np.sqrt(10 ** (0.4 * (mu - r_mag)) / area), 0.8, 17)
    # Colours of the old stars of discs; young stars make the discs bluer.
    g_r = rng.normal(0.64, 0.09)
    r_z = 0.75 * g_r + rng.normal(-0.02, 0.08)
    mean = {"spiral": 0.38, "flocculent": 0.55, "edge-on": 0.25}[style]
    young = np.clip(rng.normal(mean, 0.14), 0.05, 0.85)
    bulge = {"spiral": rng.uniform(0.03, 0.3), "flocculent": rng.uniform(0, 0.06)}
    n_knots = {"spiral": 5.0, "flocculent": 6.0, "edge-on": 2.5}[style] * arcsec
    return Disc(
        x=x,
        y=y,
        r_mag=r_mag,
        scale_length=arcsec / pixel_scale,
        axis_ratio=ratio,
        position_angle=rng.uniform(0, np.pi),
        style=style,
        g_r=g_r,
        r_z=r_z,
        bulge=bulge.get(style, rng.uniform(0, 0.25)),
        young=young,
        young_colors=(rng.normal(0.21, 0.12), rng.normal(-0.07, 0.13)),
        n_knots=n_knots,
    )


def draw_early(scene, x, y, pixel_scale, rng):
    """Draw a large elliptical with a halo; return its magnitudes, radius (arcsec) and shape."""
    arcsec = np.clip(rng.lognormal(np.log(6.5), 0.5), 3, 20)
    # Larger ellipticals have a lower surface brightness (Kormendy 1977, ApJ 218, 333).
    mu = 20.9 + 2.5 * np.log10(arcsec / 6.5) + rng.normal(0, 0.35)
    shape = {"axis_ratio": rng.uniform(0.6, 0.98), "position_angle": rng.uniform(0, np.pi)}
    r_mag = mu - 2.5 * np.log10(2 * np.pi * arcsec**2 * shape["axis_ratio"])
    g_r, r_z = draw_colors("early", rng)
    stamp = sersic_stamp(x, y, arcsec / pixel_scale, n=rng.uniform(2.8, 4.5), **shape)
    scene.add(stamp, mags_to_fluxes(r_mag, g_r, r_z))
    return (r_mag + g_r, r_mag, r_mag - r_z), arcsec, shape


def draw_field_galaxy(scene, x, y, r_mag, pixel_scale, rng, *, kind=None):
    """Draw a small galaxy into a scene.

    Parameters
    ----------
    scene : Scene
        The scene.
    x, y : float
        Centre in pixels.
    r_mag : float
        Magnitude in r.
    pixel_scale : float
        Pixel scale in arcsec.
    rng : `~numpy.random.Generator`
        Random generator.
    kind : {"early", "late", "dwarf"}, optional
        Type; by default early or late, at random.

    Returns
    -------
    mags : tuple of float
        Magnitudes in g, r and z.
    radius : float
        Half-light radius along the major axis in arcsec.
    """
    if kind is None:
        kind = rng.choice(["early", "late"], p=[0.32, 0.68])
    # Mean r surface brightness within the half-light radius at r = 19, its slope with magnitude,
    # and its scatter.
    mean, slope, scatter = {
        "early": (22.15, 0.18, 0.75),
        "late": (23.55, 0.22, 0.85),
        "dwarf": (23.4, 0.25, 0.7),
    }[kind]
    mu = mean + slope * (r_mag - 19) + rng.normal(0, scatter)
    arcsec = np.clip(10 ** (0.2 * (mu - r_mag)) / np.sqrt(2 * np.pi), 0.25, 12)
    g_r, r_z = draw_colors("early" if kind == "early" else "late", rng)
    if r_mag > 21:
        # Faint galaxies are distant and so redder.
        g_r, r_z = g_r + rng.normal(0.25, 0.3), r_z + rng.normal(0.25, 0.25)
    stamp = sersic_stamp(
        x,
        y,
        arcsec / pixel_scale,
        n=rng.uniform(2.2, 4.5) if kind == "early" else rng.uniform(0.7, 1.5),
        axis_ratio=rng.uniform(0.5, 1.0) if kind == "early" else rng.uniform(0.22, 1.0),
        position_angle=rng.uniform(0, np.pi),
    )
    scene.add(stamp, mags_to_fluxes(r_mag, g_r, r_z))
    return (r_mag + g_r, r_mag, r_mag - r_z), arcsec


def draw_stars(n, rng):
    """Draw random magnitudes of stars at high galactic latitude.

    Parameters
    ----------
    n : int
        Number of stars.
    rng : `~numpy.random.Generator`
        Random generator.

    Returns
    -------
    mags : `~numpy.ndarray`
        Magnitudes in g, r and z, of shape ``(n, 3)``.
    """
    # Number counts rise by a factor of about 1.6 per magnitude at these latitudes.
    low, high, slope = 13.5, 23.0, 0.20
    share = rng.uniform(10 ** (slope * (low - high)), 1, n)
    r = high + np.log10(share) / slope
    # Up to 60 % are M dwarfs at g - r = 1.4, with r - z from 0.8 to 2.2. The others follow the
    # stellar locus (e.g. Covey et al. 2007, AJ 134, 2398).
    dwarf = rng.uniform(size=n) < np.clip(0.075 * (r - 14), 0.02, 0.6)
    g_r = np.where(dwarf, rng.normal(1.42, 0.08, n), np.clip(rng.gamma(4, 0.16, n), 0.2, 1.3))
    r_z = np.where(dwarf, rng.uniform(0.8, 2.2, n), 0.62 * g_r - 0.05 + rng.normal(0, 0.04, n))
    return np.stack([r + g_r, r, r - r_z], axis=-1)
