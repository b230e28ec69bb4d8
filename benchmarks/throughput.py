"""Measure images per second of each stage of scoring, and the fraction of the machine's peak.

Rates are given per second of wall time and per second of core time ("/core-s"). If other programs
use the machine, only the latter is meaningful; on an idle machine the former is the latter times
the number of busy cores. The fraction of the peak is also in core time.

Run ``python benchmarks/throughput.py`` in the repository root. It prints one table of one run:
decoding, making cutouts from FITS bricks, scoring with each network, table operations, and the
complete run from file to file with its memory, compared with the maximum that the stages could
reach together. The published network is timed with random weights, under each installed Keras
backend; the compact network is the embedded model.

Images are simulated unless ``--cutouts`` names a folder of real ones. The fraction of uncertain
sources, which are evaluated 8 times, determines the speed of ``symmetry="uncertain"``.
"""

import argparse
import importlib.util
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from simulated import FACTS, SHAPE, make_bricks, make_catalogue, make_files

from shredfinder import ShredClassifier
from shredfinder._utils.runtime import count_threads
from shredfinder.bulk import classify_catalogue
from shredfinder.bulk.stores import open_store
from shredfinder.cutouts import CutoutFetcher
from shredfinder.imaging import ImageFiles
from shredfinder.models.architectures import build_network
from shredfinder.models.model import OnnxNetwork

BATCH = 128


class Rate(NamedTuple):
    """Images per second of wall time and per second of core time."""

    wall: float
    core: float

    @classmethod
    def combine(cls, *stages):
        """Return the maximum rate of stages that share the processors."""
        return cls(*(1 / np.sum(1 / np.array(stages), axis=0)))


class Clock:
    """Measure wall time and core time in seconds since creation."""

    def __init__(self):
        self._wall, self._core = time.perf_counter(), time.process_time()

    def read(self):
        """Return wall time and core time."""
        return time.perf_counter() - self._wall, time.process_time() - self._core


def rate(function, n, *, seconds=3.0):
    """Call a function that processes ``n`` images for some seconds and return the rate."""
    function()
    clock, calls = Clock(), 0
    while not calls or clock.read()[0] < seconds:
        function()
        calls += 1
    wall, core = clock.read()
    return Rate(n * calls / wall, n * calls / core)


def in_threads(function, items):
    """Call a function for each item in as many threads as scoring uses."""
    with ThreadPoolExecutor(count_threads()) as executor:
        return list(executor.map(function, items))


def measure_peak(size=1024, rounds=20):
    """Measure the machine's peak FLOP/s in single precision by multiplying matrices.

    Uses ONNX Runtime with one multiplication per thread, so that threads do not wait.
    """
    import onnxruntime as ort
    from onnx import TensorProto, helper, numpy_helper

    first, second = np.random.default_rng(0).random((2, size, size), dtype=np.float32)
    name_shape = [(name, TensorProto.FLOAT, [size, size]) for name in ("a", "c")]
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["a", "b"], ["c"])],
        "product",
        [helper.make_tensor_value_info(*name_shape[0])],
        [helper.make_tensor_value_info(*name_shape[1])],
        [numpy_helper.from_array(second, "b")],
    )
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    n_calls = 4 * count_threads()

    def multiply():
        in_threads(lambda _: session.run(None, {"a": first}), range(n_calls))

    rates = [rate(multiply, n_calls * 2 * size**3, seconds=0) for _ in range(rounds)]
    return Rate(*np.max(rates, axis=0))


