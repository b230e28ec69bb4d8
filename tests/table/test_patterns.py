import os
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import QTable, Table
from astropy.time import Time
from hypothesis import given, settings
from hypothesis import strategies as st

from shredfinder.table import find_image_files
from shredfinder.table.patterns import PatternFiles


@pytest.fixture
def table():
    return Table(
        {
            "objID": np.array([1237646587169407341, 2**63 - 1, 7], dtype=np.int64),
            "big": np.array([2**64 - 1, 0, 1], dtype=np.uint64),
            "field": ["a", "b c", "ü"],
            "x": [1.5, np.nan, 2.25],
            "flux.r": [1, 2, 3],
            "pair": [[1, 2], [3, 4], [5, 6]],
        }
    )


def names(table, folder, pattern):
    return [
        None if path is None else os.path.relpath(path, folder)
        for path in find_image_files(table, folder, pattern)
    ]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("{objID}.png", ["1237646587169407341.png", "9223372036854775807.png", "7.png"]),
        ("{big}", ["18446744073709551615", "0", "1"]),
        ("{field}/{objID:020d}.png", ["a/01237646587169407341.png", "b c/09223372036854775807.png",
                                      "ü/00000000000000000007.png"]),
        ("{x:.2f}.png", ["1.50.png", None, "2.25.png"]),
        ("{flux.r}_{{}}.png", ["1_{}.png", "2_{}.png", "3_{}.png"]),
        ("{field}{field}", ["aa", "b cb c", "üü"]),
    ],
)  # fmt: skip
def test_names(table, tmp_path, pattern, expected):
    assert names(table, tmp_path, pattern) == expected


def test_kinds_of_columns(tmp_path):
    table = QTable({"i": np.ma.masked_array([1, 2, 3], mask=[False, True, False])})
    table["s"] = np.ma.masked_array(["a", "b", ""], mask=[True, False, False])
    table["b"] = [b"a", b"\xff", b"c"]
    table["o"] = np.array(["a", None, Path("x")], dtype=object)
    table["q"] = [1.0, 2.0, np.inf] * u.deg
    table["t"] = [True, False, True]
    assert names(table, tmp_path, "{i}") == ["1", None, "3"]
    assert names(table, tmp_path, "{s}") == [None, "b", None]
    assert names(table, tmp_path, "{b}") == ["a", None, "c"]
    assert names(table, tmp_path, "{o}") == ["a", None, None]
    assert names(table, tmp_path, "{q:.1f}") == ["1.0", "2.0", None]
    assert names(table, tmp_path, "{t}") == ["True", "False", "True"]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        (3, "must be a name of files"),
        ("objID.png", "names no column"),
        ("", "names no column"),
        ("{objids}.png", r"did you mean 'objID'\?\).*'objID', 'big', 'field'"),
        ("{nonsense}", "does not have; its columns are 'objID'"),
        ("{objID.real}", "'objID.real', which the table does not have"),
        ("{objID.__class__}", "does not have"),
        ("{pair[0]}", r"'pair\[0\]', which the table does not have"),
        ("{}", "''"),
        ("{0}", "'0'"),
        ("{objID!r}", "conversion"),
        ("{objID:{big}}", "nested field"),
        ("{objID", r"invalid pattern .*expected '}'"),
        ("objID}", r"invalid pattern .*Single '}'"),
        ("{pair}", r"shape \(2,\)"),
        ("{objID:.2q}", "'.2q' does not fit the column 'objID'"),
        ("{field:03d}", "does not fit the column 'field'"),
        ("../{objID}.png", "leaves the folder"),
        ("a/../../{objID}.png", "leaves the folder"),
        ("/etc/{objID}.png", "leaves the folder"),
        ("{objID}/..", "leaves the folder"),
    ],
)
def test_invalid_patterns_are_refused(table, tmp_path, pattern, message):
    with pytest.raises(ValueError, match=message):
        find_image_files(table, tmp_path, pattern)


