"""Catalogue files of any length, scored from file to file."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from shredfinder._utils.positions import find_position, get_positions
from shredfinder._utils.runtime import progress_bar
from shredfinder._utils.validation import check_count
from shredfinder.bulk.state import RunState, Scores
from shredfinder.bulk.stores import open_store
from shredfinder.imaging import CutoutSequence
from shredfinder.models.priors import apply_prior, check_prior
from shredfinder.models.scorer import summarize_extras
from shredfinder.table.columns import check_columns, name_extras
from shredfinder.table.patterns import PatternFiles
from shredfinder.table.sources import complete_options, open_cutouts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from astropy.coordinates import SkyCoord
    from astropy.units import Quantity

    from shredfinder._utils.types import PathLike
    from shredfinder.classifier import ShredClassifier
    from shredfinder.table.tables import ShredTable

__all__ = ["ScoredCatalogue", "classify_catalogue", "get_state_folder"]

# Rows of a chunk: some ten seconds of local images, some minutes of a service's.
_LOCAL_CHUNK, _REMOTE_CHUNK = 16_384, 1_024
# Cutouts that are taken from local images at a time.
_LOCAL_PART = 128


@dataclass
class ScoredCatalogue:
    """What was written: for a summary, without the catalogue's own columns.

    Attributes
    ----------
    template : ShredTable
        At most one of the catalogue's rows, as it was.
    p_cnn : `~numpy.ndarray` of float32
        Probabilities, of shape ``(n,)``; NaN where there is no answer.
    p_cnn_flag : `~numpy.ndarray` of object
        Reasons why there is none, of shape ``(n,)``.
    extras : dict of `~numpy.ndarray`
        The columns on request by name.

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
    extras: dict = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.p_cnn)

    def __getitem__(self, name: str) -> Any:
        return ({"p_cnn": self.p_cnn, "p_cnn_flag": self.p_cnn_flag} | self.extras)[name]


def get_state_folder(output: PathLike) -> Path:
    """Tell where an unfinished run keeps its scores.

    Parameters
    ----------
    output : path-like
        The file that the run is to write.

    Returns
    -------
    folder : `~pathlib.Path`
        A folder beside it; there is none unless a run was interrupted.

    Examples
    --------
    >>> from shredfinder.bulk import get_state_folder
    >>> get_state_folder("scored.fits").name
    'scored.fits.state'
    """
    output = Path(output)
    return output.with_name(f"{output.name}.state")


