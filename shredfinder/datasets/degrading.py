"""Images as a survey of other sharpness and depth would have made them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shredfinder.datasets.observing import NOISE
from shredfinder.imaging import Cutouts, flux_to_rgb, rgb_to_flux
from shredfinder.surveys import COLOR_MAPPINGS, SURVEYS, get_survey, get_wavelength

if TYPE_CHECKING:
    from shredfinder.surveys import Imaging

__all__ = ["degrade_cutouts", "degrade_fluxes", "get_imaging", "spread_bands"]

# Full width at half maximum over standard deviation of a Gaussian.
_FWHM = 2 * np.sqrt(2 * np.log(2))
# Full width at half maximum in arcsec of point sources in Legacy Surveys cutouts of 0.46875", in
# r (benchmarks/simulation_realism.py), and in the other bands by the wavelength.
_LEGACY_SEEING = {"g": 1.21, "r": 1.12, "z": 1.05}


def get_imaging(survey):
    """Look up sharpness and depth of a survey's images.

    Parameters
    ----------
    survey : str or `~shredfinder.surveys.Imaging`
        Name or alias of a survey of known seeing and depth, or these themselves.

    Returns
    -------
    imaging : `~shredfinder.surveys.Imaging`
        The facts.

    Raises
    ------
    ValueError
        If they are not known.

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
            f"seeing and depth of {survey!r} are unknown: choose one of {known}, or pass a "
            "shredfinder.surveys.Imaging"
        )
    return imaging


def degrade_fluxes(
    fluxes, bands, imaging, *, pixel_scale, native_pixel_scale, seeing=None, noise=None, rng
):
    """Blur images, sample them on other pixels, add noise, and bring them back to their scale.

    Parameters
    ----------
    fluxes : `~numpy.ndarray`
        Of shape ``(height, width, bands)``, in nanomaggies per native pixel.
    bands : sequence of str
        Bands along the last axis.
    imaging : `~shredfinder.surveys.Imaging`
        Seeing, depth and pixels that the images are to have.
    pixel_scale, native_pixel_scale : float
        Scale of the images, and that of the pixels which the fluxes are given for, in arcsec.
    seeing, noise : dict of float, optional
        What the images have already, by band: full width at half maximum in arcsec, and standard
        deviation of a pixel. By default none. What is there is not added again.
    rng : `~numpy.random.Generator`
        Source of randomness.

    Returns
    -------
    fluxes : `~numpy.ndarray` of float32
        Of the same shape and unit.

    Notes
    -----
    A point source of flux *F* that is found at 5 σ on a sky of white noise, by fitting a
    Gaussian of standard deviation *s*, says that the noise in a unit of area is
    *F* / (5 √(4π) *s*) (King 1983, PASP 95, 163). Point-spread functions are taken for
    Gaussian.
    """
    from scipy.ndimage import gaussian_filter, zoom

    seeing, noise = seeing or {}, noise or {}
    degraded = np.empty(fluxes.shape, dtype=np.float32)
    factor = pixel_scale / imaging.pixel_scale
    for i, band in enumerate(bands):
        width = imaging.seeing[band] / _FWHM
        faintest = 10 ** (0.4 * (22.5 - imaging.depth[band]))
        density = faintest / (5 * np.sqrt(4 * np.pi) * width)  # nanomaggies per arcsec
        present = noise.get(band, 0) * pixel_scale / native_pixel_scale**2
        missing = np.sqrt(max(density**2 - present**2, 0))
        blur = np.sqrt(max(width**2 - (seeing.get(band, 0) / _FWHM) ** 2, 0)) / pixel_scale
        image = gaussian_filter(fluxes[..., i], blur, mode="reflect")
        pixels = zoom(image, factor, order=3, mode="nearest", grid_mode=True)
        sigma = missing * native_pixel_scale**2 / imaging.pixel_scale
        pixels += sigma * rng.standard_normal(pixels.shape, dtype=np.float32)
        back = [n / m for n, m in zip(image.shape, pixels.shape, strict=True)]
        degraded[..., i] = zoom(pixels, back, order=3, mode="nearest", grid_mode=True)
    return degraded


