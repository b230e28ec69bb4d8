"""Correct probabilities for the fraction of shreds in a catalogue.

A network's probabilities assume the class ratio of its training set. Where shreds are rarer, as
in real catalogues, the same image is less likely to show one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

__all__ = ["PriorEstimate", "adjust_prior", "apply_prior", "check_prior", "estimate_prior"]


class PriorEstimate(float):
    """An estimated fraction of shreds: a `float` with its uncertainty.

    Attributes
    ----------
    error : float
        Standard error of the fraction; NaN if there is none.
    n : int
        Number of probabilities that it was estimated from.

    Examples
    --------
    >>> from shredfinder.models import PriorEstimate
    >>> prior = PriorEstimate(0.05, error=0.01, n=1000)
    >>> print(prior)
    0.050 ± 0.010
    """

    error: float
    n: int

    def __new__(cls, value: float, *, error: float, n: int) -> Self:
        """Create a float with its error."""
        prior = super().__new__(cls, value)
        prior.error, prior.n = float(error), int(n)
        return prior

    def __getnewargs_ex__(self) -> tuple[tuple[float], dict[str, float]]:
        return (float(self),), {"error": self.error, "n": self.n}

    def __str__(self) -> str:
        return f"{float(self):.3f} ± {self.error:.3f}"


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
) -> PriorEstimate:
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
    prior : PriorEstimate
        Estimated fraction, a `float` with the attribute ``error``; NaN if no probability is
        finite.

    Notes
    -----
    The standard error is 1 / √I, where I is the observed information: the curvature at its maximum
    of the likelihood that the iteration maximises (Efron & Hinkley 1978, Biometrika 65, 457,
    doi:10.1093/biomet/65.3.457). Where the likelihood has its maximum at a fraction of 0 or 1, it
    is the scale on which the likelihood falls. It is the sampling error alone: errors of the
    calibration, and galaxies unlike the training set, add to it.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder.models import estimate_prior
    >>> p = np.r_[np.full(950, 0.001), np.full(50, 0.999)]
    >>> prior = estimate_prior(p, training_prior=0.4)
    >>> print(prior)
    0.049 ± 0.007
    """
    check_prior(training_prior, "training_prior")
    p = np.asarray(p_cnn, dtype=float)
    p = p[np.isfinite(p)]
    if p.size == 0:
        return PriorEstimate(np.nan, error=np.nan, n=0)
    prior = training_prior
    for _ in range(max_iterations):
        # A prior of exactly 0 or 1 is a fixed point of the iteration.
        prior = float(np.clip(prior, 1e-9, 1 - 1e-9))
        updated = adjust_prior(p, prior, training_prior).mean()
        if abs(updated - prior) < tolerance:
            prior = float(updated)
            break
        prior = float(updated)
    # The mixture's density is π a + (1 - π) b, with the likelihoods of a shred and a galaxy up to
    # a common factor. The derivatives of its logarithm give the slope and the curvature.
    a, b = p / training_prior, (1 - p) / (1 - training_prior)
    ratio = (a - b) / (prior * a + (1 - prior) * b)
    slope, information = abs(ratio.sum()), (ratio**2).sum()
    errors = [1 / np.sqrt(information)] if information > 0 else []
    # Away from 0 and 1 the slope vanishes at the maximum.
    errors += [1 / slope] if slope > 0 else []
    return PriorEstimate(prior, error=min(errors, default=np.nan), n=p.size)


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
    # NaN: no row is scored, so nothing can be estimated or corrected.
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
