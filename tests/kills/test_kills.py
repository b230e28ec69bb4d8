"""A run may be killed at any step: no row is lost or wrong, and nothing is left behind."""

import os
import signal

import numpy as np
import pytest
from astropy.table import Table
from PIL import Image

from shredfinder import Cutouts
from shredfinder._utils.leftovers import lock_folder
from shredfinder.bulk.state import get_state_folder
from shredfinder.table import read_catalogue
from tests.cutouts.conftest import host_centred
from tests.cutouts.loopback import LoopbackServer
from tests.kills.victims import run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGKILL"),
]
N_ROWS = 12
# Kills of each run: every step, or as many as fit.
MOST = int(os.environ.get("SHREDFINDER_KILLS", "14"))


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Return a folder with a catalogue and its cutouts."""
    folder = tmp_path_factory.mktemp("sources")
    rng = np.random.default_rng(1)
    coords = host_centred(2, 6, seed=1)
    table = Table({"objid": np.arange(N_ROWS), "ra": coords.ra.deg, "dec": coords.dec.deg})
    table.write(folder / "in.fits")
    for i in range(N_ROWS):
        image = rng.integers(0, 20 * (i + 1), (128, 128, 3), dtype=np.uint8)
        Image.fromarray(image).save(folder / f"{i}.png", compress_level=0)
    return folder


def list_names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def report(name, n_kills, n_steps):
    print(f"FIGURE {name}: {n_kills} kills at {n_steps} steps, rows lost 0, wrong 0, leftovers 0")


def choose_steps(n_steps):
    """Return every step, or evenly spaced ones and all of the final clean-up."""
    spaced = np.linspace(1, n_steps, min(n_steps, MOST)).astype(int).tolist()
    return sorted({*spaced, *range(max(n_steps - 12, 1), n_steps + 1)})


@pytest.mark.parametrize(
    ("suffix", "replace"), [(".fits", False), (".fits", True), (".ecsv", False)]
)
def test_classify(sources, tmp_path, suffix, replace):
    def make(name):
        return [
            *("classify", str(sources / "in.fits"), "--cutouts", str(sources)),
            *("--pattern", "{objid}.png", "--chunk-size", "4", "-o", str(tmp_path / name)),
        ]

    whole = {}
    for model in "ab":
        assert run(make(f"{model}{suffix}"), model)[0] == 0
        path = tmp_path / f"{model}{suffix}"
        assert np.isfinite(read_catalogue(path)["p_cnn"]).all()
        whole[model] = path.read_bytes()
        path.unlink()
    assert whole["a"] != whole["b"]
    output, command = tmp_path / f"out{suffix}", make(f"out{suffix}")
    # An older output is of model b, or there is none.
    command += ["--overwrite"] if replace else []

    def prepare():
        if replace:
            output.write_bytes(whole["b"])
            os.utime(output, (0, 0))

    prepare()
    _, n_steps = run(command, "a", folder=tmp_path)
    output.unlink()
    steps = choose_steps(n_steps)
    for step in steps:
        prepare()
        status, _ = run(command, "a", kill_at=step, folder=tmp_path)
        assert status == -signal.SIGKILL, step
        # Whole or absent, after a kill too.
        contents = [*whole.values()] if replace else [whole["a"]]
        assert not output.exists() or output.read_bytes() in contents, step
        # Another model neither adopts nor mixes scores: it is refused, or scores all rows.
        other, _ = run([*command, "--resume"], "b", folder=tmp_path)
        if other == 0:
            assert output.read_bytes() == whole["b"], step
        else:
            run([*command, "--resume"], "a", folder=tmp_path)
            assert output.read_bytes() == whole["a"], step
        assert list_names(tmp_path) == [output.name], step
        assert not get_state_folder(output).exists()
        output.unlink()
    report(f"classify {suffix} {'again' if replace else ''}", len(steps), n_steps)


def test_fetch(sources, tmp_path):
    folder = tmp_path / "images"
    with LoopbackServer() as server:

        def make(size, name):
            return [
                *("fetch", str(sources / "in.fits"), "--pattern", "{objid}.png", "--rate", "0"),
                *("--base-url", server.viewer, "--cache", str(tmp_path / "cache"), "--size"),
                *(str(size), "-o", str(tmp_path / name), "--overwrite"),
            ]

        whole = {}
        for size in (16, 24):
            assert run(make(size, str(size)))[0] == 0
            whole[size] = Cutouts.read(tmp_path / str(size)).images
        _, n_steps = run(make(16, "images"), folder=tmp_path)
        steps = choose_steps(n_steps)
        for n, step in enumerate(steps):
            # Half of the runs replace an older folder of another size.
            if n % 2:
                run(make(24, "images"))
            else:
                for path in folder.glob("*"):
                    path.unlink()
            status, _ = run(make(16, "images"), kill_at=step, folder=tmp_path)
            assert status in (0, -signal.SIGKILL), step
            if (folder / "cutouts.ecsv").exists():
                # The table describes the images that are there.
                images = Cutouts.read(folder).images
                np.testing.assert_array_equal(images, whole[images.shape[1]])
            size = (16, 24)[n // 2 % 2]
            assert run(make(size, "images"))[0] == 0
            np.testing.assert_array_equal(Cutouts.read(folder).images, whole[size])
            expected = sorted([*(f"{i}.png" for i in range(N_ROWS)), "cutouts.ecsv"])
            assert list_names(folder) == expected, step
            assert not [name for name in list_names(tmp_path) if "-shredfinder-" in name]
    report("fetch", len(steps), n_steps)


def test_run(sources, tmp_path):
    def make(name):
        return [
            *("run", "--center", "10 0", "--radius", "0.1", "--hosts", "none"),
            *("--cutouts", str(sources), "--pattern", "{objid}.png", "--overwrite"),
            *("--save", str(tmp_path / "steps"), "-o", str(tmp_path / name)),
        ]

    whole = {}
    for model in "ab":
        assert run(make("out.csv"), model)[0] == 0
        whole[model] = (tmp_path / "out.csv").read_bytes()
        for path in [*(tmp_path / "steps").glob("*"), tmp_path / "out.csv"]:
            path.unlink()
    assert whole["a"] != whole["b"]
    _, n_steps = run(make("out.csv"), "a", folder=tmp_path)
    names = list_names(tmp_path)
    steps = choose_steps(n_steps)
    for n, step in enumerate(steps):
        # Half of the runs follow one of another model, whose steps are in the folder.
        if n % 2:
            run(make("out.csv"), "b")
        status, _ = run(make("out.csv"), "a", kill_at=step, folder=tmp_path)
        assert status in (0, -signal.SIGKILL), step
        assert (tmp_path / "out.csv").read_bytes() in whole.values(), step
        for model in ("b", "a") if n // 2 % 2 else ("a", "b"):
            assert run(make("out.csv"), model)[0] == 0
            assert (tmp_path / "out.csv").read_bytes() == whole[model], step
        assert list_names(tmp_path) == names, step
    report("run --save", len(steps), n_steps)


def test_the_second_process_is_refused(sources, tmp_path):
    """Another process holds the lock; it is free as soon as that process is killed."""
    (tmp_path / "steps").mkdir()
    command = [
        *("run", "--center", "10 0", "--radius", "0.1", "--hosts", "none", "--cutouts"),
        *(str(sources), "--pattern", "{objid}.png", "-o", str(tmp_path / "out.csv")),
        *("--save", str(tmp_path / "steps")),
    ]
    with lock_folder(tmp_path / "steps"):
        assert run(command)[0] == 1
        assert not (tmp_path / "out.csv").exists()
    assert run(command)[0] == 0
