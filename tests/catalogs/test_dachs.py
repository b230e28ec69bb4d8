"""Queries against DaCHS, a real TAP service, if it is installed."""

import shutil
from pathlib import Path

import pytest
from astropy.coordinates import SkyCoord

from shredfinder import conf
from shredfinder.catalogs import query_candidates
from tests.catalogs.test_queries import CENTER, RADIUS, expected, ids
from tests.dachs.running import needs_dachs, running_dachs

pytestmark = needs_dachs


@pytest.fixture(scope="module")
def dachs(skies):
    """Start a TAP service of the simulated Legacy catalogue that sends at most 120 rows."""
    table = skies["legacy-dr9"].copy()
    table.remove_columns(["release", "brickid", "objid"])
    for name in table.colnames:
        if table[name].dtype.kind == "f":
            # Text with all digits, and empty for NaN.
            table[name] = ["" if v != v else repr(v) for v in table[name].tolist()]

    def fill(source):
        shutil.copy(Path(__file__).parent / "tractor.rd", source / "q.rd")
        (source / "data").mkdir()
        table.write(source / "data" / "tractor.csv", format="ascii.csv")

    with running_dachs(fill, name="ls_dr9", max_rows=120) as url:
        yield f"{url}/tap"


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


@pytest.mark.parametrize(("ra", "dec"), [(0, 0), (12, 90), (359.9999999, -1e-7)])
def test_empty_places(dachs, ra, dec):
    center = SkyCoord(ra, dec, unit="deg")
    table = query_candidates("legacy-dr9", center, 1e-4, endpoint=dachs, cache=False)
    assert len(table) == 0
    assert table.colnames[:3] == ["objid", "ra", "dec"]
    assert table["objid"].dtype == "i8"


def test_columns_that_are_not_there(dachs):
    with pytest.raises(KeyError, match="fiberflux_g"):
        ask(dachs, columns=["fiberflux_g"])
