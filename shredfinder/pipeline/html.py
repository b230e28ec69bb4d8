"""The HTML page of a report: one file, with its pictures inside."""

import io
from datetime import UTC, datetime
from html import escape

import numpy as np
from astropy.table import Table

import shredfinder
from shredfinder.pipeline.figures import title_of
from shredfinder.pipeline.settings import describe_settings
from shredfinder.plotting.thumbnails import make_data_uri

__all__ = ["make_page"]

_STYLE = """
body { font: 15px/1.5 system-ui, -apple-system, "DejaVu Sans", sans-serif; color: #1c2430;
       max-width: 1080px; margin: 2rem auto; padding: 0 1.2rem; background: #fff; }
h1 { font-size: 1.7rem; margin: 0 0 .2rem; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem;
     border-bottom: 1px solid #d8dde5; padding-bottom: .25rem; }
.sub { color: #5b6675; margin: 0 0 1.2rem; }
.tiles { display: flex; flex-wrap: wrap; gap: .8rem; }
.tile { border: 1px solid #d8dde5; border-radius: 6px; padding: .6rem 1rem; min-width: 8rem; }
.tile b { display: block; font-size: 1.5rem; line-height: 1.25; }
.tile span { color: #5b6675; font-size: .85rem; }
table { border-collapse: collapse; font-size: .88rem; }
th, td { padding: .22rem .8rem .22rem 0; text-align: left; vertical-align: top; }
th { color: #5b6675; font-weight: 600; border-bottom: 1px solid #d8dde5; }
.facts th { border: 0; white-space: nowrap; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
img { max-width: 100%; height: auto; display: block; margin: .4rem 0; }
.note { background: #fff6dd; border-left: 4px solid #e2b33b; padding: .5rem .9rem; margin: .5rem 0;
        font-size: .9rem; }
.scroll { overflow-x: auto; } .wrap { overflow-wrap: anywhere; }
.small { color: #5b6675; font-size: .85rem; }
"""
# Rows of long tables that are shown.
_MOST = 20
_FORMATS = {
    "ra": ".5f", "dec": "+.5f", "r_eff": ".2f", "mu_eff": ".2f", "p_cnn": ".3f",
    "separation": ".0f", "projected_separation": ".1f", "g": ".2f", "r": ".2f", "z": ".2f",
    "i": ".2f", "shred_fraction": ".1%", "shred_fraction_low": ".1%",
    "shred_fraction_high": ".1%",
}  # fmt: skip
_HEADS = {
    "shred_fraction": "fraction",
    "shred_fraction_low": "low",
    "shred_fraction_high": "high",
    "n_candidates": "scored",
    "n_scored": "scored",
    "n_shreds": "shreds",
    "n_unscored": "no answer",
    "projected_separation": "from host",
    "host_id": "host",
}
_CAPTIONS = {
    "view": "Left: all sources of the Legacy catalogue. Middle and right: what the cuts leave of "
    "Legacy and SDSS; shreds are yellow, galaxies red and dashed, grey ones have no answer. The "
    "blue mark is the centre; the dashed square is as large as the image that a source is scored "
    "by.",
    "shreds": "The network's p_cnn stands in the corner of each cutout, the source at its centre.",
}


def make_page(search, figures):
    """Write the page.

    Parameters
    ----------
    search : SatelliteSearch
        The search.
    figures : dict
        From names to figures, as `~shredfinder.pipeline.figures.draw_figures` draws them.

    Returns
    -------
    page : str
        HTML that refers to nothing outside of itself.
    """
    parts = [
        f"<h1>{escape(title_of(search))}</h1>",
        f'<p class="sub">{escape(_subtitle(search))}</p>',
        _tiles(search),
        *(f'<p class="note">{escape(message)}</p>' for message in search.warnings),
        "<h2>Rows after each step</h2>",
        _table(search.counts, heads={"n": "rows", "what": ""}),
        _unanswered(search),
    ]
    if "view" in figures:
        parts += [
            "<h2>The field</h2>",
            _picture(figures["view"], "jpeg", "three views of the field"),
        ]
        parts.append(f'<p class="small">{_CAPTIONS["view"]}</p>')
        parts.append(_criteria(search))
    if "fractions" in figures:
        parts += [
            "<h2>Fraction of shreds</h2>",
            _picture(figures["fractions"], "png", "shred fraction by magnitude and separation"),
            '<p class="small">Bars are binomial intervals (Wilson, 68 %), numbers the scored '
            "candidates of a bin; the dashed line is the fraction of all. Sources without an "
            "answer and hosts' own entries are in no bin. p_cnn holds for a mix of 40 % shreds "
            "unless a prior was given.</p>",
            '<div class="scroll">',
            _table(_joined(search)),
            "</div>",
        ]
    for name in ("shreds", "galaxies"):
        if name in figures:
            parts += [f"<h2>{name.capitalize()}</h2>", _picture(figures[name], "jpeg", name)]
            parts.append(f'<p class="small">{_CAPTIONS.get(name, "")}</p>')
    parts += _hosts(search) + _satellites(search) + _settings(search)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title_of(search))}</title><style>{_STYLE}</style></head>\n<body>\n"
        + "\n".join(part for part in parts if part)
        + "\n</body></html>\n"
    )


