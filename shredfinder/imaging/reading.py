"""Image files as cutouts: each file is checked, and a bad one spoils its own row only."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from shredfinder.imaging.checks import CutoutFlag
from shredfinder.imaging.cutouts import Cutouts, CutoutSequence

if TYPE_CHECKING:
    from shredfinder._utils.types import PathLike

__all__ = ["ImageFiles", "read_image"]

# Colour formats that the services deliver. Pillow is asked to try no others, so that no exotic
# decoder ever sees a file.
_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF")
# The list of warning filters is the whole process's: no two threads may change it at once.
_OPENING = threading.Lock()
# Cutouts are about 128 px a side; nothing beyond a whole viewer image (3000 px) is one.
_MAX_PIXELS = 3000 * 3000
# Pillow's modes of one channel, with or without transparency: no colours to tell anything by.
_GREY_MODES = ("1", "L", "LA", "La", "I", "F")


def read_image(
    path: PathLike | None, size: tuple[int, int] | None = None
) -> tuple[np.ndarray | None, CutoutFlag]:
    """Read a colour image, believing nothing.

    Parameters
    ----------
    path : path-like or None
        The file; None where there is none.
    size : tuple of int, optional
        Height and width in pixels that the image must have.

    Returns
    -------
    image : `~numpy.ndarray` or None
        Red, green and blue, of shape ``(height, width, 3)``, uint8; None if it is unusable.
    flag : CutoutFlag
        What is the matter with it.

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
    # Besides missing files, this keeps away names that the file system can't hold, and pipes,
    # which would block.
    if path is None or not os.path.isfile(path):
        return None, CutoutFlag.MISSING
    try:
        # A bomb is refused from its header, before a pixel is decoded.
        with _OPENING, warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            file = Image.open(path, formats=_FORMATS)
        with file:
            if file.width * file.height > _MAX_PIXELS:
                return None, CutoutFlag.OVERSIZED
            if size is not None and (file.height, file.width) != tuple(size):
                return None, CutoutFlag.WRONG_SIZE
            if file.mode in _GREY_MODES or file.mode.startswith("I;"):
                return None, CutoutFlag.WRONG_SIZE
            image = np.asarray(file.convert("RGB"))
    except (FileNotFoundError, PermissionError):
        return None, CutoutFlag.MISSING
    except UnidentifiedImageError:
        return None, CutoutFlag.NOT_AN_IMAGE
    except Image.DecompressionBombError:
        return None, CutoutFlag.OVERSIZED
    except Exception:  # a decoder may raise anything at all on a broken file
        return None, CutoutFlag.CORRUPTED
    return image, CutoutFlag.GOOD


class ImageFiles(CutoutSequence):
    """A sequence of image files that are read when they are asked for.

    A slice gives `~shredfinder.Cutouts`, so that the memory taken does not grow with the number
    of files. Several threads may take slices at once.

    Parameters
    ----------
    paths : sequence of path-like or None
        The files, one a row; None where a row has none.
    size : tuple of int
        Height and width in pixels that each image must have.
    pixel_scale, bands, color_mapping, service
        As for `~shredfinder.Cutouts`.

    Examples
    --------
    >>> from shredfinder.imaging import ImageFiles
    >>> files = ImageFiles(["nowhere.png", None], size=(128, 128), pixel_scale=0.46875, bands="zrg")
    >>> len(files), files[:2].flags.tolist()
    (2, ['missing', 'missing'])
    """

    concurrent = True

    def __init__(
        self, paths: Sequence[PathLike | None], *, size: tuple[int, int], **facts: Any
    ) -> None:
        if isinstance(paths, (str, Path)):
            raise ValueError(f"give a list of image paths, not the single path {str(paths)!r}")
        # A sequence may make its paths when they are asked for: it is not turned into a list.
        self.paths = paths if isinstance(paths, Sequence) else list(paths)
        self.size = (size[0], size[1])
        self.facts = facts

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, rows: Any) -> Cutouts:
        paths = self.paths[rows]
        images = np.zeros((len(paths), *self.size, 3), dtype=np.uint8)
        flags = np.full(len(paths), CutoutFlag.GOOD.value, dtype="U16")
        for i, path in enumerate(paths):
            image, flags[i] = read_image(path, self.size)
            if image is not None:
                images[i] = image
        return Cutouts(images, flags=flags, **self.facts)
