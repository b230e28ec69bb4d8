"""Names are resolved by astropy, here with a local stand-in for Sesame."""

import pytest
from astropy.config import set_temp_cache
from astropy.coordinates import SkyCoord

from shredfinder import conf
from shredfinder.catalogs import count_sources, resolve_name
from shredfinder.exceptions import ServiceError
from tests.catalogs.test_queries import CENTER, RADIUS, SURVEYS, expected
from tests.pipeline.world import make_sky
from tests.pipeline.world.servers import ImageServer


@pytest.fixture
def sesame(tmp_path):
    (tmp_path / "astropy").mkdir()
    with (
        ImageServer(make_sky(size=320, n_hosts=1), tmp_path / "none") as server,
        set_temp_cache(tmp_path / "astropy"),
    ):
        yield server


def test_a_name_becomes_a_position(sesame):
    there = SkyCoord(10.68458, 41.26917, unit="deg")
    sesame.names = {"M 31": there}
    with conf.set_temp("resolver_url", f"{sesame.url}/sesame/"):
        assert resolve_name(" M 31 ").separation(there).arcsec < 0.001
    assert [path for path, _ in sesame.requests] == ["/sesame/SNV"]
    # The result is cached.
    resolve_name("M 31", url=f"{sesame.url}/sesame/")
    assert len(sesame.requests) == 1
    resolve_name("M 31", url=f"{sesame.url}/sesame/", cache=False)
    assert len(sesame.requests) == 2


def test_unknown_names_and_failures_raise_different_errors(sesame):
    with pytest.raises(ValueError, match="no object named 'NGC 0'"):
        resolve_name("NGC 0", url=f"{sesame.url}/sesame/")
    # The failure is not kept.
    sesame.names = {"NGC 0": SkyCoord(10, 41, unit="deg")}
    assert resolve_name("NGC 0", url=f"{sesame.url}/sesame/").ra.deg == pytest.approx(10)
    with pytest.raises(ServiceError, match="cannot be looked up") as caught:
        resolve_name("M 31", url=f"{sesame.url}/nowhere/")
    assert caught.value.transient
    with pytest.raises(ServiceError, match="give a position"):
        resolve_name("M 31", url="http://127.0.0.1:9/")
    with pytest.raises(ValueError, match="must be non-empty text"):
        resolve_name("")


@pytest.mark.parametrize("survey", SURVEYS)
def test_all_sources_of_a_region_are_counted(server, skies, survey):
    base = server.url if survey == "sdss-dr17" else server.tap
    count = count_sources(survey, CENTER, RADIUS, endpoint=base, cache=False)
    assert count == len(expected(skies, survey, None))
    pole = SkyCoord(10, -80, unit="deg")
    assert count_sources(survey, pole, RADIUS, endpoint=base, cache=False) == 0


@pytest.mark.remote_data
def test_live_resolver():
    there = SkyCoord(143.0421, 21.5008, unit="deg")
    assert resolve_name("NGC 2903", cache=False).separation(there).arcmin < 1
