"""Warnings and errors of shredfinder."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    """Something was left out or done differently from what was asked.

    Examples
    --------
    >>> import warnings
    >>> from shredfinder.exceptions import ShredfinderWarning
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", ShredfinderWarning)
    ...     warnings.warn("2 hosts have no distance and were left out", ShredfinderWarning)
    """


class ModelFileError(ValueError):
    """A model file cannot be used: corrupted, truncated, foreign or of a newer format.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from shredfinder import ShredClassifier
    >>> from shredfinder.exceptions import ModelFileError
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "broken.shredmodel"
    ...     _ = path.write_bytes(b"no model")
    ...     try:
    ...         ShredClassifier.load(path)
    ...     except ModelFileError:
    ...         print("made anew")
    made anew
    """


class CutoutMismatchError(ValueError):
    """Cutouts differ from a model's training images in bands, colours, size or pixel scale.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder import Cutouts, ShredClassifier
    >>> from shredfinder.exceptions import CutoutMismatchError
    >>> images = np.random.default_rng(0).integers(0, 255, (1, 128, 128, 3), dtype=np.uint8)
    >>> wide = Cutouts.of_survey("legacy-dr9", images, pixel_scale=2.0)
    >>> try:
    ...     ShredClassifier.load().predict(wide)
    ... except CutoutMismatchError as error:
    ...     print(str(error)[:38])
    the cutouts' pixel scale is 2 arcsec/p
    """


class MissingDependencyError(ImportError):
    """An optional dependency is needed and not installed.

    Examples
    --------
    >>> from shredfinder.exceptions import MissingDependencyError
    >>> issubclass(MissingDependencyError, ImportError)  # its message names what to install
    True
    """


class CatalogServiceError(RuntimeError):
    """A catalogue service did not answer, or not with what was asked for.

    Parameters
    ----------
    message : str
        What happened, and what to do.
    transient : bool, optional
        Whether the same request may well succeed later.

    Examples
    --------
    >>> from shredfinder.exceptions import CatalogServiceError
    >>> error = CatalogServiceError("the service answered with status 503", transient=True)
    >>> error.transient  # another try may succeed
    True
    """

    def __init__(self, message: str, *, transient: bool = False) -> None:
        super().__init__(message)
        self.transient = transient


class ServiceError(RuntimeError):
    """A cutout service can't be used as it was asked: unknown layer, certificate, address.

    Examples
    --------
    >>> from shredfinder.exceptions import ServiceError
    >>> issubclass(ServiceError, RuntimeError)  # raised by fetch_cutouts: nothing more is asked for
    True
    """


def _define_not_fitted_error() -> type[Exception]:
    from sklearn.exceptions import NotFittedError as BaseNotFittedError

    class NotFittedError(BaseNotFittedError):
        """A classifier was asked to score before it was fitted or loaded.

        Also scikit-learn's ``NotFittedError``, and so a ValueError and an AttributeError.

        Examples
        --------
        >>> from shredfinder import ShredClassifier
        >>> from shredfinder.exceptions import NotFittedError
        >>> try:
        ...     ShredClassifier().predict([None])
        ... except NotFittedError:
        ...     print("fit or load it first")
        fit or load it first
        """

    # Make the class look defined at module level, so that it can be pickled.
    NotFittedError.__qualname__ = "NotFittedError"
    return NotFittedError


if TYPE_CHECKING:
    from sklearn.exceptions import NotFittedError
else:

    def __getattr__(name: str) -> type[Exception]:
        # Importing scikit-learn takes about a second, which scoring a table need not spend.
        if name == "NotFittedError":
            return globals().setdefault(name, _define_not_fitted_error())
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
