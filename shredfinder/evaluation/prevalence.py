"""The shred fraction of a catalogue, corrected for the errors of the classifier."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Literal

import numpy as np
from astropy.table import Table

from shredfinder._utils.fractions import classify
from shredfinder.evaluation.metrics import validate_answers
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
    """Estimate how many of a catalogue's sources are shreds, corrected for the confusion matrix.

    Of the sources called shreds some are galaxies, and some shreds are missed. Where shreds are
    rare the former outnumber the latter, and the plain fraction is too high. Judged sources tell
    both rates, and the true fraction follows (Rogan & Gladen 1978, American Journal of
    Epidemiology 107, 71): *(apparent + specificity − 1) / (sensitivity + specificity − 1)*.

    Parameters
    ----------
    p_cnn : array_like
        Probabilities of the catalogue's sources; those with NaN are left out.
    y_judged : array_like
        True classes, 0 (galaxy) or 1 (shred), of other sources of the same kind, of shape
        ``(n,)``, with any share of shreds.
    p_judged : array_like
        Their probabilities by the same model, which has not been trained on them, and at the
        same prior, of shape ``(n,)``.
    threshold : float, optional
        Sources at or above it are called shreds.
    groups : array_like, optional
        Group of each judged source, of shape ``(n,)``, by default each is its own. Errors that go
        together within a group widen the interval.
    confidence_level : float, optional
        Confidence level of the interval.

    Returns
    -------
    result : `~astropy.table.Table`
        One row: ``n_scored``, ``n_shreds``, ``apparent_fraction``, ``sensitivity``,
        ``specificity``, and the corrected ``shred_fraction`` with its interval,
        ``shred_fraction_low`` and ``shred_fraction_high``, all within 0–1.

    Raises
    ------
    ValueError
        If a class is missing among the judged sources, the classifier is no better than chance on
        them, or nothing in the catalogue has an answer.

    Notes
    -----
    The interval is that of Lang & Reiczigel (2014, Preventive Veterinary Medicine 113, 13), which
    allows for the errors of all three rates. With groups, the numbers of judged sources are
    divided by the design effect of each rate (Rao & Scott 1992, Biometrics 48, 577). It does not
    know whether the judged sources are like the catalogue's: that is for you to say.

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
    from scipy import stats

    p, called = classify(p_cnn, threshold)
    n = int(np.count_nonzero(np.isfinite(p)))
    if n == 0:
        raise ValueError("no source of the catalogue has an answer: there is nothing to count")
    y, p_judged, groups = _check_judged(y_judged, p_judged, groups)
    right = (p_judged >= threshold) == (y == 1)
    rates, sizes = [], []
    for k in (1, 0):
        rates.append(float(right[y == k].mean()))
        sizes.append(_count_effective(right[y == k], groups[y == k]))
    sensitivity, specificity = rates
    if sensitivity + specificity <= 1:
        raise ValueError(
            f"with a sensitivity of {sensitivity:.2f} and a specificity of {specificity:.2f} the "
            "classifier is no better than chance on the judged sources: no fraction can be told"
        )
    n_shreds = int(np.count_nonzero(called))
    apparent = n_shreds / n
    corrected = (apparent + specificity - 1) / (sensitivity + specificity - 1)
    z = stats.norm.ppf((1 + confidence_level) / 2)
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


def _check_judged(y, p, groups):
    y, p = np.asarray(y), np.asarray(p, dtype=float)
    groups = np.arange(len(y)) if groups is None else np.asarray(groups)
    if groups.shape != y.shape:
        raise ValueError(f"there are {len(y)} judged sources but groups of shape {groups.shape}")
    groups = groups[np.isfinite(p)] if p.shape == y.shape else groups
    y, p = validate_answers(y, p)
    if len(np.unique(y)) < 2:
        raise ValueError("the judged sources must hold galaxies and shreds that have an answer")
    return y, p, groups


def _count_effective(right, groups):
    """Give the number of independent sources that tell a rate as well as these."""
    names, index = np.unique(groups, return_inverse=True)
    m, n, rate = len(names), len(right), right.mean()
    if m == n:
        return n
    if rate in (0, 1) or m == 1:
        # No error, or all of them: nothing shows how they go together.
        return m
    sizes = np.bincount(index)
    residuals = np.bincount(index, weights=right) - sizes * rate
    variance = m / (m - 1) * np.sum(residuals**2) / n**2
    return n / max(variance / (rate * (1 - rate) / n), 1.0)


