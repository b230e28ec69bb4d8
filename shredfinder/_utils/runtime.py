"""Progress bars: on a terminal and in a notebook, never in a log."""

import importlib
import os
import sys
import warnings

from shredfinder.config import conf
from shredfinder.exceptions import MissingDependencyError

__all__ = ["count_threads", "import_optional", "progress_bar"]


def progress_bar(*, total, progress="auto", **kwargs):
    """Make a progress bar.

    Parameters
    ----------
    total : int
        Number of steps.
    progress : bool or "auto", optional
        Whether to show it; ``"auto"`` shows it on a terminal and in a notebook.
    **kwargs
        Further arguments of `tqdm.tqdm`, such as ``desc`` and ``unit``.

    Returns
    -------
    bar : `tqdm.tqdm`
        The bar, also a context manager.
    """
    in_notebook = _is_in_notebook()
    if in_notebook:
        with warnings.catch_warnings():
            # Without ipywidgets it shows a bar of text, which needs no warning at each start.
            warnings.filterwarnings("ignore", message=".*IProgress")
            from tqdm.auto import tqdm
    else:
        from tqdm import tqdm
    # tqdm's None means: shown only on a terminal, which a notebook's output is not.
    automatic = False if in_notebook else None
    disable = automatic if progress == "auto" else not progress
    if sys.stderr is None:  # closed, or a program without a console
        disable = True
    return tqdm(total=total, disable=disable, **kwargs)


def _is_in_notebook():
    # Packages of Jupyter are imported elsewhere too; only in its kernel does code run by one.
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None and not sys.stderr.isatty()


def count_threads():
    """Count the threads that may work at once.

    Returns
    -------
    n_threads : int
        ``shredfinder.conf.threads``; where that is 0, one for each processor that the process
        may use.
    """
    if conf.threads:
        return conf.threads
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        return os.cpu_count() or 1


# Package -> the extra of shredfinder that brings it.
_EXTRAS = {
    "h5py": "tables",
    "ipyaladin": "notebook",
    "ipywidgets": "label",
    "jinja2": "plot",
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
