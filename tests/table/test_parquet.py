"""Parquet columns of every everyday type: copied to Parquet, converted or refused elsewhere."""

import datetime as dt
import decimal
import io
import subprocess
import sys
import uuid

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import Table
from astropy.time import Time

from shredfinder import ShredQTable, ShredTable
from shredfinder.bulk import classify_catalogue
from shredfinder.table import check_writing, read_catalogue, write_catalogue

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

pytestmark = pytest.mark.filterwarnings("ignore:none of .* scored")

BIG = 1237661068180127885  # a float64 would round it
NOON = dt.datetime(2020, 1, 2, 12, 0, 0, 5)  # noqa: DTZ001
HIDDEN = np.array([False, True, False])
TAGGED = pa.ExtensionArray.from_storage(
    pa.uuid(), pa.array([uuid.UUID(int=5).bytes, None, uuid.UUID(int=6).bytes], pa.binary(16))
)
# Values with a null, and what a table shows in their place.
PLAIN = {
    "integers": (pa.array([None, BIG, BIG + 1]), [None, BIG, BIG + 1]),
    "unsigned": (pa.array([None, 5, 6], pa.uint64()), [None, 5, 6]),
    "bytes": (pa.array([-1, None, 3], pa.int8()), [-1, None, 3]),
    "booleans": (pa.array([True, None, False]), [True, None, False]),
    "floats": (pa.array([0.5, None, 2.0]), [0.5, None, 2.0]),
    "half": (pa.array(np.array([0.5, 0, 2], np.float16), mask=HIDDEN), [0.5, None, 2.0]),
    "text": (pa.array([None, "a", "bc"]), [None, "a", "bc"]),
    "large_text": (pa.array(["a", None, "b"], pa.large_string()), ["a", None, "b"]),
    "text_view": (pa.array(["a", None, "b"], pa.string_view()), ["a", None, "b"]),
    "bytes_of_text": (pa.array([b"a", None, b"b"]), ["a", None, "b"]),
    "categories": (pa.array([None, "b", "a"]).dictionary_encode(), [None, "b", "a"]),
    "ordered": (
        pa.DictionaryArray.from_arrays(pa.array([0, None, 1]), ["low", "high"], ordered=True),
        ["low", None, "high"],
    ),
    "nothing": (pa.nulls(3), [None] * 3),
    "null_floats": (pa.nulls(3, pa.float64()), [None] * 3),
    "days": (
        pa.array([None, NOON.date(), dt.date(9999, 12, 31)]),
        [None, "2020-01-02", "9999-12-31"],
    ),
    "times": (pa.array([NOON.time(), None, None]), ["12:00:00.000005", None, None]),
    "stamps": (
        pa.array([NOON, None, None], pa.timestamp("us")),
        ["2020-01-02T12:00:00.000005", None, None],
    ),
    "nano": (pa.array([1, None, 3], pa.timestamp("ns")), None),
    "zoned": (
        pa.array([NOON, None, None], pa.timestamp("us", tz="Europe/Warsaw")),
        ["2020-01-02T12:00:00.000005Z", None, None],
    ),
    "spans": (pa.array([dt.timedelta(1), None, None]), [86_400_000_000, None, None]),
    "decimal_ids": (
        pa.array([decimal.Decimal(BIG), None, decimal.Decimal(7)], pa.decimal128(38, 0)),
        [BIG, None, 7],
    ),
    "decimals": (pa.array([decimal.Decimal("1.25"), None, None]), [1.25, None, None]),
    "exact": (
        pa.array([decimal.Decimal("1.00000000000000000001"), None, None]),
        ["1.00000000000000000001", None, None],
    ),
    "uuids": (TAGGED, [str(uuid.UUID(int=5)), None, str(uuid.UUID(int=6))]),
}


def can_store(values):
    """Return whether this version of pyarrow writes and reads a type."""
    file = io.BytesIO()
    try:
        pq.write_table(pa.table({"x": values}), file)
        pq.read_table(file)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return False
    return True


PLAIN = {name: pair for name, pair in PLAIN.items() if can_store(pair[0])}
# Nested columns, and formats that hold them.
NESTED = {
    "structs": pa.array([{"a": 1, "b": "x"}, None, {"a": 2, "b": None}]),
    "lists": pa.array([[1, 2], None, []]),
    "large_lists": pa.array([[1], None, []], pa.large_list(pa.int64())),
    "maps": pa.array([[("k", 1)], None, []], pa.map_(pa.string(), pa.int64())),
    "raw": pa.array([b"\xff\x00", None, b"\x01"]),
    "list_of_times": pa.array([[1], None, [3]], pa.list_(pa.timestamp("ns"))),
}
PAIRS = pa.array([[1, 2], None, [3, None]], pa.list_(pa.int32(), 2))


