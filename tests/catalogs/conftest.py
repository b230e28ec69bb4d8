"""Fixtures for the tests of catalogues."""

import pytest

from shredfinder.catalogs import paging, skyserver
from tests.catalogs.loopback import CatalogServer, SkyDatabase
from tests.catalogs.skies import make_legacy, make_ps1, make_sdss


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path):
    """Skip the pauses between requests, and use an empty cache."""
    monkeypatch.setattr(skyserver, "_RATE", None)
    monkeypatch.setattr(paging, "_PAUSE", 0.01)
    from shredfinder import conf

    with conf.set_temp("cache_dir", str(tmp_path / "cache")):
        yield


@pytest.fixture(scope="session")
def skies():
    """Simulate the catalogues."""
    return {"legacy-dr9": make_legacy(), "sdss-dr17": make_sdss(), "ps1-dr2": make_ps1()}


@pytest.fixture(scope="session")
def database(skies):
    """Load the catalogues into one database."""
    ps1 = skies["ps1-dr2"]
    first = ps1[ps1["primaryDetection"] == 1]
    stack = [c for c in ps1.colnames if "Kron" in c or "PSF" in c]
    return SkyDatabase(
        {
            "ls_dr9.tractor": skies["legacy-dr9"],
            "PhotoPrimary": skies["sdss-dr17"],
            "dbo.ObjectThin": first["objID", "raMean", "decMean", "qualityFlag", "nDetections"],
            "dbo.StackObjectThin": ps1[["objID", "uniquePspsSTid", "primaryDetection", *stack]],
            "dbo.StackPetrosian": ps1["objID", "uniquePspsSTid", "rpetR50", "rpetR50Err"],
        }
    )


@pytest.fixture
def server(database):
    """Start a server without faults; tests add faults."""
    with CatalogServer(database) as running:
        from shredfinder import conf

        with conf.set_temp("dust_url", f"{running.url}/dust"):
            yield running
