"""Run the doctests of the package and of the documentation without the network."""

import contextlib
import gc
import warnings

import pytest

# These doctests query services. They run against a simulated sky on local servers.
_QUERYING = (
    "shredfinder.catalogs.",
    "shredfinder.hosts.",
    "shredfinder.pipeline.",
    "catalogs.rst",
    "hosts.rst",
    "pipeline.rst",
    "virtual_observatory.rst",
)
# Optional packages that examples import themselves.
_OPTIONAL = ("lsdb", "matplotlib")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """Skip doctests that need an optional package which is not installed."""
    try:
        return (yield)
    except Exception as error:
        if isinstance(item, pytest.DoctestItem):
            for failure in getattr(error, "failures", [error]):
                reason = getattr(failure, "exc_info", (None, None))[1]
                missing = isinstance(reason, ImportError) and reason.name in _OPTIONAL
                if missing or type(reason).__name__ == "MissingDependencyError":
                    pytest.skip(str(reason))
        raise


@pytest.fixture(scope="session")
def doctest_services(tmp_path_factory):
    """Start the servers of a small simulated sky."""
    from tests.pipeline.world import make_sky, running_services

    with running_services(make_sky(), tmp_path_factory.mktemp("doctests")) as services:
        yield services


@pytest.fixture(autouse=True)
def simulated_sky(request, tmp_path, monkeypatch):
    """Run querying doctests in a new folder, with an empty cache and the local servers' URLs."""
    name = request.node.name
    if not isinstance(request.node, pytest.DoctestItem) or not name.startswith(_QUERYING):
        yield
        return
    from astropy.config import set_temp_cache

    services = request.getfixturevalue("doctest_services")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("shredfinder.catalogs.skyserver._RATE", None)
    (tmp_path / "cache").mkdir()
    with contextlib.ExitStack() as stack:
        stack.enter_context(set_temp_cache(tmp_path / "cache"))
        stack.enter_context(services.configured())
        yield
    if "samp" in name:
        # A SAMP hub leaves sockets open: collect them here, not during a later test.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()
