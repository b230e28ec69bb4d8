import io
import json
import pickle
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from shredfinder import ShredClassifier
from shredfinder.datasets import example_cutouts
from shredfinder.exceptions import ModelFileError
from shredfinder.models import TrainedModel
from shredfinder.models.archive import EMBEDDED_MODEL, EMBEDDED_MODELS, find_model, read_model


@pytest.fixture
def members():
    """Members of the embedded model's archive."""
    with zipfile.ZipFile(io.BytesIO(EMBEDDED_MODEL.read_bytes())) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def write(tmp_path):
    def write(members):
        path = tmp_path / "model.shredmodel"
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in members.items():
                archive.writestr(name, data)
        return path

    return write


def changed(members, **changes):
    """Members with entries of the description replaced; None removes one."""
    head = json.loads(members["model.json"])
    for key, value in changes.items():
        target = head if key in head else head["description"]
        target[key] = value
        if value is None:
            del target[key]
    return members | {"model.json": json.dumps(head).encode()}


def test_the_embedded_model_is_small_and_complete():
    assert len(EMBEDDED_MODEL.read_bytes()) < 10e6
    description, graph, weights, sha256 = read_model(EMBEDDED_MODEL)
    assert description.survey == "legacy-dr9"
    assert description.bands == ["z", "r", "g"]
    assert description.size == [128, 128]
    assert description.pixel_scale == 0.46875
    assert 0.3 < description.training_prior < 0.5
    assert len(sha256) == 64
    assert graph
    assert weights


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no model file .*nowhere"):
        ShredClassifier.load(tmp_path / "nowhere.shredmodel")


@pytest.mark.parametrize("keep", [0, 3, 100, 5000, 0.5, 0.999])
def test_truncated_files(tmp_path, keep):
    data = EMBEDDED_MODEL.read_bytes()
    path = tmp_path / "cut.shredmodel"
    path.write_bytes(data[: int(keep * len(data)) if keep < 1 else keep])
    with pytest.raises(ModelFileError, match=r"truncated|not a model"):
        ShredClassifier.load(path)


def test_a_flipped_bit_is_detected(tmp_path):
    data = bytearray(EMBEDDED_MODEL.read_bytes())
    data[len(data) // 2] ^= 0x10
    path = tmp_path / "flipped.shredmodel"
    path.write_bytes(data)
    with pytest.raises(ModelFileError, match="corrupted"):
        ShredClassifier.load(path)


@pytest.mark.parametrize(
    "content",
    [b"\x89PNG\r\n", b"\x80\x05pickle", b"\x89HDF\r\n\x1a\n", b"{}", pickle.dumps([1, 2])],
)
def test_foreign_files(tmp_path, content):
    path = tmp_path / "foreign.shredmodel"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match="not a model saved by shredfinder"):
        ShredClassifier.load(path)


def test_a_foreign_archive(write):
    with pytest.raises(ModelFileError, match=r"has no model\.json"):
        ShredClassifier.load(write({"config.json": b"{}", "model.weights.h5": b""}))


def test_a_folder(tmp_path):
    with pytest.raises(ModelFileError, match="cannot read model file"):
        ShredClassifier.load(tmp_path)


def test_a_newer_format_asks_for_an_upgrade(write, members):
    with pytest.raises(ModelFileError, match=r"has format 5, .* reads formats up to 4: upgrade"):
        ShredClassifier.load(write(changed(members, format_version=5)))


@pytest.mark.parametrize(
    "head", [b"not json", b"[]", b"{}", b'{"format": "other"}', b"\xff\xfe", b"[" * 100_000]
)
def test_invalid_descriptions(write, members, head):
    with pytest.raises(ModelFileError, match=r"its model\.json is invalid"):
        ShredClassifier.load(write(members | {"model.json": head}))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("bands", "zrg"),
        ("bands", [1, 2, 3]),
        ("bands", []),
        ("size", [128]),
        ("size", [-1, 5]),
        ("pixel_scale", "wide"),
        ("pixel_scale", float("nan")),
        ("temperature", 0),
        ("training_prior", 1.5),
        ("classes", ["shred", "galaxy"]),
        ("stretch", {"kind": "python", "code": "1"}),
        ("symmetry", "some"),
        ("architecture", None),
        ("survey", "vlt"),
    ],
)
def test_entries_of_the_description_are_checked(write, members, key, value):
    with pytest.raises(ValueError, match=f"{key}|survey"):
        ShredClassifier.load(write(changed(members, **{key: value})))


