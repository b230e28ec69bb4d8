"""Measure parents and merged magnitudes on simulated fields with known truth, and the speed.

python benchmarks/merging.py --n-fields 12 --first-seed 7000 -o docs/measured/merging.txt

Each field is merged with perfect scores and with those of the embedded model, with and without
cutouts. Magnitudes are compared with the truth: sums of the catalogue's fluxes, and fluxes that are
measured in the images. In brackets: 95 % intervals of fractions, and half of the 16-84 % range of
differences; pulls are differences over their uncertainties. The fields are harder than the sky:
they are crowded with large, heavily shredded discs.
"""

import argparse
import sys
import time
import warnings
from collections import Counter, defaultdict
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from astropy.stats import binom_conf_interval
from astropy.table import Table

from shredfinder import ShredClassifier
from shredfinder.datasets import make_field, make_shredded_field
from shredfinder.hosts import find_parents, merge_shreds

# Galaxies that lie in front of a large disc or behind it.
ON_DISC = ("on disc", "behind")
_WRONG_MAG = 0.3
# A threshold that keeps more galaxies than the usual 0.5.
_THRESHOLD = 0.8


def measure_images(field, parents):
    """Return fluxes in r from images and their errors by main row, flags, number and seconds."""
    images = {
        band: (plane * field.native_per_pixel, field.wcs)
        for band, plane in zip(field.bands, field.fluxes, strict=True)
    }
    start = time.perf_counter()
    merged = merge_shreds(field.sources, "image", parents=parents, images=images)
    seconds = time.perf_counter() - start
    flux = np.full(len(field.sources), np.nan)
    mains = np.unique(np.asarray(parents["parent_index"]))
    measured = np.isfinite(merged["half_light_radius"])
    error = flux.copy()
    flux[mains] = np.asarray(merged["flux_r"])
    error[mains] = np.asarray(merged["flux_ivar_r"]) ** -0.5
    flagged = np.zeros(flux.size, dtype=bool)
    flagged[mains] = np.asarray(merged["merge_flag"]) != ""
    return flux, error, flagged, np.count_nonzero(measured), seconds


def judge(field, parents, images=None):
    """Count right and wrong parents of one field; return counts and magnitude differences."""
    sources, galaxies = field.sources, field.galaxies
    kind, main = np.asarray(parents["parent_kind"]), np.asarray(parents["parent_index"])
    shred = np.asarray(sources["label"]) == "shred"
    truth, flux = np.asarray(sources["galaxy_id"]), np.asarray(sources["flux_r"])
    n = len(sources)
    # The galaxy to which most of each group's light belongs.
    light = defaultdict(Counter)
    for row in range(n):
        light[main[row]][truth[row]] += max(flux[row], 0)
    owner = {group: max(parts, key=parts.get) for group, parts in light.items()}
    counts = Counter()
    flagged = kind != "self"
    # Where each galaxy's light is: its own row, or the group with most of it.
    place = {}
    for group, parts in light.items():
        for galaxy, value in parts.items():
            if galaxy not in place or value > place[galaxy][1]:
                place[galaxy] = group, value
    for row in np.flatnonzero(shred):
        counts["shreds"] += 1
        right = place[truth[row]][0] == main[row] and owner[main[row]] == truth[row]
        if flagged[row]:
            counts["flagged"] += 1
            counts["right"] += right
    for row in np.flatnonzero(~shred):
        where = "on a disc" if sources["type"][row] in ON_DISC else "elsewhere"
        counts["galaxies", where] += 1
        # A galaxy is swallowed if it is a part of something else.
        counts["swallowed", where] += owner[main[row]] != truth[row]
        counts["above", where] += sources["p_cnn"][row] >= _THRESHOLD
    counts["above"] = np.count_nonzero(sources["p_cnn"][shred] >= _THRESHOLD)
    total = np.bincount(main, flux, n)
    measured = error = np.full(n, np.nan)
    flag = np.zeros(n, dtype=bool)
    if images is not None:
        measured, error, flag, counts["measured"], counts["seconds"] = images
    offsets = []
    for galaxy in galaxies:
        rows = truth == galaxy["galaxy_id"]
        lost = not galaxy["catalogued"]
        if not lost and rows.sum() < 2:
            continue
        with np.errstate(invalid="ignore", divide="ignore"):
            group = place[galaxy["galaxy_id"]][0]
            merged, image = 22.5 - 2.5 * np.log10([total[group], measured[group]])
            entry = 22.5 - 2.5 * np.log10(flux[rows & ~shred].sum()) if not lost else np.nan
        pull = (measured[group] - 10 ** (0.4 * (22.5 - galaxy["r"]))) / error[group]
        offsets.append(
            (merged - galaxy["r"], entry - galaxy["r"], image - galaxy["r"], flag[group], pull)
        )
        if lost:
            counts["lost"] += 1
            # Its light is in a row of its own, not in that of another galaxy.
            counts["recovered"] += truth[place[galaxy["galaxy_id"]][0]] == galaxy["galaxy_id"]
    return counts, offsets


