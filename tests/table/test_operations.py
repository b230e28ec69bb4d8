import copy
import pickle

import numpy as np
import pytest
from astropy.table import (
    Column,
    MaskedColumn,
    QTable,
    Table,
    TableAttribute,
    hstack,
    join,
    unique,
    vstack,
)

from shredfinder import ShredQTable, ShredTable, ShredTableMixin, add_p_cnn
from tests.conftest import galaxy_images

from .conftest import assert_split, make_table

CLASSES = [Table, QTable, ShredTable, ShredQTable]
SHRED_CLASSES = [ShredTable, ShredQTable]


class CandidateTable(ShredTableMixin, QTable):
    """A table class defined by a user."""


@pytest.fixture(params=[*CLASSES, CandidateTable])
def scored(request, classifier, cutouts):
    table = make_table(request.param)
    add_p_cnn(table, classifier, cutouts)
    return table


def assert_same_rows(result, original, rows):
    """Check that rows, columns, units, masks, metadata and class equal the original's."""
    assert type(result) is type(original)
    assert result.colnames == original.colnames
    assert result.meta == original.meta
    for name in original.colnames:
        got, expected = result[name], original[name][rows]
        assert type(got) is type(expected)
        assert got.dtype == expected.dtype
        assert got.info.unit == expected.info.unit
        assert got.info.description == expected.info.description
        assert dict(got.info.meta or {}) == dict(expected.info.meta or {})
        np.testing.assert_array_equal(
            np.ma.getmaskarray(np.ma.masked_array(got)),
            np.ma.getmaskarray(np.ma.masked_array(expected)),
        )
        np.testing.assert_array_equal(got, expected)
    assert_plain(result)
    assert_split(result)


def assert_plain(table):
    p_cnn, flags = table["p_cnn"], table["p_cnn_flag"]
    assert type(p_cnn) is Column
    assert p_cnn.dtype == np.float32
    assert type(flags) is Column
    assert flags.dtype.kind == "U"
    # A row has either a score or a reason.
    assert ((flags != "") == np.isnan(p_cnn)).all()


@pytest.mark.parametrize(
    "rows",
    [
        slice(1, 4),
        slice(None, None, -1),
        [5, 0, 3],
        np.array([True, True, False, True, False, False]),
        slice(0, 0),
    ],
)
def test_slicing(scored, rows):
    assert_same_rows(scored[rows], scored, rows)


def test_sorting(scored):
    result = scored.copy()
    result.sort("objID", reverse=True)
    assert_same_rows(result, scored, slice(None, None, -1))
    result.reverse()
    assert_same_rows(result, scored, slice(None))
    # NaN sorts last.
    result.sort("p_cnn")
    assert np.isnan(result["p_cnn"]).tolist() == [False] * 3 + [True] * 3
    assert_split(result, 3)
    assert_plain(scored[scored.argsort("p_cnn")])


@pytest.mark.parametrize(
    "duplicate",
    [
        lambda table: table.copy(),
        lambda table: type(table)(table),
        copy.copy,
        copy.deepcopy,
        lambda table: pickle.loads(pickle.dumps(table)),
        lambda table: table[table.colnames],
    ],
)
def test_copies(scored, duplicate):
    result = duplicate(scored)
    if not isinstance(result.meta, dict) or not result.meta:
        result.meta.update(scored.meta)
    assert_same_rows(result, scored, slice(None))


def test_stacking(scored):
    result = vstack([scored[:2], scored[2:]])
    assert_same_rows(result, scored, slice(None))
    extra = Table({"extra": np.arange(6)})
    result = hstack([scored, extra])
    assert result.colnames[-1] == "extra"
    result.remove_column("extra")
    assert_same_rows(result, scored, slice(None))


@pytest.mark.parametrize("join_type", ["inner", "left", "right", "outer"])
def test_joins_of_matching_rows(scored, join_type):
    right = Table({"objID": scored["objID"], "z": np.arange(6.0)})
    result = join(scored, right, keys="objID", join_type=join_type)
    result.remove_column("z")
    assert_same_rows(result, scored, slice(None))


def test_rows_and_groups(scored):
    assert [row["p_cnn"] < 0.5 for row in scored] == [True, False, False, False, False, False]
    grouped = scored.group_by("p_cnn_flag")
    for group in grouped.groups:
        assert_plain(group)
        assert_split(group)
    assert_plain(unique(scored, "p_cnn_flag"))


