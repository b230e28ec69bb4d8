"""What the headers of FITS images say: their bands, flux unit, and whether they show the sky."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from astropy.units import UnitBase

__all__ = [
    "FluxUnit",
    "convert_unit",
    "find_map_word",
    "match_band",
    "read_band",
    "read_bands",
    "read_unit",
    "select_images",
]

# Words in file names, extension names and headers of what surveys write beside their images.
_MAPS = """
invvar ivar invar weight wht wt wtmap wgt var variance rms err error sigma unc uncert uncertainty
stddev depth galdepth psfdepth
mask maskbits bitmask bpm badpix badpixel dq dqm dqmask quality flag ood oow ooe osd osw ose opd opw
nexp nexpmap exp expmap expwt expnum exptime exposure coverage cov cvg npix hits context ctx con num
nimage
model blobmodel galmodel resid residual chi chi2 chisq bkg bkgd background seg segm segmap
segmentation
area psf psfsize seeing thumb thumbnail preview quicklook
"""
_MAP_WORDS = frozenset(_MAPS.split())
# Types of exposures that are no images of the sky, in headers only.
_FRAMES = "bias zero dark flat domeflat twiflat fringe arc lamp focus"
_FRAME_WORDS = frozenset(_FRAMES.split())
_SCIENCE_WORDS = frozenset(("sci", "science", "image"))
_TYPE_KEYS = ("IMAGETYP", "IMTYPE", "OBSTYPE", "PRODTYPE", "EXTTYPE", "FRAMETYP")
_FILTER_KEYS = ("FILTER", "BAND", "FILTNAM", "FILTNAME")
_SEPARATORS = re.compile(r"[^A-Za-z0-9']+")

# Magnitude of one unit of the values, by the conventions of DECam, SWarp, ZTF, MegaPipe and others.
_ZERO_POINTS = (
    "MAGZERO",
    "MAGZP",
    "PHOTZP",
    "ZEROPNT",
    "ZEROPOINT",
    "MAGZEROP",
    "ABMAGZP",
    "ABZP",
    "IMAGEZPT",
    "MAG_ZERO",
    "MAG0",
    "ZPMAG",
    "ZP",
)
# Zero points that need more than the number, such as exposure time and airmass.
_OTHER_ZERO_POINTS = ("MAGZPT", "PHOT_C", "FPA.ZP", "PHOTCAL")
_SYSTEM_KEYS = ("MAGSYS", "PHOTSYS", "ZPSYS", "MAGTYPE")
# Zero points outside this range mark missing ones, such as 0, -1 and 99.
_MIN_ZERO, _MAX_ZERO = 0.0, 60.0
# Magnitude of one nanomaggy, and its flux in Jy (AB).
_NANOMAGGY_MAG, _NANOMAGGY_JY = 22.5, 3.6307805e-6
# Two statements of the unit may differ by rounding.
_TOLERANCE = 0.05
_COUNTS = re.compile(
    r"(adus?|dn|data ?numbers?|counts?|cts?|electrons?|e-?|photons?|photo-?electrons?)"
    r"\s*(?P<rate>(/|per|\.)?\s*(s|sec|secs|second|seconds)?\s*(\*\*|\^)?\s*(-1)?)"
    r"(\s*(/|per)?\s*(pix|pixel)(-1)?)?",
    re.IGNORECASE,
)
_NOT_STATED = ("", "none", "unknown", "n/a", "undefined", "dimensionless", "1")


def _words(text: Any) -> list[str]:
    """Split a name into words in lower case, each also without the plural's s and numbers."""
    words = [word.lower() for word in _SEPARATORS.split(str(text)) if word]
    # masks, mask2 and MASK_1 are masks.
    return [form for word in words for form in (word, re.sub(r"(?<=[a-z]{3})(s|\d+)$", "", word))]


def find_map_word(name: str) -> str:
    """Find the word in a file's name by which it is a weight, mask, exposure or model map.

    Parameters
    ----------
    name : str
        The file's name, with folders below the one that is searched.

    Returns
    -------
    word : str
        Empty if there is none.

    Examples
    --------
    >>> from shredfinder.cutouts.image_headers import find_map_word
    >>> find_map_word("stack.g.weight.fits"), find_map_word("stack.g.fits")
    ('weight', '')
    """
    return next((word for word in _words(name) if word in _MAP_WORDS), "")


