import numpy as np
import pytest

from shredfinder.imaging import deredden_images, flux_to_rgb, rgb_to_flux
from shredfinder.surveys import get_survey


def test_colors_match_a_calculation_by_hand():
    # z = 0.2, r = 0.1, g = 0.05: v = 0.47, 0.37, 0.33, so I = 0.39;
    # f = arcsinh(7.8) / sqrt(20) = 2.7514 / 4.4721 = 0.61523; v f / I = 0.7414, 0.5837, 0.5206.
    image = flux_to_rgb(np.array([0.05, 0.1, 0.2]), "grz")
    assert image.tolist() == [189, 148, 132]
    assert image.dtype == np.uint8


def test_empty_sky_is_dark_grey():
    # I = m = 0.03: arcsinh(0.6) / sqrt(20) = 0.12720, times 255 is 32.4.
    assert flux_to_rgb(np.zeros((3, 2, 2)), "grz").tolist() == [[[32] * 3] * 2] * 2


def test_negative_band_counts_as_zero_in_the_mean():
    # v = -0.8 -> 0 (z), 0.37 (r), 0.63 (g); I = 1 / 3; f = arcsinh(6.6667) / sqrt(20) = 0.58047;
    # 0, 0.6443, 1.0971 -> 255.
    image = flux_to_rgb(np.array([0.1, 0.1, -0.8 / 2.2]), "grz")
    assert image.tolist() == [0, 164, 255]


def test_all_negative_is_black_and_very_bright_is_white():
    assert flux_to_rgb(np.full((3, 1, 1), -5.0), "grz").max() == 0
    assert flux_to_rgb(np.full((3, 1, 1), 500.0), "grz").min() == 255


def test_order_of_bands_and_axis_do_not_matter():
    fluxes = np.random.default_rng(0).uniform(-0.01, 0.4, (3, 5, 7)).astype(np.float32)
    image = flux_to_rgb(fluxes, "grz")
    assert image.shape == (5, 7, 3)
    np.testing.assert_array_equal(flux_to_rgb(fluxes[::-1], "zrg"), image)
    np.testing.assert_array_equal(
        flux_to_rgb(np.moveaxis(fluxes, 0, -1), ("g", "r", "z"), axis=-1), image
    )


def test_additional_bands_are_ignored():
    fluxes = np.array([9.0, 0.05, 0.1, 0.2])
    assert flux_to_rgb(fluxes, "ugrz").tolist() == [189, 148, 132]


def test_pixels_are_independent():
    fluxes = np.zeros((3, 4, 4))
    fluxes[:, 1, 2] = 1000.0
    image = flux_to_rgb(fluxes, "grz")
    assert (image == 255).all(axis=-1).sum() == 1
    assert (image == 32).all(axis=-1).sum() == 15


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_non_finite_values_look_like_no_data(value):
    assert flux_to_rgb(np.full((3, 1, 1), value), "grz").tolist() == [[[32, 32, 32]]]


def test_input_fluxes_are_unchanged():
    fluxes = np.array([np.nan, -1.0, 2.0])
    before = fluxes.copy()
    flux_to_rgb(fluxes, "grz")
    np.testing.assert_array_equal(fluxes, before)


def test_inverse_recovers_the_fluxes():
    fluxes = np.random.default_rng(1).uniform(0, 0.08, (3, 20, 20))
    image = flux_to_rgb(fluxes, "grz")
    inside = (image < 255).all(axis=-1)
    assert inside.mean() > 0.8
    z, r, g = rgb_to_flux(image)
    for back, true in zip((g, r, z), fluxes, strict=True):
        np.testing.assert_allclose(back[inside], true[inside], atol=0.003)


def test_inverse_and_forward_return_the_same_image():
    image = np.random.default_rng(2).integers(20, 200, (6, 6, 3), dtype=np.uint8)
    np.testing.assert_array_equal(flux_to_rgb(rgb_to_flux(image), "zrg"), image)


@pytest.mark.parametrize(
    ("fluxes", "bands", "options", "message"),
    [
        (np.zeros((3, 2, 2)), "gri", {}, "z is missing"),
        (
            np.zeros((4, 2, 2)),
            "grz",
            {},
            r"4 planes along axis 0, got 3 bands \(g, r, z\): name one band per plane",
        ),
        (np.zeros((3, 2, 2)), "grz", {"axis": 3}, "no axis 3"),
        (np.float32(1), "grz", {}, "no axis 0"),
        (np.zeros((3, 2, 2)), "grz", {"color_mapping": "sepia"}, "choose one of legacy-grz"),
    ],
)
def test_invalid_input_is_refused(fluxes, bands, options, message):
    with pytest.raises(ValueError, match=message):
        flux_to_rgb(fluxes, bands, **options)


def test_inverse_refuses_other_shapes():
    with pytest.raises(ValueError, match=r"must have shape \(\.\.\., 3\), got \(4, 4\)"):
        rgb_to_flux(np.zeros((4, 4)))


def test_dereddening_multiplies_the_fluxes():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (4, 16, 24, 3), dtype=np.uint8)
    ebv = np.array([0.0, 0.1, 0.3, 0.6])
    corrected = deredden_images(images, ebv)
    coefficients = np.array([get_survey("legacy").extinction[band] for band in "zrg"])
    for image, result, value in zip(images, corrected, ebv, strict=True):
        factors = 10 ** (0.4 * coefficients * value)
        expected = flux_to_rgb(rgb_to_flux(image) * factors[:, None, None], "zrg")
        # Rounding of the flux can move a value across the border of two levels.
        assert np.abs(expected.astype(int) - result).max() <= 1
        assert (expected != result).mean() < 1e-3
    np.testing.assert_array_equal(corrected[0], images[0])
    np.testing.assert_array_equal(deredden_images(images, 0.3)[2], corrected[2])


def test_dereddening_undoes_extinction():
    # Levels below 255, at which the flux is only a limit.
    fluxes = np.random.default_rng(1).uniform(0.02, 0.06, (3, 32, 32))
    dimming = 10 ** (-0.4 * 0.2 * np.array([3.214, 2.165, 1.211]))[:, None, None]
    reddened = flux_to_rgb(fluxes * dimming, "grz")
    clean = flux_to_rgb(fluxes, "grz").astype(int)
    corrected = deredden_images(reddened[None], 0.2)[0]
    # Levels are rounded down twice, and a level of the dimmer image holds more flux.
    assert np.abs(corrected - clean).max() <= 3
    assert np.abs(reddened - clean).mean() > 15


def test_dereddening_refuses_other_images():
    for images in (np.zeros((2, 8, 8, 3), np.float32), np.zeros((8, 8, 3), np.uint8)):
        with pytest.raises(ValueError, match="only colour images of shape"):
            deredden_images(images, 0.1)
