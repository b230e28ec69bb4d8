"""Networks: schematics of their layers, and training histories."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from shredfinder._utils.runtime import import_optional
from shredfinder.plotting.style import COLORS, make_figure

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_history", "plot_network"]

_KINDS = {
    "convolution": ("#d9534f", ("Conv2D",)),
    "pooling": (
        "#5cb85c",
        ("MaxPooling2D", "AveragePooling2D", "GlobalAveragePooling2D", "GlobalMaxPooling2D"),
    ),
    "dropout": ("#9fd3f0", ("Dropout", "SpatialDropout2D")),
    "fully connected": ("#3568b8", ("Dense",)),
    "other": ("#c9c9c9", ()),
}
# Layers that are named below the layer before them, and not drawn.
_FINISHING = {"BatchNormalization": "norm", "ReLU": "ReLU", "Activation": ""}
# Gaps, depth and length of a row in units of the height of the largest image.
_GAP, _DEPTH, _ROW = 0.16, 0.35, 7.1
# Space for the text below a box, in the same units.
_TEXT = 0.8


@dataclass
class _Box:
    """A layer, and its box in the schematic."""

    layer: Any
    inputs: list[_Box]
    notes: list[str] = field(default_factory=list)
    column: int = 0
    row: int = 0
    x: float = 0.0
    y: float = 0.0

    @property
    def shape(self) -> tuple[int, ...]:
        shape = self.layer.output.shape if hasattr(self.layer, "output") else self.layer.shape
        return tuple(int(side) for side in shape[1:])

    @property
    def kind(self) -> str:
        name = type(self.layer).__name__
        return next((kind for kind, (_, names) in _KINDS.items() if name in names), "other")


def plot_network(network: Any, *, title: str | None = None) -> Figure:
    """Plot a schematic of a network, as in figure 2 of Di Teodoro, Peek & Wu (2023).

    A box's height and depth scale with the square root of the height and width of the layer's
    output, its width with the logarithm of the number of channels. Normalisations and activations
    are named below the layer that they follow. Long networks continue in a second row.

    Parameters
    ----------
    network : `keras.Model`, ShredClassifier or str
        A functional network of image layers, a fitted classifier, or the name of an architecture
        (for images of 128 × 128 px in three bands). Classifiers and names need a Keras backend to
        build the network.
    title : str, optional
        Title; by default the network's name and number of parameters.

    Returns
    -------
    figure : `~matplotlib.figure.Figure`
        The figure, which pyplot does not manage.

    Raises
    ------
    MissingDependencyError
        If matplotlib, or the backend that is needed, is not installed.

    Examples
    --------
    >>> from shredfinder.plotting import plot_network
    >>> figure = plot_network("published")
    >>> figure.axes[0].get_title()
    'published: 10,580,258 parameters'
    """
    import_optional("matplotlib.figure", "plotting")
    if isinstance(network, str):
        from shredfinder.models import build_network
        from shredfinder.models.architectures import import_keras

        import_keras()
        network = build_network(network, (128, 128, 3))
    elif hasattr(network, "keras_network"):
        network = network.keras_network()
    boxes = _list_boxes(network)
    _place_boxes(boxes)
    # Limits of all boxes, with their top and right sides.
    right = max(box.x + _width(box) + _slant(box) for box in boxes)
    top = max(_top(box) for box in boxes)
    bottom = min(box.y - _height(box) / 2 for box in boxes)
    # Inches: the text stays readable where the figure is reduced to the width of a page.
    width = min(max(1.1 * right, 5.5), 8.5)
    figure = make_figure(width, width / right * (top - bottom + _TEXT + 0.3) + 0.5)
    ax = figure.add_subplot()
    ax.set_aspect("equal")
    ax.axis("off")
    ax.set_xlim(-0.15, right + 0.15)
    ax.set_ylim(bottom - _TEXT, top + 0.3)
    ax.set_title(title or f"{network.name}: {network.count_params():,} parameters", fontsize=10)
    patches = import_optional("matplotlib.patches", "plotting")
    for box in boxes:
        for source in box.inputs:
            ax.plot(*_connect(source, box, boxes), color="0.55", linewidth=0.8, zorder=1)
    # Where boxes overlap, the right one is in front.
    for order, box in enumerate(sorted(boxes, key=lambda box: (box.x, box.y))):
        _draw_box(ax, patches, box, 2 + order)
    handles = [
        patches.Patch(facecolor=color, edgecolor="0.3", label=kind)
        for kind, (color, _) in _KINDS.items()
        if any(box.kind == kind and box.inputs for box in boxes)
    ]
    ax.legend(handles=handles, loc="upper right", ncols=5, fontsize=8, frameon=False)
    return figure


def _list_boxes(network: Any) -> list[_Box]:
    """List the boxes of a network, in the order of its layers."""
    boxes: list[_Box] = []
    by_tensor: dict[str, _Box] = {}
    for layer in network.layers:
        tensors = layer.input if isinstance(layer.input, list) else [layer.input]
        name = type(layer).__name__
        if name == "InputLayer":
            box = _Box(layer, [])
        elif name in _FINISHING:
            # Later layers connect to the box before.
            box = by_tensor[tensors[0].name]
            box.notes.append(_FINISHING[name] or layer.activation.__name__)
            by_tensor[layer.output.name] = box
            continue
        else:
            box = _Box(layer, [by_tensor[tensor.name] for tensor in tensors])
            # Convolutions and dense layers may have an activation of their own.
            activation = getattr(getattr(layer, "activation", None), "__name__", "linear")
            if activation != "linear":
                box.notes.append({"relu": "ReLU"}.get(activation, activation))
        boxes.append(box)
        by_tensor[layer.output.name] = box
    return boxes


def _place_boxes(boxes: list[_Box]) -> None:
    """Place each box in the column after its last input."""
    for box in boxes:
        box.column = 1 + max((source.column for source in box.inputs), default=-1)
    columns = [
        [box for box in boxes if box.column == column]
        for column in range(1 + max(box.column for box in boxes))
    ]
    x, row = 0.0, 0
    for members, before in zip(columns, [[], *columns], strict=False):
        if x > _ROW and len(before) == 1:
            x, row = 0.0, row + 1
        # Branches of one column are stacked, with room for their text.
        step = max(_height(box) + _slant(box) for box in members) + _TEXT
        for i, box in enumerate(members):
            box.row, box.x, box.y = row, x, ((len(members) - 1) / 2 - i) * step
            # A layer after one of several branches stays at the height of that branch.
            if len(members) == 1 and len(box.inputs) == 1 and box.inputs[0].row == row:
                box.y = box.inputs[0].y
        x += max(*(_width(box) + _slant(box) / 2 for box in members), 0.46) + _GAP
    # Each row is below the text of the row before.
    floor = 0.0
    for k in range(row + 1):
        members = [box for box in boxes if box.row == k]
        if k:
            shift = floor - max(_top(box) for box in members)
            for box in members:
                box.y += shift
        floor = min(box.y - _height(box) / 2 for box in members) - _TEXT - 0.2


def _connect(source: _Box, box: _Box, boxes: list[_Box]) -> tuple[list[float], list[float]]:
    """Compute the line between the middles of two boxes' sides."""
    x1, y1 = source.x + _width(source) + _slant(source) / 2, source.y + _slant(source) / 2
    x2, y2 = box.x + _slant(box) / 2, box.y + _slant(box) / 2
    if source.row == box.row:
        return [x1, x2], [y1, y2]
    # From the end of a row to the start of the next, through the gap between them.
    between = max(_top(other) for other in boxes if other.row == box.row) + 0.1
    return [x1, x1 + 0.15, x1 + 0.15, -0.1, -0.1, x2], [y1, y1, between, between, y2, y2]


