"""Loss and accuracy by epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from shredfinder._utils.runtime import import_optional
from shredfinder.plotting.marks import COLORS, make_figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

__all__ = ["plot_history"]


def plot_history(
    histories: Sequence[dict[str, Any]],
    *,
    labels: Sequence[str] | None = None,
    title: str | None = None,
) -> Figure:
    """Draw loss and accuracy by epoch.

    Parameters
    ----------
    histories : dict or sequence of dict
        ``history_`` of a `~shredfinder.ShredClassifier`, or of several, such as the folds of a
        cross-validation.
    labels : sequence of str, optional
        A name for each.
    title : str, optional
        A line above.

    Returns
    -------
    figure : `~matplotlib.figure.Figure`
        The figure, which pyplot does not know of: the loss on the left, the accuracy on the
        right, where it is known; on the training images dashed, on those set aside solid, with a
        dot at the epoch whose weights are kept.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed.
    ValueError
        If there is no history, or labels are not as many.

    Examples
    --------
    >>> from shredfinder.plotting import plot_history
    >>> history = {"loss": [0.7, 0.4, 0.2], "val_loss": [0.6, 0.4, 0.5]}
    >>> figure = plot_history(history)
    >>> [ax.get_ylabel() for ax in figure.axes]
    ['loss']
    """
    histories = [histories] if isinstance(histories, dict) else list(histories)
    if not histories or not all(history.get("loss") for history in histories):
        raise ValueError("there is no history: give the history_ of a classifier that was fitted")
    if labels is not None and len(labels) != len(histories):
        raise ValueError(f"there are {len(histories)} histories but {len(labels)} labels")
    known = {name for history in histories for name in history}
    kinds = [kind for kind in ("loss", "accuracy") if {kind, f"val_{kind}"} & known]
    figure = make_figure(4.2 * len(kinds), 3.3)
    if title:
        figure.suptitle(title, fontsize=10)
    lines = import_optional("matplotlib.lines", "drawing a figure")
    for k, kind in enumerate(kinds):
        ax = figure.add_subplot(1, len(kinds), k + 1)
        for i, history in enumerate(histories):
            color = COLORS[i % len(COLORS)]
            for name, style in ((kind, "dashed"), (f"val_{kind}", "solid")):
                values = np.array(history.get(name, []), dtype=float)
                epochs = np.arange(1, len(values) + 1)
                ax.plot(epochs, values, color=color, linestyle=style, linewidth=1.2)
                if name.startswith("val_") and history.get("val_loss") and len(values):
                    best = int(np.nanargmin(np.array(history["val_loss"], dtype=float)))
                    ax.plot(best + 1, values[best], "o", color=color, markersize=4.5)
        ax.set_xlabel("epoch")
        ax.set_ylabel(kind)
    handles = [
        lines.Line2D([], [], color="0.3", linestyle=style, label=name)
        for name, style, key in (("training", "dashed", ""), ("validation", "solid", "val_"))
        if any(f"{key}{kind}" in known for kind in kinds)
    ]
    for i, name in enumerate(labels or []):
        handles.append(lines.Line2D([], [], color=COLORS[i % len(COLORS)], label=name))
    figure.axes[0].legend(handles=handles, fontsize=8, frameon=False)
    return figure
