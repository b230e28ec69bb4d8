"""Warnings and errors of shredfinder."""

from __future__ import annotations

from astropy.utils.exceptions import AstropyUserWarning

__all__ = [
    "CatalogServiceError",
    "CutoutMismatchError",
    "MissingDependencyError",
    "ModelFileError",
    "NotFittedError",
    "ServiceError",
    "ShredfinderWarning",
]


class ShredfinderWarning(AstropyUserWarning):
    """Something was left out or done differently from what was asked."""


class ModelFileError(ValueError):
    """A model file cannot be used: corrupted, truncated, foreign or of a newer format."""


class CutoutMismatchError(ValueError):
    """Cutouts differ from a model's training images in bands, colours, size or pixel scale."""


class NotFittedError(ValueError):
    """A classifier was asked to score before it was fitted or loaded."""


class MissingDependencyError(ImportError):
    """An optional dependency is needed and not installed."""


class CatalogServiceError(RuntimeError):
    """A catalogue service did not answer, or not with what was asked for.

    Parameters
    ----------
    message : str
        What happened, and what to do.
    transient : bool, optional
        Whether the same request may well succeed later.
    """

    def __init__(self, message: str, *, transient: bool = False) -> None:
        super().__init__(message)
        self.transient = transient


class ServiceError(RuntimeError):
    """A cutout service can't be used as it was asked: unknown layer, certificate, address."""
