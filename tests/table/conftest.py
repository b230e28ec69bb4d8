"""A classifier without a network, and tables to score with it."""

from types import SimpleNamespace

import numpy as np
import pytest
from astropy.table import Table

from shredfinder import Cutouts, conf
from shredfinder.imaging import as_cutouts
from shredfinder.models.calibration import Scores
from shredfinder.models.scorer import ImageScorer

FACTS = {"pixel_scale": 0.46875, "bands": ("z", "r", "g"), "color_mapping": "legacy-grz"}


class BrightnessClassifier(ImageScorer):
    """Return the mean brightness of an image, in 0–1, as its probability."""

    size_ = (128, 128)
    pixel_scale_ = 0.46875
    bands_ = ("z", "r", "g")
    color_mapping_ = "legacy-grz"
    survey = "legacy-dr9"
    provenance = {  # noqa: RUF012
        "model": "brightness",
        "version": "1.0",
        "sha256": "0123456789abcdef" * 4,
        "survey": "legacy-dr9",
    }

    def __init__(self):
        description = SimpleNamespace(size=self.size_, pixel_scale=self.pixel_scale_)
        self.model_ = SimpleNamespace(description=description, provenance=self.provenance)
        self.batch_sizes = []
        self.options = None

    def open_images(self, X, *, pixel_scale=None, bands=None):
        return as_cutouts(X, size=self.size_, **FACTS)

    def score_images(self, X, *, allow_other_colors=False, progress=False, **options):
        self.options = options | {"allow_other_colors": allow_other_colors, "progress": progress}
        X = self.open_images(X)
        scores = Scores(
            np.full(len(X), np.nan), np.full(len(X), "", dtype="U16"), training_prior=0.4
        )
        for start in range(0, len(X), conf.batch_size):
            batch = X[start : start + conf.batch_size]
            self.batch_sizes.append(len(batch))
            rows = slice(start, start + len(batch))
            scores.flags[rows] = batch.flags
            scale = 255 if batch.images.dtype == np.uint8 else 1
            means = batch.images.mean(axis=(1, 2, 3), dtype=float) / scale
            scores.p_cnn[rows] = np.where(batch.good, means, np.nan)
        return scores


@pytest.fixture
def classifier():
    return BrightnessClassifier()


def make_cutouts(brightness, flags=None, size=8):
    """Create small images of the given mean brightness; NaN gives a blank one."""
    brightness = np.asarray(brightness, dtype=float)
    images = np.zeros((len(brightness), size, size, 3), dtype=np.float32)
    for image, mean in zip(images, brightness, strict=True):
        if np.isfinite(mean):
            image[:] = mean
            image[:, ::2] += 0.01
            image[:, 1::2] -= 0.01
    return Cutouts(images, flags=flags, **FACTS)


# Rows 1, 3 and 5 are unscored.
BRIGHTNESS = [0.2, np.nan, 0.8, np.nan, 0.5, 0.9]
FLAGS = ["", "", "", "failed", "", "no coverage"]


@pytest.fixture
def cutouts():
    return make_cutouts(BRIGHTNESS, FLAGS)


def make_table(cls=Table):
    """Create a catalogue with units, masks, text and large integers."""
    table = cls(
        {
            "objID": np.arange(6, dtype=np.int64) + 1237646587169407341,
            "ra": np.linspace(10, 20, 6),
            "dec": np.linspace(-5, 5, 6),
            "name": np.array(["a", "bb", "c", "d", "e", "f"]),
        }
    )
    table["mag"] = np.ma.masked_array([17, 18, 19, 20, 21, 22.0], mask=[0, 1, 0, 0, 1, 0])
    table["ra"].info.unit = table["dec"].info.unit = "deg"
    table = cls(table)
    table["ra"].info.description = "Right ascension"
    table.meta["FIELD"] = "north"
    return table


def assert_split(table, n_scored=None):
    """Check that a cut at 0.5 divides the scored rows and selects no unscored row."""
    p_cnn = table["p_cnn"]
    scored = np.isfinite(np.ma.filled(np.ma.masked_array(p_cnn, copy=True), np.nan))
    halves = table[p_cnn < 0.5], table[p_cnn >= 0.5]
    for half in halves:
        assert np.isfinite(np.ma.filled(np.ma.masked_array(half["p_cnn"]), np.nan)).all()
    assert sum(map(len, halves)) == np.count_nonzero(scored)
    if n_scored is not None:
        assert np.count_nonzero(scored) == n_scored
