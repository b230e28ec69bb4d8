import numpy as np
import pytest

from shredfinder import Cutouts, ShredClassifier
from shredfinder.plotting import plot_class_gallery, plot_network
from tests.conftest import make_images, needs_backend

pytest.importorskip("matplotlib")


def _is_framed(ax):
    return ax.spines["left"].get_linewidth() > 2


def test_both_classes_are_shown_and_uncertain_ones_framed(tmp_path):
    images, y = make_images(40)
    images[0] = 9
    cutouts = Cutouts(images, pixel_scale=1, bands="zrg")
    p = np.where(y == 1, 0.95, 0.05)
    p[2], p[4], p[5] = 0.3, 0.97, np.nan
    figure = plot_class_gallery(cutouts, p, y, n=15, random_state=0)
    galaxies, shreds = figure.subfigs
    assert len(galaxies.axes) == len(shreds.axes) == 15
    scores = [[ax.texts[-1].get_text() for ax in half.axes] for half in (galaxies, shreds)]
    assert set(scores[0]) <= {"0.05", "0.30"}
    assert set(scores[1]) <= {"0.95", "0.97"}
    for half in (galaxies, shreds):
        for ax in half.axes:
            assert _is_framed(ax) == (ax.texts[-1].get_text() in ("0.30", "0.97"))
            assert len(ax.lines) == 4  # the cross
    whole = plot_class_gallery(cutouts, p, y, n=40)
    assert sum(_is_framed(ax) for ax in whole.axes) == 2
    assert len(whole.axes) == 38  # neither the blank cutout nor the unscored one
    figure.savefig(tmp_path / "gallery.png")
    with pytest.raises(ValueError, match="no source is scored"):
        plot_class_gallery(cutouts, np.full(40, np.nan))
    with pytest.raises(ValueError, match="one probability and class each"):
        plot_class_gallery(cutouts, p[:3])


@needs_backend
def test_schematic_shows_the_layers(tmp_path):
    figure = plot_network("published")
    words = [text.get_text() for text in figure.axes[0].texts]
    assert sum(word.startswith("conv") for word in words) == 8
    assert sum(word.startswith("max pool") for word in words) == 4
    assert sum(word.startswith("dense") for word in words) == 2
    assert "conv\n5×5\n10×10\n×512\nReLU" in words
    compact = plot_network(ShredClassifier.load())
    words = [text.get_text() for text in compact.axes[0].texts]
    # Normalisation and activation are named with the convolution before them.
    assert sum(word.endswith("norm\nReLU") for word in words) == 6
    assert compact.axes[0].get_title().startswith("compact: 314,915")
    compact.savefig(tmp_path / "network.png")
