"""How bright and how large a source looks in its cutout."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u
from astropy.table import Table
from scipy import ndimage

from shredfinder.imaging.colors import rgb_to_flux
from shredfinder.surveys import COLOR_MAPPINGS

if TYPE_CHECKING:
    from shredfinder.imaging.cutouts import Cutouts

__all__ = ["measure_appearance"]


def measure_appearance(
    cutouts: Cutouts, *, radius: float = 3.0, isophote: float = 24.0, band: str = "r"
) -> Table:
    """Measure central brightness and apparent size from colour images.

    A rough measure, for dividing sources into bins where no catalogue is at hand: colour images
    have 8 bits, and the light of what a source lies on counts as its own.

    Parameters
    ----------
    cutouts : Cutouts
        Colour images of a known mapping, ``n`` of them.
    radius : float, optional
        Radius of the central aperture in arcsec.
    isophote : float, optional
        Surface brightness in mag/arcsec² down to which a source reaches.
    band : str, optional
        The band that is measured in.

    Returns
    -------
    appearance : `~astropy.table.Table`
        A row for each cutout: ``central_mag``, the magnitude of the light in the aperture, and
        ``isophotal_radius`` in arcsec, that of a circle as large as the connected area around the
        centre that is brighter than the isophote; 0 where the centre is fainter. NaN for images
        that can't be used, and where the aperture has no light.

    Raises
    ------
    ValueError
        If the colour mapping is not known, or does not show the band.

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
    mapping = COLOR_MAPPINGS.get(cutouts.color_mapping or "")
    if mapping is None or band not in mapping.bands:
        raise ValueError(
            f"brightness and size are measured in {band} on images of a known colour mapping "
            f"({', '.join(COLOR_MAPPINGS)}), not of {cutouts.color_mapping!r}"
        )
    n, scale = len(cutouts), cutouts.pixel_scale
    native = mapping.native_pixel_scale
    limit = 10 ** (0.4 * (22.5 - isophote)) * native**2
    height, width = cutouts.size
    y, x = np.mgrid[:height, :width]
    aperture = np.hypot(y - (height - 1) / 2, x - (width - 1) / 2) * scale <= radius
    middle = slice(height // 2 - 1, height // 2 + 1), slice(width // 2 - 1, width // 2 + 1)
    mags, radii = np.full((2, n), np.nan)
    for i in np.flatnonzero(cutouts.good):
        image = cutouts.images[i]
        if image.dtype != np.uint8:
            image = image * np.float32(255)
        flux = rgb_to_flux(image, color_mapping=mapping.name)[mapping.bands.index(band)]
        # Values are given for pixels of the survey's own size.
        light = flux[aperture].sum() * (scale / native) ** 2
        mags[i] = 22.5 - 2.5 * np.log10(light) if light > 0 else np.nan
        # Single pixels of noise neither join nor part what is seen.
        regions, _ = ndimage.label(ndimage.gaussian_filter(flux, 0.7) > limit)
        own = np.setdiff1d(regions[middle], 0)
        radii[i] = np.sqrt(np.isin(regions, own).sum() / np.pi) * scale
    return Table({"central_mag": mags * u.mag, "isophotal_radius": radii * u.arcsec})
