"""The sample after shreds are merged with their galaxies."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from shredfinder import ShredTable
from shredfinder.cli import main
from shredfinder.cuts import get_preset, saga_cut
from shredfinder.pipeline import merge_sample
from tests.pipeline.test_search import search


def make(rows):
    """A table of (ra, r, r_eff, p_cnn), of galaxies with g - r = 0.4."""
    ra, r_mag, r_eff, p_cnn = np.array(rows, dtype=float).T
    table = ShredTable({"objid": 1 + np.arange(len(rows)), "ra": ra, "dec": np.zeros(len(rows))})
    table["g"], table["r"], table["r_eff"], table["p_cnn"] = r_mag + 0.4, r_mag, r_eff, p_cnn
    table["mu_eff"] = r_mag + 2.5 * np.log10(2 * np.pi * r_eff**2)
    table["mu_err"] = table["gr_err"] = 0.02
    table["host_entry"] = False
    return table


def status(sample):
    changes = sample.changes
    return dict(zip(changes["objid"].tolist(), changes["sample"].tolist(), strict=True))


def test_what_changes_leaves_and_enters():
    candidates = make(
        [
            (10.0, 19.0, 3.0, 0.1), (10.001, 20.0, 2.0, 0.9),  # kept, 0.36 mag brighter
            (10.1, 20.9, 1.0, 0.1), (10.1001, 18.0, 0.9, 0.9),  # too concentrated with its piece
            (10.2, 20.0, 2.0, 0.8), (10.2005, 20.0, 2.0, 0.9),  # recovered
            (10.3, 20.0, 3.0, 0.2),  # nothing to merge
            (10.4, 20.0, 3.0, np.nan),  # unscored
        ]
    )  # fmt: skip
    # Too faint alone.
    neighbours = make([(10.5, 21.2, 2.0, 0.1), (10.5005, 21.2, 2.0, 0.9), (10.6, 20, 3.0, 0.1)])
    neighbours["objid"] += 100
    sample = merge_sample(candidates, neighbours)
    assert status(sample) == {1: "kept", 3: "left", 5: "entered", 101: "entered"}
    assert sorted(sample.satellites["objid"].tolist()) == [1, 5, 7, 101]
    assert (sample.n_changed, sample.n_recovered, sample.n_left, sample.n_entered) == (3, 1, 1, 2)
    # The largest change first, recovered galaxies last.
    assert sample.changes["objid"].tolist() == [3, 101, 1, 5]
    assert sample.changes["change"][2] == pytest.approx(-2.5 * np.log10(1 + 10**-0.4))
    assert np.isnan(sample.changes["change"][3])
    assert len(sample.galaxies) == 7
    assert type(sample.satellites) is ShredTable
    text = sample.summary()
    assert "11 rows into 7 galaxies: 3 changed by more than 0.2 mag in r, 1 recovered" in text
    assert "1 removed from the sample, 2 added: 4 satellites after merging" in text
    # The input is not changed.
    assert len(candidates) == 8


def test_hosts_are_no_satellites():
    candidates = make([(10.0, 15.0, 9.0, 0.1), (10.002, 19.0, 2.0, 0.9), (10.1, 19.0, 2.0, 0.9)])
    candidates["host_entry"][0] = True
    hosts = Table({"host_id": [5], "ra": [10.1005], "dec": [0.0], "petro_th90": [20.0]})
    hosts["petro_ba90"], hosts["petro_phi90"] = 1.0, 0.0
    sample = merge_sample(candidates, hosts=hosts)
    assert status(sample) == {1: "outside", 3: "outside"}
    assert len(sample.satellites) == 0
    # Without ellipses, the last is recovered.
    assert status(merge_sample(candidates, hosts=hosts["ra", "dec"])) == {
        1: "outside",
        3: "entered",
    }


def test_no_rows_and_no_shreds():
    rows = make([(10.0, 19.0, 3.0, 0.1), (10.1, 19.0, 3.0, 0.2)])
    for n in (0, 2):
        sample = merge_sample(rows[:n])
        assert len(sample.satellites) == n
        assert len(sample.changes) == 0
        assert sample.summary()


@pytest.mark.slow
def test_run_merge(services, tmp_path, capsys):
    out, report, folder = tmp_path / "out.fits", tmp_path / "report.html", tmp_path / "steps"
    hosts = str(services.images.nsa)
    arguments = [
        "run",
        "--center",
        "143.0421 21.5008",
        "--radius",
        "0.12",
        "--merge",
        "--hosts",
        hosts,
    ]
    arguments += ["-o", str(out), "--report", str(report), "--save", str(folder), "--rate", "0"]
    assert main(arguments) == 0
    error = capsys.readouterr().err
    assert "rows into " in error
    assert "after merging" in error
    page = report.read_text()
    assert "Merged galaxies" in page
    assert "removed from the sample" in page
    merged = Table(fits.getdata(out))
    assert {"n_shreds", "shred_ids", "merge_kind"} <= set(merged.colnames)
    assert f"{len(merged)} satellites after merging" in error
    assert (folder / "neighbours.ecsv").exists()


@pytest.mark.slow
def test_search_scores_neighbours_of_shreds(services):
    plain, found = search(), search(merge=True)
    assert plain.merged is None
    sample = found.merged
    # Candidates and their counts are the same; the neighbours are beyond the cuts.
    assert found.candidates["objid"].tolist() == plain.candidates["objid"].tolist()
    n_more = len(sample.parents) - len(found.candidates)
    assert n_more > 0
    extra = ~np.isin(sample.parents["id"], found.candidates["objid"])
    assert np.count_nonzero(extra) == n_more
    passing = sample.satellites
    limits = get_preset("paper").saga
    assert saga_cut(
        *(np.asarray(passing[name]) for name in ("g", "r", "r_eff")),
        mu_err=np.asarray(passing["mu_err"]), gr_err=np.asarray(passing["gr_err"]), **limits,
    ).all()  # fmt: skip
    names = [name for text in sample.galaxies["shred_ids"] for name in text.split(";") if name]
    names += [
        str(name) for name in sample.galaxies["objid"][sample.galaxies["merge_kind"] == "galaxy"]
    ]
    assert len(names) == len(set(names)) == len(sample.parents)
