"""Selecting hosts around a position, and joining candidates to hosts."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import QTable, Table

from shredfinder import ShredTable
from shredfinder.exceptions import ShredfinderWarning
from shredfinder.hosts import (
    find_host,
    join_hosts,
    match_hosts,
    read_hosts,
    select_hosts,
)


def simulate(n_hosts=300, n=2000, *, center, seed=0):
    rng = np.random.default_rng(seed)
    east, north = rng.uniform(-3, 3, (2, n_hosts)) * u.deg
    place = center.spherical_offsets_by(east, north)
    hosts = Table({"host_id": np.arange(n_hosts), "ra": place.ra.deg, "dec": place.dec.deg})
    hosts["distance"] = rng.uniform(5, 200, n_hosts) * u.Mpc
    angle, radius = rng.uniform(0, 360, n) * u.deg, np.sqrt(rng.uniform(0, 1, n)) * 0.5 * u.deg
    sky = center.directional_offset_by(angle, radius)
    return hosts, Table({"ra": sky.ra.deg, "dec": sky.dec.deg})


@pytest.mark.parametrize("ra_dec", [(143.0, 21.5), (0.01, -5.0), (77.0, 89.9)])
def test_hosts_that_are_not_selected_match_nothing(ra_dec):
    center = SkyCoord(*ra_dec, unit="deg")
    hosts, candidates = simulate(center=center)
    near = select_hosts(hosts, center, 0.5 * u.deg)
    assert 0 < len(near) < len(hosts)
    whole, part = match_hosts(candidates, hosts), match_hosts(candidates, near)
    assert part["index"].tolist() == whole["index"].tolist()
    assert part["host_id"].tolist() == whole["host_id"].tolist()
    assert part["n_hosts"].tolist() == whole["n_hosts"].tolist()


def test_only_hosts_inside_the_circle_are_reported_without_a_distance():
    hosts = Table({"host_id": [1, 2, 3, 4], "ra": [10.0, 10.1, 80.0, np.nan], "dec": [0.0] * 4,
                   "z": [0.01, -0.001, np.nan, 0.02]})  # fmt: skip
    center = SkyCoord(10, 0, unit="deg")
    with pytest.warns(ShredfinderWarning, match="1 hosts in the region are ignored"):
        assert select_hosts(hosts, center, 0.5)["host_id"].tolist() == [1]


def test_the_nearest_host_is_found():
    hosts = Table({"host_id": [1, 2], "ra": [10.0, 10.002], "dec": [0.0, np.nan], "z": [0.1, 0.1]})
    assert find_host(hosts, SkyCoord(10.002, 0, unit="deg")) == 0
    assert find_host(hosts, SkyCoord(10.002, 0, unit="deg"), within=1) is None
    assert find_host(hosts[:0], SkyCoord(10, 0, unit="deg")) is None


def test_entries_of_hosts_are_marked():
    hosts = Table({"host_id": ["A"], "ra": [10.0], "dec": [0.0], "distance": [20.0] * u.Mpc})
    candidates = ShredTable({"ra": [10.0005, 10.01, 10.02, 60.0], "dec": [0.0] * 4,
                             "ref_cat": ["  ", "L3", "G2", "L3"]})  # fmt: skip
    joined = join_hosts(candidates, hosts)
    assert type(joined) is ShredTable
    assert joined["host_entry"].tolist() == [True, True, False]
    assert joined["separation"].unit == u.arcsec
    assert joined["projected_separation"].tolist() == pytest.approx(
        20_000 * np.radians([0.0005, 0.01, 0.02])
    )
    assert join_hosts(candidates, hosts, entry_radius=1)["host_entry"].tolist()[0] is False
    assert "host_id" not in candidates.colnames
    assert len(join_hosts(candidates[:0], hosts)) == 0
    quantities = QTable({"ra": [10.01] * u.deg, "dec": [0.0] * u.deg})
    assert len(join_hosts(quantities, hosts)) == 1


@pytest.mark.parametrize("name", ["host_id", "separation", "n_hosts", "host_entry"])
def test_own_columns_are_not_replaced(name):
    hosts = Table({"host_id": ["A"], "ra": [10.0], "dec": [0.0], "distance": [20.0] * u.Mpc})
    candidates = Table({"ra": [10.02], "dec": [0.0], name: ["mine"]})
    with pytest.raises(ValueError, match=f"column '{name}', which would be replaced"):
        join_hosts(candidates, hosts)
    # Those of an earlier join are.
    candidates.remove_column(name)
    joined = join_hosts(candidates, hosts)
    assert join_hosts(joined["ra", "dec", name], hosts).colnames[2] == name
    for column in joined.itercols():
        column.meta = {}
    assert join_hosts(joined, hosts).colnames == joined.colnames


def test_common_column_names_are_found(tmp_path):
    table = Table({"PGC": [7], "RAJ2000": [10.0], "DEJ2000": [1.0], "Dist": [12.0],
                   "PETRO_TH90": [60.0]})  # fmt: skip
    hosts = read_hosts(table)
    assert hosts.colnames == ["host_id", "ra", "dec", "distance", "petro_th90"]
    table.write(tmp_path / "hosts.csv")
    assert read_hosts(tmp_path / "hosts.csv")["distance"].tolist() == [12.0]
    table.rename_column("Dist", "d25")
    with pytest.raises(KeyError, match="zdist, z or distance"):
        read_hosts(table)
    assert read_hosts(table, distance="d25")["distance"].tolist() == [12.0]
    assert read_hosts(table, distance="d25", position=("RAJ2000", "DEJ2000"))["ra"][0] == 10.0
    (tmp_path / "hosts.fits").write_text("no table")
    with pytest.raises(ValueError, match="cannot read the hosts"):
        read_hosts(tmp_path / "hosts.fits")
    with pytest.raises(FileNotFoundError, match=r"none\.fits' does not exist"):
        read_hosts(tmp_path / "none.fits")
