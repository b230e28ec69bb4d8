"""Networks under ONNX Runtime, supported inputs, and scoring in several threads."""

import threading
import time

import numpy as np
import onnxruntime
import pytest
from astropy.table import MaskedColumn
from PIL import Image

from shredfinder import ShredClassifier, conf
from shredfinder.datasets import example_cutouts
from shredfinder.exceptions import ShredfinderWarning
from shredfinder.imaging import Cutouts, CutoutSequence
from shredfinder.models import TrainedModel
from shredfinder.models.model import OnnxNetwork
from tests.conftest import needs

SHAPE = (128, 128, 3)


@pytest.fixture(scope="module")
def graph():
    return TrainedModel.read().graph


@pytest.fixture
def gpu_build(monkeypatch):
    """Simulate a build of ONNX Runtime for CUDA, with or without a usable GPU."""
    state = {"gpu": True, "requested": None}
    session = onnxruntime.InferenceSession

    def open_session(graph, options, providers):
        state["requested"] = providers
        opened = session(graph, options, providers=["CPUExecutionProvider"])
        used = [name for name in providers if state["gpu"] or name.startswith("CPU")]
        opened.get_providers = lambda: used
        return opened

    built = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: built)
    monkeypatch.setattr(onnxruntime, "InferenceSession", open_session)
    return state


def test_a_usable_gpu_is_used(graph, gpu_build):
    network = OnnxNetwork(graph, SHAPE, 3)
    assert gpu_build["requested"] == ["CUDAExecutionProvider", "CPUExecutionProvider"]
    assert network.providers == ("CUDAExecutionProvider", "CPUExecutionProvider")
    images = np.random.default_rng(0).random((50, *SHAPE), dtype=np.float32)
    plain = network.logits(images)
    # A GPU evaluates all images at once, with the same result.
    network._batch = 32
    np.testing.assert_allclose(network.logits(images), plain, rtol=1e-4, atol=1e-5)


def test_an_unusable_gpu_causes_a_warning(graph, gpu_build):
    gpu_build["gpu"] = False
    with pytest.warns(
        ShredfinderWarning, match="built for CUDAExecutionProvider but finds no usable GPU"
    ):
        network = OnnxNetwork(graph, SHAPE, 3)
    assert network.providers == ("CPUExecutionProvider",)


def test_the_processor_is_the_default(graph):
    assert OnnxNetwork(graph, SHAPE, 3).providers == ("CPUExecutionProvider",)


# Inputs


@pytest.fixture(scope="module")
def galaxies():
    return example_cutouts().images[:3]


@pytest.fixture(scope="module")
def paths(galaxies, tmp_path_factory):
    """Write two images; the third path is None."""
    folder = tmp_path_factory.mktemp("images")
    written = [str(folder / f"{i}.png") for i in range(2)]
    for path, image in zip(written, galaxies, strict=False):
        Image.fromarray(image).save(path)
    return [*written, None]


def make_series(paths, dtype=None):
    pd = pytest.importorskip("pandas")
    if dtype == "arrow":
        dtype = pd.ArrowDtype(pytest.importorskip("pyarrow").string())
    return pd.Series(paths, dtype=dtype, index=[5, 5, 9])


def make_arrow(paths, *, chunked):
    pa = pytest.importorskip("pyarrow")
    return pa.chunked_array([paths[:2], paths[2:]], pa.string()) if chunked else pa.array(paths)


SEQUENCES = {
    "list": list,
    "tuple": tuple,
    "array": lambda paths: np.array(paths, dtype=object),
    "masked column": lambda paths: MaskedColumn(
        [path or "" for path in paths], mask=[path is None for path in paths]
    ),
    "series": make_series,
    "string series": lambda paths: make_series(paths, "string"),
    "category series": lambda paths: make_series(paths, "category"),
    "arrow series": lambda paths: make_series(paths, "arrow"),
    "arrow array": lambda paths: make_arrow(paths, chunked=False),
    "arrow chunks": lambda paths: make_arrow(paths, chunked=True),
}


@pytest.mark.parametrize("kind", SEQUENCES)
def test_any_sequence_of_paths(kind, paths, galaxies):
    classifier = ShredClassifier.load()
    expected, expected_flags = classifier.predict_p_cnn(galaxies[:2])
    assert np.isfinite(expected).all()
    p_cnn, flags = classifier.predict_p_cnn(SEQUENCES[kind](paths))
    assert flags.tolist() == [*expected_flags, "missing"]
    np.testing.assert_allclose(p_cnn[:2], expected, rtol=1e-5)
    assert np.isnan(p_cnn[2])


