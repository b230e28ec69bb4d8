"""Compare simulated fields with real cutouts: colours, brightness, sizes, surroundings, noise.

Prints medians and 16th to 84th percentiles of real and simulated sources for each class:

    python benchmarks/simulation_realism.py ../shared/data

The data folder holds ``labels.ecsv`` and ``cutouts/<objID>.png``.
"""

import argparse
from pathlib import Path

import numpy as np
from astropy.stats import mad_std
from astropy.table import Table, vstack

from shredfinder.datasets import make_field
from shredfinder.imaging import ImageFiles, rgb_to_flux
from shredfinder.surveys import get_survey

SURVEY = get_survey("legacy-dr9")
SCALE = SURVEY.pixel_scale
# Fluxes are per native pixel; number of native pixels per cutout pixel.
NATIVE_PER_PIXEL = (SCALE / SURVEY.native_pixel_scale) ** 2
QUANTITIES = {
    "mu_center": ("central surface brightness, r", "mag/arcsec²"),
    "r_mag": ("r within 3″, background subtracted", "mag"),
    "g_r": ("g − r at the centre", "mag"),
    "r_z": ("r − z at the centre", "mag"),
    "r_half": ("half-light radius within 6″", "arcsec"),
    "mu_around": ("surroundings at 5–8″, r", "mag/arcsec²"),
    "contrast": ("contrast of the centre to its surroundings", ""),
    "offset": ("distance from the brightest pixel nearby", "arcsec"),
    "covered": ("fraction of the cutout above the sky", ""),
}

SKY_QUANTITIES = {
    "noise_g": ("noise per pixel in g", "nmgy/0.262″²"),
    "noise_r": ("noise per pixel in r", "nmgy/0.262″²"),
    "noise_z": ("noise per pixel in z", "nmgy/0.262″²"),
    "correlation_1": ("correlation of adjacent pixels in r", ""),
    "correlation_2": ("correlation of pixels 2 px apart in r", ""),
    "sky_r": ("sky level in r", "nmgy/0.262″²"),
    "fwhm": ("FWHM of the narrowest point source", "arcsec"),
    "n_points": ("number of point sources", ""),
}


