"""Valid files of every kind that the package reads, and files that try to execute code."""

import gzip
import hashlib
import io
import json
import pickle
import zipfile

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.table import Table
from PIL import Image

from shredfinder.imaging import Cutouts
from shredfinder.models.archive import EMBEDDED_MODEL


class Payload:
    """An object that writes the canary's file when it is unpickled."""

    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return _sing, (self.canary,)


def _sing(canary):
    with open(canary, "w") as file:
        file.write("code was executed")


def make_seeds(folder, canary):
    """Create valid and hostile files of every kind.

    Parameters
    ----------
    folder : `~pathlib.Path`
        Folder for temporary files.
    canary : `~pathlib.Path`
        File that exists if code of a file was executed.

    Returns
    -------
    seeds : dict of list of tuple
        Names and contents of the files of each kind; names of hostile files begin with "hostile".
    """
    rng = np.random.default_rng(0)
    payload = pickle.dumps(Payload(str(canary)))
    seeds = {
        "model": [("a.shredmodel", EMBEDDED_MODEL.read_bytes())],
        "image": list(_images(rng)),
        "mosaic": list(_mosaics(rng)),
        "cutouts": list(_cutouts(folder, rng)),
        "table": list(_tables(folder)),
        "catalogue": list(_catalogues(folder)),
        "hosts": list(_hosts(folder)),
    }
    seeds["model"] += [
        ("hostile-a.shredmodel", payload),
        ("hostile-b.shredmodel", _pickled_weights(canary)),
    ]
    seeds["image"] += [("hostile-a.png", payload), ("hostile-b.png", _npy(canary))]
    seeds["cutouts"] += [("hostile.fits", payload)]
    seeds["table"] += [("hostile.fits", payload), *_hostile_tables(folder, canary)]
    seeds["catalogue"] += [("hostile.csv", payload), ("hostile.fits", payload)]
    return seeds


def _images(rng):
    pixels = rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)
    for suffix in ("png", "jpg", "tiff", "bmp", "webp", "gif"):
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, suffix.replace("jpg", "jpeg"))
        yield f"image.{suffix}", buffer.getvalue()
    for mode in ("P", "RGBA", "CMYK", "L"):
        buffer = io.BytesIO()
        Image.fromarray(pixels).convert(mode).save(buffer, "tiff" if mode == "CMYK" else "png")
        yield f"{mode}.png", buffer.getvalue()


def _header(n_bands):
    header = fits.Header()
    header["CTYPE1"], header["CTYPE2"] = "RA---TAN", "DEC--TAN"
    header["CRVAL1"], header["CRVAL2"] = 150.0, 2.0
    header["CRPIX1"], header["CRPIX2"] = 16.5, 16.5
    header["CD1_1"], header["CD2_2"] = -0.46875 / 3600, 0.46875 / 3600
    header["BANDS"] = "grz"[:n_bands]
    return header


def _mosaics(rng):
    cube = rng.normal(size=(3, 32, 32)).astype("f4")
    for name, hdu in (
        ("cube.fits", fits.PrimaryHDU(cube, _header(3))),
        ("whole.fits", fits.PrimaryHDU((100 * cube).astype("i2"), _header(3))),
    ):
        yield name, _bytes(fits.HDUList([hdu]))
    packed = fits.CompImageHDU(cube, _header(3), tile_shape=(1, 32, 32))
    yield "packed.fits", _bytes(fits.HDUList([fits.PrimaryHDU(), packed]))


def _bytes(hdus):
    buffer = io.BytesIO()
    hdus.writeto(buffer)
    return buffer.getvalue()


def _cutouts(folder, rng):
    images = rng.integers(0, 255, (2, 16, 16, 3), dtype=np.uint8)
    cutouts = Cutouts.of_survey("legacy-dr9", images, pixel_scale=0.5)
    for name in ("a.fits", "a.hdf5"):
        yield name, cutouts.write(folder / name).read_bytes()


def _rows():
    n = np.arange(12)
    table = Table({"objid": n + 2**60, "ra": (150 + n / 100) * u.deg, "dec": n / 100 * u.deg})
    table["name"] = [f"galaxy {i}" for i in n]
    table["flux"] = np.ma.array(n / 3, mask=n % 3 == 0)
    table["p_cnn"], table["p_cnn_flag"] = (n / 12).astype("f4"), [""] * 12
    table["p_cnn"].info.meta = {"model": "embedded"}
    table["pair"] = np.stack([n, n], axis=1)
    return table


