"""Catalogue files as people have them: every function reads the same files in the same way."""

import bz2
import gzip
import os
import shutil

import pytest
from astropy.io import fits
from astropy.table import Table

from shredfinder.catalogs import read_candidates
from shredfinder.cli.main import main
from shredfinder.exceptions import ShredfinderWarning
from shredfinder.hosts import read_hosts
from shredfinder.pipeline import read_passing
from shredfinder.table import read_catalogue, write_catalogue

NAMES = ["objID", "ra", "dec", "z", "type", "flags_r", "petroR50_r", "petroR50Err_r"]
NAMES += [f"{kind}_{band}" for kind in ("dered", "modelMag", "modelMagErr") for band in "gri"]
ROW = "150.5,2.25,0.1,3,268435456,2.5,0.1,20.4,20.0,19.8,20.4,20.0,19.8,0.02,0.02,0.02"
CSV = f"{','.join(NAMES)}\n1237661068180127885,{ROW}\n1237661068180127886,{ROW}\n"
IDS = [1237661068180127885, 1237661068180127886]


def read_sdss(path):
    return read_candidates(path, "sdss-dr17", progress=False)


def read_passing_rows(path):
    return read_passing(path, "sdss-dr17")


READERS = {
    "catalogue": (read_catalogue, "objID"),
    "hosts": (read_hosts, "host_id"),
    "candidates": (read_sdss, "objid"),
    "passing": (read_passing_rows, "objID"),
}


def encode(path, text):
    path.write_bytes(text.encode())


def write_parts(path):
    Table.read(CSV, format="ascii.csv").write(path)


FILES = {
    "plain.csv": lambda path: encode(path, CSV),
    "UPPER.CSV": lambda path: encode(path, CSV),
    "packed.csv.gz": lambda path: path.write_bytes(gzip.compress(CSV.encode())),
    "PACKED.CSV.GZ": lambda path: path.write_bytes(gzip.compress(CSV.encode())),
    "packed.csv.bz2": lambda path: path.write_bytes(bz2.compress(CSV.encode())),
    "excel.csv": lambda path: encode(path, "\ufeff" + CSV),
    "unicode.csv": lambda path: path.write_bytes(CSV.encode("utf-16")),
    "semicolon.csv": lambda path: encode(path, CSV.replace(",", ";")),
    "skyserver.csv": lambda path: encode(path, "\ufeff#Table1\r\n" + CSV.replace("\n", "\r\n")),
    "skyserver.csv.gz": lambda path: path.write_bytes(gzip.compress(f"#Table1\n{CSV}".encode())),
    "comments.csv": lambda path: encode(path, f"# by me, in 2024\n\n# once more\n{CSV}"),
    "numpy.csv": lambda path: encode(path, "# " + CSV),
    "tabs.tsv": lambda path: encode(path, CSV.replace(",", "\t")),
    "blanks.txt": lambda path: encode(path, "# " + CSV.replace(",", " ")),
    "table.ecsv": write_parts,
    "packed.ecsv.gz": lambda path: (
        write_parts(path.with_name("a.ecsv")),
        path.write_bytes(gzip.compress(path.with_name("a.ecsv").read_bytes())),
    ),
    "table.fits": write_parts,
    "TABLE.FITS": lambda path: Table.read(CSV, format="ascii.csv").write(path, format="fits"),
    "packed.fits.gz": write_parts,
    "table.fit": write_parts,
    "table.fts": write_parts,
    "no_extension": lambda path: (
        write_parts(path.with_name("a.fits")),
        shutil.copy(path.with_name("a.fits"), path),
    ),
    "table.vot": lambda path: Table.read(CSV, format="ascii.csv").write(path, format="votable"),
    "table.xml": lambda path: Table.read(CSV, format="ascii.csv").write(path, format="votable"),
    "table.tbl": lambda path: Table.read(CSV, format="ascii.csv").write(path, format="ascii.ipac"),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", FILES)
def test_every_reader_reads_every_file(tmp_path, name, reader, recwarn):
    FILES[name](tmp_path / name)
    read, identifier = READERS[reader]
    table = read(tmp_path / name)
    assert table[identifier].tolist() == IDS
    assert table["ra"].tolist() == [150.5, 150.5]
    assert not [w for w in recwarn if issubclass(w.category, ShredfinderWarning)]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("suffix", [".parquet", ".pq", ".hdf5", ".h5"])
def test_binary_formats(tmp_path, suffix, reader):
    pytest.importorskip("pyarrow" if "p" in suffix[1:3] else "h5py")
    write_catalogue(Table.read(CSV, format="ascii.csv"), tmp_path / f"a{suffix}")
    read, identifier = READERS[reader]
    assert read(tmp_path / f"a{suffix}")[identifier].tolist() == IDS


@pytest.mark.parametrize("reader", READERS)
def test_several_tables(tmp_path, reader):
    table = fits.table_to_hdu(Table.read(CSV, format="ascii.csv"))
    other = fits.table_to_hdu(Table({"x": [1]}))
    other.name = "OTHER"
    fits.HDUList([fits.PrimaryHDU(), table, other]).writeto(tmp_path / "a.fits")
    read, identifier = READERS[reader]
    with pytest.warns(ShredfinderWarning, match=r"several tables.*it has 1, 2 \(OTHER\)"):
        assert read(tmp_path / "a.fits")[identifier].tolist() == IDS


@pytest.mark.parametrize("number", ["0", "2", "3", "OTHER"])
def test_absent_tables_are_refused(tmp_path, number):
    write_parts(tmp_path / "a.fits")
    for read in (read_catalogue, lambda *args: read_candidates(args[0], table=args[1])):
        with pytest.raises(ValueError, match=f"no table '{number}': its tables are 1"):
            read(tmp_path / "a.fits", number)
    assert len(read_catalogue(tmp_path / "a.fits", "1")) == 2


def test_images_and_compressed_tables(tmp_path):
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(IMAGE)]).writeto(tmp_path / "image.fits")
    hdu = fits.table_to_hdu(Table({"a": [1]}))
    hdu.header["ZTABLE"] = True
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(tmp_path / "packed.fits.fz")
    for read, _ in READERS.values():
        with pytest.raises(ValueError, match="it holds no table"):
            read(tmp_path / "image.fits")
        with pytest.raises(ValueError, match="funpack"):
            read(tmp_path / "packed.fits.fz")


