"""Scores and their calibration: convert a network's logits to reliable probabilities."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from shredfinder import exceptions
from shredfinder._utils.units import to_floats
from shredfinder._utils.validation import check_weights
from shredfinder.models.labels import encode_labels
from shredfinder.models.priors import PriorEstimate, apply_prior, estimate_prior

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["Calibration", "Scores", "calibrate_folds", "fit_calibration", "to_logits"]


# Fewer scored rows give an estimate of the prior whose error is like its value, if shreds are rare.
_MIN_FOR_PRIOR = 300


@dataclass(frozen=True)
class Calibration:
    """Conversion of a network's logits to probabilities.

    Attributes
    ----------
    temperature : float
        Logits are divided by it (Guo et al. 2017, arXiv 1706.04599). Values above 1 make scores
        less extreme.
    knots : tuple of tuple of float
        Increasing pairs of a logit, after that division, and its probability, from isotonic
        regression (Zadrozny & Elkan 2002, KDD, 694); values between them are interpolated. If
        empty, the logistic function gives the probability.

    Examples
    --------
    >>> from shredfinder.models import Calibration
    >>> Calibration(temperature=2.0).apply([0.1, 0.5, 0.9]).round(2)
    array([0.25, 0.5 , 0.75])
    """

    temperature: float = 1.0
    knots: tuple = ()

    def from_logits(self, logits: np.ndarray) -> np.ndarray:
        """Convert logits, ln p(shred) − ln p(galaxy), of any shape to probabilities."""
        logits = logits / self.temperature
        if not self.knots:
            return 1 / (1 + np.exp(-logits))
        x, y = np.transpose(self.knots)
        return np.where(np.isnan(logits), np.nan, np.interp(logits, x, y))

    def apply(self, p_cnn: ArrayLike) -> np.ndarray:
        """Calibrate probabilities.

        Parameters
        ----------
        p_cnn : array_like
            Uncalibrated probabilities of any shape; NaN stays NaN.

        Returns
        -------
        p : `~numpy.ndarray`
            Float64, of the same shape.
        """
        return self.from_logits(to_logits(p_cnn))


@dataclass
class Scores:
    """Scores of ``n`` images at the training set's fraction of shreds.

    Attributes
    ----------
    p_cnn : `~numpy.ndarray`
        Probabilities of being a shred, float of shape ``(n,)``; NaN for unscored images.
    flags : `~numpy.ndarray` of str
        `~shredfinder.imaging.CutoutFlag` values of shape ``(n,)``.
    training_prior : float
        Fraction of shreds in the training set.
    optional : dict of `~numpy.ndarray`
        On request: ``views``, the probabilities of all symmetries, shape ``(n, n_views)``;
        ``novelty``, the distance from the training set, ``other``, the probability of being
        neither galaxy nor shred, and ``robust``, the probability of being a shred by the model for
        poorer images, of shape ``(n,)``. All are float32.
    """

    p_cnn: np.ndarray
    flags: np.ndarray
    training_prior: float
    optional: dict[str, np.ndarray] = field(default_factory=dict)

    def reorder(self, order: np.ndarray) -> Scores:
        """Return the scores in another order.

        Parameters
        ----------
        order : `~numpy.ndarray` of int
            New row of each score, shape ``(n,)``.

        Returns
        -------
        scores : Scores
            The same scores; score ``i`` is in row ``order[i]``.
        """
        # argsort of a permutation is its inverse.
        inverse = np.argsort(order)
        optional = {name: values[inverse] for name, values in self.optional.items()}
        return replace(
            self, p_cnn=self.p_cnn[inverse], flags=self.flags[inverse], optional=optional
        )

    def estimate_prior(self) -> PriorEstimate | None:
        """Estimate the fraction of shreds from the scores; None if no image is scored.

        Warns
        -----
        ShredfinderWarning
            If fewer than 300 images are scored.
        """
        prior = estimate_prior(self.p_cnn, self.training_prior)
        if prior.n < _MIN_FOR_PRIOR:
            found = str(prior) if prior.n else "none"
            warnings.warn(
                f"only {prior.n} scored sources for prior='estimate', which gives {found}: below "
                f"{_MIN_FOR_PRIOR} it is too uncertain, so give a known shred fraction instead",
                exceptions.ShredfinderWarning,
                stacklevel=2,
            )
        return prior if prior.n else None

    def at_prior(self, prior: float | None) -> dict[str, np.ndarray]:
        """Return the columns of a table, corrected for a prior.

        Parameters
        ----------
        prior : float or None
            Fraction of shreds in the catalogue; None for that of the training set.

        Returns
        -------
        columns : dict of `~numpy.ndarray`
            ``p_cnn`` (float32), ``p_cnn_flag`` and, on request, ``p_cnn_std``,
            ``p_cnn_novelty``, ``p_other`` and ``p_cnn_robust`` (float32).
        """
        p_cnn = self.p_cnn
        if prior is not None:
            p_cnn = apply_prior(p_cnn, prior, self.training_prior)
        columns = {"p_cnn": np.asarray(p_cnn, np.float32), "p_cnn_flag": self.flags}
        if "views" in self.optional:
            # Corrected before the scatter is taken, since the correction is not linear.
            views = apply_prior(self.optional["views"].astype(float), prior, self.training_prior)
            columns["p_cnn_std"] = views.std(axis=1).astype(np.float32)
        if "novelty" in self.optional:
            columns["p_cnn_novelty"] = self.optional["novelty"].astype(np.float32)
        if "other" in self.optional:
            columns["p_other"] = self.optional["other"].astype(np.float32)
        if "robust" in self.optional:
            robust = apply_prior(self.optional["robust"].astype(float), prior, self.training_prior)
            columns["p_cnn_robust"] = robust.astype(np.float32)
        return columns


def to_logits(p_cnn: ArrayLike) -> np.ndarray:
    """Convert probabilities to logits; those rounded to 0 or 1 get finite logits."""
    p = np.asarray(p_cnn)
    p = p if p.dtype.kind == "f" else p.astype(float)
    # The resolution near 1 of the type in which the probabilities were computed.
    smallest = float(np.finfo(p.dtype).eps)
    p = np.clip(p.astype(float), smallest, 1 - smallest)
    return np.log(p) - np.log1p(-p)


# Range of ln(temperature). Without a lower limit, a perfect model would get a temperature of 0.
_BOUNDS = -2, 2


def fit_calibration(
    y: ArrayLike,
    p_cnn: ArrayLike,
    *,
    method: Literal["temperature", "isotonic"] = "temperature",
    sample_weight: ArrayLike | None = None,
) -> Calibration:
    """Fit a calibration to probabilities of labelled sources.

    Parameters
    ----------
    y : array_like
        Labels, of shape ``(n,)``, as `~shredfinder.training.encode_labels` accepts them. Sources
        of neither class are ignored.
    p_cnn : array_like
        Probabilities, of shape ``(n,)``, from a model that was not trained on these sources:
        cross-validated scores, or scores of sources set aside. Unscored rows (NaN) are ignored.
    method : {"temperature", "isotonic"}, optional
        ``"temperature"`` minimises the cross-entropy with a single number (Guo et al. 2017, arXiv
        1706.04599). It preserves the order of the scores and needs a few hundred labels.
        ``"isotonic"`` fits any non-decreasing function (Zadrozny & Elkan 2002, KDD, 694) with
        scikit-learn's isotonic regression. It corrects errors that a temperature cannot, needs a
        thousand labels or more, and makes many scores equal.
    sample_weight : array_like, optional
        Weights, of shape ``(n,)``.

    Returns
    -------
    calibration : `~shredfinder.models.Calibration`
        ``calibration.apply(p_cnn)`` calibrates probabilities;
        `~shredfinder.ShredClassifier.calibrate` calibrates a model.

    Raises
    ------
    ValueError
        If labels and probabilities differ in length, or a class is missing.

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
        raise ValueError(f"method must be 'temperature' or 'isotonic', got {method!r}")
    p_shred, p = encode_labels(y), to_floats(p_cnn, "p_cnn")
    if p.shape != p_shred.shape:
        raise ValueError(
            f"labels and probabilities must have the same shape, got {p_shred.shape} and {p.shape}"
        )
    weights = check_weights(sample_weight, len(p))
    known = np.isfinite(p) & np.isfinite(p_shred) & (weights > 0)
    p_shred, logits, weights = p_shred[known], to_logits(p)[known], weights[known]
    if len(np.unique(p_shred >= 0.5)) < 2:
        raise ValueError(
            f"calibration needs scored galaxies and scored shreds: of {known.size} sources "
            f"{known.sum()} have a class and a score, {np.count_nonzero(p_shred >= 0.5)} of them "
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
    """Calibrate cross-validated scores, each fold with a calibration fitted to the others.

    The calibration is then evaluated on sources that it was not fitted to.

    Parameters
    ----------
    y, p_cnn
        As for `fit_calibration`.
    folds : array_like of int
        Fold of each source, −1 for sources in no fold, as from `cross_validate`.
    method : {"temperature", "isotonic"}, optional
        As for `fit_calibration`.
    usable : array_like of bool, optional
        Sources that calibrations are fitted to; by default all.

    Returns
    -------
    p : `~numpy.ndarray`
        Calibrated probabilities, float64 of shape ``(n,)``; NaN for unscored sources.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder.evaluation import calibrate_folds
    >>> y, folds = np.tile([0, 0, 1, 1], 50), np.arange(200) // 40
    >>> p_cnn = np.tile([0.001, 0.999, 0.999, 0.999], 50)  # a quarter of them are wrong
    >>> calibrate_folds(y, p_cnn, folds)[:2].round(2)
    array([0.25, 0.75])
    """
    p_shred, p, folds = encode_labels(y), to_floats(p_cnn, "p_cnn"), np.asarray(folds)
    usable = np.ones(len(p), dtype=bool) if usable is None else np.asarray(usable, dtype=bool)
    if not p.shape == folds.shape == usable.shape == p_shred.shape:
        raise ValueError(
            "labels, probabilities, folds and usable must have the same shape, got "
            f"{p_shred.shape}, {p.shape}, {folds.shape} and {usable.shape}"
        )
    out = np.full(len(p), np.nan)
    for k in np.unique(folds[folds >= 0]):
        others = usable & (folds >= 0) & (folds != k)
        held = folds == k
        out[held] = fit_calibration(p_shred[others], p[others], method=method).apply(p[held])
    return out


def _fit_temperature(p_shred: np.ndarray, logits: np.ndarray, weights: np.ndarray) -> float:
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        # The cross-entropy, written with logits so that it does not overflow.
        x = logits / np.exp(log_temperature)
        return np.average(np.logaddexp(0, x) - p_shred * x, weights=weights)

    return float(np.exp(minimize_scalar(loss, bounds=_BOUNDS, method="bounded").x))


def _fit_isotonic(
    p_shred: np.ndarray, logits: np.ndarray, weights: np.ndarray
) -> tuple[tuple[float, float], ...]:
    # Imported here because scoring a table needs this module but not scikit-learn.
    from sklearn.isotonic import IsotonicRegression

    found = IsotonicRegression(y_min=0, y_max=1).fit(logits, p_shred, weights)
    # Probabilities of exactly 0 and 1 are not justified by n labels, and no prior corrects them.
    least = 1 / (2 * len(logits))
    values = np.clip(found.y_thresholds_, least, 1 - least)
    return tuple(zip(found.X_thresholds_.tolist(), values.tolist(), strict=True))
