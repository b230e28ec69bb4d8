"""Simulated observation of a noiseless scene: seeing, saturation, and noise."""

import numpy as np

from shredfinder.datasets.profiles import Stamp, make_grid

__all__ = ["BANDS", "NOISE", "Scene", "add_noise", "blur", "moffat", "star_stamp"]

BANDS = ("g", "r", "z")
# Noise per pixel of a typical cutout in nanomaggies per native pixel. After JPEG compression, which
# smooths colours, it matches that of Legacy DR9 cutouts (benchmarks/simulation_realism.py).
NOISE = {"g": 0.0026, "r": 0.0046, "z": 0.0096}
# Weight of the adjacent pixels' noise: it gives the brightness of neighbours in cutouts the
# correlation of Legacy DR9 cutouts, -0.05, which the viewer's Lanczos kernel causes.
_UNDERSHOOT = -0.03
# Sky in nanomaggies per native pixel at 21.9, 20.9 and 18.7 mag/arcsec² (dark sky at Cerro
# Tololo). Relative to it, the flux of a source sets its photon noise.
_SKY = {"g": 0.119, "r": 0.300, "z": 2.27}
# Seeing in each band relative to r: the FWHM falls slowly with wavelength.
_SEEING = {"g": 1.08, "r": 1.0, "z": 0.94}
# Moffat exponent of the point-spread function's wings (Moffat 1969, A&A 3, 455).
_BETA = 3.2
# Saturation level of the detector in nanomaggies per native pixel.
_SATURATION = {"g": 16.0, "r": 22.0, "z": 30.0}


class Scene:
    """A noiseless image of a field in g, r and z, with padding around it.

    Parameters
    ----------
    size : int
        Width and height of the field in pixels.
    padding : int
        Pixels of padding on each side. They receive the light of objects beyond the edge, and
        the light that a convolution wraps around.
    """

    def __init__(self, size: int, padding: int = 48) -> None:
        self.size, self.padding = size, padding
        side = size + 2 * padding
        self.fluxes = np.zeros((len(BANDS), side, side), dtype=np.float32)

    def add(self, stamp, fluxes=None):
        """Add a stamp to the scene, clipped at the scene's edges.

        Parameters
        ----------
        stamp : Stamp
            A stamp of shape ``(height, width)``, to be multiplied by ``fluxes``, or of shape
            ``(3, height, width)``.
        fluxes : array_like, optional
            Flux in each band, in nanomaggies.
        """
        height, width = stamp.image.shape[-2:]
        left, bottom = stamp.left + self.padding, stamp.bottom + self.padding
        side = self.fluxes.shape[-1]
        x0, x1 = max(left, 0), min(left + width, side)
        y0, y1 = max(bottom, 0), min(bottom + height, side)
        if x0 >= x1 or y0 >= y1:
            return
        part = stamp.image[..., y0 - bottom : y1 - bottom, x0 - left : x1 - left]
        if fluxes is None:
            self.fluxes[:, y0:y1, x0:x1] += part
            return
        for plane, flux in zip(self.fluxes, fluxes, strict=True):
            plane[y0:y1, x0:x1] += np.float32(flux) * part

    def crop(self):
        """Return the field without the padding, of shape ``(3, size, size)``."""
        inner = slice(self.padding, self.padding + self.size)
        return self.fluxes[:, inner, inner].copy()


def moffat(dx, dy, fwhm):
    """Evaluate a Moffat profile with unit integral over the plane.

    Parameters
    ----------
    dx, dy : `~numpy.ndarray`
        Distances from the centre in pixels.
    fwhm : float
        Full width at half maximum in pixels.

    Returns
    -------
    values : `~numpy.ndarray`
        Fraction of the flux per pixel.
    """
    alpha2 = fwhm**2 / (4 * (2 ** (1 / _BETA) - 1))
    return (_BETA - 1) / (np.pi * alpha2) * (1 + (dx**2 + dy**2) / alpha2) ** -_BETA