def select_images(headers: Sequence[Mapping[str, Any]], primary: Mapping[str, Any]) -> list[int]:
    """Select the images of the sky among a file's images.

    Parameters
    ----------
    headers : sequence of `~astropy.io.fits.Header`
        Headers of the images.
    primary : `~astropy.io.fits.Header`
        The file's first header, whose keywords hold for extensions without their own.

    Returns
    -------
    indices : list of int
        Positions in ``headers``. Maps, by name or type, are left out, and all but the science
        images (``EXTNAME = 'SCI'``) where some are named so.
    """
    names = [_words(header.get("EXTNAME", "")) for header in headers]
    kept = []
    for i, header in enumerate(headers):
        kinds = _words(" ".join(_get((header, primary), key) for key in _TYPE_KEYS))
        is_map = _MAP_WORDS.intersection(names[i]) or _MAP_WORDS.intersection(kinds)
        # Inverse variances and exposure times also show in their unit.
        if not is_map and not _FRAME_WORDS.intersection(kinds):
            kept.append(i)
    kept = [i for i in kept if not read_unit(headers[i], primary).is_map] or kept
    return [i for i in kept if _SCIENCE_WORDS.intersection(names[i])] or kept


def match_band(text: str, bands: Sequence[str], *, any_case: bool = False) -> str:
    """Find the one of several bands that a text names.

    Parameters
    ----------
    text : str
        A file or extension name.
    bands : sequence of str
        The bands.
    any_case : bool, optional
        Accept other cases too, as for extension names, which astropy writes in capitals.

    Returns
    -------
    band : str
        Empty if none or several are named: ``m51-g-r.fits`` names two.
    """
    words = [word for word in _SEPARATORS.split(text.replace("_", " ")) if word]
    found = {word for word in words if word in bands}
    if not found and any_case:
        found = {b for b in bands if b.lower() in [word.lower() for word in words]}
    return found.pop() if len(found) == 1 else ""


def read_band(header: Mapping[str, Any], primary: Mapping[str, Any], bands: Sequence[str]) -> str:
    """Read the band of an image of one band.

    Parameters
    ----------
    header, primary : `~astropy.io.fits.Header`
        Its header, and the first of the file.
    bands : sequence of str
        Bands to look for.

    Returns
    -------
    band : str
        One of the bands, the name of another one, or empty if none is named.
    """
    named = read_bands(header, 1, bands)
    if named:
        return named[0]
    for source in (header, primary):
        for key in _FILTER_KEYS:
            text = str(source.get(key, "") or "").strip()
            if text:
                # Such as "g DECam SDSS c0001 4720.0 1520.0", "g.MP9401" and "SDSS g".
                first = text.split()[0]
                return first if first in bands else match_band(text, bands) or first
        if source is header:
            found = match_band(str(header.get("EXTNAME", "")), bands, any_case=True)
            if found:
                return found
    return ""


def read_bands(
    header: Mapping[str, Any], n_planes: int, bands: Sequence[str] = ()
) -> tuple[str, ...] | None:
    """Read the bands of a cube's planes from ``BANDS`` or ``BAND0``, ``BAND1`` and so on.

    Parameters
    ----------
    header : `~astropy.io.fits.Header`
        The header.
    n_planes : int
        Number of planes.
    bands : sequence of str, optional
        Bands to look for, whose names may be longer than a letter.

    Returns
    -------
    named : tuple of str or None
        One band per plane; None if the header names none.

    Raises
    ------
    ValueError
        If ``BANDS`` and the numbered keywords disagree.

    Examples
    --------
    >>> from shredfinder.cutouts.image_headers import read_bands
    >>> read_bands({"BANDS": "zrg"}, 3), read_bands({"BAND1": "g", "BAND2": "r"}, 2)
    (('z', 'r', 'g'), ('g', 'r'))
    """
    found: dict[str, tuple[str, ...]] = {}
    for key in ("BANDS", "FILTERS"):
        text = str(header.get(key, "") or "").strip()
        words = tuple(re.findall(r"[^\s,;/|]+", text))
        if text == "".join(bands):
            words = tuple(bands)
        elif len(words) == 1 and len(text) == n_planes:
            words = tuple(text)
        if len(words) == n_planes:
            found[key] = words
    for key in ("BAND", "FILTER"):
        # A single image may have the names of two filter wheels, so one plane has no numbers.
        for first in (0, 1) if n_planes > 1 else (0,):
            keys = [f"{key}{i}" for i in range(first, first + n_planes)]
            numbered = [str(header.get(name, "") or "").split()[:1] for name in keys]
            if all(numbered):
                found.setdefault(keys[0], tuple(words[0] for words in numbered))
    if len(set(found.values())) > 1:
        texts = " but ".join(f"{key} gives {', '.join(names)}" for key, names in found.items())
        raise ValueError(f"the header contradicts itself about the planes' bands: {texts}")
    return next(iter(found.values()), None)


