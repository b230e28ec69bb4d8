"""Catalogue files scored chunk by chunk: equal to tables, and resumable."""

import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Table
from PIL import Image

from shredfinder import ShredClassifier, ShredTable
from shredfinder.bulk import classify_catalogue, get_state_folder
from shredfinder.bulk.stores import FitsStore, ParquetStore, TableStore, open_store
from shredfinder.cli import main
from shredfinder.cutouts import CutoutFetcher
from shredfinder.datasets import make_field
from shredfinder.models import TrainedModel
from tests.conftest import need_format, needs

N_ROWS = 50
PATTERN = "{objID}.png"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Write image files of the rows; some are missing, some blank."""
    folder = tmp_path_factory.mktemp("cutouts")
    images = make_field(size=640, n_hosts=3, random_state=3).cutouts().images
    for i in range(N_ROWS):
        if i % 9:
            image = images[i % 40] if i % 7 else np.full_like(images[0], 32)
            Image.fromarray(image).save(folder / f"{i + 100}.png")
    return folder


def make_catalogue():
    """Create a catalogue with columns of every kind that FITS and Parquet hold."""
    rng = np.random.default_rng(0)
    table = Table()
    table["objID"] = np.arange(N_ROWS, dtype=np.int64) + 100
    table["ra"] = rng.uniform(0, 360, N_ROWS) * u.deg
    table["dec"] = rng.uniform(-60, 60, N_ROWS) * u.deg
    table["r"] = rng.normal(19, 1, N_ROWS).astype(np.float32) * u.mag
    table["r"][3] = np.nan
    table["flags"] = rng.integers(0, 2**31, N_ROWS).astype(np.uint32)
    table["is_star"] = rng.random(N_ROWS) < 0.5
    table["name"] = [f"source {i}" * (1 + i % 3) for i in range(N_ROWS)]
    table["shape"] = rng.random((N_ROWS, 3))
    table["r"].info.description = "Magnitude in r"
    table.meta["FIELD"] = "north"
    return Table(table)


def assert_same(first, second):
    """Check that two tables have the same values, types, units and metadata."""
    assert first.colnames == second.colnames
    for name in first.colnames:
        a, b = first[name], second[name]
        assert type(a) is type(b), name
        np.testing.assert_array_equal(np.ma.getmaskarray(np.ma.asarray(a)), getattr(b, "mask", 0))
        np.testing.assert_array_equal(np.ma.filled(a, 0), np.ma.filled(b, 0))
        assert (a.dtype, a.unit) == (b.dtype, b.unit), name
        assert a.info.description == b.info.description
        assert a.info.meta == b.info.meta
    assert {k: v for k, v in first.meta.items() if k != "comments"} == second.meta


def read_scored(path, folder, **options):
    """Score a catalogue with `ShredTable.add_p_cnn`, and write and read it in the same format."""
    table = ShredTable.read(path)
    table.add_p_cnn(cutouts=folder, pattern=PATTERN, **options)
    other = path.with_name(f"plain-{path.name}")
    table.write(other, overwrite=True)
    return ShredTable.read(other)


@pytest.mark.parametrize("suffix", [".fits", ".parquet", ".ecsv", ".fits.gz", ".hdf5"])
@pytest.mark.parametrize("prior", [None, 0.05, "estimate"])
@pytest.mark.filterwarnings("ignore:only .* scored sources")
def test_equals_a_table(folder, tmp_path, suffix, prior):
    need_format(suffix)
    path, output = tmp_path / f"in{suffix}", tmp_path / f"out{suffix}"
    options = {"serialize_meta": True, "path": "table"} if suffix == ".hdf5" else {}
    make_catalogue().write(path, **options)
    kinds = {".fits": FitsStore, ".parquet": ParquetStore}
    assert type(open_store(path, output)) is kinds.get(suffix, TableStore)
    assert type(open_store(path, tmp_path / "out.fits.gz")) is TableStore
    scored = classify_catalogue(
        path, output, cutouts=folder, pattern=PATTERN, prior=prior, chunk_size=16
    )
    assert sorted(item.name for item in tmp_path.iterdir()) == sorted([path.name, output.name])
    if suffix == ".hdf5":
        return
    expected = read_scored(path, folder, prior=prior)
    result = ShredTable.read(output)
    np.testing.assert_allclose(result["p_cnn"], expected["p_cnn"], rtol=1e-5, atol=1e-7)
    assert len(set(result["p_cnn_flag"].tolist())) == 3
    np.testing.assert_array_equal(scored["p_cnn"], result["p_cnn"])
    assert scored["p_cnn_flag"].tolist() == result["p_cnn_flag"].tolist()
    result["p_cnn"] = expected["p_cnn"]
    assert_same(result, expected)
    # A plain table selects no unscored row either.
    plain = Table.read(output)
    assert len(plain[plain["p_cnn"] < 0.5]) + len(plain[plain["p_cnn"] >= 0.5]) == np.sum(
        np.isfinite(expected["p_cnn"])
    )


def test_fits_that_astropy_did_not_write(folder, tmp_path):
    path, output = tmp_path / "in.fits", tmp_path / "out.fits"
    values = np.arange(N_ROWS)
    columns = [
        fits.Column("objID", "K", array=values + 100),
        fits.Column("count", "J", null=-1, array=np.where(values % 5, values, -1)),
        fits.Column("unsigned", "I", bzero=32768, array=(values + 60_000).astype(np.uint16)),
        fits.Column("bits", "12X", array=np.arange(N_ROWS * 12).reshape(-1, 12) % 3 == 0),
        fits.Column("ra", "D", unit="deg", disp="F8.4", array=values * 1.0),
        fits.Column("dec", "D", unit="deg", array=values * 0.5),
    ]
    hdu = fits.BinTableHDU.from_columns(columns, name="CANDIDATES")
    hdu.header["TUCD5"] = "pos.eq.ra;meta.main"
    hdu.header.add_comment("made by another program")
    hdu.header.add_history("twice")
    hdus = fits.HDUList([fits.PrimaryHDU(np.zeros((10, 10))), hdu])
    hdus.writeto(path, checksum=True)
    assert isinstance(open_store(path, output), FitsStore)
    classify_catalogue(path, output, cutouts=folder, pattern=PATTERN, chunk_size=7)
    with fits.open(path) as old, fits.open(output, checksum=True) as new:
        new.verify("exception")
        assert new[1].name == "CANDIDATES"
        assert new[1].columns.names == [*old[1].columns.names, "p_cnn", "p_cnn_flag"]
        for name in old[1].columns.names:
            np.testing.assert_array_equal(new[1].data[name], old[1].data[name])
        assert new[1].header["TUCD5"] == old[1].header["TUCD5"]
        assert new[1].header["TDISP5"] == "F8.4"
        assert "made by another program" in list(new[1].header["COMMENT"])
        assert list(new[1].header["HISTORY"]) == ["twice"]
    table = ShredTable.read(output)
    assert table["count"].mask.sum() == 10
    assert table["p_cnn"].meta["shredfinder"]["model"] == ShredClassifier.load().provenance["model"]


@needs("pyarrow", "pandas")
@pytest.mark.filterwarnings("ignore:.* of .* rows have no usable")
def test_parquet_that_astropy_did_not_write(folder, tmp_path):
    import pandas as pd
    import pyarrow.parquet as pq

    path, output = tmp_path / "in.parquet", tmp_path / "out.parquet"
    numbers = np.arange(N_ROWS) + 2**60
    frame = pd.DataFrame({"number": pd.array(numbers, dtype="Int64"), "mag": np.arange(50) * 0.1})
    # A null beside integers that float64 cannot represent.
    frame.loc[5, "number"] = pd.NA
    frame["name"] = [f"{i + 100}" for i in range(N_ROWS)]
    frame.loc[6, "name"] = None
    frame["lists"] = [[i] * (i % 3) for i in range(N_ROWS)]
    frame.to_parquet(path, row_group_size=13)
    assert isinstance(open_store(path, output), ParquetStore)
    classify_catalogue(path, output, cutouts=folder, pattern="{name}.png", chunk_size=16)
    assert pq.read_table(output).drop_columns(["p_cnn", "p_cnn_flag"]).equals(pq.read_table(path))
    again = pd.read_parquet(output)
    table = ShredTable({"objID": np.arange(N_ROWS) + 100})
    table.add_p_cnn(cutouts=folder, pattern=PATTERN)
    table["p_cnn"][6], table["p_cnn_flag"][6] = np.nan, "missing"
    np.testing.assert_allclose(again["p_cnn"], table["p_cnn"], rtol=1e-5, atol=1e-7)
    assert again["p_cnn_flag"].tolist() == table["p_cnn_flag"].tolist()
    stored = open_store(path, output).read(0, N_ROWS, ["number"])["number"]
    assert stored.mask.tolist() == (np.arange(N_ROWS) == 5).tolist()
    assert stored[6] == 2**60 + 6


class Stop(Exception):
    """Interrupts a run."""


@pytest.fixture
def count_scored(monkeypatch):
    """Count the images that are scored; on request, stop after a number of them."""
    score, counts = TrainedModel.score, {"n": 0, "stop": None}

    def counting(self, images, symmetry):
        counts["n"] += len(images)
        if counts["stop"] is not None and counts["n"] > counts["stop"]:
            raise Stop
        return score(self, images, symmetry)

    monkeypatch.setattr(TrainedModel, "score", counting)
    return counts


@pytest.mark.parametrize("suffix", [".fits", ".parquet"])
def test_interrupted_runs_resume(folder, tmp_path, count_scored, suffix):
    need_format(suffix)
    path, output = tmp_path / f"in{suffix}", tmp_path / f"out{suffix}"
    make_catalogue().write(path)
    options = {"cutouts": folder, "pattern": PATTERN, "chunk_size": 10}
    whole = tmp_path / f"whole{suffix}"
    classify_catalogue(path, whole, **options)
    n_all, count_scored["n"], count_scored["stop"] = count_scored["n"], 0, 25
    with pytest.raises(Stop):
        classify_catalogue(path, output, **options)
    assert not output.exists()
    state = get_state_folder(output)
    assert sorted(p.name for p in state.iterdir())[:2] == ["000000.npz", "000001.npz"]
    # It resumes only on request, and only with the same arguments.
    count_scored["n"], count_scored["stop"] = 0, None
    with pytest.raises(FileExistsError, match=r"use resume=True .*to continue it"):
        classify_catalogue(path, output, **options)
    with pytest.raises(ValueError, match="differs in chunk_size"):
        classify_catalogue(path, output, resume=True, **(options | {"chunk_size": 5}))
    assert count_scored["n"] == 0
    # A damaged chunk is scored again.
    (state / "000001.npz").write_bytes(b"PK\x03\x04")
    classify_catalogue(path, output, resume=True, **options)
    assert 0 < count_scored["n"] < n_all
    assert not state.exists()
    assert output.read_bytes() == whole.read_bytes()


KILLED = """
import os, signal, sys
from shredfinder.cli import main
from shredfinder.cutouts import CutoutFetcher
from shredfinder.bulk.state import RunState

