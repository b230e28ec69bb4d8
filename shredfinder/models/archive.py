"""Model files: a zip archive of a description, an ONNX graph and Keras weights.

The archive contains data only. Nothing in it is executed or unpickled: the description is JSON,
the weights are plain arrays, and the graph uses ONNX's standard operators.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
import zlib
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shredfinder._utils.files import atomic_write
from shredfinder.exceptions import ModelFileError
from shredfinder.models.description import ModelDescription
from shredfinder.models.onnx_graph import take_floats

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.resources.abc import Traversable

    from shredfinder._utils.validation import PathLike

__all__ = ["EMBEDDED_MODEL", "EMBEDDED_MODELS", "find_model", "read_model", "write_model"]

_DATA = resources.files("shredfinder.models") / "data"
EMBEDDED_MODELS = {
    "embedded": _DATA / "embedded.shredmodel",
    # For images with poorer seeing and depth than those of the Legacy Surveys.
    "robust": _DATA / "robust.shredmodel",
    # The first in 8-bit integers.
    "int8": _DATA / "int8.shredmodel",
}
EMBEDDED_MODEL = EMBEDDED_MODELS["embedded"]

_FORMAT = "shredfinder-model"
# Format 2 adds isotonic calibration, format 3 a third class, "other", and format 4 networks for
# uint8 images and in 8-bit integers. Models without them are written in the earlier formats, which
# earlier versions of shredfinder can read.
_FORMAT_VERSION = 4
_DESCRIPTION, _GRAPH, _WEIGHTS = "model.json", "network.onnx", "weights.npz"
# The published network takes 42 MB as a graph and 42 MB as weights; the limit is generous.
_MAX_BYTES = 512 * 1024**2
_ADVICE = "copy or save it again, or use the embedded model"


def find_model(path: PathLike | None = None) -> PathLike | Traversable:
    """Return the path of a model file.

    Parameters
    ----------
    path : path-like, optional
        A file, or the name of one of the package's models (an existing file of that name takes
        precedence). By default the embedded model.

    Returns
    -------
    path : path-like or `importlib.resources.abc.Traversable`
        Path of the file, which may not exist.
    """
    if path is None:
        return EMBEDDED_MODEL
    shipped = EMBEDDED_MODELS.get(str(path))
    return path if shipped is None or Path(path).exists() else shipped


def write_model(
    path: PathLike, description: ModelDescription, graph: bytes, weights: Sequence[np.ndarray]
) -> str:
    """Write a model file atomically.

    Parameters
    ----------
    path : path-like
        The file, usually with the suffix ``.shredmodel``.
    description : ModelDescription
        The model's description.
    graph : bytes
        ONNX model.
    weights : list of `~numpy.ndarray`
        Weights of the Keras network, in the order of ``network.get_weights()``.

    Returns
    -------
    sha256 : str
        Hash of the description, which contains the hashes of the other members.

    Raises
    ------
    ValueError
        If a weight is not finite.
    """
    broken = sum(int(np.count_nonzero(~np.isfinite(array))) for array in weights)
    if broken:
        raise ValueError(
            f"the model {description.name!r} is not saved: {broken} of its weights are not finite "
            "(the training diverged); train again with other images, weights or random_state"
        )
    buffer = io.BytesIO()
    # Numbered, so that sorting by name restores the order of the layers.
    arrays: dict[str, Any] = {f"{i:04d}": array for i, array in enumerate(weights)}
    np.savez(buffer, **arrays)
    files = {_GRAPH: graph, _WEIGHTS: buffer.getvalue()}
    version = 3 if len(description.classes) > 2 else 2 if description.knots else 1
    head = {
        "format": _FORMAT,
        "format_version": version if take_floats(graph) == graph else 4,
        "description": description.to_dict(),
        "sha256": {name: _digest(data) for name, data in files.items()},
    }
    files = {_DESCRIPTION: json.dumps(head, indent=1, allow_nan=False).encode(), **files}
    with atomic_write(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, data in files.items():
            # A fixed date, so that the same model always yields the same bytes.
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
    return _digest(files[_DESCRIPTION])


def read_model(
    path: PathLike | Traversable,
) -> tuple[ModelDescription, bytes, list[np.ndarray], str]:
    """Read and validate a model file.

    Parameters
    ----------
    path : path-like or `importlib.resources.abc.Traversable`
        The file.

    Returns
    -------
    description : ModelDescription
        The model's description.
    graph : bytes
        ONNX model.
    weights : list of `~numpy.ndarray`
        Weights of the Keras network.
    sha256 : str
        Hash of the description, which contains the hashes of the other members.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    shredfinder.exceptions.ModelFileError
        If the file is corrupted, truncated, not a model, or of a newer format.
    """
    try:
        data = (Path(path) if isinstance(path, (str, os.PathLike)) else path).read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(
            f"there is no model file {str(path)!r}; the package's models are "
            f"{', '.join(map(repr, EMBEDDED_MODELS))}"
        ) from None
    except OSError as error:
        raise ModelFileError(f"cannot read model file {str(path)!r}: {error}") from error
    # The signature of a zip archive.
    if data[:4] != b"PK\x03\x04":
        raise ModelFileError(f"{str(path)!r} is not a model saved by shredfinder: {_ADVICE}")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = _read_members(path, archive)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError) as error:
        raise ModelFileError(
            f"model file {str(path)!r} is corrupted or truncated ({error}): {_ADVICE}"
        ) from error
    except (RuntimeError, ValueError) as error:  # encrypted members, impossible entries
        # ModelFileError is itself a ValueError, and already says what is wrong.
        if isinstance(error, ModelFileError):
            raise
        raise ModelFileError(
            f"model file {str(path)!r} is corrupted ({error}): {_ADVICE}"
        ) from error
    head = _read_head(path, members[_DESCRIPTION])
    for name in (_GRAPH, _WEIGHTS):
        if _digest(members[name]) != head["sha256"].get(name):
            raise ModelFileError(
                f"model file {str(path)!r} is corrupted: {name} has changed since it was saved; "
                f"{_ADVICE}"
            )
    description = ModelDescription.from_dict(head["description"])
    weights = _read_weights(path, members[_WEIGHTS])
    return description, members[_GRAPH], weights, _digest(members[_DESCRIPTION])


def _read_members(path: Any, archive: zipfile.ZipFile) -> dict[str, bytes]:
    names = archive.namelist()
    if _DESCRIPTION not in names:
        raise ModelFileError(
            f"{str(path)!r} is not a model saved by shredfinder (it has no {_DESCRIPTION}): "
            f"{_ADVICE}"
        )
    missing = {_GRAPH, _WEIGHTS} - set(names)
    if missing:
        raise ModelFileError(
            f"model file {str(path)!r} is incomplete: {', '.join(sorted(missing))} is missing; "
            f"{_ADVICE}"
        )
    wanted = [archive.getinfo(name) for name in (_DESCRIPTION, _GRAPH, _WEIGHTS)]
    # Check the size before unpacking: a small archive can expand to fill the memory.
    size = sum(entry.file_size for entry in wanted)
    if size > _MAX_BYTES:
        raise ModelFileError(
            f"model file {str(path)!r} claims {size / 1024**2:.0f} MB of content, more than the "
            f"{_MAX_BYTES / 1024**2:.0f} MB that shredfinder allows"
        )
    return {entry.filename: archive.read(entry) for entry in wanted}


def _read_head(path: Any, data: bytes) -> dict[str, Any]:
    try:
        head = json.loads(data)
        if not isinstance(head, dict) or head["format"] != _FORMAT:
            raise KeyError("format")
        version = head["format_version"]
        # Before the other entries are checked, since a later format may change them.
        if isinstance(version, int) and version > _FORMAT_VERSION:
            raise ModelFileError(
                f"model file {str(path)!r} has format {version}, but this version of shredfinder "
                f"reads formats up to {_FORMAT_VERSION}: upgrade shredfinder"
            )
        if version not in range(1, _FORMAT_VERSION + 1):
            raise KeyError("format_version")
        if not isinstance(head["description"], dict) or not isinstance(head["sha256"], dict):
            raise KeyError("description")
    except (KeyError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ModelFileError(
            f"{str(path)!r} is not a model saved by shredfinder: its {_DESCRIPTION} is invalid "
            f"({error})"
        ) from error
    return head


def _read_weights(path: Any, data: bytes) -> list[np.ndarray]:
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            return [archive[name] for name in sorted(archive.files)]
    except Exception as error:  # numpy raises many kinds for a malformed archive
        raise ModelFileError(
            f"cannot read the weights in model file {str(path)!r} ({error}): {_ADVICE}"
        ) from error


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
