"""Occlusion maps: the change of the score when a part of the image is covered."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from numbers import Real
from typing import TYPE_CHECKING, Literal

import numpy as np

from shredfinder._utils.runtime import progress_bar
from shredfinder._utils.validation import check_count

if TYPE_CHECKING:
    from shredfinder.classifier import ShredClassifier
    from shredfinder.imaging.cutouts import Images

__all__ = ["occlusion_maps"]

# Batch size of covered images: memory does not grow with the number of positions.
_BATCH = 64


def occlusion_maps(
    classifier: ShredClassifier,
    X: Images,
    *,
    patch: int = 16,
    stride: int = 8,
    fill: float | str = "median",
    progress: bool | Literal["auto"] = "auto",
) -> np.ndarray:
    """Map the evidence for a shred, and for a galaxy, in each image.

    A square covers one part of the image after another. Where the score falls, the covered part
    was evidence for a shred. This works with every saved model and needs no Keras backend.

    Parameters
    ----------
    classifier : ShredClassifier
        Fitted or loaded.
    X : Cutouts, array_like or sequence of path-like
        Images of ``n`` sources, as for `~shredfinder.ShredClassifier.predict_p_cnn`.
    patch : int, optional
        Side of the square in pixels. Much larger structures are never covered completely.
    stride : int, optional
        Step of the square in pixels, in each direction. Each image takes one forward pass per
        position of the square, 225 for 128 px and the defaults.
    fill : "median" or float, optional
        Value of the covered pixels: the median of each channel of the image, or a value in 0–1.
    progress : bool or "auto", optional
        Whether to show a progress bar; ``"auto"`` shows it on a terminal or in a notebook.

    Returns
    -------
    maps : `~numpy.ndarray`
        Float32, of shape ``(n, height, width)``: the decrease of the calibrated logit (log odds
        of being a shred, without the average over the 8 rotations/reflections), averaged over
        all squares that cover the pixel. Positive values are evidence for a shred. NaN for
        unusable images.

    Raises
    ------
    shredfinder.exceptions.NotFittedError
        If the classifier is neither fitted nor loaded.
    shredfinder.exceptions.CutoutMismatchError
        If the images do not match the model.
    ValueError
        If ``patch``, ``stride`` or ``fill`` is invalid.

    Notes
    -----
    After Zeiler & Fergus (2014, arXiv 1311.2901). The model was not trained on covered images:
    the edges of the square may themselves change the score, and the map does not show evidence
    from two positions combined. Compare maps for several sizes of the square.

    Examples
    --------
    >>> from shredfinder import ShredClassifier
    >>> from shredfinder.datasets import make_field
    >>> from shredfinder.explanation import occlusion_maps
    >>> cutouts = make_field(size=320, n_hosts=1, random_state=1).cutouts()[:2]
    >>> maps = occlusion_maps(ShredClassifier.load(), cutouts, patch=32, stride=32)
    >>> maps.shape
    (2, 128, 128)
    """
    check_count(patch, "patch")
    check_count(stride, "stride")
    if fill != "median" and not (isinstance(fill, Real) and 0 <= fill <= 1):
        raise ValueError(f"fill must be 'median' or a value in 0–1, not {fill!r}")
    source = classifier.open_images(X)
    model = classifier.model_
    height, width, _ = model.description.input_shape
    if patch > min(height, width):
        raise ValueError(f"patch must fit into the images of {width}×{height} px, not {patch} px")
    places = [(y, x) for y in _starts(height, patch, stride) for x in _starts(width, patch, stride)]
    maps = np.full((len(source), height, width), np.nan, dtype=np.float32)

    # Each thread writes to rows of its own, so that no lock is needed.
    def explain(row):
        cutouts = source[row : row + 1]
        model.description.check_cutouts(cutouts)
        if cutouts.good[0]:
            maps[row] = _occlude(model, cutouts.images[0], places, patch, fill)

    with (
        progress_bar(total=len(source), progress=progress, desc="explaining", unit="source") as bar,
        ThreadPoolExecutor(model.network.threads) as executor,
    ):
        for _ in executor.map(explain, range(len(source))):
            bar.update()
    return maps


def _starts(side, patch, stride):
    """Return the positions of the square along one axis, the last at the edge."""
    # A set, since the last regular position may already be at the edge.
    return sorted({*range(0, side - patch + 1, stride), side - patch})


def _occlude(model, image, places, patch, fill):
    image = model.to_input(image)
    cover = np.median(image, axis=(0, 1)) if fill == "median" else np.float32(fill)
    whole = model.network.logits(image[np.newaxis])[0]
    total, count = np.zeros((2, *image.shape[:2]))
    for start in range(0, len(places), _BATCH):
        part = places[start : start + _BATCH]
        covered = np.repeat(image[np.newaxis], len(part), axis=0)
        for view, (y, x) in zip(covered, part, strict=True):
            view[y : y + patch, x : x + patch] = cover
        for fall, (y, x) in zip(whole - model.network.logits(covered), part, strict=True):
            # A pixel's value is the mean fall of the logit over all squares that cover it.
            total[y : y + patch, x : x + patch] += fall
            count[y : y + patch, x : x + patch] += 1
    # If the stride exceeds the side of the square, some pixels are never covered: NaN.
    with np.errstate(invalid="ignore"):
        return total / count / model.description.temperature
