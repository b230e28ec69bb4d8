"""Temporary files of dead processes are removed, those of living ones are not."""

import os
import subprocess
import sys
import time

import pytest

from shredfinder._utils import leftovers
from shredfinder._utils.files import atomic_write
from shredfinder._utils.leftovers import (
    acquire_lock,
    is_leftover,
    lock_folder,
    release_lock,
    remove_leftovers,
    temporary_beside,
)
from shredfinder.exceptions import ShredfinderWarning

# A process that claims a temporary file and a lock, and waits.
CLAIM = """
import pathlib, sys, time
from shredfinder._utils.leftovers import acquire_lock, temporary_beside
folder = pathlib.Path(sys.argv[1])
lock = acquire_lock(folder, folder)
with temporary_beside(folder / "a.fits") as path:
    path.write_text("half")
    print(path, flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(os.name != "posix", reason="elsewhere only the age counts")
def test_killed_processes_leave_nothing_for_long(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", CLAIM, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        path = process.stdout.readline().strip()
        remove_leftovers(tmp_path)
        assert os.path.exists(path)
        with pytest.raises(FileExistsError, match="another process is writing"):
            acquire_lock(tmp_path, "out.fits")
        process.kill()
    assert is_leftover(path)
    (tmp_path / ".notes.fits").touch()
    with lock_folder(tmp_path):
        assert not os.path.exists(path)
    assert [item.name for item in tmp_path.iterdir()] == [".notes.fits"]


def test_the_first_file_in_a_folder_removes_leftovers(tmp_path):
    names = [f".a-shredfinder-{leftovers._MACHINE}-{os.getpid()}-{i}.png" for i in (-1, 10**9)]
    # Numbers of this process that it has not given away, as after the restart of a container.
    leftover = tmp_path / names[1]
    leftover.mkdir()
    (leftover / "b").touch()
    with atomic_write(tmp_path / "a.png") as temporary:
        temporary.touch()
        remove_leftovers(tmp_path)
        assert temporary.exists()
    assert [item.name for item in tmp_path.iterdir()] == ["a.png"]
    assert not is_leftover(tmp_path / names[0])


def test_files_of_other_machines_are_leftovers_when_they_are_old(tmp_path):
    path = tmp_path / ".a-shredfinder-00000000-1-1.fits"
    path.touch()
    assert not is_leftover(path)
    os.utime(path, (0, time.time() - 2 * 86_400))
    assert is_leftover(path)


@pytest.mark.parametrize("name", ["x" * 250 + ".fits", "é" * 125 + ".fits", "a.tar.gz", "out"])
def test_names_of_any_length_have_temporary_ones(tmp_path, name):
    with atomic_write(tmp_path / name) as temporary:
        temporary.write_text("content")
        assert temporary.suffix == (tmp_path / name).suffix
    assert [item.name for item in tmp_path.iterdir()] == [name]


def test_file_systems_without_locks_cause_a_warning(tmp_path, monkeypatch):
    def refuse(*args, **options):
        raise NotImplementedError

    monkeypatch.setattr("filelock.FileLock.acquire", refuse)
    with pytest.warns(ShredfinderWarning, match="cannot lock"):
        release_lock(acquire_lock(tmp_path, tmp_path))


def test_an_ending_process_removes_its_temporary_files(tmp_path):
    code = (
        "import os, pathlib, sys\n"
        "from shredfinder._utils.leftovers import remove_temporaries, temporary_beside\n"
        "with temporary_beside(pathlib.Path(sys.argv[1]) / 'a.fits') as path:\n"
        "    path.touch()\n"
        "    remove_temporaries()\n"
        "    os._exit(0)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    assert not list(tmp_path.iterdir())
    with temporary_beside(tmp_path / "b.fits") as path:
        assert path.parent == tmp_path
