"""Searches from a name to a clean table, with servers on loopback."""

import shutil
import warnings

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.cosmology import default_cosmology
from astropy.table import Table

from shredfinder import ShredTable, conf
from shredfinder.cutouts import CutoutFetcher, RetryPolicy
from shredfinder.exceptions import ServiceError, ShredfinderWarning
from shredfinder.hosts import match_hosts, read_hosts
from shredfinder.pipeline import find_satellites
from tests.pipeline.world import make_legacy

FAST = {"rate": None, "retry": RetryPolicy(attempts=2, pause=0.01, max_pause=0.02, total=5)}
RADIUS = 0.12 * u.deg


def search(center="NGC 2903", survey="legacy-dr9", **options):
    options = {
        "radius": RADIUS,
        "service": CutoutFetcher(**FAST),
        "pictures": False,
        "progress": False,
    } | options
    return find_satellites(center, survey, **options)


def numbers(found):
    return dict(zip(found.counts["step"].tolist(), found.counts["n"].tolist(), strict=True))


def test_counts_columns_and_halves(services, sky):
    found = search()
    n = numbers(found)
    inside = sky.center.separation(SkyCoord(sky.truth["ra"], sky.truth["dec"], unit="deg"))
    assert n["catalogue"] == np.count_nonzero(inside <= RADIUS)
    steps = list(n.values())
    assert steps == sorted(steps, reverse=True)
    assert n["query"] > n["cuts"] > n["galaxies"] > n["satellites"] > 20
    table = found.candidates
    assert type(table) is ShredTable
    assert len(table) == n["hosts"] == n["score"]
    assert {"host_id", "projected_separation", "n_hosts", "host_entry"} <= set(table.colnames)
    assert table["projected_separation"].max() <= 100
    assert all(column.info.meta.get("ucd") for column in table.itercols())
    clean, shreds = found.satellites, found.shreds
    assert len(clean) == n["satellites"]
    assert (clean["p_cnn"] < 0.5).all()
    assert (shreds["p_cnn"] >= 0.5).all()
    assert not set(clean["objid"]) & set(shreds["objid"])
    fraction = found.shred_fraction[0]
    assert fraction["n_shreds"] == len(shreds)
    assert fraction["n_scored"] == len(shreds) + len(clean)
    assert fraction["shred_fraction_low"] < fraction["shred_fraction"]
    assert fraction["shred_fraction"] < fraction["shred_fraction_high"]
    for binned in (found.fractions_by_magnitude(), found.fractions_by_separation()):
        assert binned["n_scored"].sum() == fraction["n_scored"]
        assert binned["n_shreds"].sum() == fraction["n_shreds"]
    assert found.hosts["n_candidates"].sum() == fraction["n_scored"]
    assert "shred fraction" in found.summary()
    assert "NGC 2903" in repr(found)
    assert found.warnings == []


def test_hosts_are_those_of_the_pure_function(services):
    found = search()
    hosts = read_hosts(services.images.nsa)
    matches = match_hosts(found.candidates, hosts)
    assert len(matches) == len(found.candidates)
    assert matches["host_id"].tolist() == found.candidates["host_id"].tolist()
    entries = found.candidates[found.candidates["host_entry"]]
    assert len(entries) > 3
    assert not set(entries["objid"]) & set(found.satellites["objid"])
    # Without hosts all candidates are kept, and only the SGA marks large galaxies.
    free = search(hosts=None)
    assert numbers(free)["hosts"] == numbers(free)["cuts"]
    assert "host_id" not in free.candidates.colnames
    assert len(free.hosts) == 0
    assert free.fractions_by_separation()["low"].unit == u.arcsec