def blur(scene, fwhm):
    """Convolve a scene with the point-spread function of each band, in place.

    Parameters
    ----------
    scene : Scene
        The scene.
    fwhm : float
        Full width at half maximum in r, in pixels.
    """
    side = scene.fluxes.shape[-1]
    # Pixel offsets 0, 1, … -2, -1: the kernel is centred on the first pixel, as the FFT expects.
    distance = np.fft.fftfreq(side, 1 / side)
    for band, plane in zip(BANDS, scene.fluxes, strict=True):
        psf = moffat(distance, distance[:, np.newaxis], fwhm * _SEEING[band])
        transform = np.fft.rfft2(plane) * np.fft.rfft2(psf / psf.sum())
        plane[:] = np.fft.irfft2(transform, s=plane.shape)
    # Rounding in the FFT leaves tiny negative values.
    np.maximum(scene.fluxes, 0, out=scene.fluxes)


def star_stamp(x, y, fluxes, fwhm, rng, *, native_per_pixel):
    """Draw a star with a saturated core: capped, or a hole, in each band independently.

    Parameters
    ----------
    x, y : float
        Position in pixels.
    fluxes : sequence of float
        Flux in g, r and z, in nanomaggies.
    fwhm : float
        Full width at half maximum in r, in pixels.
    rng : `~numpy.random.Generator`
        Random generator.
    native_per_pixel : float
        Native pixels per pixel, by area.

    Returns
    -------
    stamp : Stamp
        Nanomaggies per pixel, of shape ``(3, height, width)``.
    """
    # Out to where the wings are fainter than the noise.
    half_width = int(np.clip(4 * max(fluxes) ** 0.2 * fwhm, 8, 120))
    dx, dy, left, bottom = make_grid(x, y, half_width, oversampling=3)
    side = 2 * half_width + 1
    image = np.empty((len(BANDS), side, side), dtype=np.float32)
    # The images are stacks of exposures of different depth, so stars saturate differently.
    tolerance = rng.lognormal(0, 0.35, len(BANDS))
    for i, band in enumerate(BANDS):
        values = moffat(dx, dy, fwhm * _SEEING[band])
        plane = fluxes[i] * values.reshape(side, 3, side, 3).mean(axis=(1, 3))
        limit = _SATURATION[band] * tolerance[i] * native_per_pixel
        image[i] = np.where(plane > limit, limit * rng.choice([0.0, 0.3, 1.0]), plane)
    return Stamp(image, left, bottom)


def add_noise(fluxes, rng, *, depth=1.0):
    """Add the photon noise of the sky and of the sources.

    Parameters
    ----------
    fluxes : `~numpy.ndarray`
        Noiseless fluxes in g, r and z, in nanomaggies per native pixel, of shape
        ``(3, height, width)``.
    rng : `~numpy.random.Generator`
        Random generator.
    depth : float, optional
        Factor on the noise of all bands.

    Returns
    -------
    fluxes : `~numpy.ndarray` of float32
        Fluxes with noise. Adjacent pixels are slightly anticorrelated, as in real cutouts, which
        the viewer samples from finer native pixels with a Lanczos kernel.
    """
    noisy = np.empty(fluxes.shape, dtype=np.float32)
    height, width = fluxes.shape[1:]
    for i, band in enumerate(BANDS):
        sigma = NOISE[band] * depth * np.sqrt(1 + fluxes[i] / _SKY[band])
        # One pixel more on each side, for the neighbours of those at the edge.
        white = rng.standard_normal((height + 2, width + 2), dtype=np.float32)
        rows = white[1:-1] + _UNDERSHOOT * (white[:-2] + white[2:])
        noise = rows[:, 1:-1] + _UNDERSHOOT * (rows[:, :-2] + rows[:, 2:])
        # Mixing in neighbours raises the variance by (1 + 2 u²)²; this restores it.
        noisy[i] = fluxes[i] + sigma / (1 + 2 * _UNDERSHOOT**2) * noise
    return noisy
