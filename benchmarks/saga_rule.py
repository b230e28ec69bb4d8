"""Count what SAGA's rule and p_cnn each remove on simulated fields with known truth.

python benchmarks/saga_rule.py --n-fields 20 -o docs/measured/saga_rule.txt
"""

import argparse
import sys
import warnings
from pathlib import Path

import numpy as np
from astropy.table import Table, vstack

from shredfinder import ShredClassifier
from shredfinder.datasets import make_shredded_field
from shredfinder.hosts import compare_removals, saga_shreds

# Radii of 90 % and of half of the light of an exponential disc, in scale lengths.
R90_TO_R50 = 3.890 / 1.678
# The NASA-Sloan Atlas holds galaxies that SDSS observed, to this r magnitude.
ATLAS_LIMIT = 17.77
SPEED_OF_LIGHT = 299792.458


def make_atlas(field, rng):
    """Return the shredded galaxies of a field as the NASA-Sloan Atlas would list them."""
    found = field.galaxies[np.isin(field.galaxies["type"], ["host", "pair", "dwarf"])]
    found = found[np.asarray(found["r"]) < ATLAS_LIMIT]
    atlas = Table({"host_id": found["galaxy_id"], "ra": found["ra"], "dec": found["dec"]})
    atlas["z"] = rng.uniform(0.005, 0.03, len(found))
    atlas["petro_th90"] = R90_TO_R50 * found["radius"]
    atlas["petro_ba90"], atlas["petro_phi90"] = found["axis_ratio"], found["position_angle"]
    atlas["r_mag"] = found["r"]
    return atlas


def add_redshifts(field, atlas, rng, fraction):
    """Add redshifts of a fraction of the sources: those of their galaxies, or larger ones."""
    sources = field.sources
    redshift = dict(zip(atlas["host_id"].tolist(), atlas["z"].tolist(), strict=True))
    values = np.array([redshift.get(name, np.nan) for name in sources["galaxy_id"].tolist()])
    far = rng.uniform(0.03, 0.3, len(sources))
    values = np.where(np.isfinite(values), values, far)
    values += rng.normal(0, 60 / SPEED_OF_LIGHT, len(sources))
    sources["redshift"] = np.where(rng.uniform(size=len(sources)) < fraction, values, np.nan)


def main():
    """Simulate, compare and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--n-fields", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=6000)
    parser.add_argument("-o", "--output", type=Path)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    classifier = ShredClassifier.load()
    fields = []
    for seed in range(args.first_seed, args.first_seed + args.n_fields):
        rng = np.random.default_rng(seed)
        field = make_shredded_field(random_state=seed)
        field.sources["p_cnn"], _ = classifier.predict_p_cnn(field.cutouts())
        fields.append((field, make_atlas(field, rng), rng))
        print(f"field {seed}: {len(field.sources)} sources", file=sys.stderr, flush=True)
    lines = [f"{args.n_fields} fields of make_shredded_field, seeds from {args.first_seed}"]
    for fraction in (0.0, 0.3):
        rows = []
        for field, atlas, rng in fields:
            add_redshifts(field, atlas, rng, fraction)
            sources = field.sources["r", "label", "p_cnn"]
            sources["rule"] = saga_shreds(field.sources, atlas)["shred"]
            rows.append(sources)
        sources = vstack(rows)
        counts = compare_removals(sources["rule"], sources["p_cnn"], label=sources["label"])
        lines += ["", f"redshifts of {fraction:.0%} of the sources", *counts.pformat()]
    print("\n".join(lines))
    if args.output is not None:
        args.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
