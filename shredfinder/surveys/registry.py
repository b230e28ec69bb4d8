"""The registry of surveys, and the data classes that describe one.

One module per survey creates a `Survey` and registers it. Code elsewhere looks surveys up here and
contains no survey's numbers or names.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from shredfinder.surveys.catalog_preset import CatalogPreset

__all__ = [
    "COLOR_MAPPINGS",
    "DEFAULT_SURVEY",
    "SAGA_THRESHOLDS",
    "SURVEYS",
    "ColorMapping",
    "Imaging",
    "Survey",
    "get_catalog_preset",
    "get_survey",
    "get_wavelength",
    "register_survey",
]


@dataclass(frozen=True)
class ColorMapping:
    """Parameters of an arcsinh mapping from fluxes to a colour image.

    Attributes
    ----------
    name : str
        Name of the mapping, which cutouts and models refer to.
    bands : tuple of str
        Bands shown as red, green and blue.
    scales : tuple of float
        Factor applied to the flux of each of ``bands``, per nanomaggy.
    offset : float
        Constant *m* added to each scaled flux, so that the sky is dark grey rather than black.
    softening : float
        Softening *Q*: where the mapping turns from linear to logarithmic.
    native_pixel_scale : float
        Side in arcsec of the pixels to which the fluxes refer.
    jpeg_quality : int or None
        Quality of the JPEG images that the survey's viewer draws with this mapping, with colours
        at half resolution (4:2:0); None if its images are not JPEG-compressed.

    Examples
    --------
    >>> from shredfinder.surveys import COLOR_MAPPINGS
    >>> COLOR_MAPPINGS["legacy-grz"].scales  # of z, r and g
    (2.2, 3.4, 6.0)
    """

    name: str
    bands: tuple[str, ...]
    scales: tuple[float, ...]
    offset: float
    softening: float
    native_pixel_scale: float
    jpeg_quality: int | None = None


@dataclass(frozen=True)
class Imaging:
    """Pixel scale, seeing and depth of a survey's images.

    Attributes
    ----------
    pixel_scale : float
        Native pixel scale in arcsec per pixel.
    seeing : dict of float
        Full width at half maximum of a point source in arcsec, by band.
    depth : dict of float
        5 σ point-source depth in AB mag, by band.

    Examples
    --------
    >>> from shredfinder.surveys import get_survey
    >>> imaging = get_survey("ps1").imaging
    >>> imaging.seeing["r"], imaging.depth["r"]
    (1.19, 23.2)
    """

    pixel_scale: float
    seeing: dict[str, float]
    depth: dict[str, float]


@dataclass(frozen=True)
class Survey:
    """Everything the package knows about a survey.

    Attributes
    ----------
    name : str
        Name of the survey and its data release.
    bands : tuple of str
        Bands of the cutouts' channels, in channel order: red, green and blue for colour images.
    pixel_scale : float
        Pixel scale of the cutouts in arcsec per pixel.
    native_pixel_scale : float
        Pixel scale of the survey's images in arcsec per pixel.
    size : int
        Width and height of the cutouts in pixels.
    color_mapping : str or None
        Name of the mapping from fluxes to colours; None if the channels are fluxes.
    service, layer : str
        Default cutout service and image layer.
    aliases : tuple of str
        Shorter names that `get_survey` accepts.
    layers : dict
        Colour mapping of each image layer of the service, by layer name.
    color_mappings : tuple of ColorMapping
        Colour mappings whose parameters are known.
    imaging : Imaging or None
        Seeing and depth; None if they are not known.
    catalog : CatalogPreset or None
        The source catalogue; None if there is none to query.
    quality : dict
        Default thresholds of the survey's quality cut, by keyword argument.
    extinction : dict of float
        A(band) / E(B-V), by band, for E(B-V) of Schlegel, Finkbeiner & Davis (1998).

    Examples
    --------
    >>> from shredfinder.surveys import get_survey
    >>> survey = get_survey("legacy")
    >>> survey.name, survey.bands, survey.pixel_scale, survey.size
    ('legacy-dr9', ('z', 'r', 'g'), 0.46875, 128)
    >>> survey.extinction["r"], survey.quality["max_fracflux"]
    (2.165, 4.0)
    """

    name: str
    bands: tuple[str, ...]
    pixel_scale: float
    native_pixel_scale: float
    size: int
    color_mapping: str | None
    service: str
    layer: str
    aliases: tuple[str, ...] = ()
    layers: dict[str, str] = field(default_factory=dict)
    color_mappings: tuple[ColorMapping, ...] = ()
    imaging: Imaging | None = None
    catalog: CatalogPreset | None = None
    quality: dict[str, Any] = field(default_factory=dict)
    extinction: dict[str, float] = field(default_factory=dict)


#: The survey of the embedded model.
DEFAULT_SURVEY = "legacy-dr9"

#: The surveys by name. `register_survey` adds to them.
#:
#: :meta hide-value:
SURVEYS: dict[str, Survey] = {}

#: The colour mappings of all registered surveys, by name.
#:
#: :meta hide-value:
COLOR_MAPPINGS: dict[str, ColorMapping] = {}

#: Thresholds of the SAGA cuts by keyword argument of `shredfinder.cuts.saga_cut`: Mao et al.
#: (2021, ApJ 907, 85), as arXiv:2301.09648, section 3.1, gives them.
SAGA_THRESHOLDS = {
    "r_max": 21.0,
    "sb_slope": 0.7,
    "sb_limit": 18.5,
    "color_slope": 0.06,
    "color_limit": 0.90,
}

# Effective wavelengths in nm: u of SDSS (Fukugita et al. 1996, AJ 111, 1748), the others of PS1
# (Tonry et al. 2012, ApJ 750, 99). Other surveys differ by a few per cent.
_WAVELENGTHS = {"u": 355, "g": 481, "r": 617, "i": 752, "z": 866, "y": 962}


def register_survey(survey: Survey) -> Survey:
    """Add a survey to the registry.

    Parameters
    ----------
    survey : Survey
        The survey.

    Returns
    -------
    survey : Survey
        The same survey.

    Raises
    ------
    ValueError
        If its name or an alias is in use, or its catalogue belongs to another survey.

    Examples
    --------
    A release with the tables and colours of another:

    >>> from dataclasses import replace
    >>> from shredfinder.surveys import SURVEYS, get_survey, register_survey
    >>> dr9 = get_survey("legacy")
    >>> catalog = replace(dr9.catalog, survey="legacy-dr8", source="ls_dr8.tractor",
    ...                   tables={"ls_dr8.tractor": ""})
    >>> dr8 = register_survey(
    ...     replace(dr9, name="legacy-dr8", aliases=(), layer="ls-dr8", catalog=catalog))
    >>> get_survey("legacy-dr8").catalog.source
    'ls_dr8.tractor'
    >>> del SURVEYS["legacy-dr8"]
    """
    taken = {name for known in SURVEYS.values() for name in (known.name, *known.aliases)}
    used = sorted(taken & {survey.name, *survey.aliases})
    if used:
        raise ValueError(
            f"there is already a survey named {', '.join(used)}: choose another name or alias"
        )
    if survey.catalog is not None and survey.catalog.survey != survey.name:
        raise ValueError(
            f"the catalogue of {survey.name!r} belongs to {survey.catalog.survey!r}: "
            f"create it with survey={survey.name!r}"
        )
    SURVEYS[survey.name] = survey
    COLOR_MAPPINGS.update({mapping.name: mapping for mapping in survey.color_mappings})
    return survey


def get_survey(name: str) -> Survey:
    """Look up a survey by name or alias.

    Parameters
    ----------
    name : str
        A key of `SURVEYS`, such as ``"legacy-dr9"``, or an alias, such as ``"legacy"``.

    Returns
    -------
    survey : Survey
        The survey.

    Raises
    ------
    ValueError
        If there is no survey of that name.

    Examples
    --------
    >>> from shredfinder.surveys import get_survey
    >>> get_survey("ps1-dr2").bands
    ('i', 'r', 'g')
    >>> get_survey("sdss").name
    'sdss-dr17'
    """
    for survey in SURVEYS.values():
        if name == survey.name or name in survey.aliases:
            return survey
    names = [name for known in SURVEYS.values() for name in (known.name, *known.aliases)]
    raise ValueError(f"there is no survey named {name!r}: choose one of {', '.join(names)}")


def get_catalog_preset(survey: str | CatalogPreset) -> CatalogPreset:
    """Look up the source catalogue of a survey.

    Parameters
    ----------
    survey : str or CatalogPreset
        Name or alias of the survey; a preset is returned unchanged.

    Returns
    -------
    preset : CatalogPreset
        The catalogue.

    Raises
    ------
    ValueError
        If there is no such survey, or it has no catalogue.

    Examples
    --------
    >>> from shredfinder.surveys import get_catalog_preset
    >>> list(get_catalog_preset("legacy").tables)
    ['ls_dr9.tractor']
    """
    if isinstance(survey, CatalogPreset):
        return survey
    known = get_survey(survey)
    if known.catalog is None:
        raise ValueError(
            f"no source catalogue is known for the survey {known.name!r}: choose one of "
            f"{', '.join(name for name, other in SURVEYS.items() if other.catalog is not None)}, "
            "or pass a CatalogPreset"
        )
    return known.catalog


def get_wavelength(band: str) -> float:
    """Look up the effective wavelength of a band.

    Parameters
    ----------
    band : str
        One of u, g, r, i, z and y, in either case.

    Returns
    -------
    wavelength : float
        Wavelength in nm.

    Raises
    ------
    ValueError
        If the band is unknown.

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
            f"the wavelength of band {band!r} is unknown: known bands are {', '.join(_WAVELENGTHS)}"
        ) from None
