"""Facts about the surveys, as data.

Each fact stands here once. Sources: the Legacy Surveys' DR9 description (Dey et al. 2019,
AJ 157, 168) and the colour code of its sky viewer.
"""

from dataclasses import dataclass

__all__ = ["SURVEYS", "Survey", "get_survey"]


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
    """

    name: str
    bands: tuple
    pixel_scale: float
    native_pixel_scale: float
    size: int
    color_mapping: str | None


SURVEYS = {
    survey.name: survey
    for survey in (
        # The viewer's red, green and blue are z, r and g. 0.46875"/px makes 128 px span 60".
        Survey("legacy-dr9", ("z", "r", "g"), 0.46875, 0.262, 128, "legacy-grz"),
        # SkyServer's red, green and blue are i, r and g (Lupton et al. 2004, PASP 116, 133).
        Survey("sdss-dr17", ("i", "r", "g"), 0.46875, 0.396127, 128, "sdss-gri"),
        Survey("ps1-dr2", ("i", "r", "g"), 0.46875, 0.25, 128, "ps1-gri"),
    )
}


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
