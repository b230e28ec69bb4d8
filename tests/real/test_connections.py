"""Services that cannot be reached: a mistyped address, or no network."""

import re
import socket
import time
import warnings

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.coordinates.name_resolve import sesame_url
from astropy.table import Table

from shredfinder._net.client import HttpClient
from shredfinder._net.retries import RetryPolicy
from shredfinder.catalogs import query_candidates, resolve_name
from shredfinder.cli import main
from shredfinder.cutouts import fetch_cutouts
from shredfinder.exceptions import (
    ServiceError,
    ShredfinderWarning,
    TransientServiceError,
    UnreachableServiceError,
)
from shredfinder.hosts import read_nsa
from tests.cutouts.loopback import LoopbackServer

COORDS = SkyCoord(np.linspace(10, 20, 40), np.zeros(40), unit="deg")
NO_HOST = "https://nowhere.invalid"


@pytest.fixture
def closed():
    """Address of a port that nobody listens to."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{unused.getsockname()[1]}"


@pytest.fixture(params=["closed port", "unknown name"])
def nowhere(request, closed):
    """An address, and what a message says about it."""
    if request.param == "closed port":
        return closed, f"{closed.removeprefix('http://')} refuses connections"
    return NO_HOST, "the host name of nowhere.invalid cannot be resolved"


@pytest.fixture(autouse=True)
def _in_time():
    start = time.monotonic()
    yield
    assert time.monotonic() - start < 10


def is_readable(message, problem):
    return (
        problem in message
        and "check the address and the network connection" in message
        and len(message) < 300
        and "Max retries" not in message
        and "HTTPConnection" not in message
    )


def test_cutouts_are_flagged_at_once(nowhere, tmp_path):
    url, problem = nowhere
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        cutouts = fetch_cutouts(COORDS, base_url=url, cache=tmp_path, progress=False)
    assert set(cutouts.flags) == {"failed"}
    messages = [str(warning.message) for warning in caught]
    assert any(is_readable(message, problem) for message in messages)
    assert all(issubclass(warning.category, ShredfinderWarning) for warning in caught)


@pytest.mark.parametrize("survey", ["legacy-dr9", "sdss-dr17", "ps1-dr2"])
def test_catalogue_queries(nowhere, survey):
    url, problem = nowhere
    with pytest.raises(UnreachableServiceError) as caught:
        query_candidates(survey, COORDS[0], 0.1 * u.deg, endpoint=f"{url}/tap", cache=False)
    assert is_readable(str(caught.value), problem)


def test_names(nowhere):
    url, _ = nowhere
    with pytest.raises(ServiceError, match="give a position instead") as caught:
        resolve_name("M 31", url=f"{url}/")
    assert re.search(rf"up \({url.partition('//')[2]}: \w[^/\n]*\): check", str(caught.value))


def test_names_at_several_addresses(closed):
    addresses = [f"{closed}/a/", closed.replace("127.0.0.1", "localhost") + "/b/"]
    with (
        sesame_url.set(addresses),
        pytest.raises(
            ServiceError, match=r"up \(127.*: Connection refused; local.*: Connection refused\): "
        ),
    ):
        resolve_name("M 31", cache=False)


def test_hosts(nowhere, tmp_path, capsys):
    url, _ = nowhere
    host = url.partition("//")[2]
    with pytest.raises(ServiceError, match=f"Atlas from https?://{host}/nsa.fits: [^<]*download"):
        read_nsa(url=f"{url}/nsa.fits")
    arguments = ["run", "--center", "143 21.5", "--nsa-url", f"{url}/nsa.fits"]
    assert main([*arguments, "-o", str(tmp_path / "clean.fits")]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert host in line


def test_the_command_says_what_to_do_in_one_line(nowhere, tmp_path, capsys):
    url, problem = nowhere
    arguments = ["run", "--center", "143 21.5", "--radius", "0.1 deg", "--hosts", "none"]
    output = tmp_path / "clean.fits"
    assert main([*arguments, "--legacy-tap-url", f"{url}/tap", "-o", str(output)]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert is_readable(line, problem)
    Table({"ra": COORDS.ra.deg, "dec": COORDS.dec.deg}).write(tmp_path / "in.ecsv")
    where = ["--base-url", url, "--cache", str(tmp_path / "cache")]
    arguments = ["classify", str(tmp_path / "in.ecsv"), *where, "-o", str(tmp_path / "out.ecsv")]
    main(arguments)
    assert any(is_readable(line, problem) for line in capsys.readouterr().err.splitlines())


def test_cached_cutouts_are_used_when_the_service_is_unreachable(tmp_path):
    with LoopbackServer() as server:
        url = server.viewer
        options = {"base_url": url, "cache": tmp_path, "rate": None, "progress": False}
        fetch_cutouts(COORDS[:3], **options)
    with pytest.warns(ShredfinderWarning, match="refuses connections"):
        cutouts = fetch_cutouts(COORDS[:5], **options)
    assert cutouts.flags.tolist() == [""] * 3 + ["failed"] * 2


def test_a_service_that_was_reached_before_is_retried_patiently():
    attempts = []

    class CountingClient(HttpClient):
        def _send(self, *args):
            attempts.append(args)
            return super()._send(*args)

    client = CountingClient(retry=RetryPolicy(attempts=4, pause=0.01))
    with LoopbackServer() as server:
        url = server.viewer
        address = f"{url}/jpeg-cutout?ra=10&dec=0&layer=ls-dr9&pixscale=0.46875&size=128"
        client.request("GET", address, read=lambda response: None)
    # The kept connection is cut too.
    client._session.adapters["http://"].close()
    attempts.clear()
    with pytest.raises(TransientServiceError, match="refuses connections"):
        client.request("GET", address, read=lambda response: None)
    assert len(attempts) == 4
    client.close()