@pytest.mark.parametrize("cls", [*SHRED_CLASSES, CandidateTable])
class TestMaskingOperations:
    """Operations that leave masked scores, with arbitrary values, in a plain table."""

    @pytest.fixture
    def scored(self, cls, classifier, cutouts):
        table = make_table(cls)
        add_p_cnn(table, classifier, cutouts)
        return table

    @pytest.mark.parametrize("first", [True, False])
    def test_vstack_with_an_unscored_table(self, scored, first):
        unscored = make_table(type(scored))
        both = vstack([scored, unscored] if first else [unscored, scored])
        assert type(both) is type(scored)
        assert_plain(both)
        assert_split(both, 3)
        assert np.count_nonzero(both["p_cnn_flag"] == "not scored") == 6
        assert both["p_cnn"].meta["shredfinder"]["model"] == "brightness"
        assert_split(both.filled(), 3)

    def test_vstack_with_a_plain_table(self, scored):
        plain = QTable if isinstance(scored, QTable) else Table
        both = vstack([plain(scored), make_table(plain), scored])
        assert type(both) is type(scored)
        assert_plain(both)
        assert_split(both, 6)

    def test_flags_before_scores(self, scored):
        scored = scored["p_cnn_flag", "objID", "p_cnn"]
        both = vstack([scored, type(scored)({"objID": [1, 2]})])
        assert_plain(both)
        assert both["p_cnn_flag"][6:].tolist() == ["not scored"] * 2

    @pytest.mark.parametrize(("join_type", "n_rows"), [("outer", 8), ("right", 5)])
    def test_joins_with_more_rows(self, scored, join_type, n_rows):
        ids = [*scored["objID"][:3], 1, 2]
        for order in (1, -1):
            right = Table({"objID": ids[::order], "z": np.arange(5.0)})
            result = join(scored, right, keys="objID", join_type=join_type)
            assert len(result) == n_rows
            assert_plain(result)
            assert_split(result, 3 if join_type == "outer" else 2)
        swapped = join(right, scored, keys="objID", join_type="outer")
        assert type(swapped) is type(scored)
        assert_plain(swapped)

    def test_hstack_with_more_rows(self, scored):
        result = hstack([scored, Table({"x": range(9)})])
        assert_plain(result)
        assert_split(result, 3)
        assert result["p_cnn_flag"][6:].tolist() == ["not scored"] * 3

    def test_renamed_scores(self, scored):
        other = scored[::-1]["objID", "p_cnn", "p_cnn_flag"]
        other["objID"][0] = 1
        result = join(scored, other, keys="objID", join_type="outer")
        for n in "12":
            result[f"p_cnn_{n}"].info.name = "p_cnn"
            result[f"p_cnn_flag_{n}"].info.name = "p_cnn_flag"
            assert_plain(result)
            assert_split(result)
            result.rename_columns(["p_cnn", "p_cnn_flag"], [f"a{n}", f"b{n}"])
        assert isinstance(result["name_1" if "name_1" in result.colnames else "name"], MaskedColumn)

    def test_rows_inserted_masked(self, scored):
        values = {name: scored[name][0] for name in scored.colnames}
        mask = {name: name in ("p_cnn", "p_cnn_flag") for name in scored.colnames}
        scored.insert_row(2, values, mask)
        scored.add_row(values, mask)
        assert len(scored) == 8
        assert_plain(scored)
        assert_split(scored, 3)

    def test_masked_values_assigned(self, scored):
        values = np.ma.masked_array(np.zeros(6, np.float32), [1, 0, 0, 1, 0, 0])
        scored["p_cnn"] = values
        assert type(scored["p_cnn"]) is Column
        assert_split(scored, 4)
        scored["other"] = values
        del scored["p_cnn"]
        scored.rename_column("other", "p_cnn")
        assert_split(scored, 4)
        with pytest.warns(UserWarning, match="converting a masked element to nan"):
            scored["p_cnn"][1] = np.ma.masked
        assert_split(scored, 3)

    def test_conversion_from_a_plain_join(self, scored):
        plain = Table(scored["objID", "p_cnn", "p_cnn_flag"], copy=True)
        result = vstack([plain, Table({"objID": [1, 2]})])
        assert isinstance(result["p_cnn"], MaskedColumn)
        restored = type(scored)(result)
        assert_plain(restored)
        assert_split(restored, 3)

    def test_foreign_columns_are_unchanged(self, scored):
        table = type(scored)({"p_cnn_error": np.ma.masked_array([1.0, 2.0], [True, False])})
        assert table["p_cnn_error"].mask.tolist() == [True, False]
        table = type(scored)({"p_cnn": ["high", "low"]})
        assert table["p_cnn"].tolist() == ["high", "low"]
        table = type(scored)({"p_cnn": np.ma.masked_array([0.1, 0.2], [True, False])})
        assert table["p_cnn"].dtype == float
        assert_split(table, 1)

    def test_index_on_scores(self, scored):
        scored.add_index("p_cnn")
        values = {name: scored[name][0] for name in scored.colnames}
        scored.add_row(values, {name: name == "p_cnn" for name in scored.colnames})
        assert_split(scored, 3)


