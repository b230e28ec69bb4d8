"""Draw the parents of shreds in real cutouts of the training data, to be checked by eye.

python benchmarks/real_overlays.py DATA OUT --n-fields 60

DATA holds labels.ecsv and the folder cutouts. The labels stand for perfect scores. The data lists
only a sample of each field's sources, so that most shreds have no galaxy in the table: orphans.
Blue rings are galaxies, orange crosses shreds, and lines lead to the parent. The images must not
be published.
"""

import argparse
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table
from matplotlib.figure import Figure

from shredfinder.hosts import find_parents
from shredfinder.imaging import ImageFiles, rgb_to_flux
from shredfinder.surveys import get_survey

SURVEY = get_survey("legacy")
APERTURE = 2.5  # arcsec
N_COLUMNS, N_PER_PAGE = 5, 20


def measure(cutout):
    """Return the r flux within an aperture at the centre, and a half-light radius within 10″."""
    flux = rgb_to_flux(cutout.images[0], color_mapping=SURVEY.color_mapping)[1]
    flux = flux * (SURVEY.pixel_scale / SURVEY.native_pixel_scale) ** 2
    y, x = np.indices(flux.shape)
    apart = np.hypot(x - (flux.shape[1] - 1) / 2, y - (flux.shape[0] - 1) / 2) * SURVEY.pixel_scale
    order = np.argsort(apart, axis=None)
    near = order[apart.ravel()[order] < 10]
    light = np.cumsum(np.maximum(flux.ravel()[near], 0))
    half = apart.ravel()[near][np.searchsorted(light, light[-1] / 2)]
    return flux[apart < APERTURE].sum(), max(half, 0.6)


def main():
    """Find the parents and draw the fields."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("output", type=Path, help="folder of the figures")
    parser.add_argument("--n-fields", type=int, default=60)
    args = parser.parse_args()
    labels = Table.read(args.data / "labels.ecsv")
    table = labels[np.isin(labels["final4"], ["galaxy", "shred"])]
    sky = SkyCoord(table["ra"], table["dec"], unit="deg")
    reach = SURVEY.size * SURVEY.pixel_scale / 2 * u.arcsec
    first, _, apart, _ = sky.search_around_sky(sky, reach)
    shred = np.asarray(table["final4"]) == "shred"
    neighbours = np.bincount(first[apart.arcsec > 0.5], minlength=len(table))
    # Fields with the most neighbours, one per group on the sky.
    rows = np.flatnonzero(shred & (neighbours > 0))
    rows = rows[np.argsort(-neighbours[rows], kind="stable")]
    _, unique = np.unique(np.asarray(table["sky_group"])[rows], return_index=True)
    rows = rows[np.sort(unique)][: args.n_fields]
    groups = np.unique(np.asarray(table["sky_group"])[rows])
    keep = np.flatnonzero(np.isin(table["sky_group"], groups))
    centers = table["objID"][rows]
    table = table[keep]
    files = [args.data / "cutouts" / f"{name}.png" for name in table["objID"]]
    cutouts = ImageFiles(files, size=(SURVEY.size,) * 2, pixel_scale=SURVEY.pixel_scale,
                         bands=SURVEY.bands, color_mapping=SURVEY.color_mapping)  # fmt: skip
    light = np.array([measure(cutouts[i : i + 1]) for i in range(len(table))])
    table["flux_r"], table["radius"] = light.T
    table["p_cnn"] = np.where(table["final4"] == "shred", 0.97, 0.03)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parents = find_parents(table, cutouts)
    args.output.mkdir(parents=True, exist_ok=True)
    where = {name: i for i, name in enumerate(table["objID"].tolist())}
    ra, dec = np.asarray(table["ra"]), np.asarray(table["dec"])
    for page in range(0, len(centers), N_PER_PAGE):
        part = centers[page : page + N_PER_PAGE]
        n_rows = -(-len(part) // N_COLUMNS)
        figure = Figure(figsize=(15, 3.1 * n_rows), layout="constrained")
        for k, name in enumerate(part):
            i = where[int(name)]
            axis = figure.add_subplot(n_rows, N_COLUMNS, k + 1)
            axis.imshow(cutouts[i : i + 1].images[0])
            x = 63.5 - (ra - ra[i]) * np.cos(np.radians(dec[i])) * 3600 / SURVEY.pixel_scale
            y = 63.5 - (dec - dec[i]) * 3600 / SURVEY.pixel_scale
            for j in np.flatnonzero((np.abs(x - 63.5) < 64) & (np.abs(y - 63.5) < 64)):
                piece = parents["parent_kind"][j] != "self"
                axis.plot(x[j], y[j], "x" if piece else "o", mec="orange" if piece else "cyan",
                          mfc="none", ms=6 if piece else 11)  # fmt: skip
                m = int(parents["parent_index"][j])
                if piece and m != j:
                    axis.plot(
                        [x[j], x[m]],
                        [y[j], y[m]],
                        "-",
                        color="yellow" if parents["parent_kind"][j] == "row" else "red",
                        lw=1,
                    )
            axis.set(xlim=(-0.5, 127.5), ylim=(127.5, -0.5), xticks=[], yticks=[])
            axis.set_title(f"{page + k}: {parents['parent_kind'][i]} {name}", fontsize=7)
        figure.savefig(args.output / f"page{page // N_PER_PAGE}.png", dpi=80)
    kinds = Counter(np.asarray(parents["parent_kind"]).tolist())
    print(f"{len(centers)} fields: {', '.join(f'{n} {kind}' for kind, n in kinds.items())}")


if __name__ == "__main__":
    main()
