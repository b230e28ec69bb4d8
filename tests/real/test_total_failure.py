"""Runs in which nothing succeeds fail, and the advice in messages works when it is followed."""

import re

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import Table

from shredfinder import ShredTable, add_p_cnn
from shredfinder.bulk import classify_catalogue
from shredfinder.cli import main
from shredfinder.cutouts import CutoutFetcher, fetch_cutouts
from shredfinder.exceptions import ShredfinderWarning
from shredfinder.hosts import read_hosts
from shredfinder.models import TrainedModel
from tests.cli.test_run import servers, services, sky
from tests.cutouts.conftest import host_centred
from tests.cutouts.loopback import LoopbackServer

__all__ = ["servers", "services", "sky"]

URL = "https://example.org/candidates.fits"


@pytest.fixture
def catalogue(tmp_path):
    coords = host_centred(1, 6, seed=1)
    table = Table({"objID": np.arange(6), "ra": coords.ra.deg, "dec": coords.dec.deg})
    table.write(tmp_path / "in.fits")
    return tmp_path / "in.fits"


def where(server, tmp_path, base_url=None):
    return [
        "--base-url",
        base_url or server.viewer,
        "--cache",
        str(tmp_path / "cache"),
        "--rate",
        "0",
    ]


def errors(text):
    return [line for line in text.splitlines() if line.startswith("shredfinder: error")]


@pytest.mark.parametrize("command", ["classify", "fetch"])
def test_the_advice_is_followed_to_the_end(catalogue, tolerant_model, tmp_path, capsys, command):
    output = tmp_path / ("cutouts" if command == "fetch" else "scored.fits")
    argv = [command, str(catalogue), "-o", str(output)]
    if command == "classify":
        argv += ["--model", str(tolerant_model)]
    with LoopbackServer() as server:
        # An address with a typing error: status 404.
        wrong = f"{server.url}/viewers"
        assert main([*argv, *where(server, tmp_path, wrong)]) == 1
    printed = capsys.readouterr().err
    [error] = errors(printed)
    assert f"{wrong}/jpeg-cutout?" in printed
    index, name = output, "p_cnn_flag"
    if command == "fetch":
        index, name = output / "cutouts.ecsv", "flag"
    assert set(Table.read(index)[name]) == {"no coverage"}
    # Without the option that the message advises, the output is in the way.
    with LoopbackServer() as server:
        argv += where(server, tmp_path)
        assert main(argv) == 1
        assert "exists: add --overwrite" in capsys.readouterr().err
        advice = re.search(r"run again with (--\S+)", error)[1]
        assert main([*argv, advice]) == 0
    assert errors(capsys.readouterr().err) == []


def test_some_success_is_success(catalogue, tolerant_model, tmp_path):
    model = ["--model", str(tolerant_model)]
    with LoopbackServer() as server:
        images = where(server, tmp_path)
        one = tmp_path / "one.fits"
        Table.read(catalogue)[:1].write(one)
        assert main(["classify", str(one), "-o", str(tmp_path / "a.fits"), *images, *model]) == 0
    # Only that cutout is in the cache.
    assert main(["classify", str(catalogue), "-o", str(tmp_path / "b.fits"), *images, *model]) == 0
    assert np.isfinite(Table.read(tmp_path / "b.fits")["p_cnn"]).sum() == 1
    assert main(["fetch", str(catalogue), "-o", str(tmp_path / "c"), *images]) == 0


@pytest.mark.parametrize("command", ["classify", "fetch"])
def test_an_empty_catalogue_is_no_failure(catalogue, tmp_path, capsys, command):
    empty, output = tmp_path / "empty.fits", tmp_path / "out.fits"
    Table.read(catalogue)[:0].write(empty)
    assert main([command, str(empty), "-o", str(output)]) == 0
    found = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    expected = {
        "classify": f"shredfinder: warning: the catalogue {str(empty)!r} has no rows: nothing is "
        "scored",
        "fetch": "shredfinder: warning: there is no source to be fetched",
    }
    assert found == [expected[command]]
    assert len(Table.read(output / "cutouts.ecsv" if command == "fetch" else output)) == 0


