"""Figures of merged galaxies."""

import numpy as np
import pytest

from shredfinder.datasets import make_shredded_field
from shredfinder.hosts import find_parents, measure_galaxies
from shredfinder.plotting import plot_merge, plot_merge_gallery

pytest.importorskip("matplotlib")
pytest.importorskip("photutils", minversion="3")
pytest.importorskip("skimage")


@pytest.fixture(scope="module")
def lights():
    field = make_shredded_field(400, n_hosts=2, n_dwarfs=1, n_pairs=0, random_state=1)
    table = field.sources
    table["p_cnn"] = np.where(table["label"] == "shred", 0.9, 0.1)
    images = {
        band: (plane * field.native_per_pixel, field.wcs)
        for band, plane in zip(field.bands, field.fluxes, strict=True)
    }
    return measure_galaxies(table, images, parents=find_parents(table), progress=False)


def test_figure_of_a_galaxy(lights, tmp_path):
    light = lights[0]
    figure = plot_merge(light)
    image, curve = figure.axes
    assert light.name in figure.get_suptitle()
    assert f"r = {light.mag:.2f} mag, {light.before:.2f} mag before" in figure.get_suptitle()
    labels = {text.get_text() for text in curve.get_legend().get_texts()}
    assert {"g", "r", "z"} <= labels
    # Aperture and half-light ellipse.
    assert len(image.patches) == 2
    figure.savefig(tmp_path / "galaxy.png")


def test_bands_without_a_colour_mapping_are_grey(lights):
    from dataclasses import replace

    light = lights[0]
    single = replace(
        light, bands=("r",), images=light.images[1:2], growth=light.growth[1:2],
        growth_error=light.growth_error[1:2], flux=light.flux[1:2], error=light.error[1:2],
    )  # fmt: skip
    shown = plot_merge(single, legend=False).axes[0].images[0].get_array()
    np.testing.assert_array_equal(shown[..., 0], shown[..., 2])


def test_gallery(lights):
    figure = plot_merge_gallery(lights, n=2, heading="Largest changes")
    assert len(figure.axes) == min(2, len(lights))
    assert "→" in figure.axes[0].get_title()
    with pytest.raises(ValueError, match="no merged galaxies"):
        plot_merge_gallery([])
