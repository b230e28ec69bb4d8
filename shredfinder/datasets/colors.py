"""Light in bands that the simulation does not draw, from that in g, r and z."""

import numpy as np

from shredfinder.surveys import get_wavelength

__all__ = ["spread_bands"]

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
    >>> from shredfinder.datasets.colors import spread_bands
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
