import numpy as np
import pytest
from astropy import units as u
from astropy.stats import binom_conf_interval
from astropy.table import Table

from shredfinder.exceptions import ShredfinderWarning
from shredfinder.hosts import associate_shreds, match_hosts

HOSTS = Table(
    {
        "host_id": ["A", "B", "C"],
        "ra": [10.0, 50.0, 90.0],
        "dec": [0.0, 0.0, 0.0],
        "distance": [20.0, 20.0, 20.0] * u.Mpc,
    }
)


def make_table(per_host):
    """One candidate near host i per probability of list i, and one far from all hosts."""
    ra = [HOSTS["ra"][i] + 0.01 * j for i, p in enumerate(per_host) for j in range(len(p))]
    p_cnn = [p for some in per_host for p in some]
    return Table({"ra": [*ra, 200.0], "dec": np.zeros(len(ra) + 1), "p_cnn": [*p_cnn, 0.99]})


def test_counts_fractions_and_intervals():
    table = make_table([[0.9, 0.5, 0.49, 0.1], [0.2, 0.3], []])
    found = associate_shreds(table, HOSTS)
    hosts = found.hosts
    assert hosts["host_id"].tolist() == ["A", "B"]
    assert hosts["host_index"].tolist() == [0, 1]
    assert hosts["n_candidates"].tolist() == [4, 2]
    assert hosts["n_shreds"].tolist() == [2, 0]
    assert hosts["n_unscored"].tolist() == [0, 0]
    assert hosts["shred_fraction"].tolist() == [0.5, 0.0]
    expected = binom_conf_interval([2, 0], [4, 2], interval="wilson")
    np.testing.assert_allclose(hosts["shred_fraction_low"], expected[0])
    np.testing.assert_allclose(hosts["shred_fraction_high"], expected[1])
    assert hosts["shred_fraction_high"][1] > 0
    assert found.shreds["index"].tolist() == [0, 1]
    assert found.shreds["host_id"].tolist() == ["A", "A"]
    np.testing.assert_allclose(found.shreds["p_cnn"], [0.9, 0.5])
    assert found.n_shreds_without_host == 1


def test_unscored_rows_are_counted_separately():
    table = make_table([[0.9, np.nan, 0.1], [np.nan]])
    with pytest.warns(ShredfinderWarning, match="2 of 5 rows have no p_cnn"):
        hosts = associate_shreds(table, HOSTS).hosts
    assert hosts["n_candidates"].tolist() == [2, 0]
    assert hosts["n_shreds"].tolist() == [1, 0]
    assert hosts["n_unscored"].tolist() == [1, 1]
    assert np.isnan(hosts["shred_fraction"]).tolist() == [False, True]
    assert np.isnan(hosts["shred_fraction_low"]).tolist() == [False, True]


def test_masked_probabilities_are_unscored():
    table = make_table([[0.9, 0.8]])
    table["p_cnn"] = np.ma.array(table["p_cnn"], mask=[True, False, False])
    with pytest.warns(ShredfinderWarning, match="1 of 3 rows"):
        assert associate_shreds(table, HOSTS).hosts["n_candidates"].tolist() == [1]


def test_numbers_add_up_where_hosts_overlap():
    rng = np.random.default_rng(0)
    hosts = Table(
        {
            "host_id": np.arange(30),
            "ra": rng.uniform(10, 12, 30),
            "dec": rng.uniform(0, 2, 30),
            "distance": rng.uniform(5, 50, 30),
        }
    )
    table = Table(
        {
            "ra": rng.uniform(10, 12, 900),
            "dec": rng.uniform(0, 2, 900),
            "p_cnn": rng.random(900).astype(np.float32),
        }
    )
    matches = match_hosts(table, hosts)
    assert matches["n_hosts"].max() > 1
    found = associate_shreds(table, hosts, threshold=0.7)
    assert found.hosts["n_candidates"].sum() == len(matches)
    assert found.hosts["n_shreds"].sum() == len(found.shreds)
    assert len(found.shreds) + found.n_shreds_without_host == np.sum(table["p_cnn"] >= 0.7)
    again = associate_shreds(table, hosts, threshold=0.7, matches=matches)
    assert (again.shreds["host_id"] == found.shreds["host_id"]).all()
    low, high = found.hosts["shred_fraction_low"], found.hosts["shred_fraction_high"]
    assert ((low <= found.hosts["shred_fraction"]) & (found.hosts["shred_fraction"] <= high)).all()


def test_options_of_matching_and_intervals():
    table = make_table([[0.9, 0.1]])
    assert len(associate_shreds(table, HOSTS, 1 * u.kpc).hosts) == 1
    assert associate_shreds(table, HOSTS, 1 * u.kpc).hosts["n_candidates"].tolist() == [1]
    wide = associate_shreds(table, HOSTS, confidence_level=0.95, interval="jeffreys").hosts
    usual = associate_shreds(table, HOSTS).hosts
    assert wide["shred_fraction_high"][0] > usual["shred_fraction_high"][0]
    table.rename_column("p_cnn", "score")
    assert associate_shreds(table, HOSTS, p_column="score").hosts["n_shreds"].tolist() == [1]
    with pytest.raises(KeyError, match="p_cnn"):
        associate_shreds(table, HOSTS)


def test_nothing_near_a_host():
    found = associate_shreds(make_table([])[:1], HOSTS)
    assert len(found.hosts) == len(found.shreds) == 0
    assert found.n_shreds_without_host == 1
    assert found.hosts.colnames[0] == "host_id"


def test_wrong_numbers():
    table = make_table([[0.9]])
    with pytest.raises(ValueError, match="threshold"):
        associate_shreds(table, HOSTS, threshold=1.5)
    table["p_cnn"][0] = 1.5
    with pytest.raises(ValueError, match="between 0 and 1"):
        associate_shreds(table, HOSTS)