@pytest.mark.parametrize("column", ["coord", "when", "pair"])
def test_columns_without_scalar_values_are_refused(table, tmp_path, column):
    table["coord"] = SkyCoord([1, 2, 3], [1, 2, 3], unit="deg")
    table["when"] = Time([1, 2, 3], format="mjd")
    with pytest.raises(ValueError, match=f"column '{column}' has .* values of shape"):
        find_image_files(table, tmp_path, f"{{{column}}}.png")


def test_errors_list_at_most_20_columns(tmp_path):
    table = Table({f"c{i}": [1] for i in range(50)})
    with pytest.raises(ValueError, match="'c19' and 30 more"):
        find_image_files(table, tmp_path, "{id}.png")


@pytest.mark.parametrize(
    "value",
    ["../x", "..", "/etc/passwd", "a/b", "a\\b", "x\0y", "", "../../../../../../etc/passwd"],
)
def test_values_cannot_leave_the_folder(tmp_path, value):
    table = Table({"id": np.array([value, "good"], dtype=object)})
    assert names(table, tmp_path, "{id}") == [None, "good"]


def test_combined_values_cannot_leave_the_folder(tmp_path):
    table = Table({"a": [".", ".x"], "b": [".", "."]})
    assert names(table, tmp_path, "{a}{b}/x.png") == [None, ".x./x.png"]


def test_folders(table, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"the folder of cutouts .* does not exist"):
        find_image_files(table, tmp_path / "absent", "{objID}")
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="cutouts must be a folder, got the file"):
        find_image_files(table, tmp_path / "file", "{objID}")
    assert find_image_files(table[:0], str(tmp_path), "{objID}") == []


def test_paths_are_formatted_on_demand(tmp_path):
    n = 100_000
    table = Table({"id": np.arange(n)})
    files = PatternFiles(table, tmp_path, "{id}.png")
    assert len(files) == n
    assert files[-1].endswith("99999.png")
    assert [Path(path).name for path in files[10:12]] == ["10.png", "11.png"]
    own = sum(map(sys.getsizeof, vars(files).values()))
    assert own < 2000
    with pytest.raises(IndexError):
        files[n]


def test_a_dot_is_not_a_file_name(tmp_path):
    table = Table({"a": [".", "b"]})
    for pattern in ("{a}", "x/{a}/y.png", "./{a}"):
        paths = find_image_files(table, tmp_path, pattern)
        assert paths[0] is None
        assert paths[1] is not None


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(), min_size=1, max_size=5), st.sampled_from(["{a}", "{a}.png", "x/{a}/y"]))
def test_no_value_leaves_the_folder(tmp_path_factory, values, pattern):
    folder = tmp_path_factory.getbasetemp()
    table = Table({"a": np.array(values, dtype=object)})
    for value, path in zip(values, find_image_files(table, folder, pattern), strict=True):
        if path is not None:
            assert os.path.normpath(path).startswith(str(folder))
            assert value in path


def test_case_is_ignored_in_names_of_columns(tmp_path):
    for name in ("objID", "OBJID", "objid"):
        table = Table({name: [7], "other": [1]})
        for pattern in ("{objID}.png", "{ObjId}.png", None):
            assert find_image_files(table, tmp_path, pattern) == [str(tmp_path / "7.png")]
    both = Table({"objID": [7], "OBJID": [8]})
    assert find_image_files(both, tmp_path) == [str(tmp_path / "7.png")]
    with pytest.raises(ValueError, match="'objID' and 'OBJID': use the spelling"):
        find_image_files(both, tmp_path, "{objid}.png")


def test_the_default_pattern_is_the_same_everywhere():
    from shredfinder.cli import cutout_arguments
    from shredfinder.table import patterns

    assert cutout_arguments.DEFAULT_PATTERN == patterns.DEFAULT_PATTERN
