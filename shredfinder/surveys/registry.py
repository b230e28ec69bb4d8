"""Facts about the surveys, as data.

Each fact stands here once. Sources: the Legacy Surveys' DR9 description (Dey et al. 2019,
AJ 157, 168) and the colour code of its sky viewer; others are named beside the facts.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "COLOR_MAPPINGS",
    "DEFAULT_SURVEY",
    "IMAGING",
    "SURVEYS",
    "ColorMapping",
    "Imaging",
    "Survey",
    "get_survey",
    "get_wavelength",
]


@dataclass(frozen=True)
class Survey:
    """What a model must know of the images of a survey.

    Attributes
    ----------
    name : str
        Name by which users choose the survey.
    bands : tuple of str
        Bands of the images' channels, in the channels' order. In a colour image they are
        red, green and blue.
    pixel_scale : float
        Pixel scale of the cutouts in arcsec per pixel.
    native_pixel_scale : float
        Pixel scale of the survey's own images in arcsec per pixel.
    size : int
        Width and height of the cutouts in pixels.
    color_mapping : str or None
        Name of the mapping from fluxes to colours; None where channels are fluxes.
    service, layer : str
        Where its cutouts come from: a service's name, and which of its images.

    Examples
    --------
    >>> from shredfinder.surveys import get_survey
    >>> survey = get_survey("legacy-dr9")
    >>> survey.bands, survey.pixel_scale, survey.size
    (('z', 'r', 'g'), 0.46875, 128)
    """

    name: str
    bands: tuple
    pixel_scale: float
    native_pixel_scale: float
    size: int
    color_mapping: str | None
    service: str = "legacy"
    layer: str = "ls-dr9"


@dataclass(frozen=True)
class ColorMapping:
    """The numbers of an arcsinh mapping from fluxes to a colour image.

    Attributes
    ----------
    name : str
        Name by which cutouts and models refer to the mapping.
    bands : tuple of str
        Bands shown as red, green and blue, in this order.
    scales : tuple of float
        Factor for the flux of each of ``bands``, per nanomaggy.
    offset : float
        Added to each scaled flux, so that the sky is dark grey and not black (*m*).
    softening : float
        Where the mapping turns from linear to logarithmic (*Q*).
    native_pixel_scale : float
        Side in arcsec of the pixels that the fluxes are given for.

    Examples
    --------
    >>> from shredfinder.surveys import COLOR_MAPPINGS
    >>> COLOR_MAPPINGS["legacy-grz"].scales  # of z, r and g
    (2.2, 3.4, 6.0)
    """

    name: str
    bands: tuple
    scales: tuple
    offset: float
    softening: float
    native_pixel_scale: float


@dataclass(frozen=True)
class Imaging:
    """How sharp and how deep a survey's images are.

    Attributes
    ----------
    pixel_scale : float
        Native pixel scale in arcsec per pixel.
    seeing : dict of float
        For each band the full width at half maximum of a point source, in arcsec.
    depth : dict of float
        For each band the AB magnitude of a point source that is found at 5 σ.

    Examples
    --------
    >>> from shredfinder.surveys import IMAGING
    >>> IMAGING["ps1-dr2"].seeing["r"], IMAGING["ps1-dr2"].depth["r"]
    (1.19, 23.2)
    """

    pixel_scale: float
    seeing: dict
    depth: dict


#: The mappings from fluxes to colours, by name.
COLOR_MAPPINGS = {
    mapping.name: mapping
    for mapping in (
        # The sky viewer's code (Lupton et al. 2004, PASP 116, 133, with the survey's numbers).
        ColorMapping("legacy-grz", ("z", "r", "g"), (2.2, 3.4, 6.0), 0.03, 20.0, 0.262),
    )
}

#: The surveys, by name.
SURVEYS = {
    survey.name: survey
    for survey in (
        # The viewer's red, green and blue are z, r and g. 0.46875"/px makes 128 px span 60".
        Survey("legacy-dr9", ("z", "r", "g"), 0.46875, 0.262, 128, "legacy-grz"),
        # SkyServer's red, green and blue are i, r and g (Lupton et al. 2004, PASP 116, 133).
        Survey("sdss-dr17", ("i", "r", "g"), 0.46875, 0.396127, 128, "sdss-gri", "sdss", "dr17"),
        Survey("ps1-dr2", ("i", "r", "g"), 0.46875, 0.25, 128, "ps1-gri", "ps1", "stack"),
    )
}

#: The imaging of other surveys than the embedded model's, by name.
IMAGING = {
    # Seeing: the median in r, 1.43" (SDSS DR7, "Seeing and sky brightness"), and in the other
    # bands by the wavelength to the power of -0.3 (Xin et al. 2018, AJ 156, 222). Depth: the
    # magnitudes at which 95 % of stars are found (Abazajian et al. 2004, AJ 128, 502).
    "sdss-dr17": Imaging(
        0.396127,
        {"u": 1.70, "g": 1.54, "r": 1.43, "i": 1.35, "z": 1.29},
        {"u": 22.0, "g": 22.2, "r": 22.2, "i": 21.3, "z": 20.5},
    ),
    # Chambers et al. 2016, arXiv 1612.05560.
    "ps1-dr2": Imaging(
        0.25,
        {"g": 1.31, "r": 1.19, "i": 1.11, "z": 1.07, "y": 1.02},
        {"g": 23.3, "r": 23.2, "i": 23.1, "z": 22.3, "y": 21.4},
    ),
}

# Effective wavelengths in nm: u of SDSS (Fukugita et al. 1996, AJ 111, 1748), the others of PS1
# (Tonry et al. 2012, ApJ 750, 99), to which those of other surveys come near.
_WAVELENGTHS = {"u": 355, "g": 481, "r": 617, "i": 752, "z": 866, "y": 962}

#: The survey of the embedded model.
DEFAULT_SURVEY = "legacy-dr9"


def get_survey(name: str) -> Survey:
    """Look up a survey by name.

    Parameters
    ----------
    name : str
        One of the keys of `SURVEYS`, such as ``"legacy-dr9"``.

    Returns
    -------
    survey : Survey
        The facts about that survey.

    Raises
    ------
    ValueError
        If there is no survey of that name.

    Examples
    --------
    >>> from shredfinder.surveys import get_survey
    >>> get_survey("ps1-dr2").bands
    ('i', 'r', 'g')
    """
    try:
        return SURVEYS[name]
    except (KeyError, TypeError):
        raise ValueError(
            f"there is no survey named {name!r}: choose one of {', '.join(sorted(SURVEYS))}"
        ) from None


def get_wavelength(band: str) -> float:
    """Look up the effective wavelength of a band.

    Parameters
    ----------
    band : str
        One of u, g, r, i, z and y, in either case.

    Returns
    -------
    wavelength : float
        In nm.

    Raises
    ------
    ValueError
        If there is no such band.

    Examples
    --------
    >>> from shredfinder.surveys import get_wavelength
    >>> get_wavelength("r")
    617
    """
    try:
        return _WAVELENGTHS[band.lower()]
    except (KeyError, AttributeError):
        raise ValueError(
            f"the wavelength of the band {band!r} is not known: known are {', '.join(_WAVELENGTHS)}"
        ) from None
