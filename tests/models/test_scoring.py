"""Networks under ONNX Runtime, and sources scored in several threads."""

import threading
import time

import numpy as np
import onnxruntime
import pytest

from shredfinder import ShredClassifier, conf
from shredfinder.exceptions import ShredfinderWarning
from shredfinder.imaging import Cutouts, CutoutSequence
from shredfinder.models import TrainedModel
from shredfinder.models.scoring import OnnxNetwork
from shredfinder.models.sources import score_source

SHAPE = (128, 128, 3)


@pytest.fixture(scope="module")
def graph():
    return TrainedModel.read().graph


@pytest.fixture
def gpu_build(monkeypatch):
    """A build of ONNX Runtime for CUDA, which does or does not find a GPU."""
    found = {"gpu": True, "asked": None}
    session = onnxruntime.InferenceSession

    def open_session(graph, options, providers):
        found["asked"] = providers
        opened = session(graph, options, providers=["CPUExecutionProvider"])
        used = [name for name in providers if found["gpu"] or name.startswith("CPU")]
        opened.get_providers = lambda: used
        return opened

    built = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: built)
    monkeypatch.setattr(onnxruntime, "InferenceSession", open_session)
    return found


def test_a_gpu_is_used_where_there_is_one(graph, gpu_build):
    network = OnnxNetwork(graph, SHAPE)
    assert gpu_build["asked"] == ["CUDAExecutionProvider", "CPUExecutionProvider"]
    assert network.providers == ("CUDAExecutionProvider", "CPUExecutionProvider")
    images = np.random.default_rng(0).random((50, *SHAPE), dtype=np.float32)
    plain = network.logits(images)
    # As many at once as there are; the answers are the same.
    network._batch = 32
    np.testing.assert_allclose(network.logits(images), plain, rtol=1e-4, atol=1e-5)


def test_a_gpu_that_is_not_there_is_told_of(graph, gpu_build):
    gpu_build["gpu"] = False
    with pytest.warns(ShredfinderWarning, match="CUDAExecutionProvider but can't use it"):
        network = OnnxNetwork(graph, SHAPE)
    assert network.providers == ("CPUExecutionProvider",)


def test_the_processor_otherwise(graph):
    assert OnnxNetwork(graph, SHAPE).providers == ("CPUExecutionProvider",)


class Numbered(CutoutSequence):
    """Images whose number can be read off, each of which takes its time."""

    def __init__(self, n, *, concurrent, fail_at=None):
        self.concurrent = concurrent
        self._n, self._fail_at = n, fail_at
        self.threads, self.at_once, self.most = set(), 0, 0
        self._lock = threading.Lock()

    def __len__(self):
        return self._n

    def __getitem__(self, rows):
        with self._lock:
            self.threads.add(threading.get_ident())
            self.at_once += 1
            self.most = max(self.most, self.at_once)
        numbers = np.arange(self._n)[rows]
        # The first ones take longest, so that the others overtake them.
        time.sleep(0.05 if rows.start == 0 else 0.005)
        with self._lock:
            self.at_once -= 1
        if self._fail_at in numbers:
            raise OSError("the disk is gone")
        images = np.random.default_rng(0).integers(0, 255, (len(numbers), *SHAPE), dtype=np.uint8)
        images[:, 0, 0, 0] = numbers % 256
        return Cutouts(images, pixel_scale=0.46875, bands="zrg", color_mapping="legacy-grz")


@pytest.fixture
def model(monkeypatch):
    """A model that answers with the number of the image."""
    with conf.set_temp("threads", 3):
        model = TrainedModel.read()
        model.network  # noqa: B018
    monkeypatch.setattr(model, "score", lambda images, symmetry: images[:, 0, 0, 0] / 1.0)
    return model


def score(model, source, batch_size=16):
    p_cnn, flags, _ = score_source(
        model,
        source,
        symmetry="none",
        allow_other_colors=False,
        batch_size=batch_size,
        progress=False,
    )
    return p_cnn, flags


@pytest.mark.parametrize("concurrent", [True, False])
def test_rows_keep_their_order_in_threads(model, concurrent):
    source = Numbered(200, concurrent=concurrent)
    p_cnn, flags = score(model, source)
    assert p_cnn.tolist() == list(range(200))
    assert set(flags.tolist()) == {""}
    if concurrent:
        assert source.most > 1
    else:
        assert source.threads == {threading.get_ident()}


def test_an_error_in_a_thread_is_the_callers(model):
    source = Numbered(4000, concurrent=True, fail_at=40)
    with pytest.raises(OSError, match="the disk is gone"):
        score(model, source)
    # Nothing is left running, and the rest was not read.
    assert source.at_once == 0
    assert not [t for t in threading.enumerate() if t.name.startswith("shredfinder-score")]


def test_threads_give_the_same_answers():
    images = np.random.default_rng(1).integers(0, 255, (70, *SHAPE), dtype=np.uint8)
    answers = []
    for n_threads in (1, 4):
        with conf.set_temp("threads", n_threads):
            answers.append(ShredClassifier.load().predict_p_cnn(images)[0])
    np.testing.assert_allclose(answers[0], answers[1], rtol=1e-4, atol=1e-6)
