import time

import numpy as np
import pytest
from astropy.table import Table

from shredfinder import Cutouts
from shredfinder._utils.leftovers import lock_folder
from shredfinder.cli import main
from tests._net.test_deadlines import BadServer
from tests.cutouts.conftest import differences, host_centred
from tests.cutouts.loopback import LoopbackServer


@pytest.fixture
def server():
    with LoopbackServer() as running:
        yield running


@pytest.fixture
def catalogue(tmp_path):
    coords = host_centred(2, 6, seed=1)
    table = Table({"objID": np.arange(12) + 10, "ra": coords.ra.deg, "dec": coords.dec.deg})
    table["ra"][3] = np.nan
    table = table[np.random.default_rng(0).permutation(12)]
    table.write(tmp_path / "candidates.fits")
    return tmp_path / "candidates.fits"


@pytest.fixture
def where(server, tmp_path):
    return ["--base-url", server.viewer, "--cache", str(tmp_path / "cache"), "--rate", "0"]


def test_fetch_then_classify_is_classify(catalogue, where, tolerant_model, tmp_path, capsys):
    folder, scored = tmp_path / "cutouts", tmp_path / "scored.ecsv"
    assert main(["fetch", str(catalogue), "-o", str(folder), *where]) == 0
    error = capsys.readouterr().err
    assert "12 sources, 11 cutouts" in error
    assert "flagged: 1 no position" in error
    index = Table.read(folder / "cutouts.ecsv")
    table = Table.read(catalogue)
    assert index["objID"].tolist() == table["objID"].tolist()
    paths = np.ma.filled(index["path"], "")
    assert [f"{name}.png" if np.isfinite(ra) else "" for name, ra in table["objID", "ra"]] == list(
        paths
    )
    good = np.flatnonzero(np.isfinite(table["ra"]))
    from astropy.coordinates import SkyCoord

    coords = SkyCoord(table["ra"][good], table["dec"][good], unit="deg")
    assert differences(Cutouts.read(folder)[good], coords).max() < 12

    model = ["--model", str(tolerant_model)]
    assert main(["classify", str(catalogue), "-o", str(scored), *where, *model]) == 0
    direct = Table.read(scored)
    given = ["--cutouts", str(folder), "-o", str(scored), "--overwrite", *model]
    assert main(["classify", str(catalogue), *given]) == 0
    np.testing.assert_allclose(Table.read(scored)["p_cnn"], direct["p_cnn"], atol=1e-5)
    assert np.isfinite(np.ma.filled(direct["p_cnn"], np.nan)).sum() == 11


def test_nothing_is_fetched_twice(catalogue, where, tmp_path, server, capsys):
    folder = tmp_path / "cutouts"
    assert main(["fetch", str(catalogue), "-o", str(folder), *where]) == 0
    n_asked = len(server.requests)
    assert n_asked > 0
    assert main(["fetch", str(catalogue), "-o", str(folder), *where]) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert main(["fetch", str(catalogue), "-o", str(folder), *where, "--overwrite"]) == 0
    scored = tmp_path / "scored.fits"
    assert main(["classify", str(catalogue), "-o", str(scored), *where, "--offline"]) == 0
    assert len(server.requests) == n_asked


def test_offline_without_a_cache_flags_every_row(catalogue, where, tmp_path, server, capsys):
    scored = tmp_path / "scored.fits"
    assert main(["classify", str(catalogue), "-o", str(scored), *where, "--offline"]) == 1
    assert len(server.requests) == 0
    assert "11 missing, 1 no position" in capsys.readouterr().err
    assert len(Table.read(scored)) == 12


def test_other_surveys_are_refused_and_flagged_on_request(
    catalogue, where, tmp_path, server, capsys
):
    scored = tmp_path / "scored.ecsv"
    argv = ["classify", str(catalogue), "-o", str(scored), *where]
    argv[argv.index("--base-url") + 1] = server.url
    assert main([*argv, "--service", "sdss"]) == 1
    assert "--allow-other-colors" in capsys.readouterr().err
    assert main([*argv, "--service", "sdss", "--allow-other-colors"]) == 0
    assert "scored in other colours" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--service", "nowhere"], "no cutout service 'nowhere'"),
        (["--pattern", "same.png"], "pattern"),
        (["--pattern", "{dec:.0f}.png"], "same file"),
        (["--size", "5000"], "5000 px"),
        (["--rate", "-1"], "--rate"),
        (["--layer", "no-such-layer"], "layer"),
    ],
)
def test_wrong_options_are_one_line(catalogue, where, tmp_path, options, message, capsys):
    argv = ["fetch", str(catalogue), "-o", str(tmp_path / "cutouts"), *where, *options]
    assert main(argv) == 1
    error = capsys.readouterr().err
    assert error.startswith("shredfinder: error: ")
    assert error.count("\n") == 1
    assert message in error