def test_stacking_tables_with_and_without_quantities(classifier, cutouts):
    # Only columns without units: astropy does not stack quantities and plain columns.
    scored, quantities = (make_table(cls)["objID", "name"] for cls in SHRED_CLASSES)
    for table in (scored, quantities):
        add_p_cnn(table, classifier, cutouts)
    both = vstack([scored, quantities])
    assert type(both) is ShredQTable
    assert_split(both, 6)


@pytest.mark.parametrize("cls", [ShredTable, ShredQTable])
def test_rows_that_are_added_without_a_score_are_unscored(cls):
    table = cls({"objID": [1, 2], "p_cnn": np.float32([0.2, 0.9]), "p_cnn_flag": ["", ""]})
    table.add_row({"objID": 3})
    table.insert_row(0, {"objID": 0})
    table.insert_row(-1, {"objID": 9})
    assert table["objID"].tolist() == [0, 1, 2, 9, 3]
    assert np.isnan(table["p_cnn"]).tolist() == [True, False, False, True, True]
    assert table["p_cnn_flag"].tolist() == ["not scored", "", "", "not scored", "not scored"]
    # A score that is given is kept.
    table.add_row({"objID": 4, "p_cnn": 0.5, "p_cnn_flag": ""})
    table.add_row([5, 0.6, ""])
    assert table["p_cnn"][-2:].tolist() == pytest.approx([0.5, 0.6])
    assert 3 not in table["objID"][table["p_cnn"] < 0.5]


@pytest.mark.parametrize("name", ["descriptions", "colnames"])
def test_attributes_that_clash_are_refused(name):
    # Before Python 3.12, errors while a class is defined become RuntimeError.
    with pytest.raises((ValueError, RuntimeError)):
        type("Mine", (ShredTable,), {name: TableAttribute()})


@pytest.mark.parametrize(
    "values",
    [
        None,
        {"objID": 5},
        {"objID": 5, "p_cnn": np.nan},
        {"objID": 5, "p_cnn": None, "p_cnn_std": 0.1},
        {"objID": 5, "p_cnn": np.ma.masked, "p_cnn_flag": ""},
        (5, np.nan, "", 0.1),
        (5, np.ma.masked, "", 0.1),
    ],
)
@pytest.mark.parametrize("cls", [ShredTable, ShredQTable])
@pytest.mark.parametrize("index", [0, 1, -1, None])
def test_new_rows_without_a_score_are_unscored(values, cls, index):
    table = cls({"objID": [1, 2]})
    add_p_cnn(table, cutouts=galaxy_images(2), std=True)
    if index is None:
        table.add_row(values)
    else:
        table.insert_row(index, values)
    row = {None: 2, -1: 1}.get(index, index)
    assert np.isnan([table["p_cnn"][row], table["p_cnn_std"][row]]).all()
    assert table["p_cnn_flag"].tolist().count("not scored") == 1
    assert table["p_cnn_flag"][row] == "not scored"
    assert np.isfinite(table["p_cnn"]).sum() == 2


def test_new_rows_keep_their_score():
    table = ShredTable({"objID": [1]})
    add_p_cnn(table, cutouts=galaxy_images(1), std=True)
    table.add_row({"objID": 5, "p_cnn": 0.25})
    assert table["p_cnn"][1] == 0.25
    assert table["p_cnn_flag"][1] == ""
    # It was not given, and is not zero.
    assert np.isnan(table["p_cnn_std"][1])
