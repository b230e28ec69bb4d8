"""The NASA-Sloan Atlas's ZDIST is a Hubble-law distance, c ZDIST / H0."""

import numpy as np
import pytest
from astropy import constants
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.cosmology import FlatLambdaCDM
from astropy.io import fits
from astropy.table import Table

from shredfinder.cli import main
from shredfinder.hosts import (
    associate_shreds,
    host_distances,
    join_hosts,
    match_hosts,
    read_nsa,
    select_hosts,
)
from tests.pipeline.conftest import servers, services, sky
from tests.pipeline.world import make_legacy

__all__ = ["servers", "services", "sky"]

COSMOLOGY = FlatLambdaCDM(70, 0.3)
ZDIST = np.array([0.01, 0.1], dtype="f4")


@pytest.fixture
def hosts(tmp_path):
    columns = [
        fits.Column("NSAID", "J", array=[1, 2]),
        fits.Column("RA", "D", array=[10.0, 20.0]),
        fits.Column("DEC", "D", array=[0.0, 0.0]),
        fits.Column("Z", "E", array=ZDIST),
        fits.Column("ZDIST", "E", array=ZDIST),
    ]
    path = tmp_path / "nsa_v1_0_1.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns)]).writeto(path)
    return read_nsa(path, columns=())


def test_both_distances_of_the_atlas(hosts):
    hubble = host_distances(hosts, cosmology=COSMOLOGY, distance="hubble")
    expected = (constants.c * ZDIST / COSMOLOGY.H0).to_value(u.Mpc)
    np.testing.assert_allclose(hubble.to_value(u.Mpc), expected, rtol=1e-6)
    usual = host_distances(hosts, cosmology=COSMOLOGY)
    np.testing.assert_allclose((hubble / usual).value, [1.012, 1.126], atol=2e-3)
    with pytest.raises(ValueError, match="'angular-diameter' or 'hubble': got 'z'"):
        host_distances(hosts, distance="z")


def test_the_functions_pass_the_distance_on(hosts):
    # At 95 kpc by the angular-diameter distance, and at 107 kpc by Hubble's law.
    angle = np.degrees(95.0 / host_distances(hosts, cosmology=COSMOLOGY)[1].to_value(u.kpc))
    table = Table({"ra": [20.0], "dec": [angle], "p_cnn": [0.9]})
    for options, n_found in (({}, 1), ({"distance": "hubble"}, 0)):
        options["cosmology"] = COSMOLOGY
        matches = match_hosts(table, hosts, **options)
        assert len(matches) == n_found
        assert matches.meta["distance"] == options.get("distance", "angular-diameter")
        joined = join_hosts(table, hosts, **options)
        assert len(joined) == n_found
        assert matches.meta["distance"] in joined["projected_separation"].description
        assert len(associate_shreds(table, hosts, **options).shreds) == n_found
        center = SkyCoord(20.0, angle, unit="deg")
        assert len(select_hosts(hosts, center, 1e-6, **options)) == n_found


@pytest.mark.parametrize("command", ["run", "fractions", "pool"])
def test_the_commands_pass_the_distance_on(command, services, sky, tmp_path):
    candidates, out = tmp_path / "sweep.fits", tmp_path / "out.ecsv"
    rows = make_legacy(sky)
    rows["p_cnn"] = np.where(np.arange(len(rows)) % 2, 0.9, 0.1)
    rows.write(candidates)
    at = sky.center
    center = Table({"ra": [at.ra.deg], "dec": [at.dec.deg], "zdist": [0.1]})
    center.write(tmp_path / "hosts.ecsv")
    argv = [command, "--hosts", str(tmp_path / "hosts.ecsv"), "--host-radius", "300"]
    argv += ["-o", str(out)]
    if command == "run":
        argv += ["--center", f"{at.ra.deg} {at.dec.deg}", "--radius", "0.12 deg"]
        argv += services.options
    else:
        argv.insert(1, str(candidates))
    argv += ["--cuts", "paper"] if command == "fractions" else []
    argv += ["-n", "10"] if command == "pool" else []
    found = {}
    for kind in ("angular-diameter", "hubble"):
        assert main([*argv, "--distance", kind, "--overwrite"]) == 0
        found[kind] = Table.read(out)
    if command == "fractions":
        near, far = (table["n_rows"][0] for table in found.values())
        assert near > far > 0
    else:
        for kind, table in found.items():
            assert f"at its {kind} distance" in table["projected_separation"].description


def test_the_default_is_documented():
    assert "Hubble-law" in host_distances.__doc__
    assert "13 %" in host_distances.__doc__
    assert "c ZDIST / H0" in read_nsa.__doc__
