"""Reading and writing of cutouts as folders, FITS files and HDF5 files.

These functions handle plain arrays; `Cutouts.read` and `Cutouts.write` are their public face.
"""

from __future__ import annotations

import contextlib
import io
import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from shredfinder._utils.files import atomic_write, list_extensions, reading_errors
from shredfinder._utils.runtime import import_optional
from shredfinder.exceptions import ShredfinderWarning
from shredfinder.imaging.checks import CutoutFlag
from shredfinder.imaging.reading import read_image

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from astropy.table import Table

    from shredfinder._utils.validation import PathLike

__all__ = [
    "INDEX_NAME",
    "begin_folder",
    "check_finished",
    "prepare_rows",
    "read_arrays",
    "write_arrays",
    "write_images",
    "write_index",
]

_SUFFIXES = {
    ".fits": "fits",
    ".fit": "fits",
    ".fits.gz": "fits",
    ".h5": "hdf5",
    ".hdf5": "hdf5",
    "": "folder",
}
# The largest image of the viewer has 3000 px a side.
_MAX_PIXELS = 3000**2
# Table of all rows in a folder of cutouts.
INDEX_NAME = "cutouts.ecsv"
# List of the files that a run may have written so far; it exists until the table does.
_UNFINISHED = ".shredfinder-unfinished.json"
_FITS_KEYS = {
    "pixel_scale": ("PIXSCALE", "[arcsec] pixel scale"),
    "bands": ("BANDS", "bands of the channels"),
    "color_mapping": ("COLORMAP", "mapping from fluxes to values"),
    "service": ("SERVICE", "where the images come from"),
}


def write_arrays(
    images: np.ndarray,
    flags: np.ndarray,
    facts: dict[str, Any],
    path: PathLike,
    *,
    file_format: Literal["folder", "fits", "hdf5"] | None = None,
    names: Sequence[str | None] | None = None,
    table: Table | None = None,
    overwrite: bool = False,
) -> Path:
    """Write images, flags and facts; see `Cutouts.write`."""
    path = Path(path)
    kind = _find_format(path, file_format)
    if table is not None:
        table = prepare_rows(table)
    for what, given in (("names", names), ("rows of the table", table)):
        if given is not None and len(given) != len(images):
            raise ValueError(f"got {len(images)} cutouts and {len(given)} {what}: give one each")
    if kind != "folder" and (names is not None or table is not None):
        raise ValueError(f"names and table are for folders, got a {kind} file")
    # A folder may hold other files: it is the index that makes it a folder of cutouts.
    existing = path / INDEX_NAME if kind == "folder" else path
    if (check_finished(path) if kind == "folder" else path.exists()) and not overwrite:
        raise OSError(f"{str(existing)!r} exists: use overwrite=True to replace it")
    if kind == "folder":
        _write_folder(images, flags, facts, path, names, table)
    else:
        write = {"fits": _write_fits, "hdf5": _write_hdf5}[kind]
        with atomic_write(path) as temporary:
            write(images, flags, _to_text(facts), temporary)
    return path


