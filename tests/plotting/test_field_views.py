"""Galleries, field views and shred fractions."""

import numpy as np
import pytest

from shredfinder.datasets import make_field
from shredfinder.evaluation import binned_shred_fractions
from shredfinder.plotting import (
    FieldPanel,
    FieldView,
    plot_field_view,
    plot_gallery,
    plot_shred_fractions,
)

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def field():
    return make_field(size=320, n_hosts=1, random_state=1)


def test_gallery(field):
    cutouts = field.cutouts()[:7]
    figure = plot_gallery(
        cutouts, scores=np.linspace(0, 1, 7), titles=list("abcdefg"), framed=[True] + [False] * 6
    )
    assert len(figure.axes) == 7
    assert [ax.get_title() for ax in figure.axes] == list("abcdefg")
    assert [ax.texts[0].get_text() for ax in figure.axes][::6] == ["0.00", "1.00"]
    # Four lines around the centre, none through it.
    lines = figure.axes[0].lines
    assert len(lines) == 4
    reach = [np.hypot(line.get_xdata() - 63.5, line.get_ydata() - 63.5).min() for line in lines]
    assert min(reach) > 3
    widths = [ax.spines["top"].get_linewidth() for ax in figure.axes]
    assert widths[0] > max(widths[1:])
    assert len(plot_gallery(cutouts[:1], cross=False).axes[0].lines) == 0
    with pytest.raises(ValueError, match="7 cutouts but 2 scores"):
        plot_gallery(cutouts, scores=[1, 2])
    with pytest.raises(ValueError, match="three channels"):
        plot_gallery(cutouts[:0])


def test_unusable_cutouts_show_their_flag(field):
    cutouts = field.cutouts(field.wcs.pixel_to_world([5, 160], [160, 160]))
    figure = plot_gallery(cutouts)
    assert [[text.get_text() for text in ax.texts] for ax in figure.axes] == [["no coverage"], []]


def test_field_view(field):
    table = field.sources.copy()
    table["p_cnn"] = np.where(table["label"] == "shred", 0.9, 0.1)
    host = field.wcs.pixel_to_world(160, 160)
    panels = [
        FieldPanel("all", field.sources["ra", "dec"]),
        FieldPanel("cut", table),
        FieldPanel("other", table[:0], "no response from the catalogue"),
    ]
    figure = plot_field_view(FieldView(field.image, field.wcs, panels, host, "A disc"))
    first, second, third = figure.axes
    assert [ax.get_title() for ax in figure.axes] == ["all (10)", "cut (10)", "other (0)"]
    white = first.collections[0]
    x, y = field.wcs.world_to_pixel_values(table["ra"], table["dec"])
    np.testing.assert_allclose(white.get_offsets(), np.column_stack([x, y]))
    assert {c.get_label() for c in second.collections} == {"shred", "galaxy"}
    assert "no response from the catalogue" in [text.get_text() for text in third.texts]
    for ax in figure.axes:
        assert "A disc" in [text.get_text() for text in ax.texts]
        assert len(ax.lines) == 4
    # The square is in the last panel, around the host where there is no source.
    assert [len(ax.patches) for ax in figure.axes] == [0, 0, 1]
    square = third.patches[0]
    assert square.get_width() == pytest.approx(128)
    center = np.add(square.get_xy(), square.get_width() / 2)
    np.testing.assert_allclose(center, [160, 160], atol=0.01)
    # Otherwise it is around the brightest shred that leaves room for it.
    panels[2] = FieldPanel("other", table)
    figure = plot_field_view(FieldView(field.image, field.wcs, panels, host))
    center = np.add(figure.axes[2].patches[0].get_xy(), 64)
    shreds = np.flatnonzero((table["label"] == "shred") & (np.abs(x - 160) < 95.5))
    brightest = shreds[np.argmin(table["r"][shreds])]
    np.testing.assert_allclose(center, [x[brightest], y[brightest]], atol=0.01)


def test_fractions():
    found = binned_shred_fractions(
        [0.9, 0.1, 0.8, 0.2, 0.1], [15, 16, 17, 18, 18], [15, 17, 19, 21]
    )
    ax = plot_shred_fractions(found, label="r (mag)", overall=0.4)
    assert ax.get_xlim() == (15, 21)
    # The empty bin has no point.
    assert [text.get_text() for text in ax.texts] == ["2", "3"]
    assert ax.containers[0].lines[0].get_ydata().tolist() == [0.5, 1 / 3]
