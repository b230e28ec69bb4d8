"""A colour image of a field with its sources marked by class."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table
from astropy.wcs.utils import proj_plane_pixel_scales

from shredfinder._utils.runtime import import_optional
from shredfinder.plotting.style import draw_circles, draw_cross, make_figure

if TYPE_CHECKING:
    from astropy.units import Quantity
    from astropy.visualization.wcsaxes import WCSAxes
    from astropy.wcs import WCS
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

__all__ = ["FieldPanel", "FieldView", "plot_field", "plot_field_view"]

# The paper's yellow and red, in shades that stay apart for colour-blind readers; the lines'
# styles say the same without colour.
_STYLES = {
    "shred": {"color": "#ffe11a", "linestyle": "solid", "linewidth": 1.8},
    "galaxy": {"color": "#ff4d4d", "linestyle": (0, (5, 1.5)), "linewidth": 1.4},
    "unscored": {"color": "#c0c0c0", "linestyle": (0, (1, 1.5)), "linewidth": 1.4},
}


def plot_field(
    image: ArrayLike,
    wcs: WCS,
    table: Table | None = None,
    *,
    coords: SkyCoord | None = None,
    score: str = "p_cnn",
    threshold: float = 0.5,
    radius: Quantity | str = 4 * u.arcsec,
    cutout: SkyCoord | None = None,
    cutout_size: Quantity = 60 * u.arcsec,
    legend: bool = True,
    ax: WCSAxes | None = None,
) -> WCSAxes:
    """Show a field with its sources: shreds, galaxies and those without an answer.

    As in figure 1 of Di Teodoro, Peek & Wu (2023): each source is a circle, yellow for
    shreds and red for galaxies. Line styles differ too: solid for shreds, dashed for galaxies,
    dotted and grey for sources without an answer.

    Parameters
    ----------
    image : array_like
        Red, green and blue, of shape ``(height, width, 3)``, uint8 or float in 0–1, its rows in
        the order of ``wcs`` (in FITS files the first is the lowest).
    wcs : `~astropy.wcs.WCS`
        The image's celestial coordinates.
    table : `~astropy.table.Table`, optional
        The sources.
    coords : `~astropy.coordinates.SkyCoord`, optional
        Their positions, one a row; by default from the columns ``ra`` and ``dec`` (in deg
        if they have no unit).
    score : str, optional
        Column with the probability of being a shred. Rows where it is NaN or masked, and all
        rows if there is no such column, have no answer.
    threshold : float, optional
        Score from which on a source is shown as a shred.
    radius : `~astropy.units.Quantity` or str, optional
        Radius of the circles as an angle, or a column of angles (in arcsec if it has no unit).
    cutout : `~astropy.coordinates.SkyCoord`, optional
        Centre of a white dashed square, of the size of a classifier's cutout.
    cutout_size : `~astropy.units.Quantity`, optional
        Side of that square.
    legend : bool, optional
        Whether to name the classes, with the number of sources of each.
    ax : `~astropy.visualization.wcsaxes.WCSAxes`, optional
        Where to draw; by default in a figure of its own, which pyplot does not know of.

    Returns
    -------
    ax : `~astropy.visualization.wcsaxes.WCSAxes`
        The axes; ``ax.figure.savefig("field.png")`` saves them.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed.
    ValueError
        If the image's shape, the columns or the axes do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder.datasets import make_field
    >>> from shredfinder.plotting import plot_field
    >>> simulated = make_field(size=320, n_hosts=1, random_state=1)
    >>> sources = simulated.sources
    >>> sources["p_cnn"] = np.where(sources["label"] == "shred", 0.9, 0.1)
    >>> ax = plot_field(simulated.image, simulated.wcs, sources)
    >>> ax.get_xlim() == (-0.5, 319.5)
    True
    """
    _import_matplotlib("matplotlib.figure")
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"the image must have the shape (height, width, 3), not {image.shape}")
    shape = getattr(wcs, "array_shape", None)
    if shape is not None and tuple(shape) != image.shape[:2]:
        raise ValueError(
            f"the image, of shape {image.shape[:2]}, is not that of the WCS, of shape {shape}"
        )
    if ax is None:
        ax = _make_axes(wcs, image.shape)
    elif not hasattr(ax, "coords"):
        raise ValueError(
            "ax must be WCSAxes: make it with figure.add_subplot(projection=wcs), or leave it out"
        )
    ax.imshow(image, origin="lower", interpolation="nearest")
    # Angles are turned to pixels with the mean scale; pixels of surveys are square.
    scale = np.sqrt(np.prod(proj_plane_pixel_scales(wcs.celestial))) * 3600
    if table is not None and len(table):
        x, y = wcs.world_to_pixel(_get_coords(table) if coords is None else coords)
        classes = _find_classes(table, score, threshold)
        radii = _get_radii(table, radius) / scale
        handles = [
            _draw_circles(ax, x, y, radii, classes == name, name, score, threshold)
            for name in _STYLES
            if (classes == name).any()
        ]
        if legend:
            ax.legend(
                handles=handles,
                loc="upper right",
                fontsize="small",
                facecolor="0.15",
                labelcolor="white",
                framealpha=0.9,
            )
    if cutout is not None:
        x, y = wcs.world_to_pixel(cutout)
        _draw_square(ax, x, y, cutout_size.to_value(u.arcsec) / scale)
    ax.set_xlim(-0.5, image.shape[1] - 0.5)
    ax.set_ylim(-0.5, image.shape[0] - 0.5)
    return ax


def _make_axes(wcs, shape):
    ax = make_figure(8, 8 * shape[0] / shape[1]).add_subplot(projection=wcs)
    for axis, words in zip(ax.coords, ("Right ascension", "Declination"), strict=True):
        axis.set_axislabel(f"{words} (ICRS)")
    return ax


def _get_coords(table):
    missing = [name for name in ("ra", "dec") if name not in table.colnames]
    if missing:
        raise ValueError(
            f"the table has no column {' and no column '.join(missing)}: give the positions "
            "as coords=SkyCoord(...)"
        )
    ra, dec = (_to_angles(table[name], u.deg) for name in ("ra", "dec"))
    # Masked or missing positions are drawn nowhere; SkyCoord would not take all of them.
    good = np.isfinite(ra) & np.isfinite(dec) & (np.abs(dec) <= 90)
    return SkyCoord(np.where(good, ra, np.nan), np.where(good, dec, np.nan), unit="deg")


def _to_angles(column, unit):
    """Values of a column in a unit, which it is taken to have if it has none; NaN if masked."""
    values = np.ma.filled(np.ma.asarray(getattr(column, "value", column), dtype=float), np.nan)
    return u.Quantity(values, getattr(column, "unit", None) or unit).to_value(unit)


def _get_radii(table, radius):
    if isinstance(radius, str):
        if radius not in table.colnames:
            raise ValueError(f"the table has no column {radius!r} to take the circles' radii from")
        return _to_angles(table[radius], u.arcsec)
    return np.full(len(table), u.Quantity(radius).to_value(u.arcsec))


def _find_classes(table, score, threshold):
    if score not in table.colnames:
        return np.full(len(table), "unscored")
    scores = np.ma.filled(np.ma.asarray(table[score], dtype=float), np.nan)
    classes = np.where(scores >= threshold, "shred", "galaxy")
    return np.where(np.isfinite(scores), classes, "unscored")


def _draw_circles(ax, x, y, radii, chosen, name, score, threshold):
    """Draw the circles of one class; return the legend's entry."""
    chosen = chosen & np.isfinite(x) & np.isfinite(y)
    style = _STYLES[name]
    circles = draw_circles(
        ax,
        x[chosen],
        y[chosen],
        radii[chosen],
        edgecolors=style["color"],
        linestyles=[style["linestyle"]],
        linewidths=style["linewidth"],
    )
    circles.set_label(name)
    words = {
        "shred": f"shred ({score} ≥ {threshold:g})",
        "galaxy": f"galaxy ({score} < {threshold:g})",
        "unscored": "no answer",
    }[name]
    line = _import_matplotlib("matplotlib.lines").Line2D
    return line([], [], label=f"{words}: {chosen.sum()}", **style)


