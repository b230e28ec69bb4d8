"""The three panels of the paper's figure 1: a field as catalogues see it, before and after cuts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table

from shredfinder.plotting.field import plot_field
from shredfinder.plotting.marks import draw_circles, draw_cross, make_figure

if TYPE_CHECKING:
    from astropy.wcs import WCS
    from matplotlib.figure import Figure


__all__ = ["FieldPanel", "FieldView", "plot_field_view"]

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
