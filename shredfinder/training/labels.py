"""Labels as a network takes them, and splits that keep neighbours together."""

import warnings

import numpy as np

from shredfinder.exceptions import ShredfinderWarning
from shredfinder.optional import import_optional

__all__ = ["CLASSES", "encode_labels", "split_groups"]

CLASSES = ("galaxy", "shred")


def encode_labels(y):
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


def split_groups(p_shred, groups, fraction, random_state=None):
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
