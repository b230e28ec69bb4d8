"""Extinction by dust in the Milky Way, for which images are corrected before they are scored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shredfinder.imaging import deredden_images
from shredfinder.surveys import COLOR_MAPPINGS

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from shredfinder.imaging import Cutouts
    from shredfinder.models.description import ModelDescription

__all__ = ["can_correct", "check_ebv", "correct_batch"]


def check_ebv(ebv: ArrayLike | None, n: int, description: ModelDescription) -> np.ndarray | None:
    """Validate the E(B−V) of images.

    Parameters
    ----------
    ebv : float, array_like or None
        E(B−V) in mag, one value or of shape ``(n,)``.
    n : int
        Number of images.
    description : ModelDescription
        The model, whose images must have the colours of a survey.

    Returns
    -------
    ebv : `~numpy.ndarray` or None
        Values of shape ``(n,)``; None if no image is to be corrected.

    Raises
    ------
    ValueError
        If a value is negative or not finite, or the images cannot be corrected.
    """
    if ebv is None:
        return None
    values: np.ndarray = np.ma.filled(np.ma.asarray(ebv, dtype=float), np.nan)
    if values.ndim and values.shape != (n,):
        raise ValueError(
            f"ebv has the shape {values.shape}, but there are {n} images: give one value, or one "
            "per image"
        )
    wrong = ~(np.isfinite(values) & (values >= 0))
    if wrong.any():
        raise ValueError(
            f"ebv must be finite and not negative, got {values[wrong][0]}: replace unknown values "
            "by 0, for which an image is not corrected"
        )
    if not values.any():
        return None
    if not can_correct(description):
        raise ValueError(
            f"the images of the model {description.name!r} are not in the colours of a survey, so "
            "they cannot be corrected for extinction: leave out ebv, or use ebv=0"
        )
    return np.broadcast_to(values, n)


def can_correct(description: ModelDescription) -> bool:
    """Return whether a model's images have colours behind which the fluxes are known."""
    return description.color_mapping in COLOR_MAPPINGS


def correct_batch(
    images: np.ndarray, ebv: np.ndarray, batch: Cutouts, description: ModelDescription
) -> np.ndarray:
    """Correct the usable images of a batch.

    Parameters
    ----------
    images : `~numpy.ndarray`
        Images of shape ``(n, height, width, 3)``, uint8 or float in 0–1.
    ebv : `~numpy.ndarray`
        E(B−V) in mag, of shape ``(n,)``.
    batch : Cutouts
        The batch, which knows the mapping of its colours.
    description : ModelDescription
        The model.

    Returns
    -------
    corrected : `~numpy.ndarray` of uint8
        Images of the same shape.
    """
    if images.dtype != np.uint8:
        images = np.rint(images * 255).astype(np.uint8)
    # Colours of unknown mappings are scored only on request, and then treated like the model's.
    known = batch.color_mapping in COLOR_MAPPINGS
    mapping = batch.color_mapping if known else description.color_mapping
    return deredden_images(images, ebv, color_mapping=str(mapping))
