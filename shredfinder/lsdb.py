"""Scores for catalogues of any size, on LSDB: HATS partitions, scored by Dask's workers.

Each partition is scored as a table is (see `shredfinder.add_p_cnn`), wherever Dask runs it. What
a worker needs once, the model and the list of local images, it keeps.
"""

from __future__ import annotations

import contextlib
import os
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.table import Table

import shredfinder
from shredfinder._utils.columns import column_from_arrow
from shredfinder._utils.runtime import import_optional
from shredfinder.config import conf
from shredfinder.models.archive import find_model
from shredfinder.models.priors import check_prior
from shredfinder.table.columns import FLAG_NAME, P_NAME, name_extras, to_arrow
from shredfinder.table.patterns import PatternFiles
from shredfinder.table.sources import complete_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from astropy.units import Quantity
    from lsdb.catalog import Catalog

    from shredfinder._utils.types import PathLike

__all__ = ["add_p_cnn", "make_hats_properties"]

_LOCK = threading.Lock()
# What this process keeps for the partitions to come: classifiers, services and turns.
_kept: dict[Any, Any] = {}


@dataclass(frozen=True)
class _Job:
    """What a worker must know to score a partition; small, and the same for all of them."""

    model: str | None
    sha256: str
    folder: str | None
    pattern: str | None
    position: tuple | None
    columns: tuple
    options: dict = field(default_factory=dict)
    fetch: dict = field(default_factory=dict)
    threads: int = 1
    fetching: int = 1


def add_p_cnn(
    catalog: Catalog,
    classifier: PathLike | None = None,
    cutouts: PathLike | None = None,
    *,
    pattern: str | None = None,
    position: tuple[str, str] | None = None,
    prior: float | None = None,
    pixel_scale: float | Quantity | None = None,
    bands: Sequence[str] | None = None,
    allow_other_colors: bool = False,
    overwrite: bool = False,
    fetch: dict[str, Any] | None = None,
    threads: int = 1,
    fetching: int = 1,
    std: bool = False,
    novelty: bool = False,
) -> Catalog:
    """Add to an LSDB catalogue the probability of each row of being a shred.

    Nothing is read or scored yet: the result is as lazy as the catalogue. All rows stay, in their
    partitions and order.

    Parameters
    ----------
    catalog : ``lsdb.catalog.Catalog``
        The catalogue. Its margin, if it has one, is scored as well.
    classifier : path-like, optional
        A model file that every worker can read, or ``"robust"`` as for
        `shredfinder.ShredClassifier.load`; by default the embedded model. A classifier of your own
        goes by ``classifier.save(path)``.
    cutouts : path-like, optional
        Folder of image files that every worker can read, with ``pattern``. By default cutouts
        are taken by position, as ``fetch`` says.
    pattern : str, optional
        Name of each row's file within the folder, with columns in braces: ``"{objID}.png"``.
    position : tuple of str, optional
        Names of the columns of right ascension and declination in degrees, by default the
        catalogue's own.
    prior : float, optional
        Fraction of shreds in the catalogue, in 0–1 exclusive, to correct the probabilities for.
        By default they hold for the mix of the training set.
    pixel_scale, bands, allow_other_colors
        As for `shredfinder.add_p_cnn`.
    overwrite : bool, optional
        Replace the columns ``p_cnn`` and ``p_cnn_flag`` where there are any, shredfinder's own too:
        who wrote them can't be seen before they are read.
    fetch : dict, optional
        How cutouts are fetched: arguments of `~shredfinder.cutouts.fetch_cutouts`, as plain values.
        ``{"service": "local", "base_url": folder}`` cuts them from FITS images on disk.
    threads : int, optional
        Threads that score a partition. Dask runs as many partitions at a time in a worker as
        that has threads, so that one is enough.
    fetching : int, optional
        Partitions that may ask a remote service at a time, in the whole cluster. Each keeps to
        the service's polite rate, or that of ``fetch``.
    std, novelty : bool, optional
        Add the columns ``p_cnn_std`` and ``p_cnn_novelty`` too, as `shredfinder.add_p_cnn` does.

    Returns
    -------
    scored : ``lsdb.catalog.Catalog``
        The catalogue with two more columns: ``p_cnn``, float32, NaN (not null) where there is no
        answer, and ``p_cnn_flag``, text that says why, empty otherwise.

    Raises
    ------
    TypeError
        If ``catalog`` is no LSDB catalogue.
    ValueError
        If columns are in the way or missing, or an argument can't be used in a cluster.
    FileNotFoundError, NotADirectoryError
        If there is no such folder of cutouts.
    shredfinder.exceptions.MissingDependencyError
        If LSDB is not installed.

    Notes
    -----
    LSDB and Dask do the rest: a partition whose worker dies is scored again by another one, and
    ``scored.write_catalog(path, resume=True)`` goes on where an interrupted run stopped.

    Examples
    --------
    >>> import lsdb  # doctest: +SKIP
    >>> from shredfinder.lsdb import add_p_cnn, make_hats_properties
    >>> catalog = lsdb.open_catalog("candidates_hats")  # doctest: +SKIP
    >>> scored = add_p_cnn(catalog, cutouts="cutouts/", pattern="{objID}.png")  # doctest: +SKIP
    >>> scored.write_catalog(
    ...     "scored_hats", addl_hats_properties=make_hats_properties()
    ... )  # doctest: +SKIP
    """
    lsdb = import_optional("lsdb", "scoring HATS catalogues")
    if not isinstance(catalog, lsdb.catalog.Catalog):
        raise TypeError(
            f"add_p_cnn of shredfinder.lsdb takes an LSDB catalogue, not a "
            f"{type(catalog).__name__}: open one with lsdb.open_catalog(path), or use "
            "shredfinder.add_p_cnn for a table"
        )
    _check_prior(prior)
    names = list(catalog.columns)
    added = (P_NAME, FLAG_NAME, *name_extras(std, novelty))
    in_the_way = [name for name in added if name in names]
    if in_the_way and not overwrite:
        raise ValueError(
            f"the catalogue has the column {in_the_way[0]!r} already: rename it to keep it, or "
            "give overwrite=True to replace it"
        )
    model, classifier = _check_model(classifier)
    if cutouts is not None:
        if fetch is not None or position is not None:
            raise ValueError(
                "fetch and position say how cutouts are fetched, but a folder was given as "
                "cutouts=: leave out one of the two"
            )
        folder, columns = _check_folder(names, cutouts, pattern)
    else:
        if pattern is not None:
            raise ValueError("pattern goes with a folder of cutouts: give it as cutouts=")
        folder, fetch = None, _check_fetch(classifier, fetch or {})
        info = catalog.hc_structure.catalog_info
        position = columns = _check_position(names, position or (info.ra_column, info.dec_column))
    options = {
        "prior": prior,
        "pixel_scale": pixel_scale,
        "bands": None if bands is None else tuple(bands),
        "allow_other_colors": allow_other_colors,
        "std": std,
        "novelty": novelty,
    }
    job = _Job(
        model,
        classifier.provenance["sha256"],
        folder,
        pattern,
        position,
        columns,
        options,
        fetch or {},
        _check_number("threads", threads),
        _check_number("fetching", fetching),
    )
    meta = _join(catalog.meta, {name: [] for name in added})
    return catalog.map_partitions(_score_partition, job, meta=meta)


