"""Cutouts as labellers see them: checked, and encoded anew."""

import io

from PIL import Image

from shredfinder.imaging.reading import read_image

__all__ = ["encode_cutout"]


def encode_cutout(path):
    """Read a cutout and encode it as a PNG.

    Nothing but pixels passes: neither what else the file holds, nor a file that is no image.

    Parameters
    ----------
    path : path-like or None
        The image file.

    Returns
    -------
    png : bytes or None
        The image; None if it is unusable.
    flag : str
        Why it is, such as ``"missing"``; empty otherwise.
    """
    image, flag = read_image(path)
    if image is None:
        return None, str(flag)
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue(), ""
