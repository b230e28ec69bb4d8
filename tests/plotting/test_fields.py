import sys

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import MaskedColumn, Table
from astropy.wcs import WCS

from shredfinder.exceptions import MissingDependencyError
from shredfinder.plotting import plot_field

matplotlib = pytest.importorskip("matplotlib")
for module in ("colors", "figure"):  # not always imported by matplotlib itself
    pytest.importorskip(f"matplotlib.{module}")


@pytest.fixture
def wcs():
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.crval = 150.0, 2.0
    wcs.wcs.crpix = 50.5, 40.5
    wcs.wcs.cdelt = -0.5 / 3600, 0.5 / 3600
    wcs.array_shape = 80, 100
    return wcs


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 255, (80, 100, 3), dtype=np.uint8)


@pytest.fixture
def table(wcs):
    x, y = [10.0, 20.0, 30.0, 90.0], [10.0, 60.0, 30.0, 70.0]
    sky = wcs.pixel_to_world(x, y)
    scores = np.array([0.9, 0.5, 0.1, np.nan], dtype=np.float32)
    return Table({"ra": sky.ra.deg, "dec": sky.dec.deg, "p_cnn": scores})


def _circles(ax):
    return {artist.get_label(): artist for artist in ax.collections}


def test_classes_and_places(image, wcs, table):
    circles = _circles(plot_field(image, wcs, table))
    assert set(circles) == {"shred", "galaxy", "unscored"}
    np.testing.assert_allclose(circles["shred"].get_offsets(), [[10, 10], [20, 60]], atol=1e-6)
    np.testing.assert_allclose(circles["galaxy"].get_offsets(), [[30, 30]], atol=1e-6)
    np.testing.assert_allclose(circles["unscored"].get_offsets(), [[90, 70]], atol=1e-6)


def test_shreds_are_yellow_galaxies_red_and_others_grey(image, wcs, table):
    circles = _circles(plot_field(image, wcs, table))
    colors = {name: artist.get_edgecolor()[0] for name, artist in circles.items()}
    assert colors["shred"][0] > 0.9
    assert colors["shred"][1] > 0.8
    assert colors["shred"][2] < 0.3
    assert colors["galaxy"][0] > 0.9
    assert max(colors["galaxy"][1:3]) < 0.5
    assert np.ptp(colors["unscored"][:3]) < 0.05
    # Line styles differ too.
    assert len({str(artist.get_linestyle()) for artist in circles.values()}) == 3


def test_threshold(image, wcs, table):
    circles = _circles(plot_field(image, wcs, table, threshold=0.95))
    assert set(circles) == {"galaxy", "unscored"}
    assert len(circles["galaxy"].get_offsets()) == 3


def test_legend_counts_the_sources(image, wcs, table):
    texts = [text.get_text() for text in plot_field(image, wcs, table).get_legend().get_texts()]
    assert texts == ["shred (p_cnn ≥ 0.5): 2", "galaxy (p_cnn < 0.5): 1", "unscored: 1"]
    assert plot_field(image, wcs, table, legend=False).get_legend() is None


def test_masked_scores_are_unscored(image, wcs, table):
    table["p_cnn"] = MaskedColumn([0.9, 0.9, 0.9, 0.9], mask=[False, True, True, True])
    circles = _circles(plot_field(image, wcs, table))
    assert len(circles["shred"].get_offsets()) == 1
    assert len(circles["unscored"].get_offsets()) == 3


def test_table_without_scores(image, wcs, table):
    table.remove_column("p_cnn")
    assert set(_circles(plot_field(image, wcs, table))) == {"unscored"}


def test_other_column_and_positions(image, wcs, table):
    sky = SkyCoord(table["ra"], table["dec"], unit="deg")
    other = Table({"score": [0.1] * 4})
    circles = _circles(plot_field(image, wcs, other, coords=sky, score="score"))
    np.testing.assert_allclose(circles["galaxy"].get_offsets()[2], [30, 30], atol=1e-6)


