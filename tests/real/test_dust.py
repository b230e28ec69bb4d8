"""IRSA's dust service: links to temporary files, error pages, and only maps in the cache."""

import pytest
from astropy.config import set_temp_cache
from astropy.coordinates import SkyCoord

from shredfinder.catalogs import QueryCache, fetch_dust_map
from shredfinder.exceptions import ServiceError
from tests.catalogs.loopback import CatalogServer

CENTER = SkyCoord(143.0421, 21.5008, unit="deg")


@pytest.fixture
def server():
    with CatalogServer() as running:
        yield running


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path):
    from shredfinder.catalogs import paging

    monkeypatch.setattr(paging, "_PAUSE", 0.01)
    (tmp_path / "astropy").mkdir()
    with set_temp_cache(tmp_path / "astropy"):
        yield
    # Astroquery would keep pages, errors included, for a week.
    assert not list((tmp_path / "astropy").rglob("*.pickle"))


def fetch(server, cache):
    return fetch_dust_map(CENTER, 0.5, url=f"{server.url}/dust", timeout=10, cache=cache)


def test_a_map_is_kept_after_its_temporary_file_is_gone(server, tmp_path):
    first = fetch(server, tmp_path / "c")
    asked = len(server.requests)
    server.dust_files += 1  # the linked file is removed
    again = fetch(server, str(tmp_path / "c"))
    assert len(server.requests) == asked
    assert (again.values == first.values).all()
    assert again(CENTER.reshape(1)) == pytest.approx(0.04, rel=1e-3)
    # Without our cache the service is asked again, for a new link.
    assert fetch(server, False).maximum == first.maximum
    assert len(server.requests) == asked + 2
    assert QueryCache(tmp_path / "c").clear() == 1


@pytest.mark.parametrize("fault", ["html /dust", "500 /dust", "html /workspace", "cut /workspace"])
def test_errors_are_never_kept(server, tmp_path, fault):
    server.faults = [fault] * 6
    with pytest.raises(ServiceError, match=r"sent no map of E\(B-V\)"):
        fetch(server, tmp_path / "c")
    assert not list(tmp_path.rglob("*.fits"))
    server.faults = []
    assert fetch(server, tmp_path / "c").maximum > 0.03


def test_a_removed_link_is_replaced(server):
    server.faults = ["404 /workspace"]
    assert fetch(server, False).maximum > 0.03
    assert server.dust_files == 2


def test_a_damaged_map_in_the_cache_is_replaced(server, tmp_path):
    fetch(server, tmp_path / "c")
    (path,) = (tmp_path / "c").rglob("*.fits")
    path.write_bytes(path.read_bytes()[:3000])
    assert fetch(server, tmp_path / "c").maximum > 0.03
    assert path.stat().st_size > 3000
