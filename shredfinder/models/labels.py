"""Labels: encoding, raters' confidence and splits that keep groups together."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from shredfinder._utils.validation import check_weights
from shredfinder.exceptions import ShredfinderWarning

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from numpy.typing import ArrayLike

__all__ = [
    "CLASSES",
    "combine_raters",
    "encode_labels",
    "find_others",
    "list_classes",
    "split_groups",
    "warn_of_others",
]

CLASSES = ("galaxy", "shred")

# Assumed error rates of raters who guess (1), find a class likely (2) or are certain (3).
_ERROR_RATES = {1: 0.25, 2: 0.07, 3: 0.02}


def encode_labels(y: ArrayLike) -> np.ndarray:
    """Convert labels to probabilities of being a shred.

    Parameters
    ----------
    y : array_like
        Labels of shape ``(n,)``: ``"galaxy"``, ``"shred"``, ``"other"`` (neither) or
        ``"disputed"``; or 0 (galaxy) and 1 (shred), booleans, or soft labels between 0 and 1. Soft
        labels of shape ``(n, 3)`` are the probabilities of galaxy, shred and other.

    Returns
    -------
    p_shred : `~numpy.ndarray`
        Probability of shred among galaxy and shred, float of shape ``(n,)``; NaN for
        ``"other"``, ``"disputed"``, NaN, masked and empty entries.

    Raises
    ------
    ValueError
        If there is any other label.

    Examples
    --------
    >>> from shredfinder.training import encode_labels
    >>> encode_labels(["galaxy", "shred", "other"])
    array([ 0.,  1., nan])
    """
    mask = np.ma.getmaskarray(np.ma.asarray(y))
    y = np.ma.getdata(np.ma.asarray(y))
    if y.ndim == 2 and y.shape[1] == 3 and y.dtype.kind in "biuf":
        return _encode_three(y)
    if y.ndim != 1:
        raise ValueError(f"labels must have the shape (n,), got {y.shape}")
    # Numbers and booleans are probabilities; everything else is compared as text.
    if y.dtype.kind in "biuf":
        p_shred = y.astype(float)
        valid = (p_shred >= 0) & (p_shred <= 1) | np.isnan(p_shred)
    else:
        names = np.array([_to_text(label) for label in y])
        p_shred = np.full(len(names), np.nan)
        for value, name in enumerate(CLASSES):
            p_shred[names == name] = value
        # Without a label: text columns of some formats are masked there, those of others empty.
        mask = mask | np.isin(names, ("", "None"))
        valid = np.isfinite(p_shred) | np.isin(names, ("other", "disputed"))
    p_shred[mask] = np.nan
    if not (valid | mask).all():
        unknown = sorted({str(label) for label in y[~(valid | mask)]})[:5]
        raise ValueError(
            f"unknown labels {', '.join(map(repr, unknown))}: use 'galaxy', 'shred', 'other' "
            "and 'disputed', or numbers from 0 (galaxy) to 1 (shred)"
        )
    return p_shred


def _encode_three(y: np.ndarray) -> np.ndarray:
    """Convert probabilities of galaxy, shred and other; NaN where other is the most probable."""
    y = y.astype(float)
    known = np.isfinite(y).all(axis=1)
    wrong = known & ((y < 0).any(axis=1) | (np.abs(y.sum(axis=1) - 1) > 1e-3))
    if wrong.any():
        raise ValueError(
            "labels of three columns must be probabilities of galaxy, shred and other that add up "
            f"to 1, got {y[wrong][0].tolist()}"
        )
    among = y[:, 0] + y[:, 1]
    p_shred = np.divide(y[:, 1], among, out=np.full(len(y), np.nan), where=among > 0)
    p_shred[~known | (y[:, 2] >= 0.5)] = np.nan
    return p_shred


def find_others(y: ArrayLike) -> np.ndarray:
    """Find the sources that are labelled neither galaxy nor shred, but ``"other"``.

    Parameters
    ----------
    y : array_like
        Labels that `encode_labels` accepts.

    Returns
    -------
    is_other : `~numpy.ndarray` of bool
        Whether each label is ``"other"``, of shape ``(n,)``; False for numbers of one dimension.
    """
    labels: np.ma.MaskedArray = np.ma.asarray(y)
    values: np.ndarray = np.ma.getdata(labels)
    if values.ndim == 2:
        return values[:, 2] >= 0.5
    if values.dtype.kind in "biuf":
        return np.zeros(len(values), bool)
    names = np.array([_to_text(label) for label in values])
    return (names == "other") & ~np.ma.getmaskarray(labels)


def list_classes(y: ArrayLike) -> np.ndarray:
    """Return the labels of galaxy and shred in the form that ``y`` uses.

    Parameters
    ----------
    y : array_like
        Labels that `encode_labels` accepts.

    Returns
    -------
    classes : `~numpy.ndarray`
        ``["galaxy", "shred"]`` for names and soft labels, ``[0, 1]`` in the type of ``y`` for
        hard numbers, ``[False, True]`` for booleans.
    """
    values: np.ndarray = np.ma.getdata(np.ma.asarray(y))
    if values.dtype.kind not in "biuf":
        return np.array(CLASSES)
    # 0/1 stay numbers; values between them are soft labels, for which only names make sense.
    known = encode_labels(y)
    known = known[np.isfinite(known)]
    is_hard = np.isin(known, (0, 1)).all()
    return np.array([0, 1], dtype=values.dtype) if is_hard else np.array(CLASSES)


def combine_raters(
    labels: Sequence[ArrayLike],
    confidences: Sequence[ArrayLike],
    *,
    error_rates: Mapping[Any, float] | None = None,
    weights: Sequence[float] | None = None,
) -> np.ndarray:
    """Combine labels of several raters, each with a confidence, into soft labels.

    Each label is replaced by its probability of being right, which follows from its confidence,
    and the probabilities are averaged over the raters. Raters who agree and are certain yield
    values near 0 or 1; doubt and disagreement yield values in between. A network trained on them
    learns least from the most uncertain labels.

    Parameters
    ----------
    labels : sequence of array_like
        Labels of each rater, of shape ``(n,)``, as `encode_labels` accepts them. ``"other"``,
        ``"disputed"``, masked and empty entries do not count.
    confidences : sequence of array_like
        Confidences of each rater, of shape ``(n,)``: keys of ``error_rates``.
    error_rates : dict, optional
        Probability that a label of each confidence is wrong. By default 0.25 for 1 (a guess),
        0.07 for 2 (likely) and 0.02 for 3 (certain). These are more cautious than the rates at
        which the second rater of the package's training data contradicts the first: 0.16, 0.03
        and 0.004.
    weights : sequence of float, optional
        Weight of each rater, for example of one who saw larger images; by default all count
        alike.

    Returns
    -------
    p_shred : `~numpy.ndarray`
        Float, of shape ``(n,)``; NaN for sources without a label.

    Raises
    ------
    ValueError
        If labels and confidences do not match, or a confidence has no error rate.

    Examples
    --------
    >>> from shredfinder.training import combine_raters
    >>> combine_raters(
    ...     [["shred", "galaxy", "shred"], ["shred", "galaxy", "galaxy"]],
    ...     [[3, 1, 2], [3, 2, 2]],
    ... ).round(2)
    array([0.98, 0.16, 0.5 ])
    """
    rates = _ERROR_RATES if error_rates is None else error_rates
    if len(labels) == 0 or len(labels) != len(confidences):
        raise ValueError(
            f"labels and confidences must come from the same raters, got {len(labels)} sets of "
            f"labels and {len(confidences)} of confidences"
        )
    opinions = []
    for rater, (label, confidence) in enumerate(zip(labels, confidences, strict=True), start=1):
        p_shred, confidence = encode_labels(label), np.asarray(confidence)
        if confidence.shape != p_shred.shape:
            raise ValueError(
                f"rater {rater} has labels of shape {p_shred.shape} but confidences of shape "
                f"{confidence.shape}: give one confidence per label"
            )
        # Confidences of sources without a label are not validated: they are often empty.
        given = np.isfinite(p_shred)
        unknown = sorted(set(confidence[given].tolist()) - set(rates))
        if unknown:
            raise ValueError(
                f"rater {rater} uses the confidences {', '.join(map(repr, unknown[:5]))}, which "
                f"have no error rate; known are {', '.join(map(repr, rates))}"
            )
        error = np.array([rates.get(value, np.nan) for value in confidence.tolist()])
        # A shred if the label says so and is right, or says galaxy and is wrong.
        opinions.append(p_shred * (1 - error) + (1 - p_shred) * error)
    if len({len(opinion) for opinion in opinions}) > 1:
        raise ValueError(
            f"the raters labelled {', '.join(str(len(opinion)) for opinion in opinions)} sources: "
            "give each the same sources, masked where a rater has no label"
        )
    known = np.isfinite(opinions)
    share = np.ones(len(opinions)) if weights is None else check_weights(weights, len(opinions))
    total = share @ known
    weighted = share @ np.where(known, opinions, 0.0)
    # Sources without a label are NaN.
    return np.divide(weighted, total, out=np.full(len(total), np.nan), where=total > 0)


def split_groups(
    p_shred: np.ndarray, groups: ArrayLike | None, fraction: float, random_state: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Set a fraction of the sources aside, in whole groups.

    Parameters
    ----------
    p_shred : `~numpy.ndarray`
        Labels, of shape ``(n,)``; both parts get about the same fraction of shreds.
    groups : array_like or None
        Group of each source, of shape ``(n,)``; no group is divided. None treats sources as
        independent.
    fraction : float
        Fraction to set aside, in 0–1 exclusive.
    random_state : int, optional
        Seed of the split.

    Returns
    -------
    kept, aside : `~numpy.ndarray` of int
        Row numbers of the two parts.

    Raises
    ------
    ValueError
        If the fraction is invalid or there are too few groups.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder.training import split_groups
    >>> p_shred = np.array([0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0])
    >>> groups = np.array([1, 1, 2, 2, 3, 3, 4, 4])
    >>> kept, aside = split_groups(p_shred, groups, 0.25, random_state=1)
    >>> len(aside), set(groups[kept]) & set(groups[aside])
    (2, set())
    """
    # Imported here because scoring a table needs this module but not scikit-learn.
    from sklearn.model_selection import StratifiedGroupKFold

    if not 0 < fraction < 1:
        raise ValueError(f"validation must be a fraction between 0 and 1, got {fraction!r}")
    group_of = np.arange(len(p_shred)) if groups is None else np.asarray(groups)
    # The first of n folds holds a fraction of 1/n.
    n_folds = max(round(1 / fraction), 2)
    n_groups = len(np.unique(group_of))
    if n_groups < n_folds:
        raise ValueError(
            f"cannot set {fraction:g} of {n_groups} groups aside: give more groups, or pass "
            "validation images and labels"
        )
    folds = StratifiedGroupKFold(n_folds, shuffle=True, random_state=random_state)
    with warnings.catch_warnings():
        # scikit-learn warns if a class has fewer members than folds; one fold is enough here.
        warnings.simplefilter("ignore", UserWarning)
        kept, aside = next(folds.split(p_shred, p_shred >= 0.5, group_of))
    return kept, aside


def warn_of_others(n_other: int, n: int) -> None:
    """Warn that sources of neither class are ignored."""
    if n_other:
        warnings.warn(
            f"{n_other} of {n} sources are labelled neither galaxy nor shred and are ignored",
            ShredfinderWarning,
            stacklevel=3,
        )


def _to_text(label: Any) -> str:
    return (label.decode() if isinstance(label, bytes) else str(label)).strip()
