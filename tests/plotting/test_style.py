import colorsys
import copy
import io
import pickle

import numpy as np
import pytest
from PIL import Image

from shredfinder.plotting.style import (
    UNSCORED_SHADE,
    get_shade,
    get_text_color,
    make_axes,
    make_figure,
)


def to_luminance(color):
    channels = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return linear @ (0.2126, 0.7152, 0.0722)


def test_galaxies_are_blue_and_shreds_yellow():
    hues = [
        colorsys.rgb_to_hsv(*(int(get_shade(p)[i : i + 2], 16) / 255 for i in (1, 3, 5)))[0]
        for p in (0.0, 1.0)
    ]
    assert hues == pytest.approx([0.595, 0.145], abs=0.03)


def test_shades_grow_lighter():
    luminances = [to_luminance(get_shade(p)) for p in np.linspace(0, 1, 41)]
    assert (np.diff(luminances) > 0).all()


@pytest.mark.parametrize("p_cnn", [*np.linspace(0, 1, 21), np.nan])
def test_text_can_be_read_on_every_shade(p_cnn):
    shade = get_shade(p_cnn)
    low, high = sorted([to_luminance(shade), to_luminance(get_text_color(shade))])
    assert (high + 0.05) / (low + 0.05) >= 4.5


def test_unscored_and_out_of_range():
    assert get_shade(float("nan")) == UNSCORED_SHADE
    assert get_shade(-1.0) == get_shade(0.0)
    assert get_shade(7.0) == get_shade(1.0)


@pytest.mark.parametrize("make", [make_figure, make_axes])
def test_jupyter_shows_figures_without_pyplot(make):
    pytest.importorskip("matplotlib")
    formatters = pytest.importorskip("IPython.core.formatters")
    shown = pickle.loads(pickle.dumps(make(3, 2)))
    data, _ = formatters.DisplayFormatter().format(shown)
    with Image.open(io.BytesIO(data["image/png"])) as image:
        assert image.width == pytest.approx(300, abs=30)
    copied = copy.deepcopy(shown)
    assert copied.figure is not shown.figure
    copied.figure.set_size_inches(6, 2)
    with Image.open(io.BytesIO(copied._repr_png_())) as image:
        assert image.width == pytest.approx(600, abs=40)