class FluxUnit(NamedTuple):
    """What is known of the unit of an image's values.

    Parameters
    ----------
    nanomaggies : float, optional
        Nanomaggies in one unit: per pixel, or per square arcsec. None if it is not stated, or
        cannot be converted.
    per_area : bool, optional
        Whether the values are surface brightnesses.
    problem : str, optional
        Why the values cannot be converted; empty if they can, or if no unit is stated.
    is_map : bool, optional
        Whether the values are no fluxes at all, but weights or times.
    stated : str, optional
        How the header states the unit, for messages that start with a file's name and "is".
    """

    nanomaggies: float | None = None
    per_area: bool = False
    problem: str = ""
    is_map: bool = False
    stated: str = ""

    def get_factor(self, pixel_scale: float) -> float:
        """Return the factor to nanomaggies per pixel of a size in arcsec; 1 if none is stated."""
        if self.nanomaggies is None:
            return 1.0
        return self.nanomaggies * (pixel_scale**2 if self.per_area else 1)


def read_unit(header: Mapping[str, Any], primary: Mapping[str, Any] | None = None) -> FluxUnit:
    """Read the unit of an image's values from ``BUNIT`` and its magnitude zero point (AB).

    Parameters
    ----------
    header : `~astropy.io.fits.Header`
        Header of the image.
    primary : `~astropy.io.fits.Header`, optional
        The file's first header, whose keywords hold for extensions without their own.

    Returns
    -------
    unit : FluxUnit
        The unit. A header without both is taken to be in nanomaggies.

    Examples
    --------
    >>> from shredfinder.cutouts.image_headers import read_unit
    >>> read_unit({"BUNIT": "adu", "MAGZERO": 25.0}).nanomaggies
    0.1
    >>> read_unit({"BUNIT": "adu"}).problem
    "is in BUNIT = 'adu' and has no magnitude zero point (MAGZERO)"
    """
    headers = (header, header if primary is None else primary)
    text = _get(headers, "BUNIT")
    counts = _COUNTS.fullmatch(text)
    per_second = None if counts is None else counts["rate"].strip() != ""
    zero, stated, problem = _read_zero_point(headers, per_second)
    if text.lower() in _NOT_STATED:
        return FluxUnit(zero, problem=problem, stated=f"in units of {stated}")
    said = f"is in BUNIT = {text!r}"
    if counts:
        if zero is None and not problem:
            problem = f"{said} and has no magnitude zero point (MAGZERO)"
        return FluxUnit(zero, problem=problem, stated=f"in {text!r} with {stated}")
    unit = convert_unit(text)._replace(stated=f"in {text!r}")
    if unit.problem:
        return unit._replace(problem=f"{said}, {unit.problem}")
    # A zero point of a surface brightness cannot be compared without the pixel's area.
    if zero is not None and unit.nanomaggies is not None and not unit.per_area:
        ratio = zero / unit.nanomaggies
        if abs(ratio - 1) > _TOLERANCE:
            return FluxUnit(problem=f"{said}, but {stated} says another unit")
    return unit


