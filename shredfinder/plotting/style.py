"""Colours, figures and marks that the plots share."""

from __future__ import annotations

import io
import math
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from shredfinder._utils.runtime import import_optional

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import EllipseCollection
    from matplotlib.figure import Figure

    _Shown = TypeVar("_Shown", Axes, Figure)

__all__ = [
    "COLORS",
    "UNSCORED_SHADE",
    "draw_circles",
    "draw_cross",
    "get_shade",
    "get_text_color",
    "make_axes",
    "make_figure",
]

# Distinct for colour-blind readers (Okabe & Ito 2008, Color Universal Design).
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
# Shades at p_cnn = 0, 0.5 and 1. Lightness rises throughout, so that they differ for colour-blind
# readers and in grey prints. Shreds are yellow, as in the plots of fields.
_ANCHORS = ((0x1F, 0x4E, 0x8C), (0x8D, 0x8F, 0x94), (0xFF, 0xE1, 0x1A))
UNSCORED_SHADE = "#c4c4c4"


def get_shade(p_cnn: float) -> str:
    """Return the colour of a score.

    Parameters
    ----------
    p_cnn : float
        Probability of being a shred, clipped to 0–1.

    Returns
    -------
    color : str
        ``"#rrggbb"``, from blue (0) through grey (0.5) to yellow (1); a lighter grey for NaN.
    """
    if math.isnan(p_cnn):
        return UNSCORED_SHADE
    place = 2 * min(max(p_cnn, 0.0), 1.0)
    # Linear interpolation between the two nearest anchors.
    low, high = _ANCHORS[:2] if place < 1 else _ANCHORS[1:]
    part = place % 1 if place < 2 else 1.0
    return "#" + "".join(f"{round(a + part * (b - a)):02x}" for a, b in zip(low, high, strict=True))


def get_text_color(shade: str) -> str:
    """Return the colour of text on a shade: black or white, whichever has the higher contrast.

    Parameters
    ----------
    shade : str
        The background, as ``"#rrggbb"``.

    Returns
    -------
    color : str
        ``"#000000"`` or ``"#ffffff"``.

    Notes
    -----
    Contrast is that of the Web Content Accessibility Guidelines 2.1, from relative luminance.
    """
    # Relative luminance and contrast as the web accessibility guidelines (WCAG 2) define them.
    red, green, blue = (
        channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4
        for channel in (int(shade[i : i + 2], 16) / 255 for i in (1, 3, 5))
    )
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return "#000000" if (luminance + 0.05) ** 2 > 0.05 * 1.05 else "#ffffff"


def make_figure(width: float, height: float, **layout: Any) -> Figure:
    """Create a figure of a size in inches, which pyplot does not manage.

    Parameters
    ----------
    width, height : float
        Size in inches.
    **layout
        Arguments of `matplotlib.layout_engine.ConstrainedLayoutEngine`.

    Returns
    -------
    figure : `~matplotlib.figure.Figure`
        The figure.
    """
    figure_class = import_optional("matplotlib.figure", "plotting").Figure
    engine = import_optional("matplotlib.layout_engine", "plotting").ConstrainedLayoutEngine
    # Figures outside pyplot need no display and do not pile up in long runs.
    figure = figure_class(figsize=(width, height), layout=engine(**layout))
    return _show_in_jupyter(figure)


def make_axes(width: float, height: float, projection: Any = None) -> Axes:
    """Create the axes of a figure of a size in inches, which pyplot does not manage.

    Parameters
    ----------
    width, height : float
        Size in inches.
    projection : optional
        Projection of the axes, such as an `~astropy.wcs.WCS`.

    Returns
    -------
    ax : `~matplotlib.axes.Axes`
        The axes. Jupyter shows their figure.
    """
    return _show_in_jupyter(make_figure(width, height).add_subplot(projection=projection))


def _show_in_jupyter(shown: _Shown) -> _Shown:
    """Let IPython display a figure, or that of axes; it does so by itself only for pyplot's."""
    shown._repr_png_ = partial(_to_png, shown)  # type: ignore[attr-defined]
    return shown


def _to_png(shown: Any) -> bytes:
    """Return a figure, or that of axes, as a PNG image."""
    file = io.BytesIO()
    # The attribute of a figure is the figure itself.
    shown.figure.savefig(file, format="png", bbox_inches="tight")
    return file.getvalue()


def draw_cross(ax: Axes, x: float, y: float, gap: float, length: float, **style: Any) -> None:
    """Draw four short lines around a position, with a gap that leaves it visible; in pixels."""
    for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        ax.plot(
            [x + gap * dx, x + (gap + length) * dx],
            [y + gap * dy, y + (gap + length) * dy],
            **style,
        )


def draw_circles(
    ax: Axes, x: np.ndarray, y: np.ndarray, radii: np.ndarray, **style: Any
) -> EllipseCollection:
    """Draw circles, with radii in pixels, without changing the limits of the axes."""
    circles = import_optional("matplotlib.collections", "plotting").EllipseCollection(
        2 * radii,
        2 * radii,
        np.zeros(len(x)),
        units="xy",
        offsets=np.column_stack([x, y]),
        offset_transform=ax.transData,
        facecolors="none",
        **style,
    )
    ax.add_collection(circles, autolim=False)
    return circles
