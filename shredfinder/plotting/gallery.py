"""Galleries of cutouts."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from shredfinder._utils.units import to_floats
from shredfinder.plotting.style import draw_cross, make_figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

    from shredfinder.imaging.cutouts import Cutouts

__all__ = ["plot_class_gallery", "plot_gallery"]


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
    """Plot cutouts in rows, with crosshairs on the sources, as in the paper's figure 4.

    Parameters
    ----------
    cutouts : Cutouts
        Colour images, ``n`` of them.
    scores : array_like, optional
        Score of each cutout, written in its corner.
    titles : sequence of str, optional
        Title of each cutout.
    framed : array_like of bool, optional
        Cutouts to frame in red, such as uncertain ones.
    n_columns : int, optional
        Number of cutouts per row.
    cross : bool, optional
        Whether to draw crosshairs.
    heading : str, optional
        Title of the figure.

    Returns
    -------
    figure : `~matplotlib.figure.Figure`
        The figure, which pyplot does not manage; ``figure.savefig("gallery.png")`` saves it.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed.
    ValueError
        If there are no cutouts, they are not in colour, or scores, titles or frames differ in
        number.

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
            raise ValueError(f"there are {n} cutouts but {len(values)} {what}: give one per cutout")
    n_columns = max(1, min(n_columns, n))
    # Rounded up.
    n_rows = -(-n // n_columns)
    # Inches for the titles.
    extra = (0.2 if titles is not None else 0.0) * n_rows + (0.3 if heading else 0.0)
    figure = make_figure(
        1.6 * n_columns, 1.6 * n_rows + extra, w_pad=0.02, h_pad=0.02, wspace=0, hspace=0
    )
    if heading:
        figure.suptitle(heading, fontsize=10)
    for i in range(n):
        ax = figure.add_subplot(n_rows, n_columns, i + 1)
        _draw_cutout(ax, cutouts, i, cross, framed is not None and bool(framed[i]))
        if scores is not None:
            _write_score(ax, scores[i])
        if titles is not None:
            ax.set_title(titles[i], fontsize=9, pad=2)
    return figure


def plot_class_gallery(
    cutouts: Cutouts,
    p_cnn: ArrayLike,
    y: ArrayLike | None = None,
    *,
    n: int = 15,
    threshold: float = 0.5,
    doubtful: tuple[float, float] = (0.2, 0.8),
    n_columns: int = 3,
    random_state: int | None = None,
) -> Figure:
    """Plot random sources of each class side by side, as in the paper's figure 4.

    Sources classified as galaxies are on the left, shreds on the right, all with crosshairs. Red
    frames mark sources whose label contradicts the model, or whose probability is intermediate.

    Parameters
    ----------
    cutouts : Cutouts
        Colour images, ``n`` of them.
    p_cnn : array_like
        Probabilities of being a shred, of shape ``(n,)``; unscored sources are not shown.
    y : array_like, optional
        True classes, 0 (galaxy) or 1 (shred), of shape ``(n,)``; NaN if unknown.
    n : int, optional
        Largest number of sources per class.
    threshold : float, optional
        Sources with a probability at or above it are shreds.
    doubtful : tuple of float, optional
        Range of intermediate probabilities.
    n_columns : int, optional
        Number of cutouts per row and class.
    random_state : int, optional
        Random seed.

    Returns
    -------
    figure : `~matplotlib.figure.Figure`
        The figure, which pyplot does not manage.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed.
    ValueError
        If the images are not in colour, probabilities or classes differ in number, or no source
        is scored.

    Examples
    --------
    >>> from shredfinder import ShredClassifier
    >>> from shredfinder.datasets import make_field
    >>> from shredfinder.plotting import plot_class_gallery
    >>> cutouts = make_field(size=512, n_hosts=3, random_state=1).cutouts()
    >>> p_cnn, _ = ShredClassifier.load().predict_p_cnn(cutouts)
    >>> figure = plot_class_gallery(cutouts, p_cnn, n=6, random_state=0)
    >>> len(figure.axes)
    12
    """
    p = to_floats(p_cnn, "p_cnn")
    truth = np.full(len(p), np.nan) if y is None else to_floats(y, "y")
    if cutouts.images.shape[-1] != 3 or not p.shape == truth.shape == (len(cutouts),):
        raise ValueError(
            f"a gallery needs colour images with one probability and class each: got images of "
            f"shape {cutouts.images.shape}, probabilities of {p.shape} and classes of {truth.shape}"
        )
    scored = np.isfinite(p) & cutouts.good
    if not scored.any():
        raise ValueError("no source is scored, so there is nothing to plot")
    # Uncertain by the score, or wrong by the label.
    called = p >= threshold
    in_doubt = (p > doubtful[0]) & (p < doubtful[1])
    in_doubt |= np.isfinite(truth) & ((truth >= 0.5) != called)
    rng = np.random.default_rng(random_state)
    chosen = [
        # A random sample of each class, at most n.
        rng.permutation(np.flatnonzero(scored & (called == is_shred)))[:n]
        for is_shred in (False, True)
    ]
    n_rows = max(1, -(-max(map(len, chosen)) // n_columns))
    figure = make_figure(
        3.1 * n_columns + 0.3, 1.5 * n_rows + 0.35, w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0
    )
    # A list of two, though the annotation allows a single one.
    halves = cast("np.ndarray", figure.subfigures(1, 2, wspace=0.03))
    for half, rows, name in zip(halves, chosen, ("Galaxies", "Shreds"), strict=True):
        half.suptitle(name, fontsize=11)
        for k, row in enumerate(rows):
            ax = half.add_subplot(n_rows, n_columns, k + 1)
            _draw_cutout(ax, cutouts, row, True, bool(in_doubt[row]))
            _write_score(ax, p[row])
    return figure


def _draw_cutout(ax: Axes, cutouts: Cutouts, i: int, cross: bool, framed: bool) -> None:
    """Draw one cutout: crosshairs if it is usable, else its flag."""
    image = cutouts.images[i]
    ax.set_xticks([])
    ax.set_yticks([])
    ax.imshow(image, interpolation="bilinear")
    # The source is at the centre, between pixels if their number is even.
    y, x = (np.array(image.shape[:2]) - 1) / 2
    if not cutouts.good[i]:
        ax.text(x, y, cutouts.flags[i], color="white", ha="center", fontsize=9)
    elif cross:
        size = 0.06 * image.shape[0]
        draw_cross(ax, x, y, 0.6 * size, 1.2 * size, color="#ff4d4d", linewidth=0.9)
    if framed:
        for spine in ax.spines.values():
            spine.set(color="#e03030", linewidth=2.5)


def _write_score(ax: Axes, score: float) -> None:
    ax.text(
        0.04, 0.04, f"{score:.2f}", transform=ax.transAxes, color="white", fontsize=9,
        bbox={"facecolor": "black", "alpha": 0.6, "pad": 1.2, "linewidth": 0},
    )  # fmt: skip