IMAGE = fits.Column("x", "E", array=[1.0]).array.reshape(1, 1).repeat(40, 0).repeat(40, 1)


@pytest.mark.parametrize("reader", READERS)
def test_pipes_and_other_paths(tmp_path, reader):
    read, _ = READERS[reader]
    with pytest.raises(ValueError, match="the standard input: save the table to a file"):
        read("-")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read(tmp_path / "none.csv")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        read(tmp_path)
    with pytest.raises(ValueError, match="address"):
        read("https://example.org/a.csv")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.csv")
        with pytest.raises(ValueError, match="pipe or device"):
            read(tmp_path / "pipe.csv")


def test_rows_that_begin_with_a_hash_are_rows(tmp_path):
    (tmp_path / "a.csv").write_text("name,ra,dec\n#12,150,2\n#13,151,3\n")
    assert read_catalogue(tmp_path / "a.csv")["name"].tolist() == ["#12", "#13"]
    text = CSV.replace("\n1237661068180127885", "\n#1").replace("\n1237661068180127886", "\n#2")
    (tmp_path / "b.csv").write_text(text)
    for read, identifier in list(READERS.values())[2:]:
        assert read(tmp_path / "b.csv")[identifier].tolist() == ["#1", "#2"]


@pytest.mark.parametrize("suffix", [".CSV", ".tsv", ".FITS", ".fts", ".Vot"])
def test_outputs_have_the_same_extensions(tmp_path, suffix):
    write_catalogue(Table({"objID": IDS}), tmp_path / f"a{suffix}")
    assert read_catalogue(tmp_path / f"a{suffix}")["objID"].tolist() == IDS


def test_lost_parts_of_compressed_files(tmp_path, capsys):
    table = fits.table_to_hdu(Table({"objID": [1]}))
    primary = fits.PrimaryHDU()
    primary.header["BRICKNAM"] = "0001m002"
    path = tmp_path / "a.fits.gz"
    fits.HDUList([primary, table, fits.ImageHDU(IMAGE, name="COVERAGE")]).writeto(path)
    (tmp_path / "cut").mkdir()
    main(["classify", str(path), "--cutouts", str(tmp_path / "cut"), "-o", f"{tmp_path}/o.csv"])
    assert "BRICKNAM" in (said := capsys.readouterr().err)
    assert "COVERAGE" in said
