"""Cross-validation that keeps groups of sources in one fold."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from shredfinder._utils.units import to_floats
from shredfinder.models.labels import encode_labels

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from sklearn.base import BaseEstimator

    from shredfinder._utils.validation import PathLike
    from shredfinder.imaging.cutouts import Cutouts

__all__ = ["cross_validate", "make_folds"]


def make_folds(
    p_shred: ArrayLike, groups: ArrayLike | None = None, *, n_splits: int = 5, random_state: int = 0
) -> np.ndarray:
    """Assign sources to folds with about equal fractions of shreds, in whole groups.

    Parameters
    ----------
    p_shred : array_like
        Labels from `~shredfinder.training.encode_labels`, of shape ``(n,)``. Sources with NaN
        are in no fold.
    groups : array_like, optional
        Group of each source, of shape ``(n,)``. By default sources are independent.
    n_splits : int, optional
        Number of folds.
    random_state : int, optional
        Seed of the folds.

    Returns
    -------
    folds : `~numpy.ndarray` of int
        Fold number of each source, of shape ``(n,)``; −1 for sources in no fold.

    Examples
    --------
    >>> from shredfinder.evaluation import make_folds
    >>> folds = make_folds([0, 0, 0, 1, 1, 1], groups=[1, 1, 2, 2, 3, 4], n_splits=2)
    >>> bool(folds[0] == folds[1]), bool(folds[2] == folds[3])
    (True, True)
    """
    from sklearn.model_selection import StratifiedGroupKFold

    p_shred = to_floats(p_shred, "p_shred")
    rows = np.flatnonzero(np.isfinite(p_shred))
    group_of = np.arange(len(p_shred)) if groups is None else np.asarray(groups)
    splitter = StratifiedGroupKFold(n_splits, shuffle=True, random_state=random_state)
    folds = np.full(len(p_shred), -1)
    # Stratification needs classes, so soft labels are rounded for the folds only.
    classes = (p_shred[rows] >= 0.5).astype(int)
    for k, (_, held) in enumerate(splitter.split(rows, classes, group_of[rows])):
        folds[rows[held]] = k
    return folds


@overload
def cross_validate(
    classifier: BaseEstimator,
    cutouts: Cutouts | ArrayLike,
    y: ArrayLike,
    *,
    groups: ArrayLike | None = ...,
    sample_weight: ArrayLike | None = ...,
    n_splits: int = ...,
    random_state: int = ...,
    checkpoint: PathLike | None = ...,
    return_models: Literal[False] = ...,
    **fit_options: Any,
) -> tuple[np.ndarray, np.ndarray]: ...
@overload
def cross_validate(
    classifier: BaseEstimator,
    cutouts: Cutouts | ArrayLike,
    y: ArrayLike,
    *,
    groups: ArrayLike | None = ...,
    sample_weight: ArrayLike | None = ...,
    n_splits: int = ...,
    random_state: int = ...,
    checkpoint: PathLike | None = ...,
    return_models: Literal[True],
    **fit_options: Any,
) -> tuple[np.ndarray, np.ndarray, list[Any]]: ...


def cross_validate(
    classifier: BaseEstimator,
    cutouts: Cutouts | ArrayLike,
    y: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    n_splits: int = 5,
    random_state: int = 0,
    checkpoint: PathLike | None = None,
    return_models: bool = False,
    **fit_options: Any,
) -> tuple[np.ndarray, np.ndarray] | tuple[np.ndarray, np.ndarray, list[Any]]:
    """Score each source with a model trained on neither it nor its group.

    Unlike `sklearn.model_selection.cross_val_predict` this resumes an interrupted run, ignores
    sources of neither class, returns the folds and accepts soft labels.

    Parameters
    ----------
    classifier : ShredClassifier or scikit-learn classifier
        Unchanged; clones of it are fitted. It must have ``fit`` and ``predict_proba``.
    cutouts : Cutouts or array_like
        Images; for another classifier, an array of its input with one row per source.
    y : array_like
        Labels of shape ``(n,)``, as for `~shredfinder.ShredClassifier.fit`. ``"other"`` is
        neither trained on nor scored. Other classifiers are given 0 and 1.
    groups : array_like, optional
        Group of each source, of shape ``(n,)``. A group is never divided between folds.
    sample_weight : array_like, optional
        Weights in the loss, of shape ``(n,)``.
    n_splits : int, optional
        Number of folds.
    random_state : int, optional
        Seed of the folds.
    checkpoint : path-like, optional
        Folder for training states and finished folds; an interrupted run resumes from it. Only
        for a `~shredfinder.ShredClassifier`.
    return_models : bool, optional
        Return the fitted models as well.
    **fit_options
        Further arguments of the classifier's ``fit``. Early stopping, if used, validates on part
        of the training folds, never on the scored fold.

    Returns
    -------
    p_cnn : `~numpy.ndarray`
        Float32, of shape ``(n,)``; NaN for unscored sources.
    folds : `~numpy.ndarray` of int
        Fold of each source, −1 for sources in no fold.
    models : list
        Only with ``return_models``: the fitted model of each fold. A
        `~shredfinder.ShredClassifier` has losses by epoch in ``history_``.

    Raises
    ------
    ValueError
        If images and labels differ in length, or the classifier cannot use a checkpoint.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from shredfinder.evaluation import compute_metrics, cross_validate
    >>> rng = np.random.default_rng(0)
    >>> y = np.arange(200) % 2
    >>> features = y[:, np.newaxis] + rng.normal(0, 0.7, (200, 3))
    >>> p_cnn, folds = cross_validate(LogisticRegression(), features, y, groups=np.arange(200) // 4)
    >>> compute_metrics(y, p_cnn)["auc"] > 0.9
    True
    """
    # Imported here because tables and plots import this package, but not scikit-learn.
    from sklearn.base import clone

    from shredfinder.classifier import ShredClassifier

    p_shred = encode_labels(y)
    rows: Any = cutouts if hasattr(cutouts, "__getitem__") else np.asarray(cutouts)
    if len(rows) != len(p_shred):
        raise ValueError(f"there are {len(rows)} images but {len(p_shred)} labels")
    folds = make_folds(p_shred, groups, n_splits=n_splits, random_state=random_state)
    is_own = isinstance(classifier, ShredClassifier)
    if checkpoint is not None and not is_own:
        raise ValueError(
            f"checkpoint needs a ShredClassifier, got a {type(classifier).__name__}: leave out "
            "checkpoint"
        )
    # Soft labels become classes for other classifiers; rows with NaN are in no fold.
    targets = p_shred if is_own else np.nan_to_num(p_shred).round().astype(int)
    data: dict[str, Any] = {"sample_weight": sample_weight}
    # Most scikit-learn classifiers have no argument `groups`.
    if is_own or "groups" in inspect.signature(classifier.fit).parameters:
        data["groups"] = groups
    # Arrays, so that they can be indexed by the rows of a fold.
    data = {name: np.asarray(values) for name, values in data.items() if values is not None}
    p_cnn = np.full(len(p_shred), np.nan, dtype=np.float32)
    models = []
    for k in range(n_splits):
        held, kept = np.flatnonzero(folds == k), np.flatnonzero((folds >= 0) & (folds != k))
        folder = None if checkpoint is None else Path(checkpoint) / f"fold-{k}"
        saved = None if folder is None else folder / "model.shredmodel"
        model: Any
        # A finished fold of an interrupted run.
        if saved is not None and saved.exists():
            model = ShredClassifier.load(saved)
        else:
            # A clone has the parameters but not the fitted weights.
            model = clone(classifier)
            options = {"checkpoint": folder, "name": f"fold {k}"} if is_own else {}
            parts = {name: values[kept] for name, values in data.items()}
            model.fit(rows[kept], targets[kept], **parts, **options, **fit_options)
            if saved is not None:
                model.save(saved)
        models.append(model)
        # Some classifiers refuse empty input, and a fold may be empty.
        if len(held):
            p_cnn[held] = model.predict_proba(rows[held])[:, 1]
    return (p_cnn, folds, models) if return_models else (p_cnn, folds)
