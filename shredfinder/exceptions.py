"""Warnings and exceptions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from astropy.utils.exceptions import AstropyUserWarning

__all__ = [
    "BadResponseError",
    "CutoutMismatchError",
    "MissingDependencyError",
    "ModelFileError",
    "NoCoverageError",
    "NotFittedError",
    "ServiceError",
    "ShredfinderWarning",
    "StoppedError",
    "TransientServiceError",
    "UnreachableServiceError",
    "UnusableServiceError",
]


class ShredfinderWarning(AstropyUserWarning):
    """A result is incomplete or differs from what was requested.

    Examples
    --------
    >>> import warnings
    >>> from shredfinder.exceptions import ShredfinderWarning
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", ShredfinderWarning)
    ...     warnings.warn("2 hosts have no distance and were left out", ShredfinderWarning)
    """


class ModelFileError(ValueError):
    """A model file cannot be used: corrupted, truncated, foreign or in a newer format.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from shredfinder import ShredClassifier
    >>> from shredfinder.exceptions import ModelFileError
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "broken.shredmodel"
    ...     _ = path.write_bytes(b"not a model")
    ...     try:
    ...         ShredClassifier.load(path)
    ...     except ModelFileError:
    ...         print("save the model again")
    save the model again
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
    """An optional dependency is not installed; the message names the extra to install.

    Examples
    --------
    >>> from shredfinder.exceptions import MissingDependencyError
    >>> issubclass(MissingDependencyError, ImportError)
    True
    """


class ServiceError(RuntimeError):
    """A remote service failed or sent no valid response; the base of the errors below.

    Parameters
    ----------
    message : str
        What happened, and what to do.
    flag : str, optional
        `~shredfinder.imaging.CutoutFlag` value of the rows that are left without a cutout.
    status : int, optional
        HTTP status of the response.

    Attributes
    ----------
    transient : bool
        Whether the same request may succeed later.

    Examples
    --------
    >>> from shredfinder.exceptions import NoCoverageError, ServiceError
    >>> error = NoCoverageError("no image at this position", status=404)
    >>> isinstance(error, ServiceError), error.flag, error.transient
    (True, 'no coverage', False)
    """

    flag: str = "failed"
    transient: bool = False

    def __init__(self, message: str, flag: str | None = None, *, status: int | None = None) -> None:
        super().__init__(message)
        self.flag = flag or self.flag
        self.status = status


class TransientServiceError(ServiceError):
    """The same request may succeed later: too many requests, a server error, a cut connection.

    Parameters
    ----------
    message, flag, status
        As for `ServiceError`.
    retry_after : float, optional
        Seconds that the server asks to wait.

    Examples
    --------
    >>> from shredfinder.exceptions import TransientServiceError
    >>> TransientServiceError("status 503", status=503, retry_after=5.0).transient
    True
    """

    transient = True

    def __init__(
        self,
        message: str,
        flag: str | None = None,
        *,
        status: int | None = None,
        retry_after: float = 0.0,
    ) -> None:
        super().__init__(message, flag, status=status)
        self.retry_after = retry_after


class UnreachableServiceError(ServiceError):
    """No connection to the service: its name cannot be resolved, or it refuses connections.

    It ends a run after one short retry. Later, the same request may succeed.

    Examples
    --------
    >>> from shredfinder.exceptions import UnreachableServiceError
    >>> UnreachableServiceError("nowhere.invalid cannot be resolved").transient
    True
    """

    transient = True


class NoCoverageError(ServiceError):
    """The service holds no image of the position.

    Examples
    --------
    >>> from shredfinder.exceptions import NoCoverageError
    >>> NoCoverageError("outside the footprint").flag
    'no coverage'
    """

    flag = "no coverage"


class BadResponseError(ServiceError):
    """The response is complete but is not what was requested; a retry does not help.

    Examples
    --------
    >>> from shredfinder.exceptions import BadResponseError
    >>> BadResponseError("a web page in place of an image", "not an image").flag
    'not an image'
    """


class UnusableServiceError(ServiceError):
    """The service cannot be used as configured: unknown layer, invalid address or certificate.

    It ends a run: no other request would succeed.

    Examples
    --------
    >>> from shredfinder.exceptions import ServiceError, UnusableServiceError
    >>> issubclass(UnusableServiceError, ServiceError)
    True
    """


class StoppedError(ServiceError):
    """The run was stopped, or its time was over, before a response came.

    Examples
    --------
    >>> from shredfinder.exceptions import StoppedError
    >>> StoppedError("the time limit is reached").flag
    'failed'
    """


def _define_not_fitted_error() -> type[Exception]:
    from sklearn.exceptions import NotFittedError as BaseNotFittedError

    class NotFittedError(BaseNotFittedError):
        """A classifier cannot score before it is fitted or loaded.

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
