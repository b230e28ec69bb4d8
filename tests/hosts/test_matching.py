import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.cosmology import FlatLambdaCDM, Planck18
from astropy.table import Table
from hypothesis import given, settings
from hypothesis import strategies as st

from shredfinder._utils.runtime import count_threads
from shredfinder.config import conf
from shredfinder.exceptions import ShredfinderWarning
from shredfinder.hosts import host_distances, match_hosts, matching
from shredfinder.hosts.sphere import iter_pairs, separations, unit_vectors

COSMOLOGY = FlatLambdaCDM(70, 0.3)


def make_hosts(ra, dec, distance):
    return Table(
        {"host_id": np.arange(len(ra)) + 100, "ra": ra, "dec": dec, "distance": distance * u.Mpc}
    )


def brute_force(candidates, hosts, radius):
    """Match by all separations, computed by astropy."""
    sky = SkyCoord(hosts["ra"], hosts["dec"], unit="deg")
    separation = candidates[:, None].separation(sky[None, :])
    kpc = separation.rad * hosts["distance"].quantity.to_value(u.kpc)
    inside = kpc <= radius
    index = np.flatnonzero(inside.any(axis=1))
    best = np.where(inside, kpc, np.inf).argmin(axis=1)[index]
    return {
        "index": index,
        "host_index": best,
        "separation": separation.arcsec[index, best],
        "projected_separation": kpc[index, best],
        "n_hosts": inside.sum(axis=1)[index],
    }


def assert_same(matches, expected):
    for name in ("index", "host_index", "n_hosts"):
        assert matches[name].tolist() == expected[name].tolist(), name
    for name in ("separation", "projected_separation"):
        np.testing.assert_allclose(matches[name], expected[name], rtol=1e-8, atol=1e-9)


def sample(seed, where, n_candidates=1500, n_hosts=150):
    rng = np.random.default_rng(seed)
    distance = 10 ** rng.uniform(0.01, 2.7, n_hosts)
    if where == "sky":
        ra, dec = (rng.uniform(0, 360, n_candidates), rng.uniform(-1, 1, n_candidates))
        dec = np.degrees(np.arcsin(dec))
        host_ra = rng.uniform(0, 360, n_hosts)
        host_dec = np.degrees(np.arcsin(rng.uniform(-1, 1, n_hosts)))
    elif where == "wrap":
        ra, dec = rng.normal(0, 1.5, n_candidates) % 360, rng.normal(0, 1.5, n_candidates)
        host_ra, host_dec = rng.normal(0, 1.5, n_hosts) % 360, rng.normal(0, 1.5, n_hosts)
    else:
        sign = 1 if where == "north" else -1
        ra, host_ra = rng.uniform(0, 360, n_candidates), rng.uniform(0, 360, n_hosts)
        dec = sign * (90 - np.abs(rng.normal(0, 1.5, n_candidates)))
        host_dec = sign * (90 - np.abs(rng.normal(0, 1.5, n_hosts)))
        dec[:2], host_dec[0] = sign * 90.0, sign * 90.0
    return SkyCoord(ra, dec, unit="deg"), make_hosts(host_ra, host_dec, distance)


@pytest.mark.parametrize("where", ["sky", "wrap", "north", "south"])
@pytest.mark.parametrize("seed", [1, 2])
def test_equals_brute_force(where, seed):
    candidates, hosts = sample(seed, where)
    expected = brute_force(candidates, hosts, 100.0)
    assert len(expected["index"]) > 20
    assert_same(match_hosts(candidates, hosts), expected)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**31), st.sampled_from(["sky", "wrap", "north"]), st.floats(1.0, 3000.0))
def test_equals_brute_force_for_any_radius(seed, where, radius):
    candidates, hosts = sample(seed, where, 200, 30)
    assert_same(
        match_hosts(candidates, hosts, radius * u.kpc), brute_force(candidates, hosts, radius)
    )


@pytest.mark.parametrize("max_pairs", [1, 50, 10**6])
def test_batches_do_not_change_the_pairs(max_pairs):
    candidates, hosts = sample(5, "wrap", 400, 60)
    points = unit_vectors(candidates.ra.deg, candidates.dec.deg)
    centers = unit_vectors(hosts["ra"].value, hosts["dec"].value)
    radii = 0.1 / hosts["distance"].value
    pairs = set()
    for point, center, separation in iter_pairs(points, centers, radii, max_pairs=max_pairs):
        assert (separation <= radii[center]).all()
        new = set(zip(point.tolist(), center.tolist(), strict=True))
        assert not new & pairs
        pairs |= new
    all_separations = separations(points[:, None], centers[None, :])
    expected = np.argwhere(all_separations <= radii)
    assert pairs == set(map(tuple, expected.tolist()))


