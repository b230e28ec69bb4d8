"""Pictures of a search: the field around its centre, and examples of shreds and galaxies."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from astropy.table import Table

from shredfinder._utils.units import to_value
from shredfinder.catalogs import get_catalog_preset, query_candidates
from shredfinder.config import conf
from shredfinder.cuts import candidate_cut
from shredfinder.exceptions import ServiceError, ShredfinderWarning
from shredfinder.imaging.resampling import make_wcs
from shredfinder.pipeline.steps import StepFolder
from shredfinder.plotting import FieldPanel, FieldView
from shredfinder.surveys import LEGACY, SDSS
from shredfinder.table import add_p_cnn
from shredfinder.table.scoring import ScoreOptions, make_fetcher, open_cutouts

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord
    from astropy.units import Quantity
    from astropy.wcs import WCS

    from shredfinder.cutouts import CutoutFetcher, CutoutService
    from shredfinder.cuts import CutPreset
    from shredfinder.imaging import Cutouts
    from shredfinder.models.scorer import ImageScorer
    from shredfinder.table import ShredTable

__all__ = ["choose_galleries", "make_field_view"]

# The paper's figure 1 is 512 px wide at the native 0.262 arcsec.
_PAPER_PIXELS = 512
# Wider fields get coarser pixels, to keep the image this small.
_MAX_PIXELS = 1024
# Examples per class, as in the paper's figure 4.
_N_EXAMPLES = 15


def make_field_view(
    center: SkyCoord,
    classifier: ImageScorer,
    *,
    width: float | Quantity | None = None,
    name: str = "",
    cuts: str | CutPreset = "paper",
    service: str | CutoutService | CutoutFetcher | None = None,
    query: dict[str, Any] | None = None,
    steps: StepFolder | None = None,
    **scoring: Any,
) -> FieldView:
    """Fetch an image of a field and the catalogued sources in it, before and after cuts.

    Parameters
    ----------
    center : `~astropy.coordinates.SkyCoord`
        Centre of the field.
    classifier : ShredClassifier
        Scores the sources that pass the cuts.
    width : `~astropy.units.Quantity` or float, optional
        Width and height of the field; a plain number is in arcsec. By default 134 arcsec, as in
        the paper's figure 1.
    name : str, optional
        Name of the object at the centre.
    cuts : str or CutPreset, optional
        Cuts applied in the second and third panel.
    service : str, CutoutService or CutoutFetcher, optional
        Where images are fetched from, as for `~shredfinder.add_p_cnn`.
    query : dict, optional
        Further arguments of `~shredfinder.catalogs.query_candidates`.
    steps : StepFolder, optional
        Folder that keeps the tables.
    **scoring
        Further arguments of `~shredfinder.add_p_cnn`.

    Returns
    -------
    view : FieldView
        The image, and three panels: all Legacy sources, those that pass the Legacy cuts, and those
        that pass the SDSS cuts. A panel whose service failed has a note.

    Warns
    -----
    ShredfinderWarning
        If a service fails.

    Raises
    ------
    ValueError
        If the width is not above 0 and at most 1 degree.

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
    query = dict(query or {})
    fetcher = make_fetcher(classifier, service)
    steps = steps or StepFolder(None)
    image, wcs, note = _fetch_image(center, width, fetcher)
    side = np.array(image.shape[:2]) * _pixel_scale(wcs)
    # Services take circles: query the one around the square, then drop sources outside the square.
    radius = float(np.hypot(*side) / 2) * u.arcsec
    # The settings that decide whether a stored table is reused.
    where = {"ra": center.icrs.ra.deg, "dec": center.icrs.dec.deg, "arcsec": radius.value}

    def query_field(survey: str, label: str, **options: Any) -> tuple[Table, str]:
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
        except (ServiceError, KeyError) as error:
            message = " ".join(str(error).split())
            warnings.warn(f"the field view lacks {survey}: {message}", ShredfinderWarning)
            return Table(
                names=("ra", "dec"), dtype=(float, float)
            ), "no response from the catalogue"
        return table[_inside(table, wcs, image.shape)], ""

    everything, note_legacy = query_field(LEGACY.name, "field-all", cuts=None, columns="all")
    legacy, criteria = everything, Table()
    # Cuts are applied here, to count what each criterion removes.
    if len(everything):
        result = candidate_cut(everything, LEGACY.name, preset=cuts)
        legacy, criteria = everything[result.passed], result.summary()
    sdss, note_sdss = query_field(SDSS.name, "field-sdss", cuts=cuts)
    # Outside the SDSS footprint its table is empty, which is not a failure.
    for table in (legacy, sdss):
        if len(table):
            add_p_cnn(table, classifier, service=fetcher, progress=False, **scoring)
    panels = [
        FieldPanel("Legacy DR9, all sources", everything["ra", "dec"], note_legacy),
        FieldPanel("Legacy DR9, cut", legacy, note_legacy),
        FieldPanel("SDSS DR17, cut", sdss, note_sdss),
    ]
    size = classifier.size_[0] * classifier.pixel_scale_ * u.arcsec
    return FieldView(image, wcs, panels, center, name, size, criteria, note)


