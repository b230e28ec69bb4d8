"""Reports of a search for satellites: one HTML file, or PDF."""

from __future__ import annotations

import io
import textwrap
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.table import Table

import shredfinder
from shredfinder._utils.files import atomic_write
from shredfinder._utils.runtime import import_optional
from shredfinder.plotting import (
    plot_field_view,
    plot_gallery,
    plot_merge_gallery,
    plot_shred_fractions,
)
from shredfinder.plotting.thumbnails import make_data_uri

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from shredfinder._utils.validation import PathLike

__all__ = ["check_report", "write_report"]

# Longest tables in the page; the files of the search hold all rows.
_MAX_ROWS = 20
_FORMATS = {
    "ra": ".5f", "dec": "+.5f", "r_eff": ".2f", "mu_eff": ".2f", "p_cnn": ".3f",
    "separation": ".0f", "projected_separation": ".1f", "g": ".2f", "r": ".2f", "z": ".2f",
    "i": ".2f", "shred_fraction": ".1%", "shred_fraction_low": ".1%",
    "shred_fraction_high": ".1%", "r_before": ".2f", "change": "+.2f",
}  # fmt: skip
_HEADS = {
    "shred_fraction": "fraction",
    "shred_fraction_low": "low",
    "shred_fraction_high": "high",
    "n_candidates": "scored",
    "n_scored": "scored",
    "n_shreds": "shreds",
    "n_unscored": "unscored",
    "projected_separation": "from host",
    "host_id": "host",
    "r_before": "r before",
    "merge_kind": "kind",
}
_CLEAN_COLUMNS = (
    "objid", "ra", "dec", "g", "r", "z", "i", "r_eff", "mu_eff", "host_id",
    "projected_separation", "p_cnn",
)  # fmt: skip


# The functions here take a SatelliteSearch. They do not name its type, since its module imports
# this one.


def write_report(search, path: PathLike) -> None:
    """Write a report of a search: counts, fractions, the field, examples, hosts, provenance.

    Parameters
    ----------
    search : SatelliteSearch
        The search.
    path : path-like
        An ``.html`` or ``.pdf`` file, replaced if it exists.

    Raises
    ------
    ValueError
        If the file name has another extension.
    MissingDependencyError
        If matplotlib or Jinja2 is not installed.
    FileNotFoundError
        If the folder does not exist.
    """
    check_report(path)
    path = Path(path)
    figures = _draw_figures(search)
    with atomic_write(path) as temporary:
        if path.suffix.lower() == ".pdf":
            _write_pdf(search, figures, temporary)
        else:
            temporary.write_text(_render_page(search, figures), encoding="utf-8")


def check_report(path: PathLike) -> None:
    """Check that a report can be written, before hours of work.

    Parameters
    ----------
    path : path-like
        The report's file.

    Raises
    ------
    ValueError
        If its extension is none of ``.html``, ``.htm`` and ``.pdf``.
    MissingDependencyError
        If matplotlib or Jinja2 is not installed.
    """
    if Path(path).suffix.lower() not in (".html", ".htm", ".pdf"):
        raise ValueError(f"a report is an .html or .pdf file: got {str(path)!r}")
    for package in ("matplotlib", "jinja2"):
        import_optional(package, "writing a report")


def _draw_figures(search) -> dict[str, Figure]:
    """Draw the figures named ``view``, ``fractions``, ``merged``, ``shreds`` and ``galaxies``."""
    figures = {}
    if search.view is not None:
        figures["view"] = plot_field_view(search.view, threshold=search.threshold)
    overall = search.shred_fraction[0]
    if overall["n_scored"]:
        figures["fractions"] = _draw_fractions(search, overall["shred_fraction"])
    if search.merged is not None and search.merged.lights:
        figures["merged"] = plot_merge_gallery(
            search.merged.lights, heading="The largest changes of merged galaxies"
        )
    for name, (rows, cutouts) in search.galleries.items():
        sign = "≥" if name == "shreds" else "<"
        figures[name] = plot_gallery(
            cutouts,
            scores=rows["p_cnn"],
            titles=[f"r = {r:.2f}" for r in rows["r"]],
            n_columns=5,
            heading=f"{len(rows)} of the {name} (p_cnn {sign} {search.threshold:g})",
        )
    return figures


