"""Cross-validation that keeps neighbours in one fold."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shredfinder.optional import import_optional
from shredfinder.training import encode_labels

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from shredfinder.classifier import ShredClassifier
    from shredfinder.imaging.cutouts import Cutouts
    from shredfinder.typing import PathLike

__all__ = ["cross_validate", "make_folds"]


def make_folds(
    p_shred: ArrayLike, groups: ArrayLike | None = None, *, n_splits: int = 5, random_state: int = 0
) -> np.ndarray:
    """Split sources into folds of about equal shares of shreds, whole groups at a time.

    Parameters
    ----------
    p_shred : array_like
        Labels from `~shredfinder.training.encode_labels`, of shape ``(n,)``; sources with NaN
        belong to no fold.
    groups : array_like, optional
        Group of each source, of shape ``(n,)``; by default each is its own.
    n_splits : int, optional
        Number of folds.
    random_state : int, optional
        Makes the folds repeatable.

    Returns
    -------
    folds : `~numpy.ndarray` of int
        Number of each source's fold, of shape ``(n,)``; −1 for those in none.

    Examples
    --------
    >>> from shredfinder.evaluation import make_folds
    >>> folds = make_folds([0, 0, 0, 1, 1, 1], groups=[1, 1, 2, 2, 3, 4], n_splits=2)
    >>> bool(folds[0] == folds[1]), bool(folds[2] == folds[3])
    (True, True)
    """
    model_selection = import_optional("sklearn.model_selection", "cross-validation")
    p_shred = np.asarray(p_shred, dtype=float)
    rows = np.flatnonzero(np.isfinite(p_shred))
    groups = np.arange(len(p_shred)) if groups is None else np.asarray(groups)
    splitter = model_selection.StratifiedGroupKFold(
        n_splits, shuffle=True, random_state=random_state
    )
    folds = np.full(len(p_shred), -1)
    classes = (p_shred[rows] >= 0.5).astype(int)
    for k, (_, held) in enumerate(splitter.split(rows, classes, groups[rows])):
        folds[rows[held]] = k
    return folds


def cross_validate(
    classifier: ShredClassifier,
    cutouts: Cutouts,
    y: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    n_splits: int = 5,
    random_state: int = 0,
    checkpoint: PathLike | None = None,
    **fit_options: Any,
) -> tuple[np.ndarray, np.ndarray]:
    """Score each source by a model that has not seen it or its neighbours.

    Parameters
    ----------
    classifier : ShredClassifier
        Its parameters are used; it is not changed.
    cutouts : Cutouts
        The images.
    y : array_like
        Labels, as for `ShredClassifier.fit`; ``"other"`` is neither trained on nor scored.
    groups : array_like, optional
        Group of each source; a group goes to one fold.
    sample_weight : array_like, optional
        Weights in the loss.
    n_splits : int, optional
        Number of folds.
    random_state : int, optional
        Seed of the folds.
    checkpoint : path-like, optional
        Folder of the trainings' states and finished folds; an interrupted run goes on there.
    **fit_options
        Further arguments of `ShredClassifier.fit`. Early stopping, where it is used, looks at
        a part of the training folds, never at the scored one.

    Returns
    -------
    p_cnn : `~numpy.ndarray`
        Float32, of shape ``(n,)``; NaN for sources without an answer.
    folds : `~numpy.ndarray` of int
        Fold of each source, −1 for those in none.
    """
    p_shred = encode_labels(y)
    folds = make_folds(p_shred, groups, n_splits=n_splits, random_state=random_state)
    p_cnn = np.full(len(p_shred), np.nan, dtype=np.float32)
    take = lambda values, rows: None if values is None else np.asarray(values)[rows]  # noqa: E731
    for k in range(n_splits):
        held, kept = np.flatnonzero(folds == k), np.flatnonzero((folds >= 0) & (folds != k))
        folder = None if checkpoint is None else Path(checkpoint) / f"fold-{k}"
        saved = None if folder is None else folder / "model.shredmodel"
        if saved is not None and saved.exists():
            model = type(classifier).load(saved)
        else:
            model = type(classifier)(**classifier.get_params())
            model.fit(
                cutouts[kept],
                p_shred[kept],
                sample_weight=take(sample_weight, kept),
                groups=take(groups, kept),
                checkpoint=folder,
                name=f"fold {k}",
                **fit_options,
            )
            if saved is not None:
                model.save(saved)
        p_cnn[held], _ = model.predict_p_cnn(cutouts[held])
    return p_cnn, folds
