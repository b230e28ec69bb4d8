"""Rank the labels that cross-validation contradicts, and draw them to be looked at, blind.

    python studies/clean.py state/ sheets/

Sheets of 15 cutouts in random order, with neither label nor answer; ``ranked.csv`` beside them
says which is which. What was seen on them is in ``contradicted.csv`` and ``corrections.csv``.
"""

import argparse
from pathlib import Path

import numpy as np
from answers import answer, gather
from sources import load_sources

from shredfinder.labelling import rank_contradicted
from shredfinder.plotting import plot_gallery

_PER_SHEET = 15


def main():
    """Rank and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("state", type=Path)
    parser.add_argument("sheets", type=Path, help="folder, made if it is not there")
    parser.add_argument("--runs", nargs="+", default=["distilled", "pretrained"])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("-n", type=int, default=150, help="how many to look at")
    args = parser.parse_args()
    sources = load_sources(args.data)
    logits = np.mean([gather(args.state, run, len(sources.table)) for run in args.runs], axis=0)
    p_shred = answer(logits, sources.shred, sources.fold, sources.agreed, symmetry="all")
    ranked = rank_contradicted(sources.table["final"], p_shred)
    print(f"{len(ranked)} labels, {np.sum(ranked['p_label'] < 0.5)} of them contradicted")
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