def _draw_fractions(search, overall: float) -> Figure:
    figure = _make_figure(9.2, 3.3, layout="constrained")
    left, right = figure.subplots(1, 2)
    plot_shred_fractions(
        search.fractions_by_magnitude(), label="r (mag)", overall=overall, ax=left
    )  # fmt: skip
    by_separation = search.fractions_by_separation()
    unit = by_separation["low"].unit
    axis = "projected separation from the host" if unit == "kpc" else "angle from the centre"
    plot_shred_fractions(by_separation, label=f"{axis} ({unit})", overall=overall, ax=right)
    return figure


def _make_figure(width: float, height: float, **options: Any) -> Figure:
    figure_class = import_optional("matplotlib.figure", "drawing a report").Figure
    return figure_class(figsize=(width, height), **options)


def _describe_settings(settings: dict[str, Any]) -> dict[str, str]:
    """Convert the settings of a search to text."""
    described = {}
    for key, value in settings.items():
        if isinstance(value, dict):
            value = ", ".join(f"{name} {item}" for name, item in value.items() if item is not None)
        if value is None:
            value = "none: p_cnn at the training set's shred fraction" if key == "prior" else "none"
        described[key] = str(value)
    return described


def _get_title(search) -> str:
    where = search.name or search.center.to_string("hmsdms", precision=0)
    return f"Satellite candidates around {where}"


# PDF


def _write_pdf(search, figures: dict[str, Figure], path: Path) -> None:
    from matplotlib.backends.backend_pdf import PdfPages

    with PdfPages(path) as pages:
        pages.savefig(_draw_text(search))
        for figure in figures.values():
            pages.savefig(figure)


def _draw_text(search) -> Figure:
    """Draw the first page: summary, settings and warnings."""
    figure = _make_figure(8.3, 11.7)
    figure.text(0.08, 0.95, _get_title(search), fontsize=16, va="top")
    lines = [
        f"{search.survey}, {search.radius.to_value('deg'):.3f} deg around "
        f"{search.center.to_string('hmsdms', precision=1)}",
        "",
        *search.summary().splitlines(),
        "",
        *(f"{key}: {value}" for key, value in _describe_settings(search.settings).items()),
        "",
        *search.warnings,
    ]
    wrapped = [
        part for line in lines for part in textwrap.wrap(line, 88, subsequent_indent="    ") or [""]
    ]
    # 95 lines fill the page. Names may hold dollar signs, which are not formulas.
    figure.text(
        0.08, 0.91, "\n".join(wrapped[:95]), fontsize=7.5, va="top", family="monospace",
        parse_math=False,
    )  # fmt: skip
    return figure


# HTML


