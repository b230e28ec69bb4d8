"""A colour image of a field with its sources marked by class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.wcs.utils import proj_plane_pixel_scales

from shredfinder._utils.runtime import import_optional
from shredfinder.plotting.marks import draw_circles, make_figure

if TYPE_CHECKING:
    from astropy.table import Table
    from astropy.units import Quantity
    from astropy.visualization.wcsaxes import WCSAxes
    from astropy.wcs import WCS
    from numpy.typing import ArrayLike

__all__ = ["plot_field"]

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
        classes = _classify(table, score, threshold)
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


def _classify(table, score, threshold):
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
