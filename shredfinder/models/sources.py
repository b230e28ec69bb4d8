"""One view of the kinds of input that a classifier takes."""

from pathlib import Path

import numpy as np

from shredfinder.imaging import Cutouts, ImageFiles

__all__ = ["open_source"]


def open_source(X, *, size, pixel_scale, bands, color_mapping):
    """Make a sequence whose slices are `~shredfinder.Cutouts`.

    Parameters
    ----------
    X : Cutouts, array_like or sequence of path-like
        Cutouts as they are; images of shape ``(n, height, width, bands)``; or image files.
    size : tuple of int or None
        Height and width that image files must have; None takes those of the first good file.
    pixel_scale, bands, color_mapping
        What images and files are taken to be; Cutouts know it themselves.

    Returns
    -------
    source : Cutouts or ImageFiles
        The input, not yet read where it consists of files.
    """
    if isinstance(X, (Cutouts, ImageFiles)):
        return X
    facts = {"pixel_scale": pixel_scale, "bands": bands, "color_mapping": color_mapping}
    if isinstance(X, (str, Path)):
        raise ValueError(f"give a list of image paths, not the single path {str(X)!r}")
    if _is_paths(X):
        return ImageFiles(X, size=size, **facts)
    return Cutouts(X, **facts)


def _is_paths(X):
    if isinstance(X, np.ndarray):
        return X.ndim == 1 and X.dtype.kind in "UO"
    return isinstance(X, (list, tuple)) and all(
        item is None or isinstance(item, (str, Path)) for item in X
    )
