import base64
import io
import re
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.table import MaskedColumn, QTable, Table
from PIL import Image

from shredfinder import Cutouts, ShredQTable, ShredTable, add_p_cnn
from shredfinder.imaging import CutoutSequence, ImageFiles
from shredfinder.plotting.style import get_shade
from shredfinder.table import read_catalogue, show_cutouts, write_catalogue
from tests.table.conftest import FACTS

P_CNN = [0.2, 0.9, np.nan, 0.6]


def make_table(**columns):
    return ShredTable(
        {
            "objID": [11, 12, 13, 14],
            "p_cnn": np.array(P_CNN, np.float32),
            "p_cnn_flag": np.array(["", "", "blank", ""], "U16"),
            **columns,
        }
    )


def make_images():
    """Create noise of a different level for each row; the third image is blank."""
    images = np.random.default_rng(0).integers(0, 60, (4, 128, 128, 3), dtype=np.uint8)
    images += np.array([10, 70, 0, 130], np.uint8)[:, None, None, None]
    images[2] = 32
    return images


def decode_images(grid):
    """Return the images of a grid, as arrays."""
    found = re.findall(r'src="data:image/\w+;base64,([^"]+)"', grid.html)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(text)))) for text in found]


def captions(grid):
    return re.findall(r'opacity:.75">([^<]*)</div>', grid.html.replace("blank", ""))


def ids(grid):
    return [int(text) for text in captions(grid) if text]


def kinds():
    yield "array", lambda folder: (make_images(), {})
    yield "cutouts", lambda folder: (Cutouts(make_images(), **FACTS), {})
    yield "folder", lambda folder: (folder, {"pattern": "{objID}.png"})
    yield "paths", lambda folder: ([folder / f"{i}.png" for i in (11, 12, 13, 14)], {})
    yield (
        "sequence",
        lambda folder: (
            ImageFiles([folder / f"{i}.png" for i in (11, 12, 13, 14)], size=(128, 128), **FACTS),
            {},
        ),
    )


@pytest.fixture
def folder(tmp_path):
    for name, image in zip((11, 12, 13, 14), make_images(), strict=True):
        Image.fromarray(image).save(tmp_path / f"{name}.png")
    return tmp_path


@pytest.mark.parametrize("make", [make for _, make in kinds()], ids=[name for name, _ in kinds()])
def test_cutouts_of_any_kind(make, folder, classifier):
    cutouts, options = make(folder)
    grid = make_table().show_cutouts(cutouts, classifier=classifier, **options)
    # The most probable shred first, the unscored row last.
    assert ids(grid) == [12, 14, 11, 13]
    levels = [image.mean() for image in decode_images(grid)]
    np.testing.assert_allclose(levels, make_images()[[1, 3, 0]].mean(axis=(1, 2, 3)), atol=2)
    # The unusable image is replaced by its flag.
    assert grid.html.count("blank") == 1


def test_cutouts_are_fetched_by_position(classifier, monkeypatch):
    requested = []

    class Stream(CutoutSequence):
        """Return images whose brightness is the right ascension."""

        def __init__(self, fetcher, coords, **options):
            requested.append((fetcher.service, coords.ra.deg.tolist()))
            self.levels = coords.ra.deg.round().astype(np.uint8)

        def __len__(self):
            return len(self.levels)

        def __getitem__(self, rows):
            noise = np.random.default_rng(0).integers(
                0, 9, (len(self), 128, 128, 3), dtype=np.uint8
            )
            return Cutouts(noise + self.levels[:, None, None, None], **FACTS)[rows]

        def __enter__(self):
            return self

        def __exit__(self, *exception):
            pass

    def open_stream(fetcher, coords, **options):
        return Stream(fetcher, coords, **options)

    monkeypatch.setattr("shredfinder.cutouts.CutoutFetcher.stream", open_stream)
    table = make_table(ra=[50.0, 160.0, 70.0, 80.0], dec=[0.0] * 4)
    grid = table.show_cutouts(classifier=classifier, service="sdss", max_rows=3)
    # Only the shown rows are fetched, and each has its own image.
    ((service, ra),) = requested
    assert service == "sdss"
    assert sorted(ra) == pytest.approx([50, 80, 160])
    assert ids(grid) == [12, 14, 11]
    levels = [image.mean() for image in decode_images(grid)]
    np.testing.assert_allclose(levels, [164, 84, 54], atol=2)