def count_flops(graph):
    """Count the floating-point operations per image of an ONNX graph."""
    import onnx

    model = onnx.shape_inference.infer_shapes(onnx.load_model_from_string(graph))
    shapes = {
        value.name: [d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in (*model.graph.value_info, *model.graph.output, *model.graph.input)
    }
    shapes |= {weight.name: list(weight.dims) for weight in model.graph.initializer}
    total = 0
    for node in model.graph.node:
        if node.op_type == "Conv":
            output, weights = shapes[node.output[0]], shapes[node.input[1]]
            total += 2 * int(np.prod(output[1:])) * int(np.prod(weights[1:]))
        elif node.op_type in ("MatMul", "Gemm"):
            total += 2 * int(np.prod(shapes[node.input[1]]))
    return total


def time_keras(backend, threads):
    """Time the published network under a Keras backend in a separate process."""
    environment = os.environ | {"KERAS_BACKEND": backend, "OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, __file__, "--keras"]
    output = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return Rate(*json.loads(output.stdout.splitlines()[-1]))


def run_keras():
    """Run the timing of `time_keras` and print it."""
    network = build_network("published", SHAPE)
    images = np.random.default_rng(0).random((64, *SHAPE), dtype=np.float32)
    best = max(
        rate(lambda size=size: network.predict(images, batch_size=size, verbose=0), 64, seconds=4)
        for size in (16, 32, 64)
    )
    print(json.dumps(best))


def time_network(graph, images):
    """Time a network under ONNX Runtime, with one evaluation per image."""
    network = OnnxNetwork(graph, SHAPE)
    parts = np.array_split(images, max(1, len(images) // 32))
    return rate(lambda: in_threads(network.logits, parts), len(images))


def time_classifier(cutouts, symmetry, seconds=3.0):
    """Time the embedded model and return the rate and the evaluations per image.

    ``symmetry=None`` means the default of the model.
    """
    classifier = ShredClassifier.load()
    if symmetry is not None:
        classifier.symmetry = symmetry
    network, counts = classifier.model_.network, []
    evaluate = network.evaluate

    def counted(images, *options):
        counts.append(len(images))
        return evaluate(images, *options)

    network.evaluate = counted
    classifier.predict_p_cnn(cutouts)
    network.evaluate = evaluate
    n_scored = np.count_nonzero(cutouts.good)
    speed = rate(lambda: classifier.predict_p_cnn(cutouts), len(cutouts), seconds=seconds)
    return speed, sum(counts) / max(n_scored, 1)


def time_decoding(files, seconds=3.0):
    """Time reading image files in as many threads as scoring uses."""
    starts = range(0, len(files), BATCH)
    return rate(
        lambda: in_threads(lambda i: files[i : i + BATCH], starts), len(files), seconds=seconds
    )


def run_end_to_end(options):
    """Score a catalogue from file to file and print times and peak memory in MiB."""
    images = options["images"]
    if "bricks" in images:
        images = {"service": CutoutFetcher("local", base_url=images["bricks"])}
    clock = Clock()
    classify_catalogue(
        options["catalogue"], options["output"], overwrite=True, progress=False, **images
    )
    print(json.dumps([*clock.read(), measure_memory()]))


def measure_memory():
    """Return the peak memory of this process in MiB."""
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss includes the parent's memory at the start of this process
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def time_end_to_end(catalogue, images):
    """Score a catalogue in a separate process, to measure its peak memory."""
    output = str(catalogue.with_name(f"scored{catalogue.suffix}"))
    options = {"catalogue": str(catalogue), "output": output, "images": images}
    command = [sys.executable, __file__, "--end-to-end", json.dumps(options)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(result.stdout.splitlines()[-1])


def time_table(catalogue):
    """Time reading the catalogue and writing the output, without images."""
    output = catalogue.with_name(f"written{catalogue.suffix}")
    clock = Clock()
    store = open_store(catalogue, output)
    for first in range(0, store.n_rows, 16_384):
        store.read(first, min(first + 16_384, store.n_rows), ["image"])
    p_cnn, flags = np.full(store.n_rows, 0.5, np.float32), np.full(store.n_rows, "", object)
    store.write(
        output,
        lambda start, stop: {"p_cnn": p_cnn[start:stop], "p_cnn_flag": flags[start:stop]},
        ShredClassifier.load().provenance,
        None,
    )
    return Rate(*(store.n_rows / np.array(clock.read())))


def describe_machine():
    """Describe the machine and the software versions."""
    import onnxruntime

    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((x.split(":")[1].strip() for x in lines if "model name" in x), model)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{model}, {count_threads()} processors, {memory:.0f} GiB; Python "
        f"{platform.python_version()}, ONNX Runtime {onnxruntime.__version__}, "
        f"NumPy {np.__version__}"
    )


class Report:
    """Table that is printed line by line."""

    def __init__(self, peak):
        self.peak = peak
        print(
            f"\n{'stage':<52}{'images/s':>9}{'/core-s':>11}{'MFLOP/image':>13}{'of peak':>9}",
            flush=True,
        )

    def add(self, name, speed, flops=None):
        """Print one line."""
        share = "" if flops is None else f"{speed.core * flops / self.peak.core:9.1%}"
        flops = "" if flops is None else f"{flops / 1e6:13.1f}"
        wall, core = (f"{value:,.0f}" if value > 1000 else f"{value:.1f}" for value in speed)
        print(f"{name:<52}{wall:>9}{core:>11}{flops:>13}{share:>9}", flush=True)


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000, help="rows of the largest catalogue")
    parser.add_argument(
        "--brick-rows", type=int, default=5_000, help="the same for scoring from bricks"
    )
    parser.add_argument("--table-rows", type=int, default=1_000_000, help="rows without images")
    parser.add_argument("--images", type=int, default=4_000, help="number of different image files")
    parser.add_argument("--cutouts", type=Path, help="folder of real cutouts to use instead")
    parser.add_argument("--format", choices=("parquet", "fits"), default="parquet")
    parser.add_argument("--folder", type=Path, help="parent of the temporary folder")
    parser.add_argument("--no-keras", action="store_true", help="skip Keras, which is slow")
    parser.add_argument("--keras", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--end-to-end", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.keras:
        run_keras()
    elif options.end_to_end:
        run_end_to_end(options.end_to_end)
    else:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            run(options, Path(folder))


def run(options, folder):
    """Run all measurements, in separate processes where necessary."""
    peak = measure_peak()
    print(describe_machine())
    print(
        f"measured peak: {peak.wall / 1e9:.0f} GFLOP/s in single precision, "
        f"{peak.core / 1e9:.0f} GFLOP per core-second"
    )
    print(f"model: {ShredClassifier.load()!r}, {ShredClassifier.load().provenance['sha256'][:12]}")
    images_folder, bricks, nothing = (folder / name for name in ("images", "bricks", "nothing"))
    for path in (images_folder, bricks, nothing):
        path.mkdir()
    if options.cutouts is None:
        paths = make_files(images_folder, options.images)
    else:
        paths = []
        for i, path in enumerate(sorted(p for p in options.cutouts.iterdir() if p.is_file())):
            paths.append(images_folder / f"{i}.png")
            paths[-1].symlink_to(path.resolve())
    # One position per row: repeated positions would be cut only once.
    positions = make_bricks(bricks, 3, max(200, -(-options.brick_rows // 3)))
    catalogue = folder / f"catalogue.{options.format}"
    make_catalogue(catalogue, options.table_rows, len(paths), positions)

    report = Report(peak)
    files = ImageFiles(paths[:1024], size=SHAPE[:2], **FACTS)
    report.add("decode image files", time_decoding(files))
    report.add("make cutouts, FITS bricks", time_bricks(bricks, positions[:, :200]))
    cutouts = files[:]
    unit = cutouts.images[cutouts.good][:256].astype(np.float32) / 255
    report_published(report, unit, options)
    report_compact(report, cutouts)
    report.add(f"table operations, {options.format}", time_table(catalogue))

    missing = {"cutouts": str(nothing), "pattern": "{image}.png"}
    seconds, core, memory = time_end_to_end(catalogue, missing)
    print(
        f"\ncatalogue without images, {options.format} to {options.format}: "
        f"{options.table_rows:,} rows, {seconds:.0f} s, {core:.0f} core-s, "
        f"peak {memory:.0f} MiB"
    )
    cutouts_from_bricks = make_cutouts(bricks, positions[:, :200])
    report_end_to_end(
        f"image files, {options.format} to {options.format}",
        {"cutouts": str(images_folder), "pattern": "{image}.png"},
        options.rows,
        lambda: (time_decoding(files, 1.5), time_classifier(cutouts, None, 1.5)[0]),
        lambda n: make_catalogue(catalogue, n, len(paths), positions) or catalogue,
    )
    report_end_to_end(
        f"FITS bricks, {options.format} to {options.format}",
        {"bricks": str(bricks)},
        options.brick_rows,
        lambda: (
            time_bricks(bricks, positions[:, :200], 1.5),
            time_classifier(cutouts_from_bricks, None, 1.5)[0],
        ),
        lambda n: make_catalogue(catalogue, n, len(paths), positions) or catalogue,
    )


def report_end_to_end(name, images, n_rows, time_stages, make):
    """Score catalogues of three sizes from file to file and extrapolate to a million rows.

    The two stages are timed before and after each run, so that other load on the machine slows
    down both.
    """
    print(
        f"\nend to end, {name}:\n{'rows':>10}{'seconds':>9}{'cores busy':>12}{'peak MiB':>10}"
        f"{'images/s':>10}{'of bound':>17}{'/core-s':>9}{'of bound':>17}"
    )
    results, before = [], Rate.combine(*time_stages())
    for n in (n_rows // 4, n_rows // 2, n_rows):
        seconds, core, memory = time_end_to_end(make(n), images)
        after = Rate.combine(*time_stages())
        bound = Rate(*(2 / (1 / np.array(before) + 1 / np.array(after))))
        before, speed = after, Rate(n / seconds, n / core)
        results.append((n, seconds, core))
        print(f"{n:>10,}{seconds:9.1f}{core / seconds:12.2f}{memory:10.0f}", end="")
        for value, most in zip(speed, bound, strict=True):
            share = f"{value / most:.0%} of {most:.1f}"
            print(f"{value:{10 if value is speed.wall else 9}.1f}{share:>17}", end="")
        print(flush=True)
    n, seconds, core = np.array(results).T
    wall, core = (np.polyval(np.polyfit(n, spent, 1), 1e6) / 3600 for spent in (seconds, core))
    print(
        f"a million rows, linearly extrapolated: {wall:.1f} hours, {core:.1f} core-hours",
        flush=True,
    )


def report_published(report, images, options):
    """Time the published network."""
    backends = [name for name in ("torch", "jax") if importlib.util.find_spec(name)]
    os.environ.setdefault("KERAS_BACKEND", backends[0])
    from shredfinder.models.onnx_graph import network_to_onnx

    graph = network_to_onnx(build_network("published", SHAPE))
    flops = count_flops(graph)
    for backend in [] if options.no_keras else backends:
        speed = time_keras(backend, count_threads())
        report.add(f"score, published, Keras on {backend}", speed, flops)
    speed = time_network(graph, images)
    report.add("score, published, ONNX Runtime", speed, flops)


def report_compact(report, cutouts):
    """Time the embedded model with its default symmetry and the others."""
    flops = count_flops(ShredClassifier.load().model_.graph)
    default = ShredClassifier.load().symmetry
    for symmetry in dict.fromkeys((default, "none", "uncertain", "all")):
        speed, n_evaluations = time_classifier(cutouts, symmetry)
        by_default = " (default)" if symmetry == default else ""
        name = f"score, compact, {symmetry!r}{by_default}, {n_evaluations:.2f} evaluations"
        report.add(name, speed, flops * n_evaluations)


def make_cutouts(bricks, positions):
    """Make cutouts from bricks."""
    from astropy.coordinates import SkyCoord

    from shredfinder.cutouts import LocalImages, fetch_cutouts

    service = LocalImages(bricks)
    try:
        coords = SkyCoord(*positions, unit="deg")
        return fetch_cutouts(coords, service=service, progress=False)
    finally:
        service.close()


def time_bricks(bricks, positions, seconds=3.0):
    """Time making cutouts from bricks."""
    return rate(lambda: make_cutouts(bricks, positions), positions.shape[1], seconds=seconds)


if __name__ == "__main__":
    main()
