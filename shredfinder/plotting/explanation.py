"""Maps that explain a score, drawn over the images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shredfinder._utils.runtime import import_optional
from shredfinder.plotting.style import make_figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from shredfinder.imaging.cutouts import Cutouts

__all__ = ["plot_explanation"]

# Blue for galaxies, yellow for shreds: distinct for colour-blind readers too.
_COLORS = ("#2f6fd0", "#f0b000")


def plot_explanation(
    cutouts: Cutouts,
    maps: np.ndarray,
    *,
    titles: Sequence[str] | None = None,
    n_columns: int = 3,
    limit: float | None = None,
    label: str | None = "auto",
) -> Figure:
    """Plot cutouts, and beside each the parts of it that raise or lower its score.

    The map is drawn over a grey copy of the cutout: yellow where the image argues for a shred, blue
    for a galaxy, and more opaque where the effect is stronger.

    Parameters
    ----------
    cutouts : Cutouts
        Colour images, ``n`` of them.
    maps : array_like
        Maps of shape ``(n, height, width)``, as returned by
        `~shredfinder.explanation.occlusion_maps` or `~shredfinder.explanation.grad_cam`.
    titles : sequence of str, optional
        Title of each pair.
    n_columns : int, optional
        Number of pairs per row.
    limit : float, optional
        Value of the strongest colour, which makes maps comparable. By default each map has its
        own, its largest value.
    label : str, optional
        Label of the colour bar, which is drawn only with a ``limit``.

    Returns
    -------
    figure : `~matplotlib.figure.Figure`
        The figure, which pyplot does not manage.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed.
    ValueError
        If cutouts, maps and titles differ in number or size, or the images are not in colour.

    Examples
    --------
    >>> from shredfinder import ShredClassifier
    >>> from shredfinder.datasets import make_field
    >>> from shredfinder.explanation import occlusion_maps
    >>> from shredfinder.plotting import plot_explanation
    >>> cutouts = make_field(size=320, n_hosts=1, random_state=1).cutouts()[:2]
    >>> maps = occlusion_maps(ShredClassifier.load(), cutouts, patch=32, stride=32)
    >>> figure = plot_explanation(cutouts, maps)
    >>> len(figure.axes)
    4
    """
    images, maps = cutouts.images, np.asarray(maps, dtype=float)
    n = len(images)
    if not n or images.shape[-1] != 3 or maps.shape != images.shape[:3]:
        raise ValueError(
            f"an explanation needs colour images and a map for each: got shapes "
            f"{images.shape} and {maps.shape}"
        )
    if titles is not None and len(titles) != n:
        raise ValueError(f"there are {n} cutouts but {len(titles)} titles: give one per cutout")
    colors = import_optional("matplotlib.colors", "plotting")
    # Float in 0–1.
    gray = images.mean(axis=-1) / (255 if images.dtype == np.uint8 else 1)
    scale = colors.LinearSegmentedColormap.from_list(
        "galaxy-shred", [_COLORS[0], "white", _COLORS[1]]
    )
    n_columns = max(1, min(n_columns, n))
    # Rounded up.
    n_rows = -(-n // n_columns)
    extra = 0.22 * n_rows if titles is not None else 0
    width = 3.3 * n_columns + (0.8 if limit else 0)
    figure = make_figure(width, 1.65 * n_rows + extra, w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)
    for i in range(n):
        largest = np.nanmax(np.abs(maps[i])) if np.isfinite(maps[i]).any() else 0
        # Symmetric, so that white means no effect.
        norm = colors.Normalize(-(limit or largest or 1), limit or largest or 1)
        panels = [figure.add_subplot(n_rows, 2 * n_columns, 2 * i + k) for k in (1, 2)]
        for ax in panels:
            ax.set_xticks([])
            ax.set_yticks([])
        panels[0].imshow(images[i], interpolation="bilinear")
        panels[1].imshow(gray[i], cmap="gray", vmin=0, vmax=1, interpolation="bilinear")
        if cutouts.good[i] and largest:
            # From 0 where there is no effect to 1 at the limit.
            strength = np.clip(np.abs(norm(maps[i]) - 0.5) * 2, 0, 1)
            panels[1].imshow(maps[i], cmap=scale, norm=norm, alpha=0.75 * strength)
        elif not cutouts.good[i]:
            middle = images.shape[2] / 2, images.shape[1] / 2
            panels[0].text(*middle, cutouts.flags[i], color="white", ha="center", fontsize=9)
        if titles is not None:
            panels[0].set_title(titles[i], fontsize=9, pad=2, loc="left")
    if limit:
        text = "decrease of the logit" if label == "auto" else label
        # Drawn even if no cutout is usable.
        mappable = import_optional("matplotlib.cm", "plotting").ScalarMappable(norm, scale)
        figure.colorbar(mappable, ax=figure.axes, shrink=0.8, pad=0.01).set_label(
            f"{text}\n← galaxy    shred →", fontsize=9
        )
    return figure
