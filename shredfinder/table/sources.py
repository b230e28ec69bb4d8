"""One view of the ways to give a table's cutouts."""

import os

import numpy as np

from shredfinder.imaging import CutoutFlag, Cutouts, ImageFiles
from shredfinder.table.patterns import PatternFiles
from shredfinder.table.positions import get_positions

__all__ = ["open_cutouts"]


def open_cutouts(table, classifier, cutouts, *, pattern=None, position=None, **kind):
    """Make of any kind of cutouts something that a classifier scores row by row.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table, of ``n`` rows.
    classifier : ShredClassifier
        Says what kind of images it needs.
    cutouts, pattern, position
        As for `~shredfinder.add_p_cnn`.
    **kind
        ``pixel_scale`` and ``bands`` of the images, where they are not the model's.

    Returns
    -------
    source : Cutouts, ImageFiles, `~numpy.ndarray` or list
        Cutouts of the ``n`` rows; files are not yet read.

    Raises
    ------
    ValueError, FileNotFoundError, NotADirectoryError
        If the cutouts are of no known kind, too many or too few, or not there.
    """
    if isinstance(cutouts, (str, os.PathLike)):
        paths = PatternFiles(table, cutouts, pattern)
        return ImageFiles(paths, size=classifier.size_, **_get_facts(classifier, **kind))
    if pattern is not None:
        raise ValueError(
            "a file-name pattern goes with a folder of cutouts, but "
            + ("no cutouts were" if cutouts is None else f"a {type(cutouts).__name__} was")
            + " given: give the folder as cutouts="
        )
    if cutouts is None:
        return _open_service(table, classifier, position)
    source = cutouts if isinstance(cutouts, (Cutouts, ImageFiles)) else _to_array_or_paths(cutouts)
    if len(source) != len(table):
        raise ValueError(
            f"the table has {len(table)} rows but {len(source)} cutouts were given: give one for "
            "each row, in the rows' order, and None for a row without a file"
        )
    return source


def _get_facts(classifier, *, pixel_scale=None, bands=None):
    return {
        "pixel_scale": classifier.pixel_scale_ if pixel_scale is None else pixel_scale,
        "bands": classifier.bands_ if bands is None else bands,
        # What another set of bands is mapped with, only its Cutouts could tell.
        "color_mapping": classifier.color_mapping_ if bands is None else None,
    }


def _to_array_or_paths(cutouts):
    if isinstance(cutouts, np.ndarray) and cutouts.ndim == 4:
        return cutouts
    if np.ndim(cutouts) == 0 or isinstance(cutouts, (set, dict)):
        raise ValueError(
            f"cutouts must be a Cutouts object, an array of shape (n, height, width, bands), a "
            f"list of paths or a folder, not {cutouts!r}"
        )
    if isinstance(cutouts, np.ndarray) and cutouts.dtype.kind not in "SUO":
        raise ValueError(
            f"an array of cutouts must have the shape (n, height, width, bands), not "
            f"{cutouts.shape}"
        )
    return [_to_path(item) for item in cutouts]


def _to_path(item):
    if item is None or item is np.ma.masked:
        return None
    if isinstance(item, (bytes, np.bytes_)):
        return os.fsdecode(item)
    if isinstance(item, (str, os.PathLike)):
        return os.fspath(item)
    raise ValueError(
        f"a list of cutouts must hold paths, or None for a row without a file, not "
        f"{type(item).__name__} objects: stack images into one array with numpy.stack"
    )


def _open_service(table, classifier, position):
    """Fetch cutouts of the model's kind for the rows that have a position."""
    coords = get_positions(table, position)
    try:
        from shredfinder.cutouts import fetch_cutouts
    except ImportError as error:
        raise ValueError(
            "no cutouts were given, and this version can't fetch them by position: give an array, "
            "a list of paths or a folder as cutouts="
        ) from error
    known = np.isfinite(coords.ra.deg)
    fetched = fetch_cutouts(
        coords[known], size=classifier.size_[0], pixel_scale=classifier.pixel_scale_
    )
    images = np.zeros((len(table), *fetched.images.shape[1:]), dtype=fetched.images.dtype)
    flags = np.full(len(table), CutoutFlag.NO_POSITION.value, dtype="U16")
    images[known], flags[known] = fetched.images, fetched.flags
    return Cutouts(
        images,
        flags=flags,
        pixel_scale=fetched.pixel_scale,
        bands=fetched.bands,
        color_mapping=fetched.color_mapping,
        service=fetched.service,
    )
