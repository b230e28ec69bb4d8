"""Measure time and peak memory of matching candidates to hosts.

Run ``python benchmarks/match_hosts.py``. It simulates hosts like those of the NASA-Sloan Atlas
(redshifts up to 0.15, a few hundred of them within 20 Mpc, where 100 kpc span up to degrees) and
candidates of which two in three lie near a host, then matches increasing numbers of candidates.
Each size runs in a separate process, which has its own peak memory.
"""

import argparse
import os
import resource
import subprocess
import sys
import time

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table

from shredfinder.config import conf
from shredfinder.hosts import match_hosts


def random_sky(rng, size):
    """Draw positions uniformly on the sky, in degrees."""
    return rng.uniform(0.0, 360.0, size), np.degrees(np.arcsin(rng.uniform(-1.0, 1.0, size)))


def simulate_hosts(rng, size):
    """Draw hosts with NSA-like redshifts, the nearest at 1 Mpc."""
    ra, dec = random_sky(rng, size)
    z = 0.15 * rng.random(size) ** 0.4
    near = rng.choice(size, size // 1000, replace=False)
    z[near] = 10 ** rng.uniform(np.log10(0.00024), np.log10(0.005), near.size)
    return Table({"host_id": np.arange(size), "ra": ra, "dec": dec, "zdist": z})


def simulate_candidates(rng, size, hosts):
    """Draw candidates, two thirds of them scattered around hosts by one arcminute."""
    ra, dec = random_sky(rng, size)
    clustered = rng.random(size) < 2 / 3
    host = rng.integers(0, len(hosts), np.count_nonzero(clustered))
    dec[clustered] = np.clip(hosts["dec"][host] + rng.normal(0, 1 / 60, host.size), -90, 90)
    scale = np.maximum(np.cos(np.radians(dec[clustered])), 1e-3)
    ra[clustered] = (hosts["ra"][host] + rng.normal(0, 1 / 60, host.size) / scale) % 360.0
    return SkyCoord(ra, dec, unit="deg")


def peak_mib():
    """Return this process's peak memory in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


def run(n_candidates, n_hosts, threads):
    """Match once and print one line of the table."""
    rng = np.random.default_rng(0)
    hosts = simulate_hosts(rng, n_hosts)
    candidates = simulate_candidates(rng, n_candidates, hosts)
    # Exclude imports and the first cosmological distance from the measurement.
    match_hosts(candidates[:10], hosts[:10])
    before = peak_mib()
    with conf.set_temp("threads", threads):
        start = time.perf_counter()
        matches = match_hosts(candidates, hosts, 100 * u.kpc)
        seconds = time.perf_counter() - start
    print(
        f"{n_candidates:>11,} {n_hosts:>9,} {seconds:>8.1f} {before:>11.0f} {peak_mib():>9.0f} "
        f"{len(matches):>10,} {int(matches['n_hosts'].sum()):>11,}",
        flush=True,
    )


def main():
    """Run all sizes in separate processes, or one size in this process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hosts", type=int, default=640_000)
    parser.add_argument("--candidates", type=int, nargs="+", help="sizes to run")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one is not None:
        run(options.one, options.hosts, options.threads)
        return
    print(
        f"{'candidates':>11} {'hosts':>9} {'seconds':>8} {'MiB before':>11} {'MiB peak':>9} "
        f"{'matched':>10} {'pairs':>11}",
        flush=True,
    )
    for size in options.candidates or (125_000, 250_000, 500_000, 1_000_000, 2_000_000, 4_000_000):
        command = [sys.executable, __file__, "--one", str(size), "--hosts", str(options.hosts)]
        subprocess.run([*command, "--threads", str(options.threads)], check=True, env=os.environ)


if __name__ == "__main__":
    main()
