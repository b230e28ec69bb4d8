import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table
from hypothesis import given, settings
from hypothesis import strategies as st

from shredfinder.exceptions import ShredfinderWarning
from shredfinder.hosts import in_host_ellipse, is_large_galaxy_entry, shreds_by_rule
from shredfinder.hosts.ellipse import elliptical_radii
from shredfinder.hosts.sphere import unit_vectors

SHAPE = {"petro_th90": 60.0, "petro_ba90": 0.5, "petro_phi90": 30.0}


@pytest.mark.parametrize(
    ("ra", "dec"), [(150.0, 2.0), (0.0, -45.0), (359.9999, 89.0), (10.0, -89.9)]
)
@pytest.mark.parametrize(
    ("angle", "arcsec", "expected"),
    [
        (30, 119, True),
        (30, 121, False),
        (210, 119, True),
        (120, 59, True),
        (120, 61, False),
        (300, 59, True),
        (-60, 61, False),
    ],
)
def test_axes_of_the_ellipse(ra, dec, angle, arcsec, expected):
    host = SkyCoord(ra, dec, unit="deg")
    source = host.directional_offset_by(angle * u.deg, arcsec * u.arcsec)
    assert in_host_ellipse(source, host, **SHAPE) is expected


@settings(deadline=None)
@given(
    st.floats(0, 360),
    st.floats(-89.5, 89.5),
    st.floats(0, 360),
    st.floats(0.1, 1000),
    st.floats(0.1, 1.0),
    st.floats(-180, 180),
)
def test_elliptical_radius_against_astropy(ra, dec, angle, arcsec, ratio, phi):
    host = SkyCoord(ra, dec, unit="deg")
    source = host.directional_offset_by(angle * u.deg, arcsec * u.arcsec)
    theta = host.position_angle(source).rad - np.radians(phi)
    expected = host.separation(source).arcsec / 60 * np.hypot(np.cos(theta), np.sin(theta) / ratio)
    radius = elliptical_radii(
        unit_vectors(host.ra.deg, host.dec.deg),
        unit_vectors(source.ra.deg, source.dec.deg),
        60.0,
        ratio,
        np.radians(phi),
    )
    assert radius == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("dec", [90.0, -90.0])
def test_host_at_the_pole(dec):
    host = SkyCoord(0.0, dec, unit="deg")
    round_one = {**SHAPE, "petro_ba90": 1.0}
    sources = SkyCoord([0, 90, 200, 10], np.sign(dec) * np.array([89.97] * 3 + [89.9]), unit="deg")
    assert in_host_ellipse(sources, host, **round_one).tolist() == [True, True, True, False]
    along = host.directional_offset_by([30, 120] * u.deg, 100 * u.arcsec)
    assert in_host_ellipse(along, host, **SHAPE).tolist() == [True, False]


def test_redshifts():
    host = SkyCoord(150.0, 2.0, unit="deg")
    sources = SkyCoord([150.0] * 4, [2.0] * 4, unit="deg")
    # 300 km/s are 0.0010007 in redshift.
    redshift = [0.0109, 0.0111, np.nan, 0.2]
    inside = in_host_ellipse(sources, host, **SHAPE, redshift=redshift, host_redshift=0.01)
    assert inside.tolist() == [True, False, True, False]
    wide = in_host_ellipse(
        sources, host, **SHAPE, redshift=redshift, host_redshift=0.01, max_velocity=1e6 * u.m / u.s
    )
    assert wide.tolist() == [True, True, True, False]
    with pytest.raises(TypeError, match="host_redshift"):
        in_host_ellipse(sources, host, **SHAPE, redshift=redshift)


@pytest.mark.parametrize(
    "bad",
    [
        {"petro_th90": np.nan},
        {"petro_th90": -9999.0},
        {"petro_ba90": 0.0},
        {"petro_ba90": 1.2},
        {"petro_phi90": np.nan},
    ],
)
def test_an_invalid_ellipse_contains_nothing(bad):
    host = SkyCoord(150.0, 2.0, unit="deg")
    assert in_host_ellipse(host, host, **SHAPE)
    assert not in_host_ellipse(host, host, **{**SHAPE, **bad})


def test_units_and_kinds():
    host = SkyCoord(150.0, 2.0, unit="deg")
    same = {"petro_th90": 1 * u.arcmin, "petro_ba90": 0.5, "petro_phi90": np.pi / 6 * u.rad}
    source = host.directional_offset_by(30 * u.deg, 119 * u.arcsec)
    assert in_host_ellipse(source.galactic, host, **same)
    assert not in_host_ellipse(source, host, **same, scale=1.9)
    with pytest.raises(u.UnitsError, match="petro_th90"):
        in_host_ellipse(source, host, **{**same, "petro_th90": 1 * u.kpc})
    with pytest.raises(TypeError, match="coords must be a SkyCoord"):
        in_host_ellipse((150.0, 2.0), host, **same)


