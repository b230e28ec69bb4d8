"""Measurement of the brightness and apparent size of a source in its cutout."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u
from astropy.table import Table

from shredfinder.imaging.colors import rgb_to_flux
from shredfinder.surveys import COLOR_MAPPINGS

if TYPE_CHECKING:
    from shredfinder.imaging.cutouts import Cutouts

__all__ = ["measure_appearance"]


def measure_appearance(
    cutouts: Cutouts, *, radius: float = 3.0, isophote: float = 24.0, band: str = "r"
) -> Table:
    """Measure central brightness and apparent size from colour images.

    The measurement is rough, for binning sources without a catalogue: colour images have 8 bits,
    and the light of an underlying galaxy is included.

    Parameters
    ----------
    cutouts : Cutouts
        Colour images with a known colour mapping.
    radius : float, optional
        Radius of the central aperture in arcsec.
    isophote : float, optional
        Surface brightness of the outer isophote in mag/arcsec².
    band : str, optional
        Band of the measurement.

    Returns
    -------
    appearance : `~astropy.table.Table`
        One row per cutout: ``central_mag``, the AB magnitude within the aperture, and
        ``isophotal_radius`` in arcsec, √(A/π) of the connected area A around the centre that is
        brighter than the isophote, or 0 if the centre is fainter. NaN for unusable images and for
        apertures without positive flux.

    Raises
    ------
    ValueError
        If the colour mapping is unknown or does not contain the band.

    Examples
    --------
    >>> from shredfinder.datasets import make_field
    >>> from shredfinder.imaging import measure_appearance
    >>> cutouts = make_field(size=320, n_hosts=1, random_state=1).cutouts()[:2]
    >>> found = measure_appearance(cutouts)
    >>> found.colnames
    ['central_mag', 'isophotal_radius']
    >>> found["central_mag"].unit
    Unit("mag")
    """
    from scipy import ndimage

    mapping = COLOR_MAPPINGS.get(cutouts.color_mapping or "")
    if mapping is None or band not in mapping.bands:
        raise ValueError(
            f"cannot measure the band {band!r} with the colour mapping {cutouts.color_mapping!r}: "
            f"use cutouts with one of {', '.join(COLOR_MAPPINGS)} that contains the band"
        )
    n, scale = len(cutouts), cutouts.pixel_scale
    native = mapping.native_pixel_scale
    # 22.5 is the AB magnitude of one nanomaggy; the limit is per native pixel, as the fluxes are.
    limit = 10 ** (0.4 * (22.5 - isophote)) * native**2
    height, width = cutouts.size
    y, x = np.mgrid[:height, :width]
    aperture = np.hypot(y - (height - 1) / 2, x - (width - 1) / 2) * scale <= radius
    # The 2 × 2 pixels around the centre.
    middle = slice(height // 2 - 1, height // 2 + 1), slice(width // 2 - 1, width // 2 + 1)
    mags, radii = np.full((2, n), np.nan)
    for i in np.flatnonzero(cutouts.good):
        image = cutouts.images[i]
        if image.dtype != np.uint8:
            image = image * np.float32(255)
        flux = rgb_to_flux(image, color_mapping=mapping.name)[mapping.bands.index(band)]
        # Fluxes are per native pixel of the survey.
        light = flux[aperture].sum() * (scale / native) ** 2
        mags[i] = 22.5 - 2.5 * np.log10(light) if light > 0 else np.nan
        # Smoothing keeps single noisy pixels from joining or splitting regions.
        regions, _ = ndimage.label(ndimage.gaussian_filter(flux, 0.7) > limit)
        # Label 0 is the background.
        own = np.setdiff1d(regions[middle], 0)
        radii[i] = np.sqrt(np.isin(regions, own).sum() / np.pi) * scale
    return Table({"central_mag": mags * u.mag, "isophotal_radius": radii * u.arcsec})
