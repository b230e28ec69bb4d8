"""Scores for the rows of any astropy table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from astropy.table import Table

from shredfinder.models.priors import check_prior
from shredfinder.table.columns import (
    FLAG_NAME,
    NOVELTY_NAME,
    P_NAME,
    STD_NAME,
    check_columns,
    name_extras,
    write_columns,
)
from shredfinder.table.sources import open_cutouts, open_service

if TYPE_CHECKING:
    from collections.abc import Sequence

    from astropy.coordinates import SkyCoord
    from astropy.units import Quantity

    from shredfinder._utils.types import PathLike
    from shredfinder.classifier import ShredClassifier
    from shredfinder.imaging.cutouts import Images

__all__ = ["add_p_cnn", "check_prior"]


def add_p_cnn(
    table: Table,
    classifier: ShredClassifier | None = None,
    cutouts: Images | PathLike | None = None,
    *,
    pattern: str | None = None,
    position: str | tuple[str, str] | SkyCoord | None = None,
    prior: float | Literal["estimate"] | None = None,
    pixel_scale: float | Quantity | None = None,
    bands: Sequence[str] | None = None,
    allow_other_colors: bool = False,
    overwrite: bool = False,
    progress: bool | Literal["auto"] = "auto",
    fetch: dict[str, Any] | None = None,
    std: bool = False,
    novelty: bool = False,
) -> None:
    """Add to a table the probability of each row of being a shred.

    The table is changed in place: it gets the columns ``p_cnn`` and ``p_cnn_flag``, or new values
    in them. All rows stay, in their order. If anything goes wrong, or the work is interrupted,
    the table stays as it was.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The catalogue, of ``n`` rows.
    classifier : ShredClassifier, optional
        A fitted or loaded classifier; by default the model that comes with the package.
    cutouts : Cutouts, `~numpy.ndarray`, sequence of path-like, or path-like, optional
        Images of the rows, in their order: a `~shredfinder.Cutouts` object; an array of shape
        ``(n, height, width, bands)``, uint8 or float in 0–1; ``n`` paths of image files, None
        where there is none; or a folder, with ``pattern``. Files are read batch by batch. By
        default cutouts are fetched by position, from the service of the model's survey, or
        the one that ``shredfinder.conf.service`` names.
    pattern : str, optional
        Name of each row's file within the folder, with columns in braces: ``"{objID}.png"``.
    position : str, tuple of str or `~astropy.coordinates.SkyCoord`, optional
        Where the sources are, to fetch cutouts by (see `~shredfinder.table.get_positions`); by
        default it is looked for in the table.
    prior : float or "estimate", optional
        Fraction of shreds in the catalogue, in 0–1 exclusive, to correct the probabilities for;
        ``"estimate"`` takes it from the scores. By default the probabilities hold for the mix
        of the training set, which has far more shreds than a catalogue.
    pixel_scale : float or `~astropy.units.Quantity`, optional
        Pixel scale of arrays and files, in arcsec per pixel, where it is not the model's.
    bands : sequence of str, optional
        Bands of arrays and files, where they are not the model's.
    allow_other_colors : bool, optional
        Score images whose colours are not those that the model was trained on, and flag them.
    overwrite : bool, optional
        Replace columns of these names that shredfinder did not write; its own earlier ones are
        always replaced.
    progress : bool or "auto", optional
        Show a progress bar; ``"auto"`` does on a terminal and in a notebook.
    fetch : dict, optional
        How cutouts are fetched: arguments of `~shredfinder.cutouts.fetch_cutouts` such as
        ``service``, ``layer``, ``base_url``, ``cache``, ``rate`` and ``offline``.
    std : bool, optional
        Add ``p_cnn_std``, the spread of the answer over the eight rotations and reflections of
        the image; eight looks at every source take their time.
    novelty : bool, optional
        Add ``p_cnn_novelty``, which is above 1 for images unlike those that the model was trained
        on. Both are as `~shredfinder.ShredClassifier.predict_details` explains them; ``p_cnn``
        stays as it is.

    Raises
    ------
    TypeError
        If ``table`` is no astropy table.
    ValueError
        If cutouts and rows differ in number, a pattern, position or prior is not valid, or a
        column of someone else's is in the way.
    FileNotFoundError, NotADirectoryError
        If there is no such folder of cutouts.
    shredfinder.exceptions.CutoutMismatchError
        If the images are not of the model's kind.

    See Also
    --------
    ShredTable : a table that keeps its scores as they are through joins and files.

    Notes
    -----
    ``p_cnn`` is float32, and NaN where there is no answer; ``p_cnn_flag`` says why (a
    `~shredfinder.imaging.CutoutFlag` value) and is empty otherwise. NaN fails every comparison,
    so that neither ``table["p_cnn"] < 0.5`` nor ``>= 0.5`` holds such a row. The columns'
    ``meta`` keeps the model's name, version and hash, and the prior.

    Plain tables keep this promise through one file of any format, but not through everything:
    outer joins and stacks mask the rows that one side lacks, VOTable and FITS give NaN back
    masked, and when a masked column is written once more, other numbers come to stand below the
    mask, by which astropy selects rows. Use `~shredfinder.ShredTable` for these, or make one of
    the result: ``ShredTable(joined)``.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.table import Table
    >>> from shredfinder import add_p_cnn
    >>> images = np.random.default_rng(0).integers(0, 255, (3, 128, 128, 3), dtype=np.uint8)
    >>> images[1] = 32
    >>> table = Table({"objID": [11, 12, 13]})
    >>> add_p_cnn(table, cutouts=images)
    >>> table["p_cnn_flag"].tolist()
    ['', 'blank', '']
    >>> np.isnan(table["p_cnn"]).tolist()
    [False, True, False]
    """
    if not isinstance(table, Table):
        raise TypeError(
            f"add_p_cnn takes an astropy table, not a {type(table).__name__}: make one with "
            "astropy.table.Table(...)"
        )
    if prior is not None:
        check_prior(prior, words=("estimate",))
    extras = name_extras(std, novelty)
    check_columns(table, overwrite, extras)
    if classifier is None:
        from shredfinder.classifier import ShredClassifier

        classifier = ShredClassifier.load()
    given = {"pixel_scale": pixel_scale, "bands": bands}
    kind: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    options: dict[str, Any] = {
        "prior": prior,
        "allow_other_colors": allow_other_colors,
        "progress": progress,
    }
    if cutouts is None:
        if pattern is not None or kind:
            raise ValueError(
                "pattern, pixel_scale and bands go with cutouts that are given, but cutouts is "
                "None: give the folder, files or array as cutouts="
            )
        scores = _score_service(table, classifier, position, fetch or {}, options, extras)
    elif fetch is not None:
        raise ValueError("fetch says how cutouts are fetched, but they were given as cutouts=")
    else:
        source = open_cutouts(table, classifier, cutouts, pattern=pattern, **kind)
        scores = _score(classifier, source, extras, **options, **kind)
    p_cnn, flags, *more = scores
    if np.shape(p_cnn) != (len(table),) or np.shape(flags) != (len(table),):
        raise ValueError(
            f"the classifier gave {np.shape(p_cnn)} scores and {np.shape(flags)} flags for "
            f"{len(table)} rows: one of each was expected for every row"
        )
    more = dict(zip(extras, more, strict=True))
    write_columns(table, p_cnn, flags, classifier.provenance, prior, more)


def _score(classifier, source, extras, **options):
    """Give scores, flags and the columns on request."""
    if not extras:
        return classifier.predict_p_cnn(source, **options)
    wanted = {"std": STD_NAME in extras, "novelty": NOVELTY_NAME in extras}
    details = classifier.predict_details(source, **wanted, **options)
    return [np.asarray(details[name]) for name in (P_NAME, FLAG_NAME, *extras)]


def _score_service(table, classifier, position, fetch, options, extras):
    stream, order = open_service(table, classifier, position, fetch)
    with stream:
        ordered = _score(classifier, stream, extras, **options)
    scores = []
    for values in ordered:
        in_rows = np.empty_like(values)
        in_rows[order] = values
        scores.append(in_rows)
    return scores
