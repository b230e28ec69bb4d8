"""Simulated image files, survey bricks and catalogues for the benchmarks."""

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Table
from PIL import Image

from shredfinder.datasets import make_field
from shredfinder.surveys import get_survey

SHAPE = (128, 128, 3)
SURVEY = get_survey("legacy-dr9")
FACTS = {
    "pixel_scale": SURVEY.pixel_scale,
    "bands": SURVEY.bands,
    "color_mapping": SURVEY.color_mapping,
}


def make_files(folder, n, suffix="png"):
    """Write simulated cutouts and return their paths."""
    paths, seed = [], 0
    while len(paths) < n:
        for image in make_field(random_state=seed).cutouts().images[: n - len(paths)]:
            paths.append(folder / f"{len(paths)}.{suffix}")
            Image.fromarray(image).save(paths[-1], quality=75)
        seed += 1
    return paths


def make_bricks(folder, n_bricks, n_positions=200):
    """Write simulated bricks of 1024 px at the native pixel scale; return positions on them."""
    positions = []
    for seed in range(n_bricks):
        center = SkyCoord(150 + 0.08 * seed, 2.2, unit="deg")
        field = make_field(random_state=seed, center=center)
        field.wcs.wcs.cdelt *= SURVEY.native_pixel_scale / field.pixel_scale
        for band, image in zip(field.bands, field.fluxes, strict=True):
            path = folder / f"legacysurvey-{seed}-image-{band}.fits"
            fits.writeto(path, image, field.wcs.to_header())
        x, y = np.random.default_rng(seed).uniform(130, 890, (2, n_positions))
        sky = field.wcs.pixel_to_world(x, y)
        positions.append(np.stack([sky.ra.deg, sky.dec.deg]))
    return np.concatenate(positions, axis=1)


def make_catalogue(path, n, n_images, positions):
    """Write a catalogue of ``n`` rows, with some columns that scoring does not use."""
    rng = np.random.default_rng(0)
    table = Table({"objID": np.arange(n), "image": np.arange(n) % n_images})
    order = np.arange(n) % positions.shape[1]
    table["ra"], table["dec"] = positions[:, order]
    for name in "grziwxyv":
        table[name] = rng.normal(19, 1, n).astype(np.float32)
    table["name"] = [f"source {i}" for i in range(n)]
    table.write(path, overwrite=True)