def summarize(name, counts, offsets):
    """Return one block of the report."""
    merged, entry, image, flagged, pull = np.array(offsets, dtype=float).T
    good = np.isfinite(merged)
    # The nucleus's entry lacks much of the light, or there is none.
    wrong = good & ~(entry < _WRONG_MAG)
    rates = [
        ("right parent of shreds that are scored as shreds", "right", "flagged"),
        ("lost galaxies recovered", "recovered", "lost"),
        *(
            (f"true galaxies swallowed, {where}", ("swallowed", where), ("galaxies", where))
            for where in ("elsewhere", "on a disc")
        ),
        (f"shreds with p_cnn ≥ {_THRESHOLD}", "above", "shreds"),
        (
            f"true galaxies with p_cnn ≥ {_THRESHOLD}, on a disc",
            ("above", "on a disc"),
            ("galaxies", "on a disc"),
        ),
    ]
    lines = [name]
    for words, part, whole in rates:
        k, n_all = int(counts[part]), int(counts[whole])
        low, high = binom_conf_interval(k, n_all, 0.95, "wilson")
        lines.append(f"  {words:50} {k / n_all:.3f} ({low:.3f}-{high:.3f})  {k} of {n_all}")
    lines.append(f"  r - true r of the entries before, median {np.nanmedian(entry):+.3f}")
    methods = [("catalog", merged, good, wrong)]
    if counts["measured"]:
        seen = np.isfinite(image) & np.isfinite(pull)
        clean = seen & (flagged == 0)
        methods += [
            ("image", image, good & seen, wrong & seen),
            ("image, unflagged", image, good & clean, wrong & clean),
        ]
    for method, offset, *samples in methods:
        for sample, used in zip(("all", "entry off by ≥ 0.3 mag"), samples, strict=True):
            low, high = np.percentile(offset[used], [16, 84])
            lines.append(
                f"  {f'{method}, {sample}':42} "
                f"{np.median(offset[used]):+.3f} ({(high - low) / 2:.3f})  "
                f"{np.mean(np.abs(offset[used]) > 0.1):.3f} off by > 0.1 (of {used.sum()})"
            )
    if counts["measured"]:
        for sample, used in (("all", good & seen), ("unflagged", good & clean)):
            low, high = np.nanpercentile(pull[used], [16, 84])
            lines.append(
                f"  {f'pulls of the image fluxes, {sample}':42} {np.nanmedian(pull[used]):+.2f} "
                f"({(high - low) / 2:.2f})  {np.nanmean(np.abs(pull[used]) > 3):.3f} beyond 3"
            )
        lines.append(
            f"  {counts['measured']} galaxies measured in images, "
            f"{counts['measured'] / counts['seconds']:.2f} per second"
        )
    return lines


def measure_field(seed, with_images):
    """Return counts and magnitude differences of one field, by scores and evidence."""
    warnings.simplefilter("ignore")
    # Every third field has room for a galaxy of 3′.
    field = make_shredded_field(1536 if seed % 3 == 0 else 1024, random_state=seed)
    cutouts = field.cutouts()
    p_cnn, _ = ShredClassifier.load().predict_p_cnn(cutouts)
    perfect = np.where(np.asarray(field.sources["label"]) == "shred", 0.99, 0.01)
    found = {}
    for scores, values in (("perfect scores", perfect), ("the model's scores", p_cnn)):
        field.sources["p_cnn"] = values
        for images, given in (("with cutouts", cutouts), ("catalogue only", None)):
            parents = find_parents(field.sources, given)
            # The scores hardly matter to the photometry of the right groups.
            wanted = with_images and given is not None and values is perfect
            measured = measure_images(field, parents) if wanted else None
            found[f"{scores}, {images}"] = judge(field, parents, measured)
    print(f"field {seed}: {len(field.sources)} sources", file=sys.stderr, flush=True)
    return found


