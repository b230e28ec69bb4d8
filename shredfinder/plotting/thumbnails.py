"""Cutouts as HTML thumbnails, for notebooks and pages, without matplotlib."""

from __future__ import annotations

import base64
import io
from html import escape
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from shredfinder.plotting.style import UNSCORED_SHADE, get_shade, get_text_color

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shredfinder.imaging.cutouts import Cutouts

__all__ = ["CutoutGrid", "make_data_uri", "make_score_mark", "make_thumbnails"]

# Styles are inline, since many notebook viewers drop style sheets. Text without a colour of its own
# inherits that of the page, light or dark.
_GRID = "display:flex;flex-wrap:wrap;gap:10px 8px;margin:6px 0"
_CELL = "margin:0;font:12px/1.35 system-ui,-apple-system,'DejaVu Sans',sans-serif"
_MARK = "padding:1px 5px;border-radius:3px;font-variant-numeric:tabular-nums"
_HOLE = (
    "display:flex;align-items:center;justify-content:center;text-align:center;box-sizing:border-box;"
    "border:1px dashed #8a8a8a;border-radius:3px;opacity:.75"
)
# Long identifiers are broken into lines, and shown whole.
_LINE = "overflow-wrap:anywhere"
# Crosshairs as in plot_gallery: four short lines that leave the source visible.
_CROSS = (
    '<svg viewBox="0 0 100 100" style="position:absolute;inset:0;width:100%;height:100%">'
    '<path d="M54 50h8M46 50h-8M50 54v8M50 46v-8" stroke="#ff4d4d" stroke-width="1.6"/></svg>'
)


class CutoutGrid:
    """A grid of cutouts for a notebook.

    Jupyter displays the grid; ``html`` can be inserted into any page.

    Parameters
    ----------
    html : str
        HTML of the grid.
    n_shown, n_all : int
        Number of cutouts shown, and of all rows.

    Examples
    --------
    >>> from shredfinder.plotting import CutoutGrid
    >>> CutoutGrid("<div>…</div>", 24, 310)
    <CutoutGrid: 24 of 310 rows>
    """

    def __init__(self, html: str, n_shown: int, n_all: int) -> None:
        self.html = html
        self.n_shown, self.n_all = n_shown, n_all

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return f"<CutoutGrid: {self.n_shown} of {self.n_all} rows>"


def make_thumbnails(
    cutouts: Cutouts,
    *,
    p_cnn: np.ndarray | Sequence[float] | None = None,
    notes: Sequence[str] | None = None,
    captions: Sequence[str] | None = None,
    size: int = 96,
    cross: bool = True,
) -> CutoutGrid:
    """Create a grid of thumbnails, with scores, notes and captions.

    Parameters
    ----------
    cutouts : Cutouts
        Colour images, ``n`` of them. Unusable ones are shown as empty frames with their flag.
    p_cnn : array_like, optional
        Probabilities of being a shred, of shape ``(n,)``; NaN if unscored. They are shown on a
        coloured background, from blue (0) through grey to yellow (1).
    notes : sequence of str, optional
        Text beside each score, such as the row's flag; may be empty.
    captions : sequence of str, optional
        One or more lines below each thumbnail, broken at its width.
    size : int, optional
        Width and height of each thumbnail on the page, in CSS pixels. The images keep their own
        resolution, for high-density screens.
    cross : bool, optional
        Whether to draw crosshairs on the centres.

    Returns
    -------
    grid : CutoutGrid
        The grid. Its HTML is self-contained.

    Raises
    ------
    ValueError
        If the cutouts are not in colour, or scores, notes or captions differ in number.

    See Also
    --------
    plot_gallery : the same as a matplotlib figure.
    shredfinder.table.show_cutouts : cutouts of the rows of a table.

    Examples
    --------
    >>> from shredfinder.datasets import make_field
    >>> from shredfinder.plotting import make_thumbnails
    >>> cutouts = make_field(size=320, n_hosts=1, random_state=1).cutouts()[:4]
    >>> grid = make_thumbnails(cutouts, p_cnn=[0.9, 0.8, 0.2, float("nan")], cross=True)
    >>> grid
    <CutoutGrid: 4 of 4 rows>
    >>> grid.html.count("<img")
    4
    """
    n = len(cutouts)
    if cutouts.images.shape[-1] != 3:
        raise ValueError(
            f"thumbnails need images with three channels: got shape {cutouts.images.shape}"
        )
    for what, values in (("scores", p_cnn), ("notes", notes), ("captions", captions)):
        if values is not None and len(values) != n:
            raise ValueError(f"there are {n} cutouts but {len(values)} {what}: give one per cutout")
    cells = []
    for i, good in enumerate(cutouts.good):
        parts = [_frame(cutouts.images[i] if good else None, cutouts.flags[i], size, cross)]
        # Flags and captions come from catalogues, so they are escaped.
        words = "" if notes is None else escape(str(notes[i]))
        if p_cnn is not None:
            words = f"{make_score_mark(p_cnn[i])} {words}"
        if words:
            parts.append(f'<div style="margin-top:2px">{words}</div>')
        for line in () if captions is None else str(captions[i]).split("\n"):
            text = escape(line)
            parts.append(f'<div style="{_LINE};opacity:.75">{text}</div>')
        cells.append(f'<figure style="{_CELL};width:{size}px">{"".join(parts)}</figure>')
    return CutoutGrid(f'<div style="{_GRID}">{"".join(cells)}</div>', n, n)


def make_score_mark(p_cnn: float, text: str | None = None) -> str:
    """Format a score on its background colour.

    Parameters
    ----------
    p_cnn : float
        The score; NaN if unscored.
    text : str, optional
        Text to show; by default the score with two digits, or ``"unscored"``.

    Returns
    -------
    html : str
        A ``span`` element.
    """
    p_cnn = float(p_cnn)
    shade = get_shade(p_cnn)
    if text is None:
        text = "unscored" if shade == UNSCORED_SHADE else f"{p_cnn:.2f}"
    style = f"background:{shade};color:{get_text_color(shade)};{_MARK}"
    return f'<span style="{style}">{escape(text)}</span>'


def make_data_uri(content: bytes, kind: str) -> str:
    """Encode an image file as a data URI.

    Parameters
    ----------
    content : bytes
        The image file.
    kind : str
        Format: ``"jpeg"`` or ``"png"``.

    Returns
    -------
    uri : str
        URI for the ``src`` of an ``img`` element.
    """
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _frame(image: np.ndarray | None, flag: str, size: int, cross: bool) -> str:
    if image is None:
        words = escape(str(flag))
        return f'<div style="{_HOLE};width:{size}px;height:{size}px">{words}</div>'
    buffer = io.BytesIO()
    Image.fromarray(_to_bytes(image)).save(buffer, "JPEG", quality=85)
    return (
        f'<div style="position:relative;width:{size}px;height:{size}px">'
        f'<img alt="cutout" src="{make_data_uri(buffer.getvalue(), "jpeg")}" '
        f'style="width:100%;height:100%;max-width:none;margin:0;display:block;border-radius:3px">'
        f"{_CROSS if cross else ''}</div>"
    )


def _to_bytes(image: np.ndarray) -> np.ndarray:
    if image.dtype == np.uint8:
        return image
    return (np.clip(image, 0, 1) * 255).round().astype(np.uint8)
