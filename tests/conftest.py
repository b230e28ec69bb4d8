"""Fixtures for all tests."""

import atexit
import functools
import importlib.util
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shredfinder import ShredClassifier
from shredfinder.cutouts import RetryPolicy

# Compiling takes most of the time of a short training, and many tests train the same networks: JAX
# keeps what it compiles, in a folder of this process.
_COMPILED = tempfile.mkdtemp(prefix="shredfinder-jax-")
atexit.register(shutil.rmtree, _COMPILED, ignore_errors=True)
os.environ["JAX_COMPILATION_CACHE_DIR"] = _COMPILED
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
# Fewer optimisations compile a third faster and train the same networks. (Without any, level 0,
# training diverges.)
os.environ["XLA_FLAGS"] = f"--xla_backend_optimization_level=1 {os.environ.get('XLA_FLAGS', '')}"

HAS_BACKEND = any(importlib.util.find_spec(name) for name in ("torch", "jax", "tensorflow"))


def needs(*packages):
    """Mark tests that are skipped where optional packages are not installed."""
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


def need_format(name):
    """Skip a test of files of a format, by a file's name, where its package is not installed."""
    for suffix, package in ((".parquet", "pyarrow"), (".hdf5", "h5py")):
        if name.endswith(suffix):
            pytest.importorskip(package)


@pytest.fixture(scope="session")
def tolerant_model(tmp_path_factory):
    """Path of the embedded model, but it takes every image for a galaxy or a shred.

    Random places of a simulated sky are often recognised as blank, and not scored.
    """
    classifier = ShredClassifier.load()
    classifier.model_.description.other_limit = 1.0
    path = tmp_path_factory.mktemp("model") / "tolerant.shredmodel"
    classifier.save(path)
    return path


needs_backend = pytest.mark.skipif(
    not HAS_BACKEND, reason="training needs torch, jax or tensorflow"
)


def make_images(n, *, size=32, n_bands=3, seed=0):
    """Return noise with a bright blob, at the centre for galaxies and off it for shreds."""
    rng = np.random.default_rng(seed)
    images = rng.integers(20, 60, (n, size, size, n_bands), dtype=np.uint8)
    y = np.arange(n) % 2
    half = size // 2
    for image, is_shred in zip(images, y, strict=True):
        start = half - 3 - is_shred * (half - 4)
        image[start : start + 6, start : start + 6] = rng.integers(150, 250, (6, 6, n_bands))
    return images, y


def find_pixels(field, low, high):
    """Return the pixels of a simulated field's sources between two corners, each (x, y)."""
    ra, dec = field.sources["ra"], field.sources["dec"]
    pixels = np.transpose(field.wcs.world_to_pixel_values(ra, dec))
    return pixels[((pixels > low) & (pixels < high)).all(axis=1)]


@functools.cache
def galaxy_images(n):
    """Return simulated galaxies and shreds, which the embedded model scores."""
    from shredfinder.datasets import make_field

    images = make_field(size=768, n_hosts=4, random_state=1).cutouts().images
    assert len(images) >= n
    return images[:n]


@pytest.fixture(scope="session", autouse=True)
def short_pauses():
    """Shorten the pauses between retries a hundredfold, where a test sets none."""
    original = RetryPolicy.draw_pause

    @functools.wraps(original)
    def draw_pause(policy, n_attempts):
        factor = 0.01 if policy.pause == RetryPolicy.pause else 1.0
        return original(policy, n_attempts) * factor

    RetryPolicy.draw_pause = draw_pause
    yield
    RetryPolicy.draw_pause = original


@pytest.fixture(scope="session")
def toy_images():
    """Return sixty labelled images of 32 × 32 px."""
    return make_images(60)


@pytest.fixture(scope="session")
def toy_classifier(toy_images):
    """Return a compact network trained on the toy images."""
    if not HAS_BACKEND:
        pytest.skip("training needs torch, jax or tensorflow")
    from shredfinder import ShredClassifier

    images, y = toy_images
    return ShredClassifier(random_state=1).fit(images, y, epochs=8, batch_size=8, progress=False)


@pytest.fixture(scope="session")
def tiny():
    """Name of an architecture and of its recipe that train in about a second."""
    if not HAS_BACKEND:
        pytest.skip("training needs torch, jax or tensorflow")
    from shredfinder.models import ARCHITECTURES
    from shredfinder.training import RECIPES, Augmentation, Recipe

    recipe = Recipe(
        make_optimizer=lambda keras, n_steps: keras.optimizers.Adam(0.02),
        epochs=2,
        patience=None,
        validation=None,
        batch_size=8,
        augmentation=Augmentation(max_scale=1.0, max_shift=0.0),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ARCHITECTURES, "tiny", build_tiny)
        patch.setitem(RECIPES, "tiny", recipe)
        yield "tiny"


def build_tiny(input_shape):
    """Build a network of a few hundred parameters that sees a bright blob at the centre."""
    from keras import Model, layers

    inputs = layers.Input(input_shape, name="images")
    x = layers.AveragePooling2D(4)(inputs)
    x = layers.Conv2D(8, 1, activation="relu")(x)
    height, width = input_shape[0] // 4, input_shape[1] // 4
    center = layers.Cropping2D((height * 3 // 8, width * 3 // 8))(x)
    x = layers.Concatenate()(
        [layers.GlobalAveragePooling2D()(center), layers.GlobalMaxPooling2D()(x)]
    )
    x = layers.Dropout(0.1)(layers.Dense(16, activation="relu")(x))
    return Model(inputs, layers.Dense(2, activation="softmax")(x), name="tiny")


@pytest.fixture(scope="session")
def data_folder():
    """Return the folder of real labelled cutouts, if there is one."""
    default = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("SHREDFINDER_DATA", default))
    if not (folder / "labels.ecsv").exists():
        pytest.skip("the real cutouts are missing: set SHREDFINDER_DATA to their folder")
    return folder


@pytest.fixture
def image_files(tmp_path, _image_files):
    """Copy a good image file and one of each kind of bad file to the test's folder."""
    return Path(shutil.copytree(_image_files, tmp_path, dirs_exist_ok=True))


@pytest.fixture(scope="session")
def _image_files(tmp_path_factory):
    """Write the image files once: compressing the bomb takes most of a second."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(3)
    good = rng.integers(0, 255, (128, 128, 3), dtype=np.uint8)
    Image.fromarray(good).save(folder / "good.png")
    Image.fromarray(good).save(folder / "good.jpg", quality=95)
    Image.fromarray(np.full((128, 128, 3), 32, np.uint8)).save(folder / "blank.png")
    uncovered = good.copy()
    uncovered[40:90, 40:90] = 32
    Image.fromarray(uncovered).save(folder / "uncovered.png")
    Image.fromarray(good[:64]).save(folder / "small.png")
    Image.new("1", (20_000, 20_000)).save(folder / "bomb.png")
    (folder / "truncated.png").write_bytes((folder / "good.png").read_bytes()[:9000])
    (folder / "page.png").write_text("<html><body>503 Service Unavailable</body></html>")
    (folder / "empty.png").write_bytes(b"")
    (folder / "folder.png").mkdir()
    return folder