def degrade_cutouts(
    cutouts: Cutouts,
    survey: str | Imaging,
    *,
    random_state: int | np.random.Generator | None = None,
) -> Cutouts:
    """Show Legacy Surveys cutouts with the seeing, depth and pixels of another survey.

    Colours are turned into fluxes (`~shredfinder.imaging.rgb_to_flux`), which are blurred, sampled
    on the survey's pixels, given its noise and brought back to the cutouts' scale and
    colours. Use it to see what a model makes of poorer images, and to train one that
    bears them (:doc:`/other_surveys`). Bands and colours remain those of the Legacy Surveys;
    nothing else of the other survey's images (artefacts, their own colours) is imitated.

    Parameters
    ----------
    cutouts : Cutouts
        Colour images of the Legacy Surveys.
    survey : str or `~shredfinder.surveys.Imaging`
        ``"sdss-dr17"``, ``"ps1-dr2"``, or seeing, depth and pixel scale of your own.
    random_state : int, `~numpy.random.Generator` or None, optional
        Seed or source of the noise.

    Returns
    -------
    degraded : Cutouts
        Of the same kind and number; images that hold no data stay as they are.

    Raises
    ------
    ValueError
        If the cutouts are of other colours, or nothing is known of the survey or a band.

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
            "only colour images of a known mapping can be degraded "
            f"({', '.join(sorted(COLOR_MAPPINGS))}; uint8), not {cutouts!r} with the mapping "
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
# u - g of galaxies by their g - r: 1.19 where g - r = 0.45 and 1.73 where it is 0.76, the two
# peaks of the colours of galaxies (Strateva et al. 2001, AJ 122, 1861, in u - r).
_U_G = (0.4, 1.75)
# Beyond z spectra of galaxies are flatter than between r and z.
_Z_Y = 0.25
_LEAST = 1e-7


def spread_bands(fluxes, bands):
    """Make images in other bands of those in g, r and z, pixel by pixel.

    Between r and z the logarithm of the flux is linear in that of the wavelength; u follows from
    g - r, and y from r - z, as in the mean of galaxies. So an old population stays red, and a young
    one blue; emission lines and the breaks of single galaxies are not there.

    Parameters
    ----------
    fluxes : `~numpy.ndarray`
        Noiseless fluxes in g, r and z along the first axis.
    bands : sequence of str
        Bands to be made, of u, g, r, i, z and y.

    Returns
    -------
    spread : `~numpy.ndarray` of float32
        Fluxes in these bands along the first axis, in the same unit.

    Raises
    ------
    ValueError
        If a band is none of these.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder.datasets.degrading import spread_bands
    >>> spread_bands(np.array([1.0, 2.0, 4.0]), "griz").round().tolist()
    [1.0, 2.0, 3.0, 4.0]
    """
    g, r, z = (np.maximum(plane, _LEAST) for plane in fluxes)
    spread = []
    for band in bands:
        if band in _DRAWN:
            spread.append(fluxes[_DRAWN.index(band)])
        elif band == "u":
            spread.append(10 ** (-0.4 * _U_G[0]) * g * np.clip(g / r, 0.05, 5) ** _U_G[1])
        elif band == "i":
            share = np.log(get_wavelength("i") / get_wavelength("r"))
            share /= np.log(get_wavelength("z") / get_wavelength("r"))
            spread.append(r ** (1 - share) * z**share)
        elif band == "y":
            spread.append(z * np.clip(z / r, 0.2, 10) ** _Z_Y)
        else:
            raise ValueError(f"the band {band!r} can't be simulated: choose of u, g, r, i, z and y")
    return np.stack(spread).astype(np.float32)
