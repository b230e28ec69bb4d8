"""One view of the kinds of input that a classifier takes, scored batch by batch."""

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from shredfinder._utils.runtime import progress_bar
from shredfinder.imaging import CutoutFlag, Cutouts, CutoutSequence, ImageFiles

__all__ = ["open_source", "score_source"]

# Smaller batches would cost more in calls than a second thread gains.
_SMALLEST_BATCH = 16


def open_source(X, *, size, pixel_scale, bands, color_mapping):
    """Make a sequence whose slices are `~shredfinder.Cutouts`.

    Parameters
    ----------
    X : Cutouts, CutoutSequence, array_like or sequence of path-like
        Cutouts and sequences of them as they are; images of shape
        ``(n, height, width, bands)``; or image files.
    size : tuple of int or None
        Height and width that image files must have; None takes those of the first good file.
    pixel_scale, bands, color_mapping
        What images and files are taken to be; Cutouts know it themselves.

    Returns
    -------
    source : Cutouts or CutoutSequence
        The input, not yet read where it consists of files.
    """
    if isinstance(X, (Cutouts, CutoutSequence)):
        return X
    facts = {"pixel_scale": pixel_scale, "bands": bands, "color_mapping": color_mapping}
    if isinstance(X, (str, os.PathLike)):
        raise ValueError(f"give a list of image paths, not the single path {str(X)!r}")
    if _is_paths(X):
        return ImageFiles(X, size=size, **facts)
    return Cutouts(X, **facts)


def score_source(
    model,
    source,
    *,
    symmetry,
    allow_other_colors,
    batch_size,
    progress,
    views=False,
    novelty=False,
):
    """Score a source in batches, so that memory does not grow with its length.

    Reading and scoring go on at the same time, in ``model.network.threads`` threads.

    Parameters
    ----------
    model : TrainedModel
        The model.
    source : Cutouts or CutoutSequence
        The images.
    symmetry : {"uncertain", "all", "none"}
        Which images are scored from all eight sides.
    allow_other_colors : bool
        Score other colours than the model's, and flag them.
    batch_size : int
        Images at a time.
    progress : bool or "auto"
        Show a progress bar.
    views, novelty : bool, optional
        What else is wanted.

    Returns
    -------
    p_cnn : `~numpy.ndarray`
        Float64, of shape ``(n,)``; NaN where there is no answer.
    flags : `~numpy.ndarray` of str
        What is the matter with each image, of shape ``(n,)``.
    more : dict of `~numpy.ndarray`
        Float32: ``views``, the answers from all sides, of shape ``(n, n_views)``, and
        ``novelty``, the distance from the training images, of shape ``(n,)``, each if it was
        wanted.
    """
    p_cnn = np.full(len(source), np.nan)
    flags = np.full(len(source), CutoutFlag.GOOD.value, dtype="U16")
    shapes = {"views": (len(source), model.n_views)} if views else {}
    shapes |= {"novelty": (len(source),)} if novelty else {}
    more = {name: np.full(shape, np.nan, dtype=np.float32) for name, shape in shapes.items()}

    def score(batch):
        other_colors = model.description.check_cutouts(batch, allow_other_colors=allow_other_colors)
        good = batch.good
        values, reasons = np.full(len(batch), np.nan), batch.flags.copy()
        found = {}
        if good.any():
            images = batch.images[good]
            if views:
                values[good], found["views"] = model.score(images, symmetry, views=True)
            else:
                values[good] = model.score(images, symmetry)
            if novelty:
                found["novelty"] = model.novelty.measure(images)
        if other_colors:
            reasons[good] = CutoutFlag.OTHER_COLORS
        # A network may have no answer to a sound image, if its training diverged.
        reasons[np.isnan(values) & (reasons == CutoutFlag.GOOD)] = CutoutFlag.NOT_SCORED
        return values, reasons, good, found

    with progress_bar(total=len(source), progress=progress, desc="scoring", unit="source") as bar:
        for start, (values, reasons, good, found) in _map_batches(
            score, source, batch_size, model.network.threads
        ):
            rows = slice(start, start + len(values))
            p_cnn[rows], flags[rows] = values, reasons
            for name, part in found.items():
                more[name][rows][good] = part
            bar.update(len(values))
    return p_cnn, flags, more


def _map_batches(function, source, batch_size, n_threads):
    """Call a function with batches of a source, in threads; yield its results in order.

    Each thread reads a batch and then works on it, so that all processors are busy with either
    until the last. Sources that can't be read by several threads are read by the caller's,
    ahead of the others. A few batches are in the making at a time, and no more.
    """
    # A short input is shared out as well.
    size = min(batch_size, max(_SMALLEST_BATCH, -(-len(source) // n_threads)))
    concurrent = isinstance(source, Cutouts) or source.concurrent
    waiting = deque()
    executor = ThreadPoolExecutor(n_threads, thread_name_prefix="shredfinder-score")
    try:
        # The kind of an empty input is checked as well.
        for start in range(0, max(len(source), 1), size):
            if concurrent:
                future = executor.submit(lambda i: function(source[i : i + size]), start)
            else:
                future = executor.submit(function, source[start : start + size])
            waiting.append((start, future))
            if len(waiting) > 2 * n_threads:
                first, future = waiting.popleft()
                yield first, future.result()
        for first, future in waiting:
            yield first, future.result()
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _is_paths(X):
    if isinstance(X, np.ndarray) and (X.ndim != 1 or X.dtype.kind not in "UO"):
        return False
    return isinstance(X, (list, tuple, np.ndarray)) and all(
        item is None or isinstance(item, (str, os.PathLike)) for item in X
    )
