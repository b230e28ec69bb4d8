"""One view of the kinds of input that a classifier takes, scored batch by batch."""

import os

import numpy as np

from shredfinder.imaging import CutoutFlag, Cutouts, CutoutSequence, ImageFiles
from shredfinder.progress import progress_bar

__all__ = ["open_source", "score_source"]


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


def score_source(model, source, *, symmetry, allow_other_colors, batch_size, progress):
    """Score a source in batches, so that memory does not grow with its length.

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

    Returns
    -------
    p_cnn : `~numpy.ndarray`
        Float64, of shape ``(n,)``; NaN where there is no answer.
    flags : `~numpy.ndarray` of str
        What is the matter with each image, of shape ``(n,)``.
    """
    p_cnn = np.full(len(source), np.nan)
    flags = np.full(len(source), CutoutFlag.GOOD.value, dtype="U16")
    with progress_bar(total=len(source), progress=progress, desc="scoring", unit="source") as bar:
        # The kind of an empty input is checked as well.
        for start in range(0, max(len(source), 1), batch_size):
            batch = source[start : start + batch_size]
            other_colors = model.description.check_cutouts(
                batch, allow_other_colors=allow_other_colors
            )
            rows = start + np.flatnonzero(batch.good)
            flags[start : start + len(batch)] = batch.flags
            if len(rows):
                p_cnn[rows] = model.score(batch.images[batch.good], symmetry)
            if other_colors:
                flags[rows] = CutoutFlag.OTHER_COLORS
            bar.update(len(batch))
    # A network may have no answer to a sound image, if its training diverged.
    flags[np.isnan(p_cnn) & (flags == CutoutFlag.GOOD)] = CutoutFlag.NOT_SCORED
    return p_cnn, flags


def _is_paths(X):
    if isinstance(X, np.ndarray) and (X.ndim != 1 or X.dtype.kind not in "UO"):
        return False
    return isinstance(X, (list, tuple, np.ndarray)) and all(
        item is None or isinstance(item, (str, os.PathLike)) for item in X
    )
