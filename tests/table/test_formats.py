import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Column, QTable, Table, vstack

from shredfinder import ShredQTable, ShredTable, add_p_cnn
from shredfinder.table import check_writing, read_catalogue, write_catalogue

from .conftest import assert_split, make_table

CLASSES = [Table, QTable, ShredTable, ShredQTable]
# File name, options for writing, options for reading.
FORMATS = {
    "fits": ("t.fits", {}, {}),
    "ecsv": ("t.ecsv", {}, {}),
    "votable": ("t.vot", {"format": "votable"}, {}),
    "votable-binary2": ("t.xml", {"format": "votable", "tabledata_format": "binary2"}, {}),
    "parquet": ("t.parquet", {}, {}),
    "hdf5": ("t.hdf5", {"path": "t", "serialize_meta": True}, {"path": "t"}),
}
SHORT_FORMATS = {"csv": ("t.csv", {}, {}), **FORMATS}


def round_trip(table, cls, kind, folder, overwrite=False):
    name, write_options, read_options = SHORT_FORMATS[kind]
    if kind in ("parquet", "hdf5"):
        pytest.importorskip({"parquet": "pyarrow", "hdf5": "h5py"}[kind])
    table.write(folder / name, overwrite=overwrite, **write_options)
    return cls.read(folder / name, **read_options)


@pytest.fixture(params=CLASSES)
def scored(request, classifier, cutouts):
    table = make_table(request.param)
    add_p_cnn(table, classifier, cutouts, prior=0.05)
    return table


@pytest.mark.parametrize("kind", FORMATS)
def test_round_trip(scored, kind, tmp_path):
    cls = type(scored)
    result = round_trip(scored, cls, kind, tmp_path)
    assert type(result) is cls
    assert result.colnames == scored.colnames
    # VOTable does not keep a table's metadata.
    if "votable" not in kind:
        assert result.meta["FIELD"] == "north"
    for name in ("objID", "ra", "dec", "mag"):
        got, expected = result[name], scored[name]
        assert got.dtype.newbyteorder("=") == expected.dtype
        assert got.info.unit == expected.info.unit
        np.testing.assert_array_equal(
            np.ma.getmaskarray(np.ma.masked_array(got)),
            np.ma.getmaskarray(np.ma.masked_array(expected)),
        )
        np.testing.assert_array_equal(
            np.ma.filled(np.ma.masked_array(got), -1),
            np.ma.filled(np.ma.masked_array(expected), -1),
        )
    assert result["ra"].info.description == "Right ascension"
    assert [str(name) for name in result["name"]] == scored["name"].tolist()

    p_cnn, flags = result["p_cnn"], result["p_cnn_flag"]
    np.testing.assert_array_equal(np.ma.filled(p_cnn, np.nan), scored["p_cnn"])
    # VOTable breaks long descriptions into lines.
    assert p_cnn.info.description.split() == scored["p_cnn"].description.split()
    assert "brightness 1.0, sha256 0123456789ab" in p_cnn.info.description
    assert p_cnn.info.meta["ucd"] == "stat.probability"
    assert flags.info.description.split() == scored["p_cnn_flag"].description.split()
    if "votable" not in kind:
        assert p_cnn.info.meta["shredfinder"] == scored["p_cnn"].meta["shredfinder"]
    assert_split(result, 3)
    assert_split(result[::-1], 3)
    if cls in (ShredTable, ShredQTable):
        assert_restored(result)


def assert_restored(table):
    p_cnn, flags = table["p_cnn"], table["p_cnn_flag"]
    assert type(p_cnn) is Column
    assert p_cnn.dtype == np.float32
    assert p_cnn.dtype.isnative
    assert type(flags) is Column
    assert flags.dtype.kind == "U"
    assert flags.tolist() == ["", "blank", "", "failed", "", "no coverage"]


