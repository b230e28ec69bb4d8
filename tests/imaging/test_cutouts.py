import numpy as np
import pytest
from astropy import units as u

from shredfinder import Cutouts
from shredfinder.imaging import CutoutFlag, as_cutouts, check_images

FACTS = {"pixel_scale": 0.46875, "bands": "zrg"}


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 255, (4, 16, 16, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    "scale", [0.46875, 0.46875 * u.arcsec, 0.46875 * u.arcsec / u.pix, 0.46875 / 60 * u.arcmin]
)
def test_pixel_scale_in_any_angular_unit(images, scale):
    assert Cutouts(images, pixel_scale=scale, bands="zrg").pixel_scale == pytest.approx(0.46875)


@pytest.mark.parametrize("scale", [0, -1, np.nan, np.inf, 1 * u.m, "wide", None])
def test_pixel_scale_must_be_a_positive_angle(images, scale):
    with pytest.raises(ValueError, match="pixel_scale"):
        Cutouts(images, pixel_scale=scale, bands="zrg")


def test_a_single_image_is_a_batch_of_one(images):
    for single in (Cutouts(images[0], **FACTS), as_cutouts(images[0], size=(16, 16), **FACTS)):
        assert len(single) == 1
        np.testing.assert_array_equal(single.images, images[:1])
        assert single.flags.tolist() == [""]


def test_invalid_shapes_and_types_are_refused(images):
    with pytest.raises(ValueError, match=r"shape \(n, height, width, bands\), got \(16, 16\)"):
        Cutouts(images[0, :, :, 0], **FACTS)
    with pytest.raises(ValueError, match="uint8 or float"):
        Cutouts(images.astype(int), **FACTS)
    with pytest.raises(
        ValueError, match=r"3 channels, got 5 bands \(u, g, r, i, z\): name one band per channel"
    ):
        Cutouts(images, pixel_scale=1, bands="ugriz")
    with pytest.raises(ValueError, match="float images must lie in 0–1"):
        Cutouts(images.astype(float), **FACTS)
    with pytest.raises(ValueError, match="4 images and 3 flags: give one flag per image"):
        Cutouts(images, flags=["", "", ""], **FACTS)
    with pytest.raises(ValueError, match=r"unknown flags \['odd'\]"):
        Cutouts(images, flags=["", "", "", "odd"], **FACTS)


def test_flags_are_kept_and_unflagged_images_are_checked(images):
    images[1] = images[2] = 32
    cutouts = Cutouts(images, flags=["", "", "failed", "missing"], **FACTS)
    assert cutouts.flags.tolist() == ["", "blank", "failed", "missing"]
    assert cutouts.good.tolist() == [True, False, False, False]


def test_other_colors_count_as_good(images):
    cutouts = Cutouts(images, flags=["other colors", "", "", ""], **FACTS)
    assert cutouts.good.all()


def test_slices_are_cutouts(images):
    cutouts = Cutouts(images, service="here", **FACTS)
    for item, n in ((slice(1, 3), 2), ([0, 3], 2), (np.array([True, False, True, True]), 3)):
        part = cutouts[item]
        assert isinstance(part, Cutouts)
        assert len(part) == len(part.flags) == n
        assert part.bands == ("z", "r", "g")
        assert part.service == "here"
    np.testing.assert_array_equal(cutouts[-1].images, images[-1:])
    assert [len(one) for one in cutouts] == [1] * 4


def test_of_survey_uses_the_surveys_facts(images):
    cutouts = Cutouts.of_survey("legacy-dr9", images)
    assert (cutouts.bands, cutouts.color_mapping) == (("z", "r", "g"), "legacy-grz")
    assert Cutouts.of_survey("legacy-dr9", images, pixel_scale=0.262).pixel_scale == 0.262
    with pytest.raises(ValueError, match="no survey named 'vlt'"):
        Cutouts.of_survey("vlt", images)


def test_empty_cutouts():
    cutouts = Cutouts(np.empty((0, 16, 16, 3), np.uint8), **FACTS)
    assert len(cutouts) == 0
    assert "0 of 16×16 px" in repr(cutouts)


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_checks_find_unusable_images(kind):
    images = np.random.default_rng(1).integers(10, 250, (6, 32, 32, 3), dtype=np.uint8)
    images[1] = 32
    images[1, 0, 0] = 33  # as JPEG compression leaves it
    images[2, 8:24, 8:24] = 32
    images[3, 8:24, 8:24] = 255  # a saturated nucleus is data
    images[4, :12] = 32  # covered at the centre
    if kind is np.float32:
        images = images.astype(kind) / 255
        images[5, 3, 3, 1] = np.nan
    expected = ["", "blank", "no coverage", "", "", "corrupted" if kind is np.float32 else ""]
    assert check_images(images).tolist() == expected


def test_flags_are_plain_strings():
    assert CutoutFlag.NO_COVERAGE == "no coverage"
    assert max(len(flag) for flag in CutoutFlag) <= 16