write = RunState.write


def write_and_die(self, index, *scores):
    if index == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    write(self, index, *scores)


RunState.write = write_and_die
main(sys.argv[1:])
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no SIGKILL")
@needs("pyarrow")
def test_killed_processes_lose_one_chunk(folder, tmp_path, count_scored):
    path, output = tmp_path / "in.parquet", tmp_path / "out.parquet"
    make_catalogue().write(path)
    options = ["--cutouts", str(folder), "--chunk-size", "10"]
    command = ["classify", str(path), *options, "-o", str(output)]
    done = subprocess.run([sys.executable, "-c", KILLED, *command], check=False, timeout=120)
    assert done.returncode == -signal.SIGKILL
    assert not output.exists()
    whole = tmp_path / "whole.parquet"
    assert main(["classify", str(path), *options, "-o", str(whole)]) == 0
    n_all, count_scored["n"] = count_scored["n"], 0
    assert main([*command, "--resume"]) == 0
    assert 0 < count_scored["n"] < n_all / 2
    assert output.read_bytes() == whole.read_bytes()
    assert {item.name for item in tmp_path.iterdir()} == {p.name for p in (path, output, whole)}


def test_overwrite_deletes_the_state(folder, tmp_path, count_scored):
    path, output = tmp_path / "in.fits", tmp_path / "out.fits"
    make_catalogue().write(path)
    options = {"cutouts": folder, "pattern": PATTERN, "chunk_size": 10}
    count_scored["stop"] = 25
    with pytest.raises(Stop):
        classify_catalogue(path, output, **options)
    count_scored["n"], count_scored["stop"] = 0, None
    classify_catalogue(path, output, overwrite=True, **options)
    assert count_scored["n"] > 35
    assert not get_state_folder(output).exists()
    # Without an interrupted run, resume starts a new one.
    classify_catalogue(path, tmp_path / "other.fits", resume=True, **options)


