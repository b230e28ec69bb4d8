"""Properties of any table: rows, order and unscored rows survive joins and file formats."""

import contextlib
import importlib.util
import tempfile
from pathlib import Path

import numpy as np
import pytest
from astropy.io.registry import get_formats
from astropy.table import Table, join, vstack
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from shredfinder import ShredTable
from shredfinder.table import identify_format, read_catalogue, write_catalogue

SUFFIXES = [".fits", ".ecsv", ".vot"]
SUFFIXES += [".parquet"] if importlib.util.find_spec("pyarrow") else []
SUFFIXES += [".hdf5"] if importlib.util.find_spec("h5py") else []

numbers = st.floats(0, 1, width=32) | st.just(np.nan)
rows = st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), numbers), min_size=1, max_size=12)
# FITS holds ASCII only and strips trailing spaces.
words = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=8)
slow_examples = settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=25
)


def make_scored(values):
    table = ShredTable({"objID": np.array([number for number, _ in values], dtype=np.int64)})
    table["p_cnn"] = np.array([p for _, p in values], dtype=np.float32)
    table["p_cnn_flag"] = ["missing" if np.isnan(p) else "" for _, p in values]
    return table


def assert_same(table, other):
    assert table["objID"].tolist() == other["objID"].tolist()
    np.testing.assert_array_equal(np.asarray(table["p_cnn"]), np.asarray(other["p_cnn"]))
    assert [str(flag) for flag in table["p_cnn_flag"]] == [str(f) for f in other["p_cnn_flag"]]
    assert not np.ma.is_masked(table["p_cnn"])
    # No unscored row is in either half.
    halves = (table["p_cnn"] < 0.5).sum() + (table["p_cnn"] >= 0.5).sum()
    assert halves == np.isfinite(np.asarray(table["p_cnn"])).sum()


@pytest.mark.parametrize("suffix", SUFFIXES)
@slow_examples
@given(values=rows)
def test_files_round_trip(suffix, values):
    table = make_scored(values)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"scored{suffix}"
        write_catalogue(table, path)
        assert_same(read_catalogue(path), table)


@slow_examples
@given(values=rows, names=st.lists(words, min_size=1, max_size=12))
def test_text_and_masks_round_trip(values, names):
    n = min(len(values), len(names))
    table = make_scored(values[:n])
    mask = [i % 3 == 2 for i in range(n)]
    table["name"] = np.ma.array(names[:n], mask=mask)
    for suffix in (".ecsv", ".fits"):
        with tempfile.TemporaryDirectory() as folder:
            write_catalogue(table, Path(folder) / f"t{suffix}")
            again = read_catalogue(Path(folder) / f"t{suffix}")
        assert_same(again, table)
        given_names = [str(name) for name, hidden in zip(names, mask, strict=False) if not hidden]
        kept = [str(name) for name, hidden in zip(again["name"], mask, strict=True) if not hidden]
        assert kept == given_names


@slow_examples
@given(first=rows, second=rows)
def test_stacks_and_joins_never_mask_scores(first, second):
    one, two = make_scored(first), make_scored(second)
    assert_same(vstack([one, two]), make_scored([*first, *second]))
    two.remove_columns(["p_cnn", "p_cnn_flag"])
    both = vstack([one, two])
    assert_same(both[: len(one)], one)
    assert np.isnan(np.asarray(both["p_cnn"][len(one) :])).all()
    assert set(both["p_cnn_flag"][len(one) :]) == {"not scored"}
    assume(len({number for number, _ in first}) == len(first))
    joined = join(one, two, keys="objID", join_type="outer")
    assert not np.ma.is_masked(joined["p_cnn"])
    assert all(np.isfinite(row["p_cnn"]) or row["p_cnn_flag"] for row in joined)


@given(st.text(max_size=12))
def test_names_have_one_format_or_none(name):
    known = set(get_formats(Table, "Write")["Format"])
    with contextlib.suppress(ValueError):  # no other error
        assert identify_format(f"a{name}") in known


@given(st.sampled_from(SUFFIXES), st.text(st.characters(categories=["L", "N"]), max_size=20))
def test_only_the_extension_determines_the_format(suffix, stem):
    assert identify_format(f"{stem}a{suffix}") == identify_format(f"b{suffix}")
