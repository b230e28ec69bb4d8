"""From a network's logits to probabilities that mean what they say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from shredfinder._utils.runtime import import_optional
from shredfinder._utils.validation import check_weights
from shredfinder.models.labels import encode_labels

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["Calibration", "calibrate_folds", "fit_calibration", "to_logits"]


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


# ln of the temperatures tried: with no error at all the best would be 0.
_BOUNDS = -2, 2


def fit_calibration(
    y: ArrayLike,
    p_cnn: ArrayLike,
    *,
    method: Literal["temperature", "isotonic"] = "temperature",
    sample_weight: ArrayLike | None = None,
) -> Calibration:
    """Find the calibration of probabilities whose truth is known.

    Parameters
    ----------
    y : array_like
        Labels, of shape ``(n,)``, as `~shredfinder.training.encode_labels` takes them; sources
        that are neither galaxy nor shred are left out.
    p_cnn : array_like
        Probabilities, of shape ``(n,)``, by a model that has not been trained on these sources:
        the answers of a cross-validation, or of sources set aside. Rows with NaN are left out.
    method : {"temperature", "isotonic"}, optional
        One temperature, of least cross-entropy (Guo et al. 2017, arXiv 1706.04599): it keeps
        the order of sources, and some hundred labels are enough. Or any growing function
        (Zadrozny & Elkan 2002, KDD, 694), by scikit-learn's isotonic regression: it mends what a
        temperature can't, wants a thousand labels and more, and makes many answers equal.
    sample_weight : array_like, optional
        Weights, of shape ``(n,)``.

    Returns
    -------
    calibration : `~shredfinder.models.Calibration`
        ``calibration.apply(p_cnn)`` calibrates; `~shredfinder.ShredClassifier.calibrate` does it
        in a model.

    Raises
    ------
    ValueError
        If the arguments don't fit each other, or a class is missing.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder.evaluation import calibration_error, fit_calibration
    >>> rng = np.random.default_rng(0)
    >>> truth = rng.uniform(0.01, 0.99, 2000)
    >>> y = (rng.random(2000) < truth).astype(int)
    >>> too_sure = 1 / (1 + ((1 - truth) / truth) ** 3)
    >>> calibration = fit_calibration(y, too_sure)
    >>> round(calibration.temperature, 1)
    2.9
    >>> round(calibration_error(y, too_sure), 2)
    0.15
    >>> calibration_error(y, calibration.apply(too_sure)) < 0.03
    True
    """
    if method not in ("temperature", "isotonic"):
        raise ValueError(f"method must be 'temperature' or 'isotonic', not {method!r}")
    p_shred, p = encode_labels(y), np.asarray(p_cnn)
    if p.shape != p_shred.shape:
        raise ValueError(
            f"labels and probabilities must be one a source, not of the shapes {p_shred.shape} "
            f"and {p.shape}"
        )
    weights = check_weights(sample_weight, len(p))
    known = np.isfinite(p) & np.isfinite(p_shred) & (weights > 0)
    p_shred, logits, weights = p_shred[known], to_logits(p)[known], weights[known]
    if len(np.unique(p_shred >= 0.5)) < 2:
        raise ValueError(
            f"calibration needs galaxies and shreds that have an answer: of {known.size} sources "
            f"{known.sum()} have a class and an answer, {np.count_nonzero(p_shred >= 0.5)} of them "
            "shreds"
        )
    if method == "temperature":
        return Calibration(_fit_temperature(p_shred, logits, weights))
    return Calibration(knots=_fit_isotonic(p_shred, logits, weights))


def calibrate_folds(
    y: ArrayLike,
    p_cnn: ArrayLike,
    folds: ArrayLike,
    *,
    method: Literal["temperature", "isotonic"] = "temperature",
    usable: ArrayLike | None = None,
) -> np.ndarray:
    """Calibrate cross-validated answers, each fold by what the others say.

    So the calibration too has not seen the sources that it is judged on.

    Parameters
    ----------
    y, p_cnn
        As for `fit_calibration`.
    folds : array_like of int
        Fold of each source, −1 for those in none, as from `cross_validate`.
    method : {"temperature", "isotonic"}, optional
        As for `fit_calibration`.
    usable : array_like of bool, optional
        Sources that may calibrate; by default all.

    Returns
    -------
    p : `~numpy.ndarray`
        Calibrated probabilities, float64 of shape ``(n,)``; NaN where there were none.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder.evaluation import calibrate_folds
    >>> y, folds = np.tile([0, 0, 1, 1], 50), np.arange(200) // 40
    >>> p_cnn = np.tile([0.001, 0.999, 0.999, 0.999], 50)  # a quarter of them are wrong
    >>> calibrate_folds(y, p_cnn, folds)[:2].round(2)
    array([0.25, 0.75])
    """
    p_shred, p, folds = encode_labels(y), np.asarray(p_cnn), np.asarray(folds)
    usable = np.ones(len(p), dtype=bool) if usable is None else np.asarray(usable, dtype=bool)
    if not p.shape == folds.shape == usable.shape == p_shred.shape:
        raise ValueError(
            f"there are {len(p_shred)} labels, {len(p)} probabilities, {len(folds)} folds and "
            f"{len(usable)} words on who may calibrate: give one of each for every source"
        )
    out = np.full(len(p), np.nan)
    for k in np.unique(folds[folds >= 0]):
        others = usable & (folds >= 0) & (folds != k)
        held = folds == k
        out[held] = fit_calibration(p_shred[others], p[others], method=method).apply(p[held])
    return out


def _fit_temperature(p_shred, logits, weights):
    from scipy.optimize import minimize_scalar

    def loss(log_temperature):
        x = logits / np.exp(log_temperature)
        return np.average(np.logaddexp(0, x) - p_shred * x, weights=weights)

    return float(np.exp(minimize_scalar(loss, bounds=_BOUNDS, method="bounded").x))


def _fit_isotonic(p_shred, logits, weights):
    isotonic = import_optional("sklearn.isotonic", "isotonic calibration")
    found = isotonic.IsotonicRegression(y_min=0, y_max=1).fit(logits, p_shred, weights)
    # No finite number of labels makes sure, and what is sure no prior could correct.
    least = 1 / (2 * len(logits))
    values = np.clip(found.y_thresholds_, least, 1 - least)
    return tuple(zip(found.X_thresholds_.tolist(), values.tolist(), strict=True))
