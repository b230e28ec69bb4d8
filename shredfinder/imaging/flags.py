"""Why a row has no usable image: one enumeration for the whole package."""

import enum

__all__ = ["CutoutFlag"]


class CutoutFlag(enum.StrEnum):
    """What is the matter with a cutout; the empty string where nothing is.

    Tables carry the values as plain strings in their column ``p_cnn_flag``.

    Examples
    --------
    >>> from shredfinder.imaging import CutoutFlag
    >>> CutoutFlag.NO_COVERAGE == "no coverage"
    True
    >>> [flag.value for flag in CutoutFlag][:3]
    ['', 'missing', 'no position']
    """

    GOOD = ""
    """The cutout can be scored."""
    MISSING = "missing"
    """There is no such file, or the row names none."""
    NO_POSITION = "no position"
    """The row's coordinates are masked, not finite or not on the sky."""
    NO_COVERAGE = "no coverage"
    """The survey has no data at the source's position."""
    BLANK = "blank"
    """The image is of one colour throughout."""
    NOT_AN_IMAGE = "not an image"
    """The file is no image of a known format."""
    CORRUPTED = "corrupted"
    """The image is truncated or can't be decoded, or its values are not finite."""
    OVERSIZED = "oversized"
    """The image holds far more pixels than a cutout (a decompression bomb)."""
    WRONG_SIZE = "wrong size"
    """The image's width, height or number of channels is not as it should be."""
    WRONG_POSITION = "wrong position"
    """The image shows another part of the sky, or at another scale or orientation."""
    FAILED = "failed"
    """The service did not deliver the cutout; another run may."""
    NOT_SCORED = "not scored"
    """The row came from a table without scores, in a join or a stack."""
    OTHER_COLORS = "other colors"
    """Scored on request, though its colours are not those that the model was trained on."""
