"""Measure which images the novelty measure detects as out of distribution.

    python studies/unfamiliar.py

The measure is fitted to half of the groups on the sky, as for the embedded model, and to these
images degraded in part, as for the robust model. It is tested on the other half, on these images
degraded to other surveys, on simulated fields, on stars and artefacts, and on images that do not
show the sky.
"""

import argparse
import io
from pathlib import Path

import numpy as np
from astropy.table import Table
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter
from sources import SURVEY, load_sources
from study import RUNS, degrade

from shredfinder import Cutouts
from shredfinder.datasets import degrade_cutouts, make_field
from shredfinder.imaging import compress_jpeg
from shredfinder.models import NoveltyMeasure
from shredfinder.training import OTHER_KINDS, draw_other

POORER = ("sdss-dr17", "ps1-dr2")


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    args = parser.parse_args()
    sources = load_sources(args.data)
    images, rng = sources.all_cutouts.images, np.random.default_rng(1)
    names = np.unique(sources.groups)
    fitted = np.isin(sources.groups, rng.permutation(names)[: len(names) // 2])
    measures = {
        run: NoveltyMeasure.of_images(
            degrade(sources.cutouts(np.flatnonzero(fitted)), RUNS[run].surveys).images
        )
        for run in ("catalogue", "robust")
    }
    is_other = ~np.isfinite(sources.hard)
    held = images[~fitted & ~is_other]
    rows = [("real, held out", held)]
    rows += list(make_others(held[rng.permutation(len(held))[:300]], rng))
    rows.append(("real, neither galaxy nor shred", images[~fitted & is_other]))
    table = Table(names=("images", "n", *measures), dtype=(object, int, float, float))
    for name, some in rows:
        above = [np.mean(measure.measure(some) > 1) for measure in measures.values()]
        table.add_row((name, len(some), *above))
    for run in measures:
        table[run].format = ".2f"
    table.pprint(max_lines=-1, max_width=-1, align=("<", ">", ">", ">"))


def make_others(real, rng, n=100):
    """Yield names and images like the training set and unlike it."""
    fields = [make_field(size=768, n_hosts=5, random_state=k) for k in range(6)]
    simulated = np.concatenate([field.cutouts().images for field in fields])
    yield "simulated Legacy", simulated
    uncompressed = [field.cutouts(compress=False).images for field in fields]
    yield "simulated Legacy, no JPEG", np.concatenate(uncompressed)
    for survey in POORER:
        for name, some in (("simulated", simulated), ("real", real)):
            degraded = degrade_cutouts(
                Cutouts.of_survey(SURVEY.name, some), survey, random_state=rng
            ).images
            yield f"{name}, degraded to {survey}", degraded
            again = np.stack([compress_jpeg(image) for image in degraded])
            yield f"{name}, degraded to {survey}, JPEG", again
    for kind in OTHER_KINDS:
        drawn = [draw_other(image, rng, kind=kind) for image in real]
        yield f"drawn: {kind}", np.stack([image for image in drawn if image is not None])
    narrow = [
        np.asarray(Image.fromarray(im[28:100, 28:100]).resize((128, 128), Image.Resampling.LANCZOS))
        for im in real
    ]
    yield "real, at 0.264″/px", np.stack(narrow)
    yield "real, red and blue swapped", real[..., ::-1]
    yield "real, grey", np.repeat(real.mean(-1, keepdims=True).astype(np.uint8), 3, -1)
    yield "real, inverted", 255 - real
    yield "real, twice as bright", np.clip(real.astype(int) * 2, 0, 255).astype(np.uint8)
    yield "real, blurred by 3 px", np.stack([gaussian_filter(im, (3, 3, 0)) for im in real])
    yield "real, JPEG of quality 20", np.stack([compress(image, 20) for image in real])
    yield "noise, uniform", rng.integers(0, 255, (n, 128, 128, 3), dtype=np.uint8)
    sky = rng.normal(32, 6, (n, 128, 128, 3))
    yield "noise, at sky level", np.clip(sky, 0, 255).astype(np.uint8)
    clouds = [gaussian_filter(rng.standard_normal((128, 128, 3)), (4, 4, 0)) for _ in range(n)]
    yield "noise, smooth", np.clip(60 + 850 * np.stack(clouds), 0, 255).astype(np.uint8)
    yield "text", np.stack([draw_text(rng, dark=k % 2 == 0) for k in range(n)])
    yield "gradients, as in photographs", np.stack([draw_gradient(rng) for _ in range(n)])
    yield "checkerboards", np.stack([draw_checkerboard(rng) for _ in range(n)])


def compress(image, quality):
    """Compress and decompress an image as JPEG."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def draw_text(rng, *, dark):
    """Draw an image of letters, light on dark or dark on light."""
    image = Image.new("RGB", (128, 128), (20, 20, 20) if dark else (255, 255, 255))
    draw = ImageDraw.Draw(image)
    for y in range(0, 128, 12):
        line = "".join(chr(code) for code in rng.integers(65, 122, 22))
        draw.text((2, y), line, fill=(230, 230, 230) if dark else (0, 0, 0))
    return np.asarray(image)


def draw_gradient(rng):
    """Draw smooth gradients of brightness and colour with little noise."""
    y, x = np.mgrid[-1:1:128j, -1:1:128j]
    a, b, c = rng.uniform(-1, 1, 3)
    shape = 127 + 100 * (a * x + b * y + 0.5 * np.sin(3 * c * x + rng.uniform(0, 6)))
    planes = [
        shape + rng.uniform(-40, 40) + rng.normal(0, 2, shape.shape) for _ in range(3)
    ]  # fmt: skip
    return np.clip(np.stack(planes, -1), 0, 255).astype(np.uint8)


def draw_checkerboard(rng):
    """Draw a checkerboard of two colours."""
    y, x = np.mgrid[:128, :128]
    side = rng.integers(4, 24)
    white = ((x // side + y // side) % 2)[..., np.newaxis]
    colors = rng.integers(0, 250, (2, 3))
    return (np.where(white, *colors) + rng.integers(0, 3, (128, 128, 3))).astype(np.uint8)


if __name__ == "__main__":
    main()
