"""Packages that only part of the library needs."""

import importlib

from shredfinder.exceptions import MissingDependencyError

__all__ = ["import_optional"]

# Package -> the extra of shredfinder that brings it.
_EXTRAS = {
    "h5py": "tables",
    "ipyaladin": "notebook",
    "ipywidgets": "label",
    "lsdb": "lsdb",
    "matplotlib": "plot",
    "pandas": "tables",
    "onnx": "jax",
    "pyarrow": "tables",
    "sklearn": "jax",
}


def import_optional(module, purpose):
    """Import a module of an optional dependency, or say how to get it.

    Parameters
    ----------
    module : str
        Full name of the module.
    purpose : str
        What it is needed for, as the beginning of a sentence.

    Returns
    -------
    module : module
        The imported module.

    Raises
    ------
    shredfinder.exceptions.MissingDependencyError
        If it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise MissingDependencyError(
            f"{purpose} needs the package {package}, which is not installed: "
            f"pip install 'shredfinder[{_EXTRAS[package]}]'"
        ) from error