def measure_fields(n_fields, first, n_images, n_workers):
    """Return the report of the simulated fields."""
    seeds = range(first, first + n_fields)
    results = defaultdict(lambda: (Counter(), []))
    with get_context("spawn").Pool(n_workers) as pool:
        runs = [pool.apply_async(measure_field, (seed, seed < first + n_images)) for seed in seeds]
        for found in (run.get() for run in runs):
            for name, (counts, offsets) in found.items():
                results[name][0].update(counts)
                results[name][1].extend(offsets)
    return [line for name, found in results.items() for line in ["", *summarize(name, *found)]]


def measure_usual_fields(n_fields):
    """Return the fraction of galaxies swallowed in fields with the usual mix of sources."""
    classifier = ShredClassifier.load()
    counts = Counter()
    for seed in range(n_fields):
        field = make_field(random_state=seed)
        sources, cutouts = field.sources, field.cutouts()
        sources["p_cnn"], _ = classifier.predict_p_cnn(cutouts)
        truth = np.where(sources["label"] == "shred", sources["host_id"], sources["objID"])
        found = find_parents(sources, cutouts)
        main = np.asarray(found["parent_index"])
        for row in range(len(sources)):
            if sources["label"][row] == "galaxy":
                counts["galaxies"] += 1
                counts["flagged"] += sources["p_cnn"][row] >= 0.5
                counts["swallowed"] += truth[main[row]] != truth[row]
            elif sources["p_cnn"][row] >= 0.5:
                counts["shreds"] += 1
                counts["right"] += truth[main[row]] == truth[row]
    return [
        "",
        f"the mix of make_field, the model's scores, with cutouts ({n_fields} fields)",
        f"  right parent of shreds that are scored as shreds  "
        f"{counts['right'] / counts['shreds']:.3f}  (of {counts['shreds']})",
        f"  true galaxies swallowed                           "
        f"{counts['swallowed'] / counts['galaxies']:.4f} (of {counts['galaxies']}, of which "
        f"{counts['flagged']} were scored as shreds)",
    ]


def measure_speed(n):
    """Return rows per second for a catalogue of random positions."""
    rng = np.random.default_rng(1)
    side = np.sqrt(n / 5000)
    table = Table({"objID": np.arange(n), "ra": 150 + rng.uniform(0, side, n)})
    table["dec"] = rng.uniform(0, side, n)
    mag = 21.5 + np.log10(rng.uniform(10 ** (-0.6 * 6), 1, n)) / 0.6
    for band, color in zip("grz", (0.6, 0, -0.4), strict=True):
        table[f"flux_{band}"] = 10 ** (0.4 * (22.5 - mag - color))
        table[f"flux_ivar_{band}"] = 100.0
        table[f"mw_transmission_{band}"] = 0.95
    table["shape_r"] = rng.lognormal(0.3, 0.4, n)
    table["p_cnn"] = np.where(rng.uniform(size=n) < 0.05, 0.9, 0.1)
    start = time.perf_counter()
    merged = merge_shreds(table)
    seconds = time.perf_counter() - start
    return ["", f"{n} rows merged to {len(merged)} in {seconds:.1f} s: {n / seconds:.0f} rows/s"]


def main():
    """Run all measurements and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--n-fields", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=1000)
    parser.add_argument("--n-images", type=int, default=4, help="fields to measure in images")
    parser.add_argument("--n-workers", type=int, default=1)
    parser.add_argument("--n-rows", type=int, default=1_000_000)
    parser.add_argument("-o", "--output", type=Path)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    lines = [f"{args.n_fields} shredded fields, seeds from {args.first_seed}"]
    lines += measure_fields(args.n_fields, args.first_seed, args.n_images, args.n_workers)
    lines += measure_usual_fields(min(args.n_fields, 4))
    lines += measure_speed(args.n_rows)
    print("\n".join(lines))
    if args.output is not None:
        args.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