def test_units_of_positions(image, wcs, table):
    table["ra"] = (table["ra"] * u.deg).to(u.hourangle)
    table["ra"].unit = u.hourangle
    circles = _circles(plot_field(image, wcs, table))
    np.testing.assert_allclose(circles["galaxy"].get_offsets(), [[30, 30]], atol=1e-6)


def test_rows_without_position_are_not_plotted(image, wcs, table):
    table["ra"] = MaskedColumn(table["ra"], mask=[True, False, False, False])
    table["dec"][1] = np.nan
    ax = plot_field(image, wcs, table)
    assert len(_circles(ax)["shred"].get_offsets()) == 0
    assert ax.get_legend().get_texts()[0].get_text().endswith(": 0")


def _widths(circles):
    # Matplotlib before 3.10 has no public method.
    return circles.get_widths() if hasattr(circles, "get_widths") else 2 * circles._widths


def test_radius_as_angle_and_as_column(image, wcs, table):
    circles = _circles(plot_field(image, wcs, table, radius=3 * u.arcsec))
    # Six arcsec at half an arcsec per pixel.
    assert _widths(circles["galaxy"]) == pytest.approx([12], rel=1e-6)
    table["size"] = [1.0, 2.0, 3.0, 4.0] * u.arcsec
    circles = _circles(plot_field(image, wcs, table, radius="size"))
    assert _widths(circles["shred"]) == pytest.approx([4, 8], rel=1e-6)


def test_cutouts_square(image, wcs, table):
    center = wcs.pixel_to_world(50, 40)
    ax = plot_field(image, wcs, table, cutout=center, cutout_size=20 * u.arcsec)
    (square,) = ax.patches
    assert square.get_xy() == pytest.approx((30, 20), abs=1e-6)
    assert square.get_width() == square.get_height() == pytest.approx(40, rel=1e-6)
    assert square.get_linestyle() in ("--", "dashed")
    assert matplotlib.colors.same_color(square.get_edgecolor(), "white")


def test_the_image_fills_the_axes_and_is_upright(image, wcs):
    ax = plot_field(image, wcs)
    assert ax.get_xlim() == (-0.5, 99.5)
    assert ax.get_ylim() == (-0.5, 79.5)
    np.testing.assert_array_equal(ax.images[0].get_array(), image)
    assert ax.images[0].origin == "lower"


def test_saving_works_and_leaves_pyplot_alone(image, wcs, table, tmp_path):
    before = dict(matplotlib.rcParams)
    ax = plot_field(image, wcs, table, cutout=wcs.pixel_to_world(50, 40))
    ax.figure.savefig(tmp_path / "field.png", dpi=50)
    assert (tmp_path / "field.png").stat().st_size > 5000
    assert dict(matplotlib.rcParams) == before
    if "matplotlib.pyplot" in sys.modules:
        assert not sys.modules["matplotlib.pyplot"].get_fignums()


def test_given_axes_are_used(image, wcs, table):
    figure = matplotlib.figure.Figure()
    ax = figure.add_subplot(projection=wcs)
    assert plot_field(image, wcs, table, ax=ax) is ax


def test_empty_table(image, wcs, table):
    assert not plot_field(image, wcs, table[:0]).collections


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": np.zeros((80, 100))}, r"\(height, width, 3\): got \(80, 100\)"),
        (
            {"image": np.zeros((80, 99, 3))},
            r"the image has shape \(80, 99\), but the WCS has shape \(80, 100\)",
        ),
        (
            {"table": Table({"p_cnn": [0.2]})},
            "no position was found in the table, among the columns p_cnn",
        ),
        ({"radius": "size"}, "no column 'size'"),
    ],
)
def test_bad_input_is_refused(image, wcs, table, change, message):
    arguments = {"image": image, "wcs": wcs, "table": table} | change
    with pytest.raises(ValueError, match=message):
        plot_field(**arguments)


def test_plain_axes_are_refused(image, wcs):
    ax = matplotlib.figure.Figure().add_subplot()
    with pytest.raises(ValueError, match="WCSAxes"):
        plot_field(image, wcs, ax=ax)


def test_without_matplotlib_the_error_names_the_extra(image, wcs, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'shredfinder\[plot\]'"):
        plot_field(image, wcs)