def test_flags_are_shown():
    table = make_table()
    table["p_cnn_flag"][0] = "other colors"
    html = table.show_cutouts(make_images()).html
    assert html.count("blank") == 1
    assert "other colors" in html


def test_tables_without_scores_keep_their_order():
    table = Table({"objID": [11, 12, 13, 14]})
    grid = show_cutouts(table, make_images())
    assert ids(grid) == [11, 12, 13, 14]
    assert get_shade(np.nan) not in grid.html


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (np.array(P_CNN) < 0.5, [11]),
        ([3, 0], [14, 11]),
        ([-1], [14]),
        (MaskedColumn([True, True, True, False], mask=[0, 1, 0, 0]), [11, 13]),
        ([], []),
    ],
)
def test_rows_can_be_selected(rows, expected):
    grid = make_table().show_cutouts(make_images(), rows=rows)
    assert ids(grid) == expected
    assert grid.n_shown == grid.n_all == len(expected)


@pytest.mark.parametrize("rows", [[True, False], [4], [[0, 1]], ["a"], [0.5]])
def test_invalid_rows_are_refused(rows):
    with pytest.raises(ValueError, match="rows must be a mask"):
        make_table().show_cutouts(make_images(), rows=rows)


def test_sorting():
    mag = MaskedColumn([18.0, 17.0, 16.0, 19.0], mask=[False, True, False, False])
    table = make_table(mag=mag, name=["d", "c", "b", "a"])
    images = make_images()
    assert ids(table.show_cutouts(images, sort="mag", columns=["objID"])) == [13, 11, 14, 12]
    assert ids(table.show_cutouts(images, sort="name")) == [14, 13, 12, 11]
    assert ids(table.show_cutouts(images, sort=None)) == [11, 12, 13, 14]
    with pytest.raises(ValueError, match="no column 'z'"):
        table.show_cutouts(images, sort="z")


def test_maximum_number_of_rows():
    grid = make_table().show_cutouts(make_images(), max_rows=2, rows=[0, 1, 3])
    assert repr(grid) == "<CutoutGrid: 2 of 3 rows>"
    assert "2 of 3 rows, selected from 4" in grid.html
    assert make_table().show_cutouts(make_images(), max_rows=None).n_shown == 4
    with pytest.raises(ValueError, match="max_rows must be positive"):
        make_table().show_cutouts(make_images(), max_rows=0)


def test_captions():
    table = make_table(r=[17.123456789, 18.0, 19.5, 16.25])
    grid = table.show_cutouts(make_images(), sort=None, columns=["objID", "r"])
    assert captions(grid)[:4] == ["11", "17.12346", "12", "18"]
    table["r"].format = ".1f"
    assert captions(table.show_cutouts(make_images(), sort=None, columns=["r"]))[0] == "17.1"
    assert captions(table.show_cutouts(make_images(), columns=())) == []
    with pytest.raises(ValueError, match="no column 'z'"):
        table.show_cutouts(make_images(), columns=["z"])


def test_fluxes_are_converted_to_colours():
    fluxes = np.random.default_rng(0).normal(0.1, 0.05, (4, 16, 16, 3))
    cutouts = Cutouts(fluxes, pixel_scale=0.262, bands="grz", color_mapping="flux")
    assert make_table().show_cutouts(cutouts).html.count("<img") == 4


def test_invalid_cutouts_are_refused(classifier):
    with pytest.raises(ValueError, match="4 rows, got 3 cutouts: give one per row"):
        make_table().show_cutouts(make_images()[:3])
    with pytest.raises(ValueError, match="got both cutouts and service"):
        make_table().show_cutouts(make_images(), service="legacy", classifier=classifier)
    with pytest.raises(ValueError, match=r"must be a Cutouts object.*got int"):
        make_table().show_cutouts(7, classifier=classifier)


