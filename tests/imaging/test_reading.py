import numpy as np
import pytest
from PIL import Image

from shredfinder.imaging import ImageFiles, as_cutouts, read_image

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


def test_transparent_and_indexed_images_become_rgb(tmp_path):
    for mode in ("RGBA", "P"):
        Image.new("RGB", (8, 8), (9, 9, 9)).convert(mode).save(tmp_path / "image.png")
        image, flag = read_image(tmp_path / "image.png")
        assert (image.shape, image.dtype, flag) == ((8, 8, 3), np.uint8, "")


@pytest.mark.parametrize("mode", ["1", "L", "LA", "I;16", "F"])
def test_single_channel_images_are_refused(tmp_path, mode):
    suffix = ".tif" if mode == "F" else ".png"
    Image.new(mode, (8, 8)).save(tmp_path / f"image{suffix}")
    assert read_image(tmp_path / f"image{suffix}") == (None, "wrong size")


def test_a_single_path_is_a_batch_of_one(image_files):
    for path in (image_files / "good.png", str(image_files / "good.png")):
        files = as_cutouts(path, **FACTS)
        assert len(files) == 1
        assert files[:].flags.tolist() == [""]
        with pytest.raises(
            ValueError, match=r"paths must be a list of image files, got '.*good.png'"
        ):
            ImageFiles(path, **FACTS)
