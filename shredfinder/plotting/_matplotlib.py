"""The one place that knows whether matplotlib is there."""

import importlib

from shredfinder.exceptions import MissingDependencyError

__all__ = ["import_matplotlib"]


def import_matplotlib(module="matplotlib"):
    """Import matplotlib, or one of its modules, when a figure is made.

    Parameters
    ----------
    module : str, optional
        Full name of the module.

    Returns
    -------
    module : module
        It.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingDependencyError(
            "figures need matplotlib, which is not installed: pip install shredfinder[plot]"
        ) from error
