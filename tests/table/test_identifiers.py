"""Identifiers never change, and a wrong one never finds another row's image."""

import warnings

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import MaskedColumn, Table, vstack
from PIL import Image

from shredfinder import ShredTable, add_p_cnn
from shredfinder.bulk import classify_catalogue
from shredfinder.catalogs import read_candidates
from shredfinder.exceptions import ShredfinderWarning
from shredfinder.table import find_image_files, read_catalogue
from tests.conftest import galaxy_images

BIG = 1237661068180127885
HEADER = (
    "objID,ra,dec,type,flags_r,petroR50_r,petroR50Err_r,dered_g,dered_r,dered_i,modelMagErr_g,"
    "modelMagErr_r,modelMagErr_i\n"
)
REST = ",143.1,21.5,3,268435456,2.5,0.1,20.4,20.0,19.8,0.02,0.02,0.02\n"


@pytest.fixture
def folder(tmp_path):
    """Images of sources whose names differ as text and not as numbers."""
    folder = tmp_path / "images"
    folder.mkdir()
    names = ("7", "007", "1.1", "1.10", "31", "0x1F", "100000", "1E5", "1", "1.0")
    for name, image in zip(names, galaxy_images(len(names)), strict=True):
        Image.fromarray(image).save(folder / f"{name}.png")
    return folder


@pytest.mark.parametrize(
    "texts",
    [
        ("007", "7"),
        ("0x1F", "31"),
        ("1E5", "100000"),
        ("1.10", "1.1"),
        ("1.0", "1"),
        ("1.10",),
        ("-0", "7"),
        ("12e400", "7"),
        ("123456789012345678901", "7"),
        ("007", ""),
        ("18446744073709551616", "1.5"),
    ],
)
@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".ecsv", ".fits"])
@pytest.mark.filterwarnings("ignore:.* of .* rows have no usable value")
@pytest.mark.filterwarnings("ignore:OverflowError converting")
@pytest.mark.filterwarnings("ignore:none of .* scored")
def test_each_row_has_the_image_of_its_own_text(texts, suffix, folder, tmp_path):
    path = tmp_path / ("in.tsv" if suffix == ".tsv" else "in.csv")
    comma = "\t" if suffix == ".tsv" else ","
    path.write_text(f"id{comma}ra\n" + "".join(f'"{text}"{comma}1.5\n' for text in texts))
    output = tmp_path / f"out{suffix}"
    scored = classify_catalogue(path, output, cutouts=folder, pattern="{id}.png")
    expected = Table({"id": list(texts)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ShredfinderWarning)
        add_p_cnn(expected, cutouts=folder, pattern="{id}.png")
    np.testing.assert_array_equal(scored["p_cnn"], expected["p_cnn"])
    result = read_catalogue(output, exact=["id"])
    assert np.ma.filled(result["id"].astype(str), "").tolist() == list(texts)


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (("1.5", "2e-5", "1e+05"), "f"),
        (("1.5E5", "20"), "f"),
        (("00.5", "1.25"), "f"),
        (("0.10000000000000000555", "1"), "f"),
        (("nan", "inf"), "f"),
        (("-5", "7"), "i"),
        (("007", "7"), "U"),
        (("12E4", "13E5"), "U"),
        (("0x1F", "2"), "U"),
    ],
)
def test_python_and_files_read_the_same(texts, kind, tmp_path):
    path = tmp_path / "in.csv"
    path.write_text("id,x\n" + "".join(f"{text},1\n" for text in texts))
    with path.open("rb") as file:
        tables = [
            ShredTable.read(path),
            ShredTable.read(str(path), format="ascii.csv"),
            ShredTable.read(file, format="ascii.csv"),
            read_catalogue(path),
        ]
    for table in tables:
        assert table["id"].dtype.kind == kind
        assert table["x"].dtype.kind == "i"
        if kind == "U":
            assert table["id"].tolist() == list(texts)


@pytest.mark.parametrize("dtype", [float, np.float32])
@pytest.mark.parametrize("pattern", ["{objID}.png", "{objID:.0f}.png"])
def test_floats_that_lost_digits_are_refused(dtype, pattern, folder, tmp_path):
    table = Table({"objID": MaskedColumn(np.array([BIG, 5], dtype), mask=[False, True])})
    with pytest.raises(ValueError, match=r"the column 'objID' holds floats such as 1.23766"):
        add_p_cnn(table, cutouts=folder, pattern=pattern)
    with pytest.raises(ValueError, match="have lost digits"):
        find_image_files(table, folder, pattern)
    table.write(tmp_path / "in.fits")
    with pytest.raises(ValueError, match="as integers or text"):
        classify_catalogue(
            tmp_path / "in.fits", tmp_path / "out.fits", cutouts=folder, pattern=pattern
        )
    assert not (tmp_path / "out.fits").exists()
    exact = Table({"objID": np.array([5, 2**20], dtype)})
    assert len(find_image_files(exact, folder, pattern)) == 2


