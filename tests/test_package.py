import os
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

import shredfinder

ROOT = Path(__file__).parents[1]

HEAVY = ("keras", "torch", "jax", "tensorflow", "onnxruntime", "astroquery", "pyvo", "matplotlib")


def test_import_brings_nothing_heavy():
    code = f"import sys, shredfinder; print([m for m in {HEAVY} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_every_public_name_is_there():
    for name in shredfinder.__all__:
        assert getattr(shredfinder, name) is not None
        assert name in dir(shredfinder)


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="nonsense"):
        shredfinder.nonsense  # noqa: B018


def test_scoring_needs_no_backend():
    # (None in sys.modules would upset scikit-learn, which looks for arrays of these packages.)
    code = (
        "import sys\n"
        "class Blocker:\n"
        "    def find_spec(name, path=None, target=None):\n"
        "        if name in ('torch', 'jax', 'tensorflow', 'keras', 'onnx'):\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Blocker)\n"
        "sys.modules['matplotlib'] = None\n"
        "import numpy as np\n"
        "from shredfinder import ShredClassifier\n"
        "from shredfinder.datasets import example_cutouts\n"
        "X = example_cutouts().images[:2]\n"
        "assert np.isfinite(ShredClassifier.load().predict_proba(X)).all()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_tables_do_not_load_the_statistics_packages():
    code = (
        "import sys\n"
        "from shredfinder import ShredTable\n"
        "assert not {'sklearn', 'scipy.stats', 'keras'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_to_cite_is_told():
    assert "2301.09648" in shredfinder.__citation__
    assert f"version = {{{shredfinder.__version__}}}" in shredfinder.__citation__


def test_citation_file_names_this_version():
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {shredfinder.__version__}\n" in text


def test_typed_package_says_so():
    assert resources.files("shredfinder").joinpath("py.typed").is_file()


def test_homes_that_cannot_be_written_cost_one_warning(tmp_path):
    # Astropy refuses a home that is no folder, also where the user may write everywhere.
    (tmp_path / "home").write_text("")
    table = tmp_path / "a.csv"
    table.write_text("objID,ra,dec\n1,1.5,0.2\n")
    fetcher = "CutoutFetcher('legacy', offline=True)"
    run = "from shredfinder import ShredTable; from shredfinder.cutouts import CutoutFetcher; "
    run += f"ShredTable.read({str(table)!r}).add_p_cnn(service={fetcher})"
    env = {k: v for k, v in os.environ.items() if not k.startswith("XDG_")}
    env |= {"HOME": str(tmp_path / "home"), "USERPROFILE": str(tmp_path / "home")}
    command = ["-m", "shredfinder", "classify", str(table), "-o", f"{table}.fits", "--offline"]
    for argv in (["-c", run], command):
        done = subprocess.run(
            [sys.executable, *argv], env=env, capture_output=True, text=True, check=True
        )
        assert done.stderr.count("cache folder cannot be created") == 1
        assert "XDG_CACHE_HOME" in done.stderr


SCORE = """
import os, sys
import numpy as np
from shredfinder import ShredClassifier
sys.addaudithook(lambda event, args: event.startswith("socket.") and print(event))
images = np.random.default_rng(0).integers(0, 255, (2, 128, 128, 3), dtype=np.uint8)
ShredClassifier.load().predict_proba(images)
print(os.environ["ORT_DISABLE_TELEMETRY"])
"""


@pytest.mark.parametrize("own", [None, "0"])
def test_scoring_sends_nothing_and_leaves_nothing_at_home(tmp_path, own):
    # ONNX Runtime sends nothing where CI is set, and would pass there.
    env = {k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "CI", "ORT_"))}
    env |= {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}
    if own is not None:
        env["ORT_DISABLE_TELEMETRY"] = own
    done = subprocess.run(
        [sys.executable, "-c", SCORE], env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [own or "1"]
    if own is None:
        assert list(tmp_path.iterdir()) == []


def test_only_one_module_imports_onnx_runtime():
    root = resources.files("shredfinder")
    modules = [
        path for path in Path(str(root)).rglob("*.py") if "import onnxruntime" in path.read_text()
    ]
    assert [path.name for path in modules] == ["onnx_graph.py"]