def interrupt(path, output, counts, **options):
    """Interrupt a run after two chunks, and return the folder of its state."""
    counts["n"], counts["stop"] = 0, 25
    with pytest.raises(Stop):
        classify_catalogue(path, output, **options)
    counts["n"], counts["stop"] = 0, None
    return get_state_folder(output)


def test_chunks_of_other_runs_are_not_adopted(folder, tmp_path, count_scored):
    path = tmp_path / "in.fits"
    make_catalogue().write(path)
    options = {"cutouts": folder, "pattern": PATTERN, "chunk_size": 10}
    interrupt(path, tmp_path / "own.fits", count_scored, **options)
    classify_catalogue(path, tmp_path / "own.fits", resume=True, **options)
    n_resumed = count_scored["n"]
    other = interrupt(
        path, tmp_path / "other.fits", count_scored, allow_other_colors=True, **options
    )
    state = interrupt(path, tmp_path / "mixed.fits", count_scored, **options)
    shutil.copy(other / "000001.npz", state / "000001.npz")
    classify_catalogue(path, tmp_path / "mixed.fits", resume=True, **options)
    assert count_scored["n"] > n_resumed
    assert (tmp_path / "mixed.fits").read_bytes() == (tmp_path / "own.fits").read_bytes()


def test_chunks_without_settings_are_not_adopted(folder, tmp_path, count_scored):
    path, output = tmp_path / "in.fits", tmp_path / "out.fits"
    make_catalogue().write(path)
    options = {"cutouts": folder, "pattern": PATTERN, "chunk_size": 10}
    classify_catalogue(path, tmp_path / "whole.fits", **options)
    n_all = count_scored["n"]
    state = interrupt(path, output, count_scored, **options)
    (state / "run.json").write_text("{")
    classify_catalogue(path, output, resume=True, **options)
    assert count_scored["n"] == n_all
    assert output.read_bytes() == (tmp_path / "whole.fits").read_bytes()