@pytest.mark.parametrize("name", ["network.onnx", "weights.npz"])
def test_missing_or_replaced_members(write, members, name):
    with pytest.raises(ModelFileError, match=f"{name} has changed since it was saved"):
        ShredClassifier.load(write(members | {name: b"something else"}))
    del members[name]
    with pytest.raises(ModelFileError, match=f"{name} is missing"):
        ShredClassifier.load(write(members))


def rehash(members):
    import hashlib

    sha256 = {
        name: hashlib.sha256(members[name]).hexdigest() for name in ("network.onnx", "weights.npz")
    }
    return changed(members, sha256=sha256)


def test_an_invalid_graph(write, members):
    with pytest.raises(ModelFileError, match="network is damaged: a field is truncated"):
        ShredClassifier.load(write(rehash(members | {"network.onnx": b"\x00garbage"})))


def test_a_graph_that_contradicts_the_description(write, members):
    with pytest.raises(ModelFileError, match="description says"):
        ShredClassifier.load(write(changed(members, size=[64, 64])))


def test_pickled_weights_are_not_unpickled(write, members):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("code from the file was run",))

    buffer = io.BytesIO()
    np.savez(buffer, **{"0000": np.array([Bomb()], dtype=object)})
    path = write(rehash(members | {"weights.npz": buffer.getvalue()}))
    with pytest.raises(ModelFileError, match="cannot read the weights in model file"):
        ShredClassifier.load(path)


def test_a_bomb_is_refused_by_its_claimed_size(write, members, monkeypatch):
    monkeypatch.setattr("shredfinder.models.archive._MAX_BYTES", 1000)
    with pytest.raises(ModelFileError, match="more than the 0 MB that shredfinder allows"):
        ShredClassifier.load(write(members))


def test_saving_is_repeatable_and_atomic(tmp_path):
    classifier = ShredClassifier.load()
    first, second = tmp_path / "a.shredmodel", tmp_path / "b.shredmodel"
    classifier.save(first)
    classifier.save(second)
    assert first.read_bytes() == second.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.shredmodel", "b.shredmodel"]
    assert first.stat().st_mode & 0o044  # readable by others, as the umask allows
    loaded = ShredClassifier.load(first)
    assert loaded.provenance == ShredClassifier.load().provenance
    with pytest.raises(FileNotFoundError, match=r"the folder .*absent.* does not exist"):
        classifier.save(tmp_path / "absent" / "a.shredmodel")


def test_files_take_precedence_over_the_packages_models(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_model() == find_model("embedded") == EMBEDDED_MODEL
    robust = EMBEDDED_MODELS["robust"]
    assert find_model("robust") == find_model(Path("robust")) == robust
    assert find_model("mine.shredmodel") == "mine.shredmodel"
    with pytest.raises(FileNotFoundError, match="models are 'embedded', 'robust', 'int8'"):
        TrainedModel.read("mine.shredmodel")
    (tmp_path / "robust").write_bytes(b"a file of the user's")
    assert find_model("robust") == "robust"
    with pytest.raises(ModelFileError, match="not a model saved by shredfinder"):
        TrainedModel.read("robust")


def test_the_robust_model_accepts_the_same_images():
    clear, robust = TrainedModel.read().description, TrainedModel.read("robust").description
    assert clear.name != robust.name
    for name in ("survey", "bands", "size", "pixel_scale", "color_mapping", "architecture"):
        assert getattr(clear, name) == getattr(robust, name)
    assert robust.novelty is not None
    assert len(EMBEDDED_MODELS["robust"].read_bytes()) < 5e6


def test_the_model_in_integers_is_the_embedded_one():
    exact, integers = TrainedModel.read(), TrainedModel.read("int8")
    name = f"{exact.description.name}-int8"
    assert integers.description == replace(exact.description, name=name)
    for one, other in zip(exact.weights, integers.weights, strict=True):
        np.testing.assert_array_equal(one, other)
    images = example_cutouts().images
    difference = integers.score(images, "none")[0] - exact.score(images, "none")[0]
    # Otherwise renew it: ShredClassifier.load().quantize(training_images).save(...)
    assert np.abs(difference).mean() < 0.01
    assert 0 < np.abs(difference).max() < 0.15
