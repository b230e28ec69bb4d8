"""Pan-STARRS1 at MAST: two TAP services, small circles, names in any case and -999."""

import re

import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from shredfinder import conf
from shredfinder.catalogs import count_sources, paging, query_candidates, read_candidates
from shredfinder.cuts import candidate_cut
from shredfinder.exceptions import ServiceError, ShredfinderWarning
from tests.catalogs.loopback import CatalogServer, SkyDatabase
from tests.catalogs.skies import CENTER, make_ps1

RADIUS = 0.5
THIN = ["objID", "raMean", "decMean", "qualityFlag", "nDetections"]


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path):
    monkeypatch.setattr(paging, "_PAUSE", 0.01)
    with conf.set_temp("cache_dir", str(tmp_path / "cache")):
        yield


@pytest.fixture(scope="module")
def sky():
    return make_ps1()


def lower(table):
    table = table.copy()
    for name in table.colnames:
        table.rename_column(name, name.lower())
    return table


@pytest.fixture(scope="module")
def tables(sky):
    first = sky[sky["primaryDetection"] == 1]
    stack = [c for c in sky.colnames if "Kron" in c or "PSF" in c]
    petrosian = ["rpetR50", "rpetR50Err"]
    return {
        "legacy": {
            "dbo.ObjectThin": first[THIN],
            "dbo.StackObjectThin": sky[["objID", "uniquePspsSTid", "primaryDetection", *stack]],
            "dbo.StackPetrosian": sky[["objID", "uniquePspsSTid", *petrosian]],
        },
        "one view": {"ps1_dr2.stack_object": lower(sky)},
        "two views": {
            "ps1_dr2.stack_object": lower(
                sky[["objID", "uniquePspsSTid", "primaryDetection", *stack, *petrosian]]
            ),
            "ps1_dr2.forced_mean_object": lower(first[THIN]),
        },
        "no radii": {"ps1_dr2.stack_object": lower(sky[[*THIN, "primaryDetection", *stack]])},
    }


@pytest.fixture
def open_services(tables):
    """Start the two services, and set their addresses; None is a service that is down."""
    from contextlib import ExitStack

    with ExitStack() as stack:

        def start(new, legacy="legacy"):
            found = []
            for name, item in ((new, "mast_tap_url"), (legacy, "ps1_tap_url")):
                server = stack.enter_context(CatalogServer(SkyDatabase(tables[name or "no radii"])))
                if name is None:
                    server.slow_above, server.refuse_jobs = (0, "503"), 503
                stack.enter_context(conf.set_temp(item, server.tap))
                found.append(server)
            return found

        yield start


def expected(sky, cuts="paper"):
    table = sky.copy()
    table["ebv"] = 0.04
    rows = CENTER.separation(SkyCoord(sky["raMean"], sky["decMean"], unit="deg")).deg <= RADIUS
    if cuts:
        rows &= candidate_cut(table, "ps1-dr2", preset=cuts).passed
    return sorted(table["objID"][rows].tolist())


def ask(**options):
    options = {"cache": False, "progress": False, "ebv": 0.04, **options}
    return query_candidates("ps1-dr2", CENTER, RADIUS, **options)


def ids(table):
    return sorted(table["objid"].tolist())


def cones(server):
    return [float(r) for q in server.queries for r in re.findall(r"CIRCLE\(.*?, ([0-9.]+)\)", q)]


@pytest.mark.parametrize("new", ["one view", "two views"])
@pytest.mark.parametrize("cuts", ["paper", None])
def test_the_newer_service_comes_first(open_services, sky, new, cuts):
    mast, legacy = open_services(new)
    table = ask(cuts=cuts)
    assert ids(table) == expected(sky, cuts)
    assert table.meta["service"] == mast.tap
    assert not legacy.requests
    assert ("JOIN ps1_dr2.forced_mean_object" in mast.data_queries[0]) == (new == "two views")
    assert "ramean" in mast.data_queries[0]


@pytest.mark.parametrize("new", [None, "no radii"])
def test_the_older_service_takes_over(open_services, sky, new):
    _, legacy = open_services(new)
    table = ask(columns="all")
    assert ids(table) == expected(sky)
    assert table.meta["service"] == legacy.tap
    assert "gKronMag" in table.colnames


def test_a_run_resumes_at_the_service_of_its_results(open_services, tmp_path):
    mast, legacy = open_services(None)
    first = ask(cache=tmp_path / "c")
    asked = len(mast.requests), len(legacy.requests)
    mast.slow_above = None
    again = ask(cache=tmp_path / "c")
    assert (len(mast.requests), len(legacy.requests)) == asked
    assert again.meta["service"] == first.meta["service"] == legacy.tap


def test_without_any_service_the_error_names_both(open_services):
    mast, legacy = open_services(None, None)
    with pytest.raises(ServiceError, match="503") as caught:
        ask()
    assert legacy.url in str(caught.value)
    assert mast.url in "".join(caught.value.__notes__)


@pytest.mark.parametrize("new", ["one view", None])
def test_each_piece_has_its_own_small_circle(open_services, sky, new):
    # The older service rejects larger ones, as MAST's does.
    servers = open_services(new)
    table = ask(cuts=None)
    assert ids(table) == expected(sky, None)
    radii = cones(servers[new is None])
    assert len(set(radii)) > 1
    assert max(radii) <= 0.24
    assert table.meta["nparts"] >= 9


def test_counts_hold_for_the_whole_circle(open_services, sky):
    _, legacy = open_services(None)
    number = count_sources("ps1-dr2", CENTER, RADIUS, cache=False)
    assert number == len(expected(sky, None))
    assert max(cones(legacy)) <= 0.24


@pytest.mark.parametrize("spelling", [str.lower, str.upper])
def test_names_in_any_case(sky, tables, spelling):
    database = SkyDatabase(tables["legacy"])
    with database._connection as connection:
        for column in ("table_name", "column_name"):
            connection.execute(
                f"UPDATE TAP_SCHEMA.columns SET {column} = {spelling.__name__}({column})"
            )
    run = database.run

    def respelled(text):
        names, rows = run(text)
        return [spelling(name) for name in names], rows

    with CatalogServer(database) as server:
        database.run = respelled
        database.kinds = lambda text: {
            spelling(c): k for kinds in database._kinds.values() for c, k in kinds.items()
        }
        assert ids(ask(endpoint=server.tap)) == expected(sky)


def test_marks_of_missing_values_are_nan(open_services, sky, tmp_path):
    open_services("one view")
    table = ask(cuts=None, columns="all")
    for name in ("gkronmag", "rpetr50", "rpetr50err", "r", "g_err", "mu_eff"):
        values = np.asarray(table[name])
        assert np.isnan(values).any(), name
        assert not (values < -900).any(), name
    rows = sky.copy()
    rows["raMean"][0], rows["decMean"][0] = -999.0, -999.0
    rows["ebv"] = 0.04
    rows.write(tmp_path / "ps1.csv")
    options = {"cuts": None, "columns": "all", "progress": False}
    # Without cuts, secondary detections of an object are kept.
    with pytest.warns(ShredfinderWarning, match="repeat the objid of another"):
        found = read_candidates(tmp_path / "ps1.csv", "ps1", **options)
    assert len(found) == len(sky)
    assert np.isnan(found["ra"][0])
    assert np.isnan(found["dec"][0])
    assert not any((found[n] < -900).any() for n in found.colnames if found[n].dtype.kind == "f")
