"""Labels as a network takes them, and splits that keep neighbours together."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from shredfinder._utils.runtime import import_optional
from shredfinder.exceptions import ShredfinderWarning

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

__all__ = ["CLASSES", "combine_raters", "encode_labels", "split_groups"]

CLASSES = ("galaxy", "shred")

# How often a rater is taken to err who guesses (1), finds likely (2) or is certain (3).
_ERROR_RATES = {1: 0.25, 2: 0.07, 3: 0.02}


def encode_labels(y: ArrayLike) -> np.ndarray:
    """Turn labels into the probability of being a shred.

    Parameters
    ----------
    y : array_like
        For each source ``"galaxy"`` or ``"shred"``, ``"other"`` for neither, or ``"disputed"``;
        or 0 for a galaxy and 1 for a shred; or, where raters differ, a fraction in between.

    Returns
    -------
    p_shred : `~numpy.ndarray`
        Float, of shape ``(n,)``; NaN for ``"other"``, ``"disputed"``, NaN and masked entries.

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
    if y.ndim != 1:
        raise ValueError(f"labels must be one a source, of shape (n,), not {y.shape}")
    if y.dtype.kind in "biuf":
        p_shred = y.astype(float)
        valid = (p_shred >= 0) & (p_shred <= 1) | np.isnan(p_shred)
    else:
        names = np.array([_as_text(label) for label in y])
        p_shred = np.full(len(names), np.nan)
        for value, name in enumerate(CLASSES):
            p_shred[names == name] = value
        valid = np.isfinite(p_shred) | np.isin(names, ("other", "disputed"))
    p_shred[mask] = np.nan
    if not (valid | mask).all():
        unknown = sorted({str(label) for label in y[~(valid | mask)]})[:5]
        raise ValueError(
            f"unknown labels {', '.join(map(repr, unknown))}: use 'galaxy', 'shred', 'other' "
            "and 'disputed', or numbers from 0 (galaxy) to 1 (shred)"
        )
    return p_shred


def combine_raters(
    labels: Sequence[ArrayLike],
    confidences: Sequence[ArrayLike],
    *,
    error_rates: dict[str, Any] | None = None,
) -> np.ndarray:
    """Combine the labels of several raters, each with a confidence, into soft labels.

    Each opinion counts as the probability of being right that its confidence stands for, and the
    opinions on a source are averaged: raters who agree and are certain give nearly 0 or 1, doubt
    and dissent something in between. A network that is trained on these learns least from what
    is least sure.

    Parameters
    ----------
    labels : sequence of array_like
        For each rater the labels of all sources, of shape ``(n,)``, as `encode_labels` takes
        them. A rater has no opinion on sources labelled ``"other"`` or ``"disputed"``, or masked.
    confidences : sequence of array_like
        For each rater the confidences, of shape ``(n,)``: keys of ``error_rates``.
    error_rates : dict, optional
        Probability that a label of that confidence is wrong; by default 0.25 for 1 (a guess),
        0.07 for 2 (likely) and 0.02 for 3 (certain): somewhat more cautious than how often the
        second rater of this project's training data contradicts the first, which is 0.16, 0.03
        and 0.004.

    Returns
    -------
    p_shred : `~numpy.ndarray`
        Float, of shape ``(n,)``; NaN where nobody has an opinion.

    Raises
    ------
    ValueError
        If raters and confidences do not go together, or a confidence has no error rate.

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
            f"give labels and confidences of the same raters, not of {len(labels)} and "
            f"{len(confidences)}"
        )
    opinions = []
    for rater, (label, confidence) in enumerate(zip(labels, confidences, strict=True), start=1):
        p_shred, confidence = encode_labels(label), np.asarray(confidence)
        if confidence.shape != p_shred.shape:
            raise ValueError(
                f"rater {rater} has labels of shape {p_shred.shape} but confidences of shape "
                f"{confidence.shape}: give one for each"
            )
        given = np.isfinite(p_shred)
        unknown = sorted(set(confidence[given].tolist()) - set(rates))
        if unknown:
            raise ValueError(
                f"rater {rater} has the confidences {', '.join(map(repr, unknown[:5]))}, which "
                f"have no error rate: those with one are {', '.join(map(repr, rates))}"
            )
        error = np.array([rates.get(value, np.nan) for value in confidence.tolist()])
        opinions.append(p_shred * (1 - error) + (1 - p_shred) * error)
    if len({len(opinion) for opinion in opinions}) > 1:
        raise ValueError(
            f"the raters labelled {', '.join(str(len(opinion)) for opinion in opinions)} sources: "
            "give the same ones for each, masked where a rater has no opinion"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # nobody has an opinion: NaN
        return np.nanmean(opinions, axis=0)


def split_groups(
    p_shred: np.ndarray, groups: ArrayLike | None, fraction: float, random_state: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Set a fraction of the sources aside, whole groups at a time.

    Parameters
    ----------
    p_shred : `~numpy.ndarray`
        Labels, of shape ``(n,)``; both parts get about the same share of shreds.
    groups : array_like or None
        Group of each source, of shape ``(n,)``; a group goes to one part. None splits singly.
    fraction : float
        Fraction to set aside, in 0–1 exclusive.
    random_state : int, optional
        Makes the split repeatable.

    Returns
    -------
    kept, aside : `~numpy.ndarray` of int
        Rows of the two parts.

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
    if not 0 < fraction < 1:
        raise ValueError(f"validation must be a fraction between 0 and 1, not {fraction!r}")
    model_selection = import_optional("sklearn.model_selection", "setting validation data aside")
    groups = np.arange(len(p_shred)) if groups is None else np.asarray(groups)
    n_folds = max(round(1 / fraction), 2)
    n_groups = len(np.unique(groups))
    if n_groups < n_folds:
        raise ValueError(
            f"{n_groups} groups can't be split with {fraction:g} set aside: give more groups, or "
            "the validation data themselves"
        )
    folds = model_selection.StratifiedGroupKFold(n_folds, shuffle=True, random_state=random_state)
    with warnings.catch_warnings():
        # A class of fewer members than folds is no obstacle to setting one part aside.
        warnings.simplefilter("ignore", UserWarning)
        kept, aside = next(folds.split(p_shred, p_shred >= 0.5, groups))
    return kept, aside


def warn_of_others(n_other, n):
    """Warn that sources of neither class were left out."""
    if n_other:
        warnings.warn(
            f"{n_other} of {n} sources are labelled neither galaxy nor shred and were left out",
            ShredfinderWarning,
            stacklevel=3,
        )


def _as_text(label):
    return label.decode() if isinstance(label, bytes) else str(label)
