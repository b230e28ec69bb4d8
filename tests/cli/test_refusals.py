"""Impossible requests are refused before anything is scored, and nothing is lost."""

import signal

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from shredfinder.cli import main
from tests.cli.test_cli import classify


@pytest.fixture
def no_scoring(monkeypatch):
    def score(*args, **kwargs):
        raise AssertionError("scored although the result cannot be written")

    monkeypatch.setattr("shredfinder.table.tables.ShredTable.add_p_cnn", score)


def change(catalogue, **columns):
    table = Table.read(catalogue)
    for name, values in columns.items():
        table[name] = values
    table.write(catalogue, overwrite=True)


@pytest.mark.usefixtures("no_scoring")
class TestBeforeScoring:
    def test_names_that_fits_does_not_distinguish(self, catalogue, tmp_path, capsys):
        change(catalogue, P_CNN=np.zeros(7))
        assert classify(catalogue, tmp_path / "scored.fits") == 1
        assert (
            "does not distinguish the column names 'P_CNN' and 'p_cnn'" in capsys.readouterr().err
        )

    def test_characters_that_fits_cannot_hold(self, catalogue, tmp_path, capsys):
        change(catalogue, note=["ä"] * 7)
        assert classify(catalogue, tmp_path / "scored.fits") == 1
        assert "only ASCII" in capsys.readouterr().err
        assert list(tmp_path.glob("*scored*")) == []

    def test_a_folder_as_output(self, catalogue, tmp_path, capsys):
        (tmp_path / "scored.ecsv").mkdir()
        assert classify(catalogue, tmp_path / "scored.ecsv", "--overwrite") == 1
        assert "folder" in capsys.readouterr().err

    def test_a_pattern_without_a_folder(self, catalogue, tmp_path, capsys):
        output = tmp_path / "scored.ecsv"
        assert main(["classify", str(catalogue), "--pattern", "{x}.png", "-o", str(output)]) == 1
        assert "give the folder as --cutouts" in capsys.readouterr().err

    def test_a_table_without_columns(self, tmp_path, capsys):
        fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns([])]).writeto(
            tmp_path / "none.fits"
        )
        assert classify(tmp_path / "none.fits", tmp_path / "scored.ecsv") == 1
        assert "no columns" in capsys.readouterr().err


def test_foreign_columns_are_replaced_when_asked(catalogue, tmp_path, capsys):
    change(catalogue, p_cnn=np.full(7, 9.0))
    output = tmp_path / "scored.ecsv"
    assert classify(catalogue, output) == 1
    assert "--replace-columns" in capsys.readouterr().err
    assert classify(catalogue, output, "--replace-columns") == 0
    assert not np.any(np.asarray(Table.read(output)["p_cnn"]) == 9)


def test_one_of_several_tables(catalogue, tmp_path):
    several = tmp_path / "several.fits"
    hdus = [fits.table_to_hdu(Table.read(catalogue)[:n]) for n in (2, 5)]
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(several)
    where = ["--cutouts", str(catalogue.parent), "-o"]
    for number, n in (("1", 2), ("2", 5)):
        output = tmp_path / f"scored{number}.ecsv"
        assert main(["classify", str(several), "--table", number, *where, str(output)]) == 0
        assert len(Table.read(output)) == n


def test_a_file_name_is_shown_if_none_is_found(catalogue, tmp_path, capsys):
    assert classify(catalogue, tmp_path / "scored.ecsv", "--pattern", "{objID}.jpeg") == 1
    assert "good.jpeg" in capsys.readouterr().err


def test_interrupting_writes_nothing(catalogue, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        "shredfinder.models.model.TrainedModel.score",
        lambda *_: signal.raise_signal(signal.SIGINT),
    )
    # Shells start background processes with the signal ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    output = tmp_path / "scored.ecsv"
    try:
        assert classify(catalogue, output) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert "interrupted; nothing was written" in capsys.readouterr().err
    assert list(tmp_path.glob("*scored*")) == []