def test_deadlines_are_options(catalogue, tmp_path, capsys):
    with BadServer("headers") as server:
        argv = ["fetch", str(catalogue), "-o", str(tmp_path / "cutouts"), "--base-url", server.url]
        start = time.monotonic()
        assert main([*argv, "--cache", str(tmp_path), "--timeout", "1", "--time-limit", "1.5"]) == 1
        assert time.monotonic() - start < 10
    assert "time limit" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*argv, "--timeout", "0"])
    assert "positive number of seconds" in capsys.readouterr().err


def test_two_processes_do_not_fetch_into_one_folder(catalogue, where, tmp_path, capsys):
    folder = tmp_path / "cutouts"
    with lock_folder(folder):
        assert main(["fetch", str(catalogue), "-o", str(folder), *where]) == 1
        assert "another process is writing" in capsys.readouterr().err
    assert main(["fetch", str(catalogue), "-o", str(folder), *where]) == 0
    assert not list(folder.glob(".*"))


def test_images_of_earlier_runs_do_not_stay(catalogue, where, tmp_path, server, capsys):
    """A row whose image cannot be fetched again does not keep another run's."""
    folder = tmp_path / "cutouts"
    command = ["fetch", str(catalogue), "-o", str(folder), "--overwrite"]
    assert main([*command, *where]) == 0
    (folder / "notes.txt").write_text("the user's")
    server.faults.chances = {"wrong size": 1}
    assert main([*command, *where, "--refresh", "--cache", str(tmp_path / "new")]) == 1
    assert sorted(path.name for path in folder.iterdir()) == ["cutouts.ecsv", "notes.txt"]


def test_a_folder_and_fetching_contradict(catalogue, where, tmp_path, capsys):
    argv = ["classify", str(catalogue), "-o", str(tmp_path / "o.fits"), "--cutouts", str(tmp_path)]
    assert main([*argv, *where]) == 1
    assert "leave out --base-url and --cache" in capsys.readouterr().err


def test_columns_called_path_and_flag_stay(catalogue, where, tmp_path, server, capsys):
    table = Table.read(catalogue)
    table["path"], table["flag"] = "mine", np.arange(12)
    table.meta["NOTE"] = "kept"
    table.write(tmp_path / "own.ecsv")
    argv = ["fetch", str(tmp_path / "own.ecsv"), "-o", str(tmp_path / "out"), *where]
    assert main(argv) == 0
    assert "warning: the catalogue's column 'path' is called 'catalogue_path'" in (
        capsys.readouterr().err
    )
    found = Table.read(tmp_path / "out/cutouts.ecsv")
    assert found.meta["NOTE"] == "kept"
    assert set(found["catalogue_path"]) == {"mine"}
    assert found["catalogue_flag"].tolist() == list(range(12))
    # The table of files as a catalogue: path and flag are the package's own, and replaced.
    argv[1] = str(tmp_path / "out/cutouts.ecsv")
    assert main([*argv, "--overwrite"]) == 0
    assert "warning: the catalogue's column" not in capsys.readouterr().err
    assert Table.read(tmp_path / "out/cutouts.ecsv").colnames == found.colnames


def test_rows_that_the_table_of_files_cannot_hold_are_refused_first(
    catalogue, where, tmp_path, server, capsys
):
    table = Table.read(catalogue)
    table["any"] = np.array([object()] * 12)
    cutouts = Cutouts.of_survey("legacy-dr9", np.full((12, 8, 8, 3), 7, np.uint8))
    with pytest.raises(ValueError, match=r"cannot be written to cutouts\.ecsv"):
        cutouts.write(tmp_path / "out", table=table)
    assert not (tmp_path / "out").exists()


def test_offline_runs_without_any_cached_image(tmp_path, capsys):
    Table({"objID": [1], "ra": [1.5], "dec": [0.2]}).write(tmp_path / "a.csv")
    where = ["--offline", "--cache", str(tmp_path / "cache")]
    argv = ["classify", str(tmp_path / "a.csv"), "-o", str(tmp_path / "o.csv"), *where]
    assert main(argv) == 0
    assert "no image of the 1 source is in the cache" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("7,1,2\n,3,4\n", "1 of 2 rows have no usable value in the column 'id'"),
        ("7,1,2\n7,3,4\n", "2 rows would be written to the same file '7.png'"),
        ("1.23766E+18,1,2\n", "which have lost digits of the identifiers"),
    ],
)
def test_identifiers_that_name_no_file_of_their_own(rows, message, tmp_path, capsys):
    (tmp_path / "in.csv").write_text(f"id,ra,dec\n{rows}")
    folders = ["-o", str(tmp_path / "out"), "--cache", str(tmp_path / "cache")]
    main(["fetch", str(tmp_path / "in.csv"), "--offline", "--pattern", "{id}.png", *folders])
    assert message in capsys.readouterr().err
