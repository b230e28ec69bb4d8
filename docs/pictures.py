"""Plot the figures of the first pages: ``python -m docs.pictures ../shared/data`` in a checkout.

They show cutouts of the training data, which are not in the repository, and the example data. Run
this to change the figures, or after the embedded model has changed.
"""

import argparse
from pathlib import Path

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import Table
from astropy.wcs import WCS
from matplotlib.figure import Figure
from PIL import Image

from shredfinder import ShredTable
from shredfinder.datasets import example_candidates, example_cutouts, example_field, example_hosts
from shredfinder.plotting.style import draw_circles, draw_cross, get_shade, get_text_color
from shredfinder.surveys import LEGACY

STATIC = Path(__file__).parent / "_static"
# Group on the sky whose cutouts show most of a spiral galaxy, and its width in pixels.
GROUP, SIDE = 2397, 188
# Half the width of the simulated galaxy's image, and the radius of circles, in pixels.
HALF, RADIUS = 75, 6.0
# Cutouts per row and column, and the seed of their choice.
N_CELLS, SEED = 4, 11
TITLES = (
    "Real sky: pieces of one galaxy",
    "Simulated field: shreds and galaxies",
    "Real cutouts with p_cnn",
)
SHRED, GALAXY = "#ffe11a", "#ff5a4d"


def main():
    """Plot and save the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of the training data")
    data = parser.parse_args().data
    table = ShredTable(Table.read(data / "labels.ecsv"))
    chosen = choose_sources(table)
    rows = np.concatenate([np.flatnonzero(table["sky_group"] == GROUP), chosen])
    table = table[rows]
    table.add_p_cnn(cutouts=data / "cutouts", pattern="{objID}.png", progress=False)
    images = np.stack(
        [np.asarray(Image.open(data / "cutouts" / f"{i}.png")) for i in table["objID"]]
    )
    save(draw_overview(table, images, len(chosen)), "overview.jpg")


def save(figure, name, dpi=100):
    """Save a figure as a JPEG file."""
    figure.savefig(STATIC / name, dpi=dpi, pil_kwargs={"quality": 88})


def choose_sources(table):
    """Draw shreds and galaxies on which all labellers agree, in random order."""
    rng = np.random.default_rng(SEED)
    n = N_CELLS**2 // 2
    agreed = np.asarray(table["label"] == table["final4"]) & np.asarray(table["settled4"])
    agreed &= np.asarray(table["confidence"]) == 3
    rows = [
        rng.choice(np.flatnonzero(agreed & np.asarray(table["final4"] == name)), n, replace=False)
        for name in ("shred", "galaxy")
    ]
    return rng.permutation(np.concatenate(rows))


def draw_overview(table, images, n_chosen):
    """Plot a real galaxy with its scored sources, a simulated one, and real cutouts."""
    figure = Figure(figsize=(13, 4.6), facecolor="white")
    grid = figure.add_gridspec(1, 3, left=0.004, right=0.996, top=0.915, bottom=0.012, wspace=0.025)
    near = len(table) - n_chosen
    draw_mosaic(figure.add_subplot(grid[0]), table[:near], images[:near])
    draw_simulation(figure.add_subplot(grid[1]))
    cells = grid[2].subgridspec(N_CELLS, N_CELLS, wspace=0.03, hspace=0.03)
    for cell, image, p_cnn in zip(cells, images[near:], table["p_cnn"][near:], strict=True):
        draw_cutout(figure.add_subplot(cell), image, float(p_cnn))
    for i, title in enumerate(TITLES):
        figure.text((i + 0.5) / 3, 0.94, title, ha="center", fontsize=15)
    return figure


def draw_mosaic(ax, table, images):
    """Plot overlapping cutouts as one image, with the scores of their sources."""
    coords = SkyCoord(table["ra"], table["dec"], unit="deg")
    size = images.shape[1]
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.crval = coords.ra.deg.mean(), coords.dec.deg.mean()
    # North up and east left; the first row of a cutout is in the north.
    wcs.wcs.cdelt = -LEGACY.pixel_scale / 3600, -LEGACY.pixel_scale / 3600
    wcs.wcs.crpix = SIDE / 2, SIDE / 2
    total, count = np.zeros((SIDE, SIDE, 3)), np.zeros((SIDE, SIDE, 1))
    places = np.transpose(wcs.world_to_pixel(coords))
    for image, (x, y) in zip(images, places, strict=True):
        left, top = round(x - (size - 1) / 2), round(y - (size - 1) / 2)
        rows = slice(max(top, 0), min(top + size, SIDE))
        columns = slice(max(left, 0), min(left + size, SIDE))
        part = image[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
        total[rows, columns] += part
        count[rows, columns] += 1
    # Without a cutout: about the colour of the sky.
    mosaic = np.where(count > 0, total / np.maximum(count, 1), 28).astype(np.uint8)
    ax.imshow(mosaic)
    for (x, y), p_cnn in zip(places, table["p_cnn"], strict=True):
        mark(ax, x, y, float(p_cnn), side=-1)


def draw_simulation(ax):
    """Plot the face-on host of the example data with the scores of its sources."""
    field, table = example_field(), example_candidates()
    table.add_p_cnn(cutouts=example_cutouts(), progress=False)
    hosts = example_hosts()
    host = hosts[np.argmax(hosts["petro_ba90"])]
    x, y = field.wcs.world_to_pixel_values(table["ra"], table["dec"])
    center = [int(v) for v in field.wcs.world_to_pixel_values(host["ra"], host["dec"])]
    left, low = center[0] - HALF, center[1] - HALF
    ax.imshow(field.image[low : low + 2 * HALF, left : left + 2 * HALF], origin="lower")
    for a, b, p_cnn in zip(x - left, y - low, table["p_cnn"], strict=True):
        if min(a, b) > RADIUS and max(a, b) < 2 * HALF - RADIUS:
            mark(ax, a, b, float(p_cnn), side=0)


def mark(ax, x, y, p_cnn, side):
    """Circle a source in the colour of its class; write its score unless side is 0."""
    color = SHRED if p_cnn >= 0.5 else GALAXY
    style = "solid" if p_cnn >= 0.5 else "dashed"
    draw_circles(
        ax, np.array([x]), np.array([y]), np.array([RADIUS]),
        edgecolors=color, linewidths=2, linestyles=style,
    )  # fmt: skip
    if side:
        ax.text(x, y + side * (RADIUS + 2), f"{p_cnn:.2f}", color=color, fontsize=13,
                ha="center", va="bottom")  # fmt: skip
    ax.set_axis_off()


def draw_cutout(ax, image, p_cnn):
    """Plot a cutout with a cross at its source and a patch with its score."""
    ax.imshow(image)
    ax.set_axis_off()
    draw_cross(ax, 63.5, 63.5, 6, 10, color="#ff4d4d", linewidth=1)
    shade = get_shade(p_cnn)
    ax.text(
        0.045, 0.06, f"{p_cnn:.2f}", transform=ax.transAxes, fontsize=11,
        color=get_text_color(shade), bbox={"facecolor": shade, "pad": 2, "linewidth": 0},
    )  # fmt: skip


if __name__ == "__main__":
    main()