def _render_page(search, figures: dict[str, Figure]) -> str:
    """Fill the template of the page, which refers to nothing outside of itself."""
    jinja2 = import_optional("jinja2", "writing a report")
    source = resources.files("shredfinder.pipeline").joinpath("report.html")
    environment = jinja2.Environment(
        # Names, columns and settings come from catalogues: all of them are escaped.
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.from_string(source.read_text(encoding="utf-8"))
    pictures: dict[str, str | None] = dict.fromkeys(
        ("view", "fractions", "shreds", "galaxies", "merged")
    )
    for name, figure in figures.items():
        pictures[name] = _encode_figure(figure, "png" if name == "fractions" else "jpeg")
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return template.render(
        title=_get_title(search),
        region=f"{search.survey}, within {search.radius.to_value('deg'):.3g}° of "
        f"{search.center.to_string('hmsdms', precision=1)} (ICRS)",
        tiles=_list_tiles(search),
        warnings=search.warnings,
        counts=_format_table(search.counts, {"n": "rows", "what": ""}),
        unscored=", ".join(f"{n} {reason}" for reason, n in search.reasons.items()),
        pictures=pictures,
        fractions=_format_table(_join_fractions(search)),
        **_format_criteria(search),
        **_format_hosts(search),
        **_format_satellites(search),
        **_format_merged(search),
        settings=_describe_settings(search.settings)
        | {"made": f"shredfinder {shredfinder.__version__}, {made}"},
    )


def _encode_figure(figure: Figure, kind: str) -> str:
    buffer = io.BytesIO()
    # Images compress well as JPEG; line drawings stay sharp as PNG.
    options: dict[str, Any] = {"pil_kwargs": {"quality": 88}} if kind == "jpeg" else {}
    figure.savefig(buffer, format=kind, dpi=130, **options)
    return make_data_uri(buffer.getvalue(), kind)


def _list_tiles(search) -> list[tuple[str, str]]:
    """List the numbers at the top of the page, each with its label."""
    found = search.shred_fraction[0]
    tiles = [
        (f"{len(search.satellites):,}", "satellite candidates in the clean table"),
        (f"{found['n_shreds']:,}", f"shreds (p_cnn ≥ {search.threshold:g})"),
    ]
    if found["n_scored"]:
        low, high = found["shred_fraction_low"], found["shred_fraction_high"]
        tiles.append((f"{found['shred_fraction']:.1%}", f"shred fraction, {low:.1%} to {high:.1%}"))
    tiles.append((f"{found['n_unscored']:,}", "unscored candidates"))
    return tiles


def _format_criteria(search) -> dict[str, Any]:
    if search.view is None or not len(search.view.criteria):
        return {"criteria": None, "n_field": 0}
    heads = {"removed": "removed", "removed_alone": "removed by it alone", "left": "left after it"}
    return {
        "criteria": _format_table(search.view.criteria, heads),
        "n_field": len(search.view.panels[0].table),
    }


def _format_hosts(search) -> dict[str, Any]:
    if not len(search.hosts):
        return {"hosts": None, "n_hosts": 0}
    # Negated, for descending order; ties stay in the hosts' order.
    richest = np.argsort(-np.asarray(search.hosts["n_candidates"]), kind="stable")[:_MAX_ROWS]
    columns = [name for name in search.hosts.colnames if name != "host_index"]
    return {"hosts": _format_table(search.hosts[richest][columns]), "n_hosts": len(search.hosts)}


def _format_satellites(search) -> dict[str, Any]:
    table = search.satellites if search.merged is None else search.merged.satellites
    if not len(table):
        return {"satellites": None, "n_satellites": 0}
    columns = [name for name in _CLEAN_COLUMNS if name in table.colnames]
    brightest = np.argsort(np.asarray(table["r"]), kind="stable")[:_MAX_ROWS]
    return {"satellites": _format_table(table[brightest][columns]), "n_satellites": len(table)}


def _format_merged(search) -> dict[str, Any]:
    if search.merged is None:
        return {"merged": None, "changes": None, "n_changes": 0}
    changes = search.merged.changes
    return {
        "merged": search.merged.summary().splitlines(),
        "changes": _format_table(changes[:_MAX_ROWS]) if len(changes) else None,
        "n_changes": len(changes),
    }


def _join_fractions(search) -> Table:
    """Join the fractions by magnitude and by separation in one table."""
    by_magnitude, by_separation = search.fractions_by_magnitude(), search.fractions_by_separation()
    # Without the edges of the bins, which become one label.
    counted = by_magnitude.colnames[2:]
    rows = []
    for table, name in ((by_magnitude, "r"), (by_separation, "separation")):
        unit = table["low"].unit or ("mag" if name == "r" else "")
        for row in table:
            label = f"{name} {row['low']:g} to {row['high']:g} {unit}"
            rows.append((label, *(row[column] for column in counted)))
    return Table(rows=rows, names=("bin", *counted))


def _format_table(table: Table, heads: dict[str, str] | None = None) -> dict[str, list]:
    """Format a table for the template: the text of each cell, and whether it is a number."""
    heads = _HEADS | (heads or {})
    names = table.colnames
    # Identifiers are integers, but are not aligned as numbers.
    numeric = [table[name].dtype.kind in "iuf" and name != "objid" for name in names]
    labels = []
    for name in names:
        unit = table[name].unit
        text = "" if unit is None else f" ({unit})".replace("mag / arcsec2", "mag/arcsec²")
        labels.append(heads.get(name, name) + text)
    cells = [[_format_value(name, row[name]) for name in names] for row in table]
    return {
        "heads": list(zip(labels, numeric, strict=True)),
        "rows": [list(zip(texts, numeric, strict=True)) for texts in cells],
    }


def _format_value(name: str, value: Any) -> str:
    if value is np.ma.masked:
        return ""
    if isinstance(value, float | np.floating):
        return "–" if np.isnan(value) else format(float(value), _FORMATS.get(name, ".4g"))
    if name == "n":
        return f"{value:,}" if value >= 0 else "not known"
    return str(value)
