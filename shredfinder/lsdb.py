"""Scores for catalogues of any size with LSDB: HATS partitions, scored by Dask's workers.

Each partition is scored like a table (see `shredfinder.add_p_cnn`), wherever Dask runs it. A worker
keeps the model and the list of local images for its next partitions.
"""

from __future__ import annotations

import contextlib
import os
import threading
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.table import Table

import shredfinder
from shredfinder._utils.arrow import column_from_arrow
from shredfinder._utils.runtime import import_optional
from shredfinder._utils.validation import check_count
from shredfinder.config import conf
from shredfinder.models import check_prior
from shredfinder.models.archive import find_model
from shredfinder.table.columns import FLAG_NAME, P_NAME, to_arrow
from shredfinder.table.extinction import check_one_ebv, find_ebv
from shredfinder.table.patterns import PatternFiles
from shredfinder.table.scoring import ScoreOptions, load_classifier, make_fetcher

if TYPE_CHECKING:
    from collections.abc import Sequence

    from astropy.units import Quantity
    from lsdb.catalog import Catalog

    from shredfinder._utils.validation import PathLike
    from shredfinder.cutouts import CutoutFetcher

__all__ = ["add_p_cnn", "make_hats_properties"]

# Dask runs several partitions as threads of one worker; they must share one model.
_LOCK = threading.Lock()
# Objects that this process keeps for further partitions: classifiers, services and semaphores.
_kept: dict[Any, Any] = {}


@dataclass(frozen=True)
class _Job:
    """What a worker needs to score a partition; it is small and the same for all partitions."""

    model: str | None
    sha256: str
    options: ScoreOptions
    columns: tuple[str, ...]
    threads: int
    fetching: int


