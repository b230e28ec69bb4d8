"""Draw the pictures of the documentation: ``python -m docs.pictures`` in a checkout.

Those of the landing page and the gallery show simulated fields, and are drawn anew only when they
are to change; those of the gallery are made by the page's own examples. The diagram of the
architecture is drawn from the layers that the tests hold the package to.
"""

import contextlib
import doctest
from pathlib import Path

import numpy as np
from astropy import units as u
from matplotlib.figure import Figure

from shredfinder import ShredTable
from shredfinder.datasets import make_field
from shredfinder.plotting import plot_field
from shredfinder.plotting.marks import draw_circles, draw_cross
from shredfinder.plotting.shades import get_shade, get_text_color
from tests.test_architecture import ASKING, LAYERS, NETWORKS

STATIC = Path(__file__).parent / "_static"
# A field whose most torn galaxy is a spiral, and the side in pixels of what is shown of it.
SEED, SIDE = 5, 300
# Radius of the circles in pixels, and cutouts in a row and in a column.
RADIUS, N_CELLS = 10.0, 4
TITLES = (
    "What a catalogue lists",
    "Shreds (yellow) and galaxies (red)",
    "p_cnn, from each one's cutout",
)


def draw_overview():
    """Draw what goes in, what comes out, and what that comes from."""
    field = make_field(random_state=SEED)
    table = ShredTable(field.sources)
    cutouts = field.cutouts()
    table.add_p_cnn(cutouts=cutouts, progress=False)
    x, y = field.wcs.world_to_pixel_values(table["ra"], table["dec"])
    hosts, counts = np.unique(table["host_id"][table["label"] == "shred"], return_counts=True)
    center = np.flatnonzero(table["objID"] == hosts[np.argmax(counts)])[0]
    left, low = (int(value[center].round()) - SIDE // 2 for value in (x, y))
    part = slice(low, low + SIDE), slice(left, left + SIDE)
    inside = np.flatnonzero((x > left) & (x < left + SIDE) & (y > low) & (y < low + SIDE))

    figure = Figure(figsize=(13, 4.55), facecolor="white")
    grid = figure.add_gridspec(1, 3, left=0.004, right=0.996, top=0.925, bottom=0.01, wspace=0.025)
    for i, rows in enumerate((None, table[inside])):
        ax = figure.add_subplot(grid[i], projection=field.wcs[part])
        plot_field(
            field.image[part], field.wcs[part], rows, ax=ax, legend=False,
            radius=RADIUS * field.pixel_scale * u.arcsec,
        )  # fmt: skip
        if rows is None:
            radii = np.full(len(inside), RADIUS)
            place = x[inside] - left, y[inside] - low
            draw_circles(ax, *place, radii, edgecolors="white", linewidths=1.2)
        for axis in ax.coords:
            axis.set_ticks_visible(False)
            axis.set_ticklabel_visible(False)
            axis.set_axislabel(" ")
    order = inside[np.argsort(-table["p_cnn"][inside], kind="stable")]
    order = order[np.linspace(0, len(order) - 1, N_CELLS**2).round().astype(int)]
    cells = grid[2].subgridspec(N_CELLS, N_CELLS, wspace=0.04, hspace=0.04)
    for cell, row in zip(cells, order, strict=True):
        _draw_cutout(figure.add_subplot(cell), cutouts.images[row], float(table["p_cnn"][row]))
    for i, title in enumerate(TITLES):
        figure.text((i + 0.5) / 3, 0.948, title, ha="center", fontsize=14)
    return figure


def _draw_cutout(ax, image, p_cnn):
    ax.imshow(image)
    ax.set_axis_off()
    draw_cross(ax, 63.5, 63.5, 6, 10, color="#ff4d4d", linewidth=1)
    shade = get_shade(p_cnn)
    ax.text(
        0.045, 0.06, f"{p_cnn:.2f}", transform=ax.transAxes, fontsize=10,
        color=get_text_color(shade), bbox={"facecolor": shade, "pad": 2, "linewidth": 0},
    )  # fmt: skip


def run_gallery():
    """Run the gallery's examples, which save their figures in the working folder."""
    page = Path(__file__).with_name("gallery.rst")
    with contextlib.chdir(STATIC):
        failed, _ = doctest.testfile(str(page), module_relative=False)
    if failed:
        raise SystemExit("an example of the gallery fails")


# What each room is for, and what the rooms of the ground layers are together.
WORDS = {
    "cli": "the command line",
    "pipeline": "from a host to a clean catalogue",
    "catalogs": "candidates from surveys",
    "lsdb": "HATS catalogues, on clusters",
    "table": "ShredTable, add_p_cnn, files",
    "classifier": "ShredClassifier",
    "evaluation": "metrics, folds",
    "labelling": "labels by eye",
    "training": "recipes, augmentation",
    "cutouts": "images by position",
    "cuts": "who is a candidate",
    "hosts": "who is near whom",
    "datasets": "simulated fields",
    "plotting": "figures, notebooks",
    "models": "networks, files",
    "explanation": "why this answer",
    "typing": "kinds of arguments",
    "imaging": "Cutouts, checks, colours",
    "positions": "where rows are",
    "fractions": "shares of shreds",
}
KINDS = dict.fromkeys(NETWORKS, "knows the network") | dict.fromkeys(ASKING, "asks servers")
KINDS["labelling"] = "is a server"
FILLS = {
    "asks servers": "#cfe3f7",
    "is a server": "#d5ecd6",
    "knows the network": "#ffe9a8",
    None: "#eef0f3",
}
BOX, LINE, GAP, NEAR, WIDTH = 46, 15, 14, 5, 860


def draw_architecture():
    """Draw the rooms as boxes, each layer above those that it may import from."""
    left, y, boxes = 40 + GAP, GAP, []
    for layer in reversed(LAYERS):
        rows = _wrap(sorted(layer & set(WORDS)))
        for rooms in rows:
            width = (WIDTH - left - GAP * len(rooms)) / len(rooms)
            for i, room in enumerate(rooms):
                boxes.append(_box(left + i * (width + GAP), y, width, room, WORDS[room]))
            y += BOX + NEAR
        y += GAP - NEAR if rows else 0
    ground = sorted(room for layer in LAYERS for room in layer if room not in WORDS)
    half = -(-len(ground) // 2)
    boxes.append(
        _box(
            left, y, WIDTH - left - GAP, "facts and tools",
            ", ".join(ground[:half]) + ",", ", ".join(ground[half:]),
        )
    )  # fmt: skip
    y += BOX + LINE
    legend = [
        f'<rect x="{left + 190 * i}" y="{y + GAP}" width="16" height="16" rx="3" '
        f'fill="{FILLS[kind]}" stroke="#9aa3af"/><text x="{left + 190 * i + 24}" '
        f'y="{y + GAP + 13}" font-size="12" fill="#1c2430">{kind}</text>'
        for i, kind in enumerate(FILLS)
        if kind
    ]
    height = y + 2 * GAP + 16
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
            'font-family="DejaVu Sans, Helvetica, Arial, sans-serif">',
            "<title>The rooms of shredfinder, each above those that it imports from</title>",
            f'<rect width="{WIDTH}" height="{height}" rx="8" fill="#ffffff"/>',
            f'<path d="M30 {GAP}V{y - 4}m-6 -10l6 10l6 -10" stroke="#5b6675" stroke-width="2" '
            f'fill="none"/><text transform="translate(20 {y / 2}) rotate(-90)" font-size="12" '
            'fill="#5b6675" text-anchor="middle">imports point down</text>',
            *boxes,
            *legend,
            "</svg>",
            "",
        ]
    )


def _wrap(rooms, most=4):
    n_rows = -(-len(rooms) // most)
    size = -(-len(rooms) // max(n_rows, 1))
    return [rooms[i : i + size] for i in range(0, len(rooms), size)] if rooms else []


def _box(x, y, width, name, *lines):
    fill, center = FILLS[KINDS.get(name)], f'x="{x + width / 2:.1f}"'
    texts = [
        f'<text {center} y="{y + 36 + LINE * i}" font-size="11.5" fill="#3d4757" '
        f'text-anchor="middle">{words}</text>'
        for i, words in enumerate(lines)
    ]
    return (
        f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{BOX + LINE * (len(lines) - 1)}" '
        f'rx="5" fill="{fill}" stroke="#9aa3af"/><text {center} y="{y + 19}" font-size="14" '
        f'font-weight="bold" fill="#1c2430" text-anchor="middle">{name}</text>{"".join(texts)}'
    )


if __name__ == "__main__":
    (STATIC / "architecture.svg").write_text(draw_architecture(), encoding="utf-8")
    run_gallery()
    draw_overview().savefig(STATIC / "overview.jpg", dpi=115, pil_kwargs={"quality": 86})
