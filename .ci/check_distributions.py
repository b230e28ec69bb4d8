"""Build the sdist and the wheel, check both, and run the demo from the wheel.

The wheel is installed into a new environment and the demo runs in another folder, so that files
missing from the wheel are not found in the checkout.
"""

import argparse
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_MAX_SIZE = 15e6  # bytes
_IN_WHEEL = ("shredfinder/py.typed", "shredfinder/CITATION.bib")
_MODELS = (
    "shredfinder/models/data/embedded.shredmodel",
    "shredfinder/models/data/robust.shredmodel",
)
_IN_SDIST = ("tests/", "docs/", "benchmarks/", "conftest.py", "tox.ini", "CHANGES.rst")
_FORBIDDEN = (
    *("__pycache__", ".pyc", ".hypothesis", ".pytest_cache"),
    *("docs/_build", "docs/api/", "docs/examples/"),
)


def main():
    """Build and check; the exit status is 0 only if every check passes."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--no-install", action="store_true", help="build and check only, run no demo"
    )
    parser.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="copy the distributions to this folder"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        dist = Path(folder, "dist")
        # This builds the wheel from the sdist, which shows that the sdist is complete.
        _run(sys.executable, "-m", "build", "--outdir", dist, ROOT)
        files = sorted(dist.iterdir())
        _run(sys.executable, "-m", "twine", "check", "--strict", *files)
        sdist = next(file for file in files if file.name.endswith(".tar.gz"))
        wheel = next(file for file in files if file.suffix == ".whl")
        _run(sys.executable, "-m", "check_wheel_contents", wheel)
        _check_sdist(sdist)
        _check_wheel(wheel)
        if not arguments.no_install:
            _run_demo(wheel, Path(folder))
        if arguments.keep:
            shutil.copytree(dist, arguments.keep)
    print("all checks of the distributions passed")


def _run(*command, **options):
    subprocess.run([str(part) for part in command], check=True, **options)


def _check_sdist(sdist):
    with tarfile.open(sdist) as file:
        names = [name.partition("/")[2] for name in file.getnames()]
    _check_names(sdist, names, (*_IN_SDIST, *_IN_WHEEL, *_MODELS))
    tests = {str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("*.py")}
    if missing := sorted(tests.difference(names)):
        raise SystemExit(f"{sdist.name} does not contain these tests: {', '.join(missing)}")


def _check_wheel(wheel):
    with zipfile.ZipFile(wheel) as file:
        names = file.namelist()
    _check_names(wheel, names, (*_IN_WHEEL, *_MODELS))
    if foreign := [name for name in names if not name.startswith("shredfinder")]:
        raise SystemExit(f"{wheel.name} contains files outside the package: {', '.join(foreign)}")
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "shredfinder").rglob("*.py")}
    if missing := sorted(modules.difference(names)):
        raise SystemExit(f"{wheel.name} does not contain these modules: {', '.join(missing)}")


def _check_names(file, names, needed):
    size = file.stat().st_size
    print(f"{file.name}: {len(names)} entries, {size / 1e6:.2f} MB")
    if size > _MAX_SIZE:
        raise SystemExit(
            f"{file.name} has {size / 1e6:.1f} MB, the limit is {_MAX_SIZE / 1e6:.0f} MB"
        )
    for part in needed:
        if not any(name.startswith(part) for name in names):
            raise SystemExit(f"{file.name} does not contain {part}")
    for part in _FORBIDDEN:
        if found := [name for name in names if part in name]:
            raise SystemExit(
                f"{file.name} contains files that do not belong in it: {', '.join(found)}"
            )


def _run_demo(wheel, folder):
    venv.create(folder / "empty", with_pip=True)
    bin_folder = folder / "empty" / ("Scripts" if sys.platform == "win32" else "bin")
    _run(bin_folder / "python", "-m", "pip", "install", "--quiet", f"{wheel}[plot]")
    (folder / "elsewhere").mkdir()
    _run(bin_folder / "shredfinder", "demo", "-o", "field.png", cwd=folder / "elsewhere")
    if not (folder / "elsewhere" / "field.png").stat().st_size:
        raise SystemExit("the demo wrote an empty image")


if __name__ == "__main__":
    main()
