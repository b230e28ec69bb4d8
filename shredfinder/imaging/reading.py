"""Reading of single image files, with checks."""

from __future__ import annotations

import contextlib
import os
import threading
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from shredfinder._utils.files import list_extensions
from shredfinder.imaging.checks import CutoutFlag

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL.Image import Image

    from shredfinder._utils.validation import PathLike

__all__ = ["as_paths", "decode_image", "read_image", "strict_decoding"]

# The formats that the services deliver. Pillow tries no other decoder on an untrusted file.
_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF")
# Warning filters belong to the whole process, so only one thread at a time may change them.
_OPENING = threading.Lock()
# Cutouts are about 128 px a side. The largest image of the viewer has 3000 px.
_MAX_PIXELS = 3000 * 3000
# Ripple of JPEG compression on a blank image, in levels of 255.
_BLANK_LEVELS = 2
# The threads that decode, and the setting to restore after the last one.
_DECODING = threading.Lock()
_decoders: list[None] = []
_lenient: list[bool] = []


def read_image(
    path: PathLike | None, size: tuple[int, int] | None = None
) -> tuple[np.ndarray | None, CutoutFlag]:
    """Read a colour image and check it.

    Parameters
    ----------
    path : path-like or None
        The file; None for a row without one.
    size : tuple of int, optional
        Height and width in pixels that the image must have.

    Returns
    -------
    image : `~numpy.ndarray` or None
        Red, green and blue, of shape ``(height, width, 3)``, uint8; None if it cannot be used.
    flag : CutoutFlag
        Why the image cannot be used; empty if it can.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from PIL import Image
    >>> from shredfinder.imaging import read_image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "galaxy.png"
    ...     Image.fromarray(np.full((64, 64, 3), 90, np.uint8)).save(path)
    ...     image, flag = read_image(path)
    ...     _, other = read_image(path, size=(128, 128))
    >>> image.shape, flag.value, other.value
    ((64, 64, 3), '', 'wrong size')
    """
    from PIL import Image, UnidentifiedImageError

    # This also excludes invalid file names, and pipes, which would block.
    if path is None or not os.path.isfile(path):
        return None, CutoutFlag.MISSING
    try:
        # A decompression bomb is refused by its header, before any pixel is decoded.
        with _OPENING, warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            file = Image.open(path, formats=_FORMATS)
        with file:
            if file.width * file.height > _MAX_PIXELS:
                return None, CutoutFlag.OVERSIZED
            if size is not None and (file.height, file.width) != tuple(size):
                return None, CutoutFlag.WRONG_SIZE
            return decode_image(file)
    except (FileNotFoundError, PermissionError):
        return None, CutoutFlag.MISSING
    except UnidentifiedImageError:
        return None, CutoutFlag.WRONG_SIZE if _is_grey_fits(path) else CutoutFlag.NOT_AN_IMAGE
    except Image.DecompressionBombError:
        return None, CutoutFlag.OVERSIZED
    except Exception:  # decoders raise many kinds of errors on broken files
        return None, CutoutFlag.CORRUPTED


def decode_image(picture: Image) -> tuple[np.ndarray | None, CutoutFlag]:
    """Decode a Pillow image, and refuse it if it is grey.

    Parameters
    ----------
    picture : `PIL.Image.Image`
        The image, of any mode. Pillow's errors on damaged files are not caught.

    Returns
    -------
    image, flag
        As from `read_image`.
    """
    with strict_decoding():
        picture.load()
        image = np.asarray(picture.convert("RGB"))
        # Conversion to RGB clips 16 bits; what is white then may not be blank.
        deep = picture.mode.startswith(("I", "F"))
        grey = np.ptp(np.asarray(picture)) > 0 if deep else _is_grey(image)
    # A single band saved as grey or as RGB has the wrong number of channels for a colour model.
    return (None, CutoutFlag.WRONG_SIZE) if grey else (image, CutoutFlag.GOOD)


def _is_grey_fits(path: PathLike) -> bool:
    """Return whether a file is a FITS image of a single band."""
    from astropy.io import fits

    try:
        with fits.open(path) as hdus:
            shapes = [hdu.shape for hdu in list_extensions(hdus) if hdu.is_image and hdu.shape]
    except Exception:  # no FITS file, or a broken one
        return False
    return bool(shapes) and (len(shapes[0]) == 2 or shapes[0][0] == 1)


@contextlib.contextmanager
def strict_decoding() -> Iterator[None]:
    """Make Pillow raise an error on truncated files, even if another package has set otherwise.

    The setting belongs to the whole process, so it is restored when no thread decodes.

    Yields
    ------
    None
        Images are decoded inside the context; `PIL.Image.open` only reads their headers.
    """
    from PIL import ImageFile

    with _DECODING:
        if not _decoders:
            _lenient[:] = [ImageFile.LOAD_TRUNCATED_IMAGES]
            ImageFile.LOAD_TRUNCATED_IMAGES = False
        _decoders.append(None)
    try:
        yield
    finally:
        with _DECODING:
            _decoders.pop()
            if not _decoders:
                (ImageFile.LOAD_TRUNCATED_IMAGES,) = _lenient


def _is_grey(image):
    """Return whether all channels are equal, in whatever mode the file stores them.

    An image of a single value is not called grey: it is blank.
    """
    # A coarse grid shows most colour images at once.
    for part in (image[::16, ::16], image):
        if (part != part[..., :1]).any():
            return False
    return bool(np.ptp(image) > _BLANK_LEVELS)


def as_paths(X: Any) -> Sequence[PathLike | None] | None:
    """Return the paths that an input holds, with None for missing values.

    Parameters
    ----------
    X : sequence
        A list, array, table column, pandas Series or Arrow array.

    Returns
    -------
    paths : sequence of path-like or None
        None if the input holds images rather than paths.

    Raises
    ------
    ValueError
        If the input is not a sequence, or holds neither paths nor images.
    """
    if isinstance(X, Sequence) and not isinstance(X, (list, tuple, bytes)):
        return X  # paths that are formatted on demand
    if isinstance(X, (bytes, set, dict)) or not hasattr(X, "__len__"):
        raise ValueError(
            "images must be a Cutouts object, an array of shape (n, height, width, bands) or a "
            f"list of paths, got {type(X).__name__}"
        )
    if getattr(X, "ndim", 1) != 1:
        return None
    # NumPy, pandas and astropy have tolist; Arrow has to_pylist.
    to_list = getattr(X, "to_pylist", None) or getattr(X, "tolist", None)
    items = list(X) if to_list is None else to_list()
    paths = [None if _is_missing(item) else item for item in items]
    paths = [os.fsdecode(path) if isinstance(path, bytes) else path for path in paths]
    others = [path for path in paths if not isinstance(path, (str, os.PathLike, type(None)))]
    if not others:
        return paths
    if len(others) == len(paths) and all(np.ndim(image) == 3 for image in others):
        return None
    raise ValueError(
        "a list of cutouts must hold paths, or None for a row without a file, got "
        f"{type(others[0]).__name__}: stack images into one array with numpy.stack"
    )


def _is_missing(item):
    # NaN, and the missing values of pandas, differ from themselves or have no truth value.
    return (
        item is None
        or item is np.ma.masked
        or type(item).__name__ in ("NAType", "NaTType")
        or (isinstance(item, float) and np.isnan(item))
    )