def _height(box: _Box) -> float:
    if len(box.shape) == 3:
        # The root keeps small images visible beside large ones.
        return np.sqrt(box.shape[0] / 128)
    # The height of a vector is its number of units, on a logarithmic scale.
    return min(0.18 * np.log2(box.shape[0] + 1), 2.2) * 0.7


def _top(box: _Box) -> float:
    return box.y + _height(box) / 2 + _slant(box)


def _slant(box: _Box) -> float:
    return _DEPTH * np.sqrt(box.shape[1] / 128) if len(box.shape) == 3 else 0.05


def _width(box: _Box) -> float:
    return 0.05 * np.log2(box.shape[2] + 1) if len(box.shape) == 3 else 0.1


def _draw_box(ax: Axes, patches: ModuleType, box: _Box, zorder: int) -> None:
    color = _KINDS[box.kind][0] if box.inputs else "white"
    width, height, slant = _width(box), _height(box), _slant(box)
    x, y = box.x, box.y - height / 2
    # Front, top and right side, the latter two shaded.
    sides = {
        1.0: [(x, y), (x + width, y), (x + width, y + height), (x, y + height)],
        0.86: [
            (x, y + height),
            (x + width, y + height),
            (x + width + slant, y + height + slant),
            (x + slant, y + height + slant),
        ],
        0.72: [
            (x + width, y),
            (x + width + slant, y + slant),
            (x + width + slant, y + height + slant),
            (x + width, y + height),
        ],
    }
    # Darker sides make the box look solid.
    rgb = np.array(import_optional("matplotlib.colors", "plotting").to_rgb(color))
    for shade, corners in sides.items():
        ax.add_patch(
            patches.Polygon(
                corners, facecolor=shade * rgb, edgecolor="0.25", linewidth=0.5, zorder=zorder
            )
        )
    ax.text(
        x + width / 2, y - 0.05, _describe(box), ha="center", va="top", fontsize=7.5,
        linespacing=1.05, zorder=99,
        bbox={"facecolor": "white", "alpha": 0.75, "pad": 0.3, "linewidth": 0},
    )  # fmt: skip