def test_parts_do_not_change_the_matches(monkeypatch):
    candidates, hosts = sample(6, "wrap")
    whole = match_hosts(candidates, hosts)
    monkeypatch.setattr(matching, "_PART", 64)
    parts = match_hosts(candidates, hosts)
    assert all((whole[name] == parts[name]).all() for name in whole.colnames)


def test_pairs_in_memory_are_bounded():
    # One circle contains all points, and many contain a few.
    points = unit_vectors(np.linspace(0, 1, 500), np.zeros(500))
    centers = unit_vectors(np.linspace(0, 1, 200), np.zeros(200))
    radii = np.r_[1.0, np.full(199, 1e-4)]
    sizes = [len(point) for point, _, _ in iter_pairs(points, centers, radii, max_pairs=100)]
    assert max(sizes) == sizes[0] == 500
    assert max(sizes[1:]) <= 100
    assert len(sizes) > 10


def test_result_by_hand():
    # 10 Mpc away, 0.5 degrees are 87.27 kpc, and 0.6 degrees are 104.7 kpc.
    hosts = make_hosts([0.0, 0.1], [0.0, 0.0], [10.0, 10.0])
    candidates = SkyCoord([359.5, 359.45, 0.55, 180.0], [0, 0, 0, 0], unit="deg")
    matches = match_hosts(candidates, hosts)
    assert matches.colnames == [
        "index",
        "host_id",
        "host_index",
        "separation",
        "projected_separation",
        "n_hosts",
    ]
    assert matches["index"].tolist() == [0, 1, 2]
    assert matches["host_id"].tolist() == [100, 100, 101]
    assert matches["n_hosts"].tolist() == [1, 1, 2]
    assert matches["separation"].unit == u.arcsec
    assert matches["projected_separation"].unit == u.kpc
    np.testing.assert_allclose(matches["separation"], [1800, 1980, 1620])
    np.testing.assert_allclose(matches["projected_separation"], [87.266, 95.993, 78.540], rtol=1e-5)


def test_nearest_in_kpc_is_not_nearest_in_angle():
    # 6' at 10 Mpc are 17.5 kpc; 1' at 100 Mpc are 29.1 kpc.
    hosts = make_hosts([0.1, 359.983333], [0.0, 0.0], [10.0, 100.0])
    matches = match_hosts(SkyCoord([0.0], [0.0], unit="deg"), hosts)
    assert matches["host_id"].tolist() == [100]
    assert matches["n_hosts"].tolist() == [2]


def test_nearest_by_ellipse():
    hosts = make_hosts([0.1, 359.983333, 0.0], [0.0, 0.0, 0.001], [10.0, 100.0, 400.0])
    hosts["petro_th90"] = [100.0, 50.0, np.nan]
    hosts["petro_ba90"] = 1.0
    hosts["petro_phi90"] = 0.0
    candidates = SkyCoord([0.0, 0.1], [0.0, 0.0], unit="deg")
    # 360" / 100" against 60" / 50"; the third host has no ellipse and comes last.
    assert match_hosts(candidates, hosts, by="ellipse")["host_id"].tolist() == [101, 100]
    assert match_hosts(candidates, hosts)["host_id"].tolist() == [102, 100]
    only = match_hosts(candidates, hosts[2:], by="ellipse")
    assert only["host_id"].tolist() == [102]
    with pytest.raises(ValueError, match="by must be"):
        match_hosts(candidates, hosts, by="angle")


def test_ties_go_to_the_first_host():
    hosts = make_hosts([1.0, 1.0, 1.0], [2.0, 2.0, 2.0], [10.0, 10.0, 10.0])
    matches = match_hosts(SkyCoord([1.01] * 4, [2.0] * 4, unit="deg"), hosts)
    assert matches["host_index"].tolist() == [0, 0, 0, 0]
    assert matches["n_hosts"].tolist() == [3, 3, 3, 3]


def test_many_equal_positions():
    hosts = make_hosts([1.0] * 30, [2.0] * 30, [10.0] * 30)
    matches = match_hosts(SkyCoord([1.0] * 2000, [2.0] * 2000, unit="deg"), hosts)
    assert len(matches) == 2000
    assert (matches["projected_separation"] == 0).all()
    assert (matches["n_hosts"] == 30).all()


