"""The figures of a report."""

import textwrap

from shredfinder._utils.runtime import import_optional
from shredfinder.pipeline.settings import describe_settings
from shredfinder.plotting import plot_field_view, plot_gallery, plot_shred_fractions

__all__ = ["draw_figures", "draw_text", "title_of"]

_WORDS = {"shreds": "p_cnn ≥ {:g}", "galaxies": "p_cnn < {:g}"}


def draw_figures(search):
    """Draw what a search has to show.

    Parameters
    ----------
    search : SatelliteSearch
        The search.

    Returns
    -------
    figures : dict
        From ``"view"``, ``"fractions"``, ``"shreds"`` and ``"galaxies"`` to figures; what there is
        nothing to show of is left out.
    """
    figures = {}
    if search.view is not None:
        figures["view"] = plot_field_view(search.view, threshold=search.threshold)
    overall = search.shred_fraction[0]
    if overall["n_scored"]:
        figures["fractions"] = _draw_fractions(search, overall["shred_fraction"])
    for name, (rows, cutouts) in search.galleries.items():
        figures[name] = plot_gallery(
            cutouts,
            scores=rows["p_cnn"],
            titles=[f"r = {r:.2f}" for r in rows["r"]],
            n_columns=5,
            heading=f"{len(rows)} of the {name} ({_WORDS[name].format(search.threshold)})",
        )
    return figures


def _draw_fractions(search, overall):
    figure = import_optional("matplotlib.figure", "drawing a report").Figure(
        figsize=(9.2, 3.3), layout="constrained"
    )
    left, right = figure.subplots(1, 2)
    by_magnitude, by_separation = (
        search.fractions_by_magnitude(), search.fractions_by_separation()
    )  # fmt: skip
    plot_shred_fractions(by_magnitude, label="r (mag)", overall=overall, ax=left)
    unit = by_separation["low"].unit
    words = "projected separation from the host" if unit == "kpc" else "angle from the centre"
    plot_shred_fractions(by_separation, label=f"{words} ({unit})", overall=overall, ax=right)
    return figure


def title_of(search):
    """Say in a few words what was searched where."""
    where = search.name or search.center.to_string("hmsdms", precision=0)
    return f"Satellite candidates around {where}"


def draw_text(search):
    """Make the first page of a PDF report: the summary, and what was asked for."""
    figure = import_optional("matplotlib.figure", "drawing a report").Figure(figsize=(8.3, 11.7))
    figure.text(0.08, 0.95, title_of(search), fontsize=16, va="top")
    lines = [
        f"{search.survey}, {search.radius.to_value('deg'):.3f} deg around "
        f"{search.center.to_string('hmsdms', precision=1)}",
        "",
        *search.summary().splitlines(),
        "",
        *(f"{key}: {value}" for key, value in describe_settings(search.settings).items()),
        "",
        *search.warnings,
    ]
    wrapped = [
        part for line in lines for part in textwrap.wrap(line, 88, subsequent_indent="    ") or [""]
    ]
    figure.text(
        0.08, 0.91, "\n".join(wrapped[:95]), fontsize=7.5, va="top", family="monospace",
        parse_math=False,
    )  # fmt: skip
    return figure
