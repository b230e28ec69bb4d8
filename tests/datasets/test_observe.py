"""Simulated fields in the bands of other surveys."""

import numpy as np
import pytest

from shredfinder.datasets import make_field
from shredfinder.datasets.degrading import spread_bands


@pytest.fixture(scope="module")
def field():
    return make_field(size=320, n_hosts=1, random_state=1)


@pytest.mark.parametrize(("survey", "bands"), [("sdss-dr17", "ugriz"), ("ps1-dr2", "grizy")])
def test_bands_of_a_survey(field, survey, bands):
    cutouts = field.observe(survey, random_state=0)
    assert cutouts.bands == tuple(bands)
    assert (cutouts.color_mapping, cutouts.pixel_scale) == ("flux", field.pixel_scale)
    assert cutouts.images.shape == (len(field.sources), 128, 128, 5)
    assert cutouts.good.all()
    again = field.observe(survey, random_state=0)
    np.testing.assert_array_equal(again.images, cutouts.images)


def test_fluxes_are_those_of_the_field(field):
    rows = field.sources["label"] == "galaxy"
    sky = field.wcs.pixel_to_world(160, 160)
    seen = field.observe("ps1-dr2", "gz", sky, size=64, random_state=0).images[0]
    true = np.moveaxis(field.model[[0, 2], 128:192, 128:192][:, ::-1], 0, -1)
    np.testing.assert_allclose(seen.sum(axis=(0, 1)), true.sum(axis=(0, 1)), rtol=0.1)
    assert rows.any()


def test_a_cutout_beyond_the_edge(field):
    cutouts = field.observe("sdss-dr17", "gri", field.wcs.pixel_to_world([160, 5], [160, 160]))
    assert cutouts.flags.tolist() == ["", "no coverage"]
    assert np.isnan(cutouts.images[1]).all()


def test_colours_of_galaxies():
    # g - r and r - z of an early and of a late galaxy, and their u - r and r - i (Strateva et
    # al. 2001; Shimasaku et al. 2001, AJ 122, 1238).
    for g_r, r_z, u_r, r_i in ((0.76, 0.62, 2.5, 0.38), (0.45, 0.3, 1.6, 0.25)):
        fluxes = 10 ** (-0.4 * np.array([g_r, 0, -r_z]))
        u, r, i, y = spread_bands(fluxes, "uriy")
        assert -2.5 * np.log10(u / r) == pytest.approx(u_r, abs=0.1)
        assert -2.5 * np.log10(r / i) == pytest.approx(r_i, abs=0.12)
        assert y > i > r


def test_unknown_bands(field):
    with pytest.raises(
        ValueError, match=r"bands must be among the survey's bands u, g, r, i, z, not"
    ):
        field.observe("sdss-dr17", "ugy")
    with pytest.raises(ValueError, match="cannot simulate the band 'J'"):
        spread_bands(np.ones((3, 2, 2)), "rJ")
    with pytest.raises(ValueError, match="no survey named 'hsc': choose one of"):
        field.observe("hsc")