def read_arrays(
    path: PathLike, *, file_format: Literal["folder", "fits", "hdf5"] | None = None
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Read images, flags and facts; see `Cutouts.read`."""
    path = Path(path)
    read = {"folder": _read_folder, "fits": _read_fits, "hdf5": _read_hdf5}
    with reading_errors(path, "the cutouts"):
        return read[_find_format(path, file_format)](path)


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
                f"no format of cutouts has the extension of {str(path)!r}: use .fits or .h5, or "
                f"set file_format to one of {', '.join(formats)}"
            )
    elif file_format not in formats:
        raise ValueError(f"file_format must be one of {', '.join(formats)}, got {file_format!r}")
    return file_format


def _to_text(facts):
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


# Folders


def _write_folder(images, flags, facts, path, names, table):
    if names is None:
        suffix = ".png" if _is_color(images) else ".fits"
        names = [f"{i:06d}{suffix}" for i in range(len(images))]
    # Other images hold nothing worth a file; the index keeps their flags.
    usable = np.isin(flags, (CutoutFlag.GOOD.value, CutoutFlag.OTHER_COLORS.value))
    names = [name if good else None for name, good in zip(names, usable, strict=True)]
    begin_folder(path, names)
    write_images(images, path, names, facts["bands"])
    write_index(path, names, flags, facts, images, table)


def check_finished(folder: Path) -> bool:
    """Return whether a folder holds finished cutouts.

    Parameters
    ----------
    folder : `~pathlib.Path`
        The folder, which may be missing.

    Returns
    -------
    finished : bool
        Whether its table of files exists.
    """
    finished = (folder / INDEX_NAME).exists()
    if finished:
        # Of a run that was killed after it wrote the table.
        (folder / _UNFINISHED).unlink(missing_ok=True)
    return finished


def begin_folder(folder: Path, names: Iterable[str | None]) -> None:
    """Mark a folder as unfinished, before its images are written or replaced.

    The table of an earlier run is removed, so that it never describes another run's images.
    `write_index` removes the images of earlier and killed runs that were not replaced.

    Parameters
    ----------
    folder : `~pathlib.Path`
        The folder; it is created if missing.
    names : iterable of str or None
        File names that will be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    known = _list_known(folder) | {name for name in names if name is not None}
    with atomic_write(folder / _UNFINISHED) as temporary:
        temporary.write_text(json.dumps(sorted(known)))
    (folder / INDEX_NAME).unlink(missing_ok=True)


def _list_known(folder):
    """List the files of earlier runs in a folder: of a killed one, and of a finished one."""
    from astropy.table import Table

    known = []
    # A damaged list, which anyone may have written, means that nothing is removed.
    with contextlib.suppress(OSError, ValueError):
        known += json.loads((folder / _UNFINISHED).read_text())
    with contextlib.suppress(OSError, ValueError, KeyError):
        known += _strings(Table.read(folder / INDEX_NAME, format="ascii.ecsv")["path"])
    return {name for name in known if isinstance(name, str) and _is_valid(name)}


def write_images(
    images: np.ndarray, folder: Path, names: Sequence[str | None], bands: Sequence[str]
) -> None:
    """Write images to a folder, without the table of files.

    Parameters
    ----------
    images : `~numpy.ndarray`
        Images of shape ``(n, height, width, bands)``.
    folder : `~pathlib.Path`
        The folder; it is created if missing.
    names : sequence of str or None
        File name of each image; None for an image that is not written.
    bands : sequence of str
        Bands of the channels.
    """
    _check_names(names)
    for image, name in zip(images, names, strict=True):
        if name is not None:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(folder / name) as temporary:
                _write_image(image, temporary, _is_color(images), bands)


def prepare_rows(table: Table) -> Table:
    """Prepare a table's rows for the table of files, before any image is made.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The rows, which stay as they are.

    Returns
    -------
    rows : `~astropy.table.Table`
        The same, without the columns ``path`` and ``flag`` of an earlier table of files. The
        user's own columns of these names are called ``catalogue_path`` and ``catalogue_flag``.

    Raises
    ------
    ValueError
        If the format of the table of files cannot hold the rows.

    Warns
    -----
    ShredfinderWarning
        If a column gets another name.
    """
    from astropy.table import Table

    # copy=False copies no data, but new columns do not appear in the caller's table.
    rows = Table(table, copy=False)
    is_own = "cutouts" in rows.meta
    for name in ("path", "flag"):
        if name not in rows.colnames:
            continue
        if is_own:
            rows.remove_column(name)
            continue
        new = f"catalogue_{name}"
        while new in rows.colnames:
            new += "_"
        rows.rename_column(name, new)
        warnings.warn(
            f"the catalogue's column {name!r} is called {new!r} in {INDEX_NAME}, which has a "
            f"column {name!r} of its own",
            ShredfinderWarning,
            stacklevel=2,
        )
    try:
        rows[:1].write(io.StringIO(), format="ascii.ecsv")
    except Exception as error:  # the writer refuses columns with its own errors
        raise ValueError(
            f"the catalogue's columns cannot be written to {INDEX_NAME}: {error}; remove or "
            "convert the column"
        ) from error
    return rows


def write_index(
    folder: Path,
    names: Sequence[str | None],
    flags: Sequence[str] | np.ndarray,
    facts: dict[str, Any],
    images: np.ndarray,
    table: Table | None = None,
) -> None:
    """Write the table of files of a folder of cutouts, which ends its writing.

    Parameters
    ----------
    folder : `~pathlib.Path`
        The folder, after `begin_folder`.
    names : sequence of str or None
        File name of each row; None for a row without a file.
    flags : sequence of str
        Flag of each row.
    facts : dict
        Pixel scale, bands, colour mapping and service.
    images : `~numpy.ndarray`
        Some of the images, which give size and type.
    table : `~astropy.table.Table`, optional
        Rows of the list, as for `prepare_rows`, to which the columns ``path`` and ``flag`` are
        added.
    """
    from astropy.table import Table

    for name in _list_known(folder) - set(names):
        (folder / name).unlink(missing_ok=True)
    index = Table() if table is None else prepare_rows(table)
    index["path"] = np.array([name or "" for name in names], dtype=str)
    index["flag"] = np.asarray(flags, dtype=str)
    # ECSV reads a line that begins with "#" as a comment. No flag does, so flags come first.
    index = index["flag", "path", *(n for n in index.colnames if n not in ("flag", "path"))]
    # Plain Python integers: YAML cannot hold those of NumPy. Zero rows would not reveal the size.
    kind = {"size": [int(n) for n in images.shape[1:3]], "is_color": _is_color(images)}
    index.meta["cutouts"] = _to_text(facts) | kind
    with atomic_write(folder / INDEX_NAME) as temporary:
        index.write(temporary, format="ascii.ecsv", overwrite=True)
    (folder / _UNFINISHED).unlink(missing_ok=True)


def _is_inside(path, folder):
    return path.resolve().is_relative_to(folder.resolve())


def _check_names(names):
    given = [name for name in names if name is not None]
    for name in given:
        if not _is_valid(name):
            raise ValueError(f"{name!r} is not a valid file name within the folder")
        # The table of files has one line per file.
        if not name.isprintable():
            raise ValueError(f"the file name {name!r} has unprintable characters")
    if len(set(given)) < len(given):
        double = next(name for name in given if given.count(name) > 1)
        raise ValueError(f"several cutouts would be written to the file {double!r}")


def _is_valid(name):
    inside = not Path(name).is_absolute() and ".." not in Path(name).parts
    return bool(name) and inside and name not in (INDEX_NAME, _UNFINISHED)


def _is_color(images):
    # PNG and JPEG hold three channels of 8 bits; anything else needs FITS.
    return images.dtype == np.uint8 and images.shape[-1] == 3


def _write_image(image, path, is_color, bands):
    if is_color:
        from PIL import Image

        is_jpeg = path.suffix.lower() in (".jpg", ".jpeg")
        Image.fromarray(image).save(path, "JPEG" if is_jpeg else "PNG", quality=95)
        return
    from astropy.io import fits

    # FITS counts rows from the south.
    hdu = fits.PrimaryHDU(np.moveaxis(image, -1, 0)[:, ::-1])
    hdu.header["BANDS"] = ",".join(bands)
    hdu.writeto(path, overwrite=True)


def _read_folder(path):
    from astropy.io import fits
    from astropy.table import Table

    index = Table.read(path / INDEX_NAME, format="ascii.ecsv")
    meta = index.meta.get("cutouts", {})
    height, width = meta["size"]
    if not (0 <= height * width <= _MAX_PIXELS and min(height, width) >= 0):
        raise ValueError(f"{INDEX_NAME} claims images of {width}×{height} px")
    facts = _parse_facts(meta, str(path / INDEX_NAME))
    is_color = meta["is_color"]
    shape = (len(index), *meta["size"], len(facts["bands"]))
    # Rows without a file keep this filling, as in a fresh download.
    images = np.zeros(shape, np.uint8) if is_color else np.full(shape, np.nan, np.float32)
    names, flags = _strings(index["path"]), np.array(_strings(index["flag"]), dtype="U16")
    for i, name in enumerate(names):
        # Neither a path nor a link may lead to a file elsewhere.
        if name and not (_is_valid(name) and _is_inside(path / name, path)):
            raise ValueError(
                f"{INDEX_NAME} names {name!r}, which is not a file within its folder: copy the "
                "image into the folder, or remove the row"
            )
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
            with fits.open(path / name) as hdus:
                images[i] = np.moveaxis(hdus[0].data, 0, -1)[::-1]
    return images, flags, facts


def _strings(column):
    """Return the values of a text column; masked ones (empty strings in ECSV) are empty."""
    return [str(value) for value in (column.filled("") if hasattr(column, "filled") else column)]


# Single files


def _write_fits(images, flags, facts, path):
    from astropy.io import fits

    # FITS counts rows from the south; the axes are x, y, band and source.
    primary = fits.PrimaryHDU(np.moveaxis(images, -1, 1)[:, :, ::-1])
    for name, value in facts.items():
        if value is not None:
            key, comment = _FITS_KEYS[name]
            primary.header[key] = (value, comment)
    # Flags have at most 16 characters.
    column = fits.Column("flag", "16A", array=flags)
    table = fits.BinTableHDU.from_columns([column], name="FLAGS")
    fits.HDUList([primary, table]).writeto(path, overwrite=True)


def _read_fits(path):
    from astropy.io import fits

    with fits.open(path, memmap=False) as hdus:
        list_extensions(hdus)
        header = hdus[0].header
        facts = _parse_facts({name: header.get(key) for name, (key, _) in _FITS_KEYS.items()}, path)
        data = hdus[0].data
        flags = np.array(hdus["FLAGS"].data["flag"], dtype="U16")
        # FITS stores an array of zero sources as no data at all.
        shape = [header.get(f"NAXIS{axis}", 0) for axis in (4, 3, 2, 1)]
        images = np.zeros(shape, np.uint8) if data is None else data
    images = np.moveaxis(images[:, :, ::-1], 1, -1)
    # FITS is big-endian; Pillow and ONNX Runtime need the machine's own byte order.
    return images.astype(images.dtype.newbyteorder("=")), flags, facts


def _write_hdf5(images, flags, facts, path):
    h5py = import_optional("h5py", "Writing HDF5")
    with h5py.File(path, "w") as file:
        n, *shape = images.shape
        # One chunk per cutout, so that single cutouts can be read.
        options = {"chunks": (1, *shape), "compression": "gzip", "shuffle": True} if n else {}
        file.create_dataset("images", data=images, **options)
        file.create_dataset("flags", data=flags.astype("S16"))
        for name, value in facts.items():
            if value is not None:
                file.attrs[name] = value


def _read_hdf5(path):
    h5py = import_optional("h5py", "Reading HDF5")
    with h5py.File(path, "r") as file:
        if not {"images", "flags"} <= set(file):
            raise ValueError(f"{str(path)!r} holds no cutouts: images and flags are missing")
        facts = _parse_facts(dict(file.attrs), str(path))
        return file["images"][:], file["flags"][:].astype("U16"), facts
