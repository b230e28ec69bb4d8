"""What the figures have in common: canvases, and marks on them."""

import math

import numpy as np

from shredfinder._utils.runtime import import_optional

__all__ = [
    "COLORS",
    "NO_ANSWER_SHADE",
    "draw_circles",
    "draw_cross",
    "get_shade",
    "get_text_color",
    "make_figure",
]

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


# From p_cnn = 0 over 0.5 to 1. Their lightness grows all along, so that colour-blind readers and
# grey prints tell them apart; shreds are of the yellow that figures mark them with.
_ANCHORS = ((0x1F, 0x4E, 0x8C), (0x8D, 0x8F, 0x94), (0xFF, 0xE1, 0x1A))
NO_ANSWER_SHADE = "#c4c4c4"


def get_shade(p_cnn):
    """Give the colour of a probability.

    Parameters
    ----------
    p_cnn : float
        Probability of being a shred, in 0–1; what lies outside is taken for the nearer end.

    Returns
    -------
    color : str
        As ``"#rrggbb"``: from blue (0) over grey (0.5) to yellow (1); a lighter grey for NaN.
    """
    if math.isnan(p_cnn):
        return NO_ANSWER_SHADE
    place = 2 * min(max(p_cnn, 0.0), 1.0)
    low, high = _ANCHORS[:2] if place < 1 else _ANCHORS[1:]
    part = place % 1 if place < 2 else 1.0
    return "#" + "".join(f"{round(a + part * (b - a)):02x}" for a, b in zip(low, high, strict=True))


def get_text_color(shade):
    """Give the colour, black or white, of text that is to be read on a shade.

    Parameters
    ----------
    shade : str
        The background, as ``"#rrggbb"``.

    Returns
    -------
    color : str
        The one of the higher contrast by the formula of the Web Content Accessibility Guidelines.
    """
    red, green, blue = (
        channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4
        for channel in (int(shade[i : i + 2], 16) / 255 for i in (1, 3, 5))
    )
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return "#000000" if (luminance + 0.05) ** 2 > 0.05 * 1.05 else "#ffffff"