def make_hats_properties(
    classifier: PathLike | None = None, prior: float | None = None
) -> dict[str, Any]:
    """Make the HATS properties that say by what model a catalogue was scored.

    Parameters
    ----------
    classifier : path-like, optional
        The model file, as for `add_p_cnn`.
    prior : float, optional
        As for `add_p_cnn`.

    Returns
    -------
    properties : dict
        For the argument ``addl_hats_properties`` of LSDB's ``write_catalog``: a HATS column has no
        room for its own provenance.

    Examples
    --------
    >>> from shredfinder.lsdb import make_hats_properties
    >>> sorted(make_hats_properties(prior=0.05))[:3]
    ['shredfinder_architecture', 'shredfinder_model', 'shredfinder_prior']
    """
    from shredfinder.classifier import ShredClassifier

    _check_prior(prior)
    facts: dict[str, Any] = dict(ShredClassifier.load(classifier).provenance)
    facts["prior"] = "training mix" if prior is None else float(prior)
    facts["software_version"] = shredfinder.__version__
    return {f"shredfinder_{name}": value for name, value in facts.items()}


# Before anything is scored


def _check_prior(prior):
    if prior == "estimate":
        raise ValueError(
            "an estimated prior needs the scores of all partitions: score without a prior first, "
            "and give their p_cnn to shredfinder.models.priors.estimate_prior"
        )
    if prior is not None:
        check_prior(prior)


def _check_model(path):
    """Load the model here too, so that a wrong path or file is told of at once."""
    from shredfinder.classifier import ShredClassifier

    if path is not None and not isinstance(path, (str, os.PathLike)):
        raise ValueError(
            f"classifier must be the path of a model file, not a {type(path).__name__}, which "
            "would travel with every partition: classifier.save(path) where all workers can read"
        )
    path = None if path is None else os.path.abspath(str(find_model(path)))
    return path, ShredClassifier.load(path)


