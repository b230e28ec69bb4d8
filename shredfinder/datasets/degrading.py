"""Images as another survey would have taken them: its bands, seeing, depth and pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shredfinder.datasets.observing import NOISE
from shredfinder.imaging import Cutouts, flux_to_rgb, rgb_to_flux
from shredfinder.surveys import COLOR_MAPPINGS, SURVEYS, get_survey, get_wavelength

if TYPE_CHECKING:
    from shredfinder.surveys import Imaging

__all__ = ["degrade_cutouts", "degrade_fluxes", "get_imaging", "spread_bands"]

# Ratio of full width at half maximum to standard deviation of a Gaussian.
_FWHM = 2 * np.sqrt(2 * np.log(2))
# FWHM in arcsec of point sources in Legacy Surveys cutouts of 0.46875″ per pixel: measured in r
# (benchmarks/simulation_realism.py), scaled by wavelength in g and z.
_LEGACY_SEEING = {"g": 1.21, "r": 1.12, "z": 1.05}


def get_imaging(survey):
    """Return the seeing, depth and pixel scale of a survey's images.

    Parameters
    ----------
    survey : str or `~shredfinder.surveys.Imaging`
        Name or alias of a survey of known seeing and depth, or an
        `~shredfinder.surveys.Imaging` object, which is returned as it is.

    Returns
    -------
    imaging : `~shredfinder.surveys.Imaging`
        The survey's seeing, depth and pixel scale.

    Raises
    ------
    ValueError
        If the survey is unknown.

    Examples
    --------
    >>> from shredfinder.datasets.degrading import get_imaging
    >>> get_imaging("sdss-dr17").seeing["r"]
    1.43
    """
    if not isinstance(survey, str):
        return survey
    imaging = get_survey(survey).imaging
    if imaging is None:
        known = ", ".join(name for name, other in SURVEYS.items() if other.imaging is not None)
        raise ValueError(
            f"the seeing and depth of {survey!r} are unknown: choose one of {known}, or pass a "
            "shredfinder.surveys.Imaging"
        )
    return imaging


def degrade_fluxes(
    fluxes, bands, imaging, *, pixel_scale, native_pixel_scale, seeing=None, noise=None, rng
):
    """Blur images, resample them to other pixels, add noise, and resample them back.

    Parameters
    ----------
    fluxes : `~numpy.ndarray`
        Of shape ``(height, width, bands)``, in nanomaggies per native pixel.
    bands : sequence of str
        Bands along the last axis.
    imaging : `~shredfinder.surveys.Imaging`
        Seeing, depth and pixel scale of the other survey.
    pixel_scale, native_pixel_scale : float
        Pixel scale of the images, and that of the native pixels of the flux unit, in arcsec.
    seeing, noise : dict of float, optional
        Seeing and noise that the images already have, by band: full width at half maximum in
        arcsec, and standard deviation per pixel. By default none. Only the difference is added.
    rng : `~numpy.random.Generator`
        Random generator.

    Returns
    -------
    fluxes : `~numpy.ndarray` of float32
        Degraded fluxes of the same shape and unit.

    Notes
    -----
    For a point source of flux *F* that is detected at 5 σ on white noise by a fitted Gaussian of
    standard deviation *s*, the noise per unit area is *F* / (5 √(4π) *s*) (King 1983, PASP 95,
    163). Point-spread functions are assumed to be Gaussian.
    """
    from scipy.ndimage import gaussian_filter, zoom

    seeing, noise = seeing or {}, noise or {}
    degraded = np.empty(fluxes.shape, dtype=np.float32)
    factor = pixel_scale / imaging.pixel_scale
    for i, band in enumerate(bands):
        # Standard deviation of the point-spread function in arcsec.
        width = imaging.seeing[band] / _FWHM
        faintest = 10 ** (0.4 * (22.5 - imaging.depth[band]))
        # A 5σ point source in optimally weighted noise, which counts an area of 4πσ².
        density = faintest / (5 * np.sqrt(4 * np.pi) * width)  # nanomaggies per arcsec
        # Variances add, of noise as of Gaussian widths: subtract what the images already have.
        present = noise.get(band, 0) * pixel_scale / native_pixel_scale**2
        missing = np.sqrt(max(density**2 - present**2, 0))
        blur = np.sqrt(max(width**2 - (seeing.get(band, 0) / _FWHM) ** 2, 0)) / pixel_scale
        image = gaussian_filter(fluxes[..., i], blur, mode="reflect")
        pixels = zoom(image, factor, order=3, mode="nearest", grid_mode=True)
        # The noise is added on the survey's own pixels, so that resampling correlates it as in
        # real cutouts.
        sigma = missing * native_pixel_scale**2 / imaging.pixel_scale
        pixels += sigma * rng.standard_normal(pixels.shape, dtype=np.float32)
        # The exact ratio, since zoom rounds the number of pixels.
        back = [n / m for n, m in zip(image.shape, pixels.shape, strict=True)]
        degraded[..., i] = zoom(pixels, back, order=3, mode="nearest", grid_mode=True)
    return degraded


def degrade_cutouts(
    cutouts: Cutouts,
    survey: str | Imaging,
    *,
    random_state: int | np.random.Generator | None = None,
) -> Cutouts:
    """Degrade Legacy Surveys cutouts to the seeing, depth and pixels of another survey.

    Colours are converted to fluxes (`~shredfinder.imaging.rgb_to_flux`), blurred, resampled to
    the survey's pixels, given its noise, and converted back to the cutouts' scale and colours. Use
    it to test a model on poorer images, and to train a model for them (:doc:`/other_surveys`).
    The bands and colours remain those of the Legacy Surveys. The survey's artefacts and its own
    colours are not simulated.

    Parameters
    ----------
    cutouts : Cutouts
        Colour images of the Legacy Surveys.
    survey : str or `~shredfinder.surveys.Imaging`
        ``"sdss"``, ``"ps1"``, or an object with seeing, depth and pixel scale.
    random_state : int, `~numpy.random.Generator` or None, optional
        Seed or generator of the noise.

    Returns
    -------
    degraded : Cutouts
        As many cutouts of the same kind. Unusable images are returned unchanged.

    Raises
    ------
    ValueError
        If the cutouts have other colours, or the survey or one of the bands is unknown.

    Examples
    --------
    >>> from shredfinder.datasets import degrade_cutouts, make_field
    >>> cutouts = make_field(size=320, n_hosts=1, random_state=1).cutouts()
    >>> degraded = degrade_cutouts(cutouts, "sdss-dr17", random_state=1)
    >>> bool(degraded.images[0, :20, :20].std() > 1.5 * cutouts.images[0, :20, :20].std())
    True
    """
    imaging = get_imaging(survey)
    mapping = COLOR_MAPPINGS.get(cutouts.color_mapping or "")
    if mapping is None or cutouts.images.dtype != np.uint8 or cutouts.bands != mapping.bands:
        raise ValueError(
            "only 8-bit images with a known colour mapping can be degraded "
            f"({', '.join(sorted(COLOR_MAPPINGS))}): got {cutouts!r} with the mapping "
            f"{cutouts.color_mapping!r}"
        )
    missing = [band for band in mapping.bands if band not in imaging.seeing]
    if missing:
        raise ValueError(f"the survey {survey!r} has no band {', '.join(missing)}")
    rng = np.random.default_rng(random_state)
    images = cutouts.images.copy()
    for row in np.flatnonzero(cutouts.good):
        fluxes = degrade_fluxes(
            np.moveaxis(rgb_to_flux(images[row], color_mapping=mapping.name), 0, -1),
            mapping.bands,
            imaging,
            pixel_scale=cutouts.pixel_scale,
            native_pixel_scale=mapping.native_pixel_scale,
            seeing=_LEGACY_SEEING,
            noise=NOISE,
            rng=rng,
        )
        images[row] = flux_to_rgb(fluxes, mapping.bands, color_mapping=mapping.name, axis=-1)
    return Cutouts(
        images,
        flags=cutouts.flags,
        pixel_scale=cutouts.pixel_scale,
        bands=cutouts.bands,
        color_mapping=cutouts.color_mapping,
        service=cutouts.service,
    )


_DRAWN = ("g", "r", "z")
# u - g of galaxies as a function of g - r: 1.19 at g - r = 0.45 and 1.73 at 0.76, the two peaks
# of the colour distribution of galaxies (Strateva et al. 2001, AJ 122, 1861, in u - r).
_U_G = (0.4, 1.75)
# Spectra of galaxies are flatter beyond z than between r and z.
_Z_Y = 0.25
_LEAST = 1e-7


def spread_bands(fluxes, bands):
    """Estimate images in other bands from those in g, r and z, pixel by pixel.

    Between r and z, log flux is linear in log wavelength. u follows from g - r, and y from r - z,
    by the mean colours of galaxies. Old populations stay red and young ones blue. Emission lines
    and spectral breaks of individual galaxies are not simulated.

    Parameters
    ----------
    fluxes : `~numpy.ndarray`
        Noiseless fluxes in g, r and z along the first axis.
    bands : sequence of str
        Bands of the result, among u, g, r, i, z and y.

    Returns
    -------
    spread : `~numpy.ndarray` of float32
        Fluxes in these bands along the first axis, in the same unit.

    Raises
    ------
    ValueError
        If a band is not among these.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder.datasets.degrading import spread_bands
    >>> spread_bands(np.array([1.0, 2.0, 4.0]), "griz").round().tolist()
    [1.0, 2.0, 3.0, 4.0]
    """
    # Noise makes fluxes negative, of which no power can be taken.
    g, r, z = (np.maximum(plane, _LEAST) for plane in fluxes)
    spread = []
    for band in bands:
        if band in _DRAWN:
            spread.append(fluxes[_DRAWN.index(band)])
        elif band == "u":
            spread.append(10 ** (-0.4 * _U_G[0]) * g * np.clip(g / r, 0.05, 5) ** _U_G[1])
        elif band == "i":
            # Linear interpolation in magnitude over the logarithm of wavelength.
            share = np.log(get_wavelength("i") / get_wavelength("r"))
            share /= np.log(get_wavelength("z") / get_wavelength("r"))
            spread.append(r ** (1 - share) * z**share)
        elif band == "y":
            spread.append(z * np.clip(z / r, 0.2, 10) ** _Z_Y)
        else:
            raise ValueError(f"cannot simulate the band {band!r}: choose among u, g, r, i, z and y")
    return np.stack(spread).astype(np.float32)
