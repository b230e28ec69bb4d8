"""Build the sdist and the wheel, check both, and run the demo from the wheel alone.

The wheel is installed into a new environment, which holds nothing else, and the demo is run in
another folder, so that nothing of the checkout can stand in for what the wheel lacks.
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
_LARGEST = 15e6  # bytes
_IN_WHEEL = ("shredfinder/py.typed", "shredfinder/CITATION.bib")
_MODELS = (
    "shredfinder/models/data/embedded.shredmodel",
    "shredfinder/models/data/robust.shredmodel",
)
_IN_SDIST = ("tests/", "docs/", "benchmarks/", "conftest.py", "tox.ini", "CHANGES.rst")
_NOWHERE = ("__pycache__", ".pyc", ".hypothesis", ".pytest_cache", "docs/_build", "docs/api/")


def main():
    """Build and check; the exit status is 0 only if all is well."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--no-install", action="store_true", help="build and check only")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the distributions here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        dist = Path(folder, "dist")
        # The wheel is made of the sdist, which so is shown to be enough to build from.
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
    print("the distributions are well")


def _run(*command, **options):
    subprocess.run([str(part) for part in command], check=True, **options)


def _check_sdist(sdist):
    with tarfile.open(sdist) as file:
        names = [name.partition("/")[2] for name in file.getnames()]
    _check_names(sdist, names, (*_IN_SDIST, *_IN_WHEEL, *_MODELS))
    tests = {str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("*.py")}
    if missing := sorted(tests.difference(names)):
        raise SystemExit(f"{sdist.name} lacks tests: {', '.join(missing)}")


def _check_wheel(wheel):
    with zipfile.ZipFile(wheel) as file:
        names = file.namelist()
    _check_names(wheel, names, (*_IN_WHEEL, *_MODELS))
    if strange := [name for name in names if not name.startswith("shredfinder")]:
        raise SystemExit(f"{wheel.name} holds more than the package: {', '.join(strange)}")
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "shredfinder").rglob("*.py")}
    if missing := sorted(modules.difference(names)):
        raise SystemExit(f"{wheel.name} lacks modules: {', '.join(missing)}")


def _check_names(file, names, needed):
    size = file.stat().st_size
    print(f"{file.name}: {len(names)} entries, {size / 1e6:.2f} MB")
    if size > _LARGEST:
        raise SystemExit(f"{file.name} has {size / 1e6:.1f} MB: {_LARGEST / 1e6:.0f} at most")
    for part in needed:
        if not any(name.startswith(part) for name in names):
            raise SystemExit(f"{file.name} lacks {part}")
    for part in _NOWHERE:
        if found := [name for name in names if part in name]:
            raise SystemExit(f"{file.name} holds {', '.join(found)}")


def _run_demo(wheel, folder):
    venv.create(folder / "empty", with_pip=True)
    bin_folder = folder / "empty" / ("Scripts" if sys.platform == "win32" else "bin")
    _run(bin_folder / "python", "-m", "pip", "install", "--quiet", f"{wheel}[plot]")
    (folder / "elsewhere").mkdir()
    _run(bin_folder / "shredfinder", "demo", "-o", "field.png", cwd=folder / "elsewhere")
    if not (folder / "elsewhere" / "field.png").stat().st_size:
        raise SystemExit("the demo drew nothing")


if __name__ == "__main__":
    main()
