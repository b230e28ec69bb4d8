from dataclasses import replace

import numpy as np
import pytest

from shredfinder.datasets.discs import Disc, draw_disc, mags_to_fluxes
from shredfinder.datasets.observing import Scene, blur, star_stamp

DISC = Disc(
    x=128.0,
    y=120.0,
    r_mag=15.0,
    scale_length=14.0,
    axis_ratio=0.7,
    position_angle=0.5,
    style="spiral",
    g_r=0.65,
    r_z=0.4,
    bulge=0.15,
    young=0.4,
    young_colors=(0.2, 0.0),
    n_knots=40.0,
)


def _draw(**changes):
    scene = Scene(256)
    pieces = draw_disc(scene, replace(DISC, **changes), np.random.default_rng(0))
    return scene, pieces


def test_magnitudes_to_fluxes():
    # 22.5 mag is one nanomaggy; 2.5 mag brighter is ten.
    np.testing.assert_allclose(mags_to_fluxes(22.5, 2.5, 2.5), [0.1, 1, 10])


@pytest.mark.parametrize("style", ["spiral", "flocculent", "edge-on"])
def test_light_matches_the_magnitude(style):
    scene, _ = _draw(style=style, n_knots=0, axis_ratio=0.18 if style == "edge-on" else 0.7)
    magnitude = 22.5 - 2.5 * np.log10(scene.fluxes[1].sum())
    # Dust absorbs some of it.
    assert 15.0 - 0.02 < magnitude < 15.35


@pytest.mark.parametrize("style", ["spiral", "flocculent", "edge-on"])
def test_pieces_are_of_all_kinds_and_on_the_disc(style):
    scene, pieces = _draw(style=style, axis_ratio=0.18 if style == "edge-on" else 0.7)
    assert {piece.kind for piece in pieces} == {"knot", "arm", "disc end"}
    image = scene.crop()[1]
    peak = image.max()
    for piece in pieces:
        assert np.hypot(piece.x - DISC.x, piece.y - DISC.y) < 6 * DISC.scale_length
        assert image[round(piece.y), round(piece.x)] > 1e-5 * peak
        assert piece.radius > 0
        assert piece.weight > 0


def test_brightest_knot_is_a_peak_of_the_image():
    scene, pieces = _draw()
    knots = [piece for piece in pieces if piece.kind == "knot"]
    brightest = max(knots, key=lambda piece: piece.weight)
    x, y = round(brightest.x), round(brightest.y)
    image = scene.crop()[0]
    assert image[y, x] > 1.2 * np.median(image[y - 8 : y + 9, x - 8 : x + 9])


def test_young_stars_make_discs_blue():
    colors = []
    for young in (0.0, 0.8):
        scene, _ = _draw(young=young, n_knots=0, bulge=0.0)
        g, r, _ = scene.fluxes.sum(axis=(1, 2))
        colors.append(-2.5 * np.log10(g / r))
    assert colors[0] == pytest.approx(0.65, abs=0.06)
    assert colors[1] == pytest.approx(0.27, abs=0.08)


def test_stamps_are_clipped_at_the_edges():
    scene, _ = _draw(x=-300.0)
    assert np.isfinite(scene.fluxes).all()
    assert scene.crop()[1].sum() < 0.05 * mags_to_fluxes(15, 0, 0)[1]


def test_blur_keeps_the_light_and_widens_points():
    scene = Scene(64)
    scene.fluxes[:, 80, 80] = 1.0
    blur(scene, 2.4)
    np.testing.assert_allclose(scene.fluxes.sum(axis=(1, 2)), 1, rtol=1e-3)
    plane = scene.fluxes[1]
    assert np.unravel_index(plane.argmax(), plane.shape) == (80, 80)
    # Seeing is best in z, where the peak is highest.
    assert scene.fluxes[0].max() < plane.max() < scene.fluxes[2].max()


@pytest.mark.parametrize(("flux", "saturates"), [(100.0, False), (30000.0, True)])
def test_bright_stars_saturate(flux, saturates):
    rng = np.random.default_rng(0)
    stamp = star_stamp(10.2, 20.1, [flux] * 3, 2.4, rng, native_per_pixel=3.2)
    share = stamp.image.sum(axis=(1, 2)) / flux
    assert (share < 0.9).all() == saturates
    if not saturates:
        np.testing.assert_allclose(share, 1, atol=0.1)
