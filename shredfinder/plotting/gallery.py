"""Cutouts side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shredfinder.plotting.marks import draw_cross, make_figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from shredfinder.imaging.cutouts import Cutouts

__all__ = ["plot_gallery"]


def plot_gallery(
    cutouts: Cutouts,
    *,
    scores: Sequence[float] | np.ndarray | None = None,
    titles: Sequence[str] | None = None,
    framed: Sequence[bool] | np.ndarray | None = None,
    n_columns: int = 5,
    cross: bool = True,
    heading: str | None = None,
) -> Figure:
    """Show cutouts in rows, with the source's place crossed, as in the paper's figure 4.

    Parameters
    ----------
    cutouts : Cutouts
        Colour images, ``n`` of them.
    scores : array_like, optional
        A number for each cutout, written in its corner.
    titles : sequence of str, optional
        A line above each cutout.
    framed : array_like of bool, optional
        Cutouts to frame in red, such as doubtful ones.
    n_columns : int, optional
        Cutouts in a row.
    cross : bool, optional
        Whether to mark the centres.
    heading : str, optional
        A line above them all.

    Returns
    -------
    figure : `~matplotlib.figure.Figure`
        The figure, which pyplot does not know of; ``figure.savefig("gallery.png")`` saves it.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed.
    ValueError
        If there is no cutout, they are not in colour, or scores or titles are not as many.

    Examples
    --------
    >>> from shredfinder.datasets import make_field
    >>> from shredfinder.plotting import plot_gallery
    >>> cutouts = make_field(size=320, n_hosts=1, random_state=1).cutouts()[:4]
    >>> figure = plot_gallery(cutouts, scores=[0.9, 0.8, 0.2, 0.1], n_columns=2)
    >>> len(figure.axes)
    4
    """
    images = cutouts.images
    n = len(images)
    if not n or images.shape[-1] != 3:
        raise ValueError(f"a gallery needs images with three channels: got shape {images.shape}")
    for what, values in (("scores", scores), ("titles", titles), ("framed", framed)):
        if values is not None and len(values) != n:
            raise ValueError(f"there are {n} cutouts but {len(values)} {what}: give one for each")
    n_columns = max(1, min(n_columns, n))
    n_rows = -(-n // n_columns)
    extra = (0.17 if titles is not None else 0.0) * n_rows + (0.3 if heading else 0.0)
    figure = make_figure(1.6 * n_columns, 1.6 * n_rows + extra)
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)
    if heading:
        figure.suptitle(heading, fontsize=10)
    good = np.asarray(cutouts.good)
    half = (np.array(images.shape[1:3]) - 1) / 2
    for i in range(n):
        ax = figure.add_subplot(n_rows, n_columns, i + 1)
        ax.set_xticks([])
        ax.set_yticks([])
        ax.imshow(images[i], interpolation="bilinear")
        if cross and good[i]:
            size = 0.06 * images.shape[1]
            draw_cross(ax, half[1], half[0], 0.6 * size, 1.2 * size, color="#ff4d4d", linewidth=0.9)
        if not good[i]:
            ax.text(half[1], half[0], cutouts.flags[i], color="white", ha="center", fontsize=7)
        if scores is not None:
            ax.text(
                0.04, 0.04, f"{scores[i]:.2f}", transform=ax.transAxes, color="white", fontsize=7,
                bbox={"facecolor": "black", "alpha": 0.6, "pad": 1.2, "linewidth": 0},
            )  # fmt: skip
        if titles is not None:
            ax.set_title(titles[i], fontsize=7, pad=2)
        if framed is not None and framed[i]:
            for spine in ax.spines.values():
                spine.set(color="#e03030", linewidth=2.5)
    return figure
