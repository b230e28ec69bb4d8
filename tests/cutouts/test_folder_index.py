"""Folders of many images: an index on disk, and the survey's own list of bricks."""

import os

import numpy as np
import pytest
from astropy.io import fits

from shredfinder import conf
from shredfinder.cutouts import CutoutRequest, LocalImages
from shredfinder.cutouts.services import folder_index, local
from shredfinder.exceptions import NoCoverageError, ShredfinderWarning

N = 100
_opened = []
CENTERS = [(10.0 + 0.1 * i, 5.0 * j) for i in range(4) for j in range(2)]


@pytest.fixture(autouse=True)
def closed():
    yield
    while _opened:
        _opened.pop().close()


def open_images(folder, **options):
    _opened.append(LocalImages(folder, **options))
    return _opened[-1]


def make_header(ra, dec, **keywords):
    header = fits.Header({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN"})
    header.update({"CRVAL1": ra, "CRVAL2": dec, "CRPIX1": (N + 1) / 2, "CRPIX2": (N + 1) / 2})
    header.update({"CD1_1": -0.262 / 3600, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": 0.262 / 3600})
    header.update(keywords)
    return header


def write_image(path, ra, dec, **keywords):
    value = np.random.default_rng([ord(path.name[0]), int(ra * 100), int(dec)])
    image = value.normal(0.01, 0.01, (N, N)).astype(np.float32)
    path.parent.mkdir(parents=True, exist_ok=True)
    fits.writeto(path, image, make_header(ra, dec, **keywords), overwrite=True)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of images that are no bricks, with its own cache."""
    monkeypatch.setattr(conf, "cache_dir", str(tmp_path / "cache"))
    monkeypatch.setattr(local, "_FEW_FILES", 5)
    for i, (ra, dec) in enumerate(CENTERS):
        for band in "grz":
            write_image(tmp_path / "images" / f"{i % 3}" / f"{band}.{i}.fits", ra, dec)
    # All bands in one file, and a map beside the images.
    bands = [fits.ImageHDU(np.ones((N, N)), make_header(20, 0, FILTER=b)) for b in "grz"]
    fits.HDUList([fits.PrimaryHDU(), *bands]).writeto(tmp_path / "images" / "all.fits")
    write_image(tmp_path / "images" / "g.weight.fits", 10, 0)
    return tmp_path / "images"


@pytest.fixture
def read(monkeypatch):
    """The names of the files whose headers were read for the index."""
    names = []

    def record(path, *args, _read=folder_index.read_file):
        names.append(os.path.basename(path))
        return _read(path, *args)

    monkeypatch.setattr(folder_index, "read_file", record)
    return names


def cut(images, centers=(*CENTERS, (20.0, 0.0))):
    found = images.fetch_many([CutoutRequest(ra, dec, 16, 16, 0.46875) for ra, dec in centers])
    images.close()
    return [
        None if isinstance(result, NoCoverageError) else result.image.tolist() for result in found
    ]


def test_images_are_those_of_all_headers(folder, read, monkeypatch):
    found = cut(open_images(folder))
    assert len(set(read)) == 25
    read.clear()
    again = open_images(folder)
    assert not read
    assert cut(again) == found
    with monkeypatch.context() as patch:
        patch.setattr(local, "_FEW_FILES", 100)
        assert cut(open_images(folder)) == found
    assert None not in found
    # Other bands are another index.
    fluxes = open_images(folder, bands="zgr", color_mapping="flux")
    assert fluxes.bands == ("z", "g", "r")
    assert fluxes.flux_pixel_scale == pytest.approx(0.262)


def test_only_what_changed_is_read(folder, read):
    open_images(folder)
    read.clear()
    for band in "grz":
        write_image(folder / "new" / f"{band}.8.fits", 12, 0)
        (folder / "0" / f"{band}.3.fits").unlink()
        write_image(folder / "1" / f"{band}.4.fits", 12, 1)
    assert CENTERS[3] == (10.1, 5.0)
    assert CENTERS[4] == (10.2, 0.0)
    images = open_images(folder)
    assert sorted(read) == [f"{band}.{i}.fits" for band in "grz" for i in (4, 8)]
    gone = [result is None for result in cut(images, [*CENTERS, (12, 0), (12, 1), (20, 0)])]
    assert gone == [i in (3, 4) for i in range(11)]
    # The same size and another time.
    read.clear()
    os.utime(folder / "1" / "g.4.fits", (0, 0))
    open_images(folder)
    assert read == ["g.4.fits"]


def test_units_of_files_that_are_gone(folder):
    path = folder / "g.9.fits"
    write_image(path, 13, 0, BUNIT="adu")
    with pytest.raises(ValueError, match=r"g\.9\.fits is in BUNIT = 'adu' and has no"):
        open_images(folder)
    path.unlink()
    open_images(folder)


def test_damaged_files_are_named_and_read_again(folder, read):
    path = folder / "g.9.fits"
    path.write_bytes(b"nothing")
    for n_read in (26, 1):
        with pytest.raises(ValueError, match=r"cannot read the image.*g\.9\.fits"):
            open_images(folder)
        assert len(read) == n_read
        read.clear()
    write_image(path, 13, 0)
    open_images(folder)
    assert read == ["g.9.fits"]


def test_files_that_change_while_the_folder_is_open(folder):
    images = open_images(folder)
    fits.PrimaryHDU().writeto(folder / "all.fits", overwrite=True)
    (error,) = images.fetch_many([CutoutRequest(20, 0, 16, 16, 0.46875)])
    assert "was changed since the folder was opened" in str(error)


def test_overlaps_are_reported_each_time(folder):
    write_image(folder / "g.9.fits", *CENTERS[0])
    for _ in range(2):
        with pytest.warns(ShredfinderWarning, match=r"g\.9\.fits show the same part of the sky"):
            open_images(folder)


@pytest.mark.parametrize("content", [b"", b"PK\3\4 damaged", None])
def test_damaged_caches(folder, tmp_path, read, content):
    found = cut(open_images(folder))
    (path,) = (tmp_path / "cache" / "indices").iterdir()
    if content is None:
        with np.load(path) as stored:
            arrays = dict(stored)
        np.savez(path, **arrays | {"planes": np.zeros(3)})
    else:
        path.write_bytes(content)
    read.clear()
    assert cut(open_images(folder)) == found
    assert len(set(read)) == 25


def test_no_cache(folder, tmp_path):
    (tmp_path / "cache").write_text("a file, not a folder")
    with pytest.warns(ShredfinderWarning, match="indices' cannot be used"):
        images = open_images(folder)
    assert None not in cut(images)


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts open files by /proc")
def test_few_files_are_open(folder, tmp_path):
    for i in range(25):
        for band in "grz":
            write_image(folder / f"{band}.1{i}.fits", 30 + 0.1 * i, 0)
    before = len(os.listdir("/proc/self/fd"))
    images = open_images(folder, bands="grz", color_mapping="flux")
    centers = [(30 + 0.1 * i, 0) for i in range(25)]
    found = images.fetch_many([CutoutRequest(*center, 16, 16, 0.46875) for center in centers])
    # Each file that is mapped into memory counts twice.
    assert len(os.listdir("/proc/self/fd")) <= before + 100
    assert all(hasattr(result, "image") for result in found)
    images.close()


@pytest.mark.slow
def test_processes_read_headers(folder, monkeypatch):
    expected = cut(open_images(folder))
    monkeypatch.setattr(folder_index, "_MANY_FILES", 5)
    monkeypatch.setattr(folder_index, "_CHUNK", 7)
    write_image(folder / "g.9.fits", 13, 0)
    for path in folder.rglob("*.fits"):
        os.utime(path, (0, 0))
    assert cut(open_images(folder, workers=2)) == expected


# Bricks


def write_list(path, names, centers, *, lower=False):
    columns = {"BRICKNAME": names, "BRICKID": np.arange(len(names))}
    columns |= {"RA": np.array(centers)[:, 0], "DEC": np.array(centers)[:, 1]}
    table = fits.BinTableHDU.from_columns(
        [
            fits.Column(
                name.lower() if lower else name, "8A" if name == "BRICKNAME" else "D", array=array
            )
            for name, array in columns.items()
        ]
    )
    table.writeto(path)


@pytest.fixture
def bricks(tmp_path, monkeypatch):
    """Bricks whose names are far from their positions, so that only the list locates them."""
    monkeypatch.setattr(conf, "cache_dir", str(tmp_path / "cache"))
    monkeypatch.setattr(local, "_FEW_FILES", 5)
    names = [f"{2000 + 10 * i:04d}p600" for i in range(len(CENTERS))]
    for name, (ra, dec) in zip(names, CENTERS, strict=True):
        for band in "grz":
            path = tmp_path / "dr9" / "coadd" / name[:3] / name
            write_image(path / f"legacysurvey-{name}-image-{band}.fits", ra, dec)
    return tmp_path / "dr9", names


@pytest.mark.parametrize(
    ("name", "lower"), [("survey-bricks.fits", False), ("survey-bricks-dr9-south.fits.gz", True)]
)
def test_list_of_bricks(bricks, name, lower, read):
    folder, names = bricks
    # The survey's list holds all bricks of the sky, in any order.
    write_list(folder / name, ["0001p000", *names[::-1]], [(0.1, 0), *CENTERS[::-1]], lower=lower)
    images = open_images(folder)
    assert None not in cut(images, CENTERS)
    # Without the list, the headers are indexed.
    assert not read
    (folder / name).unlink()
    assert None not in cut(open_images(folder), CENTERS)
    assert read


def test_damaged_lists_of_bricks(bricks):
    folder, _ = bricks
    (folder / "survey-bricks.fits").write_bytes(b"nothing")
    with pytest.warns(ShredfinderWarning, match="cannot read the list of bricks"):
        assert None not in cut(open_images(folder), CENTERS)


def test_folders_of_bricks_are_listed_when_touched(bricks, monkeypatch):
    folder, names = bricks
    # Some hold no images, which must not hide the others.
    more = [(50.0 + i, 0.0) for i in range(20)]
    write_list(
        folder / "survey-bricks.fits",
        [*names, *(f"05{i:02d}p000" for i in range(20))],
        [*CENTERS, *more],
    )
    for i in range(20):
        (folder / "coadd" / "050" / f"05{i:02d}p000").mkdir(parents=True)
    listed = []
    scan = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: listed.append(str(path)) or scan(path))
    images = open_images(folder)
    n_listed = sum("p600" in path for path in listed)
    assert n_listed <= 6
    assert cut(images, [*CENTERS[:2], more[3]])[2] is None
    assert None not in cut(images, CENTERS)
