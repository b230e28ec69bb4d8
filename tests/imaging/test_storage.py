"""Cutouts stored in folders, FITS and HDF5 files."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table
from hypothesis import given, settings
from hypothesis import strategies as st

from shredfinder import Cutouts


def make_cutouts(kind="color", n=5):
    rng = np.random.default_rng(0)
    if kind == "color":
        images = rng.integers(0, 255, (n, 20, 24, 3), dtype=np.uint8)
        facts = {"bands": "zrg", "color_mapping": "legacy-grz", "service": "legacy:ls-dr9"}
    else:
        images = rng.normal(0, 5, (n, 20, 24, 5)).astype(np.float32)
        facts = {"bands": "grizy", "color_mapping": "flux"}
    flags = [""] * n
    if n > 3:
        flags[2], flags[3] = "no coverage", "failed"
        images[2:4] = 0 if kind == "color" else np.nan
    return Cutouts(images, flags=flags, pixel_scale=0.46875, **facts)


@pytest.mark.parametrize("kind", ["color", "fluxes"])
@pytest.mark.parametrize("name", ["cutouts.fits", "cutouts.fits.gz", "cutouts.h5", "cutouts"])
def test_round_trip(tmp_path, kind, name):
    if name.endswith(".h5"):
        pytest.importorskip("h5py")
    cutouts = make_cutouts(kind)
    path = cutouts.write(tmp_path / name)
    again = Cutouts.read(path)
    np.testing.assert_array_equal(again.images, cutouts.images)
    assert again.images.dtype == cutouts.images.dtype
    assert again.flags.tolist() == cutouts.flags.tolist()
    for fact in ("pixel_scale", "bands", "color_mapping", "service"):
        assert getattr(again, fact) == getattr(cutouts, fact)
    with pytest.raises(OSError, match="overwrite=True"):
        cutouts.write(path)
    assert len(Cutouts.read(cutouts[:3].write(path, overwrite=True))) == 3
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("name", ["cutouts.fits", "cutouts.h5", "cutouts"])
def test_empty_cutouts(tmp_path, name):
    if name.endswith(".h5"):
        pytest.importorskip("h5py")
    cutouts = make_cutouts(n=0)
    assert len(Cutouts.read(cutouts.write(tmp_path / name))) == 0


def test_folders_list_every_row(tmp_path):
    table = Table({"objID": [10, 11, 12, 13, 14], "ra": np.arange(5.0)})
    names = [f"{number}.png" for number in table["objID"]]
    make_cutouts().write(tmp_path, names=names, table=table)
    index = Table.read(tmp_path / "cutouts.ecsv")
    assert index["path"].filled("").tolist() == ["10.png", "11.png", "", "", "14.png"]
    assert index["flag"].filled("").tolist() == ["", "", "no coverage", "failed", ""]
    assert index["objID"].tolist() == [10, 11, 12, 13, 14]
    assert sorted(p.name for p in tmp_path.glob("*.png")) == ["10.png", "11.png", "14.png"]
    assert table.colnames == ["objID", "ra"]
    (tmp_path / "11.png").unlink()
    assert Cutouts.read(tmp_path).flags.tolist()[:2] == ["", "missing"]


def test_missing_names_and_subfolders(tmp_path):
    cutouts = make_cutouts(n=2)
    cutouts.write(tmp_path, names=["sub/a.png", None])
    assert (tmp_path / "sub" / "a.png").is_file()
    assert Cutouts.read(tmp_path).flags.tolist() == ["", "missing"]


def test_invalid_input_is_refused(tmp_path):
    cutouts = make_cutouts()
    with pytest.raises(
        ValueError, match=r"no format of cutouts has the extension of .*cutouts.zip"
    ):
        cutouts.write(tmp_path / "cutouts.zip")
    with pytest.raises(ValueError, match="5 cutouts and 1 names: give one each"):
        cutouts.write(tmp_path / "folder", names=["a.png"])
    with pytest.raises(ValueError, match=r"'\.\./e' is not a valid file name within the folder"):
        cutouts.write(tmp_path / "folder", names=["a", "b", "c", "d", "../e"])
    with pytest.raises(ValueError, match=r"several cutouts .* 'a.png'"):
        cutouts.write(tmp_path / "folder", names=["a.png"] * 5)
    with pytest.raises(ValueError, match="names and table are for folders, got a fits file"):
        cutouts.write(tmp_path / "a.fits", names=list("abcde"))
    with pytest.raises(OSError, match="nowhere"):
        cutouts.write(tmp_path / "nowhere" / "a.fits")
    Table({"x": [1]}).write(tmp_path / "other.fits")
    with pytest.raises(ValueError, match="holds no cutouts"):
        Cutouts.read(tmp_path / "other.fits")


names = st.text(st.characters(exclude_characters="\x00/", exclude_categories=["Cs"]), max_size=20)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        names | st.sampled_from(["..", ".", "a/../../b", "/root/a", "~", "cutouts.ecsv"]),
        min_size=2,
        max_size=2,
    )
)
def test_no_name_leaves_the_folder(given_names):
    images = np.random.default_rng(0).integers(0, 255, (2, 8, 8, 3), dtype=np.uint8)
    cutouts = Cutouts.of_survey("legacy-dr9", images)
    with tempfile.TemporaryDirectory() as outside:
        folder = Path(outside) / "folder"
        try:
            cutouts.write(folder, names=[f"{name}.png" for name in given_names])
        except (ValueError, OSError):
            pass
        else:
            assert np.array_equal(Cutouts.read(folder).images, images)
        assert {path.name for path in Path(outside).iterdir()} <= {"folder"}


def test_names_that_look_like_comments(tmp_path):
    images = np.random.default_rng(0).integers(0, 255, (2, 8, 8, 3), dtype=np.uint8)
    cutouts = Cutouts.of_survey("legacy-dr9", images)
    table = Table({"note": ["# first", "second"]})
    cutouts.write(tmp_path / "folder", names=["#1.png", "2.png"], table=table)
    np.testing.assert_array_equal(Cutouts.read(tmp_path / "folder").images, images)
    index = Table.read(tmp_path / "folder" / "cutouts.ecsv")
    assert index["note"].tolist() == ["# first", "second"]
