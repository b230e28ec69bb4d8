"""Measure the time per source of cutouts from survey bricks on disk, with other packages beside it.

    python benchmarks/bricks.py                                   # this version
    python benchmarks/bricks.py --old ../older --peers venv/bin/python > docs/measured/bricks.txt

Bricks are simulated: four neighbours of 3600 × 3600 px in g, r and z, plain and compressed as the
Legacy Surveys' (RICE, tiles of 100 × 100). Sources are anywhere in them, so that a fifth of the
cutouts touch several bricks. Times are CPU milliseconds per source and three bands, the smallest
of some rounds in which both versions take turns; each call is a separate process, and opening the
bricks counts. ``--old`` is another checkout of the package, ``--peers`` a Python with astrocut,
reproject or Cutana installed, by default the same one; those that are missing are left out. Cutana
needs other versions of some packages than shredfinder, so install it by itself:

    python -m venv venv; venv/bin/pip install astrocut reproject cutana
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
    options = {} if workers is None else {"service_options": {"workers": workers}}

    def run(n):
        coords = SkyCoord(*make_positions(n), unit="deg")
        fetcher = CutoutFetcher("local", base_url=folder, **options)
        order = fetcher.order(coords) if hasattr(fetcher, "order") else sky_order(coords)
        chunk = 128 if workers is None else 256 * workers
        with fetcher.stream(coords[order], chunk=chunk, progress=False) as stream:
            return sum(len(cutouts) for cutouts in stream)

    return measure(run, n)


def time_astrocut(folder, n):
    """Return the times of astrocut, which cuts native pixels and does not resample."""
    from astrocut import FITSCutout
    from astropy.coordinates import SkyCoord

    def run(n):
        size = int(SIZE * SCALE / NATIVE)
        for ra, dec in make_positions(n).T:
            FITSCutout(find_files(folder, ra, dec), SkyCoord(ra, dec, unit="deg"), size)
        return n * len(CENTERS)

    return measure(run, n)


def time_reproject(folder, n):
    """Return the times of reproject with bicubic interpolation, on sections of the files."""
    from astropy.io import fits
    from astropy.wcs import WCS
    from reproject import reproject_interp

    def run(n):
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

    return measure(run, n)


def time_cutana(folder, n):
    """Return the times of Cutana, which resizes bilinearly, without neighbours and colours."""
    import pandas as pd
    from cutana import create_cutouts_direct, get_default_config

    config = get_default_config()
    config.fits_extensions = ["COMPRESSED_IMAGE" if folder.endswith("fz") else "PRIMARY"]
    config.channel_weights = {f"image-{b}": [float(b == c) for c in "grz"] for b in "grz"}
    config.target_resolution, config.data_type = SIZE, "float32"
    config.normalisation_method, config.apply_flux_conversion = "none", False

    def run(n):
        ra, dec = make_positions(n)
        files = [repr(find_files(folder, *position)) for position in zip(ra, dec, strict=True)]
        names = [str(i) for i in range(len(ra))]
        columns = {"SourceID": names, "RA": ra, "Dec": dec, "fits_file_paths": files}
        table = pd.DataFrame(columns | {"diameter_pixel": int(SIZE * SCALE / NATIVE)})
        results = create_cutouts_direct(table, config, max_workers=1)
        return sum(len(result["cutouts"]) for result in results)

    return measure(run, n)


def find_files(folder, ra, dec):
    """Return the files of the brick whose centre is nearest."""
    name = NAMES[np.argmin(((CENTERS - (ra, dec)) ** 2).sum(axis=1))]
    return [str(path) for path in sorted((Path(folder) / name).iterdir())]


def measure(run, n):
    """Return CPU and wall time per source in milliseconds, after a run that loads everything."""
    import gc

    run(min(n, 3) if n > 100 else n)
    gc.collect()
    cpu, wall = get_cpu_time(), time.perf_counter()
    count = run(n)
    return [1e3 * (get_cpu_time() - cpu) / count, 1e3 * (time.perf_counter() - wall) / count]


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


def make_empty_bricks(folder, n, kind):
    """Write files without contents but for their headers, so that they take no space."""
    from astropy.io import fits

    for i, (ra, dec) in enumerate(place_bricks(n)):
        name = f"{int(ra * 10):04d}p{int(dec * 10):03d}"
        header = fits.Header({"SIMPLE": True, "BITPIX": -32, "NAXIS": 2, "NAXIS1": N, "NAXIS2": N})
        header.update(make_header(ra, dec))
        text = header.tostring().encode()
        for band in "grz":
            path = folder / name[:3] / name / f"legacysurvey-{name}-image-{band}.fits"
            if kind == "other":
                path = folder / f"{i // 50}" / f"field{i}.{band}.fits"
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                file.write(text)
                file.truncate(len(text) + -(-N * N * 4 // 2880) * 2880)


def place_bricks(n):
    """Return the centres of ``n`` bricks in a band of the sky."""
    return np.array([(10 + 0.25 * (i % 50), 0.25 * (i // 50)) for i in range(n)])


def time_opening(folder, cache, n_sources):
    """Return seconds to open a folder for the first and second time, and CPU ms per source."""
    import shredfinder
    from shredfinder.cutouts import CutoutRequest, LocalImages

    shredfinder.conf.cache_dir = cache
    rng = np.random.default_rng(0)
    positions = np.repeat(place_bricks(n_sources // 3), 3, axis=0)
    positions += rng.uniform(-0.08, 0.08, (n_sources, 2))
    requests = [CutoutRequest(*p, SIZE, SIZE, SCALE) for p in positions]
    opening = []
    for _ in range(2):
        start = time.perf_counter()
        images = LocalImages(folder)
        opening.append(time.perf_counter() - start)
        images.fetch_many(requests[:5])
    images = LocalImages(folder)
    start = time.process_time()
    for first in range(0, n_sources, 128):
        images.fetch_many(requests[first : first + 128])
    return [*opening, (time.process_time() - start) / n_sources * 1e3]


def time_survey(folder, n):
    """Return seconds and MiB to open ``n`` bricks of a survey whose folders are simulated."""
    from shredfinder.cutouts.services import brick_files
    from shredfinder.cutouts.services.footprints import FieldIndex
    from shredfinder.cutouts.services.planes import to_vectors

    names = [f"{code // 900:04d}p{code % 900:03d}" for code in range(0, 9 * n, 9)]
    path = os.path.join(folder, "survey-bricks.fits")
    if not os.path.exists(path):
        return write_list(path, names)
    groups = {}
    for name in names:
        groups.setdefault(name[:3], []).append(name)
    tree = [(folder, list(groups), [os.path.basename(path)])]
    tree += [(os.path.join(folder, group), inside, []) for group, inside in groups.items()]
    brick_files.os.walk = lambda _: tree
    start = time.perf_counter()
    bricks = brick_files.BrickFolder(folder, ("g", "r", "z"))
    FieldIndex(to_vectors(bricks.ra, bricks.dec), np.radians(bricks.radius), None)
    assert bricks.radius.max() < 0.2
    return [time.perf_counter() - start, get_memory()]


def write_list(path, names):
    """Write the survey's list of bricks."""
    from astropy.table import Table

    ra, dec = np.array([(int(name[:4]), int(name[5:])) for name in names]).T / 10 + 0.05
    table = Table({"BRICKNAME": names, "BRICKID": np.arange(len(names)), "RA": ra, "DEC": dec})
    for name in ("RA1", "RA2", "DEC1", "DEC2"):
        table[name] = 0.0
    table.write(path)


