"""Plot the figure of the landing page: ``python -m docs.pictures`` in a checkout.

It shows a simulated field. Run this only to change the figure.
"""

from pathlib import Path

import numpy as np
from astropy import units as u
from matplotlib.figure import Figure

from shredfinder import ShredTable
from shredfinder.datasets import make_field
from shredfinder.plotting import plot_field
from shredfinder.plotting.style import draw_circles, draw_cross, get_shade, get_text_color

STATIC = Path(__file__).parent / "_static"
# Seed of a field in which a spiral galaxy has most shreds, and size of its image in pixels.
SEED, SIDE = 5, 300
# Radius of the circles in pixels, and number of cutouts per row and column.
RADIUS, N_CELLS = 10.0, 4
TITLES = (
    "Catalogued sources",
    "Shreds (yellow) and galaxies (red)",
    "Cutouts with p_cnn",
)


def draw_overview():
    """Plot the catalogued sources of a galaxy, their classification and their cutouts."""
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


if __name__ == "__main__":
    draw_overview().savefig(STATIC / "overview.jpg", dpi=115, pil_kwargs={"quality": 86})