def _draw_square(ax, x, y, side):
    square = _import_matplotlib("matplotlib.patches").Rectangle(
        (float(x) - side / 2, float(y) - side / 2), side, side, fill=False
    )
    square.set(edgecolor="white", linestyle="dashed", linewidth=1.5, label="cutout")
    ax.add_patch(square)


def _import_matplotlib(module):
    return import_optional(module, "drawing a figure")


# The circles' radius as a part of the field's width, but no less than this in arcsec.
_CIRCLE = 0.012
_LEAST_CIRCLE = 1.6


@dataclass
class FieldPanel:
    """One panel of a field view.

    Attributes
    ----------
    title : str
        What it shows.
    table : `~astropy.table.Table`
        The sources, with ``ra`` and ``dec``, and ``p_cnn`` if they are scored.
    note : str
        Why there are no sources, where the catalogue could not be asked.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from shredfinder.plotting import FieldPanel
    >>> FieldPanel("My catalogue", Table({"ra": [143.04], "dec": [21.5]})).title
    'My catalogue'
    """

    title: str
    table: Table
    note: str = ""


@dataclass
class FieldView:
    """A colour image of a field, and panels of sources to be drawn on it.

    Attributes
    ----------
    image : `~numpy.ndarray`
        Red, green and blue, uint8 of shape ``(height, width, 3)``, the first row in the south.
    wcs : `~astropy.wcs.WCS`
        Its celestial coordinates.
    panels : list of FieldPanel
        All sources, those after the Legacy cuts, those after the SDSS cuts.
    host : `~astropy.coordinates.SkyCoord`
        What is at the centre.
    name : str
        Its name.
    cutout_size : `~astropy.units.Quantity`
        Side of the images that are scored.
    criteria : `~astropy.table.Table`
        What each criterion of the cuts removes of all Legacy sources in the field, as
        `~shredfinder.cuts.QualityResult.summary` counts it.
    note : str
        Why there is no image, where there is none.

    Examples
    --------
    See `plot_field_view`.
    """

    image: np.ndarray
    wcs: WCS
    panels: list
    host: object
    name: str = ""
    cutout_size: u.Quantity = 60 * u.arcsec
    criteria: Table = field(default_factory=Table)
    note: str = ""