def _subtitle(search):
    return (
        f"{search.survey}, within {search.radius.to_value('deg'):.3g}° of "
        f"{search.center.to_string('hmsdms', precision=1)} (ICRS)"
    )


def _tiles(search):
    found = search.shred_fraction[0]
    tiles = [
        (f"{len(search.satellites):,}", "satellite candidates in the clean table"),
        (f"{found['n_shreds']:,}", f"shreds (p_cnn ≥ {search.threshold:g})"),
    ]
    if found["n_scored"]:
        low, high = found["shred_fraction_low"], found["shred_fraction_high"]
        tiles.append((f"{found['shred_fraction']:.1%}", f"shred fraction, {low:.1%} to {high:.1%}"))
    tiles.append((f"{found['n_unscored']:,}", "candidates without an answer"))
    made = "".join(
        f'<div class="tile"><b>{number}</b><span>{escape(words)}</span></div>'
        for number, words in tiles
    )
    return f'<div class="tiles">{made}</div>'


def _unanswered(search):
    if not search.reasons:
        return ""
    listed = ", ".join(f"{n} {reason}" for reason, n in search.reasons.items())
    return (
        f'<p class="small">Without an answer, and in no fraction and not in the clean table: '
        f"{escape(listed)}.</p>"
    )


def _criteria(search):
    criteria = search.view.criteria
    if not len(criteria):
        return ""
    names = {"removed": "removes", "removed_alone": "it alone", "left": "left after it"}
    return (
        f"<details><summary>What each criterion removes of the {len(search.view.panels[0].table)} "
        f"Legacy sources in this field</summary>{_table(criteria, heads=names)}</details>"
    )


def _joined(search):
    rows = []
    for table, word in (
        (search.fractions_by_magnitude(), "r"),
        (search.fractions_by_separation(), "separation"),
    ):
        unit = table["low"].unit or ("mag" if word == "r" else "")
        for row in table:
            label = f"{word} {row['low']:g} to {row['high']:g} {unit}"
            rows.append((label, *(row[name] for name in table.colnames[2:])))
    return Table(rows=rows, names=("bin", *table.colnames[2:]))


def _hosts(search):
    if not len(search.hosts):
        return []
    order = np.argsort(-np.asarray(search.hosts["n_candidates"]), kind="stable")[:_MOST]
    columns = [name for name in search.hosts.colnames if name != "host_index"]
    more = len(search.hosts) - len(order)
    return [
        f"<h2>Hosts ({len(search.hosts)})</h2>",
        '<div class="scroll">',
        _table(search.hosts[order][columns]),
        "</div>",
        f'<p class="small">… and {more} more.</p>' if more > 0 else "",
    ]


def _satellites(search):
    table = search.satellites
    if not len(table):
        return []
    names = [
        name
        for name in ("objid", "ra", "dec", "g", "r", "z", "i", "r_eff", "mu_eff", "host_id",
                     "projected_separation", "p_cnn")
        if name in table.colnames
    ]  # fmt: skip
    brightest = np.argsort(np.asarray(table["r"]), kind="stable")[:_MOST]
    more = len(table) - len(brightest)
    return [
        f"<h2>The clean table: {len(table)} candidates</h2>",
        '<div class="scroll">',
        _table(table[brightest][names]),
        "</div>",
        f'<p class="small">The brightest in r; {more} more are in the table.</p>' if more else "",
    ]


def _settings(search):
    rows = []
    for key, value in describe_settings(search.settings).items():
        rows.append(f'<tr><th>{escape(key)}</th><td class="wrap">{escape(value)}</td></tr>')
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    rows.append(f"<tr><th>made</th><td>shredfinder {shredfinder.__version__}, {made}</td></tr>")
    return ["<h2>How it was made</h2>", f'<table class="facts">{"".join(rows)}</table>']


def _table(table, *, heads=None):
    heads = _HEADS | (heads or {})
    names = table.colnames
    numeric = [table[name].dtype.kind in "iuf" and name != "objid" for name in names]
    units = [f" ({table[n].unit})" if table[n].unit is not None else "" for n in names]
    units = [unit.replace("mag / arcsec2", "mag/arcsec²") for unit in units]
    cells = "".join(
        f"<th{_class(right)}>{escape(heads.get(name, name) + unit)}</th>"
        for name, right, unit in zip(names, numeric, units, strict=True)
    )
    lines = [f"<tr>{cells}</tr>"]
    for row in table:
        cells = "".join(
            f"<td{_class(right)}>{escape(_format(name, row[name]))}</td>"
            for name, right in zip(names, numeric, strict=True)
        )
        lines.append(f"<tr>{cells}</tr>")
    return f"<table>{''.join(lines)}</table>"


def _class(right):
    return ' class="n"' if right else ""


def _format(name, value):
    if value is np.ma.masked:
        return ""
    if isinstance(value, float | np.floating):
        return "–" if np.isnan(value) else format(float(value), _FORMATS.get(name, ".4g"))
    if name == "n":
        return f"{value:,}" if value >= 0 else "not known"
    return str(value)


def _picture(figure, kind, words):
    buffer = io.BytesIO()
    options = {"pil_kwargs": {"quality": 88}} if kind == "jpeg" else {}
    figure.savefig(buffer, format=kind, dpi=130, **options)
    return f'<img alt="{escape(words)}" src="{make_data_uri(buffer.getvalue(), kind)}">'
