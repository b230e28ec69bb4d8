"""Execute the notebooks of the documentation, and check their outputs and the stored ones."""

import importlib.util
import json
import tempfile
from pathlib import Path

import pytest

from tests.conftest import needs

FOLDER = Path(__file__).parents[1] / "docs" / "notebooks"
NAMES = sorted(path.stem for path in FOLDER.glob("*.ipynb"))
# Optional packages of the notebooks.
REQUIREMENTS = {
    "host_to_satellites": ("jinja2", "matplotlib"),
    "score_a_table": ("matplotlib",),
    "train_for_your_survey": ("jax", "matplotlib", "onnx"),
}
MISSING = [
    name for name in ("ipykernel", "nbclient", "nbformat") if not importlib.util.find_spec(name)
]


@pytest.fixture(scope="module")
def urls():
    """Start the simulated services that the notebooks query."""
    from docs.simulated_services import running_simulated_services

    with (
        tempfile.TemporaryDirectory() as folder,
        running_simulated_services(folder) as running,
    ):
        yield running


@pytest.fixture(scope="module", params=NAMES)
def executed(request, urls, tmp_path_factory):
    """Return the name of each notebook, and the notebook executed in a new folder."""
    lacking = MISSING + [
        name for name in REQUIREMENTS[request.param] if not importlib.util.find_spec(name)
    ]
    if lacking:
        pytest.skip(f"executing the notebook needs {' and '.join(lacking)}")
    from docs.execute_notebooks import execute

    path = FOLDER / f"{request.param}.ipynb"
    return request.param, execute(path, tmp_path_factory.mktemp("notebook"), urls)


def list_outputs(cells):
    """Return the kinds of the outputs of each code cell; images are of one kind."""
    return [
        [
            sorted(kind.partition("/")[0] for kind in output.get("data", {"text/plain": ""}))
            for output in cell["outputs"]
        ]
        for cell in cells
        if cell["cell_type"] == "code"
    ]


def get_html(notebook, text):
    """Return the HTML output of the cell that contains a text."""
    (cell,) = (cell for cell in notebook.cells if cell.cell_type == "code" and text in cell.source)
    (html,) = (out.data["text/html"] for out in cell.outputs if "text/html" in out.get("data", {}))
    return html


@pytest.mark.parametrize("name", NAMES)
def test_stored_outputs_are_small_and_clean(name):
    path = FOLDER / f"{name}.ipynb"
    assert path.stat().st_size < 450_000
    cells = json.loads(path.read_text("utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", ())]
    assert len(outputs) > 4
    # Neither errors nor warnings, which are on stderr.
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert not [output for output in outputs if output.get("name") == "stderr"]


@pytest.mark.slow
@needs("ipywidgets")
def test_outputs_are_of_the_stored_kinds(executed):
    """Stored outputs are those of the cells: run ``python -m docs.execute_notebooks``."""
    name, notebook = executed
    stored = json.loads((FOLDER / f"{name}.ipynb").read_text("utf-8"))["cells"]
    assert list_outputs(stored) == list_outputs(notebook.cells)
    if name == "score_a_table":
        html = get_html(notebook, '"p_cnn_flag"][:10]')
        assert html.count("<span style=") >= 10
        assert "<img" not in html
        html = get_html(notebook, "max_rows=12")
        assert html.count("<img") == html.count("<svg") == 12
        assert len(html) < 300_000
