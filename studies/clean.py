"""Rank the labels that cross-validation contradicts, and plot the cutouts for blind inspection.

    python studies/clean.py state/ sheets/

The sheets show 15 cutouts each in random order, without label and score; ``ranked.csv`` in the same
folder identifies them. The results of the inspection are in ``contradicted.csv`` and
``corrections.csv``.
"""

import argparse
from pathlib import Path

import numpy as np
from scores import compute_scores, gather
from sources import load_sources

from shredfinder.labelling import rank_contradicted
from shredfinder.plotting import plot_gallery

_PER_SHEET = 15


def main():
    """Write the ranking and the sheets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("state", type=Path)
    parser.add_argument("sheets", type=Path, help="output folder, created if missing")
    parser.add_argument("--run", default="compact-first-labels")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("-n", type=int, default=150, help="number of labels to inspect")
    args = parser.parse_args()
    sources = load_sources(args.data, "final")
    p_shred = compute_scores(gather(args.state, args.run, len(sources.table))[0], sources)
    ranked = rank_contradicted(sources.table["final"], p_shred)
    print(f"{len(ranked)} labels, {np.sum(ranked['p_label'] < 0.5)} contradicted by the networks")
    ranked = ranked[: args.n]
    ranked["objID"] = sources.table["objID"][ranked["row"]]
    ranked["place"] = np.random.default_rng(20261125).permutation(len(ranked))
    args.sheets.mkdir(exist_ok=True)
    ranked.write(args.sheets / "ranked.csv", overwrite=True)
    ranked.sort("place")
    for start in range(0, len(ranked), _PER_SHEET):
        part = ranked[start : start + _PER_SHEET]
        figure = plot_gallery(
            sources.cutouts(np.asarray(part["row"])), titles=[str(place) for place in part["place"]]
        )
        figure.savefig(args.sheets / f"sheet-{start // _PER_SHEET}.png", dpi=190)


if __name__ == "__main__":
    main()
