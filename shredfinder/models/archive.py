"""Saved models: one zip archive of a description, the ONNX graph and the Keras weights.

The archive holds data only. Nothing in it is executed or unpickled: the description is JSON,
the weights are plain arrays, and the graph is one of ONNX's own operators.
"""

import hashlib
import io
import json
import zipfile
import zlib
from importlib import resources
from pathlib import Path

import numpy as np

from shredfinder._utils.files import atomic_write
from shredfinder.exceptions import ModelFileError
from shredfinder.models.description import ModelDescription

__all__ = ["EMBEDDED_MODEL", "EMBEDDED_MODELS", "find_model", "read_model", "write_model"]

_DATA = resources.files("shredfinder.models") / "data"
EMBEDDED_MODELS = {
    "embedded": _DATA / "embedded.shredmodel",
    # For images of poorer seeing and depth than the Legacy Surveys'.
    "robust": _DATA / "robust.shredmodel",
}
EMBEDDED_MODEL = EMBEDDED_MODELS["embedded"]

_FORMAT = "shredfinder-model"
# Format 2 has a calibration that is more than a temperature; what has none is written as 1, which
# earlier versions of shredfinder read.
_FORMAT_VERSION = 2
_DESCRIPTION, _GRAPH, _WEIGHTS = "model.json", "network.onnx", "weights.npz"
# The published network takes 42 MB in each of its two forms.
_MAX_BYTES = 512 * 1024**2
_ADVICE = "copy or save it again, or take the embedded model with ShredClassifier.load()"


def find_model(path=None):
    """Find the file of a model.

    Parameters
    ----------
    path : path-like, optional
        A file, or the name of a model that comes with the package (a file of that name goes
        first); by default the embedded model.

    Returns
    -------
    path : path-like or `importlib.resources.abc.Traversable`
        The file, which need not exist.
    """
    if path is None:
        return EMBEDDED_MODEL
    shipped = EMBEDDED_MODELS.get(str(path))
    return path if shipped is None or Path(path).exists() else shipped


def write_model(path, description, graph, weights):
    """Write a model atomically.

    Parameters
    ----------
    path : path-like
        The file; ``.shredmodel`` is the usual suffix.
    description : ModelDescription
        What the model says of itself.
    graph : bytes
        The ONNX model.
    weights : list of `~numpy.ndarray`
        The Keras network's weights, in the order of ``network.get_weights()``.

    Returns
    -------
    sha256 : str
        Hash of the description, and by it of the whole model.
    """
    buffer = io.BytesIO()
    np.savez(buffer, **{f"{i:04d}": array for i, array in enumerate(weights)})
    files = {_GRAPH: graph, _WEIGHTS: buffer.getvalue()}
    head = {
        "format": _FORMAT,
        "format_version": 2 if description.knots else 1,
        "description": description.to_dict(),
        "sha256": {name: _digest(data) for name, data in files.items()},
    }
    files = {_DESCRIPTION: json.dumps(head, indent=1, allow_nan=False).encode(), **files}
    with atomic_write(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, data in files.items():
            # The same model gives the same bytes whenever it is saved.
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
    return _digest(files[_DESCRIPTION])


def read_model(path):
    """Read and check a saved model.

    Parameters
    ----------
    path : path-like or `importlib.resources.abc.Traversable`
        The file.

    Returns
    -------
    description : ModelDescription
        What the model says of itself.
    graph : bytes
        The ONNX model.
    weights : list of `~numpy.ndarray`
        The Keras network's weights.
    sha256 : str
        Hash of the description, and by it of the whole model.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    shredfinder.exceptions.ModelFileError
        If it is corrupted, truncated, no model, or of a newer format.
    """
    try:
        data = path.read_bytes() if hasattr(path, "read_bytes") else Path(path).read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(
            f"there is no model file {str(path)!r}; the package's own models are "
            f"{' and '.join(map(repr, EMBEDDED_MODELS))}"
        ) from None
    except OSError as error:
        raise ModelFileError(f"{str(path)!r} is no readable model file: {error}") from error
    if data[:4] != b"PK\x03\x04":
        raise ModelFileError(f"{str(path)!r} is not a model saved by shredfinder: {_ADVICE}")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = _read_members(path, archive)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError) as error:
        raise ModelFileError(
            f"the model file {str(path)!r} is corrupted or truncated ({error}): {_ADVICE}"
        ) from error
    except (RuntimeError, ValueError) as error:  # encrypted members, impossible entries
        if isinstance(error, ModelFileError):
            raise
        raise ModelFileError(f"the model file {str(path)!r} is corrupted ({error})") from error
    head = _read_head(path, members[_DESCRIPTION])
    for name in (_GRAPH, _WEIGHTS):
        if _digest(members[name]) != head["sha256"].get(name):
            raise ModelFileError(
                f"the model file {str(path)!r} is corrupted: {name} is not what was saved: "
                f"{_ADVICE}"
            )
    description = ModelDescription.from_dict(head["description"])
    weights = _read_weights(path, members[_WEIGHTS])
    return description, members[_GRAPH], weights, _digest(members[_DESCRIPTION])


def _read_members(path, archive):
    names = archive.namelist()
    if _DESCRIPTION not in names:
        raise ModelFileError(
            f"{str(path)!r} is not a model saved by shredfinder (it holds no {_DESCRIPTION}): "
            f"{_ADVICE}"
        )
    missing = {_GRAPH, _WEIGHTS} - set(names)
    if missing:
        raise ModelFileError(
            f"the model file {str(path)!r} is incomplete: {', '.join(sorted(missing))} is missing"
        )
    wanted = [archive.getinfo(name) for name in (_DESCRIPTION, _GRAPH, _WEIGHTS)]
    size = sum(entry.file_size for entry in wanted)
    if size > _MAX_BYTES:
        raise ModelFileError(
            f"the model file {str(path)!r} claims {size / 1024**2:.0f} MB of content, more than "
            f"any model of shredfinder has ({_MAX_BYTES / 1024**2:.0f} MB)"
        )
    return {entry.filename: archive.read(entry) for entry in wanted}


def _read_head(path, data):
    try:
        head = json.loads(data)
        if not isinstance(head, dict) or head["format"] != _FORMAT:
            raise KeyError("format")
        version = head["format_version"]
        if isinstance(version, int) and version > _FORMAT_VERSION:
            raise ModelFileError(
                f"the model file {str(path)!r} has the format {version}, newer than this version "
                f"of shredfinder knows ({_FORMAT_VERSION}): upgrade shredfinder"
            )
        if version not in range(1, _FORMAT_VERSION + 1):
            raise KeyError("format_version")
        if not isinstance(head["description"], dict) or not isinstance(head["sha256"], dict):
            raise KeyError("description")
    except (KeyError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ModelFileError(
            f"{str(path)!r} is not a model saved by shredfinder: its {_DESCRIPTION} can't be "
            f"understood ({error})"
        ) from error
    return head


def _read_weights(path, data):
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            return [archive[name] for name in sorted(archive.files)]
    except Exception as error:  # whatever numpy makes of a malformed archive
        raise ModelFileError(
            f"the weights in the model file {str(path)!r} can't be read ({error}): {_ADVICE}"
        ) from error


def _digest(data):
    return hashlib.sha256(data).hexdigest()
