"""Colours that tell a probability: blue for galaxies, yellow for shreds."""

import math

__all__ = ["NO_ANSWER_SHADE", "get_shade", "get_text_color"]

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