def _tables(folder):
    table = _rows()
    for name in ("t.fits", "t.ecsv", "t.csv", "t.vot", "t.parquet", "t.hdf5"):
        rows = table.copy()
        if name.endswith((".csv", ".parquet")):
            rows.remove_column("pair")
        options = {"path": "table", "serialize_meta": True} if name.endswith("hdf5") else {}
        if name.endswith("vot"):
            options["format"] = "votable"
        rows.write(folder / name, **options)
        yield name, (folder / name).read_bytes()


def _catalogues(folder):
    n = 6
    names = ("type", "flags_r", "petroR50_r", "petroR50Err_r", "dered_g", "dered_r", "dered_i")
    values = (3, 268435456, 2.5, 0.1, 20.4, 20.0, 19.8)
    table = Table({"objID": np.arange(n) + 2**60, "ra": 143 + np.arange(n) / 10, "dec": [21.5] * n})
    for name, value in zip(names, values, strict=True):
        table[name] = [value] * n
    for band in "gri":
        table[f"modelMagErr_{band}"] = [0.02] * n
    for name in ("s.fits", "s.csv", "s.csv.gz", "s.fits.gz"):
        plain = name.removesuffix(".gz")
        table.write(folder / plain, overwrite=True)
        data = (folder / plain).read_bytes()
        if name != plain:
            data = gzip.compress(data, mtime=0)
        yield name, data


def _hosts(folder):
    table = Table({"NAME": ["A", "B"], "RA": [10.0, 11.0], "DEC": [0.0, 1.0], "Z": [0.01, 0.02]})
    for name in ("h.fits", "h.csv", "h.ecsv"):
        table.write(folder / name)
        yield name, (folder / name).read_bytes()
    atlas = Table(
        {"IAUNAME": ["J1", "J2"], "NSAID": [1, 2], **dict(table["RA", "DEC", "Z"].items())}
    )
    atlas["ZDIST"] = [0.01, 0.02]
    for name in ("ELPETRO_FLUX", "EXTINCTION", "ELPETRO_ABSMAG"):
        atlas[name] = np.ones((2, 7), dtype="f4")
    for name in ("PETRO_TH50", "PETRO_TH90", "PETRO_BA90", "PETRO_PHI90"):
        atlas[name] = np.ones(2, dtype="f4")
    atlas.write(folder / "nsa.fits")
    yield "nsa.fits", (folder / "nsa.fits").read_bytes()


def _npy(canary):
    buffer = io.BytesIO()
    np.save(buffer, np.array([Payload(str(canary))], dtype=object), allow_pickle=True)
    return buffer.getvalue()


def _pickled_weights(canary):
    with zipfile.ZipFile(EMBEDDED_MODEL) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    buffer = io.BytesIO()
    np.savez(buffer, a=np.array([Payload(str(canary))], dtype=object))
    head = json.loads(members["model.json"])
    members["weights.npz"] = buffer.getvalue()
    head["sha256"]["weights.npz"] = hashlib.sha256(buffer.getvalue()).hexdigest()
    members["model.json"] = json.dumps(head).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _hostile_tables(folder, canary):
    """Yield files that make a careless reader execute code or read another file."""
    command = f"touch {canary}"
    meta = f"# meta: !!python/object/apply:os.system ['{command}']"
    yield (
        "hostile-a.ecsv",
        (
            f"# %ECSV 1.0\n# ---\n# datatype:\n# - {{name: a, datatype: int64}}\n{meta}\na\n1\n"
        ).encode(),
    )
    yield (
        "hostile-b.ecsv",
        (
            "# %ECSV 1.0\n# ---\n# datatype:\n# - {name: a, datatype: string}\n# meta: !!omap\n"
            "# - __serialized_columns__:\n#     a:\n#       __class__: os.system\n"
            f"#       command: '{command}'\n# schema: astropy-2.0\na\n1\n"
        ).encode(),
    )
    yield (
        "hostile.vot",
        (
            f'<?xml version="1.0"?><!DOCTYPE V [<!ENTITY e SYSTEM "file://{folder}/t.csv">]>'
            '<VOTABLE version="1.3"><RESOURCE><TABLE>'
            '<FIELD name="a" datatype="char" arraysize="*"/>'
            "<DATA><TABLEDATA><TR><TD>&e;</TD></TR></TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>"
        ).encode(),
    )
    import pyarrow as pa
    import pyarrow.parquet as pq

    # pyarrow before 14.0.1 unpickled this (CVE-2023-47248).
    field = pa.field(
        "a",
        pa.int64(),
        metadata={
            b"ARROW:extension:name": b"arrow.py_extension_type",
            b"ARROW:extension:metadata": pickle.dumps(Payload(str(canary))),
        },
    )
    pq.write_table(pa.table([pa.array([1])], schema=pa.schema([field])), folder / "k.parquet")
    yield "hostile.parquet", (folder / "k.parquet").read_bytes()