@pytest.mark.parametrize("kind", SHORT_FORMATS)
@pytest.mark.parametrize("cls", [ShredTable, ShredQTable])
def test_scores_of_plain_tables_are_restored(kind, cls, classifier, cutouts, tmp_path):
    table = make_table(Table)["objID", "name"]
    add_p_cnn(table, classifier, cutouts)
    result = round_trip(table, cls, kind, tmp_path)
    assert_restored(result)
    np.testing.assert_array_equal(result["p_cnn"], table["p_cnn"])
    plain = round_trip(table, Table, kind, tmp_path, overwrite=True)
    assert_split(plain, 3)
    assert_restored(cls(plain))
    # The columns are recognised as shredfinder's own, and may be replaced.
    for again in (result, plain):
        add_p_cnn(again, classifier, cutouts)
        assert_split(again, 3)


@pytest.mark.parametrize("kind", FORMATS)
def test_chains_of_formats(scored, kind, tmp_path):
    cls, result = type(scored), scored
    for step in (kind, *FORMATS, kind):
        result = round_trip(result, cls, step, tmp_path, overwrite=True)
        # Written again, a plain table's masked scores have numbers below the mask.
        if not isinstance(result, ShredTable):
            assert_split(ShredTable(result["p_cnn", "p_cnn_flag"]), 3)
        else:
            assert_split(result, 3)
        np.testing.assert_array_equal(np.ma.filled(result["p_cnn"], np.nan), scored["p_cnn"])


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("cls", [ShredTable, ShredQTable])
def test_joined_rows_survive_files(kind, cls, classifier, cutouts, tmp_path):
    table = make_table(cls)
    add_p_cnn(table, classifier, cutouts)
    both = vstack([table, make_table(cls)])
    result = round_trip(both, cls, kind, tmp_path)
    assert_split(result, 3)
    assert result["p_cnn_flag"].tolist() == both["p_cnn_flag"].tolist()


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("good", [True, False])
@pytest.mark.parametrize("n", [0, 2])
@pytest.mark.filterwarnings("ignore:none of .* scored")
@pytest.mark.filterwarnings("ignore:the .* has no rows")
def test_uniform_columns(kind, good, n, classifier, tmp_path):
    # All scored, none scored, or no rows: formats cannot guess types from the values.
    from .conftest import make_cutouts

    table = ShredTable({"a": np.arange(n)})
    add_p_cnn(table, classifier, make_cutouts([0.3 if good else np.nan] * n))
    result = round_trip(table, ShredTable, kind, tmp_path)
    assert result["p_cnn"].dtype == np.float32
    assert result["p_cnn_flag"].dtype.kind == "U"
    assert result["p_cnn_flag"].tolist() == ["" if good else "blank"] * n
    assert_split(result, n * good)


@pytest.mark.parametrize("name", ["#1", "  # 2"])
def test_ecsv_refuses_rows_that_look_like_comments(tmp_path, name):
    table = Table({"name": ["a", name], "ra": [1.0, 2.0]})
    with pytest.raises(ValueError, match=r"first column 'name' holds '.*', and ECSV reads lines"):
        check_writing(table, tmp_path / "scored.ecsv")
    for path in (tmp_path / "scored.fits", tmp_path / "scored.csv"):
        check_writing(table, path)
    check_writing(table["ra", "name"], tmp_path / "scored.ecsv")
    check_writing(Table(), tmp_path / "scored.ecsv")


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (("007", "7", "0103"), "U"),
        (("+7", "8", "9"), "U"),
        (("1237661068180127885123", "7", "8"), "U"),
        (("007", "", "8"), "U"),
        (("7", "8", "103"), "i"),
        (("7.50", "8.0", "1e-3"), "f"),
    ],
)
@pytest.mark.filterwarnings("ignore:OverflowError converting")
def test_identifiers_in_csv_files_do_not_change(tmp_path, texts, kind):
    path = tmp_path / "ids.csv"
    path.write_text("id,ra\n" + "".join(f"{text},1.5\n" for text in texts))
    table = read_catalogue(path)
    assert table["id"].dtype.kind == kind
    if kind == "U":
        assert np.ma.filled(table["id"], "").tolist() == list(texts)
    assert table["ra"].tolist() == [1.5] * 3


