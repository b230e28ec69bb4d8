"""Merged galaxies: their images with pieces, parent and aperture, and their curves of growth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shredfinder._utils.runtime import import_optional
from shredfinder.imaging import flux_to_rgb
from shredfinder.plotting.style import COLORS, draw_circles, make_figure
from shredfinder.surveys import COLOR_MAPPINGS, DEFAULT_SURVEY, get_survey

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from shredfinder.hosts import GalaxyLight

__all__ = ["plot_merge", "plot_merge_gallery"]

# As in the plots of fields: shreds are yellow, galaxies red.
_PIECE, _PARENT, _OTHER = "#ffe11a", "#ff4d4d", "#c0c0c0"
_BAND_COLORS = dict(zip("ugrizy", (COLORS[3], COLORS[0], COLORS[2], COLORS[5], COLORS[1], "0.4"),
                        strict=True))  # fmt: skip
# Half-width of the view in semi-major axes of the aperture.
_VIEW = 1.25
# Brightness of masked pixels.
_DIM = 0.35
_BARS = (1, 2, 5, 10, 20, 30, 60, 120, 300)


def plot_merge(light: GalaxyLight, *, legend: bool = True) -> Figure:
    """Plot a merged galaxy: its image with pieces, parent and aperture, and its curve of growth.

    Solid yellow circles mark the pieces, a dashed red circle the galaxy's own entry, and grey
    crosses other galaxies. Masked pixels are dimmed. The solid ellipse is the aperture, the dotted
    one contains half of the light. On the right are the magnitudes within ellipses, in all bands,
    with the magnitudes of the galaxy's entry and of the sum of all entries.

    Parameters
    ----------
    light : GalaxyLight
        A galaxy from `~shredfinder.hosts.measure_galaxies`.
    legend : bool, optional
        Whether to add legends.

    Returns
    -------
    figure : `~matplotlib.figure.Figure`
        The figure, which pyplot does not manage; Jupyter shows it, and
        ``figure.savefig("galaxy.png")`` saves it.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder.datasets import make_shredded_field
    >>> from shredfinder.hosts import find_parents, measure_galaxies
    >>> from shredfinder.plotting import plot_merge
    >>> field = make_shredded_field(512, n_hosts=2, n_dwarfs=1, n_pairs=0, random_state=1)
    >>> table = field.sources
    >>> table["p_cnn"] = np.where(table["label"] == "shred", 0.9, 0.1)
    >>> lights = measure_galaxies(table, field.cutouts(), parents=find_parents(table), largest=1)
    >>> figure = plot_merge(lights[0])
    >>> len(figure.axes)
    2
    """
    figure = make_figure(9.0, 4.3, w_pad=0.06)
    image_axes, curve_axes = figure.subplots(1, 2, width_ratios=(1, 1.15))
    _draw_image(image_axes, light, legend)
    _draw_curve(curve_axes, light, legend)
    change = f"{light.reference} = {light.mag:.2f} mag"
    if np.isfinite(light.before):
        change += f", {light.before:.2f} mag before merging"
    flags = f" ({', '.join(light.flags)})" if light.flags else ""
    figure.suptitle(f"Galaxy {light.name}: {change}{flags}", fontsize=11)
    return figure


def plot_merge_gallery(
    lights: Sequence[GalaxyLight], *, n: int = 12, n_columns: int = 4, heading: str | None = None
) -> Figure:
    """Plot images of merged galaxies with the change of their magnitudes.

    Marks are as in `plot_merge`.

    Parameters
    ----------
    lights : sequence of GalaxyLight
        Galaxies from `~shredfinder.hosts.measure_galaxies`, those with the largest change first.
    n : int, optional
        Largest number of galaxies.
    n_columns : int, optional
        Number of galaxies per row.
    heading : str, optional
        Title of the figure.

    Returns
    -------
    figure : `~matplotlib.figure.Figure`
        The figure, which pyplot does not manage.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed.
    ValueError
        If there are no galaxies.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder.datasets import make_shredded_field
    >>> from shredfinder.hosts import find_parents, measure_galaxies
    >>> from shredfinder.plotting import plot_merge_gallery
    >>> field = make_shredded_field(512, n_hosts=2, n_dwarfs=1, n_pairs=0, random_state=1)
    >>> table = field.sources
    >>> table["p_cnn"] = np.where(table["label"] == "shred", 0.9, 0.1)
    >>> lights = measure_galaxies(table, field.cutouts(), parents=find_parents(table), largest=2)
    >>> figure = plot_merge_gallery(lights)
    >>> len(figure.axes)
    2
    """
    shown = list(lights)[:n]
    if not shown:
        raise ValueError("there are no merged galaxies to plot")
    n_columns = max(1, min(n_columns, len(shown)))
    n_rows = -(-len(shown) // n_columns)
    figure = make_figure(2.3 * n_columns, 2.65 * n_rows + (0.3 if heading else 0.0), h_pad=0.05)
    if heading:
        figure.suptitle(heading, fontsize=11)
    for i, light in enumerate(shown):
        ax = figure.add_subplot(n_rows, n_columns, i + 1)
        _draw_image(ax, light, legend=False)
        ax.set_title(f"{light.name}\n{_describe(light)}", fontsize=9, pad=3)
    return figure


def _describe(light: GalaxyLight) -> str:
    """Return the change of magnitude as text."""
    before = f"{light.before:.2f} → " if np.isfinite(light.before) else ""
    return f"{light.reference} = {before}{light.mag:.2f}"


def _draw_image(ax: Axes, light: GalaxyLight, legend: bool) -> None:
    """Draw the image around the aperture, with all marks."""
    ax.imshow(_to_colors(light), interpolation="nearest")
    ax.set_xticks([])
    ax.set_yticks([])
    x, y = light.center
    half = max(_VIEW * light.radius / light.pixel_scale, 12.0)
    height, width = light.mask.shape
    # Limits within the image; y grows to the south.
    ax.set_xlim(max(x - half, -0.5), min(x + half, width - 0.5))
    ax.set_ylim(min(y + half, height - 0.5), max(y - half, -0.5))
    rows = light.rows
    # Circles of entries smaller than this would be invisible.
    smallest = 0.025 * half
    for chosen, color, style in (
        (rows.own & ~rows.main, _PIECE, "solid"),
        (rows.own & rows.main, _PARENT, (0, (4, 1.5))),
    ):
        draw_circles(
            ax, rows.x[chosen], rows.y[chosen], np.fmax(rows.radius[chosen], smallest),
            edgecolors=color, linestyles=[style], linewidths=1.2,
        )  # fmt: skip
    others = ~rows.own
    ax.plot(rows.x[others], rows.y[others], "x", color=_OTHER, markersize=5, scalex=False,
            scaley=False)  # fmt: skip
    patches = import_optional("matplotlib.patches", "plotting")
    for radius, style in ((light.radius, "solid"), (light.half_light_radius, "dotted")):
        if np.isfinite(radius):
            major = 2 * radius / light.pixel_scale
            ax.add_patch(
                patches.Ellipse(
                    (x, y), major, light.axis_ratio * major, angle=np.degrees(light.angle),
                    fill=False, edgecolor="white", linestyle=style, linewidth=1.3,
                )
            )  # fmt: skip
    _draw_bar(ax, light.pixel_scale)
    if legend:
        lines = import_optional("matplotlib.lines", "plotting")
        handles = [
            lines.Line2D([], [], color=_PIECE, label="pieces"),
            lines.Line2D([], [], color=_PARENT, linestyle=(0, (4, 1.5)), label="parent"),
            lines.Line2D([], [], color="white", label="aperture"),
            lines.Line2D([], [], color="white", linestyle="dotted", label="half of the light"),
        ]
        if not (rows.own & ~rows.main).any():
            handles = handles[1:]
        ax.legend(
            handles=handles, loc="upper right", fontsize=9, facecolor="0.15", labelcolor="white",
            framealpha=0.9,
        )  # fmt: skip


def _to_colors(light: GalaxyLight) -> np.ndarray:
    """Return the image in the survey's colours, or in grey, with masked pixels dimmed."""
    mapping = COLOR_MAPPINGS[str(get_survey(DEFAULT_SURVEY).color_mapping)]
    if set(mapping.bands) <= set(light.bands):
        fluxes = light.images * (mapping.native_pixel_scale / light.pixel_scale) ** 2
        colors = flux_to_rgb(fluxes, light.bands, color_mapping=mapping.name) / 255.0
    else:
        visualization = import_optional("astropy.visualization", "plotting")
        image = light.images[light.bands.index(light.reference)]
        norm = visualization.simple_norm(image, "asinh", percent=99.5)
        colors = np.repeat(np.asarray(norm(image))[..., np.newaxis], 3, axis=2).clip(0, 1)
    return np.where(light.mask[..., np.newaxis], _DIM * colors, colors)


