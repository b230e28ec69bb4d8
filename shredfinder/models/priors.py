"""Correct probabilities for the fraction of shreds in a catalogue.

A network's probabilities assume the class ratio of its training set. Where shreds are rarer, as
in real catalogues, the same image is less likely to show one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

__all__ = ["adjust_prior", "apply_prior", "check_prior", "estimate_prior"]


def adjust_prior(p_cnn: ArrayLike, prior: float, training_prior: float) -> np.ndarray:
    """Correct probabilities from the training prior to another.

    Bayes' rule with unchanged likelihoods (Saerens, Latinne & Decaestecker 2002, Neural
    Computation 14, 21, equation 2.4).

    Parameters
    ----------
    p_cnn : array_like
        Probabilities of being a shred at the training prior; NaN stays NaN.
    prior : float
        Fraction of shreds in the catalogue, in 0–1 exclusive.
    training_prior : float
        Fraction of shreds in the training set, in 0–1 exclusive.

    Returns
    -------
    p : `~numpy.ndarray`
        Probabilities at the new prior, in the shape of ``p_cnn``.

    Raises
    ------
    ValueError
        If a prior is not between 0 and 1.

    Examples
    --------
    >>> from shredfinder.models import adjust_prior
    >>> adjust_prior([0.1, 0.5, 0.9], prior=0.05, training_prior=0.4).round(3)
    array([0.009, 0.073, 0.415])
    """
    check_prior(prior)
    check_prior(training_prior, "training_prior")
    p = np.asarray(p_cnn, dtype=float)
    # Posterior odds are proportional to prior odds.
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
    """Estimate the fraction of shreds in a catalogue from its scores.

    Expectation maximisation (Saerens et al. 2002, equation 2.9): correct the probabilities to the
    current prior and use their mean as the next one.

    Parameters
    ----------
    p_cnn : array_like
        Calibrated probabilities at the training prior; NaN is ignored.
    training_prior : float
        Fraction of shreds in the training set, in 0–1 exclusive.
    tolerance : float, optional
        Stop when the prior changes by less than this.
    max_iterations : int, optional
        Maximum number of iterations.

    Returns
    -------
    prior : float
        Estimated fraction; NaN if no probability is finite.

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
        # A prior of exactly 0 or 1 is a fixed point of the iteration.
        prior = float(np.clip(prior, 1e-9, 1 - 1e-9))
        updated = adjust_prior(p, prior, training_prior).mean()
        if abs(updated - prior) < tolerance:
            return float(updated)
        prior = updated
    return float(prior)


def apply_prior(
    p_cnn: np.ndarray, prior: float | Literal["estimate"] | None, training_prior: float
) -> np.ndarray:
    """Correct probabilities for a prior that is given, estimated or absent.

    Parameters
    ----------
    p_cnn : `~numpy.ndarray`
        Probabilities of being a shred at the training prior; NaN stays NaN.
    prior : float, "estimate" or None
        Fraction of shreds in the catalogue; ``"estimate"`` estimates it from the probabilities,
        None makes no correction.
    training_prior : float
        Fraction of shreds in the training set, in 0–1 exclusive.

    Returns
    -------
    p : `~numpy.ndarray`
        Probabilities at that prior; unchanged if none is finite to estimate it from.

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
    """Validate a prior, before hours of scoring rather than after.

    Parameters
    ----------
    value : float
        Fraction of shreds.
    name : str, optional
        Name of the parameter, for the error message.
    words : sequence of str, optional
        Words that are accepted instead, such as ``"estimate"``.

    Raises
    ------
    ValueError
        If it is neither an accepted word nor a number in 0–1 exclusive.

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
    # np.isreal accepts strings, and a Quantity or an array is not a scalar.
    is_number = np.isscalar(value) and not isinstance(value, (str, bytes)) and np.isreal(value)
    if not (is_number and 0 < value < 1):
        others = "".join(f", or {word!r}" for word in words)
        raise ValueError(
            f"{name} must be a fraction between 0 and 1, both excluded{others}, not {value!r}"
        )