# Tables as notebooks show them


@pytest.mark.parametrize("table_class", [ShredTable, ShredQTable])
def test_scores_are_coloured_in_notebooks(table_class):
    table = table_class(make_table(name=["<b>", "0.3", "nan", ""]))
    html = table._repr_html_()
    for value in ("0.2", "0.9", "0.6"):
        shade = get_shade(float(np.float32(value)))
        assert re.search(rf'<td><span style="background:{shade};[^"]*">{value}00</span></td>', html)
    assert re.search(rf"background:{get_shade(np.nan)};[^>]*>nan<", html)
    assert html.count("<span") == 4
    assert "<td>&lt;b&gt;</td>" in html
    assert "<img" not in html


def test_long_tables_and_tables_without_scores():
    plain = {"objID": np.arange(200), "x": np.linspace(0, 1, 200)}
    table = ShredTable(plain)
    expected = Table(plain)._repr_html_()
    same = re.compile(r"(id=\"table\d+\")|(ShredTable)|(Table)")
    assert same.sub("", table._repr_html_()) == same.sub("", expected)
    table["p_cnn"] = np.linspace(0, 1, 200, dtype=np.float32)
    html = table._repr_html_()
    assert "<td>...</td><td>...</td><td>...</td>" in html
    assert 0 < html.count("<span") < 200


def test_empty_tables():
    table = make_table()[:0]
    assert "<span" not in table._repr_html_()
    assert table.show_cutouts(make_images()[:0]).n_shown == 0


def test_only_the_notebook_view_differs():
    table = make_table()
    assert str(table) == str(Table(table))
    assert isinstance(QTable(table), QTable)


class Shell:
    """The shell of a notebook, as IPython returns it."""

    kernel = None


def test_notebooks_print_a_line_of_numbers(monkeypatch, capsys, classifier):
    images = make_images()
    table = ShredTable({"objID": np.arange(4)})
    table.add_p_cnn(classifier, images)
    assert not capsys.readouterr().out
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=Shell))
    table.add_p_cnn(classifier, images, replace_columns=True)
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    assert "4 sources, 3 scored" in printed
    assert "1 unscored: 1 blank" in printed
    table.add_p_cnn(classifier, images, progress=False)
    assert not capsys.readouterr().out


def test_scores_are_shown_with_three_digits_and_written_with_all(tmp_path, classifier):
    for table_class, shown in ((ShredTable, ".3f"), (ShredQTable, ".3f"), (Table, None)):
        table = table_class({"objID": np.arange(4)})
        add_p_cnn(table, classifier, make_images())
        p_cnn = table["p_cnn"].tolist()
        assert table["p_cnn"].format == shown
        for name in ("a.csv", "a.ecsv", "a.fits"):
            table.write(tmp_path / name, overwrite=True)
            again = table_class.read(tmp_path / name)
            np.testing.assert_array_equal(np.ma.filled(again["p_cnn"], np.nan).astype("f4"), p_cnn)
            assert again["p_cnn"].format == shown
            write_catalogue(ShredTable(table), tmp_path / name)
            np.testing.assert_array_equal(read_catalogue(tmp_path / name)["p_cnn"], p_cnn)
    # A format of the user's own is kept, and pages show what the screen shows.
    table = ShredTable(table)
    table.write(tmp_path / "a.html", format="ascii.html")
    assert f"{p_cnn[0]:.3f}<" in (tmp_path / "a.html").read_text()
    table["p_cnn"].format = ".1f"
    table.write(tmp_path / "a.csv", overwrite=True)
    assert f"{p_cnn[0]:.1f}," in (tmp_path / "a.csv").read_text()


def test_identifiers_are_shown_whole():
    html = make_table().show_cutouts(make_images()).html
    assert "ellipsis" not in html
    assert "nowrap" not in html
