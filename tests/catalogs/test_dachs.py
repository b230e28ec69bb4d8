"""Queries against DaCHS, a real TAP service, where it is installed."""

import pytest

from shredfinder import conf
from shredfinder.catalogs import query_candidates
from tests.catalogs.test_queries import CENTER, RADIUS, expected, ids

pytestmark = pytest.mark.dachs


def ask(url, **options):
    return query_candidates("legacy-dr9", CENTER, RADIUS, endpoint=url, cache=False, **options)


@pytest.mark.parametrize("cuts", ["paper", None])
def test_rows_are_those_of_the_pure_functions(dachs, skies, cuts):
    table = ask(dachs, cuts=cuts)
    assert ids(table) == expected(skies, "legacy-dr9", cuts)
    # The service sends 120 rows at most.
    assert table.meta["nparts"] > 1


def test_without_push_down_and_counts(dachs, skies):
    table = ask(dachs, push_down=False, verify_counts=False, columns=["flux_r"])
    assert ids(table) == expected(skies, "legacy-dr9")
    assert table["flux_r"].description == "Flux in r, nanomaggies"
    assert table["flux_r"].meta["ucd"] == "phot.flux;em.opt"


def test_jobs(dachs, skies):
    with conf.set_temp("async_rows", 80):
        table = ask(dachs, max_rows=110)
    assert ids(table) == expected(skies, "legacy-dr9")


def test_columns_that_are_not_there(dachs):
    with pytest.raises(KeyError, match="fiberflux_g"):
        ask(dachs, columns=["fiberflux_g"])
