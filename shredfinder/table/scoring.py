"""Scores for the rows of any astropy table."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass, field
from itertools import compress
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from astropy.table import Table

from shredfinder._utils.columns import as_table
from shredfinder._utils.runtime import is_notebook
from shredfinder.exceptions import ShredfinderWarning
from shredfinder.models import check_prior
from shredfinder.models.scorer import ImageScorer
from shredfinder.table.columns import FLAG_NAME, OPTIONAL_NAMES, check_columns, write_columns
from shredfinder.table.extinction import describe_ebv, find_ebv, read_ebv
from shredfinder.table.patterns import PatternFiles, warn_of_names
from shredfinder.table.summaries import summarize_scores, warn_unscored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from astropy.coordinates import SkyCoord
    from astropy.units import Quantity
    from numpy.typing import ArrayLike

    from shredfinder._utils.validation import PathLike
    from shredfinder.cutouts import CutoutFetcher, CutoutService, CutoutStream
    from shredfinder.imaging import Cutouts
    from shredfinder.imaging.cutouts import CutoutSequence, Images

__all__ = [
    "ScoreOptions",
    "add_p_cnn",
    "load_classifier",
    "make_fetcher",
    "open_cutouts",
    "open_service",
]


@dataclass(frozen=True)
class ScoreOptions:
    """How rows are scored: the options of `add_p_cnn`, `classify_catalogue` and LSDB's `add_p_cnn`.

    Attributes
    ----------
    cutouts, pattern, position, service, prior, pixel_scale, bands
        As for `add_p_cnn`.
    ebv, allow_other_colors, replace_columns, std, novelty, other, robust
        As for `add_p_cnn`.
    optional_names : tuple of str
        The optional columns that are requested.
    scoring : dict
        The arguments of `ImageScorer.score_images`.

    Raises
    ------
    ValueError
        If the prior is invalid, or options for given and for fetched cutouts are mixed.
    """

    cutouts: Images | PathLike | None = None
    pattern: str | None = None
    position: str | tuple[str, str] | SkyCoord | None = None
    service: str | CutoutService | CutoutFetcher | None = None
    prior: float | Literal["estimate"] | None = None
    pixel_scale: float | Quantity | None = None
    bands: Sequence[str] | None = None
    ebv: str | ArrayLike | None = None
    allow_other_colors: bool = False
    replace_columns: bool = False
    std: bool = False
    novelty: bool = False
    other: bool = False
    robust: bool = False
    optional_names: tuple[str, ...] = field(init=False)
    scoring: dict[str, Any] = field(init=False)

    def __post_init__(self):
        if self.prior is not None:
            check_prior(self.prior, words=("estimate",))
        if self.cutouts is None:
            if any(value is not None for value in (self.pattern, self.pixel_scale, self.bands)):
                raise ValueError(
                    "pattern, pixel_scale and bands describe given cutouts, but cutouts is None: "
                    "give a folder, files or an array as cutouts="
                )
        elif self.service is not None:
            raise ValueError(
                "got both cutouts and service: leave out service=, which says where cutouts are "
                "fetched from, or cutouts="
            )
        elif self.pattern is not None and not isinstance(self.cutouts, (str, os.PathLike)):
            raise ValueError(
                f"pattern needs a folder of cutouts, got {type(self.cutouts).__name__}: give the "
                "folder as cutouts="
            )
        # In the order in which the columns are written.
        requested = (self.std, self.novelty, self.other, self.robust)
        names = tuple(compress(OPTIONAL_NAMES, requested))
        # The dataclass is frozen, also for its own __post_init__.
        object.__setattr__(self, "optional_names", names)
        arguments = ("pixel_scale", "bands", "allow_other_colors")
        arguments += ("std", "novelty", "other", "robust")
        scoring = {name: getattr(self, name) for name in arguments}
        object.__setattr__(self, "scoring", scoring)


def add_p_cnn(
    table: Table,
    classifier: ImageScorer | PathLike | None = None,
    cutouts: Images | PathLike | None = None,
    *,
    pattern: str | None = None,
    position: str | tuple[str, str] | SkyCoord | None = None,
    service: str | CutoutService | CutoutFetcher | None = None,
    prior: float | Literal["estimate"] | None = None,
    pixel_scale: float | Quantity | None = None,
    bands: Sequence[str] | None = None,
    ebv: str | ArrayLike | None = None,
    allow_other_colors: bool = False,
    replace_columns: bool = False,
    std: bool = False,
    novelty: bool = False,
    other: bool = False,
    robust: bool = False,
    progress: bool | Literal["auto"] = "auto",
) -> None:
    """Add to a table the probability that each row is a shred.

    The table is changed in place: the columns ``p_cnn`` and ``p_cnn_flag`` are added or replaced.
    All rows stay, in their order. After an error or an interrupt the table is unchanged.

    Parameters
    ----------
    table : `~astropy.table.Table` or `pandas.DataFrame`
        Catalogue of ``n`` rows.
    classifier : ShredClassifier, ShredEnsemble or path-like, optional
        A fitted or loaded classifier, a model file, ``"robust"`` or ``"int8"``; by default the
        embedded model.
    cutouts : Cutouts, `~numpy.ndarray`, sequence of path-like, or path-like, optional
        Images of the rows, in their order: a `~shredfinder.Cutouts` object; an array of shape
        ``(n, height, width, bands)``, uint8 or float in 0–1; ``n`` paths of image files, None for
        a row without one; or a folder, with ``pattern``. Files are read batch by batch. By
        default cutouts are fetched by position.
    pattern : str, optional
        Name of each row's file within the folder, with columns in braces, by default
        ``"{objID}.png"``; case is ignored in names of columns.
    position : str, tuple of str or `~astropy.coordinates.SkyCoord`, optional
        Positions of the sources, to fetch cutouts (see `~shredfinder.table.get_positions`); by
        default found in the table.
    service : str, CutoutService or CutoutFetcher, optional
        Where cutouts are fetched from: the name of a service such as ``"ps1"``, a service, or a
        configured `~shredfinder.cutouts.CutoutFetcher`. By default ``shredfinder.conf.service``,
        otherwise the service of the model's survey.
    prior : float or "estimate", optional
        Fraction of shreds in the catalogue, in 0–1 exclusive, for which probabilities are
        corrected; ``"estimate"`` estimates it from the scores, of which it needs at least
        300. By default ``p_cnn`` assumes the training set's 38 % shred fraction, which is far
        higher than in a catalogue.
    pixel_scale : float or `~astropy.units.Quantity`, optional
        Pixel scale of arrays and files in arcsec per pixel, by default the model's.
    bands : sequence of str, optional
        Bands of arrays and files, by default the model's.
    ebv : str, float or array_like, optional
        E(B−V) of Schlegel, Finkbeiner & Davis (1998) in mag, for which the images are corrected:
        the name of a column, one value, or ``n`` values. By default the column ``ebv``, if there
        is one; 0 leaves all images as they are. Without the correction, more shreds are missed
        where E(B−V) is above 0.1 mag.
    allow_other_colors : bool, optional
        Score images with other colours than the training images, and flag them.
    replace_columns : bool, optional
        Replace columns of these names that shredfinder did not write. Its own earlier columns are
        always replaced.
    std : bool, optional
        Add ``p_cnn_std``, the standard deviation over the 8 rotations and reflections. It takes 8
        forward passes per source.
    novelty : bool, optional
        Add ``p_cnn_novelty``, above 1 for images unlike the training set. See
        `~shredfinder.ShredClassifier.predict_details` for both.
    other : bool, optional
        Add ``p_other``, the probability that the source is a star, an artefact or blank sky.
    robust : bool, optional
        Add ``p_cnn_robust``, the score of the model for poorer images. Inspect sources on which the
        two models disagree.
    progress : bool or "auto", optional
        Show a progress bar; ``"auto"`` shows it on a terminal and in a notebook. In a notebook, a
        line with the numbers of scored sources, shreds and unscored sources follows.

    Raises
    ------
    TypeError
        If ``table`` is not a table.
    ValueError
        If the numbers of cutouts and rows differ, a pattern, position or prior is invalid, or a
        column of other origin would be replaced.
    FileNotFoundError, NotADirectoryError
        If the folder of cutouts does not exist.
    shredfinder.exceptions.CutoutMismatchError
        If the images differ from the model's in size, scale, bands or colours.

    Warns
    -----
    shredfinder.exceptions.ShredfinderWarning
        If there are no rows or none is scored, if several rows have the same image file or have
        none, if a service is down, or if a prior is estimated from fewer than 300
        scores.

    See Also
    --------
    ShredTable : a table that keeps its scores valid through joins and files.

    Notes
    -----
    ``p_cnn`` is float32 and NaN for unscored rows. ``p_cnn_flag`` gives the reason (a
    `~shredfinder.imaging.CutoutFlag` value) and is empty for scored rows. Comparisons with NaN are
    false, so unscored rows are never selected, neither by ``table["p_cnn"] < 0.5`` nor by
    ``>= 0.5``. The columns' ``meta["shredfinder"]`` holds the name, version and hash of the model,
    ``prior`` (None: that of the training set) and ``prior_source`` (``"training set"``, ``"given"``
    or ``"estimate"``), ``prior_error`` of an estimate (`~shredfinder.models.estimate_prior`), and
    ``ebv``, if images were corrected for extinction.

    A `~shredfinder.ShredTable` shows ``p_cnn`` with three digits (format ``.3f``) and writes all of
    them. The column of a plain table has no format, since astropy would also write three digits to
    CSV and ECSV files.

    Plain tables do not keep unscored rows NaN through every operation: outer joins and stacks
    mask missing rows, and VOTable and FITS files return NaN as masked values, below which other
    numbers may appear. Use `~shredfinder.ShredTable`, or convert: ``ShredTable(joined)``.

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
    frame = None
    source: Cutouts | CutoutSequence
    if not isinstance(table, Table):
        if not _is_dataframe(table):
            raise TypeError(
                "table must be an astropy Table or a pandas DataFrame, got "
                f"{type(table).__name__}: create one with astropy.table.Table(...)"
            )
        frame, table = table, _from_dataframe(table)
    options = ScoreOptions(
        cutouts=cutouts,
        pattern=pattern,
        position=position,
        service=service,
        prior=prior,
        pixel_scale=pixel_scale,
        bands=bands,
        ebv=ebv,
        allow_other_colors=allow_other_colors,
        replace_columns=replace_columns,
        std=std,
        novelty=novelty,
        other=other,
        robust=robust,
    )
    if not len(table):
        warnings.warn("the table has no rows: nothing is scored", ShredfinderWarning, stacklevel=2)
    # Before anything is fetched or scored, which may take hours.
    check_columns(table, replace_columns, options.optional_names)
    if not isinstance(classifier, ImageScorer):
        classifier = load_classifier(classifier)
    found = find_ebv(table, ebv, classifier.model_.description)
    reddening = read_ebv([table], found, len(table))
    if cutouts is None:
        source, order = open_service(table, classifier, options)
        sorted_ebv = None if reddening is None else reddening[order]
        with source:
            scores = classifier.score_images(
                source, ebv=sorted_ebv, progress=progress, **options.scoring
            )
        # The stream followed the order on the sky; back to the order of the rows.
        scores = scores.reorder(order)
    else:
        source = open_cutouts(table, classifier, options)
        files = getattr(source, "paths", None)
        if isinstance(files, PatternFiles):
            warn_of_names([files], files.names)
        scores = classifier.score_images(
            source, ebv=reddening, progress=progress, **options.scoring
        )
    fraction = scores.estimate_prior() if prior == "estimate" else prior
    columns = scores.at_prior(fraction)
    write_columns(table, columns, classifier.model_.provenance | describe_ebv(found), fraction)
    if len(table) and not np.isfinite(scores.p_cnn).any():
        warn_unscored(table[FLAG_NAME], source)
    if progress and is_notebook():
        print("; ".join(summarize_scores(table)))  # noqa: T201
    if frame is not None:
        for name in OPTIONAL_NAMES:
            # write_columns removed outdated optional columns from the table: do so in the frame.
            if name in frame and name not in table.colnames:
                del frame[name]
        for name in columns:
            frame[name] = np.asarray(table[name])


