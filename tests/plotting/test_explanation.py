import numpy as np
import pytest

from shredfinder import Cutouts
from shredfinder.plotting import plot_explanation

pytest.importorskip("matplotlib")


@pytest.fixture
def cutouts():
    images = np.random.default_rng(0).integers(0, 255, (3, 32, 32, 3), dtype=np.uint8)
    images[2] = 9
    return Cutouts(images, pixel_scale=1, bands="zrg")


def test_each_cutout_has_its_map(cutouts, tmp_path):
    maps = np.zeros((3, 32, 32))
    maps[0, 4:8] = 2
    maps[1, 4:8] = -3
    maps[2] = np.nan
    figure = plot_explanation(cutouts, maps, titles=["a", "b", "c"], limit=3)
    # Three pairs and the colour bar; no map where there is no image.
    assert len(figure.axes) == 7
    assert [len(ax.images) for ax in figure.axes[:6]] == [1, 2, 1, 2, 1, 1]
    drawn = figure.axes[1].images[1]
    assert drawn.get_alpha().max() == pytest.approx(0.75 * 2 / 3)
    assert drawn.get_alpha()[20].max() == 0
    assert figure.axes[4].texts[0].get_text() == "blank"
    figure.savefig(tmp_path / "map.png")


def test_invalid_input(cutouts):
    with pytest.raises(ValueError, match="a map for each"):
        plot_explanation(cutouts, np.zeros((2, 32, 32)))
    with pytest.raises(ValueError, match="3 cutouts but 1 titles"):
        plot_explanation(cutouts, np.zeros((3, 32, 32)), titles=["a"])