def time_images(folder, n, fresh):
    """Return seconds and MiB to open ``n`` files of other names, whose headers are simulated."""
    import shredfinder
    from shredfinder.cutouts.services import folder_index

    shredfinder.conf.cache_dir = folder
    named = {os.path.join(folder, f"{i // 1000}", f"field{i}.g.fits"): "" for i in range(n)}
    folder_index.list_images = lambda *_: named
    folder_index._stat = lambda path: (1, 1)
    folder_index.find_overlaps = lambda *_: ""
    if fresh:
        rng = np.random.default_rng(0)
        vectors = rng.normal(size=(n, 3))
        vectors /= np.linalg.norm(vectors, axis=1)[:, None]
        unit = [1.0, False, "", False, ""]
        folder_index.FolderIndex._read_all = lambda self, new: (
            [(i, ["g", 0.262, unit], -1, vectors[i], 0.003)] for i in new.tolist()
        )
    start = time.perf_counter()
    index = folder_index.FolderIndex(folder, ("g",), None)
    index.make_fields(lambda planes: None)
    return [time.perf_counter() - start, get_memory()]


def get_memory():
    """Return the largest memory of this process in MiB, NumPy and the package included."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--old", type=Path, help="checkout of another version")
    parser.add_argument("--peers", help="Python with astrocut, reproject or Cutana")
    parser.add_argument("--folder", type=Path, help="folder of the bricks, kept for further runs")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--part", choices=("table", "workers", "index"), help="run only this")
    parser.add_argument("--call", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.call:
        name, *arguments = options.call
        print(json.dumps(globals()[f"time_{name}"](*arguments)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        run(options, options.folder or Path(temporary))


def run(options, folder):
    """Run all measurements, or one part of them."""
    here = Path(__file__).resolve().parents[1]
    if not (folder / "fz").exists():
        make_bricks(folder)
    if options.part in (None, "table"):
        print_table(here, folder, options)
    if options.part in (None, "workers"):
        time_workers(here, folder)
    if options.part in (None, "index"):
        time_index(here)


def print_table(here, folder, options):
    """Print the times of all versions and peers, and the ratio of the two versions."""
    versions = [("this version", "shredfinder", sys.executable, here)]
    if options.old:
        versions.append(("older version", "shredfinder", sys.executable, options.old.resolve()))
    versions += find_peers(options.peers)
    print(f"{'CPU ms per source':<22}{'':6}", *(f"{n:>8}/brick" for n in (3, 30, 300)))
    for kind in ("fits", "fz"):
        best = {}
        for n in (3, 30, 300):
            for turn in range(options.rounds):
                for label, name, python, path in versions:
                    # Peers take long, and most of them the same time per source for any number.
                    if name != "shredfinder" and (turn or (n == 300 and name != "cutana")):
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


def find_peers(python):
    """Return those of the peers that can be imported; print a line for each other."""
    found = []
    for name in ("astrocut", "reproject", "cutana"):
        command = [python or sys.executable, "-c", f"import {name}"]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            print(f"{name} is not installed, and left out")
        else:
            found.append((name, name, python or sys.executable, ""))
    return found


def time_workers(here, folder):
    """Print how much faster two processes are than one, for enough sources to hide their start."""
    path, n = str(folder / "fits"), 9000
    (cpu_1, wall_1), (cpu_2, wall_2) = (
        call(sys.executable, here, "shredfinder", path, n, workers) for workers in (1, 2)
    )
    print(
        f"\n{len(CENTERS) * n:,} sources with one and two processes: {cpu_1:.2f} and {cpu_2:.2f} "
        f"CPU ms per source, start included; {wall_1:.2f} and {wall_2:.2f} ms of wall time, "
        f"{wall_1 / wall_2:.2f} times as fast, with a load of {os.getloadavg()[0]:.0f}",
        flush=True,
    )


def time_index(here):
    """Print how long folders of many files take to open."""
    for kind in ("brick", "other"):
        for n in (200, 2000):
            with tempfile.TemporaryDirectory() as empty, tempfile.TemporaryDirectory() as cache:
                make_empty_bricks(Path(empty), n, kind)
                arguments = "opening", empty, cache, 300
                results = [call(sys.executable, here, *arguments) for _ in range(3)]
            first = results[0][0]
            _, opening, each = np.min(results, axis=0)
            print(
                f"{3 * n:,} files with {kind} names: opened in {first:.2f} s, again in "
                f"{opening:.2f} s; {each:.2f} CPU ms per source",
                flush=True,
            )
    with tempfile.TemporaryDirectory() as empty:
        # The first call of each writes the list of bricks, or the index.
        call(sys.executable, here, "survey", empty, 330_000)
        seconds, memory = call(sys.executable, here, "survey", empty, 330_000)
        print(f"330,000 simulated bricks: opened in {seconds:.2f} s, {memory:.0f} MiB in all")
        call(sys.executable, here, "images", empty, 330_000, True)
        seconds, memory = call(sys.executable, here, "images", empty, 330_000, False)
        print(f"330,000 simulated images: opened in {seconds:.2f} s, {memory:.0f} MiB in all")


if __name__ == "__main__":
    main()
