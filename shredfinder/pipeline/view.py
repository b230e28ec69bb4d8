"""The field around a position, as in figure 1 of the paper: what the catalogues say is there."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from astropy.table import Table
from astropy.wcs import WCS

from shredfinder._utils.units import to_value
from shredfinder.catalogs import get_catalog_preset, query_candidates
from shredfinder.config import conf
from shredfinder.cutouts import fetch_cutouts
from shredfinder.cuts import candidate_cut
from shredfinder.exceptions import CatalogServiceError, ShredfinderWarning
from shredfinder.plotting import FieldPanel, FieldView
from shredfinder.surveys import get_survey
from shredfinder.table import add_p_cnn

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord
    from astropy.units import Quantity

    from shredfinder.classifier import ShredClassifier
    from shredfinder.cuts.presets import CutPreset
    from shredfinder.pipeline.steps import StepFolder

__all__ = ["make_field_view"]

# The paper's figure has 512 px of the survey's native scale.
_PAPER_PIXELS = 512
# Images of wider fields are coarser, and have no more pixels than this.
_MAX_PIXELS = 1024
_SCORED = "{survey}, cut"


def make_field_view(
    center: SkyCoord,
    classifier: ShredClassifier,
    *,
    width: float | Quantity | None = None,
    name: str = "",
    cuts: str | CutPreset = "paper",
    fetch: dict[str, Any] | None = None,
    query: dict[str, Any] | None = None,
    steps: StepFolder | None = None,
    **scoring: Any,
) -> FieldView:
    """Collect what the catalogues have in a field, and an image of it.

    Parameters
    ----------
    center : `~astropy.coordinates.SkyCoord`
        Centre of the field.
    classifier : ShredClassifier
        Scores the sources that pass the cuts.
    width : `~astropy.units.Quantity` or float, optional
        Side of the square field; a plain number is in arcsec. By default that of the paper's
        figure 1, 134 arcsec.
    name : str, optional
        Name of what is at the centre.
    cuts : str or CutPreset, optional
        The cuts of the second and third panel.
    fetch : dict, optional
        Arguments of `~shredfinder.cutouts.fetch_cutouts`.
    query : dict, optional
        Arguments of `~shredfinder.catalogs.query_candidates`.
    steps : StepFolder, optional
        Keeps the tables.
    **scoring
        Further arguments of `~shredfinder.add_p_cnn`.

    Returns
    -------
    view : FieldView
        With three panels. Where a service fails, the panel or the image says so in its note.

    Warns
    -----
    ShredfinderWarning
        If a service fails.

    Examples
    --------
    >>> from astropy.coordinates import SkyCoord
    >>> from shredfinder import ShredClassifier
    >>> from shredfinder.pipeline import make_field_view
    >>> ngc2903 = SkyCoord(143.0421, 21.5008, unit="deg")
    >>> view = make_field_view(ngc2903, ShredClassifier.load(), name="NGC 2903")
    >>> [panel.title for panel in view.panels]
    ['Legacy DR9, all sources', 'Legacy DR9, cut', 'SDSS DR17, cut']
    """
    from shredfinder.pipeline.steps import StepFolder

    fetch, query = dict(fetch or {}), dict(query or {})
    steps = steps or StepFolder(None)
    image, wcs, note = _fetch_image(center, width, fetch)
    side = np.array(image.shape[:2]) * _pixel_scale(wcs)
    # A circle around the square; what is outside of it is left out.
    radius = float(np.hypot(*side) / 2) * u.arcsec
    where = {"ra": center.icrs.ra.deg, "dec": center.icrs.dec.deg, "arcsec": radius.value}

    def ask(survey, label, **options):
        settings = where | {"survey": survey, **{key: str(v) for key, v in options.items()}}
        settings["endpoint"] = getattr(conf, get_catalog_preset(survey).endpoint)
        try:
            table = steps.run(
                label,
                lambda: query_candidates(
                    survey, center, radius, progress=False, **query, **options
                ),
                settings,
            )
        except (CatalogServiceError, KeyError) as error:
            message = " ".join(str(error).split())
            warnings.warn(f"the field view lacks {survey}: {message}", ShredfinderWarning)
            return Table(names=("ra", "dec"), dtype=(float, float)), "the catalogue did not answer"
        return table[_inside(table, wcs, image.shape)], ""

    everything, lost = ask("legacy-dr9", "field-all", cuts=None, columns="all")
    legacy, criteria = everything, Table()
    if len(everything):
        result = candidate_cut(everything, "legacy-dr9", preset=cuts)
        legacy, criteria = everything[result.passed], result.summary()
    sdss, lost_sdss = ask("sdss-dr17", "field-sdss", cuts=cuts)
    # Away from SDSS's footprint its catalogue is empty, which is no failure.
    for table in (legacy, sdss):
        if len(table):
            add_p_cnn(table, classifier, fetch=fetch, progress=False, **scoring)
    panels = [
        FieldPanel("Legacy DR9, all sources", everything["ra", "dec"], lost),
        FieldPanel(_SCORED.format(survey="Legacy DR9"), legacy, lost),
        FieldPanel(_SCORED.format(survey="SDSS DR17"), sdss, lost_sdss),
    ]
    size = classifier.size_[0] * classifier.pixel_scale_ * u.arcsec
    return FieldView(image, wcs, panels, center, name, size, criteria, note)


def _fetch_image(center, width, fetch):
    native = get_survey("legacy-dr9").native_pixel_scale
    arcsec = _PAPER_PIXELS * native if width is None else to_value(width, "width", u.arcsec)
    if not 0 < arcsec <= 3600:
        raise ValueError(f"the field's width must be above 0 and at most a degree: got {width}")
    n_pixels = int(np.clip(round(arcsec / native), 64, _MAX_PIXELS))
    scale = arcsec / n_pixels
    cutouts = fetch_cutouts(
        center.reshape(1), size=n_pixels, pixel_scale=scale, progress=False, **fetch
    )
    note = ""
    image = cutouts.images[0]
    if not cutouts.good[0] or image.shape[-1] != 3:
        note = f"no image of the field ({cutouts.flags[0] or 'not in colour'})"
        image = np.full((n_pixels, n_pixels, 3), 32, dtype=np.uint8)
    # Cutouts have the north in their first row, FITS coordinates count from the south.
    return np.ascontiguousarray(image[::-1]), _make_wcs(center, n_pixels, scale), note


def _make_wcs(center, n_pixels, scale):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.crval = center.icrs.ra.deg, center.icrs.dec.deg
    wcs.wcs.crpix = (n_pixels + 1) / 2, (n_pixels + 1) / 2
    wcs.wcs.cdelt = -scale / 3600, scale / 3600
    wcs.wcs.cunit = "deg", "deg"
    wcs.wcs.radesys = "ICRS"
    wcs.array_shape = n_pixels, n_pixels
    return wcs


def _pixel_scale(wcs):
    return float(wcs.wcs.cdelt[1]) * 3600


def _inside(table, wcs, shape):
    x, y = wcs.wcs_world2pix(np.asarray(table["ra"]), np.asarray(table["dec"]), 0)
    return (x > -0.5) & (y > -0.5) & (x < shape[1] - 0.5) & (y < shape[0] - 0.5)