def test_outputs_belong_to_one_run_at_a_time(folder, tmp_path, monkeypatch):
    path, output = tmp_path / "in.fits", tmp_path / "out[1].fits"
    make_catalogue().write(path)
    options = {"cutouts": folder, "pattern": PATTERN}
    score, messages = TrainedModel.score, []

    def start_second_run(self, images, symmetry):
        if not messages:
            with pytest.raises(FileExistsError) as caught:
                classify_catalogue(path, output, resume=True, **options)
            messages.append(str(caught.value))
        return score(self, images, symmetry)

    monkeypatch.setattr(TrainedModel, "score", start_second_run)
    # A folder that a killed process of another machine was deleting.
    leftover = tmp_path / ".out[1].fits-shredfinder-00000000-1-1.state"
    leftover.mkdir()
    os.utime(leftover, (0, 0))
    classify_catalogue(path, output, **options)
    assert "another process is writing" in messages[0]
    assert sorted(item.name for item in tmp_path.iterdir()) == ["in.fits", "out[1].fits"]


@needs("pyarrow")
def test_cutouts_by_position(tmp_path, count_scored):
    field = make_field(size=640, n_hosts=3, random_state=3)
    field.wcs.wcs.cdelt *= 0.262 / field.pixel_scale
    bricks = tmp_path / "bricks"
    bricks.mkdir()
    for band, image in zip(field.bands, field.fluxes, strict=True):
        fits.writeto(bricks / f"b-image-{band}.fits", image, field.wcs.to_header())
    sky = field.wcs.pixel_to_world(*np.random.default_rng(2).uniform(150, 490, (2, 20)))
    table = Table({"ra": sky.ra.arcsec * u.arcsec, "dec": sky.dec.deg * u.deg})
    table["dec"][4] = np.nan
    service = CutoutFetcher("local", base_url=bricks)
    expected = ShredTable(table)
    expected.add_p_cnn(service=service)
    for suffix in (".fits", ".parquet"):
        path, output = tmp_path / f"in{suffix}", tmp_path / f"out{suffix}"
        table.write(path)
        count_scored["n"], count_scored["stop"] = 0, 12
        with pytest.raises(Stop):
            classify_catalogue(path, output, service=service, chunk_size=5)
        count_scored["stop"] = None
        classify_catalogue(path, output, service=service, chunk_size=5, resume=True)
        result = ShredTable.read(output)
        assert result["p_cnn_flag"].tolist() == expected["p_cnn_flag"].tolist()
        assert result["p_cnn_flag"][4] == "no position"
        np.testing.assert_allclose(result["p_cnn"], expected["p_cnn"], rtol=1e-4, atol=1e-6)
    with pytest.raises(
        ValueError, match=r"shape \(1,\), but the catalogue has 20 rows: give one position per row"
    ):
        classify_catalogue(
            path, tmp_path / "x.fits", position=SkyCoord([1], [2], unit="deg"), service=service
        )