def test_csv_files_may_begin_with_a_byte_order_mark(tmp_path):
    path = tmp_path / "excel.csv"
    path.write_bytes(b"\xef\xbb\xbfobjID,name\r\n11,a\r\n12,b\r\n")
    table = read_catalogue(path)
    assert table.colnames == ["objID", "name"]
    assert table["objID"].tolist() == [11, 12]


def test_too_many_columns_for_fits_are_found_before_scoring(tmp_path):
    table = ShredTable({f"c{i}": [0] for i in range(998)})
    with pytest.raises(ValueError, match="at most 999 columns, got 1000"):
        check_writing(table, tmp_path / "wide.fits")
    check_writing(table[table.colnames[:997]], tmp_path / "wide.fits")


def test_a_link_stays_and_its_target_is_replaced(tmp_path):
    (tmp_path / "real.csv").write_text("old")
    (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")
    write_catalogue(ShredTable({"objID": [11]}), tmp_path / "link.csv")
    assert (tmp_path / "link.csv").is_symlink()
    assert read_catalogue(tmp_path / "real.csv")["objID"].tolist() == [11]


VOTABLE = """<?xml version="1.0" encoding="{encoding}"?>
<{prefix}VOTABLE version="1.3" {xmlns}="http://www.ivoa.net/xml/VOTable/v1.3">
<{prefix}RESOURCE><{prefix}TABLE><{prefix}FIELD name="objID" datatype="int"/><{prefix}DATA>
<{prefix}BINARY><{prefix}STREAM encoding="base64"
  href = "{href}"/></{prefix}BINARY></{prefix}DATA></{prefix}TABLE></{prefix}RESOURCE>
</{prefix}VOTABLE>"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("prefix", ["", "v:"])
def test_votables_with_data_elsewhere_are_refused(tmp_path, encoding, prefix):
    """A catalogue must not make the reader open other files or addresses."""
    (tmp_path / "secret").write_bytes(b"AAAAAQ==")
    text = VOTABLE.format(
        encoding=encoding,
        prefix=prefix,
        xmlns=f"xmlns{':' if prefix else ''}{prefix.rstrip(':')}",
        href=(tmp_path / "secret").as_uri(),
    )
    path = tmp_path / "in.vot"
    path.write_bytes(text.encode(encoding))
    with pytest.raises(ValueError, match=r"STREAM with href|does not recognise"):
        read_catalogue(path)
    # Data within the file are read.
    inline = VOTABLE.partition("<{prefix}STREAM")[0].format(
        encoding="utf-8", prefix="", xmlns="xmlns"
    )
    path.write_text(
        f'{inline}<STREAM encoding="base64">AAAAAQ==</STREAM></BINARY></DATA></TABLE></RESOURCE>'
        "</VOTABLE>"
    )
    assert read_catalogue(path)["objID"].tolist() == [1]


def test_columns_of_fits_are_counted_with_all_that_are_added(tmp_path):
    table = Table([[1]] * 996, names=[f"c{n}" for n in range(996)])
    check_writing(table, tmp_path / "a.fits")
    with pytest.raises(ValueError, match="at most 999 columns, got 1000"):
        check_writing(table, tmp_path / "a.fits", ["p_cnn", "p_cnn_flag", "p_cnn_std", "x"])
    # A coordinate is two columns of the file.
    table["c0"] = SkyCoord([1.0], [2.0], unit="deg")
    table["more"] = 1
    with pytest.raises(ValueError, match="at most 999 columns, got 1000"):
        check_writing(table, tmp_path / "a.fits")
    with pytest.raises(ValueError, match="does not distinguish the column names 'Label'"):
        check_writing(Table({"Label": [1]}), tmp_path / "a.fits", ["label"])


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("ending", ["csv", "tsv", "ecsv", "vot"])
def test_text_has_all_digits(cls, ending, tmp_path):
    """FITS files may give columns a format for display."""
    table = cls({"ra": [10.123456789] * u.deg, "n": [7], "name": ["x"]})
    table["ra"].info.format, table["n"].info.format = ".2f", "03d"
    path = tmp_path / f"t.{ending}"
    write_catalogue(table, path)
    assert read_catalogue(path)["ra"][0] == 10.123456789
    assert table["ra"].info.format == ".2f"
