"""TAP and SkyServer that are slow or break off, and sources that bricks share."""

from collections import Counter

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import Table

from shredfinder import conf
from shredfinder.catalogs import (
    count_sources,
    iter_rows,
    paging,
    query_candidates,
    read_candidates,
    skyserver,
)
from shredfinder.exceptions import ServiceError
from tests.catalogs.loopback import CatalogServer, SkyDatabase
from tests.catalogs.skies import CENTER, make_legacy, make_sdss

RADIUS = 0.5


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path):
    monkeypatch.setattr(skyserver, "_RATE", None)
    monkeypatch.setattr(paging, "_PAUSE", 0.01)
    with conf.set_temp("cache_dir", str(tmp_path / "cache")):
        yield


@pytest.fixture(scope="module")
def sky():
    return make_legacy()


@pytest.fixture(scope="module")
def database(sky):
    return SkyDatabase({"ls_dr9.tractor": sky, "PhotoPrimary": make_sdss()})


@pytest.fixture
def server(database):
    with CatalogServer(database) as running:
        yield running


def expected(sky, name="ls_id"):
    inside = CENTER.separation(SkyCoord(sky["ra"], sky["dec"], unit="deg")).deg <= RADIUS
    return sorted(sky[name][inside].tolist())


def ask(server, survey="legacy-dr9", **options):
    base = server.url if survey == "sdss-dr17" else server.tap
    options = {"cache": False, "progress": False, "cuts": None, "endpoint": base, **options}
    return query_candidates(survey, CENTER, RADIUS, **options)


def ids(table):
    return sorted(table["objid"].tolist())


def synchronous(server):
    """Return how often each synchronous query was sent."""
    found = [
        p.get("QUERY") or p.get("cmd") for _, path, p in server.requests if "async" not in path
    ]
    return Counter(query for query in found if query)


@pytest.mark.parametrize("fault", ["504", "html", "cut", "truncated", "hang"])
def test_a_slow_query_becomes_a_job(server, sky, fault):
    server.slow_above = (300, fault)
    table = ask(server, timeout=1)
    assert ids(table) == expected(sky)
    assert server.jobs
    assert max(synchronous(server).values()) <= 2


@pytest.mark.parametrize("fault", ["504", "html", "cut", "truncated", "hang"])
@pytest.mark.parametrize("refusal", [400, 503])
def test_without_jobs_the_region_is_split(server, sky, fault, refusal):
    server.slow_above = (300, fault)
    server.refuse_jobs = refusal
    table = ask(server, timeout=1)
    assert ids(table) == expected(sky)
    assert table.meta["nparts"] > 1
    assert max(synchronous(server).values()) <= 2


@pytest.mark.parametrize("fault", ["504", "html", "truncated"])
def test_skyserver_is_asked_for_smaller_regions(server, fault):
    server.slow_above = (300, fault)
    table = ask(server, "sdss-dr17", timeout=1)
    assert ids(table) == expected(make_sdss(), "objID")
    assert max(synchronous(server).values()) <= 2


def test_a_count_that_is_too_slow_is_split(server, sky):
    server.slow_counts = True
    server.refuse_jobs = 400
    server.slow_above = (300, "504")
    assert ids(ask(server)) == expected(sky)


def test_a_job_that_breaks_off_becomes_a_query(server, sky):
    with conf.set_temp("async_rows", 100):
        server.faults = ["400 /tap/async/", "502 /tap/async", "504 /tap/async"]
        assert ids(ask(server)) == expected(sky)


def test_a_service_that_is_down_is_given_up(server):
    server.slow_above = (0, "503")
    server.refuse_jobs = 503
    with pytest.raises(ServiceError, match="503"):
        ask(server)
    assert len(server.requests) < 40


def test_rows_per_query(server, sky):
    ask(server)
    sizes = [int(p["MAXREC"]) for _, path, p in server.requests if path == "/tap/sync"]
    assert max(size for size in sizes if size != 100_000) == 8000


# Bricks overlap


@pytest.fixture
def overlapping(sky):
    """Add a second entry, in another brick, of every tenth source."""
    again = sky[::10].copy()
    again["ls_id"] += 1 << 30
    again["brickid"] += 1
    rows = Table(np.concatenate([sky.as_array(), again.as_array()]))
    rows["brick_primary"] = np.arange(len(rows)) < len(sky)
    return rows


@pytest.mark.parametrize("push_down", [True, False])
def test_second_entries_are_not_queried(sky, overlapping, push_down):
    rows = overlapping.copy()
    rows["brick_primary"] = rows["brick_primary"].astype(np.int16)
    with CatalogServer(SkyDatabase({"ls_dr9.tractor": rows})) as running:
        assert ids(ask(running, push_down=push_down)) == expected(sky)
        number = count_sources("legacy-dr9", CENTER, RADIUS, endpoint=running.tap, cache=False)
        assert number == len(expected(sky))


@pytest.mark.parametrize("name", ["tractor-1430p215.fits", "tractor.csv"])
def test_second_entries_are_not_read(sky, overlapping, tmp_path, name):
    path = tmp_path / name
    rows = overlapping.copy()
    if name.endswith("fits"):
        for column in rows.colnames:
            rows.rename_column(column, column.upper())
    del rows["ls_id" if name.endswith("csv") else "LS_ID"]
    rows.write(path)
    table = read_candidates(path, "legacy-dr9", cuts=None, chunk_rows=200, progress=False)
    assert sorted(table["objid"].tolist()) == sorted(sky["ls_id"].tolist())
    assert sum(map(len, iter_rows(path, "legacy-dr9", chunk_rows=200))) == len(sky)


def test_sweep_files_hold_no_duplicates(sky, tmp_path):
    sky.write(tmp_path / "sweep.fits")
    table = read_candidates(tmp_path / "sweep.fits", "legacy-dr9", cuts=None, progress=False)
    assert len(table) == len(sky)