@needs("pandas")
def test_a_series_without_any_path():
    import pandas as pd

    for missing in (pd.Series([None, None]), pd.Series([np.nan, np.nan])):
        p_cnn, flags = ShredClassifier.load().predict_p_cnn(missing)
        assert flags.tolist() == ["missing", "missing"]
        assert np.isnan(p_cnn).all()


def test_a_single_image_is_a_batch_of_one(paths, galaxies):
    classifier = ShredClassifier.load()
    expected, _ = classifier.predict_p_cnn(galaxies[:1])
    as_float = galaxies[0] / np.float32(255)
    for single in (galaxies[0], as_float, paths[0]):
        p_cnn, flags = classifier.predict_p_cnn(single)
        assert flags.tolist() == [""]
        np.testing.assert_allclose(p_cnn, expected, rtol=1e-4)
    assert classifier.predict_proba(galaxies[0]).shape == (1, 2)


def test_bytes_are_refused(paths):
    with pytest.raises(ValueError, match="got bytes"):
        ShredClassifier.load().predict_p_cnn(paths[0].encode())


def test_lists_of_images(galaxies):
    classifier = ShredClassifier.load()
    expected, _ = classifier.predict_p_cnn(galaxies)
    np.testing.assert_array_equal(classifier.predict_p_cnn(list(galaxies))[0], expected)
    for wrong in ([galaxies[0], None], [galaxies[0], galaxies[1][:64]]):
        with pytest.raises(ValueError, match="images") as caught:
            classifier.predict_p_cnn(wrong)
        # NumPy's own message would not help.
        assert "inhomogeneous" not in str(caught.value)


# Threads


class NumberedImages(CutoutSequence):
    """Images whose first pixel holds their number, and that take some time to read."""

    def __init__(self, n, *, concurrent, fail_at=None):
        self.concurrent = concurrent
        self._n, self._fail_at = n, fail_at
        self.threads, self.active, self.most_active = set(), 0, 0
        self._lock = threading.Lock()

    def __len__(self):
        return self._n

    def __getitem__(self, rows):
        with self._lock:
            self.threads.add(threading.get_ident())
            self.active += 1
            self.most_active = max(self.most_active, self.active)
        numbers = np.arange(self._n)[rows]
        # The first batch takes longest, so that the others overtake it.
        time.sleep(0.05 if rows.start == 0 else 0.005)
        with self._lock:
            self.active -= 1
        if self._fail_at in numbers:
            raise OSError("the disk failed")
        images = np.random.default_rng(0).integers(0, 255, (len(numbers), *SHAPE), dtype=np.uint8)
        images[:, 0, 0, 0] = numbers % 256
        return Cutouts(images, pixel_scale=0.46875, bands="zrg", color_mapping="legacy-grz")


@pytest.fixture
def classifier(monkeypatch):
    """A classifier with three threads whose scores are the numbers of the images."""
    with conf.set_temp("threads", 3):
        classifier = ShredClassifier.load()
        assert classifier.model_.network.threads == 3
    monkeypatch.setattr(
        classifier.model_,
        "score",
        lambda images, symmetry: (images[:, 0, 0, 0] / 1000, np.full(len(images), np.nan)),
    )
    return classifier


@pytest.mark.parametrize("concurrent", [True, False])
def test_rows_keep_their_order_in_threads(classifier, concurrent):
    source = NumberedImages(200, concurrent=concurrent)
    p_cnn, flags = classifier.predict_p_cnn(source, batch_size=16)
    np.testing.assert_allclose(p_cnn, np.arange(200) / 1000, rtol=1e-6)
    assert set(flags.tolist()) == {""}
    if concurrent:
        assert source.most_active > 1
    else:
        assert source.threads == {threading.get_ident()}


def test_errors_in_threads_reach_the_caller(classifier):
    source = NumberedImages(4000, concurrent=True, fail_at=40)
    with pytest.raises(OSError, match="the disk failed"):
        classifier.predict_p_cnn(source, batch_size=16)
    # All threads have ended.
    assert source.active == 0
    assert not [t for t in threading.enumerate() if t.name.startswith("shredfinder-score")]


def test_scores_do_not_depend_on_the_number_of_threads():
    images = np.random.default_rng(1).integers(0, 255, (70, *SHAPE), dtype=np.uint8)
    scores = []
    for n_threads in (1, 4):
        with conf.set_temp("threads", n_threads):
            scores.append(ShredClassifier.load().predict_p_cnn(images)[0])
    np.testing.assert_allclose(scores[0], scores[1], rtol=1e-4, atol=1e-6)