def mu(flux):
    """Convert nanomaggies per native pixel to mag/arcsec²; NaN where negative."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return 22.5 - 2.5 * np.log10(flux / SURVEY.native_pixel_scale**2)


def smooth(image, times=3):
    """Smooth the last two axes repeatedly with (1, 2, 1)/4."""
    for _ in range(times):
        for axis in (-1, -2):
            image = (np.roll(image, 1, axis) + 2 * image + np.roll(image, -1, axis)) / 4
    return image


def measure_cutout(image):
    """Measure one cutout, of shape (height, width, 3), uint8."""
    z, r, g = rgb_to_flux(image).astype(float)
    height, width = r.shape
    y, x = np.indices(r.shape)
    radius = SCALE * np.hypot(x - (width - 1) / 2, y - (height - 1) / 2)
    center, around = radius < 0.8, (radius > 5) & (radius < 8)
    flux = {"g": g[center].mean(), "r": r[center].mean(), "z": z[center].mean()}
    level = np.median(r[around])
    inner = np.where(radius < 6, r - level, 0)
    order = np.argsort(radius, axis=None)
    growth = np.cumsum(inner.flat[order])
    total = growth[radius.flat[order] < 6][-1]
    half = radius.flat[order][np.argmax(growth > total / 2)] if total > 0 else np.nan
    smoothed = smooth(r)
    near = np.where(radius < 20, smoothed, -np.inf)
    colors = {}
    for first, second in ("gr", "rz"):
        good = min(flux[first], flux[second]) > 0.005
        colors[f"{first}_{second}"] = (
            -2.5 * np.log10(flux[first] / flux[second]) if good else np.nan
        )
    aperture = inner[radius < 3].sum() * NATIVE_PER_PIXEL
    return {
        "mu_center": mu(flux["r"]),
        "r_mag": 22.5 - 2.5 * np.log10(aperture) if aperture > 0 else np.nan,
        **colors,
        "r_half": half,
        "mu_around": mu(max(level, 0.001)),
        "contrast": 1 - level / flux["r"] if flux["r"] > 0.005 else np.nan,
        "offset": radius.flat[np.argmax(near)],
        "covered": (smoothed > 0.012).mean(),
    }


def measure_sky(image):
    """Measure noise and point sources of one cutout: σ per band, correlation, widths."""
    fluxes = rgb_to_flux(image).astype(float)
    r = fluxes[1]
    smoothed = smooth(r)
    empty = np.abs(smoothed - np.median(smoothed)) < 0.004
    row = {}
    for band, plane in zip(SURVEY.bands, fluxes, strict=True):
        row[f"noise_{band}"] = mad_std(plane[empty]) if empty.mean() > 0.5 else np.nan

    noise = np.where(empty, r - np.median(r[empty]), 0) if empty.any() else r
    for lag in (1, 2):
        pairs = empty[:, :-lag] & empty[:, lag:]
        product = (noise[:, :-lag] * noise[:, lag:])[pairs].mean() if pairs.any() else np.nan
        row[f"correlation_{lag}"] = product / noise[empty].var() if empty.any() else np.nan
    row["sky_r"] = np.median(r[empty]) if empty.mean() > 0.5 else np.nan
    row["fwhm"], row["n_points"] = measure_points(r)
    return row


def measure_points(r):
    """Return the FWHM of the narrowest point source in arcsec and the number of points."""
    inside = r[2:-2, 2:-2]
    around = [
        r[2 + dy : r.shape[0] - 2 + dy, 2 + dx : r.shape[1] - 2 + dx]
        for dy in (-1, 0, 1)
        for dx in (-1, 0, 1)
        if dy or dx
    ]
    peaks = (inside > np.max(around, axis=0)) & (inside > 0.08) & (inside < 1.0)
    widths = []
    for y, x in np.argwhere(peaks) + 2:
        level = np.median(r[max(y - 9, 0) : y + 10, max(x - 9, 0) : x + 10])
        if level > 0.02:
            continue
        core = r[y - 1 : y + 2, x - 1 : x + 2] - level
        if core.min() <= 0:
            continue
        logs = np.log(core)
        bend = -(logs[1, 0] + logs[1, 2] + logs[0, 1] + logs[2, 1] - 4 * logs[1, 1]) / 2
        if bend > 0:
            widths.append(2.3548 * SCALE / np.sqrt(bend))
    n = len(widths)
    return (np.min(widths) if n else np.nan), n


def measure(images, labels):
    """Measure cutouts; return a table of source properties and one of sky properties."""
    rows, skies = [], []
    for image, label in zip(images, labels, strict=True):
        rows.append({"label": label, **measure_cutout(image)})
        skies.append({"label": label, **measure_sky(image)})
    return Table(rows), Table(skies)


def describe(values):
    """Format the median and the 16th to 84th percentiles."""
    values = np.asarray(values, dtype=float)
    values = values[np.isfinite(values)]
    if not len(values):
        return "none"
    low, median, high = np.percentile(values, (16, 50, 84))
    digits = 4 if abs(median) < 0.03 else 2
    return f"{median:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def read_real(folder, n, rng):
    """Read images and labels of real cutouts on which both raters agree."""
    table = Table.read(folder / "labels.ecsv")
    table = table[np.isin(table["consensus"], ("galaxy", "shred"))]
    table = table[np.sort(rng.permutation(len(table))[:n])]
    paths = [folder / "cutouts" / f"{identifier}.png" for identifier in table["objID"]]
    cutouts = ImageFiles(
        paths, size=(SURVEY.size, SURVEY.size), pixel_scale=SCALE, bands=SURVEY.bands
    )[:]
    return cutouts.images[cutouts.good], np.array(table["consensus"])[cutouts.good]


def simulate(n_fields, seed):
    """Simulate fields and return the cutouts and labels of their sources."""
    images, tables = [], []
    for i in range(n_fields):
        field = make_field(random_state=seed + i)
        cutouts = field.cutouts()
        sources = field.sources[cutouts.good]
        keep = np.isin(sources["label"], ("galaxy", "shred"))
        images.append(cutouts.images[cutouts.good][keep])
        tables.append(sources[keep])
    sources = vstack(tables, metadata_conflicts="silent")
    return np.concatenate(images), np.array(sources["label"])


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="?", type=Path, default=Path("../shared/data"))
    parser.add_argument("--n-real", type=int, default=3200, help="maximum number of real cutouts")
    parser.add_argument("--n-fields", type=int, default=12, help="number of simulated fields")
    parser.add_argument("--seed", type=int, default=1000)
    arguments = parser.parse_args()
    if not (arguments.data / "labels.ecsv").is_file():
        print(f"skipped: no real cutouts in {arguments.data}")
        return
    rng = np.random.default_rng(arguments.seed)
    real = measure(*read_real(arguments.data, arguments.n_real, rng))
    simulated = measure(*simulate(arguments.n_fields, arguments.seed))
    for name, table in (("real", real[0]), ("simulated", simulated[0])):
        counts = {label: int((table["label"] == label).sum()) for label in ("galaxy", "shred")}
        print(f"{name}: {counts['galaxy']} galaxies, {counts['shred']} shreds")
    line = "{:<44} {:<13} {:<27} {:<27}"
    for label in ("galaxy", "shred"):
        print(f"\n{line.format(label, 'unit', 'real', 'simulated').rstrip()}")
        for name, (words, unit) in QUANTITIES.items():
            columns = [describe(t[name][t["label"] == label]) for t, _ in (real, simulated)]
            print(line.format(words, unit, *columns).rstrip())
    print(f"\n{line.format('sky and stars', 'unit', 'real', 'simulated').rstrip()}")
    for name, (words, unit) in SKY_QUANTITIES.items():
        columns = [describe(skies[name]) for _, skies in (real, simulated)]
        print(line.format(words, unit, *columns).rstrip())


if __name__ == "__main__":
    main()