def hosts_and_candidates(n_hosts=40, n_candidates=800, seed=2):
    rng = np.random.default_rng(seed)
    hosts = Table(
        {
            "host_id": np.arange(n_hosts),
            "ra": rng.normal(0, 0.3, n_hosts) % 360,
            "dec": rng.normal(60, 0.2, n_hosts),
            "z": rng.uniform(0.01, 0.02, n_hosts),
            "petro_th90": rng.uniform(5, 120, n_hosts),
            "petro_ba90": rng.uniform(0.2, 1.0, n_hosts),
            "petro_phi90": rng.uniform(0, 180, n_hosts),
        }
    )
    candidates = SkyCoord(
        rng.normal(0, 0.3, n_candidates) % 360, rng.normal(60, 0.2, n_candidates), unit="deg"
    )
    return hosts, candidates


@pytest.mark.parametrize("with_redshift", [False, True])
def test_rule_equals_the_pure_function(with_redshift):
    hosts, candidates = hosts_and_candidates()
    redshift = np.where(np.arange(800) % 3 == 0, np.nan, 0.015) if with_redshift else None
    expected = np.zeros(800, dtype=bool)
    nearest = np.zeros(800, dtype=bool)
    for host in hosts:
        sky = SkyCoord(host["ra"], host["dec"], unit="deg")
        shape = {name: float(host[name]) for name in ("petro_th90", "petro_ba90", "petro_phi90")}
        inside = in_host_ellipse(
            candidates, sky, **shape, redshift=redshift, host_redshift=host["z"]
        )
        expected |= inside
        if inside.any():
            radii = [
                elliptical_radii(
                    unit_vectors(host["ra"], host["dec"]),
                    unit_vectors(c.ra.deg, c.dec.deg),
                    shape["petro_th90"],
                    shape["petro_ba90"],
                    np.radians(shape["petro_phi90"]),
                )
                for c in candidates[inside]
            ]
            nearest[np.flatnonzero(inside)[int(np.argmin(radii))]] = True
    found = shreds_by_rule(candidates, hosts, redshift=redshift, keep_nearest=False)
    assert (found == expected).all()
    assert 20 < expected.sum() < 800
    spared = shreds_by_rule(candidates, hosts, redshift=redshift)
    assert (spared <= found).all()
    assert (nearest[found & ~spared]).all()
    assert (found & ~spared).any()


def test_entry_of_one_host_is_a_shred_of_another():
    hosts = Table(
        {
            "ra": [10.0, 10.01],
            "dec": [0.0, 0.0],
            "petro_th90": [60.0, 5.0],
            "petro_ba90": [1.0, 1.0],
            "petro_phi90": [0.0, 0.0],
        }
    )
    candidates = SkyCoord([10.0, 10.01], [0.0, 0.0], unit="deg")
    assert shreds_by_rule(candidates, hosts).tolist() == [False, True]


def test_rule_reports_hosts_it_cannot_use():
    hosts, candidates = hosts_and_candidates()
    hosts["petro_th90"][0] = -9999.0
    with pytest.warns(ShredfinderWarning, match="1 of 40 hosts are ignored"):
        shreds_by_rule(candidates, hosts)


def test_rule_on_nothing_and_on_wrong_input():
    hosts, candidates = hosts_and_candidates()
    assert shreds_by_rule(candidates[:0], hosts).shape == (0,)
    assert not shreds_by_rule(candidates, hosts[:0]).any()
    with pytest.raises(ValueError, match="one value for each of 800"):
        shreds_by_rule(candidates, hosts, redshift=[0.1])
    with pytest.raises(KeyError, match="petro_th90"):
        shreds_by_rule(candidates, hosts["ra", "dec"])


def test_large_galaxy_entries():
    assert is_large_galaxy_entry("L3") is True
    assert is_large_galaxy_entry(b"L3 ") is True
    assert is_large_galaxy_entry(["L3", "L2", "", "G2"]).tolist() == [True, False, False, False]
    masked = np.ma.array(["L3", "L3"], mask=[False, True])
    assert is_large_galaxy_entry(masked).tolist() == [True, False]
    assert is_large_galaxy_entry(np.array([], dtype="U2")).shape == (0,)
    with pytest.raises(TypeError, match="ref_cat"):
        is_large_galaxy_entry([3])
