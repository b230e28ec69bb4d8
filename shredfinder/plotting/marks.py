"""What the figures have in common: canvases, and marks on them."""

import numpy as np

from shredfinder._utils.runtime import import_optional

__all__ = ["COLORS", "draw_circles", "draw_cross", "make_figure"]

# Colours that stay apart for colour-blind readers (Okabe & Ito 2008, Color Universal Design).
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")


def make_figure(width, height):
    """Make a figure, of a size in inches, that pyplot does not know of."""
    figure_class = import_optional("matplotlib.figure", "drawing a figure").Figure
    return figure_class(figsize=(width, height), layout="constrained")


def draw_cross(ax, x, y, gap, length, **style):
    """Draw four short lines around a place, which stays to be seen; all in pixels."""
    for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        ax.plot(
            [x + gap * dx, x + (gap + length) * dx],
            [y + gap * dy, y + (gap + length) * dy],
            **style,
        )


def draw_circles(ax, x, y, radii, **style):
    """Draw circles, with radii in pixels, that do not move the axes' limits; give them."""
    circles = import_optional("matplotlib.collections", "drawing a figure").EllipseCollection(
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