def _lang_reiczigel(apparent, n, sensitivity, n_shreds, specificity, n_galaxies, z):
    """Give the interval of the true fraction (their equations 4 to 6)."""
    # Adjusted as by Agresti & Coull (1998) and by Laplace.
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
    """Choose the threshold by the purity or the completeness that is wanted.

    Of all thresholds that are pure enough it takes the one that leaves most, of all that are
    complete enough the purest.

    Parameters
    ----------
    y : array_like
        True classes, 0 (galaxy) or 1 (shred), of shape ``(n,)``, with any share of shreds.
    p_cnn : array_like
        Probabilities of being a shred, of shape ``(n,)``, of sources that the model has not been
        trained on; rows with NaN are left out.
    prevalence : float
        Share of shreds in the catalogue that the threshold is for, in 0–1 exclusive; about 0.05
        among satellite candidates.
    purity, completeness : float, optional
        What is wanted, one of the two, in 0–1.
    of : {"shred", "galaxy"}, optional
        The class that is to be so pure or complete: the shreds at and above the threshold, or
        the galaxies below it.

    Returns
    -------
    choice : dict of float
        ``threshold``, and ``purity`` and ``completeness`` of the chosen class with it.

    Raises
    ------
    ValueError
        If not exactly one of purity and completeness is given, or no threshold is so pure.

    Notes
    -----
    The threshold is for probabilities like those given: at the training mix if they are
    (`~shredfinder.models.adjust_prior` moves it to another prior as it moves any probability).
    What was chosen on few sources is chosen a little too well: `bootstrap_metrics` with
    `prevalence_metrics` at the chosen threshold says how sure its figures are, and other sources
    than those that it was chosen on say it without bias.

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
        raise ValueError("give either the purity or the completeness that is wanted")
    name, wanted = ("purity", purity) if completeness is None else ("completeness", completeness)
    if not isinstance(wanted, Real) or not 0 <= wanted <= 1:
        raise ValueError(f"{name} must be between 0 and 1, not {wanted!r}")
    if of not in ("shred", "galaxy"):
        raise ValueError(f"of must be 'shred' or 'galaxy', not {of!r}")
    y, p = validate_answers(y, p_cnn)
    if len(np.unique(y)) < 2:
        raise ValueError("a threshold needs sources of both classes that have an answer")
    thresholds, complete, false_alarms = _count(y, p, of)
    share = prevalence if of == "shred" else 1 - prevalence
    true, false = share * complete, (1 - share) * false_alarms
    with np.errstate(invalid="ignore"):
        pure = true / (true + false)
    # Rounding must not exclude what is just pure enough.
    if completeness is None:
        allowed = pure >= wanted - 1e-12
        if not allowed.any():
            raise ValueError(
                f"no threshold gives a purity of {wanted:g} at a prevalence of {prevalence:g}: the "
                f"purest gives {np.nanmax(pure):.3g}"
            )
        order = np.lexsort((np.nan_to_num(pure), complete))
    else:
        allowed = complete >= wanted - 1e-12
        order = np.lexsort((complete, np.nan_to_num(pure)))
    best = order[allowed[order]][-1]
    return {
        "threshold": float(thresholds[best]),
        "purity": float(pure[best]),
        "completeness": float(complete[best]),
    }


def _count(y, p, of):
    """Give every threshold that divides the sources differently, and what it selects.

    The shares of the class itself, and of the other class, that are selected.
    """
    values = np.unique(p)
    shreds, galaxies = (np.sort(p[y == k]) for k in (1, 0))
    below_shred, below_galaxy = (
        np.searchsorted(part, values, side="left") / len(part) for part in (shreds, galaxies)
    )
    if of == "shred":
        return values, 1 - below_shred, 1 - below_galaxy
    # All galaxies are below a threshold beyond the last answer; 1 is the highest there is.
    if values[-1] < 1:
        values = np.append(values, 1.0)
        below_shred, below_galaxy = np.append(below_shred, 1.0), np.append(below_galaxy, 1.0)
    return values, below_galaxy, below_shred
