"""Occlusion: cover a part of the image and see what becomes of the answer."""

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

# Covered images scored at a time, so that memory does not grow with the number of places.
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
    """Map what in each image speaks for a shred, and what for a galaxy.

    A square is moved over the image and covers what is below it; where the answer falls, what
    was covered had spoken for a shred. It works with every saved model and needs no backend.

    Parameters
    ----------
    classifier : ShredClassifier
        Fitted or loaded.
    X : Cutouts, array_like or sequence of path-like
        Images of ``n`` sources, as for `~shredfinder.ShredClassifier.predict_p_cnn`.
    patch : int, optional
        Side of the square in pixels. What is much larger than it is never covered as a whole.
    stride : int, optional
        Pixels from one place of the square to the next, in each direction. An image is scored as
        often as there are places: 272 times with 128 px and the defaults.
    fill : "median" or float, optional
        What covers: the median of each channel of the image, or a value in 0–1.
    progress : bool or "auto", optional
        Show a progress bar.

    Returns
    -------
    maps : `~numpy.ndarray`
        Float32, of shape ``(n, height, width)``: by how much the answer, as a logit (ln of the
        odds of being a shred, calibrated, seen from one side), falls when a square that covers
        the pixel is covered, the mean over all such squares. Positive speaks for a shred. NaN
        where there is no usable image.

    Raises
    ------
    shredfinder.exceptions.NotFittedError
        If the classifier is neither fitted nor loaded.
    shredfinder.exceptions.CutoutMismatchError
        If the images are not of the model's kind.
    ValueError
        If patch, stride or fill can't be.

    Notes
    -----
    After Zeiler & Fergus (2014, arXiv 1311.2901). A covered image is none that the model was
    trained on: its edges may say something of their own, and what two places tell together
    neither map shows. Look at several sizes of the square before believing one.

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
    """Give the places of the square along one side, the last at the edge."""
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
            total[y : y + patch, x : x + patch] += fall
            count[y : y + patch, x : x + patch] += 1
    # With strides beyond the square's side some pixels are never covered.
    with np.errstate(invalid="ignore"):
        return total / count / model.description.temperature
