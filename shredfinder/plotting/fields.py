"""Colour images of a field, with the sources marked by class."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from astropy.table import Table
from astropy.wcs.utils import proj_plane_pixel_scales

from shredfinder._utils.columns import as_table
from shredfinder._utils.positions import get_degrees, get_positions
from shredfinder._utils.runtime import import_optional
from shredfinder._utils.units import to_floats
from shredfinder.plotting.style import draw_circles, draw_cross, make_axes, make_figure

if TYPE_CHECKING:
    from types import ModuleType

    from astropy.coordinates import SkyCoord
    from astropy.units import Quantity
    from astropy.visualization.wcsaxes import WCSAxes
    from astropy.wcs import WCS
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from numpy.typing import ArrayLike

__all__ = ["FieldPanel", "FieldView", "plot_field", "plot_field_view"]

# The paper's yellow and red, in shades that colour-blind readers can distinguish. Line styles
# show the classes without colour.
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
    """Plot a field with its sources: shreds, galaxies and unscored ones.

    As in figure 1 of Di Teodoro, Peek & Wu (2023), circles mark the sources: solid yellow for
    shreds, dashed red for galaxies, dotted grey for unscored sources.

    Parameters
    ----------
    image : array_like
        Red, green and blue, of shape ``(height, width, 3)``, uint8 or float in 0–1, with rows in
        the order of ``wcs`` (in FITS images the first row is the lowest).
    wcs : `~astropy.wcs.WCS`
        Celestial coordinates of the image.
    table : `~astropy.table.Table`, `pandas.DataFrame` or structured array, optional
        The sources.
    coords : `~astropy.coordinates.SkyCoord`, optional
        Positions of the sources, one per row; by default those that
        `~shredfinder.table.get_positions` finds.
    score : str, optional
        Column with the probability of being a shred. Rows where it is NaN or masked are unscored,
        and so are all rows if the column is missing.
    threshold : float, optional
        Sources with a score at or above it are shreds.
    radius : `~astropy.units.Quantity` or str, optional
        Radius of the circles: an angle, or a column of angles (in arcsec if it has no unit).
    cutout : `~astropy.coordinates.SkyCoord`, optional
        Centre of a dashed white square that shows the size of a cutout.
    cutout_size : `~astropy.units.Quantity`, optional
        Width of that square.
    legend : bool, optional
        Whether to add a legend with the number of sources per class.
    ax : `~astropy.visualization.wcsaxes.WCSAxes`, optional
        Axes to draw on; by default those of a new figure, which pyplot does not manage.

    Returns
    -------
    ax : `~astropy.visualization.wcsaxes.WCSAxes`
        The axes; ``ax.figure.savefig("field.png")`` saves them.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed.
    ValueError
        If the image and WCS differ in shape, a column is missing, or the axes have no WCS.

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
    table = None if table is None else as_table(table)
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"the image must have shape (height, width, 3): got {image.shape}")
    # A WCS made by hand has no shape.
    shape = getattr(wcs, "array_shape", None)
    if shape is not None and tuple(shape) != image.shape[:2]:
        raise ValueError(f"the image has shape {image.shape[:2]}, but the WCS has shape {shape}")
    if ax is None:
        ax = _make_axes(wcs, image.shape)
    # Only WCSAxes have celestial coordinates.
    elif not hasattr(ax, "coords"):
        raise ValueError(
            "ax must be WCSAxes: create it with figure.add_subplot(projection=wcs), or leave it out"
        )
    ax.imshow(image, origin="lower", interpolation="nearest")
    # One scale converts angles to pixels, since the pixels of surveys are square.
    scale = np.sqrt(np.prod(proj_plane_pixel_scales(wcs.celestial))) * 3600
    if table is not None and len(table):
        x, y = wcs.world_to_pixel(get_positions(table) if coords is None else coords)
        classes = _find_classes(table, score, threshold)
        radii = _get_radii(table, radius) / scale
        handles = [
            _draw_class(ax, x, y, radii, classes == name, name, score, threshold)
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
    # Markers near the edge must not enlarge the plot.
    ax.set_xlim(-0.5, image.shape[1] - 0.5)
    ax.set_ylim(-0.5, image.shape[0] - 0.5)
    return ax


def _make_axes(wcs: WCS, shape: tuple[int, ...]) -> WCSAxes:
    ax: Any = make_axes(8, 8 * shape[0] / shape[1], projection=wcs)
    for axis, name in zip(ax.coords, ("Right ascension", "Declination"), strict=True):
        axis.set_axislabel(f"{name} (ICRS)")
    return ax


def _get_radii(table: Table, radius: Quantity | str) -> np.ndarray:
    if isinstance(radius, str):
        if radius not in table.colnames:
            raise ValueError(f"the table has no column {radius!r} of radii")
        return to_floats(table[radius], radius, u.arcsec)
    return np.full(len(table), u.Quantity(radius).to_value(u.arcsec))


def _find_classes(table: Table, score: str, threshold: float) -> np.ndarray:
    if score not in table.colnames:
        return np.full(len(table), "unscored")
    scores = to_floats(table[score], score)
    classes = np.where(scores >= threshold, "shred", "galaxy")
    return np.where(np.isfinite(scores), classes, "unscored")


def _draw_class(
    ax: WCSAxes,
    x: np.ndarray,
    y: np.ndarray,
    radii: np.ndarray,
    chosen: np.ndarray,
    name: str,
    score: str,
    threshold: float,
) -> Line2D:
    """Draw the circles of one class, and return its legend entry."""
    chosen = chosen & np.isfinite(x) & np.isfinite(y)
    style: dict[str, Any] = _STYLES[name]
    circles = draw_circles(
        ax,
        x[chosen],
        y[chosen],
        radii[chosen],
        edgecolors=style["color"],
        linestyles=[style["linestyle"]],
        linewidths=style["linewidth"],
    )
    # The collection is labelled for programs; the legend shows a line of the same style.
    circles.set_label(name)
    name_in_legend = {
        "shred": f"shred ({score} ≥ {threshold:g})",
        "galaxy": f"galaxy ({score} < {threshold:g})",
        "unscored": "unscored",
    }[name]
    line = _import_matplotlib("matplotlib.lines").Line2D
    return line([], [], label=f"{name_in_legend}: {chosen.sum()}", **style)


def _draw_square(ax: WCSAxes, x: float, y: float, side: float) -> None:
    square = _import_matplotlib("matplotlib.patches").Rectangle(
        (float(x) - side / 2, float(y) - side / 2), side, side, fill=False
    )
    square.set(edgecolor="white", linestyle="dashed", linewidth=1.5, label="cutout")
    ax.add_patch(square)


def _import_matplotlib(module: str) -> ModuleType:
    return import_optional(module, "plotting")


# Radius of the circles as a fraction of the field's width, and its minimum in arcsec.
_CIRCLE = 0.012
_MIN_CIRCLE = 1.6


@dataclass
class FieldPanel:
    """One panel of a field view.

    Attributes
    ----------
    title : str
        Title of the panel.
    table : `~astropy.table.Table`
        The sources, with ``ra`` and ``dec``, and ``p_cnn`` if they are scored.
    note : str
        Why there are no sources, if the query failed.

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
    """A colour image of a field, and panels of sources to draw on it.

    Attributes
    ----------
    image : `~numpy.ndarray`
        Red, green and blue, uint8 of shape ``(height, width, 3)``, first row in the south.
    wcs : `~astropy.wcs.WCS`
        Celestial coordinates of the image.
    panels : list of FieldPanel
        All sources, those that pass the Legacy cuts, those that pass the SDSS cuts.
    host : `~astropy.coordinates.SkyCoord`
        Position of the object at the centre.
    name : str
        Name of that object.
    cutout_size : `~astropy.units.Quantity`
        Width of the cutouts that are scored.
    criteria : `~astropy.table.Table`
        Number of Legacy sources in the field that each criterion of the cuts removes, from
        `~shredfinder.cuts.QualityResult.summary`.
    note : str
        Why there is no image, if there is none.

    Examples
    --------
    See `plot_field_view`.
    """

    image: np.ndarray
    wcs: WCS
    panels: list[FieldPanel]
    host: SkyCoord
    name: str = ""
    cutout_size: u.Quantity = 60 * u.arcsec
    criteria: Table = field(default_factory=Table)
    note: str = ""


def plot_field_view(view: FieldView, *, threshold: float = 0.5, panel_size: float = 4.2) -> Figure:
    """Plot a field in panels: all sources, and those that pass the cuts, by class.

    As in figure 1 of Di Teodoro, Peek & Wu (2023), circles mark the sources: white in a panel
    without scores, solid yellow for shreds and dashed red for galaxies. Every panel marks the host
    at the centre. A dashed white square in the last one shows the size of a cutout.

    Parameters
    ----------
    view : `~shredfinder.plotting.FieldView`
        The image and the panels.
    threshold : float, optional
        Sources with a score at or above it are shreds.
    panel_size : float, optional
        Width and height of each panel in inches.

    Returns
    -------
    figure : `~matplotlib.figure.Figure`
        The figure, which pyplot does not manage.

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
    # The layout engine ignores the titles of WCSAxes: leave room for them.
    figure = make_figure(
        panel_size * len(view.panels) + 0.3, panel_size + 0.5, rect=(0, 0, 1, 0.95)
    )
    # In arcsec.
    width = view.image.shape[1] * abs(view.wcs.wcs.cdelt[0]) * 3600
    radius = max(_CIRCLE * width, _MIN_CIRCLE)
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


def _label_axes(ax: WCSAxes, *, first: bool) -> None:
    longitude, latitude = ax.coords
    longitude.set_axislabel("Right ascension", fontsize=9)
    longitude.set_ticklabel(size=9)
    longitude.set_ticks(number=3)
    latitude.set_ticklabel(size=9)
    latitude.set_axislabel("Declination" if first else " ", fontsize=9)
    latitude.set_ticklabel_visible(first)


def _draw_plain(ax: WCSAxes, wcs: WCS, table: Table, radius: float) -> None:
    """Draw white circles with a radius in pixels."""
    if not len(table):
        return
    # Pixels count from 0, as in matplotlib.
    x, y = wcs.wcs_world2pix(*get_degrees(table), 0)
    draw_circles(ax, x, y, np.full(len(x), radius), edgecolors="white", linewidths=0.8)


def _mark_host(ax: WCSAxes, view: FieldView) -> None:
    x, y = view.wcs.world_to_pixel(view.host)
    # In pixels, for any size of the image.
    gap, length = 0.025 * view.image.shape[1], 0.035 * view.image.shape[1]
    draw_cross(ax, x, y, gap, length, color="#5ad1ff", linewidth=1.6)
    if view.name:
        ax.text(
            x, y - 1.25 * (gap + length), view.name, color="#5ad1ff", ha="center", va="top",
            fontsize=9, bbox={"facecolor": "black", "alpha": 0.45, "pad": 1.2, "linewidth": 0},
        )  # fmt: skip


def _choose_square(view: FieldView, panel: FieldPanel, threshold: float) -> SkyCoord:
    """Choose the centre of the square: the brightest shred, else galaxy, else the host."""
    table = panel.table
    if not {"p_cnn", "r"} <= set(table.colnames) or not len(table):
        return view.host
    sky = get_positions(table)
    side = view.image.shape[1] * abs(view.wcs.wcs.cdelt[0]) * u.deg
    # Only sources around which the whole square fits into the image.
    room = (side - view.cutout_size) / 2
    # Offsets along the axes of the image.
    east, north = view.host.spherical_offsets_to(sky)
    fits = (abs(east) < room) & (abs(north) < room)
    with np.errstate(invalid="ignore"):
        shred = to_floats(table["p_cnn"], "p_cnn") >= threshold
    for rows in (np.flatnonzero(fits & shred), np.flatnonzero(fits)):
        if rows.size:
            # Sources without a magnitude count as the faintest.
            r_mag = to_floats(table["r"], "r", u.mag)[rows]
            return sky[rows[np.argmin(np.nan_to_num(r_mag, nan=99.0))]]
    return view.host
