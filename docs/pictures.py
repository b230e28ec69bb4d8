"""Plot the figures of the first pages: ``python -m docs.pictures ../shared/data`` in a checkout.

They show cutouts of the training data, which are not in the repository, and the example data. Run
this to change the figures, or after the embedded model has changed.
"""

import argparse
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table
from astropy.wcs import WCS
from matplotlib.figure import Figure
from PIL import Image

from shredfinder import ShredTable
from shredfinder.cuts import saga_cut
from shredfinder.datasets import (
    example_candidates,
    example_cutouts,
    example_field,
    example_hosts,
    make_shredded_field,
)
from shredfinder.hosts import find_parents, join_hosts, measure_galaxies
from shredfinder.plotting import plot_field, plot_gallery, plot_merge, plot_p_cnn
from shredfinder.plotting.style import (
    draw_circles,
    draw_cross,
    get_shade,
    get_text_color,
    make_figure,
)
from shredfinder.surveys import LEGACY, SAGA_THRESHOLDS

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
    files = [data / "cutouts" / f"{objid}.png" for objid in table["objID"]]
    images = np.stack([np.asarray(Image.open(file)) for file in files])
    save(draw_overview(table, images, len(chosen)), "overview.jpg")
    draw_start()
    draw_merge(make_shredded_field(random_state=2005))


def draw_merge(field):
    """Plot a merged galaxy and its curve of growth, for merging.rst."""
    table = field.sources
    table["p_cnn"] = np.where(table["label"] == "shred", 0.97, 0.02)
    parents = find_parents(table, field.cutouts())
    images = {
        band: (plane * field.native_per_pixel, field.wcs)
        for band, plane in zip(field.bands, field.fluxes, strict=True)
    }
    (light,) = measure_galaxies(table, images, parents=parents, ids=[1047])
    save(plot_merge(light), "merge.jpg", dpi=130)


def save(figure, name, dpi=100):
    """Save a figure as a JPEG file."""
    figure.savefig(STATIC / name, dpi=dpi, pil_kwargs={"quality": 88})


def draw_start():
    """Plot and save the figures of the five-minute start, as its code makes them."""
    table, cutouts, hosts = example_candidates(), example_cutouts(), example_hosts()
    table.add_p_cnn(cutouts=cutouts, progress=False)
    save(plot_p_cnn(table["p_cnn"], table["label"] == "shred").figure, "start_scores.jpg")
    first = np.argsort(-table["p_cnn"])[np.linspace(0, len(table) - 1, 12).astype(int)]
    figure = plot_gallery(
        cutouts[first], scores=table["p_cnn"][first], titles=table["objid"][first], n_columns=6
    )
    save(figure, "start_cutouts.jpg")
    passed = saga_cut(
        table["g"], table["r"], table["r_eff"], mu_err=table["mu_err"], gr_err=table["gr_err"]
    )
    save(draw_cuts(table, passed), "start_cuts.jpg")
    satellites = table[passed & (table["p_cnn"] < 0.5) & ~table["host_entry"]]
    save(draw_hosts(join_hosts(satellites, hosts, 50 * u.kpc), hosts), "start_hosts.jpg", 90)
    lights = measure_galaxies(table, cutouts, parents=find_parents(table, cutouts))
    light = next(light for light in lights if light.name == str(hosts["host_id"][-1]))
    save(plot_merge(light), "start_merge.jpg")
    field = example_field()
    save(plot_field(field.image, field.wcs, table).figure, "start_field.jpg", 90)


def draw_cuts(table, passed):
    """Plot colour and surface brightness against magnitude, with the limits of the cuts."""
    limits, line = SAGA_THRESHOLDS, np.array([13.0, 23.5])
    planes = (
        ("g − r (mag)", table["g"] - table["r"],
         limits["color_limit"] - limits["color_slope"] * (line - 14), (-0.1, 1.4)),
        ("μ_eff (mag / arcsec²)", table["mu_eff"],
         limits["sb_limit"] + limits["sb_slope"] * (line - 14), (26, 17)),
    )  # fmt: skip
    figure = make_figure(9, 3.9)
    shred = np.asarray(table["p_cnn"] >= 0.5)
    for ax, (label, values, boundary, limits_y) in zip(figure.subplots(1, 2), planes, strict=True):
        for name, rows, color in (("galaxy", ~shred, "#0072b2"), ("shred", shred, "#e69f00")):
            for chosen, face in ((rows & passed, color), (rows & ~passed, "none")):
                ax.scatter(
                    table["r"][chosen], values[chosen], 24, facecolors=face, edgecolors=color
                )
            ax.scatter([], [], 24, color=color, label=f"{name} by p_cnn")
        ax.scatter([], [], 24, facecolors="none", edgecolors="0.3", label="excluded by the cuts")
        ax.plot(line, boundary, color="0.2")
        ax.fill_between(line, boundary, limits_y[1], color="0.5", alpha=0.15, linewidth=0)
        ax.axvline(limits["r_max"], color="0.2", linestyle="dashed")
        ax.set(xlabel="r (mag)", ylabel=label, xlim=line, ylim=limits_y)
    ax.legend(fontsize=10, loc="lower left")
    return figure


def draw_hosts(satellites, hosts):
    """Plot the satellite candidates and the projected radius around each host."""
    field = example_field()
    ax = plot_field(field.image, field.wcs, satellites, legend=False)
    x, y = field.wcs.world_to_pixel_values(hosts["ra"], hosts["dec"])
    angle = (50 * u.kpc / hosts["distance"].quantity).to_value("")
    radii = np.degrees(angle) * 3600 / field.pixel_scale
    draw_circles(ax, x, y, radii, edgecolors="#5ad1ff", linewidths=1.5, linestyles="dotted")
    for name, a, b in zip(hosts["host_id"], x, y, strict=True):
        ax.text(a + 14, b + 14, str(name), color="#5ad1ff", fontsize=13)
    return ax.figure


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
    color, style = (SHRED, "solid") if p_cnn >= 0.5 else (GALAXY, "dashed")
    draw_circles(
        ax, np.array([x]), np.array([y]), np.array([RADIUS]),
        edgecolors=color, linewidths=2, linestyles=style,
    )  # fmt: skip
    if side:
        write_score(ax, x, y + side * (RADIUS + 3), p_cnn, ha="center", fontsize=12)
    ax.set_axis_off()


def draw_cutout(ax, image, p_cnn):
    """Plot a cutout with a cross at its source and a patch with its score."""
    ax.imshow(image)
    ax.set_axis_off()
    draw_cross(ax, 63.5, 63.5, 6, 10, color="#ff4d4d", linewidth=1)
    write_score(ax, 0.045, 0.06, p_cnn, transform=ax.transAxes, fontsize=11)


def write_score(ax, x, y, p_cnn, **options):
    """Write a score on its shade."""
    shade = get_shade(p_cnn)
    ax.text(
        x, y, f"{p_cnn:.2f}", color=get_text_color(shade),
        bbox={"facecolor": shade, "pad": 2, "linewidth": 0}, **options,
    )  # fmt: skip


if __name__ == "__main__":
    main()