def test_the_radius_follows_from_the_host_at_the_centre(services, sky):
    found = search(radius=None)
    megaparsec = default_cosmology.get().angular_diameter_distance(0.0145).value
    assert found.radius.to_value(u.deg) == pytest.approx(np.degrees(0.1 / megaparsec), rel=1e-5)
    assert found.center.separation(sky.center).arcsec < 0.01
    narrow = search(radius=None, host_radius=30)
    assert narrow.radius.value == pytest.approx(0.3 * found.radius.value)
    assert narrow.candidates["projected_separation"].max() <= 30
    elsewhere = SkyCoord(143.0, 21.4, unit="deg")
    with pytest.raises(ValueError, match="no host is at the centre"):
        search(elsewhere, radius=None)
    with pytest.raises(ValueError, match="no object named 'NGC 0'"):
        search("NGC 0")


def test_no_host_near_the_region_is_a_warning(services, tmp_path):
    far = Table({"name": ["far"], "ra": [10.0], "dec": [0.0], "z": [0.02]})
    with pytest.warns(ShredfinderWarning, match="no host is near the region"):
        found = search(hosts=far)
    assert len(found.candidates) == len(found.satellites) == 0
    assert found.candidates["p_cnn"].dtype == np.float32
    assert np.isnan(found.shred_fraction["shred_fraction"][0])
    # One cause, one warning.
    assert len(found.warnings) == 1
    assert "no host" in found.warnings[0]


@pytest.mark.parametrize("survey", ["sdss-dr17", "ps1-dr2"])
def test_other_surveys_are_scored_on_legacy_images(services, survey):
    found = search(survey=survey)
    assert all("/viewer/jpeg-cutout" in path for path, _ in services.images.requests
               if "cutout" in path)  # fmt: skip
    n = numbers(found)
    unscored = np.isnan(found.candidates["p_cnn"])
    assert n["score"] == n["cutouts"] == len(found.candidates) - unscored.sum()
    if survey == "sdss-dr17":
        # Some of its sources are outside the images.
        assert unscored.sum() >= 2
        assert set(found.reasons) <= {"blank", "no coverage"}
        assert found.shred_fraction["n_unscored"][0] == unscored.sum()
        assert found.shred_fraction["n_scored"][0] <= n["score"]
        clean = set(found.satellites["objid"]) | set(found.shreds["objid"])
        assert not clean & set(found.candidates["objid"][unscored])
        assert "excluded from fractions" in found.summary()


def test_a_search_resumes(services, tmp_path):
    folder = tmp_path / "steps"
    services.images.down = True
    with (
        pytest.warns(ShredfinderWarning, match="run again"),
        pytest.warns(ShredfinderWarning, match="none of .* sources was scored"),
    ):
        first = search(folder=folder)
    assert set(first.reasons) == {"failed"}
    assert first.warnings
    assert len(first.satellites) == 0
    services.images.down = False
    services.catalogs.requests.clear()
    second = search(folder=folder)
    # The catalogue and the resolver are not queried again; failed images are retried.
    assert services.catalogs.requests == []
    assert second.reasons == {}
    services.images.requests.clear()
    third = search(folder=folder)
    assert services.images.requests == []
    for name in second.candidates.colnames:
        assert third.candidates[name].tolist() == second.candidates[name].tolist()
    assert third.counts["n"].tolist() == second.counts["n"].tolist()
    assert sorted(path.name for path in folder.iterdir()) == [
        "center.ecsv", "cutouts", "hosts.ecsv", "query.ecsv", "score.ecsv", "steps.json"
    ]  # fmt: skip
    # Another setting reruns that step and all later ones, and no other.
    search(folder=folder, cuts="paper-no-rchisq")
    assert any("RCHISQ" in q.upper() for q in services.catalogs.queries)
    assert not any("sesame" in path for path, _ in services.images.requests)
    services.catalogs.requests.clear()
    search(folder=folder, cuts="paper-no-rchisq", prior=0.05)
    assert services.catalogs.requests == []
    search(folder=folder, cuts="paper-no-rchisq", prior=0.05, resume=False, query={"cache": False})
    assert services.catalogs.requests


