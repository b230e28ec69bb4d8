"""Progress bars: on a terminal and in a notebook, never in a log."""

import sys
import warnings

__all__ = ["progress_bar"]


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
