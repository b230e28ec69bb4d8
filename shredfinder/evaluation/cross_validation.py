"""Cross-validation that keeps neighbours in one fold."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shredfinder._utils.runtime import import_optional
from shredfinder.models.holder import ModelHolder
from shredfinder.training import encode_labels

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from shredfinder._utils.types import PathLike
    from shredfinder.classifier import ShredClassifier
    from shredfinder.imaging.cutouts import Cutouts

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
    return_models: bool = False,
    **fit_options: Any,
) -> tuple[Any, ...]:
    """Score each source by a model that has not seen it or its neighbours.

    Parameters
    ----------
    classifier : ShredClassifier or estimator
        Its parameters are used; it is not changed. Any estimator in scikit-learn's manner will
        do that gives probabilities: one with ``get_params``, ``fit`` and ``predict_proba``.
    cutouts : Cutouts or array_like
        The images; for another estimator whatever it takes, as an array with a row for each
        source.
    y : array_like
        Labels, as for `~shredfinder.ShredClassifier.fit`; ``"other"`` is neither trained on nor
        scored. Other estimators are given 0 and 1.
    groups : array_like, optional
        Group of each source; a group goes to one fold.
    sample_weight : array_like, optional
        Weights in the loss.
    n_splits : int, optional
        Number of folds.
    random_state : int, optional
        Seed of the folds.
    checkpoint : path-like, optional
        Folder of the trainings' states and finished folds; an interrupted run goes on there. For
        a `~shredfinder.ShredClassifier` only.
    return_models : bool, optional
        Give the fitted models too.
    **fit_options
        Further arguments of the estimator's ``fit``. Early stopping, where it is used, looks at
        a part of the training folds, never at the scored one.

    Returns
    -------
    p_cnn : `~numpy.ndarray`
        Float32, of shape ``(n,)``; NaN for sources without an answer.
    folds : `~numpy.ndarray` of int
        Fold of each source, −1 for those in none.
    models : list
        Only with ``return_models``: the model of each fold; ``model.history_`` of a
        `~shredfinder.ShredClassifier` holds its losses by epoch.

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
    p_shred = encode_labels(y)
    if len(cutouts) != len(p_shred):
        raise ValueError(f"there are {len(cutouts)} images but {len(p_shred)} labels")
    folds = make_folds(p_shred, groups, n_splits=n_splits, random_state=random_state)
    own = isinstance(classifier, ModelHolder)
    if checkpoint is not None and not own:
        raise ValueError(
            f"only a ShredClassifier's folds can be kept, not a {type(classifier).__name__}'s: "
            "leave out checkpoint"
        )
    targets = p_shred if own else np.nan_to_num(p_shred).round().astype(int)
    data = {"sample_weight": sample_weight}
    if own or "groups" in inspect.signature(classifier.fit).parameters:
        data["groups"] = groups
    data = {name: np.asarray(values) for name, values in data.items() if values is not None}
    p_cnn = np.full(len(p_shred), np.nan, dtype=np.float32)
    models = []
    for k in range(n_splits):
        held, kept = np.flatnonzero(folds == k), np.flatnonzero((folds >= 0) & (folds != k))
        folder = None if checkpoint is None else Path(checkpoint) / f"fold-{k}"
        saved = None if folder is None else folder / "model.shredmodel"
        if saved is not None and saved.exists():
            model = type(classifier).load(saved)
        else:
            model = _clone(classifier)
            options = {"checkpoint": folder, "name": f"fold {k}"} if own else {}
            parts = {name: values[kept] for name, values in data.items()}
            model.fit(cutouts[kept], targets[kept], **parts, **options, **fit_options)
            if saved is not None:
                model.save(saved)
        models.append(model)
        p_cnn[held] = _predict(model, cutouts[held])
    return (p_cnn, folds, models) if return_models else (p_cnn, folds)


def _clone(estimator):
    """Make an unfitted estimator of the same parameters."""
    if isinstance(estimator, ModelHolder):
        return type(estimator)(**estimator.get_params())
    return import_optional("sklearn.base", "cross-validation").clone(estimator)


def _predict(model, cutouts):
    if not len(cutouts):
        return np.empty(0)
    if hasattr(model, "predict_p_cnn"):
        return model.predict_p_cnn(cutouts)[0]
    return model.predict_proba(cutouts)[:, 1]
