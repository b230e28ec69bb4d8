import io

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import MaskedColumn
from astropy.utils.masked import Masked
from PIL import Image, ImageFile

from shredfinder import Cutouts
from shredfinder.imaging import ImageFiles, as_cutouts, flux_to_rgb, read_image

EXPECTED = {
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
}
FACTS = {"size": (128, 128), "pixel_scale": 0.46875, "bands": "zrg"}


def test_unusable_files_affect_only_their_own_row(image_files):
    files = ImageFiles([image_files / name for name in EXPECTED], **FACTS)
    cutouts = files[:]
    assert dict(zip(EXPECTED, cutouts.flags.tolist(), strict=True)) == EXPECTED
    for name in ("good.png", "good.jpg"):
        image = np.asarray(Image.open(image_files / name))
        np.testing.assert_array_equal(cutouts.images[list(EXPECTED).index(name)], image)


def test_rows_without_a_path_are_missing(image_files):
    assert ImageFiles([None, "", image_files / "good.png"], **FACTS)[:].flags.tolist() == [
        "missing",
        "missing",
        "",
    ]


def test_files_are_read_on_demand(tmp_path):
    files = ImageFiles([tmp_path / f"{i}.png" for i in range(10)], **FACTS)
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (128, 128, 3), dtype=np.uint8)).save(
        tmp_path / "9.png"
    )
    assert len(files) == 10
    assert files[8:].flags.tolist() == ["missing", ""]


def make_picture(mode="RGB"):
    """A picture of 16 × 16 px in any of Pillow's modes, not blank."""
    rng = np.random.default_rng(4)
    picture = Image.fromarray(rng.integers(0, 255, (16, 16, 3), dtype=np.uint8))
    if mode in ("RGB", "RGBA", "P"):
        return picture.convert(mode)
    return (
        picture.convert("L").convert("I").convert(mode)
        if mode == "I;16"
        else (picture.convert("L").convert(mode))
    )


def test_transparent_and_indexed_images_become_rgb(tmp_path):
    for mode in ("RGBA", "P"):
        make_picture(mode).save(tmp_path / "image.png")
        image, flag = read_image(tmp_path / "image.png")
        assert (image.shape, image.dtype, flag) == ((16, 16, 3), np.uint8, "")


@pytest.mark.parametrize("mode", ["1", "L", "LA", "I;16", "F"])
def test_single_channel_images_are_refused(tmp_path, mode):
    suffix = ".tif" if mode == "F" else ".png"
    make_picture(mode).save(tmp_path / f"image{suffix}")
    assert read_image(tmp_path / f"image{suffix}") == (None, "wrong size")


@pytest.mark.parametrize("suffix", [".png", ".gif", ".webp", ".jpg", ".bmp", ".tif"])
def test_grey_images_are_treated_alike_in_all_formats(tmp_path, suffix):
    for name, picture in (("l", make_picture("L")), ("rgb", make_picture("L").convert("RGB"))):
        path = tmp_path / f"{name}{suffix}"
        picture.save(path, **({"lossless": True} if suffix == ".webp" else {}))
        assert read_image(path) == (None, "wrong size")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".gif", ".bmp", ".tif", ".webp"])
def test_truncated_files_are_found_whatever_others_set(tmp_path, suffix, monkeypatch):
    path = tmp_path / f"image{suffix}"
    picture = make_picture().resize((128, 128))
    picture.save(path, **({"lossless": True} if suffix == ".webp" else {}))
    content = path.read_bytes()
    path.write_bytes(content[: int(0.6 * len(content))])
    monkeypatch.setattr("PIL.ImageFile.LOAD_TRUNCATED_IMAGES", True)
    image, flag = read_image(path)
    assert image is None
    assert flag in ("corrupted", "not an image")
    # The setting of the other package stays.
    assert ImageFile.LOAD_TRUNCATED_IMAGES


def test_a_single_path_is_a_batch_of_one(image_files):
    for path in (image_files / "good.png", str(image_files / "good.png")):
        files = as_cutouts(path, **FACTS)
        assert len(files) == 1
        assert files[:].flags.tolist() == [""]
        with pytest.raises(
            ValueError, match=r"paths must be a list of image files, got '.*good.png'"
        ):
            ImageFiles(path, **FACTS)


def test_grey_images_of_16_bits_and_fits_files(tmp_path):
    grey = np.random.default_rng(0).integers(300, 60000, (16, 16)).astype(np.uint16)
    Image.fromarray(grey).save(tmp_path / "deep.png")
    fits.writeto(tmp_path / "one.fits", grey)
    fits.writeto(tmp_path / "plane.fits", grey[np.newaxis])
    for name in ("deep.png", "one.fits", "plane.fits"):
        assert read_image(tmp_path / name) == (None, "wrong size")
    fits.writeto(tmp_path / "cube.fits", np.stack([grey] * 3))
    assert read_image(tmp_path / "cube.fits") == (None, "not an image")


@pytest.mark.parametrize("mode", ["L", "LA", "I;16", "RGB"])
def test_pictures_are_checked_like_files(tmp_path, mode):
    grey = make_picture("L").convert("RGB") if mode == "RGB" else make_picture(mode)
    facts = FACTS | {"size": (16, 16)}
    for pictures in (grey, [grey], [grey, make_picture()]):
        flags = as_cutouts(pictures, **facts)[:].flags.tolist()
        assert flags == ["wrong size", ""][: len(flags)]