def _draw_bar(ax: Axes, scale: float) -> None:
    """Draw a scale bar of a round length, at most a third of the width."""
    left, right = ax.get_xlim()
    bottom, top = ax.get_ylim()
    width = right - left
    length = max([bar for bar in _BARS if bar <= width * scale / 3] or [_BARS[0]])
    x, y = left + 0.05 * width, bottom + 0.05 * (top - bottom)
    ax.plot([x, x + length / scale], [y, y], color="white", linewidth=2)
    label = f"{length}″" if length < 60 else f"{length // 60}′"
    ax.text(x, y + 0.015 * (top - bottom), label, color="white", fontsize=9, va="bottom")


def _draw_curve(ax: Axes, light: GalaxyLight, legend: bool) -> None:
    """Draw the magnitude within each ellipse, and those of the catalogue."""
    for band, flux, error in zip(light.bands, light.growth, light.growth_error, strict=True):
        good = flux > 0
        mags = 22.5 - 2.5 * np.log10(flux[good])
        spread = 1.0857 * error[good] / flux[good]
        color = _BAND_COLORS.get(band, "0.3")
        ax.plot(light.radii[good], mags, color=color, linewidth=1.8, label=band)
        ax.fill_between(
            light.radii[good], mags - spread, mags + spread, color=color, alpha=0.2, linewidth=0
        )
    total = np.nanmin(light.mags) if np.isfinite(light.mags).any() else 20.0
    faintest = np.nanmax([*light.mags, light.before, total]) + 1.0
    ax.set_ylim(faintest, total - 0.5)
    ax.set_xlim(0, light.radii[-1])
    for value, style, label in (
        (light.before, (0, (4, 1.5)), f"entry, {light.reference}"),
        (light.summed, (0, (1, 1)), f"sum of entries, {light.reference}"),
    ):
        if np.isfinite(value):
            ax.axhline(value, color="0.35", linestyle=style, linewidth=1.2, label=label)
    for radius, style in ((light.radius, "solid"), (light.half_light_radius, "dotted")):
        if np.isfinite(radius):
            ax.axvline(radius, color="0.6", linestyle=style, linewidth=1)
    ax.set_xlabel("semi-major axis (arcsec)")
    ax.set_ylabel("magnitude within the ellipse")
    if legend:
        ax.legend(loc="lower right", fontsize=9)
