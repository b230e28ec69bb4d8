"""Measure the time per source of cutouts from survey bricks on disk, with other packages beside it.

    python benchmarks/bricks.py                                   # this version
    python benchmarks/bricks.py --old ../older --peers venv/bin/python > docs/measured/bricks.txt

Bricks are simulated: four neighbours of 3600 × 3600 px in g, r and z, plain and compressed as the
Legacy Surveys' (RICE, tiles of 100 × 100). Sources are anywhere in them, so that a fifth of the
cutouts touch several bricks. Times are CPU milliseconds per source and three bands, the smallest
of some rounds in which all versions take turns; each call is a separate process, and opening the
bricks counts. ``--old`` is another checkout of the package, ``--peers`` a Python with astrocut,
reproject or Cutana installed; those that are missing are left out.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

N = 3600
SCALE, NATIVE, SIZE = 0.46875, 0.262, 128
CENTERS = np.array([(150.125 + 0.25 * (i % 2), 2.25 + 0.25 * (i // 2)) for i in range(4)])
NAMES = ["1501p022", "1503p022", "1501p025", "1503p025"]


def make_header(ra, dec):
    """Return the header that the bricks of the Legacy Surveys have."""
    from astropy.io import fits

    header = fits.Header({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "EQUINOX": 2000.0})
    header.update({"CRVAL1": ra, "CRVAL2": dec, "CRPIX1": (N + 1) / 2, "CRPIX2": (N + 1) / 2})
    header.update({"CD1_1": -NATIVE / 3600, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": NATIVE / 3600})
    return header


def make_bricks(folder):
    """Write the bricks, of noise and some thousand sources, plain and compressed."""
    from astropy.io import fits

    rng = np.random.default_rng(0)
    noise = rng.normal(0, 1, (N, N)).astype(np.float32)
    y, x = np.mgrid[-30:31, -30:31]
    for i, ((ra, dec), name) in enumerate(zip(CENTERS, NAMES, strict=True)):
        sky = np.zeros((N, N), np.float32)
        for left, low in rng.integers(0, N - 61, (3000, 2)):
            peak, width = 10 ** rng.uniform(-2, 1.5), rng.choice([1.9, 4, 8])
            sky[low : low + 61, left : left + 61] += peak * np.exp(-(x**2 + y**2) / 2 / width**2)
        for band, sigma in (("g", 0.002), ("r", 0.004), ("z", 0.01)):
            shift = i * 1000 + ord(band) * 37
            image = np.roll(noise, (shift, ord(band) * 91), (0, 1)) * np.float32(sigma) + sky
            header = make_header(ra, dec)
            compressed = fits.CompImageHDU(
                image,
                header,
                compression_type="RICE_1",
                tile_shape=(100, 100),
                quantize_level=16,
                quantize_method=2,
            )
            for kind, hdu, end in (
                ("fits", fits.PrimaryHDU(image, header), ""),
                ("fz", compressed, ".fz"),
            ):
                path = folder / kind / name / f"legacysurvey-{name}-image-{band}.fits{end}"
                path.parent.mkdir(parents=True, exist_ok=True)
                hdu.writeto(path)


def make_positions(n, seed=1):
    """Return ``n`` positions per brick, in random order."""
    offsets = np.random.default_rng(seed).uniform(-0.124, 0.124, (len(CENTERS), n, 2))
    positions = (CENTERS[:, None] + offsets).reshape(-1, 2)
    return np.random.default_rng(0).permutation(positions).T


# What is timed, each in its own process


def time_shredfinder(folder, n, workers=None):
    """Return the CPU and the wall time of this or another version of the package."""
    from astropy.coordinates import SkyCoord

    import shredfinder
    from shredfinder.cutouts import CutoutFetcher, sky_order

    shredfinder.conf.threads = 1
    coords = SkyCoord(*make_positions(n), unit="deg")
    options = {} if workers is None else {"service_options": {"workers": workers}}

    def run():
        fetcher = CutoutFetcher("local", base_url=folder, **options)
        order = fetcher.order(coords) if hasattr(fetcher, "order") else sky_order(coords)
        chunk = 128 if workers is None else 256 * workers
        with fetcher.stream(coords[order], chunk=chunk, progress=False) as stream:
            return [len(cutouts) for cutouts in stream]

    return measure(run, sum)


def time_astrocut(folder, n):
    """Return the times of astrocut, which cuts native pixels and does not resample."""
    from astrocut import FITSCutout
    from astropy.coordinates import SkyCoord

    def run():
        size = int(SIZE * SCALE / NATIVE)
        for ra, dec in make_positions(n).T:
            FITSCutout(find_files(folder, ra, dec), SkyCoord(ra, dec, unit="deg"), size)
        return n * len(CENTERS)

    return measure(run)


def time_reproject(folder, n):
    """Return the times of reproject with bicubic interpolation, on sections of the files."""
    from astropy.io import fits
    from astropy.wcs import WCS
    from reproject import reproject_interp

    def run():
        for ra, dec in make_positions(n).T:
            out = WCS(naxis=2)
            out.wcs.ctype, out.wcs.crval = ("RA---TAN", "DEC--TAN"), (ra, dec)
            out.wcs.crpix, out.wcs.cdelt = [(SIZE + 1) / 2] * 2, (-SCALE / 3600, SCALE / 3600)
            for path in find_files(folder, ra, dec):
                with fits.open(path) as hdus:
                    wcs = WCS(hdus[-1].header)
                    x, y = wcs.wcs_world2pix([[ra, dec]], 0)[0].astype(int)
                    rows, columns = (slice(max(v - 125, 0), v + 125) for v in (y, x))
                    part = np.array(hdus[-1].section[rows, columns], np.float32)
                    pair = part, wcs[rows, columns]
                    reproject_interp(pair, out, shape_out=(SIZE, SIZE), order="bicubic")
        return n * len(CENTERS)

    return measure(run)


def find_files(folder, ra, dec):
    """Return the files of the brick whose centre is nearest."""
    name = NAMES[np.argmin(((CENTERS - (ra, dec)) ** 2).sum(axis=1))]
    return [str(path) for path in sorted((Path(folder) / name).iterdir())]


def measure(run, count=int):
    """Return CPU and wall time per source in milliseconds, of the second run."""
    import gc

    results = []
    for _ in range(2):
        gc.collect()
        cpu, wall = get_cpu_time(), time.perf_counter()
        n = count(run())
        results.append(((get_cpu_time() - cpu) / n, (time.perf_counter() - wall) / n))
    return [1e3 * value for value in min(results)]


def get_cpu_time():
    """Return the seconds that this process and its children that ended have used."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def call(python, path, *arguments):
    """Run one measurement in its own process; return its result, or None if it fails."""
    environment = os.environ | {"PYTHONPATH": str(path), "OPENBLAS_NUM_THREADS": "1"}
    command = [python, __file__, "--call", json.dumps(arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        return None
    return json.loads(done.stdout.splitlines()[-1])


# The index


def make_empty_bricks(folder, n):
    """Write files without contents but for their headers, so that they take no space."""
    from astropy.io import fits

    positions = np.array([(10 + 0.25 * (i % 50), 0.25 * (i // 50)) for i in range(n)])
    for ra, dec in positions:
        name = f"{int(ra * 10):04d}p{int(dec * 10):03d}"
        header = fits.Header({"SIMPLE": True, "BITPIX": -32, "NAXIS": 2, "NAXIS1": N, "NAXIS2": N})
        header.update(make_header(ra, dec))
        text = header.tostring().encode()
        for band in "grz":
            path = folder / name[:3] / name / f"legacysurvey-{name}-image-{band}.fits"
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                file.write(text)
                file.truncate(len(text) + -(-N * N * 4 // 2880) * 2880)
    return positions


def time_opening(folder, n_sources):
    """Return seconds to open all bricks of a folder, and CPU milliseconds per source."""
    from shredfinder.cutouts import CutoutRequest, LocalImages

    positions = np.array([(10 + 0.25 * (i % 50), 0.25 * (i // 50)) for i in range(n_sources // 3)])
    rng = np.random.default_rng(0)
    positions = np.repeat(positions, 3, axis=0) + rng.uniform(-0.08, 0.08, (n_sources, 2))
    requests = [CutoutRequest(*p, SIZE, SIZE, SCALE) for p in positions]
    LocalImages(folder).fetch_many(requests[:5])
    start = time.perf_counter()
    images = LocalImages(folder)
    opening = time.perf_counter() - start
    start = time.process_time()
    for first in range(0, n_sources, 128):
        images.fetch_many(requests[first : first + 128])
    return [opening, (time.process_time() - start) / n_sources * 1e3]


def time_index(n):
    """Return seconds and MiB to index the names of ``n`` bricks."""
    from shredfinder.cutouts.services.footprints import FieldIndex, locate_brick

    rng = np.random.default_rng(0)
    names = [
        f"legacysurvey-{int(ra):04d}p{int(dec):03d}-image-g.fits.fz"
        for ra, dec in zip(rng.uniform(0, 3600, n), rng.uniform(0, 900, n), strict=True)
    ]
    start = time.perf_counter()
    FieldIndex.of_bricks([locate_brick(name) for name in names], None)
    return [time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--old", type=Path, help="checkout of another version")
    parser.add_argument("--peers", help="Python with astrocut, reproject or Cutana")
    parser.add_argument("--folder", type=Path, help="folder of the bricks, kept for further runs")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--call", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.call:
        name, *arguments = options.call
        print(json.dumps(globals()[f"time_{name}"](*arguments)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        run(options, options.folder or Path(temporary))


def run(options, folder):
    """Run all measurements."""
    here = Path(__file__).resolve().parents[1]
    if not (folder / "fz").exists():
        make_bricks(folder)
    versions = [("this version", "shredfinder", sys.executable, here)]
    if options.old:
        versions.append(("older version", "shredfinder", sys.executable, options.old.resolve()))
    if options.peers:
        versions += [(name, name, options.peers, "") for name in ("astrocut", "reproject")]
    print(f"{'CPU ms per source':<22}{'':6}", *(f"{n:>8}/brick" for n in (3, 30, 300)))
    for kind in ("fits", "fz"):
        best = {}
        for n in (3, 30, 300):
            for _ in range(options.rounds if n < 300 else 1):
                for label, name, python, path in versions:
                    # The others take the same time per source however many there are.
                    if n == 300 and name != "shredfinder":
                        continue
                    result = call(python, path, name, str(folder / kind), n)
                    if result is not None:
                        key = label, n
                        best[key] = min(best.get(key, np.inf), result[0])
        for label, *_ in versions:
            values = [best.get((label, n)) for n in (3, 30, 300)]
            texts = ["–" if v is None else f"{v:.1f}" for v in values]
            print(f"{label:<22}.{kind:<5}", *(f"{text:>14}" for text in texts), flush=True)
        if options.old:
            ratios = [best[versions[1][0], n] / best[versions[0][0], n] for n in (3, 30, 300)]
            print(f"{'ratio':<22}.{kind:<5}", *(f"{ratio:>14.1f}" for ratio in ratios), flush=True)
    times = {}
    for _ in range(options.rounds):
        for n_workers in (1, 2):
            path = str(folder / "fits")
            result = call(sys.executable, here, "shredfinder", path, 2400, n_workers)
            times[n_workers] = np.minimum(times.get(n_workers, np.inf), result)
    (cpu_1, wall_1), (cpu_2, wall_2) = times[1], times[2]
    print(
        f"\n9,600 sources with one and two processes: {cpu_1:.2f} and {cpu_2:.2f} CPU ms per "
        f"source, {wall_1:.2f} and {wall_2:.2f} ms of wall time, {wall_1 / wall_2:.2f} times as "
        f"fast; load of {os.getloadavg()[0]:.0f}"
    )
    for n in (200, 2000):
        with tempfile.TemporaryDirectory() as empty:
            make_empty_bricks(Path(empty), n)
            results = [call(sys.executable, here, "opening", empty, 300) for _ in range(3)]
        opening, each = np.min(results, axis=0)
        print(f"{3 * n:,} files: opened in {opening:.2f} s, {each:.2f} CPU ms per source")
    seconds, memory = call(sys.executable, here, "index", 330_000)
    print(f"index of 330,000 names of bricks: {seconds:.2f} s, {memory:.0f} MiB in all")


if __name__ == "__main__":
    main()