def _read_zero_point(
    headers: Sequence[Mapping[str, Any]], per_second: bool | None
) -> tuple[float | None, str, str]:
    """Return nanomaggies per unit (None if not stated), by which keyword, and a problem."""
    for key in _ZERO_POINTS:
        zero = _number(headers, key)
        if not _MIN_ZERO < zero < _MAX_ZERO:
            continue
        said = f"{key} = {zero:g}"
        systems = [_get(headers, name) for name in _SYSTEM_KEYS]
        if any("vega" in system.lower() for system in systems):
            return None, said, f"has a zero point of Vega magnitudes ({said}), not AB"
        return 10 ** (-0.4 * (zero - _NANOMAGGY_MAG)), said, ""
    flux = _number(headers, "FLUXMAG0")
    if flux > 0:  # the values of a source of magnitude 0
        return 1e9 / flux, f"FLUXMAG0 = {flux:g}", ""
    flam, pivot = _number(headers, "PHOTFLAM"), _number(headers, "PHOTPLAM")
    if flam > 0:
        said = f"PHOTFLAM = {flam:g}"
        # The Hubble Space Telescope's, for counts per second.
        time = math.nan if per_second is None else 1.0
        if per_second is False:
            time = _number(headers, "EXPTIME")
        if not (pivot > 0 and time > 0):
            return None, said, f"needs BUNIT, PHOTPLAM and EXPTIME beside {said}"
        zero = -2.5 * math.log10(flam / time) - 21.1 - 5 * math.log10(pivot) + 18.6921
        return 10 ** (-0.4 * (zero - _NANOMAGGY_MAG)), said, ""
    for key in _OTHER_ZERO_POINTS:
        if _number(headers, key) > 0:
            return None, "", f"has a zero point that shredfinder cannot apply ({key})"
    return None, "", ""


def convert_unit(text: str | UnitBase) -> FluxUnit:
    """Convert a flux unit to nanomaggies.

    Parameters
    ----------
    text : str or `~astropy.units.Unit`
        Such as ``"nanomaggies"``, ``"nJy"`` or ``"MJy/sr"``.

    Returns
    -------
    unit : FluxUnit
        Its ``problem`` says why it cannot be converted.
    """
    import warnings

    from astropy import units as u

    if isinstance(text, str):
        # Spellings that astropy does not know.
        text = re.sub(
            r"nano-?magg?(y|ies|ie)\b|\bnmagg(y|ies)\b|\bnmg(y|ies)\b",
            "nmgy",
            text,
            flags=re.IGNORECASE,
        )
        text = re.sub(r"\bmaggies\b", "mgy", re.sub(r"\bmicro-?Jy\b", "uJy", text))
        text = re.sub(r"\bpixels?\b", "pix", re.sub(r"\bsec\b", "s", text))
        text = re.sub(r"\bpix\^2|\bpix2\b", "pix", text)
    unit = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", u.UnitsWarning)
        for spelling in dict.fromkeys((text, str(text).lower())):
            try:
                unit = u.Unit(spelling)
                break
            except (ValueError, TypeError):
                continue
    if unit is None:
        return FluxUnit(problem="an unknown unit")
    try:
        # Per pixel is the same as the plain flux.
        for per_pixel in (unit, unit * u.pix):
            for per_area, flux in ((False, per_pixel), (True, per_pixel * u.arcsec**2)):
                if flux.is_equivalent(u.mgy):
                    return FluxUnit(flux.to(u.mgy) * 1e9, per_area)
                if flux.is_equivalent(u.Jy):
                    return FluxUnit(flux.to(u.Jy) / _NANOMAGGY_JY, per_area)
        bases = {str(base) for base in unit.decompose().bases}
        is_map = bool(bases) and not bases & {"mag", "kg", "beam", "adu", "electron", "ct", "ph"}
        squared = any(
            unit.is_equivalent(flux**power)
            for flux in (u.mgy, u.Jy, u.mgy / u.arcsec**2, u.adu, u.electron, u.ct)
            for power in (-2, 2, -1)
        )
    except Exception:  # units of magnitudes convert in their own ways
        return FluxUnit(problem="which is not a linear flux")
    return FluxUnit(problem="which cannot be converted to nanomaggies", is_map=is_map or squared)


def _get(headers: Sequence[Mapping[str, Any]], key: str) -> str:
    """Return a keyword of the first header that has it, as text."""
    for header in headers:
        text = str(header.get(key, "") or "").strip()
        if text:
            return text
    return ""


def _number(headers: Sequence[Mapping[str, Any]], key: str) -> float:
    try:
        value = float(_get(headers, key))
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan
