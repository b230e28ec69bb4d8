"""Cutouts as folders, FITS and HDF5 files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from shredfinder._utils.files import atomic_write, list_extensions, reading_errors
from shredfinder._utils.runtime import import_optional
from shredfinder.imaging.checks import CutoutFlag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from astropy.table import Table

    from shredfinder._utils.types import PathLike
    from shredfinder.imaging.cutouts import Cutouts

__all__ = ["INDEX_NAME", "read_cutouts", "write_cutouts", "write_images", "write_index"]

_SUFFIXES = {
    ".fits": "fits",
    ".fit": "fits",
    ".fits.gz": "fits",
    ".h5": "hdf5",
    ".hdf5": "hdf5",
    "": "folder",
}
INDEX_NAME = "cutouts.ecsv"
_FACTS = ("pixel_scale", "bands", "color_mapping", "service")
_FITS_KEYS = {
    "pixel_scale": ("PIXSCALE", "[arcsec] pixel scale"),
    "bands": ("BANDS", "bands of the channels"),
    "color_mapping": ("COLORMAP", "mapping from fluxes to values"),
    "service": ("SERVICE", "where the images come from"),
}


def _check_names(names):
    given = [name for name in names if name is not None]
    for name in given:
        if not name or Path(name).is_absolute() or ".." in Path(name).parts or name == INDEX_NAME:
            raise ValueError(f"{name!r} is no name of a file within the folder")
        if not name.isprintable():  # the list of files has a line for each
            raise ValueError(f"the file name {name!r} holds characters that can't be printed")
    if len(set(given)) < len(given):
        double = next(name for name in given if given.count(name) > 1)
        raise ValueError(f"several cutouts would be written to the file {double!r}")


def write_cutouts(
    cutouts: Cutouts,
    path: PathLike,
    *,
    file_format: Literal["folder", "fits", "hdf5"] | None = None,
    names: Sequence[str | None] | None = None,
    table: Table | None = None,
    overwrite: bool = False,
) -> Path:
    """Write cutouts to a folder or a file.

    Parameters
    ----------
    cutouts : Cutouts
        What to write.
    path : path-like
        A folder, or a file ending in ``.fits``, ``.h5`` or ``.hdf5``.
    file_format : {"folder", "fits", "hdf5"}, optional
        By default what the path's ending says; a path without one is a folder.
    names : sequence of str or None, optional
        For a folder: file names, one a cutout, by default ``000000.png`` and so on; they may
        name subfolders, and a cutout whose name is None is not written. Colour
        images are PNG files whatever their names end in, unless that is ``.jpg``, which loses
        detail; fluxes are FITS files.
    table : `~astropy.table.Table`, optional
        For a folder: rows that go into its list of files, one a cutout.
    overwrite : bool, optional
        Replace what is there; otherwise an existing file is an error.

    Returns
    -------
    path : `~pathlib.Path`
        What was written. A folder holds the usable images and a list of all rows,
        ``cutouts.ecsv``, with the columns ``path`` (empty where there is no usable image) and
        ``flag``.

    Raises
    ------
    OSError
        If the file is there already, or its folder is not.
    ValueError
        If the number of names or rows does not fit.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from shredfinder import Cutouts
    >>> from shredfinder.imaging import read_cutouts, write_cutouts
    >>> images = np.random.default_rng(0).integers(0, 255, (3, 32, 32, 3), dtype=np.uint8)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = write_cutouts(Cutouts.of_survey("legacy-dr9", images), f"{folder}/mine.fits")
    ...     read_cutouts(path)
    <Cutouts: 3 of 32×32 px at 0.46875 arcsec/px, bands zrg, 0 unusable>
    """
    path = Path(path)
    file_format = _find_format(path, file_format)
    for what, given in (("names", names), ("rows of the table", table)):
        if given is not None and len(given) != len(cutouts):
            raise ValueError(f"there are {len(cutouts)} cutouts but {len(given)} {what}")
    if file_format != "folder" and (names is not None or table is not None):
        raise ValueError(f"names and table are for folders, not for a {file_format} file")
    existing = path / INDEX_NAME if file_format == "folder" else path
    if existing.exists() and not overwrite:
        raise OSError(f"{str(existing)!r} is there already: choose overwrite=True to replace it")
    if file_format == "folder":
        _write_folder(cutouts, path, names, table)
    else:
        with atomic_write(path) as temporary:
            {"fits": _write_fits, "hdf5": _write_hdf5}[file_format](cutouts, temporary)
    return path


def read_cutouts(
    path: PathLike, *, file_format: Literal["folder", "fits", "hdf5"] | None = None
) -> Cutouts:
    """Read what `write_cutouts` wrote.

    Parameters
    ----------
    path : path-like
        A folder or a file.
    file_format : {"folder", "fits", "hdf5"}, optional
        By default what the path's ending says.

    Returns
    -------
    cutouts : ~shredfinder.Cutouts
        The cutouts, checked anew. Rows without a file keep their flag; their images are zero,
        or NaN where the images are not uint8.

    Raises
    ------
    OSError
        If there is no such file.
    ValueError
        If it holds no cutouts.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from shredfinder import Cutouts
    >>> from shredfinder.imaging import read_cutouts, write_cutouts
    >>> images = np.random.default_rng(0).integers(0, 255, (2, 32, 32, 3), dtype=np.uint8)
    >>> cutouts = Cutouts(images, pixel_scale=0.46875, bands="zrg")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = write_cutouts(cutouts, folder + "/cutouts.fits")
    ...     read_cutouts(path)
    <Cutouts: 2 of 32×32 px at 0.46875 arcsec/px, bands zrg, 0 unusable>
    """
    from shredfinder.imaging.cutouts import Cutouts

    path = Path(path)
    file_format = _find_format(path, file_format)
    read = {"folder": _read_folder, "fits": _read_fits, "hdf5": _read_hdf5}[file_format]
    with reading_errors(path, "the cutouts"):
        images, flags, facts = read(path)
        return Cutouts(images, flags=flags, **facts)


def _find_format(path, file_format):
    formats = sorted(set(_SUFFIXES.values()))
    if file_format is None:
        if path.is_dir():
            return "folder"
        name = path.name.lower()
        suffix = ".fits.gz" if name.endswith(".fits.gz") else path.suffix.lower()
        file_format = _SUFFIXES.get(suffix)
        if file_format is None:
            raise ValueError(
                f"the ending of {str(path)!r} tells no format: end it in .fits or .h5, or give "
                f"file_format, one of {', '.join(formats)}"
            )
    elif file_format not in formats:
        raise ValueError(f"file_format must be one of {', '.join(formats)}, not {file_format!r}")
    return file_format


def _facts(cutouts):
    facts = {name: getattr(cutouts, name) for name in _FACTS}
    return facts | {"bands": ",".join(facts["bands"])}


def _parse_facts(values, where):
    if not values.get("pixel_scale") or not values.get("bands"):
        raise ValueError(f"{where} holds no cutouts: pixel scale and bands are missing")
    return {
        "pixel_scale": float(values["pixel_scale"]),
        "bands": tuple(str(values["bands"]).split(",")),
        "color_mapping": values.get("color_mapping") or None,
        "service": values.get("service") or None,
    }


def _write_folder(cutouts, path, names, table):
    if names is None:
        suffix = ".png" if _is_color(cutouts) else ".fits"
        names = [f"{i:06d}{suffix}" for i in range(len(cutouts))]
    names = [name if good else None for name, good in zip(names, cutouts.good, strict=True)]
    write_images(cutouts, path, names)
    write_index(cutouts, path, names, cutouts.flags, table)


def write_images(cutouts, folder, names):
    """Write the images of cutouts to a folder, without a list of them.

    Parameters
    ----------
    cutouts : Cutouts
        What to write.
    folder : `~pathlib.Path`
        The folder; it is made if it is not there.
    names : sequence of str or None
        File names, one a cutout; None for those not to be written.
    """
    _check_names(names)
    for image, name in zip(cutouts.images, names, strict=True):
        if name is not None:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(folder / name) as temporary:
                _write_image(image, temporary, _is_color(cutouts), cutouts.bands)


def write_index(cutouts, folder, names, flags, table=None):
    """Write the list of a folder of cutouts.

    Parameters
    ----------
    cutouts : Cutouts
        Some of the cutouts: size, bands, pixel scale, colours and service are theirs.
    folder : `~pathlib.Path`
        The folder; it is made if it is not there.
    names : sequence of str or None
        File names, one a row; None where there is no file.
    flags : sequence of str
        What is the matter with each row's cutout.
    table : `~astropy.table.Table`, optional
        Rows of the list, which gets the columns ``path`` and ``flag``.
    """
    from astropy.table import Table

    folder.mkdir(parents=True, exist_ok=True)
    index = Table() if table is None else Table(table, copy=False)
    index["path"] = np.array([name or "" for name in names], dtype=str)
    index["flag"] = np.asarray(flags, dtype=str)
    # The flags go first: a line that begins with "#" would be read as a comment.
    index = index["flag", "path", *(n for n in index.colnames if n not in ("flag", "path"))]
    kind = {"size": [int(n) for n in cutouts.size], "is_color": _is_color(cutouts)}
    index.meta = {"cutouts": _facts(cutouts) | kind}
    with atomic_write(folder / INDEX_NAME) as temporary:
        index.write(temporary, format="ascii.ecsv", overwrite=True)


def _is_color(cutouts):
    return cutouts.images.dtype == np.uint8 and len(cutouts.bands) == 3


def _write_image(image, path, is_color, bands):
    if is_color:
        from PIL import Image

        is_jpeg = path.suffix.lower() in (".jpg", ".jpeg")
        Image.fromarray(image).save(path, "JPEG" if is_jpeg else "PNG", quality=95)
        return
    from astropy.io import fits

    hdu = fits.PrimaryHDU(np.moveaxis(image, -1, 0)[:, ::-1])
    hdu.header["BANDS"] = ",".join(bands)
    hdu.writeto(path, overwrite=True)


def _read_folder(path):
    from astropy.io import fits
    from astropy.table import Table

    from shredfinder.imaging.reading import read_image

    index = Table.read(path / INDEX_NAME, format="ascii.ecsv")
    meta = index.meta.get("cutouts", {})
    facts = _parse_facts(meta, str(path / INDEX_NAME))
    is_color = meta["is_color"]
    shape = (len(index), *meta["size"], len(facts["bands"]))
    images = np.zeros(shape, np.uint8) if is_color else np.full(shape, np.nan, np.float32)
    names, flags = _strings(index["path"]), np.array(_strings(index["flag"]), dtype="U16")
    for i, name in enumerate(names):
        if not name:
            flags[i] = flags[i] or CutoutFlag.MISSING
        elif is_color:
            image, flag = read_image(path / name, tuple(meta["size"]))
            if image is None:
                flags[i] = flag
            else:
                images[i] = image
        elif not (path / name).is_file():
            flags[i] = CutoutFlag.MISSING
        else:
            with fits.open(path / name) as hdus:  # its first part, whatever comes behind
                images[i] = np.moveaxis(hdus[0].data, 0, -1)[::-1]
    return images, flags, facts


def _strings(column):
    """Values of a column of text; what is masked (ECSV's empty strings) becomes empty."""
    return [str(value) for value in (column.filled("") if hasattr(column, "filled") else column)]


def _write_fits(cutouts, path):
    from astropy.io import fits

    # FITS counts rows from the south; its axes are x, y, band and source.
    images = np.moveaxis(cutouts.images, -1, 1)[:, :, ::-1]
    primary = fits.PrimaryHDU(images)
    for name, value in _facts(cutouts).items():
        if value is not None:
            key, comment = _FITS_KEYS[name]
            primary.header[key] = (value, comment)
    flags = fits.BinTableHDU.from_columns(
        [fits.Column("flag", "16A", array=cutouts.flags)], name="FLAGS"
    )
    fits.HDUList([primary, flags]).writeto(path, overwrite=True)


def _read_fits(path):
    from astropy.io import fits

    with fits.open(path, memmap=False) as hdus:
        list_extensions(hdus)
        header = hdus[0].header
        facts = _parse_facts({name: header.get(key) for name, (key, _) in _FITS_KEYS.items()}, path)
        data = hdus[0].data
        flags = np.array(hdus["FLAGS"].data["flag"], dtype="U16")
        # No data at all is what FITS knows of zero sources.
        shape = [header.get(f"NAXIS{axis}", 0) for axis in (4, 3, 2, 1)]
        images = np.zeros(shape, np.uint8) if data is None else data
    images = np.moveaxis(images[:, :, ::-1], 1, -1)
    return images.astype(images.dtype.newbyteorder("=")), flags, facts


def _write_hdf5(cutouts, path):
    h5py = import_optional("h5py", "Writing HDF5")
    with h5py.File(path, "w") as file:
        n, *shape = cutouts.images.shape
        # A cutout at a time can be read, and compressed.
        options = {"chunks": (1, *shape), "compression": "gzip", "shuffle": True} if n else {}
        file.create_dataset("images", data=cutouts.images, **options)
        file.create_dataset("flags", data=cutouts.flags.astype("S16"))
        for name, value in _facts(cutouts).items():
            if value is not None:
                file.attrs[name] = value


def _read_hdf5(path):
    h5py = import_optional("h5py", "Reading HDF5")
    with h5py.File(path, "r") as file:
        if not {"images", "flags"} <= set(file):
            raise ValueError(f"{str(path)!r} holds no cutouts: images and flags are missing")
        facts = _parse_facts(dict(file.attrs), str(path))
        return file["images"][:], file["flags"][:].astype("U16"), facts
