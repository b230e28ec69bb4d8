"""Measure how the networks respond to moved centres, companions, dust, stars and artefacts.

    python studies/responses.py state/ catalogue --figure docs/_static/responses.jpg

Each image is made from a held-out source and scored by the network trained without it. Moved
images and companions are made from galaxies of which both first raters were certain.
"""

import argparse
from functools import cached_property
from pathlib import Path

import numpy as np
from astropy.table import Table
from scores import calibrate, gather, to_probability
from sources import SURVEY, load_sources
from study import score

from shredfinder import Cutouts, ShredClassifier
from shredfinder.imaging import deredden_images, measure_appearance
from shredfinder.plotting.style import make_figure
from shredfinder.training import (
    OTHER_KINDS,
    draw_companion,
    draw_other,
    fill_border,
    move_center,
    redden_image,
)
from shredfinder.training.companions import HOST_RADIUS, find_small_galaxies

RADII = ((1.5, 3), (3, 5), (5, 7), (7, 10))
OFFSETS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
DUST = (0.0, 0.05, 0.1, 0.2, 0.3, 0.6, 1.0)
LIMITS = (0.5, 0.7, 0.8, 0.9)
COLORS = ("#7fb3d5", "#1f5fa8", "#d99a00", "#c8342b")


def main():
    """Print the tables and plot the curves."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("state", type=Path)
    parser.add_argument("run")
    parser.add_argument("--folds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--figure", type=Path)
    args = parser.parse_args()
    networks = Networks(args)
    moved, dust = measure_moved(networks), measure_dust(networks)
    for table in (moved, dust, measure_borders(networks), measure_others(networks)):
        table.pprint(max_lines=-1, max_width=-1)
    companions = np.concatenate(list(measure_companions(networks)))
    print(f"of {len(companions)} drawn companions, called shreds: {np.mean(companions):.3f}")
    if args.figure:
        plot_responses(moved, dust).savefig(args.figure, dpi=130)


class Networks:
    """The networks of the folds and their held-out sources."""

    def __init__(self, args):
        self.sources = load_sources(args.data)
        self.models = {
            fold: ShredClassifier.load(args.state / f"{args.run}-{fold}.shredmodel")
            for fold in args.folds
            if (args.state / f"{args.run}-{fold}.shredmodel").exists()
        }
        logits, self.other = gather(args.state, args.run, len(self.sources.table), args.folds)
        self.logits = logits
        self.tested = self.sources.agreed & np.isfinite(logits)
        self.temperature = calibrate(logits[self.tested], self.sources.shred[self.tested])

    @cached_property
    def radius(self):
        """Isophotal radius of each source in arcsec."""
        return np.asarray(measure_appearance(self.sources.all_cutouts)["isophotal_radius"])

    @property
    def galaxies(self):
        """Galaxies of which both first raters were certain."""
        return self.tested & self.sources.certain & ~self.sources.shred

    def score(self, rows, change):
        """Score changed images of some rows, each by the network trained without it.

        Returns
        -------
        rows, p_shred, p_other
            Rows whose image could be changed, in the order of the folds, and their scores.
        """
        found, p_shred, p_other = [], [], []
        for fold, model in self.models.items():
            held = rows[self.sources.fold[rows] == fold]
            images = [(row, change(row, self.sources.all_cutouts.images[row])) for row in held]
            images = [(row, image) for row, image in images if image is not None]
            if images:
                cutouts = Cutouts.of_survey(SURVEY.name, np.stack([image for _, image in images]))
                logits, other = score(model, cutouts)
                found.append([row for row, _ in images])
                p_shred.append(to_probability(logits / self.temperature))
                p_other.append(other)
        return np.concatenate(found), np.concatenate(p_shred), np.concatenate(p_other)


def measure_moved(networks):
    """Tabulate the fraction called shred by radius and by the offset in radii."""
    table = Table({"offset": OFFSETS})
    for low, high in RADII:
        rows = np.flatnonzero(
            networks.galaxies & (networks.radius >= low) & (networks.radius < high)
        )
        called = []
        for offset in OFFSETS:
            rng = np.random.default_rng(5)

            def move(row, image, offset=offset, rng=rng):
                angle = rng.uniform(0, 2 * np.pi)
                distance = offset * networks.radius[row] / SURVEY.pixel_scale
                x, y = round(distance * np.cos(angle)), round(distance * np.sin(angle))
                return move_center(image, x, y)

            called.append(np.mean(networks.score(np.tile(rows, 2), move)[1] > 0.5))
        table[f"{low}–{high}″"] = np.round(called, 3)
    return table


def measure_dust(networks):
    """Tabulate the fractions of wrong classes by extra reddening, without and with correction."""
    rows = np.flatnonzero(networks.tested)
    names = ("shreds missed", "galaxies called shred", "not a galaxy")
    table = Table(names=("E(B−V)", *names, *(f"{name}, corrected" for name in names)))
    for ebv in DUST:
        row = [ebv]
        for correct in (False, True):
            rng = np.random.default_rng(6)

            def change(row, image, ebv=ebv, rng=rng, correct=correct):
                image = redden_image(image, ebv, rng)
                return deredden_images(image[None], ebv)[0] if correct else image

            found, p, other = networks.score(rows, change)
            shred = networks.sources.shred[found]
            row += [np.mean(p[shred] < 0.5), np.mean(p[~shred] > 0.5), np.mean(other > 0.9)]
        table.add_row(row)
    for name in table.colnames[1:]:
        table[name].format = ".4f"
    return table


def measure_borders(networks):
    """Control: galaxies whose border is filled like that of moved images, without moving."""
    rows = np.flatnonzero(networks.galaxies & (networks.radius >= 3) & (networks.radius < 10))
    table = Table(names=("filled border (px)", "called shred"))
    for width in (0, 5, 10, 20, 30):
        rng = np.random.default_rng(7)

        def fill(row, image, width=width, rng=rng):
            angle = rng.uniform(0, 2 * np.pi)
            return fill_border(image, round(width * np.cos(angle)), round(width * np.sin(angle)))

        table.add_row((width, np.mean(networks.score(rows, fill)[1] > 0.5)))
    table["called shred"].format = ".4f"
    return table


def measure_companions(networks):
    """Yield, fold by fold, whether galaxies drawn on larger ones are called shreds."""
    radii = networks.radius / SURVEY.pixel_scale
    for fold in networks.models:
        held = networks.galaxies & (networks.sources.fold == fold)
        rows = np.flatnonzero(held & (radii >= HOST_RADIUS))
        small = find_small_galaxies(
            networks.sources.all_cutouts.images[held], networks.sources.soft[held], radii[held]
        )
        rng = np.random.default_rng(8)

        def draw(row, image, small=small, rng=rng):
            return draw_companion(image, radii[row], *small[rng.integers(len(small))], rng)

        yield networks.score(rows, draw)[1] > 0.5


def measure_others(networks, n=300):
    """Tabulate the fraction above limits of p_other, of stars and artefacts and of real sources."""
    rng = np.random.default_rng(9)
    table = Table(
        names=("kind", "n", *map(str, LIMITS)), dtype=(object, int, *[float] * len(LIMITS))
    )

    def add(kind, other):
        table.add_row((kind, len(other), *(np.mean(other > limit) for limit in LIMITS)))

    is_other = np.asarray(networks.sources.table["final4"]) == "other"
    settled = np.asarray(networks.sources.table["settled4"]) & np.isfinite(networks.other)
    real = settled & is_other
    add("real", networks.other[real])
    rows = np.flatnonzero(networks.tested)
    for kind in OTHER_KINDS:
        chosen = rng.choice(rows, n, replace=False)
        _, _, other = networks.score(
            chosen, lambda row, image, kind=kind: draw_other(image, rng, kind=kind)
        )
        add(f"drawn: {kind}", other)
    add("galaxies and shreds (lost)", networks.other[networks.tested])
    for limit in LIMITS:
        table[str(limit)].format = ".4f"
    return table


def plot_responses(moved, dust):
    """Plot the responses to moved centres and to dust."""
    figure = make_figure(9.6, 4.0)
    left, right = figure.subplots(1, 2)
    for name, color in zip(moved.colnames[1:], COLORS, strict=True):
        left.plot(moved["offset"], moved[name], "o-", color=color, ms=4, label=name)
    left.set_xlabel("offset of the centre (isophotal radii)")
    left.set_ylabel("fraction called shred")
    left.legend(title="radius", frameon=False)
    for name, color in zip(dust.colnames[1:3], (COLORS[3], COLORS[1]), strict=True):
        right.plot(dust["E(B−V)"], dust[name], "o-", color=color, ms=4, label=name)
        corrected = f"{name}, corrected"
        right.plot(
            dust["E(B−V)"], dust[corrected], "o:", color=color, ms=4, mfc="w", label=corrected
        )
    right.set_xlabel("extra E(B−V) (mag)")
    right.set_ylabel("fraction")
    right.set_ylim(0)
    right.legend(frameon=False)
    return figure


if __name__ == "__main__":
    main()
