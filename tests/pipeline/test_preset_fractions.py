"""Shred fractions after each preset of cuts, of tables and files."""

import numpy as np
import pytest
from astropy.table import Table

from shredfinder.cuts import CUT_PRESETS, candidate_cut
from shredfinder.pipeline import fractions_by_preset, read_passing
from tests.catalogs.skies import CENTER, make_legacy, make_ps1, make_sdss
from tests.conftest import need_format


@pytest.fixture
def legacy():
    table = make_legacy()
    rng = np.random.default_rng(5)
    # Most sources with a bad fit are shreds.
    bad = np.max([table[f"rchisq_{band}"] for band in "grz"], axis=0) > 4
    table["p_cnn"] = np.where(rng.uniform(size=len(table)) < np.where(bad, 0.7, 0.05), 0.9, 0.1)
    table["p_cnn"][::17] = np.nan
    return table


def test_fractions_of_the_sources_that_pass(legacy):
    found = fractions_by_preset(legacy)
    assert found["preset"].tolist() == list(CUT_PRESETS)
    for row in found:
        passed = candidate_cut(legacy, preset=row["preset"]).passed
        p_cnn = legacy["p_cnn"][passed]
        assert row["n_rows"] == passed.sum()
        assert row["n_unscored"] == np.isnan(p_cnn).sum()
        assert row["n_shreds"] == (p_cnn >= 0.5).sum()
        assert row["shred_fraction"] == row["n_shreds"] / row["n_scored"]
    loose = found[found["preset"] == "paper-no-rchisq"][0]
    strict = found[found["preset"] == "paper"][0]
    assert loose["shred_fraction_low"] > strict["shred_fraction_high"]


def test_only_near_hosts(legacy):
    hosts = Table({"host_id": [1], "ra": [CENTER.ra.deg], "dec": [CENTER.dec.deg], "z": [0.005]})
    near = fractions_by_preset(legacy, hosts=hosts, presets=["paper"])
    narrow = fractions_by_preset(legacy, hosts=hosts, presets=["paper"], host_radius=30)
    everything = fractions_by_preset(legacy, presets=["paper"])
    assert 0 < narrow["n_rows"][0] < near["n_rows"][0] < everything["n_rows"][0]


@pytest.mark.parametrize("name", ["t.fits", "t.csv", "t.ecsv", "t.parquet"])
def test_files_of_any_kind(legacy, tmp_path, name):
    need_format(name)
    path = tmp_path / name
    legacy.write(path)
    rows = read_passing(path, columns=["p_cnn", "no such column"])
    passed = np.logical_or.reduce([candidate_cut(legacy, preset=p).passed for p in CUT_PRESETS])
    assert rows["ls_id"].tolist() == legacy["ls_id"][passed].tolist()
    np.testing.assert_array_equal(
        fractions_by_preset(rows)["n_shreds"], fractions_by_preset(legacy)["n_shreds"]
    )


@pytest.mark.parametrize(("survey", "make"), [("sdss-dr17", make_sdss), ("ps1-dr2", make_ps1)])
def test_other_surveys(tmp_path, survey, make):
    table = make()
    path = tmp_path / "t.csv"
    table.write(path)
    rows = read_passing(path, survey, ebv=0.04)
    rows["p_cnn"] = 0.2
    found = fractions_by_preset(rows, survey)
    assert (found["n_scored"] > 40).all()
    assert (found["shred_fraction"] == 0).all()


def test_bad_input(legacy):
    with pytest.raises(ValueError, match="no cut preset"):
        fractions_by_preset(legacy, presets=["all"])
    with pytest.raises(ValueError, match="presets is empty"):
        fractions_by_preset(legacy, presets=[])
    with pytest.raises(KeyError, match="p_cnn"):
        fractions_by_preset(make_legacy())
    with pytest.raises(FileNotFoundError):
        read_passing("nowhere.fits")
