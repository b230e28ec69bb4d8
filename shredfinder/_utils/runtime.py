"""The runtime environment: progress bars, threads and optional dependencies."""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from typing import TYPE_CHECKING, Any, Literal

from shredfinder.config import conf
from shredfinder.exceptions import MissingDependencyError

if TYPE_CHECKING:
    from types import ModuleType

    from tqdm import tqdm

__all__ = ["count_threads", "import_optional", "progress_bar"]


def progress_bar(
    *, total: int | None, progress: bool | Literal["auto"] = "auto", **kwargs: Any
) -> tqdm[Any]:
    """Create a progress bar.

    Parameters
    ----------
    total : int or None
        Number of steps; None if unknown.
    progress : bool or "auto", optional
        Whether to show it; ``"auto"`` shows it on a terminal or in a notebook, but not in a log.
    **kwargs
        Further arguments of `tqdm.tqdm`, such as ``desc`` and ``unit``.

    Returns
    -------
    bar : `tqdm.tqdm`
        The bar, which is also a context manager.
    """
    # IPython may be imported anywhere, but only in a notebook does the code run in a kernel.
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    in_notebook = getattr(shell, "kernel", None) is not None and not sys.stderr.isatty()
    if in_notebook:
        with warnings.catch_warnings():
            # Without ipywidgets tqdm falls back to a text bar, which is no reason to warn.
            warnings.filterwarnings("ignore", message=".*IProgress")
            from tqdm.auto import tqdm
    else:
        from tqdm import tqdm
    disable: bool | None
    if sys.stderr is None:  # closed, or a program without a console
        disable = True
    elif progress == "auto":
        # With None, tqdm shows the bar on a terminal only, which a notebook is not.
        disable = False if in_notebook else None
    else:
        disable = not progress
    return tqdm(total=total, disable=disable, **kwargs)


def is_notebook() -> bool:
    """Return whether the code runs in a notebook, where output stays beside its cell."""
    # IPython is imported wherever there is a notebook.
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return hasattr(shell, "kernel")


def count_threads() -> int:
    """Return the number of threads to use.

    Returns
    -------
    n_threads : int
        ``shredfinder.conf.threads``; if that is 0, the number of processors that this process may
        use.
    """
    if conf.threads:
        return conf.threads
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows lack it
        return os.cpu_count() or 1


# The extra of shredfinder that installs each optional package.
_EXTRAS = {
    "h5py": "tables",
    "ipyaladin": "notebook",
    "ipywidgets": "label",
    "jinja2": "plot",
    "lsdb": "lsdb",
    "matplotlib": "plot",
    "pandas": "tables",
    "onnx": "torch",
    "photutils": "photometry",
    "pyarrow": "tables",
}


def import_optional(module: str, purpose: str) -> ModuleType:
    """Import a module of an optional dependency.

    Parameters
    ----------
    module : str
        Full name of the module.
    purpose : str
        What needs it, as the beginning of the error message.

    Returns
    -------
    module : module
        The imported module.

    Raises
    ------
    shredfinder.exceptions.MissingDependencyError
        If it is not installed. The message names the extra that installs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise MissingDependencyError(
            f"{purpose} needs the package {package}, which is not installed; install it with "
            f"pip install 'shredfinder[{_EXTRAS[package]}]'"
        ) from error
