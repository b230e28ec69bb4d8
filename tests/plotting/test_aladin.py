import io

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import Table

from shredfinder import ShredTable
from shredfinder.exceptions import MissingDependencyError
from shredfinder.plotting import show_aladin
from shredfinder.plotting.style import UNSCORED_SHADE, get_shade


class Recorder:
    """A stand-in for an existing widget."""

    def __init__(self):
        self.shown = []

    def add_table(self, table, **options):
        content = io.BytesIO()
        table.write(content, format="votable")  # the widget sends VOTables
        self.shown.append((table, options))


def make_table():
    return ShredTable(
        {
            "RAJ2000": [359.99, 0.01, 0.02, 0.03, 10.0],
            "DEJ2000": [2.0, 2.0, 2.01, 2.02, 95.0],
            "p_cnn": np.array([0.97, 0.02, np.nan, 1.0, 0.5], np.float32),
            "p_cnn_flag": ["", "", "blank", "", ""],
            "id": [1, 2, 3, 4, 5],
        }
    )


@pytest.fixture
def recorder(monkeypatch):
    monkeypatch.setattr("shredfinder.plotting.aladin.import_optional", lambda *args: None)
    return Recorder()


def test_each_bin_has_its_colour(recorder):
    assert show_aladin(make_table(), recorder, columns=["id"]) is recorder
    found = [
        (options["name"], options["color"], table["id"].tolist())
        for table, options in recorder.shown
    ]
    # The last row has no position on the sky.
    assert found == [
        ("p_cnn 0.8 to 1.0", get_shade(1.0), [1, 4]),
        ("p_cnn 0.0 to 0.2", get_shade(0.0), [2]),
        ("unscored", UNSCORED_SHADE, [3]),
    ]
    table = recorder.shown[0][0]
    assert table.colnames == ["ra", "dec", "p_cnn", "p_cnn_flag", "id"]
    assert table["ra"].unit == u.deg


def test_tables_without_scores_are_unscored(recorder):
    show_aladin(Table({"ra": [1.0, 2.0], "dec": [3.0, 4.0]}), recorder)
    assert [options["name"] for _, options in recorder.shown] == ["unscored"]


def test_positions_may_be_given(recorder):
    coords = SkyCoord([1, 2] * u.deg, [3, 4] * u.deg)
    show_aladin(Table({"p_cnn": [0.1, 0.9]}), recorder, position=coords)
    assert [table["ra"].tolist() for table, _ in recorder.shown] == [[2.0], [1.0]]


def test_unknown_columns_are_errors(recorder):
    with pytest.raises(ValueError, match="no column 'mag'"):
        show_aladin(make_table(), recorder, columns=["mag"])


def test_missing_package_is_an_error(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ipyaladin", None)
    with pytest.raises(MissingDependencyError, match=r"shredfinder\[notebook\]"):
        show_aladin(make_table())


def test_widget_shows_the_sources():
    pytest.importorskip("ipyaladin", reason="the overlay needs ipyaladin")
    aladin = show_aladin(make_table(), survey="CDS/P/DESI-Legacy-Surveys/DR10/color", height=300)
    assert aladin.overlays == ["p_cnn 0.8 to 1.0", "p_cnn 0.0 to 0.2", "unscored"]
    assert aladin.survey == "CDS/P/DESI-Legacy-Surveys/DR10/color"
    # The sources are on both sides of right ascension 0.
    assert aladin.target.separation(SkyCoord(0.0075, 2.0075, unit="deg")) < 0.5 * u.arcmin
    assert 0.04 < aladin.fov.deg < 0.1


def test_widget_of_nothing():
    pytest.importorskip("ipyaladin", reason="the overlay needs ipyaladin")
    assert show_aladin(make_table()[:0]).overlays == []
