"""Faulty services, and the cache, which stores no failures."""

import sqlite3
import time

import pytest
from astropy.table import Table
from numpy.testing import assert_array_equal

from shredfinder.catalogs import QueryCache, query_candidates
from shredfinder.exceptions import ServiceError
from tests.catalogs.test_queries import CENTER, RADIUS, SURVEYS, ask, expected, ids


def cached(path):
    return list(path.rglob("*.fits"))


@pytest.mark.parametrize("survey", ["legacy-dr9", "sdss-dr17"])
@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("400", "400|trouble"),
        ("html", "web page|Maintenance|no|DALFormatError"),
        ("hang", "no complete response from .* within 0.5 s"),
        ("trickle", "no complete response from .* within 0.5 s"),
        ("cut", "the connection to .* failed"),
    ],
)
def test_failures_are_reported_and_not_cached(server, tmp_path, survey, fault, message):
    server.faults = [fault] * 30
    # Two faults end at the deadline. The others respond, also on a busy machine.
    timeout = 0.5 if fault in ("hang", "trickle") else 2
    start = time.monotonic()
    with pytest.raises(ServiceError, match=message):
        ask(server, survey, cache=tmp_path / "c", timeout=timeout)
    assert time.monotonic() - start < 8
    assert not cached(tmp_path)
    server.faults = []
    assert len(ask(server, survey, cache=tmp_path / "c"))


@pytest.mark.parametrize("survey", SURVEYS)
def test_transient_failures_are_retried(server, skies, survey):
    server.faults = ["503", "500"]
    assert ids(ask(server, survey)) == expected(skies, survey)
    server.faults = ["503"] * 30
    with pytest.raises(ServiceError, match="503"):
        ask(server, survey)


def test_no_server():
    with pytest.raises(ServiceError, match=r"127.0.0.1:9 refuses connections"):
        query_candidates(
            "legacy-dr9", CENTER, RADIUS, endpoint="http://127.0.0.1:9/tap", cache=False
        )


@pytest.mark.parametrize("survey", SURVEYS)
def test_results_are_cached(server, tmp_path, survey):
    first = ask(server, survey, cache=tmp_path, columns="all", max_rows=150)
    asked = len(server.requests)
    second = ask(server, survey, cache=str(tmp_path), columns="all", max_rows=150)
    assert len(server.requests) == asked
    assert first.colnames == second.colnames
    for name in first.colnames:
        assert_array_equal(first[name], second[name])
        assert first[name].meta == second[name].meta
        assert first[name].unit == second[name].unit
        assert first[name].description == second[name].description
    # Other cuts send other queries.
    ask(server, survey, cache=tmp_path, cuts="saga-later", push_down=False)
    assert len(server.requests) > asked
    stored = len(cached(tmp_path))
    assert QueryCache(tmp_path).clear() == stored > 3
    assert not cached(tmp_path)


def test_truncated_results_are_not_cached(server, tmp_path):
    server.hard_limit = 200
    ask(server, "legacy-dr9", cuts=None, cache=tmp_path)
    sizes = [len(Table.read(path)) for path in cached(tmp_path)]
    assert max(size for size in sizes if size > 1) <= 250
    server.hard_limit = None
    again = ask(server, "legacy-dr9", cuts=None, cache=tmp_path)
    assert len(again) == len(ask(server, "legacy-dr9", cuts=None))


def test_a_broken_file_in_the_cache_is_fetched_again(server, tmp_path):
    first = ask(server, "legacy-dr9", cache=tmp_path)
    for path in cached(tmp_path):
        path.write_bytes(path.read_bytes()[:100])
    assert ids(ask(server, "legacy-dr9", cache=tmp_path)) == ids(first)


def test_invalid_counts_are_refused(server, monkeypatch):
    run = server.database.run
    monkeypatch.setattr(
        server.database,
        "run",
        lambda text: (["n_rows"], [(-5,)]) if "COUNT(*)" in text else run(text),
    )
    with pytest.raises(ServiceError, match="sent -5 as the number of rows"):
        ask(server, "legacy-dr9")


def test_a_second_run_resumes_where_the_first_failed(server, skies, tmp_path, monkeypatch):
    options = {"cache": tmp_path, "max_rows": 70}
    run = server.database.run

    def fail_later(text):
        if len(server.data_queries) >= 2 and "COUNT(*)" not in text:
            raise sqlite3.OperationalError("disk full")
        return run(text)

    monkeypatch.setattr(server.database, "run", fail_later)
    with pytest.raises(ServiceError, match="disk full"):
        ask(server, "legacy-dr9", **options)
    monkeypatch.setattr(server.database, "run", run)
    assert ids(ask(server, "legacy-dr9", **options)) == expected(skies, "legacy-dr9")
    queries = server.queries
    assert len(queries) == len(set(queries))
