"""The example data of the documentation and of ``shredfinder demo``."""

import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from shredfinder import ShredTable
from shredfinder.cuts import saga_cut
from shredfinder.datasets import (
    example_candidates,
    example_cutouts,
    example_field,
    example_hosts,
)
from shredfinder.hosts import find_parents, in_host_ellipse, match_hosts
from shredfinder.table import get_positions


@pytest.fixture(scope="module")
def scored():
    table = example_candidates()
    table.add_p_cnn(cutouts=example_cutouts())
    return table


def test_the_rows_are_of_all_kinds(scored):
    assert isinstance(scored, ShredTable)
    assert 80 <= len(scored) <= 120
    kinds = set(scored["type"].tolist())
    assert {"host", "satellite", "background", "on disc", "behind", "knot", "arm"} <= kinds
    assert np.count_nonzero(scored["label"] == "shred") >= 20
    assert len(set(scored["objid"].tolist())) == len(scored)


def test_cutouts_are_those_of_the_rows(scored):
    assert len(example_cutouts()) == len(scored)
    assert example_cutouts().good.all()
    shred = np.asarray(scored["label"] == "shred")
    found = np.asarray(scored["p_cnn"]) >= 0.5
    assert np.mean(found == shred) > 0.85


def test_hosts_are_rows_and_have_ellipses(scored):
    hosts = example_hosts()
    rows = scored[np.isin(scored["objid"], hosts["host_id"])]
    assert len(rows) == len(hosts) == 3
    assert rows["host_entry"].all()
    assert set(scored["host_id"].tolist()) == set(hosts["host_id"].tolist())
    assert len(match_hosts(scored, hosts)) == len(scored)
    # The pieces of each host are inside its ellipse.
    for host in hosts:
        pieces = scored[(scored["galaxy_id"] == host["host_id"]) & (scored["label"] == "shred")]
        shape = {name: host[name] for name in hosts.colnames if name.startswith("petro_")}
        assert len(pieces) >= 3
        place = SkyCoord(host["ra"], host["dec"], unit="deg")
        assert in_host_ellipse(get_positions(pieces), place, **shape).all()


def test_cuts_use_the_standard_columns():
    table = example_candidates()
    columns = [table[name] for name in ("g", "r", "r_eff", "mu_err", "gr_err")]
    passed = saga_cut(*columns[:3], mu_err=columns[3], gr_err=columns[4])
    assert 20 < np.count_nonzero(passed) < len(table)


def test_merging_restores_the_true_magnitudes(scored):
    """With true scores, the merged magnitudes of the hosts are the true ones."""
    pytest.importorskip("photutils")
    scored = scored.copy()
    scored["p_cnn"] = np.where(scored["label"] == "shred", 0.99, 0.01)
    merged = scored.merge_shreds(cutouts=example_cutouts())
    for host in example_hosts():
        before = scored[scored["objid"] == host["host_id"]]["r"][0]
        after = merged[merged["objid"] == host["host_id"]]["r"][0]
        assert before - host["r_mag"] > 0.05
        assert after == pytest.approx(host["r_mag"], abs=0.05)
    assert "row" in find_parents(scored)["parent_kind"]


def test_results_are_copies():
    for function in (example_candidates, example_hosts):
        table = function()
        table["ra"][:] = 0
        table["new"] = 1
        assert "new" not in function().colnames
        assert function()["ra"][0] > 100
    assert example_field().sources["objID"].size == len(example_candidates())
    images, sky = example_cutouts().images, example_field().image
    images[:] = sky[:] = 0
    assert example_cutouts().images.any()
    assert example_field().image.any()


def test_a_file_keeps_everything(tmp_path):
    table = example_candidates()
    table.write(tmp_path / "candidates.fits")
    again = ShredTable.read(tmp_path / "candidates.fits")
    assert again.colnames == table.colnames
    assert (again["type"] == table["type"]).all()
    assert again["projected_separation"].unit == "kpc"