def make_file(path, **columns):
    """Write a catalogue of two row groups with metadata of its own."""
    fields = {"objID": pa.array([BIG, BIG + 1, BIG + 2]), "ra": [1.0, 2, 3], "dec": [4.0, 5, 6]}
    table = pa.table(fields | columns).replace_schema_metadata({"who": "a user"})
    pq.write_table(table, path, row_group_size=2, compression="zstd")
    return path


@pytest.fixture
def folder(tmp_path):
    """A folder of cutouts without any."""
    (tmp_path / "cutouts").mkdir()
    return tmp_path / "cutouts"


def classify(path, output, folder):
    return classify_catalogue(path, output, cutouts=folder, pattern="{objID}.png", chunk_size=2)


def test_any_column_is_copied_to_parquet(tmp_path, folder):
    columns = {name: values for name, (values, _) in PLAIN.items()} | NESTED
    columns |= {"pairs": PAIRS} if can_store(PAIRS) else {}
    path = make_file(tmp_path / "in.parquet", **columns)
    classify(path, tmp_path / "out.parquet", folder)
    old, new = pq.ParquetFile(path), pq.ParquetFile(tmp_path / "out.parquet")
    assert new.read().drop_columns(["p_cnn", "p_cnn_flag"]).equals(old.read())
    for field in old.schema_arrow:
        assert new.schema_arrow.field(field.name).equals(field, check_metadata=True)
    assert new.schema_arrow.metadata[b"who"] == b"a user"
    assert new.metadata.row_group(0).column(0).compression == "ZSTD"
    # Scoring again replaces the columns where they are, and removes stale ones.
    classify(tmp_path / "out.parquet", tmp_path / "again.parquet", folder)
    again = pq.ParquetFile(tmp_path / "again.parquet").read()
    assert again.equals(new.read()) or again.column_names == new.read().column_names


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("suffix", [".fits", ".ecsv", ".vot", ".csv", ".hdf5"])
def test_plain_columns_are_converted(name, suffix, tmp_path, folder):
    if suffix == ".hdf5":
        pytest.importorskip("h5py")
    values, expected = PLAIN[name]
    path = make_file(tmp_path / "in.parquet", x=values)
    table = ShredTable.read(path)
    assert type(table) is ShredTable
    assert table["objID"].tolist() == [BIG, BIG + 1, BIG + 2]
    if expected is not None:
        assert table["x"].tolist() == expected
    classify(path, tmp_path / f"out{suffix}", folder)
    result = read_catalogue(tmp_path / f"out{suffix}")
    assert result["objID"].tolist() == [BIG, BIG + 1, BIG + 2]
    # Text has no nulls in FITS, VOTable and HDF5: it is empty there.
    shown = [None if value == "" else value for value in _to_list(result["x"])]
    if suffix == ".csv":
        shown = [None if value is None else str(value) for value in shown]
        same = [None if value is None else str(value) for value in _to_list(table["x"])]
        # Numbers of more digits than a float has are numbers again.
        assert shown == same or name == "exact"
    else:
        assert shown == _to_list(table["x"])


def _to_list(column):
    values = np.ma.MaskedArray(column, copy=True)
    if values.dtype.kind == "S":
        values = values.astype(str)
    if values.dtype.kind == "f":
        values = np.ma.masked_invalid(values)
    return values.tolist()


@pytest.mark.parametrize("name", NESTED)
@pytest.mark.parametrize("suffix", [".fits", ".vot", ".csv", ".hdf5"])
def test_nested_columns_are_refused_by_name_before_scoring(name, suffix, tmp_path, folder):
    if suffix == ".hdf5":
        pytest.importorskip("h5py")
    path = make_file(tmp_path / "in.parquet", x=NESTED[name])
    with pytest.raises(ValueError, match=r"the column 'x' holds .*, which \w+ cannot hold: use"):
        classify(path, tmp_path / f"out{suffix}", folder)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["cutouts", "in.parquet"]
    assert len(ShredTable.read(path)) == 3


@pytest.mark.skipif(not can_store(PAIRS), reason="this version of pyarrow cannot read it")
def test_lists_of_one_length_are_rows_of_numbers(tmp_path, folder):
    path = make_file(tmp_path / "in.parquet", x=PAIRS)
    assert ShredTable.read(path)["x"].tolist() == [[1, 2], [None, None], [3, None]]
    classify(path, tmp_path / "out.fits", folder)
    assert read_catalogue(tmp_path / "out.fits")["x"].tolist()[0] == [1, 2]


def test_several_columns_of_one_name_are_refused(tmp_path, folder):
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["objID", "objID"])
    pq.write_table(twice, tmp_path / "in.parquet")
    for suffix in (".parquet", ".fits"):
        with pytest.raises(ValueError, match="several columns 'objID': rename all but one"):
            classify(tmp_path / "in.parquet", tmp_path / f"out{suffix}", folder)


