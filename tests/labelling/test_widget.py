import importlib.util
import sys

import pytest
from PIL import Image

from shredfinder.exceptions import MissingDependencyError
from shredfinder.labelling import (
    DEFINITIONS,
    LabellingSession,
    LabellingWidget,
    LabelStore,
    read_labels,
)


@pytest.fixture
def session(tmp_path):
    for row in range(2):
        Image.new("RGB", (16, 16), (90, 80 * row, 60)).save(tmp_path / f"{row}.png")
    store = LabelStore(tmp_path / "labels.ecsv")
    return LabellingSession([10, 11, 12], store, "ann", order=[1, 2, 0])


@pytest.fixture
def widget(tmp_path, session):
    pytest.importorskip("ipywidgets")
    return LabellingWidget(session, [tmp_path / f"{row}.png" for row in range(3)])


def picture(widget):
    return widget.box.children[0].value


def test_buttons_label_the_source(widget, session):
    first = picture(widget)
    assert "data:image/png;base64," in first
    assert widget.undo.disabled
    widget.confidences[3].click()
    assert (widget.message, session.n_done) == ("Choose the class before the confidence.", 0)
    # A click in the notebook sets the toggle's value.
    widget.labels["galaxy"].value = True
    widget.labels["shred"].value = True
    assert not widget.labels["galaxy"].value
    widget.confidences[2].click()
    assert session.store.get("ann") == {11: ("shred", 2)}
    assert not widget.labels["shred"].value
    assert "unusable (missing)" in picture(widget)
    widget.undo.click()
    assert (session.store.get("ann"), picture(widget)) == ({}, first)
    widget.skip.click()
    assert session.current == 2


def test_an_untoggled_class_is_none(widget, session):
    widget.labels["galaxy"].value = True
    widget.labels["galaxy"].value = False
    widget.confidences[1].click()
    assert session.n_done == 0


def test_the_mark_can_be_hidden(widget):
    assert picture(widget).count("<line") == 8
    widget.mark.value = False
    assert "<line" not in picture(widget)


def test_the_centre_is_enlarged_beside_the_whole_cutout(widget):
    assert picture(widget).count("<svg") == 2
    assert 'viewBox="33.33 33.33 33.33 33.33"' in picture(widget)
    widget.closeup.value = False
    assert picture(widget).count("<svg") == 1
    assert 'viewBox="0 0 100 100"' in picture(widget)


def test_the_classes_are_defined(widget):
    texts = [getattr(child, "value", "") for child in widget.box.children[1].children]
    for meaning in DEFINITIONS.values():
        assert any(meaning in str(text) for text in texts)


def test_the_end_is_reported(widget, session):
    for label in ("galaxy", "other", "shred"):
        widget.labels[label].value = True
        widget.confidences[1].click()
    assert "All sources are labelled" in picture(widget)
    assert widget.skip.disabled
    assert widget.labels["galaxy"].disabled
    widget.undo.click()
    assert session.n_done == 2
    assert not widget.skip.disabled


def test_a_failure_to_save_is_reported(widget, session, monkeypatch):
    def fail(*args):
        raise OSError("no space left")

    monkeypatch.setattr(session.store, "add", fail)
    widget.labels["galaxy"].value = True
    widget.confidences[1].click()
    assert widget.message == "Not saved: no space left"
    assert widget.labels["galaxy"].value


def test_a_missing_package_is_reported(session, monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    with pytest.raises(MissingDependencyError, match=r"shredfinder\[label\]"):
        LabellingWidget(session, [None] * 3)


def test_refuses_paths_that_do_not_fit(session):
    with pytest.raises(ValueError, match="one path for each of 3 sources: got 1"):
        LabellingWidget(session, [None])


@pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("ipykernel", "nbclient", "ipywidgets"))),
    reason="notebooks are run by ipykernel and nbclient",
)
@pytest.mark.filterwarnings("ignore")  # of Jupyter, about itself
def test_shows_itself_in_a_notebook(tmp_path, session):
    import nbclient
    import nbformat

    cells = [
        "from shredfinder.labelling import LabellingSession, LabellingWidget, LabelStore\n"
        "store = LabelStore('labels.ecsv')\n"
        "session = LabellingSession([10, 11, 12], store, 'ann', order=[1, 2, 0])\n"
        "widget = LabellingWidget(session, ['0.png', '1.png', '2.png'])\n"
        "widget",
        "widget.labels['shred'].value = True; widget.confidences[3].click()",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    client = nbclient.NotebookClient(
        notebook, timeout=60, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    (output,) = notebook.cells[0].outputs
    shown = output["data"]["application/vnd.jupyter.widget-view+json"]["model_id"]
    models = notebook.metadata["widgets"]["application/vnd.jupyter.widget-state+json"]["state"]
    assert models[shown]["model_name"] == "HBoxModel"
    texts = [str(model["state"].get("value")) for model in models.values()]
    assert "ann: 1 of 3" in texts
    assert read_labels(tmp_path / "labels.ecsv")["label"].tolist() == ["shred"]
