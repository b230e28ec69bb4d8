"""Measure which images the novelty measure detects as out of distribution.

    python studies/unfamiliar.py

The measure is fitted to half of the groups on the sky and tested on the other half, on these images
degraded to other surveys, on simulated fields, and on images that do not show the sky. The embedded
model's measure is fitted to all labelled sources.
"""

import argparse
import dataclasses
import io
from pathlib import Path

import numpy as np
from astropy.table import Table
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter
from sources import load_sources

from shredfinder.datasets import make_field
from shredfinder.datasets.observing import NOISE
from shredfinder.imaging import flux_to_rgb, rgb_to_flux
from shredfinder.models import NoveltyMeasure

# Approximate 5σ depths for point sources, and FWHM of the point-spread function in r in arcsec:
# Dey et al. 2019, AJ 157, 168; SDSS's page on the scope of its imaging; Chambers et al. 2016,
# arXiv 1612.05560.
_DEPTHS = {
    "Legacy": {"g": 24.0, "r": 23.4, "z": 22.5},
    "SDSS": {"g": 23.1, "r": 22.7, "z": 20.7},
    "PS1": {"g": 23.3, "r": 23.2, "z": 22.3},
}
_WIDTHS = {"Legacy": 1.1, "SDSS": 1.35, "PS1": 1.2}
_SCALE = 0.46875


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    args = parser.parse_args()
    sources = load_sources(args.data)
    trained = np.flatnonzero(np.isfinite(sources.hard))
    images = sources.all_cutouts.images
    rng = np.random.default_rng(1)
    groups = sources.groups
    names = np.unique(groups)
    fitted = np.isin(groups, rng.permutation(names)[: len(names) // 2])
    measure = NoveltyMeasure.of_images(images[trained[fitted[trained]]])
    held = images[trained[~fitted[trained]]]
    rows = [("real, held out", held)]
    rows += list(make_others(held[rng.permutation(len(held))[:300]], rng))
    neither = images[~np.isfinite(sources.hard)]
    rows.append(("real, neither galaxy nor shred", neither))
    table = Table(names=("images", "n", "median", "above 1"), dtype=(object, int, float, float))
    for name, some in rows:
        novelty = measure.measure(some)
        table.add_row((name, len(some), np.median(novelty), np.mean(novelty > 1)))
    table["median"].format = table["above 1"].format = ".2f"
    table.pprint(max_lines=-1, max_width=-1, align=("<", ">", ">", ">"))


def make_others(real, rng, n=100):
    """Yield names and images like the training set and unlike it."""
    fields = [make_field(size=768, n_hosts=5, random_state=k) for k in range(6)]
    for name, compressed in (("simulated Legacy", True), ("simulated Legacy, no JPEG", False)):
        seen = [field.cutouts(compress=compressed).images for field in fields]
        yield name, np.concatenate(seen)
    for survey in ("SDSS", "PS1"):
        seen = [
            dataclasses.replace(field, fluxes=observe(field.model, survey, rng)) for field in fields
        ]
        name = f"simulated, {survey}'s depth and seeing"
        yield name, np.concatenate([field.cutouts().images for field in seen])
        fluxes = (rgb_to_flux(image)[::-1] for image in real)
        again = [compress(flux_to_rgb(observe(flux, survey, rng), "grz")) for flux in fluxes]
        yield f"real, at {survey}'s depth and seeing", np.stack(again)
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


def observe(fluxes, survey, rng):
    """Blur g, r and z fluxes to a survey's seeing and add noise of its depth."""
    width = np.sqrt(max(_WIDTHS[survey] ** 2 - _WIDTHS["Legacy"] ** 2, 0)) / 2.355 / _SCALE
    seen = np.empty(fluxes.shape, np.float32)
    for i, band in enumerate("grz"):
        deeper = _DEPTHS["Legacy"][band] - _DEPTHS[survey][band]
        # A depth is per point-spread function: for a wider one the noise per pixel is lower.
        noise = NOISE[band] * 10 ** (0.4 * deeper) * _WIDTHS["Legacy"] / _WIDTHS[survey]
        seen[i] = gaussian_filter(fluxes[i], width)
        seen[i] += noise * rng.standard_normal(fluxes[i].shape)
    return seen


def compress(image, quality=90):
    """Compress and decompress an image as JPEG, as the viewer does."""
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