def test_truncated_pictures_are_found(tmp_path, monkeypatch):
    make_picture().resize((128, 128)).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    monkeypatch.setattr("PIL.ImageFile.LOAD_TRUNCATED_IMAGES", True)
    with Image.open(io.BytesIO(content[: len(content) // 2])) as picture:
        assert as_cutouts(picture, **FACTS)[:].flags.tolist() == ["corrupted"]


@pytest.mark.parametrize("kind", ["uint8", "float", "list", "astropy", "column"])
def test_masked_pixels_are_not_data(kind):
    images = np.random.default_rng(0).integers(0, 255, (3, 16, 16, 3), dtype=np.uint8)
    mask = np.zeros(images.shape, bool)
    mask[1, 8, 8], mask[2] = True, True
    values = images / 255 if kind == "float" else images
    masked = {
        "list": lambda: [np.ma.array(a, mask=b) for a, b in zip(values, mask, strict=True)],
        "astropy": lambda: Masked(values, mask),
        "column": lambda: MaskedColumn(values, mask=mask),
    }.get(kind, lambda: np.ma.array(values, mask=mask))()
    cutouts = as_cutouts(masked, **FACTS | {"size": (16, 16)})
    assert cutouts.flags.tolist() == ["", "corrupted", "corrupted"]
    np.testing.assert_allclose(cutouts.images[0], images[0] / np.float32(255), rtol=1e-6)
    unmasked = as_cutouts(np.ma.array(images), **FACTS | {"size": (16, 16)})
    assert unmasked.images.dtype == np.uint8
    fluxes = Cutouts(
        np.ma.array(images, mask=mask), pixel_scale=1, bands="grz", color_mapping="flux"
    )
    assert fluxes.flags.tolist() == ["", "no coverage", "blank"]
    assert fluxes.images[0].max() > 1


def test_paths_of_any_kind_are_accepted(image_files):
    paths = [str(image_files / name) for name in ("good.png", "good.jpg")]
    pictures = [Image.open(path) for path in paths]
    expected = as_cutouts(paths, **FACTS)[:]
    kinds = [tuple(paths), np.array(paths), MaskedColumn(paths, mask=[False, False]), pictures]
    kinds.append([image_files / "good.png", image_files / "good.jpg"])
    pandas, pyarrow = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    kinds += [pandas.Series(paths, index=[5, 3]), pandas.Index(paths)]
    kinds += [pyarrow.array(paths), pyarrow.chunked_array([paths[:1], paths[1:]])]
    kinds += [pandas.Series(list(expected.images)), list(expected.images)]
    for images in kinds:
        found = as_cutouts(images, **FACTS)[:]
        np.testing.assert_array_equal(found.images, expected.images)
        assert found.flags.tolist() == ["", ""]
    rows = pandas.Series([paths[0], None], dtype="string")
    assert as_cutouts(rows, **FACTS)[:].flags.tolist() == ["", "missing"]


def test_a_folder_stands_for_its_images(tmp_path, image_files):
    folder = tmp_path / "images"
    (folder / "other.png").mkdir(parents=True)
    for name in ("b.png", "a.PNG"):
        (folder / name).write_bytes((image_files / "good.png").read_bytes())
    (folder / "notes.txt").write_text("none")
    assert as_cutouts(folder, **FACTS)[:].flags.tolist() == ["", ""]
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="holds no image: images end in"):
        as_cutouts(tmp_path / "empty", **FACTS)


@pytest.mark.slow
def test_real_cutouts_are_no_drawings(data_folder, tmp_path):
    files = sorted((data_folder / "cutouts").glob("*.png"))
    found = ImageFiles(files, **FACTS)[:]
    # The survey has no data at the centre of one.
    assert np.count_nonzero(~found.good) <= 1
    quiet = np.argsort(found.images.std(axis=(1, 2, 3)))[:100]
    for quality in (50, 75, 85, 95):
        paths = [tmp_path / f"{i}.jpg" for i in range(len(quiet))]
        for path, i in zip(paths, quiet, strict=True):
            Image.fromarray(found.images[i]).save(path, quality=quality)
        assert ImageFiles(paths, **FACTS)[:].good.all()


@pytest.mark.parametrize("quality", [None, 75, 90])
# Relative to the Legacy Surveys: 30 s of SDSS, Pan-STARRS1, and a survey with ten times the time.
@pytest.mark.parametrize("noise", [6, 2.5, 1, 0.3])
def test_empty_fields_of_any_depth_are_no_drawings(tmp_path, noise, quality):
    rng = np.random.default_rng(6)
    # In g, r and z, in nanomaggies per native pixel.
    sigma = np.array([0.0026, 0.0046, 0.0096])[:, np.newaxis, np.newaxis] * noise
    fluxes = rng.normal(size=(3, 128, 128)) * sigma
    path = tmp_path / ("sky.png" if quality is None else "sky.jpg")
    options = {} if quality is None else {"quality": quality}
    Image.fromarray(flux_to_rgb(fluxes, "grz")).save(path, **options)
    assert read_image(path)[1] == ""


def test_arrays_may_have_a_flat_background():
    y, x = np.mgrid[:128, :128] - 64
    light = 220 * np.exp(-np.hypot(x, y) / 6)
    image = (light[..., np.newaxis] * (1, 0.8, 0.5) + 20).astype(np.uint8)
    assert as_cutouts(image, **FACTS).flags.tolist() == [""]