@pytest.mark.parametrize("suffix", [".parquet", ".fits"])
@pytest.mark.filterwarnings("ignore:the .* has no rows")
def test_files_without_rows(suffix, tmp_path, folder):
    columns = {name: values[:0] for name, (values, _) in PLAIN.items()}
    columns |= {name: values[:0] for name, values in NESTED.items() if suffix == ".parquet"}
    schema = pa.table(columns | {"objID": pa.array([], pa.int64())}).schema
    pq.write_table(schema.empty_table(), tmp_path / "in.parquet")
    classify(tmp_path / "in.parquet", tmp_path / f"out{suffix}", folder)
    result = read_catalogue(tmp_path / f"out{suffix}")
    assert len(result) == 0
    assert result["objID"].dtype.kind == "i"
    if suffix == ".parquet":
        given, written = (pq.read_schema(tmp_path / f"{name}.parquet") for name in ("in", "out"))
        assert all(written.field(field.name).equals(field) for field in given)


def test_pandas_indices_stay(tmp_path, folder):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"objID": [1, 2]}, index=pd.Index(["a", "b"], name="who"))
    frame["band"] = pd.Categorical(["r", None], ["g", "r"], ordered=True)
    frame.to_parquet(tmp_path / "in.parquet")
    classify(tmp_path / "in.parquet", tmp_path / "out.parquet", folder)
    result = pd.read_parquet(tmp_path / "out.parquet")
    assert result.index.equals(frame.index)
    pd.testing.assert_frame_equal(result[["objID", "band"]], frame)


def test_objects_of_astropy_survive(tmp_path, folder):
    table = Table({"objID": [1, 2], "seen": Time([58000, 58001], format="mjd")})
    table["place"] = SkyCoord([1, 2], [3, 4], unit="deg")
    table["mag"] = [20.0, 21.0]
    table["mag"].unit, table["mag"].description, table.meta["who"] = "mag", "brightness", "a user"
    table.write(tmp_path / "in.parquet")
    for cls in (ShredTable, ShredQTable):
        result = cls.read(tmp_path / "in.parquet", include_names=["place", "mag"])
        assert type(result) is cls
        assert result.colnames == ["place", "mag"]
        assert isinstance(result["place"], SkyCoord)
    classify(tmp_path / "in.parquet", tmp_path / "out.parquet", folder)
    for result in (ShredTable.read(tmp_path / "out.parquet"), Table.read(tmp_path / "out.parquet")):
        assert result["seen"].mjd.tolist() == [58000, 58001]
        assert str(result["mag"].unit) == "mag"
        assert result.meta["who"] == "a user"
        assert "shredfinder" in result["p_cnn"].meta


def test_rows_and_columns_are_selected(tmp_path):
    path = make_file(tmp_path / "in.parquet")
    assert ShredTable.read(path, exclude_names=["dec"]).colnames == ["objID", "ra"]
    assert ShredTable.read(path, filters=[("ra", ">", 1)])["dec"].tolist() == [5, 6]
    empty = ShredTable.read(path, schema_only=True)
    assert len(empty) == 0
    assert empty.colnames == ["objID", "ra", "dec"]
    with path.open("rb") as file:
        assert ShredTable.read(file, format="parquet")["ra"].tolist() == [1, 2, 3]


# astropy's reader failed in a quarter of such scripts.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("argument", "times"),
    [("path", 1), ("open(path, 'rb')", 4), ("io.BytesIO(path.read_bytes())", 4)],
)
def test_short_scripts_end_well(argument, times, tmp_path):
    path = make_file(tmp_path / "in.parquet")
    script = (
        "import io, pathlib; from shredfinder import ShredTable;"
        f"path = pathlib.Path({str(path)!r}); assert len(ShredTable.read({argument})) == 3"
    )
    for _ in range(times):
        subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize("suffix", [".fits", ".vot"])
def test_the_mark_of_missing_integers_is_no_value(suffix, tmp_path):
    # astropy marks missing integers by 999999.
    table = Table({"objID": np.ma.array([999_999, BIG, 5], mask=[0, 0, 1])}, masked=True)
    write_catalogue(table, tmp_path / f"t{suffix}")
    assert read_catalogue(tmp_path / f"t{suffix}")["objID"].tolist() == [999_999, BIG, None]


def test_columns_of_objects_are_checked_in_all_rows(tmp_path):
    values = np.array(["a", "b", {"c": 1}], dtype=object)
    with pytest.raises(ValueError, match="the column 'x' holds values of the type"):
        check_writing(Table({"x": values}), tmp_path / "t.vot")
    check_writing(Table({"x": np.array(["a", None], dtype=object)}), tmp_path / "t.fits")
    check_writing(Table({"x": np.array([-1, 2], np.int8)}), tmp_path / "t.fits")
    write_catalogue(Table({"x": np.array([-1, 2], np.int8)}), tmp_path / "t.fits")
    assert read_catalogue(tmp_path / "t.fits")["x"].tolist() == [-1, 2]
    too_big = Table({"x": np.array([2**63], np.uint64)})
    with pytest.raises(ValueError, match="VOTable cannot hold"):
        check_writing(too_big, tmp_path / "t.vot")
