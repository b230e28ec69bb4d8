"""The threshold that keeps a promise: so pure, or so complete."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Literal

import numpy as np

from shredfinder.evaluation.metrics import validate_answers
from shredfinder.models.priors import check_prior

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["choose_threshold"]


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
