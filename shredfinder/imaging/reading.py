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
from shredfinder.imaging.checks import CutoutFlag, check_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from PIL.Image import Image

    from shredfinder._utils.validation import PathLike

__all__ = [
    "as_paths",
    "decode_image",
    "is_image_name",
    "list_images",
    "load_colors",
    "open_image",
    "read_image",
]

# The formats that the services deliver. Pillow tries no other decoder on an untrusted file.
_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF")
_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".gif")
# Warning filters belong to the whole process, so only one thread at a time may change them.
_OPENING = threading.Lock()
# Cutouts are about 128 px a side. The largest image of the viewer has 3000 px.
_MAX_PIXELS = 3000 * 3000
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
        with open_image(path) as file:
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
    """Decode a Pillow image, and refuse it if it is grey or a drawing.

    Parameters
    ----------
    picture : `PIL.Image.Image`
        The image, of any mode. Pillow's errors on damaged files are not caught.

    Returns
    -------
    image, flag
        As from `read_image`.
    """
    image = load_colors(picture)
    flag = check_file(image)
    # Conversion to RGB clips 16 bits; what is white then may not be blank.
    if picture.mode.startswith(("I", "F")) and np.ptp(np.asarray(picture)) > 0:
        flag = CutoutFlag.WRONG_SIZE
    return (image, flag) if flag == CutoutFlag.GOOD else (None, flag)


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


def open_image(source: PathLike | BinaryIO, formats: tuple[str, ...] = _FORMATS) -> Image:
    """Open an image file, without decoding its pixels: its size can be checked first.

    Parameters
    ----------
    source : path-like or file object
        The file.
    formats : tuple of str, optional
        Pillow's names of the formats to try.

    Returns
    -------
    file : `PIL.Image.Image`
        The opened file.

    Raises
    ------
    PIL.Image.DecompressionBombError
        If it claims more than 179 million pixels.
    OSError
        If it is not a file of one of the formats.
    """
    from PIL import Image

    with _OPENING, warnings.catch_warnings():
        # The caller compares the size, and does not decode a larger image than it expects.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return Image.open(source, formats=formats)


def load_colors(file: Image) -> np.ndarray:
    """Decode the pixels of an opened image file.

    Parameters
    ----------
    file : `PIL.Image.Image`
        The file, in any of Pillow's modes.

    Returns
    -------
    image : `~numpy.ndarray`
        Red, green and blue, of shape ``(height, width, 3)``, uint8; black where the file is
        transparent, as services fill regions without data.
    """
    with strict_decoding():
        file.load()
        if not file.has_transparency_data:
            return np.asarray(file if file.mode == "RGB" else file.convert("RGB"))
        pixels = np.array(file.convert("RGBA"))
    pixels[pixels[..., 3] == 0] = 0
    return np.ascontiguousarray(pixels[..., :3])


def is_image_name(path: PathLike) -> bool:
    """Return whether a file name has the extension of an image."""
    return os.fsdecode(path).lower().endswith(_SUFFIXES)


def list_images(folder: PathLike) -> list[str]:
    """Return the paths of the image files in a folder, sorted by name.

    Parameters
    ----------
    folder : path-like
        The folder; files in its subfolders are not listed.

    Returns
    -------
    paths : list of str
        At least one path.

    Raises
    ------
    ValueError
        If there is no image file.
    """
    folder = os.fsdecode(folder)
    # Names that begin with a dot are unfinished or belong to the system.
    with os.scandir(folder) as entries:
        names = [
            e.name for e in entries if is_image_name(e.name) and e.name[0] != "." and e.is_file()
        ]
    if not names:
        raise ValueError(
            f"the folder {folder!r} holds no image: images end in {', '.join(_SUFFIXES)}"
        )
    return [os.path.join(folder, name) for name in sorted(names)]


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
