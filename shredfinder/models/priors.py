"""Correct probabilities for the share of shreds in a catalogue.

A network's probabilities hold for the mix of classes that it was trained on. Where shreds are
rarer, as in real catalogues, the same image is less likely to be one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

__all__ = ["adjust_prior", "apply_prior", "check_prior", "estimate_prior"]


def adjust_prior(p_cnn: ArrayLike, prior: float, training_prior: float) -> np.ndarray:
    """Correct probabilities from the training mix to another prior.

    Bayes' rule with the likelihoods unchanged: Saerens, Latinne & Decaestecker 2002, Neural
    Computation 14, 21, equation 2.4.

    Parameters
    ----------
    p_cnn : array_like
        Probabilities of being a shred at the training mix; NaN stays NaN.
    prior : float
        Fraction of shreds in the catalogue, in 0–1 exclusive.
    training_prior : float
        Fraction of shreds in the training set, in 0–1 exclusive.

    Returns
    -------
    p : `~numpy.ndarray`
        Probabilities at the new prior, of the shape of ``p_cnn``.

    Raises
    ------
    ValueError
        If a prior is not within 0–1.

    Examples
    --------
    >>> from shredfinder.models import adjust_prior
    >>> adjust_prior([0.1, 0.5, 0.9], prior=0.05, training_prior=0.4).round(3)
    array([0.009, 0.073, 0.415])
    """
    check_prior(prior)
    check_prior(training_prior, "training_prior")
    p = np.asarray(p_cnn, dtype=float)
    shred = p * (prior / training_prior)
    galaxy = (1 - p) * ((1 - prior) / (1 - training_prior))
    return shred / (shred + galaxy)


def estimate_prior(
    p_cnn: ArrayLike,
    training_prior: float,
    *,
    tolerance: float = 1e-7,
    max_iterations: int = 10_000,
) -> float:
    """Estimate the fraction of shreds in a catalogue from its probabilities.

    The expectation-maximisation of Saerens et al. 2002 (their equation 2.9): correct the
    probabilities to the current prior, take their mean as the next.

    Parameters
    ----------
    p_cnn : array_like
        Calibrated probabilities at the training mix; NaN is left out.
    training_prior : float
        Fraction of shreds in the training set, in 0–1 exclusive.
    tolerance : float, optional
        Stop when the prior changes by less.
    max_iterations : int, optional
        Stop after as many steps in any case.

    Returns
    -------
    prior : float
        The estimated fraction; NaN where no probability is finite.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder.models import estimate_prior
    >>> p = np.r_[np.full(95, 0.001), np.full(5, 0.999)]
    >>> round(estimate_prior(p, training_prior=0.4), 3)
    0.049
    """
    check_prior(training_prior, "training_prior")
    p = np.asarray(p_cnn, dtype=float)
    p = p[np.isfinite(p)]
    if p.size == 0:
        return float("nan")
    prior = training_prior
    for _ in range(max_iterations):
        # At a prior of exactly 0 or 1 the iteration could never leave it.
        prior = float(np.clip(prior, 1e-9, 1 - 1e-9))
        updated = adjust_prior(p, prior, training_prior).mean()
        if abs(updated - prior) < tolerance:
            return float(updated)
        prior = updated
    return float(prior)


def apply_prior(
    p_cnn: np.ndarray, prior: float | Literal["estimate"] | None, training_prior: float
) -> np.ndarray:
    """Correct probabilities for what a user gives as the prior.

    Parameters
    ----------
    p_cnn : `~numpy.ndarray`
        Probabilities of being a shred at the training mix; NaN stays NaN.
    prior : float, "estimate" or None
        Fraction of shreds in the catalogue; ``"estimate"`` takes it from the probabilities, None
        leaves them as they are.
    training_prior : float
        Fraction of shreds in the training set, in 0–1 exclusive.

    Returns
    -------
    p : `~numpy.ndarray`
        Probabilities at that prior; as they were where none of them is finite to estimate it from.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder.models import apply_prior
    >>> apply_prior(np.array([0.1, 0.9]), 0.05, training_prior=0.4).round(3)
    array([0.009, 0.415])
    """
    if isinstance(prior, str):
        prior = estimate_prior(p_cnn, training_prior)
    if prior is None or np.isnan(prior):
        return p_cnn
    return adjust_prior(p_cnn, prior, training_prior)


def check_prior(value: Any, name: str = "prior", *, words: Sequence[str] = ()) -> None:
    """Make sure that a prior is one, before hours of scoring and not after.

    Parameters
    ----------
    value : float
        The fraction of shreds.
    name : str, optional
        What it is called in the message.
    words : sequence of str, optional
        What may stand in its place, such as ``"estimate"``.

    Raises
    ------
    ValueError
        If it is neither one of the words nor a number in 0–1 exclusive.

    Examples
    --------
    >>> from shredfinder.models import check_prior
    >>> check_prior(7)
    Traceback (most recent call last):
        ...
    ValueError: prior must be a fraction between 0 and 1, both excluded, not 7
    """
    if isinstance(value, str) and value in words:
        return
    is_number = np.isscalar(value) and not isinstance(value, (str, bytes)) and np.isreal(value)
    if not (is_number and 0 < value < 1):
        others = "".join(f", or {word!r}" for word in words)
        raise ValueError(
            f"{name} must be a fraction between 0 and 1, both excluded{others}, not {value!r}"
        )