def _check_folder(names, cutouts, pattern):
    if not isinstance(cutouts, (str, os.PathLike)):
        raise ValueError(
            f"cutouts must be a folder that every worker can read, not a {type(cutouts).__name__}: "
            "images in memory can't be told to which partition they belong"
        )
    folder = os.path.abspath(cutouts)
    return folder, PatternFiles(Table(names=names), folder, pattern).names


def _check_position(names, position):
    if isinstance(position, str) or len(position) != 2:
        raise ValueError(
            f"position must be the names of two columns, right ascension and declination, not "
            f"{position!r}"
        )
    missing = [name for name in position if name not in names]
    if missing:
        raise ValueError(
            f"the catalogue has no column {missing[0]!r} for the position: its columns are "
            f"{', '.join(names)}; load it with lsdb.open_catalog(path, columns=…)"
        )
    return tuple(position)


def _check_fetch(classifier, fetch):
    from shredfinder.cutouts import CutoutFetcher

    # Every worker asks the same service, whatever its own configuration says.
    fetch = {
        name: os.fspath(value) if isinstance(value, os.PathLike) else value
        for name, value in complete_options(classifier, fetch).items()
        if name != "progress"
    }
    for name, value in fetch.items():
        if not isinstance(value, (str, int, float, bool, type(None))):
            raise ValueError(
                f"fetch[{name!r}] must be a plain value, which goes to every worker, not a "
                f"{type(value).__name__}"
            )
    # Wrong options are told of at once.
    service = CutoutFetcher(**fetch).cutout_service
    folders = ("cache",) if service.remote else ("cache", "base_url")
    # Workers have working folders of their own.
    for name in folders:
        if isinstance(fetch.get(name), str):
            fetch[name] = os.path.abspath(fetch[name])
    return fetch


def _check_number(name, value):
    if not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(f"{name} must be a whole number of 1 or more, not {value!r}")
    return int(value)


# In a worker


def _score_partition(frame, job):
    """Score the rows of one partition; this is what Dask runs."""
    import pyarrow as pa

    from shredfinder.table import add_p_cnn

    names = (P_NAME, FLAG_NAME, *name_extras(job.options["std"], job.options["novelty"]))
    if not len(frame):
        return _join(frame, {name: [] for name in names})
    table = Table({name: column_from_arrow(pa.array(frame[name])) for name in job.columns})
    classifier = _keep(("classifier", job.model, job.sha256), lambda: _load(job))
    options = job.options | {"progress": False}
    if job.folder is not None:
        add_p_cnn(table, classifier, job.folder, pattern=job.pattern, **options)
    else:
        with _take_turn(job) as fetch:
            add_p_cnn(table, classifier, position=job.position, fetch=fetch, **options)
    return _join(frame, {name: np.asarray(table[name]) for name in names})


def _load(job):
    from shredfinder.classifier import ShredClassifier

    with conf.set_temp("threads", job.threads):
        classifier = ShredClassifier.load(job.model)
    sha256 = classifier.provenance["sha256"]
    if sha256 != job.sha256:
        raise ValueError(
            f"this worker's model {job.model or 'of the package'} has the hash {sha256[:12]}, but "
            f"the catalogue was to be scored by {job.sha256[:12]}: install the same version of "
            "shredfinder everywhere, or give a model file that all workers share"
        )
    return classifier


def _keep(key, make):
    """Make something once in this process."""
    with _LOCK:
        if key not in _kept:
            _kept[key] = make()
        return _kept[key]


@contextlib.contextmanager
def _take_turn(job):
    """Wait until the service may be asked; give the arguments to ask it with."""
    from shredfinder.cutouts import get_service

    asked = {name: job.fetch.get(name) for name in ("layer", "base_url")}
    name = job.fetch["service"]
    service = _keep(("service", name, *asked.values()), lambda: get_service(name, **asked))
    fetch = {key: value for key, value in job.fetch.items() if key not in asked}
    fetch["service"] = service
    if not service.remote or job.fetch.get("offline"):
        yield fetch
        return
    with _make_turns(f"shredfinder-{name}-{asked['base_url'] or ''}", job.fetching):
        yield fetch


def _make_turns(name, n):
    """Make what lets ``n`` at a time pass: among all workers, or among this process's threads."""
    from distributed import Semaphore, get_worker

    try:
        get_worker()
    except ValueError:  # another scheduler than a cluster's
        return _keep(("turns", name, n), lambda: threading.BoundedSemaphore(n))
    return Semaphore(max_leases=n, name=f"{name}-{n}")


def _join(frame, scores):
    """Give a frame with the new columns, of Arrow's types as all of LSDB's."""
    import pandas as pd

    columns = {
        name: pd.Series(pd.arrays.ArrowExtensionArray(array), index=frame.index)
        for name, array in zip(scores, to_arrow(*scores.values()), strict=True)
    }
    return frame.assign(**columns)