def test_a_search_without_scores_fails(services, sky, tmp_path, capsys):
    at = f"{sky.center.ra.deg:.5f} {sky.center.dec.deg:+.5f}"
    (tmp_path / "none").mkdir()
    output = tmp_path / "out.ecsv"
    argv = ["run", "--center", at, "--survey", "sdss-dr17", "--hosts", "none", "-o", str(output)]
    argv += ["--radius", "0.05 deg", "--cutouts", str(tmp_path / "none")]
    options = services.options
    for name in ("--base-url", "--rate", "--cache"):
        if name in options:
            at = options.index(name)
            options = options[:at] + options[at + 2 :]
    assert main([*argv, *options]) == 1
    printed = capsys.readouterr().err
    assert "sources was scored" in errors(printed)[0]
    assert f"the first cutout tried: the file '{tmp_path}/none/" in printed
    assert output.exists()


def test_a_search_without_candidates_is_no_failure(services, tmp_path, capsys):
    argv = ["run", "--center", "10 -80", "--survey", "sdss-dr17", "--hosts", "none"]
    argv += ["--radius", "0.05 deg", "-o", str(tmp_path / "out.ecsv"), *services.options]
    assert main(argv) == 0
    assert "warning: there is no source to be scored" in capsys.readouterr().err


class TestPython:
    def test_folders(self, catalogue, tmp_path):
        (tmp_path / "none").mkdir()
        table = ShredTable.read(catalogue)
        options = {"cutouts": tmp_path / "none", "pattern": "{objID}.png", "progress": False}
        words = r"none of 6 sources was scored: 6 missing \(the first .* file '.*0\.png'"
        with pytest.warns(ShredfinderWarning, match=words):
            add_p_cnn(table, **options)
        with pytest.warns(ShredfinderWarning, match=words):
            classify_catalogue(catalogue, tmp_path / "out.fits", **options)
        assert len(Table.read(tmp_path / "out.fits")) == 6

    def test_services(self, catalogue, tmp_path):
        table = ShredTable.read(catalogue)
        with LoopbackServer() as server:
            wrong = f"{server.url}/viewers"
            fetcher = CutoutFetcher(base_url=wrong, cache=False, rate=None)
            first = re.escape(f"{wrong}/jpeg-cutout?ra=")
            with pytest.warns(ShredfinderWarning, match=f"none of 6 sources was scored.*{first}"):
                table.add_p_cnn(service=fetcher, progress=False)
            coords = SkyCoord(table["ra"], table["dec"], unit="deg")
            with pytest.warns(ShredfinderWarning, match=f"no cutout was fetched.*{first}"):
                fetch_cutouts(coords, fetcher, progress=False)

    def test_arrays(self):
        table = Table({"a": [1, 2]})
        with pytest.warns(ShredfinderWarning, match="none of 2 sources was scored: 2 blank"):
            add_p_cnn(table, cutouts=np.full((2, 128, 128, 3), 7, np.uint8))


def test_resume_works_where_it_is_advertised(
    catalogue, tolerant_model, tmp_path, capsys, monkeypatch
):
    output = tmp_path / "scored.fits"
    output.write_bytes(b"earlier")
    calls = []
    score = TrainedModel.score

    def interrupt(*args):
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return score(*args)

    monkeypatch.setattr(TrainedModel, "score", interrupt)
    with LoopbackServer() as server:
        argv = ["classify", str(catalogue), "-o", str(output), *where(server, tmp_path)]
        argv += ["--chunk-size", "3", "--model", str(tolerant_model)]
        assert main([*argv, "--overwrite"]) == 130
        advice = re.search(r": (--.*) continues", capsys.readouterr().err)[1]
        assert main([*argv, *advice.split()]) == 0
    assert len(calls) == 3
    assert len(Table.read(output)) == 6


@pytest.mark.parametrize("kind", ["catalogue", "cutouts"])
def test_addresses_in_place_of_files(catalogue, tmp_path, capsys, kind):
    given = {"catalogue": str(catalogue), "cutouts": str(tmp_path), kind: URL}
    argv = ["classify", given["catalogue"], "--cutouts", given["cutouts"]]
    assert main([*argv, "-o", str(tmp_path / "out.fits")]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert f"got the address '{URL}': download it" in line
    if kind == "cutouts":
        assert "by --service and --base-url" in line


def test_addresses_in_python():
    with pytest.raises(ValueError, match=r"got the address 'https://example.org/a.jpg'"):
        add_p_cnn(Table({"a": [1, 2]}), cutouts=[None, "https://example.org/a.jpg"])
    with pytest.raises(ValueError, match="got the address"):
        read_hosts(URL)
