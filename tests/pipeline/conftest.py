"""Fixtures: a simulated sky and its servers."""

import pytest
from astropy.config import set_temp_cache

from shredfinder import conf
from tests.pipeline.world import make_sky, running_services


@pytest.fixture(scope="session")
def sky():
    return make_sky(1, size=1024, n_hosts=9, seed=2)


@pytest.fixture(scope="session")
def servers(sky, tmp_path_factory):
    """Running servers, which tests share."""
    with running_services(sky, tmp_path_factory.mktemp("servers")) as running:
        yield running


@pytest.fixture
def services(servers, tmp_path, monkeypatch):
    """The servers without a history, to whose addresses the package is configured."""
    monkeypatch.setattr("shredfinder.catalogs.skyserver._RATE", None)
    monkeypatch.setattr("shredfinder.catalogs.paging._PAUSE", 0.01)
    servers.images.down = False
    servers.images.requests.clear()
    servers.catalogs.requests.clear()
    servers.catalogs.queries.clear()
    # Download folders of astropy must exist.
    (tmp_path / "astropy").mkdir()
    # A test before may have left a cache that knows where there are no images.
    cache = conf.set_temp("cache_dir", str(tmp_path / "cache"))
    with servers.configured(), set_temp_cache(tmp_path / "astropy"), cache:
        yield servers
