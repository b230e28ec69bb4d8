import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from shredfinder import Cutouts
from shredfinder.plotting import make_thumbnails
from shredfinder.plotting.style import get_shade

SOURCES = re.compile(r'src="data:image/jpeg;base64,([^"]+)"')


def make_cutouts(n, dtype=np.uint8, **kwargs):
    images = np.random.default_rng(0).integers(0, 60, (n, 32, 32, 3), dtype=np.uint8)
    for i in range(n):
        images[i, 8:24, 8:24, i % 3] = 250
    if dtype != np.uint8:
        images = (images / 255).astype(dtype)
    return Cutouts(images, pixel_scale=0.46875, bands="zrg", **kwargs)


def decode(grid):
    return [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(text))))
        for text in SOURCES.findall(grid.html)
    ]


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_images_are_those_of_the_cutouts(dtype):
    grid = make_thumbnails(make_cutouts(3, dtype))
    images = decode(grid)
    assert len(images) == 3
    for i, image in enumerate(images):
        assert image.shape == (32, 32, 3)
        assert image[12:20, 12:20].mean(axis=(0, 1)).argmax() == i % 3


def test_unusable_images_show_their_flag():
    grid = make_thumbnails(make_cutouts(2, flags=["no coverage", ""]))
    assert len(decode(grid)) == 1
    assert ">no coverage<" in grid.html


def test_scores_are_on_their_colours():
    html = make_thumbnails(make_cutouts(3), p_cnn=[0.93, np.nan, 0.004]).html
    for p_cnn, text in ((0.93, "0.93"), (float("nan"), "unscored"), (0.004, "0.00")):
        assert re.search(rf'background:{get_shade(p_cnn)};[^"]*">{text}<', html)


def test_centres_are_marked_unless_unwanted():
    assert make_thumbnails(make_cutouts(2)).html.count("<svg") == 2
    assert "<svg" not in make_thumbnails(make_cutouts(2), cross=False).html


def test_text_is_escaped():
    html = make_thumbnails(
        make_cutouts(1), captions=["<b>\nr = 17"], notes=["<script>"], size=64
    ).html
    assert "<b>" not in html
    assert "<script>" not in html
    assert "&lt;b&gt;" in html
    assert ">r = 17<" in html
    assert "width:64px" in html


def test_grid_is_self_contained():
    assert not re.search(r'(src|href)="(?!data:)', make_thumbnails(make_cutouts(2)).html)


@pytest.mark.parametrize("name", ["p_cnn", "notes", "captions"])
def test_lengths_must_match(name):
    with pytest.raises(ValueError, match="there are 3 cutouts but 2"):
        make_thumbnails(make_cutouts(3), **{name: [0.5, 0.5]})


def test_images_must_have_three_channels():
    cutouts = Cutouts(np.zeros((1, 8, 8, 5), np.uint8), pixel_scale=0.4, bands="ugriz")
    with pytest.raises(ValueError, match="three channels"):
        make_thumbnails(cutouts)