def test_radius_per_host_and_unit():
    hosts = make_hosts([0.0, 90.0], [0.0, 0.0], [10.0, 10.0])
    candidates = SkyCoord([0.3, 90.3], [0.0, 0.0], unit="deg")
    assert match_hosts(candidates, hosts, 0.1 * u.Mpc)["index"].tolist() == [0, 1]
    assert match_hosts(candidates, hosts, [10, 100] * u.kpc)["index"].tolist() == [1]
    assert match_hosts(candidates, hosts, 100)["index"].tolist() == [0, 1]
    with pytest.raises(u.UnitsError, match="radius"):
        match_hosts(candidates, hosts, 1 * u.deg)
    with pytest.raises(ValueError, match="positive"):
        match_hosts(candidates, hosts, 0 * u.kpc)
    with pytest.raises(ValueError, match="one for each of 2 hosts"):
        match_hosts(candidates, hosts, [1, 2, 3] * u.kpc)


def test_radius_of_the_whole_sky():
    hosts = make_hosts([10.0], [20.0], [0.02])
    candidates = SkyCoord([10.0, 190.0, 100.0], [20.0, -20.0, 80.0], unit="deg")
    matches = match_hosts(candidates, hosts, min_distance=0.001 * u.Mpc)
    assert len(matches) == 3
    assert matches["separation"][1] == pytest.approx(180 * 3600)


@pytest.mark.parametrize("distance", [0.0, -5.0, np.nan, np.inf, 0.5])
def test_hosts_without_a_distance_are_reported(distance):
    hosts = make_hosts([0.0, 50.0], [0.0, 0.0], [distance, 20.0])
    candidates = SkyCoord([0.0, 50.0], [0.0, 0.0], unit="deg")
    with pytest.warns(ShredfinderWarning, match="1 of 2 hosts are ignored"):
        matches = match_hosts(candidates, hosts)
    assert matches["host_id"].tolist() == [101]
    assert matches["index"].tolist() == [1]


def test_nearby_hosts_can_be_kept():
    hosts = make_hosts([0.0], [0.0], [0.78])
    assert len(match_hosts(SkyCoord([7.0], [0.0], unit="deg"), hosts, min_distance=0.1)) == 1
    with pytest.raises(ValueError, match="min_distance"):
        match_hosts(SkyCoord([7.0], [0.0], unit="deg"), hosts, min_distance=0 * u.Mpc)


def test_rows_without_positions_are_reported():
    hosts = make_hosts([0.0, np.nan], [0.0, 0.0], [20.0, 20.0])
    candidates = Table(
        {"RA": np.ma.array([0.0, 0.0, 0.0, 0.0], mask=[0, 1, 0, 0]), "Dec": [0, 0, np.nan, 95.0]}
    )
    with (
        pytest.warns(ShredfinderWarning, match="1 without a valid position"),
        pytest.warns(ShredfinderWarning, match="3 of 4 candidates have no valid position"),
    ):
        matches = match_hosts(candidates, hosts)
    assert matches["index"].tolist() == [0]


def test_nothing_matches_gives_an_empty_table():
    hosts = make_hosts([0.0], [0.0], [20.0])
    for candidates, some_hosts in (
        (SkyCoord([180.0], [0.0], unit="deg"), hosts),
        (SkyCoord([], [], unit="deg"), hosts),
        (SkyCoord([180.0], [0.0], unit="deg"), hosts[:0]),
    ):
        matches = match_hosts(candidates, some_hosts)
        assert len(matches) == 0
        assert matches["host_id"].dtype == hosts["host_id"].dtype
        assert matches["separation"].unit == u.arcsec


def test_every_form_of_position_is_read():
    hosts = make_hosts([10.0], [20.0], [20.0])
    sky = SkyCoord([10.01, 10.0], [20.0, 60.0], unit="deg")
    text = Table({"ra": sky.ra.to_string("hour", sep=":"), "dec": sky.dec.to_string(sep=":")})
    names = Table({"RAJ2000": sky.ra.deg, "DEJ2000": sky.dec.deg})
    pandas = pytest.importorskip("pandas")
    for candidates in (
        names, text, Table({"place": sky}), names.as_array(), pandas.DataFrame(dict(names)),
    ):  # fmt: skip
        assert match_hosts(candidates, hosts)["index"].tolist() == [0]
    coordinates = Table({"host_id": [100], "place": sky[:1], "distance": [20.0] * u.Mpc})
    assert match_hosts(sky, coordinates)["index"].tolist() == [0]


def test_right_ascension_out_of_range_is_no_position():
    hosts = make_hosts([40.0], [20.0], [20.0])
    with pytest.warns(ShredfinderWarning, match="1 of 2 candidates have no valid position"):
        matches = match_hosts(Table({"ra": [400.0, 40.0], "dec": [20.0, 20.0]}), hosts)
    assert matches["index"].tolist() == [1]


