"""Unusable image files of every kind: each affects only its own row."""

import functools
import tempfile
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from shredfinder import ShredTable, add_p_cnn, conf

from .conftest import BrightnessClassifier, assert_split

# Name in the folder of `image_files` -> flag.
FILES = {
    "good.png": "",
    "good.jpg": "",
    "blank.png": "blank",
    "uncovered.png": "no coverage",
    "small.png": "wrong size",
    "bomb.png": "oversized",
    "truncated.png": "corrupted",
    "page.png": "not an image",
    "empty.png": "not an image",
    "folder.png": "missing",
    "absent.png": "missing",
    "x" * 300 + ".png": "missing",
    "../good.png": "missing",
    "\ud800.png": "missing",
    "": "missing",
}


@pytest.mark.parametrize("batch_size", [1, 3, 128])
@pytest.mark.parametrize("as_folder", [True, False])
@pytest.mark.filterwarnings("ignore:.* of .* rows (have|repeat)")
def test_unusable_files(image_files, classifier, batch_size, as_folder):
    names = [name for bad in FILES for name in ("good.png", bad)]
    table = ShredTable({"file": np.array(names, dtype=object)})
    given = image_files if as_folder else [name and str(image_files / name) for name in names]
    with conf.set_temp("batch_size", batch_size):
        table.add_p_cnn(classifier, given, pattern="{file}" if as_folder else None)
    expected = [FILES[name] for name in names]
    if not as_folder:
        # Paths may lead anywhere, names within a folder may not; this file is absent.
        expected[names.index("../good.png")] = "missing"
    assert table["p_cnn_flag"].tolist() == expected
    assert np.isfinite(table["p_cnn"]).tolist() == [not flag for flag in expected]
    assert len(set(table["p_cnn"][::2].tolist())) == 1
    assert_split(table)


@pytest.mark.filterwarnings("ignore:none of .* scored")
def test_pipes_do_not_block(tmp_path, classifier):
    import os

    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no named pipes")
    os.mkfifo(tmp_path / "1.png")
    table = Table({"id": [1]})
    add_p_cnn(table, classifier, tmp_path, pattern="{id}.png")
    assert table["p_cnn_flag"][0] == "missing"


def test_unreadable_files(image_files, classifier):
    path = image_files / "good.png"
    path.chmod(0)
    try:
        path.read_bytes()
    except PermissionError:
        pass
    else:
        pytest.skip("this user can read every file")
    table = Table({"id": [1]})
    add_p_cnn(table, classifier, [path])
    assert table["p_cnn_flag"][0] == "missing"


def test_links_within_a_folder(image_files, tmp_path_factory, classifier):
    # Links may lead out of the folder, since the user created them.
    folder = tmp_path_factory.mktemp("links")
    (folder / "1.png").symlink_to(image_files / "good.png")
    (folder / "2.png").symlink_to(folder / "absent.png")
    table = Table({"id": [1, 2]})
    add_p_cnn(table, classifier, folder, pattern="{id}.png")
    assert table["p_cnn_flag"].tolist() == ["", "missing"]


def test_embedded_model_on_unusable_files(image_files):
    table = ShredTable({"file": list(FILES)[:11]})
    table.add_p_cnn(cutouts=image_files, pattern="{file}")
    assert table["p_cnn_flag"].tolist() == list(FILES.values())[:11]
    assert np.isfinite(table["p_cnn"]).tolist() == [True, True] + [False] * 9


# Valid but unusual file names: spaces, dots, braces, symbols, other scripts.
NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="/\\\0", exclude_categories=["Cs"]),
    min_size=1,
    max_size=12,
)


@functools.cache
def make_image(level):
    """Return noise around a level, so that the mean identifies the image."""
    rng = np.random.default_rng(level)
    return rng.integers(level, level + 9, (8, 8, 3), dtype=np.uint8)


class SmallClassifier(BrightnessClassifier):
    size_ = (8, 8)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
@pytest.mark.filterwarnings("ignore:none of .* scored")
@pytest.mark.filterwarnings("ignore:.* of .* rows (have|repeat)")
def test_scores_follow_rows(data):
    names = data.draw(st.lists(NAMES, min_size=1, max_size=12, unique_by=str.casefold))
    kinds = data.draw(
        st.lists(
            st.sampled_from(["good", "absent", "page", "blank", "masked"]),
            min_size=len(names),
            max_size=len(names),
        )
    )
    order = data.draw(st.permutations(range(len(names))))
    with tempfile.TemporaryDirectory() as folder:
        for row, (name, kind) in enumerate(zip(names, kinds, strict=True)):
            path = Path(folder, f"{name}.png")
            if kind in ("good", "masked"):
                Image.fromarray(make_image(10 * row + 5)).save(path, "PNG")
            elif kind == "page":
                path.write_text("<html>")
            elif kind == "blank":
                Image.new("RGB", (8, 8), (row, row, row)).save(path, "PNG")
        table = ShredTable({"row": np.arange(len(names)), "name": np.array(names, dtype=object)})
        table["name"] = np.ma.masked_array(table["name"], [kind == "masked" for kind in kinds])
        table = table[list(order)]
        with conf.set_temp("batch_size", 5):
            table.add_p_cnn(SmallClassifier(), folder, pattern="{name}.png")
    flags = {
        "good": "", "absent": "missing", "page": "not an image", "blank": "blank",
        "masked": "missing",
    }  # fmt: skip
    for row, p_cnn, flag in table.iterrows("row", "p_cnn", "p_cnn_flag"):
        assert flag == flags[kinds[row]]
        if kinds[row] == "good":
            assert p_cnn == pytest.approx(make_image(10 * row + 5).mean() / 255, rel=1e-5)
        else:
            assert np.isnan(p_cnn)
    assert_split(table, kinds.count("good"))
