"""Novelty: the distance of an image from the training set, in simple image statistics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

__all__ = ["NoveltyMeasure", "image_statistics"]

# Name of this set of statistics in model files. Other statistics need another name.
_KIND = "image-statistics-1"
# Added before taking logarithms: about half a level of 255 and, for levels, the sky noise.
_SMALL, _SKY = 0.002, 0.02
# Lags of the pixel differences, in averaged pixels.
_LAGS = (1, 2, 4, 8)
_BATCH = 64
# Correlations are shrunk towards zero, so that their matrix can be inverted.
_SHRINKAGE = 0.02
# Fraction of images like the training images within the limit.
_INSIDE = 0.99
# Minimum number of images for a meaningful limit, and maximum number used.
_FEWEST, _MOST = 100, 5000
_N_PARTS = 5


def image_statistics(images: np.ndarray) -> np.ndarray:
    """Compute statistics of images that do not depend on the objects in them.

    Parameters
    ----------
    images : `~numpy.ndarray`
        Images of shape ``(n, height, width, bands)``, uint8 or float in 0–1, at least 32 px wide.

    Returns
    -------
    statistics : `~numpy.ndarray`
        Float64, of shape ``(n, 5 bands + 4)``: logarithms of levels or of their ratios. From the
        images averaged 2 × 2: in each band the 5th percentile, the median, the 95th percentile
        above the median, and the median difference of adjacent pixels; the mean difference of
        each pair of successive bands; the growth of differences from lag 1 to 2, 2 to 4 and 4 to
        8; and the ratio of differences in the bands to those in their mean. From the mean of the
        bands at full resolution: the growth of differences from lag 1 to 2.

    Notes
    -----
    JPEG compression smooths colours over 2 × 2 pixels. Finer detail is therefore measured in the
    mean of the bands only, so that compression hardly changes the statistics.
    """
    parts = [
        _describe(images[start : start + _BATCH]) for start in range(0, max(len(images), 1), _BATCH)
    ]
    return np.concatenate(parts)


def _describe(images: np.ndarray) -> np.ndarray:
    x = images.astype(np.float32)
    if images.dtype == np.uint8:
        x /= 255

    def log(values: np.ndarray, floor: float = _SMALL) -> np.ndarray:
        return np.log(np.maximum(values, 0) + floor)

    def roughness(gray: np.ndarray, lag: int) -> np.ndarray:
        # Every other row is enough, and faster.
        return log(np.abs(gray[:, ::2, lag:] - gray[:, ::2, :-lag]).mean(axis=(1, 2)))

    # Kept at full resolution, before the averaging.
    sharp = x.mean(axis=-1)
    n, height, width, bands = x.shape
    # A last odd row or column is dropped; each axis is then split into pairs, which are averaged.
    x = x[:, : height // 2 * 2, : width // 2 * 2]
    x = x.reshape(n, height // 2, 2, width // 2, 2, bands).mean(axis=(2, 4))
    gray = x.mean(axis=-1)

    # The lower half of the pixels is mostly sky, so these measure sky level and noise.
    low, middle, high = np.percentile(x.reshape(n, -1, bands), [5, 50, 95], axis=1)
    steps = np.abs(np.diff(x, axis=2))
    growth = [roughness(gray, lag) for lag in _LAGS]
    parts = [
        log(low, _SKY),
        log(middle, _SKY),
        log(high - middle, _SKY),
        log(np.median(steps, axis=(1, 2))),
        log(np.abs(np.diff(x, axis=3)).mean(axis=(1, 2))),
        # Differences of logarithms: ratios of roughness at successive lags, free of the overall
        # level.
        np.diff(growth, axis=0).T,
        (log(steps.mean(axis=(1, 2, 3))) - growth[0])[:, np.newaxis],
        (roughness(sharp, 2) - roughness(sharp, 1))[:, np.newaxis],
    ]
    return np.concatenate(parts, axis=1).astype(float)


@dataclass(frozen=True)
class NoveltyMeasure:
    """Distance of images from a model's training set.

    The Mahalanobis distance (1936, Proceedings of the National Institute of Sciences of India 2,
    49) of the image statistics, divided by its 99th percentile for images like the training
    images.

    Attributes
    ----------
    mean, scale : `~numpy.ndarray`
        Mean and standard deviation of each statistic over the training images.
    precision : `~numpy.ndarray`
        Inverse of the correlation matrix of the statistics.
    limit : float
        The distance that is scaled to 1.

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
        """Fit the measure to training images.

        Parameters
        ----------
        images : `~numpy.ndarray`
            Usable images of shape ``(n, height, width, bands)``, uint8 or float in 0–1.
        random_state : int, optional
            Seed of the subset used if there are more than 5000 images.

        Returns
        -------
        measure : NoveltyMeasure or None
            None for fewer than 100 images, or images smaller than 32 px.
        """
        # The largest lag, 8 averaged px, must fit into half of the averaged image.
        if len(images) < _FEWEST or min(images.shape[1:3]) < 4 * _LAGS[-1]:
            return None
        rng = np.random.default_rng(random_state)
        rows = rng.permutation(len(images))[:_MOST]
        statistics = image_statistics(images[rows])
        # The limit comes from images that were not used for the means and correlations.
        # `rows` is already shuffled.
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
        """Compute each image's distance from the training set.

        Parameters
        ----------
        images : `~numpy.ndarray`
            Images of shape ``(n, height, width, bands)``, with the bands of the training images.

        Returns
        -------
        novelty : `~numpy.ndarray`
            Float64, of shape ``(n,)``; above 1 for images unlike the training images.
        """
        statistics = image_statistics(images)
        return _distance(statistics, self.mean, self.scale, self.precision) / self.limit

    def to_dict(self) -> dict[str, Any]:
        """Return the measure as a JSON-serialisable `dict`."""
        # Six digits are enough and keep the model file small.
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
        """Create a measure from a dictionary; None if its kind is unknown.

        Parameters
        ----------
        values : dict
            Entries as from `to_dict`, not yet validated.

        Returns
        -------
        measure : NoveltyMeasure or None
            The measure.

        Raises
        ------
        ValueError
            If it is of the known kind but invalid.
        """
        if values.get("kind") != _KIND:
            return None
        try:
            mean, scale, precision = (
                np.asarray(values[name], dtype=float) for name in ("mean", "scale", "precision")
            )
            limit = float(values["limit"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"the statistics of the training images are invalid: {error}"
            ) from None
        k = mean.size
        fits = mean.shape == scale.shape == (k,) and precision.shape == (k, k) and k > 0
        finite = all(np.isfinite(array).all() for array in (mean, scale, precision))
        if not (fits and finite and (scale > 0).all() and 0 < limit < np.inf):
            raise ValueError("the statistics of the training images are inconsistent")
        return cls(mean, scale, precision, limit)


def _fit(statistics: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean, scale and inverse correlations of statistics ``(n, k)``."""
    mean = statistics.mean(axis=0)
    # Constant statistics, such as those of a black band, must not divide by zero.
    scale = np.maximum(statistics.std(axis=0), 1e-3)
    z = (statistics - mean) / scale
    correlations = (1 - _SHRINKAGE) * (z.T @ z) / len(z) + _SHRINKAGE * np.eye(z.shape[1])
    return mean, scale, np.linalg.inv(correlations)


def _distance(
    statistics: np.ndarray, mean: np.ndarray, scale: np.ndarray, precision: np.ndarray
) -> np.ndarray:
    z = (statistics - mean) / scale
    # The Mahalanobis distance zᵀ C⁻¹ z of each row; rounding may make it slightly negative.
    return np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", z, precision, z), 0))