def plot_field_view(view: FieldView, *, threshold: float = 0.5, panel_size: float = 4.2) -> Figure:
    """Show a field in panels: all sources, and those that the cuts leave, by class.

    As in figure 1 of Di Teodoro, Peek & Wu (2023): white circles for sources that are not
    scored; yellow ones for shreds and red, dashed ones for galaxies. The host at the centre is
    marked in every panel, and a dashed white square in the last one is as large as the image
    that a source is scored by.

    Parameters
    ----------
    view : `~shredfinder.plotting.FieldView`
        Image and panels.
    threshold : float, optional
        Score from which on a source is shown as a shred.
    panel_size : float, optional
        Width and height of a panel in inches.

    Returns
    -------
    figure : `~matplotlib.figure.Figure`
        The figure, which pyplot does not know of.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed.

    Examples
    --------
    >>> from shredfinder.datasets import make_field
    >>> from shredfinder.plotting import FieldPanel, FieldView
    >>> from shredfinder.plotting import plot_field_view
    >>> field = make_field(size=320, n_hosts=1, random_state=1)
    >>> panels = [FieldPanel("all sources", field.sources["ra", "dec"])]
    >>> center = field.wcs.pixel_to_world(160, 160)
    >>> figure = plot_field_view(FieldView(field.image, field.wcs, panels, center, "a disc"))
    >>> figure.axes[0].get_title()
    'all sources (10)'
    """
    figure = make_figure(panel_size * len(view.panels) + 0.3, panel_size + 0.5)
    # The layout leaves no room for titles of axes with celestial coordinates.
    figure.get_layout_engine().set(rect=(0, 0, 1, 0.95))
    width = view.image.shape[1] * abs(view.wcs.wcs.cdelt[0]) * 3600
    radius = max(_CIRCLE * width, _LEAST_CIRCLE)
    for i, panel in enumerate(view.panels):
        ax = figure.add_subplot(1, len(view.panels), i + 1, projection=view.wcs)
        scored = "p_cnn" in panel.table.colnames
        last = i == len(view.panels) - 1
        plot_field(
            view.image,
            view.wcs,
            panel.table if scored else None,
            threshold=threshold,
            radius=radius * u.arcsec,
            cutout=_choose_square(view, panel, threshold) if last else None,
            cutout_size=view.cutout_size,
            ax=ax,
        )
        if not scored:
            _draw_plain(ax, view.wcs, panel.table, radius / width * view.image.shape[1])
        _mark_host(ax, view)
        ax.set_title(f"{panel.title} ({len(panel.table)})", fontsize=10)
        for note, y in ((panel.note, 0.5), (view.note, 0.03)):
            if note:
                ax.text(
                    0.5, y, note, transform=ax.transAxes, color="white", ha="center", fontsize=9
                )
        _label_axes(ax, first=i == 0)
    return figure


