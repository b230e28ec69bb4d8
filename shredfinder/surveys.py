"""Facts about the surveys, as data.

Each fact stands here once. Sources: the Legacy Surveys' DR9 description (Dey et al. 2019,
AJ 157, 168) and the colour code of its sky viewer.
"""

from dataclasses import dataclass

__all__ = ["COLOR_MAPPINGS", "DEFAULT_SURVEY", "SURVEYS", "ColorMapping", "Survey", "get_survey"]


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
    """

    name: str
    bands: tuple
    scales: tuple
    offset: float
    softening: float
    native_pixel_scale: float


COLOR_MAPPINGS = {
    mapping.name: mapping
    for mapping in (
        # The sky viewer's code (Lupton et al. 2004, PASP 116, 133, with the survey's numbers).
        ColorMapping("legacy-grz", ("z", "r", "g"), (2.2, 3.4, 6.0), 0.03, 20.0, 0.262),
    )
}

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


# The embedded model's.
DEFAULT_SURVEY = "legacy-dr9"


def get_survey(name):
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
    """
    try:
        return SURVEYS[name]
    except (KeyError, TypeError):
        raise ValueError(
            f"there is no survey named {name!r}: choose one of {', '.join(sorted(SURVEYS))}"
        ) from None