def test_excel_numbers_are_refused(folder, tmp_path):
    (tmp_path / "in.csv").write_text("objID,ra\n1.23766E+18,1\n1.23767E+18,2\n")
    table = ShredTable.read(tmp_path / "in.csv")
    with pytest.raises(ValueError, match="have lost digits"):
        add_p_cnn(table, cutouts=folder, pattern="{objID}.png")
    with pytest.raises(ValueError, match="have lost digits"):
        classify_catalogue(
            tmp_path / "in.csv", tmp_path / "out.csv", cutouts=folder, pattern="{objID}.png"
        )


def test_missing_and_repeated_identifiers_are_named(folder, tmp_path):
    table = ShredTable({"id": MaskedColumn([7, 7, 31, 1], mask=[0, 0, 0, 1])})
    with (
        pytest.warns(ShredfinderWarning, match="1 of 4 rows have no usable value in the column"),
        pytest.warns(ShredfinderWarning, match="1 of 4 rows repeat the column 'id' of an earlier"),
    ):
        table.add_p_cnn(cutouts=folder, pattern="{id}.png")
    assert table["p_cnn_flag"].tolist() == ["", "", "", "missing"]
    for suffix in (".fits", ".csv"):
        table[["id"]].write(tmp_path / f"in{suffix}")
        with (
            pytest.warns(ShredfinderWarning, match="1 of 4 rows have no usable value"),
            pytest.warns(ShredfinderWarning, match="1 of 4 rows repeat the column"),
        ):
            classify_catalogue(
                tmp_path / f"in{suffix}",
                tmp_path / f"out{suffix}",
                cutouts=folder,
                pattern="{id}.png",
                chunk_size=1,
            )


def test_tables_without_rows_are_named(folder, tmp_path):
    (tmp_path / "in.csv").write_text("id,ra\n")
    table = ShredTable.read(tmp_path / "in.csv")
    with pytest.warns(ShredfinderWarning, match="the table has no rows"):
        table.add_p_cnn(cutouts=folder, pattern="{id}.png")
    with pytest.warns(ShredfinderWarning, match="in.csv' has no rows"):
        classify_catalogue(
            tmp_path / "in.csv", tmp_path / "out.csv", cutouts=folder, pattern="{id}.png"
        )
    full = ShredTable({"id": [BIG], "ra": [1.0]})
    assert vstack([read_catalogue(tmp_path / "in.csv"), full])["id"].tolist() == [BIG]
    (tmp_path / "survey.csv").write_text(HEADER)
    with pytest.warns(ShredfinderWarning, match="survey.csv': no rows"):
        empty = read_candidates(tmp_path / "survey.csv", "sdss-dr17", progress=False)
    (tmp_path / "full.csv").write_text(HEADER + str(BIG) + REST)
    full = read_candidates(tmp_path / "full.csv", "sdss-dr17", progress=False)
    for parts in ([empty, full], [full, empty]):
        stacked = vstack(parts, metadata_conflicts="silent")
        assert stacked["objid"].dtype == np.int64
        assert stacked["objid"].tolist() == [BIG]


def test_candidates_without_an_identifier_are_named(tmp_path):
    path = tmp_path / "survey.csv"
    path.write_text(HEADER + f"{BIG}{REST}" + REST + f"{BIG}{REST}" + f"{BIG + 1}{REST}")
    with (
        pytest.warns(ShredfinderWarning, match=r"1 of 4 candidates of .* have no objid"),
        pytest.warns(ShredfinderWarning, match=r"1 of 4 candidates of .* repeat the objid"),
    ):
        table = read_candidates(path, "sdss-dr17", chunk_rows=1, progress=False)
    assert table["objid"].tolist() == [BIG, None, BIG, BIG + 1]
    path.write_text(HEADER + f"{float(BIG)!r}{REST}")
    with pytest.raises(ValueError, match=r"the column 'objID' holds floats such as 1.23766"):
        read_candidates(path, "sdss-dr17", progress=False)


def test_null_values_of_fits_identifiers_are_missing(tmp_path):
    (tmp_path / "survey.csv").write_text(HEADER + "".join(f"{BIG + i}{REST}" for i in range(3)))
    table = Table.read(tmp_path / "survey.csv")
    hdu = fits.table_to_hdu(table)
    columns = [c for c in hdu.columns if c.name != "objID"]
    ids = fits.Column("objID", "K", null=-1, array=np.array([BIG, -1, BIG + 2]))
    fits.BinTableHDU.from_columns([ids, *columns]).writeto(tmp_path / "survey.fits")
    with pytest.warns(ShredfinderWarning, match=r"1 of 3 candidates of .* have no objid"):
        candidates = read_candidates(tmp_path / "survey.fits", "sdss-dr17", progress=False)
    assert candidates["objid"].tolist() == [BIG, None, BIG + 2]
