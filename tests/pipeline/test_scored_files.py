"""Scored tables that come back from files whose types are guessed."""

import numpy as np
import pytest
from astropy.table import MaskedColumn, Table

from shredfinder import ShredTable
from shredfinder._utils.units import to_bools, to_strings
from shredfinder.datasets import example_candidates, example_cutouts, example_field, example_hosts
from shredfinder.hosts import compare_removals, find_parents, join_hosts, saga_shreds
from shredfinder.pipeline import build_pool, merge_sample
from shredfinder.table import find_image_files, show_cutouts, write_catalogue

pd = pytest.importorskip("pandas")


def read_astropy(path):
    return ShredTable.read(path)


def read_pandas(path):
    return ShredTable(Table.from_pandas(pd.read_csv(path)))


@pytest.fixture
def scored():
    """Every row has a score, so that all flags are empty."""
    table = example_candidates()
    table["p_cnn"] = np.where(table["label"] == "shred", 0.97, 0.02)
    table["p_cnn_flag"] = np.full(len(table), "", "U16")
    table["ref_cat"] = np.full(len(table), "", "U2")
    return table


@pytest.fixture(params=[read_astropy, read_pandas])
def read(scored, request, tmp_path):
    write_catalogue(scored, tmp_path / "scored.csv")
    table = request.param(tmp_path / "scored.csv")
    assert table["p_cnn_flag"].dtype.kind in "if"
    return table


def test_merging(scored, read):
    expected, found = scored.merge_shreds(), read.merge_shreds()
    assert found["objid"].tolist() == expected["objid"].tolist()
    assert found["merge_flag"].tolist() == expected["merge_flag"].tolist()
    np.testing.assert_allclose(found["r"], expected["r"])


def test_parents_of_a_file(scored, read, tmp_path):
    parents = find_parents(scored)
    parents.write(tmp_path / "parents.csv")
    found = read.merge_shreds(parents=Table.read(tmp_path / "parents.csv"))
    expected = scored.merge_shreds(parents=parents)
    assert found["shred_ids"].tolist() == expected["shred_ids"].tolist()
    assert found["merge_flag"].tolist() == expected["merge_flag"].tolist()


def test_samples(scored, read):
    expected, found = merge_sample(scored), merge_sample(read)
    assert np.asarray(scored["host_entry"]).any()
    assert found.satellites["objid"].tolist() == expected.satellites["objid"].tolist()
    assert found.summary() == expected.summary()


def test_scoring_again(read):
    read.add_p_cnn(cutouts=example_cutouts(), progress=False)
    assert read["p_cnn_flag"].dtype.kind == "U"
    read.show_cutouts(example_cutouts())


def test_comparing_removals(read):
    by_rule = np.where(read["p_cnn"] > 0.9, "True", "False")
    found = compare_removals(by_rule, read["p_cnn"])
    assert found["n"][0] == np.count_nonzero(read["p_cnn"] > 0.9)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([True, False], [True, False]),
        ([1, 0], [True, False]),
        ([1.0, np.nan], [True, False]),
        (["True", " f"], [True, False]),
        ([b"T", b"FALSE"], [True, False]),
        (np.array([True, None, "false", np.nan], object), [True, False, False, False]),
        (MaskedColumn(["True", "?"], mask=[False, True]), [True, False]),
        (MaskedColumn([1, 7], mask=[False, True]), [True, False]),
        (MaskedColumn([True, True], mask=[False, True]), [True, False]),
        ([[1, 0], [0, 1]], [[True, False], [False, True]]),
        ([], []),
        ("true", True),
    ],
)
def test_booleans(values, expected):
    found = to_bools(values, "x")
    assert found.dtype == bool
    assert found.tolist() == expected


@pytest.mark.parametrize(("values", "wrong"), [([2, 0], "2"), (["yes"], "'yes'"), ([0.5], "0.5")])
def test_no_booleans(values, wrong):
    with pytest.raises(TypeError, match=f"x must be true or false: got {wrong}"):
        to_bools(values, "x")


@pytest.mark.parametrize("dtype", [int, float, bool])
def test_empty_text(dtype):
    assert to_strings(np.ma.masked_all(2, dtype), "x").tolist() == ["", ""]
    assert to_strings([np.nan, np.nan], "x").tolist() == ["", ""]
    with pytest.raises(TypeError, match="x must be text"):
        to_strings(np.ma.masked_array([1, 2], [False, True]), "x")


@pytest.mark.parametrize("make", [Table.to_pandas, Table.as_array])
def test_other_tables(scored, make):
    """Not only astropy's tables are joined with hosts and merged."""
    joined = join_hosts(make(scored), example_hosts())
    assert joined["host_entry"].tolist() == scored["host_entry"].tolist()
    found, expected = merge_sample(make(scored)), merge_sample(scored)
    assert found.satellites["objid"].tolist() == expected.satellites["objid"].tolist()


@pytest.mark.parametrize("make", [Table.to_pandas, Table.as_array])
def test_other_tables_in_other_functions(scored, make):
    field = example_field()
    del scored["label"]
    scored["objid"] = scored["objid"].astype(str)
    table = make(scored)
    assert len(build_pool(table, 20, random_state=1)) == 20
    assert len(find_parents(table)) == len(saga_shreds(table)) == len(scored)
    assert len(find_image_files(table, ".")) == len(scored)
    assert len(show_cutouts(table, example_cutouts(), max_rows=5).html) > 1000
    pytest.importorskip("matplotlib")
    from shredfinder.plotting import plot_field

    assert plot_field(field.image, field.wcs, table).has_data()


def test_lacking_columns(scored):
    del scored["g"]
    scored.rename_column("objid", "OBJID")
    with pytest.raises(KeyError, match="lack 2 columns of query_candidates: objid, g "):
        merge_sample(scored)
    with pytest.raises(TypeError, match="candidates must be a Table"):
        merge_sample([scored])
