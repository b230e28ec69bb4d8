"""One view of the ways to give a table's cutouts, or to have them fetched."""

import os

import numpy as np

from shredfinder._utils.positions import get_positions
from shredfinder.config import conf
from shredfinder.imaging import Cutouts, CutoutSequence, ImageFiles
from shredfinder.surveys import DEFAULT_SURVEY, get_survey
from shredfinder.table.patterns import PatternFiles

__all__ = ["complete_options", "open_cutouts", "open_service"]


def open_cutouts(table, classifier, cutouts, *, pattern=None, **kind):
    """Make of any kind of cutouts something that a classifier scores row by row.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table, of ``n`` rows.
    classifier : ShredClassifier
        Says what kind of images it needs.
    cutouts, pattern
        As for `~shredfinder.add_p_cnn`.
    **kind
        ``pixel_scale`` and ``bands`` of the images, where they are not the model's.

    Returns
    -------
    source : Cutouts, CutoutSequence, `~numpy.ndarray` or list
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
            f"a {type(cutouts).__name__} was given: give the folder as cutouts="
        )
    source = (
        cutouts if isinstance(cutouts, (Cutouts, CutoutSequence)) else _to_array_or_paths(cutouts)
    )
    if len(source) != len(table):
        raise ValueError(
            f"the table has {len(table)} rows but {len(source)} cutouts were given: give one for "
            "each row, in the rows' order, and None for a row without a file"
        )
    return source


def open_service(table, classifier, position, options):
    """Have the cutouts of a table's rows fetched, in an order that spares requests.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table, of ``n`` rows.
    classifier : ShredClassifier
        Says what kind of images it needs.
    position
        As for `~shredfinder.add_p_cnn`.
    options : dict
        Arguments of `~shredfinder.cutouts.CutoutStream` that go before the classifier's.

    Returns
    -------
    stream : CutoutStream
        The cutouts, fetched when they are asked for.
    order : `~numpy.ndarray` of int
        Row of each cutout, of shape ``(n,)``: neighbours follow one another, so that they can
        share an image.
    """
    from shredfinder.cutouts import CutoutStream, sky_order

    coords = get_positions(table, position)
    order = sky_order(coords)
    return CutoutStream(coords[order], **complete_options(classifier, options)), order


def complete_options(classifier, options):
    """Say how cutouts are fetched for a classifier, where that is left open.

    Parameters
    ----------
    classifier : ShredClassifier
        Says what kind of images it needs, and of which survey.
    options : dict
        Arguments of `~shredfinder.cutouts.CutoutStream` that go before the classifier's; None is
        the same as not given, but for the rate, where it is no limit.

    Returns
    -------
    options : dict
        Those and ``size``, ``pixel_scale``, ``progress`` and ``service``: the configured one, or
        that of the classifier's survey, with its ``layer``.
    """
    options = {k: v for k, v in options.items() if v is not None or k == "rate"}
    kind = {
        "size": classifier.size_[0],
        "pixel_scale": classifier.pixel_scale_,
        "progress": False,
        "service": conf.service,
    }
    if "service" not in options and not conf.service:
        survey = get_survey(getattr(classifier, "survey", DEFAULT_SURVEY))
        kind |= {"service": survey.service, "layer": survey.layer}
    return kind | options


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