def test_scoring_again(folder, tmp_path):
    path = tmp_path / "in.fits"
    make_catalogue().write(path)
    outputs = [tmp_path / "one.fits", tmp_path / "two.fits"]
    for source, output in zip([path, outputs[0]], outputs, strict=True):
        classify_catalogue(source, output, cutouts=folder, pattern=PATTERN)
    assert_same(ShredTable.read(outputs[1]), ShredTable.read(outputs[0]))
    table = make_catalogue()
    table["p_cnn"] = 1
    table.write(path, overwrite=True)
    options = {"cutouts": folder, "pattern": PATTERN}
    with pytest.raises(ValueError, match="did not write"):
        classify_catalogue(path, tmp_path / "three.fits", overwrite=True, **options)
    classify_catalogue(path, tmp_path / "three.fits", replace_columns=True, **options)
    result = ShredTable.read(tmp_path / "three.fits")
    np.testing.assert_array_equal(result["p_cnn"], ShredTable.read(outputs[0])["p_cnn"])


@needs("pyarrow")
@pytest.mark.filterwarnings("ignore:the .* has no rows")
def test_empty_catalogues(folder, tmp_path):
    for suffix in (".fits", ".parquet"):
        path, output = tmp_path / f"in{suffix}", tmp_path / f"out{suffix}"
        make_catalogue()[:0].write(path)
        scored = classify_catalogue(path, output, cutouts=folder, pattern=PATTERN)
        assert len(scored) == 0
        assert len(Table.read(output)) == 0


def test_invalid_arguments_are_refused(folder, tmp_path):
    path, output = tmp_path / "in.fits", tmp_path / "out.fits"
    make_catalogue().write(path)
    for error, match, options in (
        (ValueError, "must be a folder", {"cutouts": np.zeros((50, 128, 128, 3))}),
        (ValueError, "describe given cutouts, but cutouts is None", {"cutouts": None}),
        (ValueError, "got both cutouts and service", {"service": "legacy"}),
        (ValueError, "chunk_size must be", {"chunk_size": 0}),
        (ValueError, "prior must be", {"prior": 2}),
    ):
        with pytest.raises(error, match=match):
            classify_catalogue(path, output, **({"cutouts": folder, "pattern": PATTERN} | options))
    assert not output.exists()


def test_command_resumes(folder, tmp_path, count_scored, capsys, monkeypatch):
    path, output = tmp_path / "in.fits", tmp_path / "out.fits"
    make_catalogue().write(path)
    command = ["classify", str(path), "--cutouts", str(folder), "-o", str(output)]
    command += ["--chunk-size", "10"]
    monkeypatch.setitem(globals(), "Stop", KeyboardInterrupt)
    count_scored["stop"] = 25
    assert main(command) == 130
    assert "--resume continues" in capsys.readouterr().err
    count_scored["stop"] = None
    assert main(command) == 1
    message = capsys.readouterr().err
    assert "use --resume to continue it or --overwrite to start again" in message
    assert main([*command, "--resume"]) == 0
    assert "50 sources" in capsys.readouterr().err
