import numpy as np
import pytest

from shredfinder.datasets.discs import mags_to_fluxes
from shredfinder.datasets.observing import Scene
from shredfinder.datasets.population import (
    draw_early,
    draw_field_galaxy,
    draw_host,
    draw_stars,
)

SCALE = 0.46875


@pytest.mark.parametrize("kind", ["early", "late", "dwarf"])
@pytest.mark.parametrize("r_mag", [17.0, 20.0, 23.0])
def test_the_light_of_a_small_galaxy_matches_its_magnitudes(kind, r_mag):
    scene = Scene(256)
    mags, radius = draw_field_galaxy(
        scene, 120.3, 130.8, r_mag, SCALE, np.random.default_rng(0), kind=kind
    )
    assert mags[1] == r_mag
    assert 0.25 <= radius <= 12
    total = scene.fluxes.sum(axis=(1, 2), dtype=float)
    np.testing.assert_allclose(22.5 - 2.5 * np.log10(total), mags, atol=0.01)


def test_the_light_of_a_large_elliptical_matches_its_magnitudes():
    scene = Scene(1024)
    mags, radius, _ = draw_early(scene, 512.0, 512.0, SCALE, np.random.default_rng(1))
    assert radius >= 3
    total = scene.fluxes.sum(axis=(1, 2), dtype=float)
    np.testing.assert_allclose(22.5 - 2.5 * np.log10(total), mags, atol=0.01)


def test_hosts_are_large_and_given_magnitudes_are_kept():
    rng = np.random.default_rng(0)
    hosts = [draw_host(0.0, 0.0, SCALE, rng) for _ in range(200)]
    lengths = np.array([host.scale_length for host in hosts]) * SCALE
    assert 4.5 < np.median(lengths) < 7.5
    assert {host.style for host in hosts} == {"spiral", "flocculent", "edge-on"}
    assert all(0 <= host.bulge < 1 and 0 < host.young < 1 for host in hosts)
    small = [draw_host(0.0, 0.0, SCALE, rng, r_mag=17.0) for _ in range(200)]
    assert {host.r_mag for host in small} == {17.0}
    assert np.median([host.scale_length for host in small]) * SCALE < np.median(lengths)


def test_stars_follow_counts_and_the_main_sequence():
    mags = draw_stars(20000, np.random.default_rng(0))
    g, r, z = mags.T
    assert r.min() >= 13.5
    assert r.max() <= 23.0
    # Number counts rise by 10 ** 0.2 per magnitude.
    ratio = ((r > 20) & (r < 21)).sum() / ((r > 19) & (r < 20)).sum()
    assert ratio == pytest.approx(10**0.2, rel=0.1)
    assert 0.15 < np.percentile(g - r, 1) < np.percentile(g - r, 99) < 1.7
    # Stars that are red in g - r are red in r - z.
    assert np.median((r - z)[g - r > 1.3]) > np.median((r - z)[g - r < 0.6]) + 0.8


def test_fluxes_are_in_the_order_g_r_z():
    g, r, z = mags_to_fluxes(20.0, 0.7, 0.4)
    assert g < r < z