def classify_catalogue(
    catalogue: PathLike,
    output: PathLike,
    classifier: ShredClassifier | None = None,
    cutouts: PathLike | None = None,
    *,
    table: int | str | None = None,
    pattern: str | None = None,
    position: str | tuple[str, str] | SkyCoord | None = None,
    prior: float | Literal["estimate"] | None = None,
    pixel_scale: float | Quantity | None = None,
    bands: Sequence[str] | None = None,
    allow_other_colors: bool = False,
    replace_columns: bool = False,
    progress: bool | Literal["auto"] = "auto",
    fetch: dict[str, Any] | None = None,
    overwrite: bool = False,
    resume: bool = False,
    chunk_size: int | None = None,
    std: bool = False,
    novelty: bool = False,
) -> ScoredCatalogue:
    """Score a catalogue file and write it, with the two new columns, to another.

    Rows are scored chunk by chunk, and what is scored is kept beside the output until that is
    written: a run that was interrupted can go on. From FITS to FITS and from Parquet to Parquet
    the rows are copied part by part, so that memory hardly grows with the catalogue: some ten
    bytes a row, sixty more where cutouts are taken by position, and fifty more with ``std``.
    Other formats are held in memory whole.

    Parameters
    ----------
    catalogue : path-like
        Table of any format that astropy reads, of ``n`` rows.
    output : path-like
        The file to be written, its format by the extension, whole or not at all.
    classifier : ShredClassifier, optional
        A fitted or loaded classifier; by default the model that comes with the package.
    cutouts : path-like, optional
        Folder of image files, with ``pattern``. By default cutouts are taken by position, as
        ``fetch`` says, in an order in which neighbours follow one another.
    table : int or str, optional
        Which of the file's tables, where it holds several, as for
        `~shredfinder.table.read_catalogue`; such a file is held in memory whole.
    pattern, position, prior, pixel_scale, bands, allow_other_colors, progress, fetch
        As for `~shredfinder.add_p_cnn`.
    replace_columns : bool, optional
        Replace columns ``p_cnn`` and ``p_cnn_flag`` that shredfinder did not write.
    overwrite : bool, optional
        Replace the output if it exists, and the state of an interrupted run.
    resume : bool, optional
        Go on with an interrupted run where there is one.
    chunk_size : int, optional
        Rows that are scored, and kept, at a time; by default 16,384, or 1,024 from a remote
        service.
    std, novelty : bool, optional
        Write the columns ``p_cnn_std`` and ``p_cnn_novelty`` too, as `~shredfinder.add_p_cnn` does.

    Returns
    -------
    scored : ScoredCatalogue
        The scores of all rows.

    Raises
    ------
    FileExistsError
        If the output, or the state of an interrupted run, exists.
    ValueError
        If an argument is not valid, or an interrupted run differs from this one.

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
    if output.exists() and not overwrite:
        raise FileExistsError(f"the output {str(output)!r} exists: give overwrite=True")
    if prior is not None:
        check_prior(prior, words=("estimate",))
    store = open_store(catalogue, output, table)
    extras = name_extras(std, novelty)
    check_columns(store.template, replace_columns, extras)
    if classifier is None:
        from shredfinder.classifier import ShredClassifier

        classifier = ShredClassifier.load()
    # What is kept of each row is not corrected for a prior, which only the whole may tell.
    shapes: dict[str, tuple[int, ...]] = {"views": (classifier.model_.n_views,)} if std else {}
    shapes |= {"novelty": ()} if novelty else {}
    given = {"pixel_scale": pixel_scale, "bands": bands}
    kind: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    if cutouts is None:
        if pattern is not None or kind:
            raise ValueError(
                "pattern, pixel_scale and bands go with a folder of cutouts: give it as cutouts="
            )
        images: _Service | _Folder = _Service(store, classifier, position, fetch or {})
    elif fetch is not None:
        raise ValueError("fetch says how cutouts are fetched, but a folder was given as cutouts=")
    else:
        images = _Folder(store, classifier, cutouts, pattern, kind)
    with images:
        check_count(chunk_size, "chunk_size")
        size = chunk_size or images.chunk_size
        run = {
            "catalogue": _describe_file(catalogue),
            "table": table,
            "rows": store.n_rows,
            "model": classifier.provenance,
            "images": images.description,
            "allow_other_colors": allow_other_colors,
            "chunk_size": size,
        }
        if extras:
            run["extras"] = extras
        state = RunState(get_state_folder(output), run)
        state.start(resume=resume, overwrite=overwrite)
        scores = Scores(store.n_rows, shapes)
        with progress_bar(
            total=store.n_rows, progress=progress, desc="scoring", unit="source"
        ) as bar:
            for index, start in enumerate(range(0, max(store.n_rows, 1), size)):
                stop = min(start + size, store.n_rows)
                done = state.read(index, stop - start, shapes) if resume else None
                if done is None:
                    source = _Counted(images.open(start, stop), bar)
                    options = {"allow_other_colors": allow_other_colors} | kind
                    if extras:
                        done = classifier.score_images(source, std=std, novelty=novelty, **options)
                    else:
                        done = classifier.predict_p_cnn(source, **options)
                    # The last chunk's need not wait on disk for the output.
                    if stop < store.n_rows:
                        state.write(index, *done)
                else:
                    bar.update(stop - start)
                scores.put(images.rows(start, stop), *done)
    trained = classifier.model_.description.training_prior
    found = summarize_extras(scores.p_cnn, scores.more, prior, trained)
    scores.p_cnn[:] = apply_prior(scores.p_cnn, prior, trained)

    def get_columns(start, stop):
        more = [found[name][start:stop] for name in extras]
        return scores.p_cnn[start:stop], scores.get_flags(start, stop), *more

    store.write(output, get_columns, classifier.provenance, prior, extras)
    state.remove()
    return ScoredCatalogue(store.template, scores.p_cnn, scores.get_flags(), found)


class _Folder:
    """Images in a folder, in the order of the rows."""

    chunk_size = _LOCAL_CHUNK

    def __init__(self, store, classifier, folder, pattern, kind):
        if not isinstance(folder, (str, os.PathLike)):
            raise ValueError(
                f"cutouts must be a folder, not a {type(folder).__name__}: for images in memory "
                "read the catalogue as a ShredTable and use its add_p_cnn"
            )
        self._store, self._classifier = store, classifier
        self._folder, self._pattern, self._kind = folder, pattern, kind
        self._names = PatternFiles(store.template, folder, pattern).names
        self.description = {"folder": os.path.abspath(folder), "pattern": pattern}
        self.description |= {key: str(value) for key, value in kind.items()}

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pass

    def open(self, start, stop):
        table = self._store.read(start, stop, self._names)
        return open_cutouts(
            table, self._classifier, self._folder, pattern=self._pattern, **self._kind
        )

    def rows(self, start, stop):
        return slice(start, stop)


class _Service:
    """Images by position, in an order in which neighbours follow one another."""

    def __init__(self, store, classifier, position, fetch):
        from shredfinder.cutouts import CutoutService, CutoutStream, get_service, sky_order

        coords = _read_positions(store, position)
        self._order = sky_order(coords)
        options = complete_options(classifier, fetch)
        names = ("service", "layer", "base_url", "size", "pixel_scale", "group")
        self.description = {key: str(options[key]) for key in names if key in options}
        self.description["position"] = str(position)
        asked = {key: options.pop(key) for key in ("layer", "base_url") if key in options}
        given = options.pop("service")
        self._service = get_service(given, **asked)
        self._owns_service = not isinstance(given, CutoutService)
        if self._service.remote:
            self.chunk_size = _REMOTE_CHUNK
        else:
            self.chunk_size = _LOCAL_CHUNK
            # Small parts, so that scoring begins soon after cutting and ends soon after it.
            options.setdefault("chunk", _LOCAL_PART)
        self._stream = CutoutStream(coords[self._order], service=self._service, **options)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._stream.close()
        if self._owns_service:
            self._service.close()

    def open(self, start, stop):
        return _Window(self._stream, start, stop)

    def rows(self, start, stop):
        return self._order[start:stop]


def _read_positions(store, position):
    """Read the positions of all rows, which take little memory, part by part."""
    from astropy.coordinates import SkyCoord

    if isinstance(position, SkyCoord):
        if position.shape != (store.n_rows,):
            raise ValueError(
                f"position holds coordinates of shape {position.shape}, but the catalogue has "
                f"{store.n_rows} rows: give one for each"
            )
        return position
    position = find_position(store.template) if position is None else position
    names = [position] if isinstance(position, str) else list(position)
    get_positions(store.template, position)
    ra, dec = np.empty((2, store.n_rows))
    for start in range(0, store.n_rows, _LOCAL_CHUNK):
        rows = slice(start, min(start + _LOCAL_CHUNK, store.n_rows))
        part = get_positions(store.read(rows.start, rows.stop, names), position)
        ra[rows], dec[rows] = part.ra.deg, part.dec.deg
    return SkyCoord(ra, dec, unit="deg")


class _Window(CutoutSequence):
    """Some consecutive cutouts of a stream."""

    def __init__(self, stream, start, stop):
        self._stream, self._start, self._n = stream, start, stop - start

    def __len__(self):
        return self._n

    def __getitem__(self, rows):
        start, stop, _ = rows.indices(self._n)
        return self._stream[self._start + start : self._start + stop]


class _Counted(CutoutSequence):
    """A sequence that moves a progress bar on as it is read."""

    def __init__(self, source, bar):
        self._source, self._bar = source, bar
        self.concurrent = source.concurrent

    def __len__(self):
        return len(self._source)

    def __getitem__(self, rows):
        cutouts = self._source[rows]
        self._bar.update(len(cutouts))
        return cutouts


def _describe_file(path):
    facts = os.stat(path)
    return {"path": os.path.abspath(path), "bytes": facts.st_size, "modified": facts.st_mtime_ns}