def add_p_cnn(
    catalog: Catalog,
    classifier: PathLike | None = None,
    cutouts: PathLike | None = None,
    *,
    pattern: str | None = None,
    position: tuple[str, str] | None = None,
    service: str | CutoutFetcher | None = None,
    prior: float | None = None,
    pixel_scale: float | Quantity | None = None,
    bands: Sequence[str] | None = None,
    ebv: str | float | None = None,
    allow_other_colors: bool = False,
    replace_columns: bool = False,
    std: bool = False,
    novelty: bool = False,
    other: bool = False,
    robust: bool = False,
    threads: int = 1,
    fetching: int = 1,
) -> Catalog:
    """Add to an LSDB catalogue the probability that each row is a shred.

    The result is as lazy as the catalogue: nothing is read or scored yet. All rows stay, in their
    partitions and order.

    Parameters
    ----------
    catalog : ``lsdb.catalog.Catalog``
        The catalogue. Its margin, if it has one, is scored too.
    classifier : path-like, optional
        A model file that every worker can read, ``"robust"`` or ``"int8"``; by default the embedded
        model.
        Save your own classifier with ``classifier.save(path)``.
    cutouts : path-like, optional
        Folder of image files that every worker can read, with ``pattern``. By default cutouts
        are taken by position.
    pattern : str, optional
        Name of each row's file within the folder, with columns in braces: ``"{objID}.png"``.
    position : tuple of str, optional
        Names of the columns of right ascension and declination in degrees, by default the
        catalogue's own.
    service : str or CutoutFetcher, optional
        Where cutouts come from: the name of a service, or a configured
        `~shredfinder.cutouts.CutoutFetcher` whose service is given by name.
        ``CutoutFetcher("local", base_url=folder)`` cuts them from FITS images on disk.
    prior : float, optional
        Fraction of shreds in the catalogue, in 0–1 exclusive, for which probabilities are
        corrected. By default that of the training set.
    pixel_scale, bands, ebv, allow_other_colors, std, novelty, other, robust
        As for `shredfinder.add_p_cnn`.
    replace_columns : bool, optional
        Replace existing score columns, including shredfinder's own: a lazy catalogue does not
        show who wrote them.
    threads : int, optional
        Threads that score a partition. Dask runs as many partitions at once in a worker as the
        worker has threads, so that one is enough.
    fetching : int, optional
        Number of partitions that may query a remote service at once, in the whole cluster. Each
        has the fetcher's rate limit.

    Returns
    -------
    scored : ``lsdb.catalog.Catalog``
        The catalogue with the columns ``p_cnn``, float32, NaN (not null) for unscored rows, and
        ``p_cnn_flag``, text, empty for scored rows.

    Raises
    ------
    TypeError
        If ``catalog`` is not an LSDB catalogue.
    ValueError
        If score columns exist, columns are missing, or an argument cannot be sent to workers.
    FileNotFoundError, NotADirectoryError
        If the folder of cutouts does not exist.
    shredfinder.exceptions.MissingDependencyError
        If LSDB is not installed.

    Notes
    -----
    LSDB and Dask handle failures: a partition whose worker dies is scored again by another one,
    and ``scored.write_catalog(path, resume=True)`` resumes an interrupted run.

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
            f"catalog must be an LSDB catalogue, got {type(catalog).__name__}: open one with "
            "lsdb.open_catalog(path), or use shredfinder.add_p_cnn for a table"
        )
    _check_prior(prior)
    options = ScoreOptions(
        cutouts=cutouts,
        pattern=pattern,
        position=position,
        service=service,
        prior=prior,
        pixel_scale=pixel_scale,
        bands=None if bands is None else tuple(bands),
        ebv=ebv,
        allow_other_colors=allow_other_colors,
        replace_columns=replace_columns,
        std=std,
        novelty=novelty,
        other=other,
        robust=robust,
    )
    check_one_ebv(ebv)
    check_count(threads, "threads")
    check_count(fetching, "fetching")
    names = list(catalog.columns)
    added = (P_NAME, FLAG_NAME, *options.optional_names)
    existing = [name for name in added if name in names]
    if existing and not replace_columns:
        raise ValueError(
            f"the catalogue has a column {existing[0]!r}: rename it to keep it, or use "
            "replace_columns=True to replace it"
        )
    path, model = _check_model(classifier)
    if cutouts is not None:
        if position is not None:
            raise ValueError("position is for fetched cutouts, got cutouts=: leave out one of them")
        folder, columns = _check_folder(names, cutouts, pattern)
        options = replace(options, cutouts=folder)
    else:
        # HATS records which columns hold the position.
        info = catalog.hc_structure.catalog_info
        columns = _check_position(names, position or (info.ra_column, info.dec_column))
        options = replace(options, position=columns, service=_check_fetcher(model, service))
    found = find_ebv(dict.fromkeys(names), ebv, model.model_.description)
    # Workers see only the columns they need, so that the one they look for is named here.
    options = replace(options, ebv=0.0 if found is None else found)
    if isinstance(found, str):
        columns = (*columns, found)
    job = _Job(path, model.provenance["sha256"], options, columns, threads, fetching)
    # Dask needs names and types of the result before it computes anything: an empty frame.
    meta = _join(catalog.meta, {name: [] for name in added})
    return catalog.map_partitions(_score_partition, job, meta=meta)


def make_hats_properties(
    classifier: PathLike | None = None, prior: float | None = None
) -> dict[str, Any]:
    """Return the HATS properties that record the model of a scored catalogue.

    Parameters
    ----------
    classifier : path-like, optional
        The model file, as for `add_p_cnn`.
    prior : float, optional
        As for `add_p_cnn`.

    Returns
    -------
    properties : dict
        For the argument ``addl_hats_properties`` of LSDB's ``write_catalog``, since a HATS column
        cannot hold its own provenance.

    Examples
    --------
    >>> from shredfinder.lsdb import make_hats_properties
    >>> sorted(make_hats_properties(prior=0.05))[:3]
    ['shredfinder_architecture', 'shredfinder_model', 'shredfinder_prior']
    """
    _check_prior(prior)
    facts: dict[str, Any] = dict(load_classifier(classifier).provenance)
    facts["prior"] = "training set" if prior is None else float(prior)
    facts["software_version"] = shredfinder.__version__
    return {f"shredfinder_{name}": value for name, value in facts.items()}


# Validation, before anything is scored


def _check_prior(prior):
    if prior == "estimate":
        raise ValueError(
            "prior='estimate' needs the scores of all partitions: score without a prior first, "
            "and pass p_cnn to shredfinder.models.estimate_prior"
        )
    if prior is not None:
        check_prior(prior)


def _check_model(path):
    """Load the model here too, so that a wrong path or file fails at once."""
    if path is not None and not isinstance(path, (str, os.PathLike)):
        raise ValueError(
            f"classifier must be the path of a model file that all workers can read, got "
            f"{type(path).__name__}: save it with classifier.save(path)"
        )
    # Absolute, since workers may run in other folders.
    path = None if path is None else os.path.abspath(str(find_model(path)))
    return path, load_classifier(path)


def _check_folder(names, cutouts, pattern):
    if not isinstance(cutouts, (str, os.PathLike)):
        raise ValueError(
            f"cutouts must be a folder that every worker can read, got {type(cutouts).__name__}"
        )
    folder = os.path.abspath(cutouts)
    # A table without rows is enough to check the pattern's column names.
    return folder, PatternFiles(Table(names=names), folder, pattern).names


def _check_position(names, position):
    if isinstance(position, str) or len(position) != 2:
        raise ValueError(
            "position must be the names of the columns of right ascension and declination, got "
            f"{position!r}"
        )
    missing = [name for name in position if name not in names]
    if missing:
        raise ValueError(
            f"the catalogue has no position column {missing[0]!r}: its columns are "
            f"{', '.join(names)}; load it with lsdb.open_catalog(path, columns=…)"
        )
    return tuple(position)


def _check_fetcher(classifier, service):
    """Return a fetcher that can be sent to workers, whose folders and settings may differ."""
    if service is not None and not isinstance(
        getattr(service, "service", service), (str, type(None))
    ):
        raise ValueError(
            "service must be the name of a service or a CutoutFetcher with one, which goes to "
            f"every worker, got {type(service).__name__}"
        )
    fetcher = make_fetcher(classifier, service)
    # Relative paths would mean another folder in a worker with another working directory.
    remote = fetcher.cutout_service.remote
    changes: dict[str, Any] = {"service": fetcher.service or conf.service}
    if isinstance(fetcher.cache, (str, os.PathLike)):
        changes["cache"] = os.path.abspath(fetcher.cache)
    elif not isinstance(fetcher.cache, (bool, type(None))):
        raise ValueError("cache must be a folder, True or False, which goes to every worker")
    if not remote and fetcher.base_url is not None:
        changes["base_url"] = os.path.abspath(fetcher.base_url)
    ready = replace(fetcher, **changes)
    # Each fetcher opened its files when it was made; workers open their own.
    for opened in (service, fetcher, ready):
        if hasattr(opened, "cutout_service"):
            opened.cutout_service.close()
    return ready


# In a worker


def _score_partition(frame, job):
    """Score the rows of one partition; Dask calls this function."""
    import pyarrow as pa

    from shredfinder.table import add_p_cnn

    options = job.options
    names = (P_NAME, FLAG_NAME, *options.optional_names)
    # Partitions may be empty after a cone search or a filter.
    if not len(frame):
        return _join(frame, {name: [] for name in names})
    table = Table({name: column_from_arrow(pa.array(frame[name])) for name in job.columns})
    classifier = _keep(("classifier", job.model, job.sha256), lambda: _load(job))
    with _take_turn(job) as service:
        options = replace(options, service=service)
        arguments = {
            # Derived fields (init=False) are not arguments of add_p_cnn.
            entry.name: getattr(options, entry.name)
            for entry in fields(options)
            if entry.init
        }
        add_p_cnn(table, classifier, progress=False, **arguments)
    return _join(frame, {name: np.asarray(table[name]) for name in names})


def _load(job):
    with conf.set_temp("threads", job.threads):
        classifier = load_classifier(job.model)
    sha256 = classifier.provenance["sha256"]
    if sha256 != job.sha256:
        raise ValueError(
            f"this worker's model {job.model or 'of the package'} has the hash {sha256[:12]}, "
            f"expected {job.sha256[:12]}: install the same version of shredfinder everywhere, or "
            "use a model file that all workers share"
        )
    return classifier


def _keep(key, make):
    """Create an object once per process."""
    with _LOCK:
        if key not in _kept:
            _kept[key] = make()
        return _kept[key]


@contextlib.contextmanager
def _take_turn(job):
    """Wait until the service may be queried, and yield the fetcher; None without a service."""
    fetcher = job.options.service
    if fetcher is None:
        yield None
        return
    # The service is kept for further partitions: opening many local images takes a while.
    place = (fetcher.service, fetcher.layer, fetcher.base_url, repr(fetcher.service_options))
    service = _keep(("service", *place), lambda: fetcher.cutout_service)
    # An opened service already holds its own options.
    ready = replace(fetcher, service=service, layer=None, base_url=None, service_options=None)
    if not service.remote or fetcher.offline:
        yield ready
        return
    name = f"shredfinder-{service.name}-{fetcher.base_url or ''}"
    with _make_semaphore(name, job.fetching):
        yield ready


def _make_semaphore(name, n):
    """Create a semaphore for all workers, or for this process's threads without a cluster."""
    from distributed import Semaphore, get_worker

    try:
        get_worker()
    except ValueError:  # another scheduler than a cluster's
        return _keep(("semaphore", name, n), lambda: threading.BoundedSemaphore(n))
    return Semaphore(max_leases=n, name=f"{name}-{n}")


def _join(frame, scores):
    """Return a frame with the new columns, of Arrow types like all columns of LSDB."""
    import pandas as pd

    columns = {
        name: pd.Series(pd.arrays.ArrowExtensionArray(array), index=frame.index)
        for name, array in zip(scores, to_arrow(*scores.values()), strict=True)
    }
    return frame.assign(**columns)
