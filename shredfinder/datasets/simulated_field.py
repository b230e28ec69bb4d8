"""A simulated field: its images, catalogue and cutouts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from astropy.coordinates import SkyCoord

from shredfinder.datasets.degrading import degrade_fluxes, get_imaging, spread_bands
from shredfinder.imaging import CutoutFlag, Cutouts, compress_jpeg, flux_to_rgb
from shredfinder.imaging.cutouts import FLUX
from shredfinder.surveys import DEFAULT_SURVEY, get_survey

if TYPE_CHECKING:
    from collections.abc import Sequence

    from astropy.table import Table
    from astropy.wcs import WCS

    from shredfinder.surveys import Imaging

__all__ = ["SimulatedField"]


@dataclass(repr=False)
class SimulatedField:
    """A simulated field in g, r and z, with the true classes of its sources.

    Attributes
    ----------
    fluxes : `~numpy.ndarray` of float32
        Images in nanomaggies per *native* pixel of the survey (0.262″ squared), as in the
        viewer's cutouts, of shape ``(3, height, width)`` in the order of ``bands``. The first
        row is in the south and the first column in the east. The sum over a source times
        ``native_per_pixel`` is its flux in nanomaggies.
    model : `~numpy.ndarray` of float32
        The same images without noise.
    wcs : `~astropy.wcs.WCS`
        World coordinate system of the images (tangential projection, north up, east left).
    bands : tuple of str
        Bands of ``fluxes``: g, r and z.
    pixel_scale : float
        Pixel scale in arcsec per pixel.
    sources : `~astropy.table.Table`
        The catalogue: ``objID``; ``ra`` and ``dec`` in deg; ``g``, ``r`` and ``z`` in mag (AB);
        ``radius``, the half-light radius along the major axis in arcsec; ``label``, either
        ``galaxy`` or ``shred``; ``type``, such as ``host``, ``satellite`` or ``knot``;
        ``host_id``, the objID of the galaxy that it is a piece or satellite of (-1 for none). A
        galaxy's magnitudes are total magnitudes. A shred's are aperture magnitudes of all
        galaxies' light within twice its radius (with seeing, without noise).
    stars : `~astropy.table.Table`
        The stars in the image, which are not in the catalogue: ``ra``, ``dec``, ``g``, ``r`` and
        ``z``.
    survey : str
        Survey that the images simulate.
    seeing : float
        Full width at half maximum of a point source in r, in arcsec.
    galaxies : `~astropy.table.Table` or None
        The true galaxies, of fields from `make_shredded_field`.

    Examples
    --------
    >>> from shredfinder.datasets import make_field
    >>> field = make_field(size=320, n_hosts=1, random_state=1)
    >>> field.image.shape
    (320, 320, 3)
    >>> field.cutouts(size=64)[:2]
    <Cutouts: 2 of 64×64 px at 0.46875 arcsec/px, bands zrg, 0 unusable>
    """

    fluxes: np.ndarray
    model: np.ndarray
    wcs: WCS
    bands: tuple
    pixel_scale: float
    sources: Table
    stars: Table
    survey: str = DEFAULT_SURVEY
    seeing: float = 1.05
    galaxies: Table | None = None

    def __repr__(self):
        height, width = self.fluxes.shape[1:]
        shreds = int((self.sources["label"] == "shred").sum())
        return (
            f"<SimulatedField: {width}×{height} px at {self.pixel_scale:g} arcsec/px, bands "
            f"{''.join(self.bands)}, {len(self.sources)} sources of which {shreds} are shreds>"
        )

    @property
    def native_per_pixel(self) -> float:
        """float: area of an image pixel in native pixels of the survey."""
        return (self.pixel_scale / get_survey(self.survey).native_pixel_scale) ** 2

    @property
    def image(self) -> np.ndarray:
        """`~numpy.ndarray` of uint8: the colour image, of shape ``(height, width, 3)``.

        Its rows are in the order of ``wcs``, the first in the south: plot it with
        ``origin="lower"``, and flip it (``image[::-1]``) before writing it to an image file.
        """
        return flux_to_rgb(
            self.fluxes, self.bands, color_mapping=get_survey(self.survey).color_mapping or FLUX
        )

    def cutouts(
        self, positions: SkyCoord | None = None, *, size: int | None = None, compress: bool = True
    ) -> Cutouts:
        """Return colour cutouts as the survey's viewer would return them.

        Parameters
        ----------
        positions : `~astropy.coordinates.SkyCoord`, optional
            Positions of shape ``(n,)``, or a single position; by default those of ``sources``.
        size : int, optional
            Width and height in pixels; by default the survey's (128 px, which span 60″).
        compress : bool, optional
            Whether to compress and decompress the images as JPEG. The survey's viewer compresses
            its cutouts, which affects their noise.

        Returns
        -------
        cutouts : `~shredfinder.Cutouts`
            One image per position, north up and east left. The source is within half a pixel of
            the centre, because pixels are not resampled. A cutout that extends beyond the field
            is blank and flagged ``no coverage``.

        Examples
        --------
        >>> from shredfinder.datasets import make_field
        >>> simulated = make_field(size=320, n_hosts=1, random_state=1)
        >>> simulated.cutouts(simulated.wcs.pixel_to_world([160, 5], [160, 160]))
        <Cutouts: 2 of 128×128 px at 0.46875 arcsec/px, bands zrg, 1 unusable>
        """
        corners, flags, size = self._locate(positions, size)
        images = np.zeros((len(corners), size, size, 3), dtype=np.uint8)
        whole = self.image
        mapping = get_survey(self.survey).color_mapping or FLUX
        for i in np.flatnonzero(flags == CutoutFlag.GOOD):
            part = _cut(whole, corners[i], size)
            # As the viewer sends them: artefacts of compression are part of the training images.
            images[i] = compress_jpeg(part, color_mapping=mapping) if compress else part
        return Cutouts.of_survey(self.survey, images, flags=flags, service="simulation")

    def observe(
        self,
        survey: str | Imaging,
        bands: Sequence[str] | None = None,
        positions: SkyCoord | None = None,
        *,
        size: int | None = None,
        random_state: int | np.random.Generator | None = None,
    ) -> Cutouts:
        """Return flux cutouts as another survey would observe the field, in its own bands.

        Parameters
        ----------
        survey : str or `~shredfinder.surveys.Imaging`
            ``"sdss"`` (u, g, r, i, z), ``"ps1"`` (g, r, i, z, y), or an object with
            seeing, depth and pixel scale.
        bands : sequence of str, optional
            Bands of the survey, in the order of the channels; by default all.
        positions : `~astropy.coordinates.SkyCoord`, optional
            Positions of shape ``(n,)``, or a single position; by default those of ``sources``.
        size : int, optional
            Width and height in pixels at this field's scale; by default that of `cutouts`.
        random_state : int, `~numpy.random.Generator` or None, optional
            Seed or generator of the noise.

        Returns
        -------
        cutouts : `~shredfinder.Cutouts`
            Float32 images of the colour mapping ``"flux"``, in nanomaggies per pixel of 0.262″
            squared. A cutout that extends beyond the field is NaN and flagged ``no coverage``.

        Raises
        ------
        ValueError
            If the survey or a band is unknown.

        Examples
        --------
        >>> from shredfinder.datasets import make_field
        >>> simulated = make_field(size=320, n_hosts=1, random_state=1)
        >>> simulated.observe("sdss-dr17", random_state=1)
        <Cutouts: 10 of 128×128 px at 0.46875 arcsec/px, bands ugriz, 0 unusable>
        """
        imaging = get_imaging(survey)
        bands = tuple(imaging.seeing if bands is None else bands)
        unknown = [band for band in bands if band not in imaging.seeing]
        if unknown or not bands:
            raise ValueError(
                f"bands must be among the survey's bands {', '.join(imaging.seeing)}, not {bands!r}"
            )
        corners, flags, size = self._locate(positions, size)
        rng = np.random.default_rng(random_state)
        images = np.full((len(corners), size, size, len(bands)), np.nan, dtype=np.float32)
        # Start from the noiseless model: the other survey adds its own noise.
        whole = np.moveaxis(spread_bands(self.model, bands), 0, -1)
        for i in np.flatnonzero(flags == CutoutFlag.GOOD):
            images[i] = degrade_fluxes(
                _cut(whole, corners[i], size),
                bands,
                imaging,
                pixel_scale=self.pixel_scale,
                native_pixel_scale=get_survey(self.survey).native_pixel_scale,
                seeing=dict.fromkeys(bands, self.seeing),
                rng=rng,
            )
        return Cutouts(
            images,
            flags=flags,
            pixel_scale=self.pixel_scale,
            bands=bands,
            color_mapping=FLUX,
            service="simulation",
        )

    def _locate(self, positions, size):
        """Return the lower left pixel of each cutout, ``(n, 2)``, and the flags and size."""
        size = get_survey(self.survey).size if size is None else size
        if not isinstance(size, (int, np.integer)) or size < 1:
            raise ValueError(f"size must be a positive whole number of pixels, not {size!r}")
        if positions is None:
            positions = SkyCoord(self.sources["ra"], self.sources["dec"], unit="deg")
        if not isinstance(positions, SkyCoord):
            raise TypeError(
                f"positions must be a SkyCoord, not {type(positions).__name__}: "
                "use SkyCoord(ra, dec, unit='deg')"
            )
        x, y = (np.atleast_1d(values) for values in self.wcs.world_to_pixel(positions))
        known = np.isfinite(x) & np.isfinite(y)
        # The centre of an image of even size lies between two pixels.
        places = np.stack([np.where(known, x, 0), np.where(known, y, 0)], axis=1)
        corners = np.rint(places - (size - 1) / 2).astype(int)
        # (width, height) of the field: positions are x, y, arrays y, x.
        limits = np.array(self.fluxes.shape[:0:-1]) - size
        inside = ((corners >= 0) & (corners <= limits)).all(axis=1)
        flags = np.where(inside, CutoutFlag.GOOD.value, CutoutFlag.NO_COVERAGE.value)
        flags[~known] = CutoutFlag.NO_POSITION
        return corners, flags, size


def _cut(image, corner, size):
    """Cut a square out of an image, and reverse its rows so that the first is in the north."""
    left, bottom = corner
    return image[bottom : bottom + size, left : left + size][::-1]