def _label_axes(ax, *, first):
    longitude, latitude = ax.coords
    longitude.set_axislabel("Right ascension", fontsize=8)
    longitude.set_ticklabel(size=7)
    longitude.set_ticks(number=4)
    latitude.set_ticklabel(size=7)
    latitude.set_axislabel("Declination" if first else " ", fontsize=8)
    latitude.set_ticklabel_visible(first)


def _draw_plain(ax, wcs, table, radius):
    """Draw white circles; the radius is in pixels."""
    if not len(table):
        return
    x, y = wcs.wcs_world2pix(np.asarray(table["ra"]), np.asarray(table["dec"]), 0)
    draw_circles(ax, x, y, np.full(len(x), radius), edgecolors="white", linewidths=0.8)


def _mark_host(ax, view):
    x, y = view.wcs.world_to_pixel(view.host)
    gap, length = 0.025 * view.image.shape[1], 0.035 * view.image.shape[1]
    draw_cross(ax, x, y, gap, length, color="#5ad1ff", linewidth=1.6)
    if view.name:
        ax.text(
            x, y - 1.25 * (gap + length), view.name, color="#5ad1ff", ha="center", va="top",
            fontsize=8, bbox={"facecolor": "black", "alpha": 0.45, "pad": 1.2, "linewidth": 0},
        )  # fmt: skip


def _choose_square(view, panel, threshold):
    """Choose a source for the square: a shred rather than a galaxy, the host if there is none."""
    table = panel.table
    if not {"p_cnn", "r"} <= set(table.colnames) or not len(table):
        return view.host
    sky = SkyCoord(np.asarray(table["ra"]), np.asarray(table["dec"]), unit="deg")
    side = view.image.shape[1] * abs(view.wcs.wcs.cdelt[0]) * u.deg
    # The square should be within the picture.
    room = (side - view.cutout_size) / 2
    east, north = view.host.spherical_offsets_to(sky)
    fits = (abs(east) < room) & (abs(north) < room)
    with np.errstate(invalid="ignore"):
        shred = np.asarray(table["p_cnn"]) >= threshold
    for rows in (np.flatnonzero(fits & shred), np.flatnonzero(fits)):
        if rows.size:
            return sky[rows[np.argmin(np.nan_to_num(np.asarray(table["r"])[rows], nan=99.0))]]
    return view.host
