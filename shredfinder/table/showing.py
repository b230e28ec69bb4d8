"""Notebook views of a table: the cutouts of its rows, and scores on coloured backgrounds."""

from __future__ import annotations

import os
import re
from html import unescape
from typing import TYPE_CHECKING

import numpy as np

from shredfinder._utils.columns import as_table
from shredfinder._utils.units import to_floats
from shredfinder.imaging import Cutouts, CutoutSequence, flux_to_rgb
from shredfinder.imaging.cutouts import FLUX, join_cutouts
from shredfinder.surveys import DEFAULT_SURVEY
from shredfinder.table.columns import FLAG_NAME, P_NAME
from shredfinder.table.scoring import (
    ScoreOptions,
    load_classifier,
    open_cutouts,
    open_service,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from astropy.coordinates import SkyCoord
    from astropy.table import Table
    from numpy.typing import ArrayLike

    from shredfinder._utils.validation import PathLike
    from shredfinder.cutouts import CutoutFetcher, CutoutService
    from shredfinder.imaging.cutouts import Images
    from shredfinder.models.scorer import ImageScorer
    from shredfinder.plotting.thumbnails import CutoutGrid

__all__ = ["color_scores", "show_cutouts"]

_CELL = re.compile(r"<td>(.*?)</td>", re.DOTALL)


def show_cutouts(
    table: Table,
    cutouts: Images | PathLike | None = None,
    *,
    rows: ArrayLike | None = None,
    sort: str | None = P_NAME,
    max_rows: int | None = 24,
    columns: Sequence[str] | None = None,
    size: int = 96,
    cross: bool = True,
    classifier: ImageScorer | PathLike | None = None,
    pattern: str | None = None,
    position: str | tuple[str, str] | SkyCoord | None = None,
    service: str | CutoutService | CutoutFetcher | None = None,
) -> CutoutGrid:
    """Show cutouts of a table's rows in a notebook, with ``p_cnn`` on a coloured background.

    Parameters
    ----------
    table : `~astropy.table.Table`, `pandas.DataFrame` or structured array
        Table of ``n`` rows, with or without ``p_cnn``.
    cutouts : Cutouts, `~numpy.ndarray`, sequence of path-like, or path-like, optional
        Images of all ``n`` rows, in their order, as for `~shredfinder.add_p_cnn`; only those of
        the shown rows are read. By default cutouts are fetched by position; those that
        ``add_p_cnn`` fetched come from the cache.
    rows : array_like, optional
        Rows to select from: a mask of shape ``(n,)``, such as ``table["p_cnn"] > 0.9``, or row
        numbers. By default all.
    sort : str or None, optional
        Column to sort by: ``p_cnn`` in descending order, any other in ascending order, missing
        values last. None keeps the order of the rows.
    max_rows : int or None, optional
        Maximum number of rows that are shown; None shows all.
    columns : sequence of str, optional
        Columns whose values are printed below each cutout; by default the table's first.
    size : int, optional
        Width and height of a cutout on the page in pixels.
    cross : bool, optional
        Mark the source at the centre.
    classifier, pattern, position, service
        As for `~shredfinder.add_p_cnn`. The model gives the size and scale of the cutouts.

    Returns
    -------
    grid : CutoutGrid
        The grid that Jupyter shows if it is the last expression of a cell; ``grid.html`` is its
        HTML.

    Raises
    ------
    ValueError, FileNotFoundError, NotADirectoryError
        If a column does not exist, ``rows`` is invalid, or `~shredfinder.add_p_cnn` would not
        accept the cutouts.

    Examples
    --------
    >>> from shredfinder import ShredTable
    >>> from shredfinder.datasets import make_field
    >>> from shredfinder.table import show_cutouts
    >>> field = make_field(size=320, n_hosts=1, random_state=1)
    >>> table = ShredTable(field.sources)
    >>> table.add_p_cnn(cutouts=field.cutouts())
    >>> show_cutouts(table, field.cutouts(), max_rows=6, columns=["objID", "r"])
    <CutoutGrid: 6 of 10 rows>
    >>> table.show_cutouts(field.cutouts(), rows=table["label"] == "galaxy", cross=True)
    <CutoutGrid: 6 of 6 rows>
    """
    from shredfinder.plotting.thumbnails import CutoutGrid, make_thumbnails

    if max_rows is not None and max_rows < 1:
        raise ValueError(f"max_rows must be positive, or None to show all rows, got {max_rows!r}")
    table = as_table(table)
    columns = table.colnames[:1] if columns is None else list(columns)
    _check_names(table, columns)
    chosen = _sort(table, _choose(rows, len(table)), sort)
    shown = chosen[:max_rows]
    part = table[shown]
    if len(part):
        images = _open(part, shown, len(table), cutouts, classifier, pattern, position, service)
        grid = make_thumbnails(
            images,
            p_cnn=_get_p(part),
            notes=_get_notes(part, images),
            captions=_make_captions(part, columns),
            size=size,
            cross=cross,
        ).html
    else:
        grid = ""
    words = f"{len(shown)} of {len(chosen)} rows"
    if len(chosen) < len(table):
        words += f", selected from {len(table)}"
    return CutoutGrid(f"<div><i>{words}</i>{grid}</div>", len(shown), len(chosen))


def color_scores(html, names):
    """Colour the background of each probability in a table's HTML.

    Parameters
    ----------
    html : str
        HTML of the table, as astropy writes it.
    names : sequence of str
        Columns of the table.

    Returns
    -------
    html : str
        The same, with ``p_cnn`` coloured if the table has such a column.
    """
    if P_NAME not in names:
        return html
    from shredfinder.plotting.thumbnails import make_score_mark

    # astropy writes one row of cells per line of HTML.
    place = list(names).index(P_NAME)

    def color(line):
        cells = list(_CELL.finditer(line))
        # A header line, or a table whose middle columns are left out.
        if len(cells) != len(names):
            return line
        start, stop = cells[place].span(1)
        text = unescape(line[start:stop])
        try:
            p_cnn = float(text)
        except ValueError:  # the dots in place of omitted rows
            return line
        return line[:start] + make_score_mark(p_cnn, text) + line[stop:]

    return "\n".join(color(line) for line in html.split("\n"))


def _choose(rows, n):
    if rows is None:
        return np.arange(n)
    # A masked condition is neither true nor false: such rows are not selected.
    rows = np.ma.filled(np.ma.asarray(rows), False) if np.ma.isMA(rows) else np.asarray(rows)
    if rows.dtype == bool and rows.shape == (n,):
        return np.flatnonzero(rows)
    if rows.ndim == 1 and (rows.dtype.kind in "iu" or not rows.size):
        rows = rows.astype(int)
        if ((rows >= -n) & (rows < n)).all():
            # Negative numbers count from the end.
            return rows % n if n else rows
    raise ValueError(
        f"rows must be a mask of shape ({n},) or row numbers below {n}, got an array of "
        f"{rows.dtype} of shape {rows.shape}"
    )


def _sort(table, rows, name):
    if name is None or (name == P_NAME and P_NAME not in table.colnames):
        return rows
    _check_names(table, [name])
    column = table[name][rows]
    missing = np.ma.getmaskarray(np.ma.asarray(getattr(column, "value", column)))
    values = np.ma.getdata(getattr(column, "value", column))
    if values.dtype.kind == "f":
        missing = missing | np.isnan(values)
    # Ranks can be negated for any type of values.
    ranks = np.unique(values, return_inverse=True)[1].reshape(len(rows))
    # lexsort's last key sorts first: rows with missing values go to the end.
    return rows[np.lexsort((-ranks if name == P_NAME else ranks, missing))]


def _check_names(table, names):
    missing = [name for name in names if name not in table.colnames]
    if missing:
        raise ValueError(
            f"the table has no column {missing[0]!r}: it has {', '.join(table.colnames)}"
        )


def _open(part, shown, n, cutouts, classifier, pattern, position, service):
    """Open the cutouts of the shown rows only."""
    if cutouts is None:
        if not isinstance(position, (str, tuple, list, type(None))):
            position = position[shown]
        options = ScoreOptions(pattern=pattern, position=position, service=service)
        stream, order = open_service(part, load_classifier(classifier), options)
        with stream:
            # argsort of a permutation is its inverse: back to the order of the shown rows.
            images = stream[: len(part)][np.argsort(order)]
    else:
        source = _take(cutouts, shown, n)
        options = ScoreOptions(cutouts=source, pattern=pattern, service=service)
        if not isinstance(source, (Cutouts, CutoutSequence)):
            source = open_cutouts(part, load_classifier(classifier), options)
        images = source[: len(part)]
    return _to_colors(images)


def _take(cutouts, rows, n):
    """Select rows of an input that holds one cutout per row; a folder is returned unchanged."""
    # np.ndim of a list of paths is 1, and of a single path 0.
    sized = isinstance(cutouts, (Cutouts, CutoutSequence)) or np.ndim(cutouts) > 0
    if not sized or isinstance(cutouts, (str, os.PathLike)):
        return cutouts
    if len(cutouts) != n:
        raise ValueError(
            f"the table has {n} rows, got {len(cutouts)} cutouts: give one per row, in the order "
            "of the rows; to show some of the rows, select them with rows="
        )
    if isinstance(cutouts, (Cutouts, np.ndarray)):
        return cutouts[rows]
    if isinstance(cutouts, CutoutSequence):
        # Streams are read forwards.
        order = np.argsort(rows)
        joined = join_cutouts([cutouts[row : row + 1] for row in rows[order].tolist()])
        return joined[np.argsort(order)]
    return [cutouts[row] for row in rows]


def _to_colors(cutouts):
    # Fluxes (nanomaggies) must be mapped to colours before they can be shown.
    if cutouts.color_mapping != FLUX:
        return cutouts
    return Cutouts.of_survey(
        DEFAULT_SURVEY,
        flux_to_rgb(cutouts.images, cutouts.bands, axis=-1),
        flags=cutouts.flags,
        pixel_scale=cutouts.pixel_scale,
    )


def _get_p(part):
    if P_NAME not in part.colnames:
        return None
    return to_floats(part[P_NAME], P_NAME)


def _get_notes(part, images):
    """Return the flags of rows, except those that are shown in place of the image."""
    if FLAG_NAME not in part.colnames:
        return None
    # A plain Table may hold masked flags after a join.
    flags = np.ma.filled(np.ma.asarray(part[FLAG_NAME]).astype("U"), "")
    return np.where(images.good | (flags != images.flags), flags, "")


def _make_captions(part, columns):
    if not columns:
        return None
    texts = [_format(part[name]) for name in columns]
    return ["\n".join(values) for values in zip(*texts, strict=True)]


def _format(column):
    if getattr(column, "format", None) or getattr(column, "dtype", np.dtype("O")).kind != "f":
        return [text.strip() for text in column.info.iter_str_vals()]
    # All sixteen digits would not fit below a cutout.
    return [f"{value:.7g}" for value in np.ma.filled(np.ma.asarray(column), np.nan)]
