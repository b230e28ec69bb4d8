"""Use a classifier at a catalogue's shred fraction: estimate it, and choose a threshold."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Literal

import numpy as np
from astropy.table import Table

from shredfinder._utils.fractions import classify
from shredfinder._utils.units import to_floats
from shredfinder.evaluation.metrics import read_labels, select_scored
from shredfinder.models.priors import check_prior

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["choose_threshold", "estimate_shred_fraction"]


def estimate_shred_fraction(
    p_cnn: ArrayLike,
    y_judged: ArrayLike,
    p_judged: ArrayLike,
    *,
    threshold: float = 0.5,
    groups: ArrayLike | None = None,
    confidence_level: float = 0.95,
) -> Table:
    """Estimate the shred fraction of a catalogue, corrected for classification errors.

    Some galaxies are classified as shreds, and some shreds are missed. Where shreds are rare the
    former outnumber the latter, and the counted fraction is too high. Labelled sources give both
    rates, and the true fraction follows (Rogan & Gladen 1978, American Journal of Epidemiology
    107, 71): *(apparent + specificity − 1) / (sensitivity + specificity − 1)*.

    Parameters
    ----------
    p_cnn : array_like
        Probabilities of the catalogue's sources. Unscored sources (NaN) are ignored.
    y_judged : array_like
        True classes, 0 (galaxy) or 1 (shred), of other sources of the same kind, of shape
        ``(n,)``, with any fraction of shreds.
    p_judged : array_like
        Their probabilities, of shape ``(n,)``, from the same model at the same prior. The model
        must not have been trained on them.
    threshold : float, optional
        Sources at or above it are classified as shreds.
    groups : array_like, optional
        Group of each labelled source, of shape ``(n,)``; correlated errors within groups widen
        the interval. By default sources are independent.
    confidence_level : float, optional
        Confidence level of the interval.

    Returns
    -------
    result : `~astropy.table.Table`
        One row: ``n_scored``, ``n_shreds``, ``apparent_fraction``, ``sensitivity``,
        ``specificity``, and the corrected ``shred_fraction`` with its confidence limits
        ``shred_fraction_low`` and ``shred_fraction_high``, all within 0–1.

    Raises
    ------
    ValueError
        If the labelled sources lack a class, the classifier is no better than chance on them, or
        no source of the catalogue is scored.

    Notes
    -----
    The interval is that of Lang & Reiczigel (2014, Preventive Veterinary Medicine 113, 13), which
    includes the errors of all three rates. With groups, the numbers of labelled sources are
    divided by the design effect of each rate (Rao & Scott 1992, Biometrics 48, 577). It assumes
    that the labelled sources represent the catalogue's.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder.evaluation import estimate_shred_fraction
    >>> y = np.repeat([0, 1], 500)
    >>> p_judged = np.r_[np.full(485, 0.1), np.full(15, 0.9), np.full(20, 0.1), np.full(480, 0.9)]
    >>> p_cnn = np.r_[np.full(923, 0.1), np.full(77, 0.9)]  # 5 % of 1000 are shreds
    >>> found = estimate_shred_fraction(p_cnn, y, p_judged)
    >>> names = ["apparent_fraction", "shred_fraction", "shred_fraction_low", "shred_fraction_high"]
    >>> [round(float(found[name][0]), 3) for name in names]
    [0.077, 0.051, 0.026, 0.074]
    """
    # Importing scipy.stats takes a few tenths of a second, so plots and tables do without.
    from scipy import stats

    p, is_called = classify(p_cnn, threshold)
    n = int(np.count_nonzero(np.isfinite(p)))
    if n == 0:
        raise ValueError("no source of the catalogue is scored: the fraction is undefined")
    y, p_labelled, group_of = _validate_labelled(y_judged, p_judged, groups)
    is_right = (p_labelled >= threshold) == (y == 1)
    # Sensitivity (of the shreds), then specificity (of the galaxies).
    rates, sizes = [], []
    for k in (1, 0):
        rates.append(float(is_right[y == k].mean()))
        sizes.append(_effective_number(is_right[y == k], group_of[y == k]))
    sensitivity, specificity = rates
    if sensitivity + specificity <= 1:
        raise ValueError(
            f"with a sensitivity of {sensitivity:.2f} and a specificity of {specificity:.2f} the "
            "classifier is no better than chance on the labelled sources: use another model or "
            "threshold"
        )
    n_shreds = int(np.count_nonzero(is_called))
    apparent = n_shreds / n
    corrected = (apparent + specificity - 1) / (sensitivity + specificity - 1)
    z = float(stats.norm.ppf((1 + confidence_level) / 2))
    low, high = _lang_reiczigel(apparent, n, sensitivity, sizes[0], specificity, sizes[1], z)
    return Table(
        {
            "n_scored": [n],
            "n_shreds": [n_shreds],
            "apparent_fraction": [apparent],
            "sensitivity": [sensitivity],
            "specificity": [specificity],
            "shred_fraction": [float(np.clip(corrected, 0, 1))],
            "shred_fraction_low": [low],
            "shred_fraction_high": [high],
        }
    )


def _validate_labelled(
    y: ArrayLike, p: ArrayLike, groups: ArrayLike | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    y, p = read_labels(y), to_floats(p, "p_cnn")
    groups = np.arange(len(y)) if groups is None else np.asarray(groups)
    if groups.shape != y.shape:
        raise ValueError(f"there are {len(y)} labelled sources but groups of shape {groups.shape}")
    # Unscored sources are dropped below; a wrong shape is reported there.
    groups = groups[np.isfinite(p)] if p.shape == y.shape else groups
    y, p = select_scored(y, p)
    if len(np.unique(y)) < 2:
        raise ValueError("the labelled sources must include scored galaxies and scored shreds")
    return y, p, groups


def _effective_number(is_right: np.ndarray, groups: np.ndarray) -> float:
    """Return the effective number of independent sources."""
    names, index = np.unique(groups, return_inverse=True)
    m, n, rate = len(names), len(is_right), is_right.mean()
    if m == n:
        return n
    if rate in (0, 1) or m == 1:
        # Without both outcomes the correlation is unknown: assume it is complete.
        return m
    sizes = np.bincount(index)
    # Right sources of each group minus the number expected from the overall rate.
    residuals = np.bincount(index, weights=is_right) - sizes * rate
    variance = m / (m - 1) * np.sum(residuals**2) / n**2
    # The design effect: the variance relative to that of n independent sources.
    return n / max(variance / (rate * (1 - rate) / n), 1.0)


def _lang_reiczigel(
    apparent: float,
    n: float,
    sensitivity: float,
    n_shreds: float,
    specificity: float,
    n_galaxies: float,
    z: float,
) -> tuple[float, float]:
    """Return the confidence limits of the true fraction (their equations 4 to 6)."""
    # Adjusted after Agresti & Coull (1998) and Laplace.
    a = (n * apparent + z**2 / 2) / (n + z**2)
    n, n_shreds, n_galaxies = n + z**2, n_shreds + 2, n_galaxies + 2
    se = (sensitivity * (n_shreds - 2) + 1) / n_shreds
    sp = (specificity * (n_galaxies - 2) + 1) / n_galaxies
    middle = (a + sp - 1) / (se + sp - 1)
    of_se, of_sp = se * (1 - se) / n_shreds, sp * (1 - sp) / n_galaxies
    shift = 2 * z**2 * (middle * of_se - (1 - middle) * of_sp)
    variance = a * (1 - a) / n + middle**2 * of_se + (1 - middle) ** 2 * of_sp
    half = z * np.sqrt(variance) / (se + sp - 1)
    low, high = np.clip([middle + shift - half, middle + shift + half], 0, 1)
    return float(low), float(high)


def choose_threshold(
    y: ArrayLike,
    p_cnn: ArrayLike,
    prevalence: float,
    *,
    purity: float | None = None,
    completeness: float | None = None,
    of: Literal["shred", "galaxy"] = "shred",
) -> dict[str, float]:
    """Choose the threshold for a required purity or completeness.

    Among thresholds of sufficient purity it selects the most complete one; among thresholds of
    sufficient completeness, the purest.

    Parameters
    ----------
    y : array_like
        True classes, 0 (galaxy) or 1 (shred), of shape ``(n,)``, with any fraction of shreds.
    p_cnn : array_like
        Probabilities of being a shred, of shape ``(n,)``, for sources that the model was not
        trained on. Unscored rows (NaN) are ignored.
    prevalence : float
        Fraction of shreds in the catalogue, in 0–1 exclusive; a few per cent
        among satellite candidates.
    purity, completeness : float, optional
        Required value, in 0–1. Give one of the two.
    of : {"shred", "galaxy"}, optional
        Class that is required to be pure or complete: shreds at or above the threshold, or
        galaxies below it.

    Returns
    -------
    choice : dict of float
        ``threshold``, with the ``purity`` and ``completeness`` of that class.

    Raises
    ------
    ValueError
        If purity and completeness are both given or both missing, or no threshold reaches the
        purity.

    Notes
    -----
    The threshold applies to probabilities at the same prior as those given;
    `~shredfinder.models.adjust_prior` converts it to another prior like any probability. The
    quoted purity and completeness are slightly optimistic if there are few sources. Intervals
    follow from `bootstrap_metrics` with `prevalence_metrics` at the chosen threshold, unbiased
    values from other sources.

    Examples
    --------
    >>> from shredfinder.evaluation import choose_threshold
    >>> y = [0, 0, 0, 0, 0, 1, 1, 1, 1]
    >>> p_cnn = [0.1, 0.1, 0.2, 0.3, 0.7, 0.4, 0.8, 0.9, 0.9]
    >>> choose_threshold(y, p_cnn, 0.05, purity=0.9)
    {'threshold': 0.8, 'purity': 1.0, 'completeness': 0.75}
    >>> choose_threshold(y, p_cnn, 0.05, completeness=1.0, of="galaxy")
    {'threshold': 0.8, 'purity': 0.987012987012987, 'completeness': 1.0}
    """
    check_prior(prevalence, "prevalence")
    if (purity is None) == (completeness is None):
        raise ValueError("give either purity or completeness")
    name, required = ("purity", purity) if completeness is None else ("completeness", completeness)
    if not isinstance(required, Real) or not 0 <= float(required) <= 1:
        raise ValueError(f"{name} must be between 0 and 1, got {required!r}")
    if of not in ("shred", "galaxy"):
        raise ValueError(f"of must be 'shred' or 'galaxy', got {of!r}")
    y, p = select_scored(y, p_cnn)
    if len(np.unique(y)) < 2:
        raise ValueError("choosing a threshold needs scored sources of both classes")
    thresholds, complete, false_alarms = _list_thresholds(y, p, of)
    # Reweight the labelled sources from their class ratio to the catalogue's.
    share = prevalence if of == "shred" else 1 - prevalence
    true, false = share * complete, (1 - share) * false_alarms
    with np.errstate(invalid="ignore"):
        pure = true / (true + false)
    # The tolerance keeps rounding from excluding a threshold that just meets the requirement.
    least = float(required) - 1e-12
    if completeness is None:
        allowed = pure >= least
        if not allowed.any():
            raise ValueError(
                f"no threshold reaches a purity of {required:g} at a prevalence of {prevalence:g}: "
                f"the highest is {np.nanmax(pure):.3g}"
            )
        # Sorted by completeness, and by purity among equals.
        order = np.lexsort((np.nan_to_num(pure), complete))
    else:
        allowed = complete >= least
        order = np.lexsort((complete, np.nan_to_num(pure)))
    # The last of the sorted thresholds that is allowed.
    best = order[allowed[order]][-1]
    return {
        "threshold": float(thresholds[best]),
        "purity": float(pure[best]),
        "completeness": float(complete[best]),
    }


def _list_thresholds(
    y: np.ndarray, p: np.ndarray, of: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return all distinct thresholds, and the selected fractions of the class and of the other."""
    values = np.unique(p)
    shreds, galaxies = (np.sort(p[y == k]) for k in (1, 0))
    # side="left" counts scores below a threshold; those equal to it are selected as shreds.
    below_shred, below_galaxy = (
        np.searchsorted(part, values, side="left") / len(part) for part in (shreds, galaxies)
    )
    if of == "shred":
        return values, 1 - below_shred, 1 - below_galaxy
    # A threshold above all scores selects every source as a galaxy; 1 is the highest possible.
    if values[-1] < 1:
        values = np.append(values, 1.0)
        below_shred, below_galaxy = np.append(below_shred, 1.0), np.append(below_galaxy, 1.0)
    return values, below_galaxy, below_shred