def test_cutouts_from_a_folder(services, tmp_path, sky):
    folder = tmp_path / "images"
    fetched = search(folder=tmp_path / "steps")
    from shredfinder.cutouts import fetch_cutouts

    cutouts = fetch_cutouts(fetched.candidates, cache=tmp_path / "steps" / "cutouts", **FAST)
    cutouts.write(folder, names=[f"{i}.png" for i in fetched.candidates["objid"]])
    services.images.requests.clear()
    given = search(cutouts=folder, service=None, pictures=True)
    assert not any("cutout" in path for path, _ in services.images.requests)
    np.testing.assert_allclose(given.candidates["p_cnn"], fetched.candidates["p_cnn"], atol=1e-4)
    assert given.view is None
    assert len(given.galleries["galaxies"][0]) == 15
    with pytest.raises(ValueError, match="got both cutouts and service"):
        search(cutouts=folder)


def test_the_field_view_survives_a_service_that_is_down(services):
    with conf.set_temp("sdss_sql_url", "http://127.0.0.1:9"), pytest.warns(
        ShredfinderWarning, match="the field view lacks sdss-dr17"
    ):  # fmt: skip
        found = search(pictures=True)
    titles = [(panel.title, len(panel.table) > 0, panel.note) for panel in found.view.panels]
    assert titles == [
        ("Legacy DR9, all sources", True, ""),
        ("Legacy DR9, cut", True, ""),
        ("SDSS DR17, cut", False, "no response from the catalogue"),
    ]
    with conf.set_temp("legacy_tap_url", "http://127.0.0.1:9"), pytest.raises(ServiceError):
        search(query={"cache": False})


def test_the_field_view_is_of_the_sky(services, sky):
    found = search(pictures=True, field_width=134 * u.arcsec, query={"cache": False})
    view = found.view
    assert view.image.shape == (511, 511, 3)
    field = sky.fields[0]
    # Sources are at their coordinates: compare with the simulated field.
    points = view.wcs.pixel_to_world([150.0, 255.0, 380.0], [200.0, 255.0, 300.0])
    x, y = np.rint(field.wcs.world_to_pixel(points)).astype(int)
    there = field.image[y, x].astype(int)
    here = view.image[[200, 255, 300], [150, 255, 380]].astype(int)
    assert np.abs(here - there).mean() < 25
    every, legacy, sdss = (panel.table for panel in view.panels)
    table = make_legacy(sky)
    x, y = view.wcs.wcs_world2pix(table["ra"], table["dec"], 0)
    inside = (np.abs(x - 255) < 255.5) & (np.abs(y - 255) < 255.5)
    assert len(every) == inside.sum()
    assert 0 < len(legacy) < len(every)
    assert "p_cnn" in legacy.colnames
    assert "p_cnn" in sdss.colnames
    assert view.criteria["criterion"].tolist()[0] == "type"
    assert view.criteria["left"][-1] == len(legacy)


def test_bad_arguments(services):
    for options, error, message in (
        ({"survey": "dss"}, ValueError, "no survey named 'dss'"),
        ({"cuts": "none"}, ValueError, "no cut preset"),
        ({"threshold": 2}, ValueError, "threshold must be"),
        ({"center": SkyCoord([1, 2], [1, 2], unit="deg")}, TypeError, "single position"),
        ({"hosts": "nowhere.fits"}, FileNotFoundError, "does not exist"),
        ({"radius": 1 * u.kpc}, u.UnitsError, "radius must be in deg"),
    ):
        with pytest.raises(error, match=message):
            search(**options)


def test_damaged_tables_are_made_again(services, tmp_path):
    folder = tmp_path / "steps"
    first = search(folder=folder)
    (folder / "score.ecsv").write_text("# %ECSV 1.0\nnonsense")
    shutil.copy(folder / "steps.json", tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(search(folder=folder).candidates) == len(first.candidates)
    (folder / "steps.json").write_text("{")
    assert len(search(folder=folder).candidates) == len(first.candidates)
