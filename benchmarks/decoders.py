"""Compare Pillow with simplejpeg and imagecodecs, decoder by decoder and from files to scores.

    pip install simplejpeg imagecodecs
    OMP_NUM_THREADS=1 python benchmarks/decoders.py ../shared/data/cutouts

The folder holds PNG files, which are also saved as JPEG of quality 90. CPU time of one thread
counts; the ways are timed in turn, and medians are printed.
"""

import argparse
import io
import tempfile
import time
from pathlib import Path

import imagecodecs
import numpy as np
import simplejpeg
from PIL import Image

from shredfinder import ShredClassifier, conf
from shredfinder.imaging import reading

ROUNDS = 7
DECODE = {"PNG": imagecodecs.png_decode, "JPEG": simplejpeg.decode_jpeg}
PILLOW = reading.load_colors


def load_fast(file):
    """Decode an opened RGB image with the other package, and any other image with Pillow."""
    if file.mode != "RGB" or file.has_transparency_data:
        return PILLOW(file)
    file.fp.seek(0)
    return DECODE[file.format](file.fp.read())


def save_jpeg(path, folder):
    """Save a file as JPEG and return its path."""
    target = Path(folder) / f"{path.stem}.jpg"
    with Image.open(path) as image:
        image.convert("RGB").save(target, quality=90)
    return target


def time_ways(ways):
    """Time functions in turn; return the median CPU time of each."""
    seconds = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, function in ways.items():
            start = time.process_time()
            function()
            seconds[name].append(time.process_time() - start)
    return [float(np.median(values)) for values in seconds.values()]


def count_differences(paths):
    """Return the number of images whose pixels differ between the decoders."""
    n = 0
    for path in paths:
        data = path.read_bytes()
        with Image.open(io.BytesIO(data)) as image:
            n += not np.array_equal(DECODE[image.format](data), PILLOW(image))
    return n


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder of PNG cutouts")
    parser.add_argument("--images", type=int, default=400, help="number of images (400)")
    options = parser.parse_args()
    conf.threads = 1
    paths = {"PNG": sorted(options.folder.glob("*.png"))[: options.images]}

    def score(classifier, paths, load):
        reading.load_colors = load
        classifier.predict_p_cnn(paths)

    with tempfile.TemporaryDirectory() as folder:
        paths["JPEG"] = [save_jpeg(path, folder) for path in paths["PNG"]]
        print(f"{'µs of CPU time per image':<34}{'Pillow':>8}{'other':>8}{'gain':>7}")
        for kind, files in paths.items():
            opened = [path.read_bytes() for path in files]
            ways = {
                "Pillow": lambda b=opened: [PILLOW(Image.open(io.BytesIO(x))) for x in b],
                "other": lambda b=opened, kind=kind: [DECODE[kind](x) for x in b],
            }
            lines = {f"decode {kind}": ways}
            for name in ("embedded", "int8"):
                classifier = ShredClassifier.load(name)
                lines[f"decode and score {kind}, {name!r}"] = {
                    way: lambda c=classifier, files=files, load=load: score(c, files, load)
                    for way, load in (("Pillow", PILLOW), ("other", load_fast))
                }
            for title, ways in lines.items():
                old, new = (1e6 * seconds / len(files) for seconds in time_ways(ways))
                print(f"{title:<34}{old:8.0f}{new:8.0f}{old / new:7.2f}", flush=True)
            print(f"{kind} images with other pixels: {count_differences(files)} of {len(files)}")


if __name__ == "__main__":
    main()
