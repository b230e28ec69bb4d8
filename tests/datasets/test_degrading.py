"""Cutouts with another survey's seeing and depth."""

import numpy as np
import pytest

from shredfinder import Cutouts
from shredfinder.datasets import degrade_cutouts, make_field
from shredfinder.datasets.degrading import degrade_fluxes
from shredfinder.surveys import Imaging, get_survey

SDSS = get_survey("sdss").imaging
FACTS = {"pixel_scale": 0.46875, "native_pixel_scale": 0.262}


@pytest.fixture(scope="module")
def cutouts():
    return make_field(size=320, n_hosts=1, random_state=1).cutouts()


def test_noise_matches_the_depth():
    # At the survey's own pixel scale nothing is resampled, so that the noise is known.
    rng = np.random.default_rng(0)
    facts = {"pixel_scale": SDSS.pixel_scale, "native_pixel_scale": SDSS.pixel_scale}
    noise = degrade_fluxes(np.zeros((200, 200, 1)), "r", SDSS, **facts, rng=rng)
    width = SDSS.seeing["r"] / 2.3548 / SDSS.pixel_scale
    # A Gaussian fitted to a point source averages over 4π s² pixels.
    limit = 5 * noise.std() * np.sqrt(4 * np.pi) * width
    assert 22.5 - 2.5 * np.log10(limit) == pytest.approx(SDSS.depth["r"], abs=0.02)


def test_present_noise_is_not_added_again():
    rng = np.random.default_rng(0)
    present = {"r": 1.0}
    out = degrade_fluxes(np.zeros((64, 64, 1)), "r", SDSS, **FACTS, noise=present, rng=rng)
    assert out.std() == 0


def test_a_point_gets_the_seeing():
    image = np.zeros((65, 65, 1))
    image[32, 32] = 1e4
    out = degrade_fluxes(image, "r", SDSS, **FACTS, rng=np.random.default_rng(0))[..., 0]
    x = np.arange(65) - 32
    profile = out.sum(axis=0)
    variance = (profile * x**2).sum() / profile.sum()
    fwhm = 2.3548 * np.sqrt(variance) * FACTS["pixel_scale"]
    assert fwhm == pytest.approx(SDSS.seeing["r"], rel=0.05)
    assert out.sum() == pytest.approx(image.sum(), rel=0.01)


def test_kind_and_flags_are_kept(cutouts):
    images = cutouts.images[:3].copy()
    images[1] = 32
    given = Cutouts.of_survey("legacy-dr9", images)
    degraded = degrade_cutouts(given, "ps1-dr2", random_state=1)
    assert degraded.flags.tolist() == ["", "blank", ""]
    assert (degraded.images[1] == 32).all()
    assert (degraded.images[0] != given.images[0]).mean() > 0.5
    assert (degraded.bands, degraded.color_mapping) == (given.bands, given.color_mapping)
    again = degrade_cutouts(given, "ps1-dr2", random_state=1)
    np.testing.assert_array_equal(again.images, degraded.images)


def test_sdss_is_worse_than_ps1(cutouts):
    spread = [
        np.abs(degrade_cutouts(cutouts, name, random_state=0).images - cutouts.images.astype(int))
        for name in ("ps1-dr2", "sdss-dr17")
    ]
    assert 1.5 * spread[0].mean() < spread[1].mean()


def test_unsuitable_cutouts_are_refused(cutouts):
    with pytest.raises(ValueError, match="no survey named 'hsc': choose one of"):
        degrade_cutouts(cutouts, "hsc")
    with pytest.raises(ValueError, match="has no band z"):
        degrade_cutouts(cutouts, Imaging(0.4, {"g": 1, "r": 1}, {"g": 22, "r": 22}))
    other = Cutouts.of_survey("sdss-dr17", cutouts.images)
    with pytest.raises(ValueError, match="only 8-bit images with a known colour mapping"):
        degrade_cutouts(other, "sdss-dr17")
