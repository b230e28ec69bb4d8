"""The labelling widget for notebooks."""

from __future__ import annotations

import base64
import html
from typing import TYPE_CHECKING

from shredfinder._utils.runtime import import_optional
from shredfinder.labelling.blind_session import check_paths, encode_cutout
from shredfinder.labelling.store import DEFINITIONS, LABELS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shredfinder._utils.validation import PathLike
    from shredfinder.labelling.blind_session import LabellingSession

__all__ = ["LabellingWidget"]

__doctest_requires__ = {"LabellingWidget": ["ipywidgets"]}

_CONFIDENCES = {1: "guess", 2: "likely", 3: "certain"}
# Four short lines around the centre of the image, in per cent of its side, as on the page.
_MARK = "".join(
    f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" vector-effect="non-scaling-stroke"/>'
    for x1, y1, x2, y2 in ((50, 41, 50, 46), (50, 54, 50, 59), (41, 50, 46, 50), (54, 50, 59, 50))
)


class LabellingWidget:
    """Label the cutouts of a session in a Jupyter notebook.

    Make it the last expression of a cell to display it: the cutout with its centre marked, its
    central third enlarged, the definitions of the classes, and buttons for the class, the
    confidence (which saves the label), undo, skip, the mark and the close-up.

    Parameters
    ----------
    session : LabellingSession
        The session.
    paths : sequence of path-like or None
        The image file of each source, for example from `~shredfinder.table.find_image_files`.
    size : int, optional
        Width and height of the cutout and of its close-up in screen pixels.

    Attributes
    ----------
    labels : dict
        A toggle button per class.
    confidences : dict
        A button per confidence, 1 to 3.
    undo, skip, mark, closeup : object
        The other buttons of ipywidgets.
    box : object
        The whole widget, an ``HBox`` of ipywidgets.

    Raises
    ------
    shredfinder.exceptions.MissingDependencyError
        If ipywidgets is not installed.
    ValueError
        If ``paths`` has another length than the session's sources.

    Examples
    --------
    >>> from shredfinder.labelling import LabellingSession, LabellingWidget, LabelStore
    >>> store = LabelStore(getfixture("tmp_path") / "labels.ecsv")
    >>> session = LabellingSession([11, 12], store, "ann")
    >>> widget = LabellingWidget(session, ["11.png", "12.png"])
    >>> widget.labels["shred"].value = True
    >>> widget.confidences[2].click()
    >>> session.n_done
    1
    """

    def __init__(
        self,
        session: LabellingSession,
        paths: Sequence[PathLike | None],
        *,
        size: int = 380,
    ) -> None:
        check_paths(session, paths)
        widgets = import_optional("ipywidgets", "labelling in a notebook")
        self._session, self._paths, self._size = session, paths, size
        self._label: str | None = None
        self._view = widgets.HTML()
        self._progress = widgets.IntProgress(max=max(session.n_total, 1))
        self._status, self._message = widgets.Label(), widgets.Label()
        self.labels = {name: widgets.ToggleButton(description=name) for name in LABELS}
        self.confidences = {
            value: widgets.Button(description=f"{value}: {name}")
            for value, name in _CONFIDENCES.items()
        }
        self.undo = widgets.Button(description="undo")
        self.skip = widgets.Button(description="skip")
        self.mark = widgets.ToggleButton(value=True, description="mark")
        self.closeup = widgets.ToggleButton(value=True, description="close-up")
        for name, button in self.labels.items():
            # name=name binds the value now; a plain closure would see the last one.
            button.observe(lambda change, name=name: self._toggled(name, change["new"]), "value")
        for value, button in self.confidences.items():
            button.on_click(lambda _, value=value: self._save(value))
        self.undo.on_click(lambda _: self._change(session.undo, "Undone."))
        self.skip.on_click(lambda _: self._change(session.skip, "Skipped: it comes last."))
        self.mark.observe(lambda _: self._draw(), "value")
        self.closeup.observe(lambda _: self._draw(), "value")
        rows = (
            self.labels.values(),
            self.confidences.values(),
            (self.undo, self.skip),
            (self.mark, self.closeup),
        )
        for button in (button for row in rows for button in row):
            button.layout.width = "110px"
        controls = [widgets.HBox(list(row)) for row in rows]
        definitions = widgets.HTML(_DEFINITIONS, layout=widgets.Layout(width="346px"))
        controls.insert(1, definitions)
        side_bar = [self._status, self._progress, *controls, self._message]
        # On narrow screens the controls move below the views.
        wrap = widgets.Layout(flex_flow="row wrap")
        self.box = widgets.HBox([self._view, widgets.VBox(side_bar)], layout=wrap)
        self._refresh()

    def _repr_mimebundle_(self, **kwargs):
        return self.box._repr_mimebundle_(**kwargs)

    @property
    def message(self) -> str:
        """The message on display: a hint, a confirmation or an error."""
        return self._message.value

    def _choose(self, name: str | None) -> None:
        # Setting a toggle calls `_toggled`, which does nothing once the label is set.
        self._label = name
        for other, button in self.labels.items():
            button.value = other == name

    def _toggled(self, name, on):
        if on:
            self._choose(name)
        elif self._label == name:
            self._label = None

    def _save(self, confidence):
        if self._label is None:
            self._message.value = "Choose the class before the confidence."
            return
        label = self._label
        self._change(
            lambda: self._session.label(label, confidence), f"Saved: {label}, {confidence}."
        )

    def _change(self, action, done):
        try:
            action()
        except (OSError, ValueError) as error:
            self._message.value = f"Not saved: {error}"
            return
        # Reached only if the label was saved: after an error the choice stays.
        self._choose(None)
        self._message.value = done
        self._refresh()

    def _refresh(self):
        session = self._session
        self._progress.value = session.n_done
        self._status.value = f"{session.labeller}: {session.n_done} of {session.n_total}"
        self.undo.disabled = not session.can_undo
        for button in (*self.labels.values(), *self.confidences.values(), self.skip):
            button.disabled = session.current is None
        self._draw()

    def _draw(self):
        self._view.value = f'<div style="{_ROW}">{self._make_views()}</div>'

    def _make_views(self):
        if self._session.current is None:
            return self._make_notice("All sources are labelled. Thank you!")
        png, flag = encode_cutout(self._paths[self._session.current])
        if png is None:
            return self._make_notice(
                f"This cutout is unusable ({flag}): label it “other”, or skip it."
            )
        image = (
            '<image width="100" height="100" '
            f'href="data:image/png;base64,{base64.b64encode(png).decode()}"/>'
        )
        if self.mark.value:
            image += f'<g stroke="#ff5a5a" stroke-width="2">{_MARK}</g>'
        boxes = [_WHOLE] + [_CENTER] * self.closeup.value
        return "".join(
            f'<svg viewBox="{box}" width="{self._size}" height="{self._size}" '
            f'style="max-width: 100%">{image}</svg>'
            for box in boxes
        )

    def _make_notice(self, text):
        side = f"width: {self._size}px; height: {self._size}px"
        return f'<div style="{_NOTICE}; {side}">{text}</div>'


# The parts of the cutout on display, in per cent of its side: left, top, width and height.
_WHOLE, _CENTER = "0 0 100 100", "33.33 33.33 33.33 33.33"
_ROW = "display: flex; flex-wrap: wrap; gap: 8px"
_NOTICE = "background: #000; color: #e8eaed; display: grid; place-items: center; text-align: center"
_DEFINITIONS = "".join(
    f'<div style="line-height: 1.35; padding: 2px 0"><b>{name}</b> {html.escape(meaning)}</div>'
    for name, meaning in DEFINITIONS.items()
)
