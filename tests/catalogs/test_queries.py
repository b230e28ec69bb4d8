"""Queries against local servers: the same rows as from the pure functions, with any options."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import Table

from shredfinder import ShredTable, conf
from shredfinder.catalogs import query_candidates
from shredfinder.cuts import CutPreset, candidate_cut, photometry
from shredfinder.exceptions import ServiceError
from tests.catalogs.loopback import CatalogServer, SkyDatabase
from tests.catalogs.skies import CENTER, make_legacy

RADIUS = 0.5 * u.deg
SURVEYS = ("legacy-dr9", "sdss-dr17", "ps1-dr2")
NAMES = {
    "legacy-dr9": ("ls_id", "ra", "dec"),
    "sdss-dr17": ("objID", "ra", "dec"),
    "ps1-dr2": ("objID", "raMean", "decMean"),
}


def ask(server, survey, **options):
    base = server.url if survey == "sdss-dr17" else server.tap
    options = {"cache": False, "progress": False, "endpoint": base, **options}
    if survey == "ps1-dr2":
        options.setdefault("ebv", 0.04)
    return query_candidates(survey, CENTER, options.pop("radius", RADIUS), **options)


def expected(skies, survey, cuts="paper", radius=RADIUS):
    """Return the sorted identifiers of the rows that pass the pure functions."""
    table = skies[survey].copy()
    if survey == "ps1-dr2":
        table["ebv"] = 0.04
    objid, ra, dec = NAMES[survey]
    inside = CENTER.separation(SkyCoord(table[ra], table[dec], unit="deg")) <= radius
    passed = inside if cuts is None else inside & candidate_cut(table, survey, preset=cuts).passed
    return sorted(table[objid][passed].tolist())


def ids(table):
    return sorted(table["objid"].tolist())


@pytest.mark.parametrize("survey", SURVEYS)
@pytest.mark.parametrize("cuts", ["paper", "paper-no-rchisq", "saga-later", "saga-dr3", None])
@pytest.mark.parametrize("push_down", [True, False])
def test_rows_are_those_of_the_pure_functions(server, skies, survey, cuts, push_down):
    table = ask(server, survey, cuts=cuts, push_down=push_down)
    assert ids(table) == expected(skies, survey, cuts)
    # SAGA's DR3 leaves fewer rows, and the server checks only their magnitudes.
    strict = cuts == "saga-dr3" and survey == "legacy-dr9"
    assert len(table) > (20 if strict else 40)
    if push_down and cuts:
        limit = 1.0 if strict else 0.6
        assert table.meta["nfetched"] < limit * len(expected(skies, survey, None))


def test_preset_with_quantities_is_pushed_down(server, skies):
    mine = CutPreset(
        "mine",
        "",
        "",
        saga={"r_max": 20 * u.mag},
        quality={"legacy-dr9": {"min_shape_r": 0.03 * u.arcmin, "max_mag_err": 0.1 * u.mag}},
    )
    table = ask(server, "legacy-dr9", cuts=mine)
    assert ids(table) == expected(skies, "legacy-dr9", mine)
    assert "shape_r > 1.79" in server.queries[-1]


@pytest.mark.parametrize("survey", SURVEYS)
def test_columns_units_ucds_and_values(server, skies, survey):
    table = ask(server, survey)
    assert type(table) is ShredTable
    third = "z" if survey == "legacy-dr9" else "i"
    names = ["objid", "ra", "dec", "g", "r", third, "g_err", "r_err", f"{third}_err", "gr_err"]
    assert table.colnames[:13] == [*names, "r_eff", "mu_eff", "mu_err"]
    assert table["objid"].dtype == np.int64
    assert table["mu_eff"].unit == u.mag / u.arcsec**2
    assert table["ra"].unit == u.deg
    assert table["r_eff"].unit == u.arcsec
    assert all(table[name].meta["ucd"] and table[name].description for name in table.colnames)
    raw = skies[survey].copy()
    raw["ebv"] = 0.04
    rows = np.array([raw[NAMES[survey][0]].tolist().index(i) for i in table["objid"]])
    found = photometry(raw[rows], survey)
    for name in ("r_eff", "mu_eff", "mu_err", "gr_err"):
        np.testing.assert_allclose(table[name], found[name], rtol=1e-6)
    np.testing.assert_allclose(table[f"{third}_err"], found["mag_err"][third], rtol=1e-6)
    np.testing.assert_allclose(table["r"], found["mag"]["r"], rtol=1e-6)


def test_raw_columns(server):
    table = ask(server, "legacy-dr9", columns=["flux_r", "OBJID", "release", "ref_cat"])
    assert table.colnames[-3:] == ["flux_r", "raw_objid", "release"]
    assert table["flux_r"].meta["ucd"] == "phot.flux;em.opt.R"
    assert table["flux_r"].description == "The flux_r of a source"
    assert table["type"].dtype.kind == "U"
    full = ask(server, "ps1-dr2", columns="all")
    assert {"qualityFlag", "gKronMag", "rpetR50", "ebv"} <= set(full.colnames)
    with pytest.raises(TypeError, match="or 'all'"):
        ask(server, "legacy-dr9", columns="flux_r")


@pytest.mark.parametrize("survey", SURVEYS)
def test_an_empty_region_has_all_columns(server, survey):
    full = ask(server, survey, columns="all")
    pole = SkyCoord(10, -80, unit="deg")
    base = server.url if survey == "sdss-dr17" else server.tap
    extra = {"ebv": 0.1} if survey == "ps1-dr2" else {}
    empty = query_candidates(
        survey, pole, 0.1 * u.deg, endpoint=base, columns="all", cache=False, **extra
    )
    assert len(empty) == 0
    assert empty.colnames == full.colnames
    assert [c.unit for c in empty.itercols()] == [c.unit for c in full.itercols()]
    assert empty["objid"].dtype == full["objid"].dtype
    assert empty["r"].dtype == full["r"].dtype


@pytest.mark.parametrize("beyond", [5e-7, -5e-7])
def test_a_source_at_the_edge(beyond):
    sky = make_legacy(1)
    sky["ra"], sky["dec"] = CENTER.ra.deg, CENTER.dec.deg + 0.5 + beyond
    with CatalogServer(SkyDatabase({"ls_dr9.tractor": sky})) as running:
        table = ask(running, "legacy-dr9", cuts=None)
        assert "COUNT" not in running.queries[-1]  # the server sends it in either case
    assert len(table) == (beyond < 0)


@pytest.mark.parametrize("survey", SURVEYS)
def test_small_requests_give_the_same_rows(server, skies, survey):
    table = ask(server, survey, max_rows=70)
    assert ids(table) == expected(skies, survey)
    assert table.meta["nparts"] > 3


@pytest.mark.parametrize("verify", [True, False])
def test_truncated_region_is_split(server, skies, verify):
    server.hard_limit = 100
    table = ask(server, "legacy-dr9", cuts=None, verify_counts=verify)
    assert ids(table) == expected(skies, "legacy-dr9", None)
    assert table.meta["nparts"] > 9


@pytest.mark.parametrize("survey", SURVEYS)
def test_unreported_truncation_is_noticed(server, skies, survey):
    server.silent_limit = 150
    table = ask(server, survey, cuts=None)
    assert ids(table) == expected(skies, survey, None)


def test_too_many_rows_at_one_position():
    sky = make_legacy(50)
    sky["ra"], sky["dec"] = CENTER.ra.deg, CENTER.dec.deg
    with (
        CatalogServer(SkyDatabase({"ls_dr9.tractor": sky})) as running,
        pytest.raises(ServiceError, match="counts 50 rows within an arcsec"),
    ):
        ask(running, "legacy-dr9", cuts=None, max_rows=20)


@pytest.mark.parametrize(("ra", "dec"), [(0.1, 12.0), (359.95, -40.0), (77.0, 89.9), (5.0, -90.0)])
def test_across_ra_0_and_at_the_poles(ra, dec):
    center = SkyCoord(ra, dec, unit="deg")
    sky = make_legacy(300, center=center)
    inside = center.separation(SkyCoord(sky["ra"], sky["dec"], unit="deg")) <= RADIUS
    with CatalogServer(SkyDatabase({"ls_dr9.tractor": sky})) as running:
        table = query_candidates(
            "legacy-dr9", center, RADIUS, endpoint=running.tap, cuts=None, max_rows=80, cache=False
        )
    assert ids(table) == sorted(sky["ls_id"][inside].tolist())


def test_large_queries_are_jobs(server, skies):
    with conf.set_temp("async_rows", 200):
        table = ask(server, "legacy-dr9")
    assert ids(table) == expected(skies, "legacy-dr9")
    assert server.jobs == server.data_queries
    assert not server.running  # deleted
    ask(server, "legacy-dr9", mode="sync")
    assert len(server.jobs) == 1
    with pytest.raises(ValueError, match="mode must be"):
        ask(server, "legacy-dr9", mode="maybe")


def test_refused_jobs_become_small_queries(server, skies):
    server.refuse_jobs = 400
    with conf.set_temp("async_rows", 100):
        table = ask(server, "legacy-dr9")
    assert ids(table) == expected(skies, "legacy-dr9")
    assert not server.jobs
    # The first box was counted before the refusal; later ones are smaller.
    jobs = [way for way, path, _ in server.requests if "/tap/async" in path and way == "POST"]
    assert len(jobs) == 1


def test_endless_job_times_out(server):
    server.slow_jobs = 10**6
    with pytest.raises(ServiceError, match=r"still executing after 0\.8 s"):
        ask(server, "legacy-dr9", mode="async", timeout=0.8)
    assert not server.running


def test_missing_columns_are_named(skies):
    hidden = ("rchisq_g", "shape_r", "ref_cat")
    database = SkyDatabase({"ls_dr9.tractor": skies["legacy-dr9"]}, hidden=hidden)
    with CatalogServer(database) as running:
        with pytest.raises(KeyError, match=r"shape_r \(ls_dr9\.tractor\), rchisq_g"):
            ask(running, "legacy-dr9")
        with pytest.raises(KeyError, match=r"no table dbo\.ObjectThin"):
            ask(running, "ps1-dr2")
    database = SkyDatabase({"ls_dr9.tractor": skies["legacy-dr9"]}, hidden=("ref_cat",))
    with CatalogServer(database) as running:
        table = ask(running, "legacy-dr9")
        assert "ref_cat" not in table.colnames
        assert len(table)
        with pytest.raises(KeyError, match="fiberflux_r"):
            ask(running, "legacy-dr9", columns=["fiberflux_r"])
        assert "release" in ask(running, "legacy-dr9", columns=np.array(["release"])).colnames
        # All that this service has.
        everything = ask(running, "legacy-dr9", columns="all")
        assert "ref_cat" not in everything.colnames
        assert {"ebv", "flux_ivar_r"} <= set(everything.colnames)
    database = SkyDatabase({"ls_dr9.tractor": skies["legacy-dr9"]}, hidden=("ebv",))
    with CatalogServer(database) as running:
        assert "ebv" not in ask(running, "legacy-dr9", columns="all").colnames


def test_reddening_from_the_dust_service(server, skies):
    table = query_candidates("ps1-dr2", CENTER, RADIUS, endpoint=server.tap, cache=False)
    offsets = (np.asarray(table["dec"]) - CENTER.dec.deg) * 0.1
    np.testing.assert_allclose(table["ebv"], 0.04 * (1 + offsets), rtol=1e-3)
    assert server.dust_request == pytest.approx((CENTER.ra.deg, CENTER.dec.deg, 2.0), abs=1e-4)
    # The largest E(B-V) of the map limits the magnitudes of the query.
    assert "s.rKronMag <= 21.1" in server.data_queries[-1]
    given = ask(server, "ps1-dr2", ebv=lambda coords: 0.04 * np.ones(len(coords)))
    assert ids(given) == expected(skies, "ps1-dr2")
    assert "rKronMag <=" not in server.data_queries[-1]
    with pytest.raises(ValueError, match="omit ebv for legacy-dr9"):
        ask(server, "legacy-dr9", ebv=0.1)
    server.faults = ["html /dust"]
    with pytest.raises(ServiceError, match=r"sent no map of E\(B-V\)"):
        query_candidates("ps1-dr2", CENTER, 0.2, endpoint=server.tap, cache=False, ebv=None)


def test_tables_survive_fits_and_votable(server, tmp_path):
    table = ask(server, "legacy-dr9", columns="all")
    for name in ("t.fits", "t.vot", "t.ecsv"):
        path = tmp_path / name
        options = {"format": "votable"} if name.endswith("vot") else {}
        table.write(path, **options)
        back = ShredTable.read(path)
        assert ids(back) == ids(table)
    assert Table.read(tmp_path / "t.vot")["mu_eff"].meta["ucd"] == "phot.mag.sb;em.opt.R"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"survey": "dss"}, ValueError, "no survey named 'dss'"),
        ({"center": "NGC 2903"}, TypeError, "SkyCoord of one position"),
        ({"radius": 0}, ValueError, "radius must be above 0"),
        ({"radius": 1 * u.mag}, u.UnitsError, "radius must be in deg"),
        ({"cuts": "none"}, ValueError, "no cut preset"),
        ({"max_rows": 0}, ValueError, "max_rows must be at least 1"),
        ({"timeout": -1}, ValueError, "timeout must be positive"),
    ],
)
def test_bad_arguments(options, error, message):
    options = {"survey": "legacy-dr9", "center": CENTER, "radius": RADIUS, **options}
    with pytest.raises(error, match=message):
        query_candidates(**options)


@pytest.mark.remote_data
@pytest.mark.parametrize("survey", SURVEYS)
def test_live_services(survey):
    table = query_candidates(survey, CENTER, 3 * u.arcmin, cache=False, cuts=None, timeout=120)
    assert len(table)
