"""Execute the notebook of the documentation and check its outputs."""

import importlib.util
import os
from pathlib import Path

import pytest

from tests.conftest import needs

NOTEBOOK = Path(__file__).parents[1] / "docs" / "notebooks" / "score_a_table.ipynb"
MISSING = [
    name for name in ("ipykernel", "nbclient", "nbformat") if not importlib.util.find_spec(name)
]


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    if MISSING:
        pytest.skip(f"executing a notebook needs {' and '.join(MISSING)}")
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(NOTEBOOK, as_version=4)
    folder = tmp_path_factory.mktemp("notebook")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(
            [str(NOTEBOOK.parents[2]), os.environ.get("PYTHONPATH", "")]
        ).rstrip(os.pathsep),
        "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
    }
    client = NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
    )
    return client.execute(env=environment)


def get_html(notebook, text):
    """Return the HTML output of the cell that contains a text."""
    (cell,) = (cell for cell in notebook.cells if cell.cell_type == "code" and text in cell.source)
    (html,) = (out.data["text/html"] for out in cell.outputs if "text/html" in out.get("data", {}))
    return html


def test_notebook_is_stored_without_outputs():
    import json

    cells = json.loads(NOTEBOOK.read_text())["cells"]
    assert not any(cell.get("outputs") for cell in cells)


def test_table_is_shown_in_colour_and_without_images(executed):
    html = get_html(executed, "add_p_cnn")
    assert html.count("<span style=") >= 10
    assert "<img" not in html


def test_cutouts_are_shown(executed):
    html = get_html(executed, "max_rows=16")
    assert html.count("<img") == html.count("<svg") == 16
    assert len(html) < 300_000


@needs("ipywidgets")
def test_cells_print_nothing(executed):
    streams = [out for cell in executed.cells for out in cell.get("outputs", ()) if "name" in out]
    assert streams == []
