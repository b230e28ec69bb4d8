"""What the doctests of the package and of the documentation need to run offline."""

import contextlib
import gc
import warnings

import pytest

# Examples that ask servers: they run against a simulated sky on loopback.
_ASKING = (
    "shredfinder.catalogs.names.resolve_name",
    "shredfinder.catalogs.query.",
    "shredfinder.catalogs.reddening.fetch_dust_map",
    "shredfinder.hosts.nsa.read_nsa",
    "shredfinder.pipeline.",
    "catalogs.rst",
    "hosts.rst",
    "pipeline.rst",
    "virtual_observatory.rst",
)
# What examples import themselves, and can be left out.
_OPTIONAL = ("lsdb", "matplotlib", "sklearn")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """Skip examples that stop at an optional package, which the package then asks for by name."""
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
    """Servers of a small simulated sky, for all doctests that ask one."""
    from tests.pipeline.world import make_sky, running_services

    with running_services(make_sky(), tmp_path_factory.mktemp("doctests")) as services:
        yield services


@pytest.fixture(autouse=True)
def asking_doctests(request, tmp_path, monkeypatch):
    """Run examples in a folder of their own, and with the addresses of the simulated sky."""
    name = request.node.name
    if not isinstance(request.node, pytest.DoctestItem) or not name.startswith(_ASKING):
        yield
        return
    from astropy.config import set_temp_cache

    services = request.getfixturevalue("doctest_services")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("shredfinder.catalogs.skyserver._PAUSE", 0.0)
    # Answers are kept for this example only.
    (tmp_path / "cache").mkdir()
    with contextlib.ExitStack() as stack:
        stack.enter_context(set_temp_cache(tmp_path / "cache"))
        stack.enter_context(services.configured())
        yield
    if "samp" in name:
        # The sockets that a hub leaves open must not be another test's.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()
