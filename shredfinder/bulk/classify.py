"""Scoring of catalogue files of any length, from file to file."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from shredfinder._utils.runtime import progress_bar
from shredfinder._utils.validation import check_count
from shredfinder.bulk.images import FolderImages, ServiceImages, read_parts
from shredfinder.bulk.state import (
    CompactScores,
    RunState,
    get_state_folder,
    remove_finished,
)
from shredfinder.bulk.stores import open_store
from shredfinder.exceptions import ShredfinderWarning
from shredfinder.imaging import CutoutSequence
from shredfinder.table.columns import check_columns
from shredfinder.table.extinction import check_one_ebv, describe_ebv, find_ebv, read_ebv
from shredfinder.table.patterns import list_exact_names
from shredfinder.table.scoring import ScoreOptions, load_classifier
from shredfinder.table.summaries import warn_unscored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from astropy.coordinates import SkyCoord
    from astropy.units import Quantity

    from shredfinder._utils.validation import PathLike
    from shredfinder.cutouts import CutoutFetcher, CutoutService
    from shredfinder.models.calibration import Scores
    from shredfinder.models.scorer import ImageScorer
    from shredfinder.table.tables import ShredTable

__all__ = ["ScoredCatalogue", "classify_catalogue"]


@dataclass
class ScoredCatalogue:
    """Scores of a catalogue file, without the catalogue's own columns.

    Attributes
    ----------
    template : ShredTable
        At most one row of the catalogue, unscored.
    p_cnn : `~numpy.ndarray` of float32
        Probabilities of shape ``(n,)``; NaN for unscored rows.
    p_cnn_flag : `~numpy.ndarray` of object
        Reasons of shape ``(n,)``.
    optional : dict of `~numpy.ndarray`
        Optional columns by name.
    prior : float or None
        Fraction of shreds that the probabilities assume, a `~shredfinder.models.PriorEstimate` if
        it was estimated; None for that of the training set.
    ebv : str
        Where E(B−V) came from, such as ``"column ebv"``; empty if images were not corrected.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder import ShredTable
    >>> from shredfinder.bulk import ScoredCatalogue
    >>> scored = ScoredCatalogue(ShredTable(), np.array([0.9, np.nan], np.float32), ["", "blank"])
    >>> len(scored), scored["p_cnn_flag"]
    (2, ['', 'blank'])
    """

    template: ShredTable
    p_cnn: np.ndarray
    p_cnn_flag: np.ndarray
    optional: dict[str, np.ndarray] = field(default_factory=dict)
    prior: float | None = None
    ebv: str = ""

    def __len__(self) -> int:
        return len(self.p_cnn)

    def __getitem__(self, name: str) -> np.ndarray:
        return ({"p_cnn": self.p_cnn, "p_cnn_flag": self.p_cnn_flag} | self.optional)[name]


def classify_catalogue(
    catalogue: PathLike,
    output: PathLike,
    classifier: ImageScorer | PathLike | None = None,
    cutouts: PathLike | None = None,
    *,
    table: int | str | None = None,
    pattern: str | None = None,
    position: str | tuple[str, str] | SkyCoord | None = None,
    service: str | CutoutService | CutoutFetcher | None = None,
    prior: float | Literal["estimate"] | None = None,
    pixel_scale: float | Quantity | None = None,
    bands: Sequence[str] | None = None,
    ebv: str | float | None = None,
    allow_other_colors: bool = False,
    replace_columns: bool = False,
    std: bool = False,
    novelty: bool = False,
    other: bool = False,
    robust: bool = False,
    progress: bool | Literal["auto"] = "auto",
    overwrite: bool = False,
    resume: bool = False,
    chunk_size: int | None = None,
    workers: int | None = None,
) -> ScoredCatalogue:
    """Score a catalogue file and write it, with the new columns, to another file.

    Rows are scored chunk by chunk. Finished chunks are stored next to the output until it is
    written, so that an interrupted run can resume. From FITS to FITS and from Parquet to Parquet
    the rows are copied in parts, and memory grows by about ten bytes per row, plus sixty if cutouts
    are taken by position and fifty with ``std``. Other formats are read into memory.

    Parameters
    ----------
    catalogue : path-like
        Table of ``n`` rows, in any format that astropy reads.
    output : path-like
        Output file, written atomically in the format of its extension.
    classifier : ShredClassifier, ShredEnsemble or path-like, optional
        As for `~shredfinder.add_p_cnn`; by default the embedded model.
    cutouts : path-like, optional
        Folder of image files, with ``pattern``. By default cutouts are taken by position,
        neighbours next to each other.
    table : int or str, optional
        Table to read, if the file holds several, as for `~shredfinder.table.read_catalogue`; such
        a file is read into memory.
    pattern, position, service, prior, pixel_scale, bands, allow_other_colors, replace_columns
        As for `~shredfinder.add_p_cnn`.
    ebv : str or float, optional
        Name of the column of E(B−V), or one value, as for `~shredfinder.add_p_cnn`.
    std, novelty, other, robust, progress
        As for `~shredfinder.add_p_cnn`.
    overwrite : bool, optional
        Replace an existing output and the state of an interrupted run.
    resume : bool, optional
        Continue an interrupted run, if there is one.
    workers : int, optional
        Processes that cut local images, as for `~shredfinder.cutouts.LocalImages`; for a service
        given by name.
    chunk_size : int, optional
        Rows per chunk, by default 16,384, or 1,024 for a remote service.

    Returns
    -------
    scored : ScoredCatalogue
        The scores of all rows.

    Raises
    ------
    FileExistsError
        If the output, or the state of an interrupted run, exists.
    ValueError
        If an argument is invalid, or an interrupted run had other settings.

    Warns
    -----
    shredfinder.exceptions.ShredfinderWarning
        If there are no rows or none is scored, or if several rows have the same image file or
        have none; the output is written nevertheless.

    See Also
    --------
    shredfinder.add_p_cnn : the same for a table in memory, and for images of any kind.

    Examples
    --------
    >>> from shredfinder.bulk import classify_catalogue
    >>> scored = classify_catalogue(
    ...     "million.parquet", "scored.parquet", cutouts="cutouts/", pattern="{objID}.png"
    ... )  # doctest: +SKIP
    """
    output = Path(output)
    remove_finished(output)
    if output.exists() and not overwrite:
        raise FileExistsError(
            f"the output {str(output)!r} exists: use overwrite=True to replace it"
        )
    # A folder can be described in the state and compared when a run resumes; an array cannot.
    if not isinstance(cutouts, (str, os.PathLike, type(None))):
        raise ValueError(
            f"cutouts must be a folder, got {type(cutouts).__name__}: for images in memory read "
            "the catalogue as a ShredTable and use its add_p_cnn"
        )
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
    # As for the cutouts: a resumed run must notice other values.
    check_one_ebv(ebv)
    check_count(chunk_size, "chunk_size")
    check_count(workers, "workers")
    if workers is not None and cutouts is not None:
        raise ValueError("workers cut local images, got cutouts=: leave out one of them")
    # Columns, format and permissions are checked before the model is loaded or anything is fetched.
    store = open_store(catalogue, output, table, options.optional_names, list_exact_names(pattern))
    if not store.n_rows:
        warnings.warn(
            f"the catalogue {str(catalogue)!r} has no rows: nothing is scored",
            ShredfinderWarning,
            stacklevel=2,
        )
    check_columns(store.template, replace_columns, options.optional_names)
    classifier = load_classifier(classifier)
    found = find_ebv(store.template, ebv, classifier.model_.description)
    correction = describe_ebv(found)
    images: FolderImages | ServiceImages
    if cutouts is None:
        images = ServiceImages(store, classifier, options, workers)
    else:
        images = FolderImages(store, classifier, options)
    # Scores are stored without a prior, which can be estimated only from all of them.
    shapes: dict[str, tuple[int, ...]] = {"views": (classifier.model_.n_views,)} if std else {}
    shapes |= {"novelty": ()} if novelty else {}
    shapes |= {"other": ()} if other else {}
    shapes |= {"robust": ()} if robust else {}
    scores = CompactScores(store.n_rows, shapes)
    with images:
        size = chunk_size or images.chunk_size
        run = {
            "catalogue": _describe_file(catalogue),
            "table": table,
            "rows": store.n_rows,
            "model": classifier.provenance,
            "images": images.description,
            "allow_other_colors": allow_other_colors,
            "ebv": correction.get("ebv"),
            "chunk_size": size,
            "optional": options.optional_names,
        }
        state = RunState(get_state_folder(output), run, shapes)
        state.start(resume=resume, overwrite=overwrite)
        try:
            # Read as a whole, since the rows are scored in the order of their positions.
            reddening = read_ebv(read_parts(store, [found]), found, store.n_rows)

            def score(source: CutoutSequence, rows: Any) -> Scores:
                known = None if reddening is None else reddening[rows]
                return classifier.score_images(source, ebv=known, **options.scoring)

            _score_chunks(images, score, state, scores, size, resume, progress)
            # Flags are expanded in parts, since text takes far more memory than their codes.
            training_prior = classifier.model_.description.training_prior
            combined = scores.combine(training_prior)
            fraction = combined.estimate_prior() if prior == "estimate" else prior
            columns = combined.at_prior(fraction)
            # `combine` leaves the flags empty; get_columns expands them part by part.
            del columns["p_cnn_flag"]

            def get_columns(start: int, stop: int) -> dict[str, np.ndarray]:
                flags = {"p_cnn_flag": scores.get_flags(start, stop)}
                part = {name: values[start:stop] for name, values in columns.items()}
                # The stores write the values in this order: score, flag, optional columns.
                return {"p_cnn": part.pop("p_cnn")} | flags | part

            provenance = classifier.provenance | correction
            store.write(output, get_columns, provenance, fraction, options.optional_names)
            state.remove()
        finally:
            state.release()
    if store.n_rows and not np.isfinite(scores.p_cnn).any():
        warn_unscored(scores.get_flags(), images.open(0, 1))
    return ScoredCatalogue(
        store.template,
        columns.pop("p_cnn"),
        scores.get_flags(),
        columns,
        fraction,
        correction.get("ebv", ""),
    )


def _score_chunks(images, score, state, scores, size, resume, progress):
    """Score all chunks that the state does not hold yet."""
    n_rows = len(scores.p_cnn)
    with progress_bar(total=n_rows, progress=progress, desc="scoring", unit="source") as bar:
        for index, start in enumerate(range(0, max(n_rows, 1), size)):
            stop = min(start + size, n_rows)
            rows = images.rows(start, stop)
            done = state.read(index, stop - start) if resume else None
            if done is None:
                source = _Counted(images.open(start, stop), bar)
                done = score(source, rows)
                # The last chunk is written to the output at once.
                if stop < n_rows:
                    state.write(index, done)
            else:
                bar.update(stop - start)
            scores.put(rows, done)


class _Counted(CutoutSequence):
    """A sequence that advances a progress bar while it is read."""

    def __init__(self, source, bar):
        self._source, self._bar = source, bar
        # Whether several threads may read the source at once.
        self.concurrent = getattr(source, "concurrent", True)

    def __len__(self):
        return len(self._source)

    def __getitem__(self, rows):
        cutouts = self._source[rows]
        self._bar.update(len(cutouts))
        return cutouts


def _describe_file(path: PathLike) -> dict[str, Any]:
    # Size and time are enough to notice a changed file; a hash would read the catalogue twice.
    facts = os.stat(path)
    return {"path": os.path.abspath(path), "bytes": facts.st_size, "modified": facts.st_mtime_ns}