def _describe(box: _Box) -> str:
    """Describe a layer: its kind, its size and the shape of its output."""
    layer = box.layer
    name = type(layer).__name__
    kind = {
        "InputLayer": "image",
        "Conv2D": "conv",
        "MaxPooling2D": "max pool",
        "AveragePooling2D": "mean pool",
        "GlobalAveragePooling2D": "mean of all",
        "GlobalMaxPooling2D": "max of all",
        "Dropout": "dropout",
        "Dense": "dense",
        "Flatten": "flatten",
        "Concatenate": "join",
        "Cropping2D": "crop",
        "ZeroPadding2D": "pad",
        "Add": "add",
    }.get(name, name)
    lines = [kind]
    if name == "Conv2D":
        lines.append("×".join(map(str, layer.kernel_size)))
    elif name.endswith("Pooling2D") and hasattr(layer, "pool_size"):
        lines.append("×".join(map(str, layer.pool_size)))
    elif name == "Dropout":
        lines.append(f"{layer.rate:g}")
    if box.kind != "dropout":
        # Channels are on a line of their own, since columns are narrow.
        lines += (
            ["×".join(map(str, box.shape[:2])), f"×{box.shape[2]}"]
            if len(box.shape) == 3
            else [str(box.shape[0])]
        )
    return "\n".join([*lines, *box.notes])


def plot_history(
    histories: Sequence[dict[str, Any]],
    *,
    labels: Sequence[str] | None = None,
    title: str | None = None,
) -> Figure:
    """Plot loss and accuracy by epoch.

    Parameters
    ----------
    histories : dict or sequence of dict
        ``history_`` of one `~shredfinder.ShredClassifier` or of several, such as the folds of a
        cross-validation.
    labels : sequence of str, optional
        Name of each history.
    title : str, optional
        Title of the figure.

    Returns
    -------
    figure : `~matplotlib.figure.Figure`
        The figure, which pyplot does not manage: loss on the left, accuracy on the right if it
        is known. Dashed lines are the training images, solid ones the validation images, with a
        dot at the epoch whose weights were kept.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed.
    ValueError
        If there is no history, or labels and histories differ in number.

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
        raise ValueError("there is no history: give the history_ of a fitted classifier")
    if labels is not None and len(labels) != len(histories):
        raise ValueError(f"there are {len(histories)} histories but {len(labels)} labels")
    known = {name for history in histories for name in history}
    kinds = [kind for kind in ("loss", "accuracy") if {kind, f"val_{kind}"} & known]
    figure = make_figure(4.2 * len(kinds), 3.3)
    if title:
        figure.suptitle(title, fontsize=10)
    lines = import_optional("matplotlib.lines", "plotting")
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
