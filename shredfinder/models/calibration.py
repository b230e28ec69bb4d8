"""From a network's logits to probabilities that mean what they say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["Calibration", "to_logits"]


@dataclass(frozen=True)
class Calibration:
    """How a network's logits become probabilities.

    Attributes
    ----------
    temperature : float
        Logits are divided by it (Guo et al. 2017, arXiv 1706.04599); above 1 it makes answers
        less sure.
    knots : tuple of tuple of float
        Growing pairs of a logit, after that division, and its probability, between which is
        interpolated, as isotonic regression finds them (Zadrozny & Elkan 2002, KDD, 694). None
        by default: the logistic function gives the probability.

    Examples
    --------
    >>> from shredfinder.models import Calibration
    >>> Calibration(temperature=2.0).apply([0.1, 0.5, 0.9]).round(2)
    array([0.25, 0.5 , 0.75])
    """

    temperature: float = 1.0
    knots: tuple = ()

    def from_logits(self, logits: np.ndarray) -> np.ndarray:
        """Give the probabilities of logits, ln p(shred) − ln p(galaxy), of any shape."""
        logits = logits / self.temperature
        if not self.knots:
            return 1 / (1 + np.exp(-logits))
        places, values = np.transpose(self.knots)
        return np.where(np.isnan(logits), np.nan, np.interp(logits, places, values))

    def apply(self, p_cnn: ArrayLike) -> np.ndarray:
        """Calibrate probabilities.

        Parameters
        ----------
        p_cnn : array_like
            Probabilities of any shape, not yet calibrated so; NaN stays NaN.

        Returns
        -------
        p : `~numpy.ndarray`
            Float64, of the same shape.
        """
        return self.from_logits(to_logits(p_cnn))


def to_logits(p_cnn):
    """Give the logits of probabilities, finite also where rounding made 0 or 1 of them."""
    p = np.asarray(p_cnn)
    p = p if p.dtype.kind == "f" else p.astype(float)
    smallest = float(np.finfo(p.dtype).eps)
    p = np.clip(p.astype(float), smallest, 1 - smallest)
    return np.log(p) - np.log1p(-p)
