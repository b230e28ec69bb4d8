"""A search for satellites as a report: HTML in one file, or PDF."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from shredfinder._utils.files import atomic_write
from shredfinder.pipeline.figures import draw_figures
from shredfinder.pipeline.html import make_page

if TYPE_CHECKING:
    from shredfinder._utils.types import PathLike
    from shredfinder.pipeline.result import SatelliteSearch

__all__ = ["write_report"]


def write_report(search: SatelliteSearch, path: PathLike) -> None:
    """Write a report of a search: counts, fractions, the field, examples, hosts, provenance.

    Parameters
    ----------
    search : SatelliteSearch
        The search.
    path : path-like
        A file that ends in ``.html``, which needs no other file and no network to be looked at,
        or in ``.pdf``. It is replaced if it exists.

    Raises
    ------
    ValueError
        If the file has another ending.
    MissingDependencyError
        If matplotlib is not installed.
    FileNotFoundError
        If its folder does not exist.

    Examples
    --------
    >>> from shredfinder.pipeline import find_satellites, write_report
    >>> search = find_satellites("NGC 2903", pictures=False)
    >>> write_report(search, "ngc2903.html")
    """
    path = Path(path)
    kind = path.suffix.lower()
    check_report_name(path)
    figures = draw_figures(search)
    with atomic_write(path) as temporary:
        if kind == ".pdf":
            _write_pdf(search, figures, temporary)
        else:
            temporary.write_text(make_page(search, figures), encoding="utf-8")


def check_report_name(path):
    """Raise ValueError if a report can't be written by this name."""
    if Path(path).suffix.lower() not in (".html", ".htm", ".pdf"):
        raise ValueError(f"a report is an .html or a .pdf file: got {str(path)!r}")


def _write_pdf(search, figures, path):
    from matplotlib.backends.backend_pdf import PdfPages

    from shredfinder.pipeline.figures import draw_text

    with PdfPages(path) as pages:
        pages.savefig(draw_text(search))
        for figure in figures.values():
            pages.savefig(figure)
