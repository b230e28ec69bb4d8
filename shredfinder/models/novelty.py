"""How unlike its training images an image is: a distance in simple statistics of images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

__all__ = ["NoveltyMeasure", "image_statistics"]

# What a model file calls this measure; another set of statistics is another kind.
_KIND = "image-statistics-1"
# Added before logarithms: about half a level of 255, and, for levels, the noise of the sky.
_SMALL, _SKY = 0.002, 0.02
# Distances of averaged pixels.
_LAGS = (1, 2, 4, 8)
_BATCH = 64
# Correlations are drawn a little towards none, so that no direction is taken for impossible.
_SHRINKAGE = 0.02
# Share of training-like images that the limit leaves inside.
_INSIDE = 0.99
# With fewer images a limit would mean nothing; of more, so many are taken.
_FEWEST, _MOST = 100, 5000
_N_PARTS = 5


def image_statistics(images):
    """Describe images by a few numbers that say nothing of what is in them.

    Parameters
    ----------
    images : `~numpy.ndarray`
        Of shape ``(n, height, width, bands)``, uint8 or float in 0–1, at least 32 px wide.

    Returns
    -------
    statistics : `~numpy.ndarray`
        Float64, of shape ``(n, 5 bands + 4)``, logarithms of levels or of their ratios, of the
        images averaged 2 × 2: for each band the 5th percentile, the median, the 95th percentile
        above the median, and the typical difference of adjacent pixels; for each band and the
        next their mean difference; how differences grow with the distance of the pixels (1, 2,
        4 and 8 averaged ones); how grey they are; and how they grow from 1 to 2 of the image's
        own pixels, in the mean of the bands.

    Notes
    -----
    JPEG compression smooths colours over 2 × 2 pixels: what is finer than that is looked at in the
    mean of the bands only, so that compressed and other images measure nearly alike.
    """
    parts = [
        _describe(images[start : start + _BATCH]) for start in range(0, max(len(images), 1), _BATCH)
    ]
    return np.concatenate(parts)


def _describe(images):
    x = images.astype(np.float32)
    if images.dtype == np.uint8:
        x /= 255
    log = lambda values, floor=_SMALL: np.log(np.maximum(values, 0) + floor)  # noqa: E731

    def roughness(gray, lag):
        return log(np.abs(gray[:, ::2, lag:] - gray[:, ::2, :-lag]).mean(axis=(1, 2)))

    sharp = x.mean(axis=-1)
    n, height, width, bands = x.shape
    x = x[:, : height // 2 * 2, : width // 2 * 2]
    x = x.reshape(n, height // 2, 2, width // 2, 2, bands).mean(axis=(2, 4))
    gray = x.mean(axis=-1)

    low, middle, high = np.percentile(x.reshape(n, -1, bands), [5, 50, 95], axis=1)
    steps = np.abs(np.diff(x, axis=2))
    growth = [roughness(gray, lag) for lag in _LAGS]
    parts = [
        log(low, _SKY),
        log(middle, _SKY),
        log(high - middle, _SKY),
        log(np.median(steps, axis=(1, 2))),
        log(np.abs(np.diff(x, axis=3)).mean(axis=(1, 2))),
        np.diff(growth, axis=0).T,
        (log(steps.mean(axis=(1, 2, 3))) - growth[0])[:, np.newaxis],
        (roughness(sharp, 2) - roughness(sharp, 1))[:, np.newaxis],
    ]
    return np.concatenate(parts, axis=1).astype(float)


@dataclass(frozen=True)
class NoveltyMeasure:
    """The distance of images from those that a model was trained on.

    It is Mahalanobis's distance (1936, Proceedings of the National Institute of Sciences of India
    2, 49) of the ``image_statistics``, divided by what 99 % of images like the training images
    keep within.

    Attributes
    ----------
    mean, scale : `~numpy.ndarray`
        Mean and standard deviation of each statistic over the training images.
    precision : `~numpy.ndarray`
        Inverse of the statistics' correlations.
    limit : float
        The distance that counts as one.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder.models import NoveltyMeasure
    >>> rng = np.random.default_rng(0)
    >>> measure = NoveltyMeasure.of_images(rng.integers(0, 90, (400, 32, 32, 3), dtype=np.uint8))
    >>> white = np.full((1, 32, 32, 3), 250, dtype=np.uint8)
    >>> bool(measure.measure(white)[0] > 1)
    True
    """

    mean: np.ndarray
    scale: np.ndarray
    precision: np.ndarray
    limit: float

    @classmethod
    def of_images(cls, images: np.ndarray, random_state: int = 0) -> Self | None:
        """Learn what images are familiar.

        Parameters
        ----------
        images : `~numpy.ndarray`
            Training images, all usable, as for ``image_statistics``.
        random_state : int, optional
            Which are taken where there are very many.

        Returns
        -------
        measure : NoveltyMeasure or None
            None where there are too few to tell, or they are too small.
        """
        if len(images) < _FEWEST or min(images.shape[1:3]) < 4 * _LAGS[-1]:
            return None
        rng = np.random.default_rng(random_state)
        rows = rng.permutation(len(images))[:_MOST]
        statistics = image_statistics(images[rows])
        # The limit is that of images that had no say in means and correlations.
        parts = np.arange(len(rows)) % _N_PARTS
        distances = np.concatenate(
            [
                _distance(statistics[parts == k], *_fit(statistics[parts != k]))
                for k in range(_N_PARTS)
            ]
        )
        mean, scale, precision = _fit(statistics)
        return cls(mean, scale, precision, float(np.quantile(distances, _INSIDE)))

    def measure(self, images: np.ndarray) -> np.ndarray:
        """Tell how unlike the training images images are.

        Parameters
        ----------
        images : `~numpy.ndarray`
            As for ``image_statistics``, of as many bands.

        Returns
        -------
        novelty : `~numpy.ndarray`
            Float64, of shape ``(n,)``; above 1 an image is unlike the training images.
        """
        statistics = image_statistics(images)
        return _distance(statistics, self.mean, self.scale, self.precision) / self.limit

    def to_dict(self) -> dict[str, Any]:
        """Give the measure as a `dict` of what JSON can hold."""
        short = np.vectorize(lambda value: float(f"{value:.6g}"))
        return {
            "kind": _KIND,
            "mean": short(self.mean).tolist(),
            "scale": short(self.scale).tolist(),
            "precision": short(self.precision).tolist(),
            "limit": self.limit,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self | None:
        """Make a measure of what `to_dict` gave; None if it is of an unknown kind.

        Parameters
        ----------
        values : dict
            As from a file, not yet checked.

        Returns
        -------
        measure : NoveltyMeasure or None
            The measure.

        Raises
        ------
        ValueError
            If it is of the known kind, but broken.
        """
        if values.get("kind") != _KIND:
            return None
        try:
            mean, scale, precision = (
                np.asarray(values[name], dtype=float) for name in ("mean", "scale", "precision")
            )
            limit = float(values["limit"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"the statistics of the training images are broken: {error}") from None
        k = mean.size
        fits = mean.shape == scale.shape == (k,) and precision.shape == (k, k) and k > 0
        finite = all(np.isfinite(array).all() for array in (mean, scale, precision))
        if not (fits and finite and (scale > 0).all() and 0 < limit < np.inf):
            raise ValueError("the statistics of the training images do not fit each other")
        return cls(mean, scale, precision, limit)


def _fit(statistics):
    mean = statistics.mean(axis=0)
    # Bands that are always the same, or black, tell nothing but must not divide by zero.
    scale = np.maximum(statistics.std(axis=0), 1e-3)
    z = (statistics - mean) / scale
    correlations = (1 - _SHRINKAGE) * (z.T @ z) / len(z) + _SHRINKAGE * np.eye(z.shape[1])
    return mean, scale, np.linalg.inv(correlations)


def _distance(statistics, mean, scale, precision):
    z = (statistics - mean) / scale
    return np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", z, precision, z), 0))