def test_kinds_of_candidates():
    hosts = make_hosts([10.0], [20.0], [20.0])
    sky = SkyCoord(10.01, 20.0, unit="deg")
    table = Table({"ra": [10.01], "dec": [20.0]})
    radians = Table({"ra": [np.radians(10.01)] * u.rad, "dec": [np.radians(20.0)] * u.rad})
    for candidates in (sky, sky.galactic, table, radians, table.as_array()):
        matches = match_hosts(candidates, hosts)
        assert matches["index"].tolist() == [0]
        assert matches["separation"][0] == pytest.approx(33.829, abs=1e-3)
    with pytest.raises(TypeError, match="candidates must be a SkyCoord"):
        match_hosts([10.0, 20.0], hosts)
    with pytest.raises(
        ValueError, match="no position was found in candidates, among the columns ra"
    ):
        match_hosts(table["ra",], hosts)
    with pytest.raises(ValueError, match=r"shape \(1, 1\)"):
        match_hosts(sky.reshape(1, 1), hosts)
    with pytest.raises(ValueError, match="'ra' has the unit 'pix', not an angle"):
        match_hosts(Table({"ra": [1.0] * u.pix, "dec": [1.0]}), hosts)
    with pytest.raises(KeyError, match="host_id"):
        match_hosts(table, hosts["ra", "dec", "distance"])


def test_order_of_rows_does_not_matter():
    candidates, hosts = sample(9, "north")
    order = np.random.default_rng(0).permutation(len(candidates))
    plain = match_hosts(candidates, hosts)
    shuffled = match_hosts(candidates[order], hosts)
    back = np.argsort(order[shuffled["index"]])
    assert (order[shuffled["index"]][back] == plain["index"]).all()
    assert (shuffled["host_id"][back] == plain["host_id"]).all()


def test_distances_from_redshifts():
    z = np.array([1e-4, 0.01, 0.15])
    exact = Planck18.angular_diameter_distance(z).to_value(u.Mpc)
    np.testing.assert_allclose(host_distances(Table({"zdist": z})).value, exact)
    many = np.r_[np.geomspace(1e-5, 0.15, 6000), 0.0, -0.01, np.nan, np.inf]
    distance = host_distances(Table({"zdist": many}), cosmology=Planck18).to_value(u.Mpc)
    expected = Planck18.angular_diameter_distance(many[:6000]).to_value(u.Mpc)
    np.testing.assert_allclose(distance[:6000], expected, rtol=1e-7)
    assert np.isnan(distance[6000:]).all()
    far = np.linspace(1e-4, 6.0, 6000)
    np.testing.assert_allclose(
        host_distances(Table({"z": far}), cosmology=COSMOLOGY).value,
        COSMOLOGY.angular_diameter_distance(far).to_value(u.Mpc),
        rtol=1e-6,
    )


def test_distance_comes_before_redshift_and_zdist_before_z():
    hosts = Table({"z": [0.02, 0.02], "zdist": [0.01, 0.01], "distance": [np.nan, 5000.0]})
    hosts["distance"].unit = "kpc"
    expected = COSMOLOGY.angular_diameter_distance(0.01).to_value(u.Mpc)
    distance = host_distances(hosts, cosmology=COSMOLOGY)
    np.testing.assert_allclose(distance.to_value(u.Mpc), [expected, 5.0])
    with pytest.raises(KeyError, match="zdist, z or distance"):
        host_distances(Table({"ra": [1.0]}))
    with pytest.raises(TypeError, match="cosmology"):
        host_distances(hosts, cosmology="Planck18")
    assert len(host_distances(Table({"zdist": np.zeros(0)}))) == 0


def test_cosmology_matters():
    hosts = Table({"host_id": [1], "ra": [0.0], "dec": [0.0], "zdist": [0.02]})
    sky = SkyCoord([0.01], [0.0], unit="deg")
    near = match_hosts(sky, hosts, cosmology=FlatLambdaCDM(100, 0.3))
    far = match_hosts(sky, hosts, cosmology=FlatLambdaCDM(50, 0.3))
    assert far["projected_separation"][0] == pytest.approx(2 * near["projected_separation"][0])


def test_separations_at_all_angles():
    angle = np.array([0.0, 1e-9, 1e-5, 1.0, np.pi / 2, np.pi - 1e-6, np.pi])
    first = np.tile([1.0, 0.0, 0.0], (7, 1))
    second = np.stack([np.cos(angle), np.sin(angle), np.zeros(7)], axis=-1)
    np.testing.assert_allclose(separations(first, second), angle, rtol=1e-12, atol=1e-15)


def test_threads_come_from_the_configuration(monkeypatch):
    monkeypatch.setattr(conf, "threads", 1)
    assert (
        len(match_hosts(SkyCoord([0.0], [0.0], unit="deg"), make_hosts([0.0], [0.0], [20.0]))) == 1
    )
    assert count_threads() == 1
    monkeypatch.setattr(conf, "threads", 0)
    assert count_threads() >= 1
