"""FITS images in folders, and the bands that they show."""

import re
from pathlib import Path

from shredfinder._utils.files import list_extensions

__all__ = ["find_images"]

# How the Legacy Surveys name the images of a brick; others lie beside them.
_BRICK_FILES = "*-image-{band}.fits*"
_FITS_NAME = re.compile(r"\.fits?(\.fz|\.gz|\.bz2)?$", re.IGNORECASE)
_FILTER_KEYS = ("FILTER", "BAND", "FILTNAM")


def find_images(folder, bands):
    """Find a folder's images, in any depth of subfolders.

    Parameters
    ----------
    folder : path-like
        The folder.
    bands : sequence of str
        Bands that are asked for, in the order of the planes of cubes.

    Returns
    -------
    images : list of tuple
        Path and bands of each image: those of the Legacy Surveys' bricks (``*-image-g.fits.fz``
        and so on) where there are any, else of all FITS files, whose bands the header tells
        (``FILTER`` or ``BAND``), or the file's name.

    Raises
    ------
    ValueError
        If there is no image, or one whose band nothing tells.
    """
    folder = Path(folder)
    bricks = [
        (str(path), (band,))
        for band in bands
        for path in sorted(folder.rglob(_BRICK_FILES.format(band=band)))
    ]
    if bricks:
        return bricks
    paths = sorted(path for path in folder.rglob("*") if _FITS_NAME.search(path.name))
    if not paths:
        raise ValueError(
            f"the folder {str(folder)!r} holds no FITS images: name a folder of bricks "
            f"({_BRICK_FILES.format(band=bands[0])} and so on) or of other FITS images"
        )
    images = []
    for path in paths:
        found = _find_bands(path, bands)
        if found is None:
            raise ValueError(
                f"nothing tells which of the bands {', '.join(bands)} the image {str(path)!r} is "
                f"of, neither {' nor '.join(_FILTER_KEYS)} in its header nor its name: give a "
                "dict of bands and files"
            )
        images.append((str(path), found))
    # Images of other bands than those asked for are left alone.
    return [(path, found) for path, found in images if set(found) <= set(bands)]


def _find_bands(path, bands):
    """Find out the bands of a file; None if nothing tells them."""
    header = _read_header(path)
    if header.get("NAXIS") == 3 and header.get("NAXIS3") == len(bands):
        return tuple(bands)
    for key in _FILTER_KEYS:
        words = str(header.get(key, "")).split()
        if words:
            # Such as "g DECam SDSS c0001 4720.0 1520.0".
            return (words[0],)
    words = [word for word in re.split(r"[-_.\s]", path.name) if word in bands]
    return (words[0],) if len(words) == 1 else None


def _read_header(path):
    from astropy.io import fits

    with fits.open(path) as hdus:
        return next(
            (hdu.header for hdu in list_extensions(hdus) if hdu.is_image and hdu.shape),
            hdus[0].header,
        )
