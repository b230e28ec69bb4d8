"""Training sources of a model: short hashes of its training images, kept in its file.

A model scores its own training images too well. The hashes recognise them, so that an evaluation on
them can be reported.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["decode_sources", "encode_sources", "hash_images"]

# 64 bits: among 10,000 images, two different ones have the same hash with a chance of 3e-12.
_N_BYTES = 8
_MAX_SOURCES = 1_000_000


def hash_images(images: np.ndarray, *, fluxes: bool = False) -> np.ndarray:
    """Compute a hash of the pixels of each image.

    Parameters
    ----------
    images : `~numpy.ndarray`
        Images of shape ``(n, height, width, bands)``: uint8, float in 0–1, or fluxes.
    fluxes : bool, optional
        Whether floats are fluxes. Otherwise they are colours, and have the hash of the same image
        as uint8.

    Returns
    -------
    hashes : `~numpy.ndarray` of uint64
        Hashes of shape ``(n,)``.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder.models.sources import hash_images
    >>> images = np.arange(24, dtype=np.uint8).reshape(2, 2, 2, 3)
    >>> bool((hash_images(images) == hash_images(images / 255)).all())
    True
    """
    if images.dtype != np.uint8:
        # Single precision, as fluxes are stored in files.
        images = images.astype(np.float32)
        if not fluxes:
            # NaN is in no usable image.
            images = np.rint(np.nan_to_num(images) * 255).astype(np.uint8)
    digests = [
        hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=_N_BYTES).digest()
        for image in images
    ]
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)


def encode_sources(hashes: Iterable[np.ndarray]) -> str:
    """Encode the hashes of training images for a model's description.

    Parameters
    ----------
    hashes : iterable of `~numpy.ndarray`
        Arrays from `hash_images`, such as those of a model and of the model it started from.

    Returns
    -------
    text : str
        The distinct hashes in base 64, 11 characters per image.
    """
    known = np.unique(np.concatenate([np.empty(0, np.uint64), *hashes]))
    return base64.b64encode(known.astype("<u8").tobytes()).decode("ascii")


def decode_sources(text: str | None) -> np.ndarray:
    """Decode the hashes of training images.

    Parameters
    ----------
    text : str or None
        From `encode_sources`; None for a model without hashes.

    Returns
    -------
    hashes : `~numpy.ndarray` of uint64
        The hashes, in ascending order; empty for None.

    Raises
    ------
    ValueError
        If the text is no base 64 of whole hashes.
    """
    try:
        data = base64.b64decode(text or "", validate=True)
    except binascii.Error as error:
        raise ValueError(f"the hashes of training images are not in base 64: {error}") from error
    if len(data) % _N_BYTES or len(data) > _N_BYTES * _MAX_SOURCES:
        raise ValueError(
            f"the hashes of training images have {len(data)} bytes: expected a multiple of "
            f"{_N_BYTES}, up to {_MAX_SOURCES:,} hashes"
        )
    return np.unique(np.frombuffer(data, dtype="<u8").astype(np.uint64))
