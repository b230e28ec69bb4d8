"""Closure test of the pipeline on a simulated sky with known truth.

Run ``python benchmarks/closure.py`` in the repository root. It simulates fields with galaxies,
shreds, stars and hosts, derives survey-like catalogues, serves everything on local servers, and
runs ``find_satellites`` on each survey. It prints the completeness for galaxies whose true
properties pass SAGA's selection, and the purity of the output, with and without p_cnn. The
probability that a shred passes the quality cuts is assumed (see
tests/pipeline/world/catalogues.py): the numbers test the pipeline and do not describe the surveys.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import astropy.units as u
from astropy.config import set_temp_cache
from astropy.stats import binom_conf_interval

sys.path.insert(0, str(Path(__file__).parents[1]))

from shredfinder.catalogs import skyserver
from shredfinder.cutouts import CutoutFetcher
from shredfinder.hosts import read_hosts
from shredfinder.pipeline import find_satellites
from tests.pipeline.closure import judge
from tests.pipeline.world import make_sky, running_services

_OFFSETS = {"legacy-dr9": 0, "sdss-dr17": 1237661068180127744, "ps1-dr2": 133801430000000000}


def main():
    """Simulate, run the pipeline and print the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fields", type=int, default=9)
    parser.add_argument("--seed", type=int, default=20)
    options = parser.parse_args()
    skyserver._RATE = None
    sky = make_sky(options.fields, size=1024, n_hosts=9, seed=options.seed)
    counts = {kind: int((sky.truth["label"] == kind).sum()) for kind in ("galaxy", "shred", "star")}
    print(f"{options.fields} fields of 8 arcmin: {counts}, {len(sky.hosts)} hosts")
    with (
        tempfile.TemporaryDirectory() as folder,
        set_temp_cache(folder),
        running_services(sky, folder) as services,
        services.configured(),
    ):
        hosts = read_hosts(services.images.nsa)
        for survey, offset in _OFFSETS.items():
            search = find_satellites(
                "NGC 2903",
                survey,
                radius=0.6 * u.deg,
                service=CutoutFetcher(cache=False, rate=None),
                query={"cache": False},
                pictures=False,
                progress=False,
            )
            search.candidates["objid"] -= offset
            _print(survey, judge(search, sky, hosts), search)


def _print(survey, table, search):
    steps = ", ".join(f"{row['step']} {row['n']}" for row in search.counts)
    print(f"\n{survey}: {steps}")
    for row in table:
        found = round(row["completeness"] * row["wanted"])
        complete = binom_conf_interval(found, row["wanted"])
        pure = binom_conf_interval(row["galaxies"], row["n"])
        print(
            f"  {row['selection']:26} n {row['n']:4}  galaxies {row['galaxies']:4}  shreds "
            f"{row['shreds']:3}  stars {row['stars']:2}  completeness {row['completeness']:.3f} "
            f"({complete[0]:.3f} to {complete[1]:.3f}) of {row['wanted']}  purity "
            f"{row['purity']:.3f} ({pure[0]:.3f} to {pure[1]:.3f})"
        )


if __name__ == "__main__":
    main()