def _fetch_image(
    center: SkyCoord, width: float | Quantity | None, fetcher: CutoutFetcher
) -> tuple[np.ndarray, WCS, str]:
    """Fetch a colour image; where that fails, return a dark one and a note that says why."""
    native = LEGACY.native_pixel_scale
    arcsec = _PAPER_PIXELS * native if width is None else to_value(width, "width", u.arcsec)
    if not 0 < arcsec <= 3600:
        raise ValueError(f"the field width must be above 0 and at most 1 degree: got {width}")
    # At most the native resolution, at least 64 px.
    n_pixels = int(np.clip(round(arcsec / native), 64, _MAX_PIXELS))
    scale = arcsec / n_pixels
    fetcher = replace(fetcher, size=n_pixels, pixel_scale=scale)
    cutouts = fetcher.fetch(center.reshape(1), progress=False)
    note = ""
    image = cutouts.images[0]
    if not cutouts.good[0] or image.shape[-1] != 3:
        note = f"no image of the field ({cutouts.flags[0] or 'not in colour'})"
        # The viewer's colour of blank sky.
        image = np.full((n_pixels, n_pixels, 3), 32, dtype=np.uint8)
    # Cutouts begin with the northernmost row, FITS images with the southernmost.
    return np.ascontiguousarray(image[::-1]), make_wcs(center, n_pixels, scale), note


def _pixel_scale(wcs: WCS) -> float:
    return float(wcs.wcs.cdelt[1]) * 3600


def _inside(table: Table, wcs: WCS, shape: tuple[int, ...]) -> np.ndarray:
    x, y = wcs.wcs_world2pix(np.asarray(table["ra"]), np.asarray(table["dec"]), 0)
    return (x > -0.5) & (y > -0.5) & (x < shape[1] - 0.5) & (y < shape[0] - 0.5)


def choose_galleries(
    tables: dict[str, ShredTable],
    classifier: ImageScorer,
    images: dict[str, Any],
    *,
    n_examples: int = _N_EXAMPLES,
    random_state: int = 1,
) -> dict[str, tuple[ShredTable, Cutouts]]:
    """Draw random rows from tables, with their cutouts.

    Parameters
    ----------
    tables : dict
        Scored tables by name.
    classifier : ShredClassifier
        The classifier, for the survey and size of the cutouts.
    images : dict
        Source of the cutouts: ``service``, or ``cutouts`` and ``pattern``.
    n_examples : int, optional
        Largest number of rows from each table.
    random_state : int, optional
        Random seed.

    Returns
    -------
    galleries : dict
        Rows, by falling ``p_cnn``, and their `~shredfinder.Cutouts`, by the name of the table.
        Empty tables are left out.
    """
    # Repeatable: the same search gives the same report.
    rng = np.random.default_rng(random_state)
    galleries = {}
    for name, table in tables.items():
        if not len(table):
            continue
        chosen = rng.choice(len(table), min(n_examples, len(table)), replace=False)
        # Highest scores first.
        rows = table[chosen[np.argsort(-np.asarray(table["p_cnn"])[chosen])]]
        if "service" in images:
            found = images["service"].fetch(rows, progress=False)
        else:
            found = open_cutouts(rows, classifier, ScoreOptions(**images))[:]
        galleries[name] = rows, found
    return galleries
