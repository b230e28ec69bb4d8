import colorsys

import numpy as np
import pytest

from shredfinder.plotting.style import UNSCORED_SHADE, get_shade, get_text_color


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