def load_classifier(classifier: ImageScorer | PathLike | None) -> ImageScorer:
    """Return a classifier; load the model of a path, or the embedded model for None."""
    if classifier is None or isinstance(classifier, (str, os.PathLike)):
        from shredfinder.classifier import ShredClassifier

        return ShredClassifier.load(classifier)
    if not isinstance(classifier, ImageScorer):
        raise TypeError(
            "classifier must be a ShredClassifier, a ShredEnsemble or the path of a model file, "
            f"got {type(classifier).__name__}"
        )
    return classifier


def open_cutouts(
    table: Table, classifier: ImageScorer, options: ScoreOptions
) -> Cutouts | CutoutSequence:
    """Convert given cutouts of any kind to a sequence with one cutout per row.

    Parameters
    ----------
    table : `~astropy.table.Table`
        Table of ``n`` rows.
    classifier : ShredClassifier or ShredEnsemble
        Its model gives size, scale and bands of arrays and files.
    options : ScoreOptions
        Cutouts, pattern, pixel scale and bands.

    Returns
    -------
    source : Cutouts or CutoutSequence
        Cutouts of the ``n`` rows; files are not yet read.

    Raises
    ------
    ValueError, FileNotFoundError, NotADirectoryError
        If the input is not supported, its length is not ``n``, or the folder does not exist.
    """
    images: Any = options.cutouts
    if isinstance(images, (str, os.PathLike)):
        images = PatternFiles(table, images, options.pattern)
    source = classifier.open_images(images, pixel_scale=options.pixel_scale, bands=options.bands)
    if len(source) != len(table):
        raise ValueError(
            f"the table has {len(table)} rows, got {len(source)} cutouts: give one per row, in the "
            "order of the rows, and None for a row without a file"
        )
    return source


def open_service(
    table: Table, classifier: ImageScorer, options: ScoreOptions
) -> tuple[CutoutStream, np.ndarray]:
    """Open a stream of the cutouts of a table's rows, neighbours next to each other.

    Parameters
    ----------
    table : `~astropy.table.Table`
        Table of ``n`` rows.
    classifier : ShredClassifier or ShredEnsemble
        Its model gives the size, scale and survey of the cutouts.
    options : ScoreOptions
        Position and service.

    Returns
    -------
    stream : CutoutStream
        The cutouts, fetched on demand.
    order : `~numpy.ndarray` of int
        Row of each cutout, shape ``(n,)``. Neighbours on the sky follow each other, so that they
        can share an image.
    """
    from shredfinder._utils.positions import get_positions

    coords = get_positions(table, options.position)
    fetcher = make_fetcher(classifier, options.service)
    order = fetcher.order(coords)
    # The scorer shows the progress bar: a second one would only repeat it.
    return fetcher.stream(coords[order], progress=False), order


def make_fetcher(
    classifier: ImageScorer, service: str | CutoutService | CutoutFetcher | None
) -> CutoutFetcher:
    """Return a fetcher of cutouts for a model.

    Parameters
    ----------
    classifier : ShredClassifier or ShredEnsemble
        Its model gives the size, scale and survey of the cutouts.
    service : str, CutoutService, CutoutFetcher or None
        As for `~shredfinder.add_p_cnn`.

    Returns
    -------
    fetcher : CutoutFetcher
        The fetcher, with all open options filled in.
    """
    from shredfinder.cutouts import CutoutFetcher

    fetcher = service if isinstance(service, CutoutFetcher) else CutoutFetcher(service)
    images = classifier.model_.description
    return fetcher.with_defaults(
        size=images.size[0], pixel_scale=images.pixel_scale, survey=classifier.survey
    )


def _from_dataframe(frame):
    # Columns with numbers for names cannot be found by users' options, and astropy needs strings.
    names = [name for name in frame.columns if isinstance(name, str)]
    if len(set(names)) < len(names):
        double = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the DataFrame has several columns {double!r}: rename all but one")
    return as_table(frame[names])


def _is_dataframe(table):
    # By name, so that pandas need not be installed or imported.
    return type(table).__module__.partition(".")[0] == "pandas" and hasattr(table, "columns")
